//! Parquet footers: read once in one request, kept in a bounded cache.
//!
//! The cache is the engine's own file metadata cache (a trait), so that every plan that reads segments shares it,
//! whichever reader it comes with.

use crate::storage::segment::check_format;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::common::{HashMap, Result, TableReference};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::{Cache, CacheEntryInfo, CacheValue};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

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

/// Readers that get a segment's footer and page index through the cache: one request when cold, none when warm.
#[derive(Debug)]
pub(super) struct SegmentReaders {
    pub store: Arc<dyn ObjectStore>,
    pub footers: Arc<FileMetadataCache>,
}

impl ParquetFileReaderFactory for SegmentReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let metrics = ParquetFileMetrics::new(partition, file.object_meta.location.as_ref(), metrics);
        let (store, footers) = (self.store.clone(), self.footers.clone());
        Ok(Box::new(SegmentReader { store, footers, object: file.object_meta, hint, metrics }))
    }
}

struct SegmentReader {
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    object: ObjectMeta,
    hint: Option<usize>,
    metrics: ParquetFileMetrics,
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, datafusion::parquet::errors::Result<Bytes>> {
        self.metrics.bytes_scanned.add((range.end - range.start) as usize);
        async move { self.store.get_range(&self.object.location, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, datafusion::parquet::errors::Result<Vec<Bytes>>> {
        let bytes: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.metrics.bytes_scanned.add(bytes as usize);
        async move { self.store.get_ranges(&self.object.location, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, datafusion::parquet::errors::Result<Arc<ParquetMetaData>>> {
        // Whoever asks says "without page index", to save a request. Ours costs none: it is in the bytes of the hint.
        async move {
            let footer = DFParquetMetadata::new(&self.store, &self.object)
                .with_file_metadata_cache(Some(self.footers.clone()))
                .with_metadata_size_hint(self.hint)
                .with_page_index_policy(Some(PageIndexPolicy::Optional))
                .fetch_metadata()
                .await
                .map_err(external)?;
            check_format(footer.file_metadata())?;
            Ok(footer)
        }
        .boxed()
    }
}
