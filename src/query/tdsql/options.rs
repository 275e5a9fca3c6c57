//! Options of databases: two are applied (the unit of times, how long rows live), the others are kept and shown.

use std::collections::BTreeMap;

use crate::catalog::{CatalogState, Change, Database};
use crate::model::Precision;

use super::ast::DatabaseOption;
use super::error::TdError;
use super::time::{Duration, precision_text};

/// Where options are kept, by the database's number.
const COLLECTION: &str = "tdengine.databases";
const MINUTE_NS: i64 = 60_000_000_000;
const DAY_MINUTES: i64 = 24 * 60;
/// Ten years, as the original's default is.
const KEEP_MINUTES: i64 = 3650 * DAY_MINUTES;

/// Options by name, as text. Durations are in minutes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Options(BTreeMap<String, String>);

/// What a database is created with when nothing is said. In the order in which they are listed.
pub(super) const DEFAULTS: [(&str, &str); 23] = [
    ("vgroups", "2"),
    ("replica", "1"),
    ("duration", "10d"),
    ("buffer", "256"),
    ("pagesize", "4"),
    ("pages", "256"),
    ("minrows", "100"),
    ("maxrows", "4096"),
    ("comp", "2"),
    ("cachemodel", "none"),
    ("cachesize", "1"),
    ("wal_level", "1"),
    ("wal_fsync_period", "3000"),
    ("wal_retention_period", "3600"),
    ("wal_retention_size", "0"),
    ("stt_trigger", "2"),
    ("table_prefix", "0"),
    ("table_suffix", "0"),
    ("tsdb_pagesize", "4"),
    ("keep_time_offset", "0"),
    ("single_stable", "0"),
    ("schemaless", "0"),
    ("strict", "on"),
];

impl Options {
    /// Options as written, checked.
    pub(super) fn of(written: &[DatabaseOption]) -> Result<Options, TdError> {
        let mut options = Options::default();
        for DatabaseOption { name, values } in written {
            options.0.insert(name.clone(), values.join(","));
        }
        options.precision()?;
        options.keep_ns()?;
        Ok(options)
    }

    pub(super) fn precision(&self) -> Result<Precision, TdError> {
        match self.0.get("precision").map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("ms") => Ok(Precision::Ms),
            Some("us") => Ok(Precision::Us),
            Some("ns") => Ok(Precision::Ns),
            Some(other) => Err(TdError::Option(format!("precision: {other}"))),
        }
    }

    /// How long rows live, nanoseconds: the longest of the durations given (days when they have no unit).
    pub(super) fn keep_ns(&self) -> Result<i64, TdError> {
        let minutes = match self.0.get("keep") {
            None => KEEP_MINUTES,
            Some(text) => text.split(',').map(minutes).collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0),
        };
        if minutes < DAY_MINUTES {
            return Err(TdError::Option("keep: valid range: [1440, 525600000]".to_string()));
        }
        Ok(minutes.saturating_mul(MINUTE_NS))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        self.0.get(name).map(String::as_str).or_else(default)
    }

    /// `self` with what `newer` says.
    pub(super) fn with(mut self, newer: Options) -> Options {
        self.0.extend(newer.0);
        self
    }

    pub(super) fn stored(state: &CatalogState, database: &Database) -> Options {
        let value = state.document(COLLECTION, &key(database.ordinal));
        value.and_then(|value| serde_json::from_value((**value).clone()).ok()).map(Options).unwrap_or_default()
    }

    pub(super) fn put(&self, ordinal: u64) -> Change {
        let value = serde_json::to_value(&self.0).expect("texts under text keys are JSON");
        Change::PutDocument { collection: COLLECTION.to_string(), key: key(ordinal), value }
    }

    pub(super) fn forget(ordinal: u64) -> Change {
        Change::DeleteDocument { collection: COLLECTION.to_string(), key: key(ordinal) }
    }
}

fn key(ordinal: u64) -> String {
    format!("{ordinal:020}")
}

fn minutes(text: &str) -> Result<i64, TdError> {
    let wrong = || TdError::Option(format!("keep: {text}"));
    if let Ok(days) = text.trim().parse::<i64>() {
        return days.checked_mul(DAY_MINUTES).ok_or_else(wrong);
    }
    let nanos = Duration::parse_text(text).and_then(Duration::nanos).ok_or_else(wrong)?;
    Ok(nanos / MINUTE_NS)
}

/// `KEEP` as it is listed: three times the same, in days where they are whole.
pub(super) fn keep_text(duration_ns: i64) -> String {
    let minutes = duration_ns / MINUTE_NS;
    let one = match minutes {
        0 => "36500d".to_string(),
        m if m % DAY_MINUTES == 0 => format!("{}d", m / DAY_MINUTES),
        m => format!("{m}m"),
    };
    format!("{one},{one},{one}")
}

/// What SHOW CREATE DATABASE answers.
pub(super) fn create_text(state: &CatalogState, database: &Database) -> String {
    let options = Options::stored(state, database);
    let text = |name: &str| options.get(name).unwrap_or_default().to_string();
    let policy = database.policy(&database.default_policy).map_or(0, |policy| policy.duration_ns);
    format!(
        "CREATE DATABASE `{}` BUFFER {} CACHESIZE {} CACHEMODEL '{}' COMP {} DURATION {} WAL_FSYNC_PERIOD {} MAXROWS {} \
         MINROWS {} STT_TRIGGER {} KEEP {} PAGES {} PAGESIZE {} PRECISION '{}' REPLICA {} WAL_LEVEL {} VGROUPS {} \
         SINGLE_STABLE {}",
        database.name,
        text("buffer"),
        text("cachesize"),
        text("cachemodel"),
        text("comp"),
        text("duration"),
        text("wal_fsync_period"),
        text("maxrows"),
        text("minrows"),
        text("stt_trigger"),
        keep_text(policy),
        text("pages"),
        text("pagesize"),
        precision_text(database.precision),
        text("replica"),
        text("wal_level"),
        text("vgroups"),
        text("single_stable"),
    )
}
