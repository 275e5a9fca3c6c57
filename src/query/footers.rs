//! Parquet footers and the checksums beside them, in a bounded cache.
//!
//! The cache is the engine's own file metadata cache (a trait), so that whatever else of the engine comes to ask for it
//! finds the same one, under the same bound.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{HashMap, Result, TableReference};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadata};
use datafusion::execution::cache::{Cache, CacheEntryInfo, CacheValue};
use datafusion::parquet::file::metadata::ParquetMetaData;
use object_store::path::Path;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::storage::checksums::BlockChecksums;

/// The `cache` label of our metrics.
const CACHE_LABEL: &str = "parquet_metadata";

/// Footers by object path, at most so many bytes of them.
pub struct FooterCache {
    entries: moka::sync::Cache<Path, Footer>,
    bytes_max: u64,
    hits: IntCounter,
    misses: IntCounter,
    bytes: IntGauge,
}

/// What the cache keeps of a segment: checked before it came here.
#[derive(Debug, Clone)]
pub(super) struct SegmentFooter {
    pub metadata: Arc<ParquetMetaData>,
    /// `None` for a segment from before checksums.
    pub checksums: Option<BlockChecksums>,
}

impl FileMetadata for SegmentFooter {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn memory_size(&self) -> usize {
        self.metadata.memory_size() + self.checksums.as_ref().map_or(0, BlockChecksums::memory_size)
    }

    fn extra_info(&self) -> HashMap<String, String> {
        HashMap::new()
    }
}

#[derive(Clone)]
struct Footer {
    entry: CachedFileMetadataEntry,
    bytes: u32,
}

impl FooterCache {
    /// Registers `tidegate_cache_requests_total` and `tidegate_cache_bytes` with `registry`.
    pub fn new(bytes_max: u64, registry: &Registry) -> std::result::Result<Self, prometheus::Error> {
        let requests = Opts::new("tidegate_cache_requests_total", "Look-ups in a cache, by whether it held the entry");
        let requests = IntCounterVec::new(requests, &["cache", "result"])?;
        let sizes = IntGaugeVec::new(Opts::new("tidegate_cache_bytes", "Bytes that a cache holds"), &["cache"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(sizes.clone()))?;
        let bytes = sizes.with_label_values(&[CACHE_LABEL]);
        let gauge = bytes.clone();
        let entries = moka::sync::Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|_: &Path, footer: &Footer| footer.bytes)
            .eviction_listener(move |_, footer: Footer, _| gauge.sub(i64::from(footer.bytes)))
            .build();
        Ok(FooterCache {
            entries,
            bytes_max,
            hits: requests.with_label_values(&[CACHE_LABEL, "hit"]),
            misses: requests.with_label_values(&[CACHE_LABEL, "miss"]),
            bytes,
        })
    }
}

impl fmt::Debug for FooterCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FooterCache").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

impl Cache<Path, CachedFileMetadataEntry> for FooterCache {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        let found = self.entries.get(path).map(|footer| footer.entry);
        if found.is_some() { &self.hits } else { &self.misses }.inc();
        found
    }

    fn put(&self, path: &Path, entry: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        let before = self.entries.get(path).map(|footer| footer.entry);
        let bytes = u32::try_from(entry.size() + path.as_ref().len()).unwrap_or(u32::MAX);
        self.bytes.add(i64::from(bytes));
        self.entries.insert(path.clone(), Footer { entry, bytes });
        before
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.entries.remove(path).map(|footer| footer.entry)
    }

    fn contains_key(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    fn len(&self) -> usize {
        self.entries.entry_count() as usize
    }

    fn clear(&self) {
        self.entries.invalidate_all();
    }

    fn name(&self) -> String {
        "FooterCache".to_string()
    }

    fn cache_limit(&self) -> usize {
        self.bytes_max as usize
    }

    /// The bound is fixed when the cache is made.
    fn update_cache_limit(&self, _: usize) {}

    fn cache_ttl(&self) -> Option<Duration> {
        None
    }

    /// Segments never change, so entries do not age.
    fn update_cache_ttl(&self, _: Option<Duration>) {}

    fn drop_table_entries(&self, _: &TableReference) -> Result<()> {
        Ok(())
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        let info = |footer: Footer| CacheEntryInfo {
            size_bytes: footer.bytes as usize,
            value: footer.entry,
            hits: 0,
            expires: None,
        };
        self.entries.iter().map(|(path, footer)| ((*path).clone(), info(footer))).collect()
    }
}
