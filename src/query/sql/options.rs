//! Options of databases: what is shown of them, and how what changes nothing here is kept.

use serde_json::{Map, Value as Json};

use crate::catalog::{CatalogState, Database};
use crate::model::Precision;

use super::duration::Lasting;

/// The collection of the catalog that keeps options: of a database, by `tenant/name`.
pub use crate::catalog::databases::{OPTIONS as COLLECTION, options_key as key};

/// A database's options as they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseView {
    cells: Vec<String>,
}

impl DatabaseView {
    pub const COLUMNS: [&'static str; 11] = [
        "ttl",
        "shard",
        "vnode_duration",
        "replica",
        "precision",
        "max_memcache_size",
        "memcache_partitions",
        "wal_max_file_size",
        "wal_sync",
        "strict_write",
        "max_cache_readers",
    ];

    pub(crate) fn of(state: &CatalogState, database: &Database) -> DatabaseView {
        let kept = state.document(COLLECTION, &key(&database.tenant, &database.name));
        let option =
            |name: &str, default: &str| kept.and_then(|kept| kept.get(name)?.as_str()).unwrap_or(default).to_string();
        let kept_ns = database.policy(&database.default_policy).map_or(0, |policy| policy.duration_ns);
        let ttl = if kept_ns > 0 { Lasting::For(kept_ns) } else { Lasting::ForEver };
        let vnode = option("VNODE_DURATION", "1y");
        let precision = match database.precision {
            Precision::Us => "US",
            Precision::Ms => "MS",
            _ => "NS",
        };
        DatabaseView {
            cells: vec![
                ttl.shown(),
                option("SHARD", "1"),
                Lasting::parse(&vnode).map_or(vnode, Lasting::shown),
                option("REPLICA", "1"),
                precision.to_string(),
                shown_bytes(option("MAX_MEMCACHE_SIZE", "128 MiB")),
                option("MEMCACHE_PARTITIONS", "16"),
                shown_bytes(option("WAL_MAX_FILE_SIZE", "128 MiB")),
                option("WAL_SYNC", "false"),
                option("STRICT_WRITE", "false"),
                option("MAX_CACHE_READERS", "32"),
            ],
        }
    }

    /// In the order of [`COLUMNS`](Self::COLUMNS).
    pub(crate) fn cells(self) -> Vec<String> {
        self.cells
    }
}

/// Options, by name in upper case, as they are kept.
pub fn kept<'a>(options: impl Iterator<Item = (&'a str, &'a str)>) -> Json {
    let entry = |(name, value): (&str, &str)| (name.to_string(), Json::from(value));
    Json::Object(options.map(entry).collect::<Map<_, _>>())
}

/// A number of bytes in the largest unit of 1024 that it reaches, as `128 MiB`; text that is none stays as it is. Units are those of
/// 1000 (`M`, `MB`) and of 1024 (`MiB`), in any case.
fn shown_bytes(text: String) -> String {
    const PREFIXES: [&str; 6] = ["k", "m", "g", "t", "p", "e"];
    let parsed = || -> Option<u64> {
        let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
        let end = compact.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(compact.len());
        let (number, unit) = compact.split_at(end);
        let unit = unit.to_ascii_lowercase();
        let unit = unit.strip_suffix('b').unwrap_or(&unit);
        let (prefix, base) = unit.strip_suffix('i').map_or((unit, 1000_f64), |prefix| (prefix, 1024_f64));
        let power = match prefix {
            "" if base == 1000.0 => 0,
            prefix => PREFIXES.iter().position(|known| *known == prefix)? as i32 + 1,
        };
        let bytes = number.parse::<f64>().ok()? * base.powi(power);
        (bytes.fract() == 0.0 && bytes < 2_f64.powi(64)).then_some(bytes as u64)
    };
    let Some(bytes) = parsed() else { return text };
    let power = (bytes.max(1).ilog2() / 10).min(6);
    match power {
        0 => format!("{bytes} B"),
        power => {
            format!("{} {}iB", bytes as f64 / 1024_f64.powi(power as i32), PREFIXES[power as usize - 1].to_uppercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        for (text, expected) in [
            ("128MiB", "128 MiB"),
            ("128 MiB", "128 MiB"),
            ("300M", "286.102294921875 MiB"),
            ("1_048_576", "1 MiB"),
            ("0.5 KiB", "512 B"),
            ("2gb", "1.862645149230957 GiB"),
            ("0", "0 B"),
            ("18446744073709551615", "18446744073709551615"),
            ("x", "x"),
            ("1i", "1i"),
            ("", ""),
        ] {
            assert_eq!(shown_bytes(text.to_string()), expected, "{text:?}");
        }
    }
}
