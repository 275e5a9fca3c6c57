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
                option("MAX_MEMCACHE_SIZE", "128 MiB"),
                option("MEMCACHE_PARTITIONS", "16"),
                option("WAL_MAX_FILE_SIZE", "128 MiB"),
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
