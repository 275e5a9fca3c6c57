//! What the process says about itself: lines on standard error, as text or JSON.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LogSettings};
use crate::model::{Classify, Kind};

/// Crates whose `info` is not about what the gateway does; they stay at `warn` unless `log.level` names them.
const NOISY: &[&str] = &[
    "actix_http",
    "actix_server",
    "actix_web",
    "datafusion",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "parquet",
    "reqwest",
    "rustls",
];

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("`log.level` is \"{level}\": {source}")]
    Level { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("logging was already set up in this process: {source}")]
    AlreadySet { source: tracing_subscriber::util::TryInitError },
}

impl Classify for LoggingError {
    fn kind(&self) -> Kind {
        match self {
            LoggingError::Level { .. } => Kind::Invalid,
            LoggingError::AlreadySet { .. } => Kind::AlreadyExists,
        }
    }
}

/// Sends the process's log to standard error from now on. Once a process.
pub fn start(settings: &LogSettings) -> Result<(), LoggingError> {
    let colours = std::io::stderr().is_terminal();
    subscriber(settings, std::io::stderr, colours)?.try_init().map_err(|source| LoggingError::AlreadySet { source })
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(directives(&settings.level))
        .map_err(|source| LoggingError::Level { level: settings.level.clone(), source })?;
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Box::new(lines.with_ansi(colours).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

/// `level` with the noisy crates held at `warn`, where it does not silence them anyway. What `level` says of a crate
/// replaces what stands before it.
fn directives(level: &str) -> String {
    let is_quiet = |part: &str| ["off", "error"].iter().any(|quiet| part.trim().eq_ignore_ascii_case(quiet));
    if level.split(',').any(is_quiet) {
        return level.to_string();
    }
    NOISY.iter().rev().fold(level.to_string(), |rest, name| format!("{name}=warn,{rest}"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written when one event a crate and level is logged.
    fn logged(level: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = LogSettings { level: level.to_string(), format };
        let subscriber = subscriber(&settings, move || writer.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("our error");
            tracing::info!(rows = 3, "our info");
            tracing::debug!("our debug");
            tracing::warn!(target: "actix_server::worker", "their warning");
            tracing::info!(target: "actix_server::worker", "their info");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn check(level: &str, expected: &[&str]) {
        let text = logged(level, LogFormat::Text);
        let said: Vec<&str> = ["our error", "our info", "our debug", "their warning", "their info"]
            .into_iter()
            .filter(|message| text.contains(message))
            .collect();
        assert_eq!(said, expected, "{level}");
    }

    #[test]
    fn levels_hold_for_us_and_noisy_crates_stay_at_warn() {
        check("info", &["our error", "our info", "their warning"]);
        check("debug", &["our error", "our info", "our debug", "their warning"]);
        check("warn", &["our error", "their warning"]);
        check("error", &["our error"]);
        check("OFF", &[]);
        check("info,actix_server=info", &["our error", "our info", "their warning", "their info"]);
        check("warn,actix_server=off", &["our error"]);
    }

    #[test]
    fn json_is_one_object_a_line_with_its_fields() {
        let text = logged("info", LogFormat::Json);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[1]["level"], &lines[1]["message"], &lines[1]["rows"]),
            (&"INFO".into(), &"our info".into(), &3.into())
        );
    }

    #[test]
    fn a_wrong_filter_is_refused() {
        let settings = LogSettings { level: "tidegate=loud".to_string(), format: LogFormat::Text };
        let error = subscriber(&settings, std::io::stderr, false).err().unwrap();
        assert!(error.to_string().contains("\"tidegate=loud\""), "{error}");
    }
}
