//! What the process says about itself: lines on standard error, as text or JSON, the last of which are kept in memory.

use std::fmt::{Debug, Write};
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LogSettings};
use crate::model::{Classify, Clock, Kind};
use crate::protocol::recent_log::{LogLine, RecentLog};

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

/// Sends the process's log to standard error from now on, and its last lines to what is returned. Once a process.
pub fn start(settings: &LogSettings, clock: Clock) -> Result<Arc<RecentLog>, LoggingError> {
    let colours = std::io::stderr().is_terminal();
    let recent = Arc::new(RecentLog::default());
    let remember = Remember { recent: recent.clone(), clock };
    let subscriber = subscriber(settings, std::io::stderr, colours, remember)?;
    subscriber.try_init().map_err(|source| LoggingError::AlreadySet { source })?;
    Ok(recent)
}

fn subscriber<W>(
    settings: &LogSettings,
    writer: W,
    colours: bool,
    remember: Remember,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(directives(&settings.level))
        .map_err(|source| LoggingError::Level { level: settings.level.clone(), source })?;
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Box::new(lines.with_ansi(colours).finish().with(remember)),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish().with(remember)),
    })
}

/// Keeps what is logged, as OpenTSDB's server shows it: seconds since 1970, level, thread, where it comes from, and what is
/// said, with tabs between.
struct Remember {
    recent: Arc<RecentLog>,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Remember {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        const NANOS_PER_SECOND: i64 = 1_000_000_000;
        let (metadata, thread) = (event.metadata(), std::thread::current());
        let mut said = Said::default();
        event.record(&mut said);
        let seconds = (self.clock)().div_euclid(NANOS_PER_SECOND).to_string();
        let from = if said.target.is_empty() { metadata.target() } else { &said.target };
        let mut line = LogLine::default();
        for column in [&seconds, metadata.level().as_str(), thread.name().unwrap_or_default(), from] {
            let _ = line.write_str(column);
            line.next_column();
        }
        // A line that is full is cut.
        let _ = write!(line, "{}{}", said.message, said.fields);
        self.recent.add(line);
    }
}

/// An event's message, and its fields as ` name=value`.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
    /// Where a line of the crate `log` comes from.
    target: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "log.target" => self.target.push_str(value),
            _ => self.record_debug(field, &value),
        }
    }
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
    use std::sync::Mutex;

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

    /// What is written, and what is kept, when one event a crate and level is logged.
    fn logged(level: &str, format: LogFormat) -> (String, Vec<Arc<str>>) {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = LogSettings { level: level.to_string(), format };
        let recent = Arc::new(RecentLog::default());
        let remember = Remember { recent: recent.clone(), clock: Arc::new(|| 7_900_000_000) };
        let subscriber = subscriber(&settings, move || writer.clone(), false, remember).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("our error");
            tracing::info!(rows = 3, "our info");
            tracing::debug!("our debug");
            tracing::warn!(target: "actix_server::worker", "their warning");
            tracing::info!(target: "actix_server::worker", "their info");
        });
        let bytes = lines.0.lock().unwrap().clone();
        (String::from_utf8(bytes).unwrap(), recent.newest_first())
    }

    fn check(level: &str, expected: &[&str]) {
        let (text, kept) = logged(level, LogFormat::Text);
        assert_eq!(kept.len(), expected.len(), "{level}");
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
        let (text, kept) = logged("info", LogFormat::Json);
        assert_eq!(kept.len(), 3);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[1]["level"], &lines[1]["message"], &lines[1]["rows"]),
            (&"INFO".into(), &"our info".into(), &3.into())
        );
    }

    #[test]
    fn what_is_logged_is_kept_newest_first() {
        let (_, kept) = logged("info", LogFormat::Text);
        let columns = |line: usize| kept[line].split('\t').map(String::from).collect::<Vec<_>>();
        let thread = std::thread::current().name().unwrap_or_default().to_string();
        assert_eq!(columns(0), ["7", "WARN", &thread, "actix_server::worker", "their warning"]);
        assert_eq!(columns(1), ["7", "INFO", &thread, module_path!(), "our info rows=3"]);
    }

    #[test]
    fn a_wrong_filter_is_refused() {
        let settings = LogSettings { level: "tidegate=loud".to_string(), format: LogFormat::Text };
        let remember = Remember { recent: Arc::default(), clock: Arc::new(|| 0) };
        let error = subscriber(&settings, std::io::stderr, false, remember).err().unwrap();
        assert!(error.to_string().contains("\"tidegate=loud\""), "{error}");
    }
}
