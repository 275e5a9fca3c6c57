//! The command line: which command, and which settings it gives.
//!
//! Owns: flags and their words. Does not own: what the settings mean (`config`), running the gateway (`server`).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Settings, SettingsError};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the gateway: `tidegate serve`, and `tidegate` alone.
    Serve(Sources),
    /// Load and validate the settings, print them, and end: `tidegate check-config`.
    CheckConfig(Sources),
    /// Print [`VERSION`]: `tidegate version`.
    Version,
}

/// Name and version, as `tidegate version` prints them.
pub const VERSION: &str = concat!("tidegate ", env!("CARGO_PKG_VERSION"));

/// Where settings come from, besides the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Sources {
    /// Settings file (TOML); without it, defaults, environment and flags count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the data lives: file:///folder, s3://bucket/prefix, …; short for --set storage.url=URL
    #[arg(long, value_name = "URL")]
    storage: Option<String>,
    /// Folder of the write-ahead log; short for --set wal.dir=DIR
    #[arg(long, value_name = "DIR")]
    wal: Option<String>,
    /// Any setting by its dotted name; may be repeated, the last one wins
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

impl Sources {
    /// Loads and validates the settings, the process environment included.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        let lossy = |(name, value): (OsString, OsString)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        Settings::load(self.config.as_deref(), std::env::vars_os().map(lossy), self.flags())
    }

    /// What `check-config` prints: `OK`, then every setting as TOML. Files that settings name are not opened.
    pub fn check(&self) -> Result<String, SettingsError> {
        Ok(format!("OK\n\n{}", self.load()?.to_toml()))
    }

    /// `--set` comes last: it is the more explicit way to say the same.
    fn flags(&self) -> Vec<(String, String)> {
        let short = [("storage.url", &self.storage), ("wal.dir", &self.wal)];
        let short = short.into_iter().filter_map(|(key, value)| Some((key.to_string(), value.clone()?)));
        short.chain(self.set.iter().cloned()).collect()
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_string(), value.to_string())),
        _ => Err("expected KEY=VALUE, such as wal.dir=/var/lib/tidegate/wal".to_string()),
    }
}

/// Parses the process's arguments. For `--help`, `--version` and arguments that make no sense it prints and ends the
/// process.
pub fn parse() -> Command {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// Parses `arguments`, the first of which is the program's name. Help and version come back as errors.
pub fn parse_from(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, clap::Error> {
    let line = Line::try_parse_from(arguments)?;
    Ok(match line.verb {
        None => Command::Serve(line.sources),
        Some(Verb::Serve(sources)) => Command::Serve(sources),
        Some(Verb::CheckConfig(sources)) => Command::CheckConfig(sources),
        Some(Verb::Version) => Command::Version,
    })
}

/// One gateway in front of object storage that speaks InfluxDB, OpenTSDB, TDengine, CnosDB and Elasticsearch bulk
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    sources: Sources,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway; so does no command at all
    Serve(Sources),
    /// Check the settings and print all of them as they would hold, without starting
    CheckConfig(Sources),
    /// Print the version
    Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, clap::Error> {
        parse_from(line.split(' '))
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_string(), value.to_string())
    }

    #[test]
    fn no_command_is_serve() {
        let flags = "--config f.toml --set wal.dir=a=b --set log.level=";
        let expected = Command::Serve(Sources {
            config: Some("f.toml".into()),
            set: vec![pair("wal.dir", "a=b"), pair("log.level", "")],
            ..Sources::default()
        });
        assert_eq!(parsed(&format!("tidegate {flags}")).unwrap(), expected);
        assert_eq!(parsed(&format!("tidegate serve {flags}")).unwrap(), expected);
        assert_eq!(parsed("tidegate").unwrap(), Command::Serve(Sources::default()));
        assert_eq!(parsed("tidegate version").unwrap(), Command::Version);
        assert_eq!(parsed("tidegate check-config").unwrap(), Command::CheckConfig(Sources::default()));
    }

    #[test]
    fn short_flags_are_settings() {
        let Command::CheckConfig(sources) =
            parsed("tidegate check-config --set wal.dir=w2 --wal w --storage memory:///").unwrap()
        else {
            panic!("should be check-config");
        };
        assert_eq!(sources.flags(), [pair("storage.url", "memory:///"), pair("wal.dir", "w"), pair("wal.dir", "w2")]);
        let settings = Settings::load(None, std::iter::empty(), sources.flags()).unwrap();
        assert_eq!(settings.storage.url, "memory:///");
        assert!(settings.wal.dir.ends_with("w2"));
    }

    #[test]
    fn a_check_shows_every_setting_or_says_what_is_wrong() {
        let check = |flags: Vec<(String, String)>| Sources { set: flags, ..Sources::default() }.check();
        let text = check(vec![pair("wal.dir", "/w")]).unwrap();
        assert!(
            text.starts_with("OK\n\n[auth]\n") && text.contains("\n[wal]\n") && text.contains("\ndir = \"/w\"\n"),
            "{text}"
        );
        let error = check(vec![pair("wal.file_bytes", "0")]).unwrap_err();
        assert!(error.to_string().starts_with("`wal.file_bytes` (the command line) is 0, expected"), "{error}");
    }

    #[test]
    fn senseless_lines_are_refused() {
        let check = |line: &str, expected: &str| {
            let message = parsed(line).expect_err(line).to_string();
            assert!(message.contains(expected), "{line}: {message}");
        };
        check("tidegate --set wal.dir", "expected KEY=VALUE");
        check("tidegate --set =x", "expected KEY=VALUE");
        check("tidegate start", "unrecognized subcommand 'start'");
        check("tidegate --config f serve", "cannot be used with");
        check("tidegate --port 1", "unexpected argument '--port'");
        check("tidegate --version", VERSION);
    }
}
