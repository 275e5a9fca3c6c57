//! Readers of segments for the engine: footers through the cache, every byte checked.
//!
//! A segment costs one request when cold (footer, page index and checksums are the end of the object) and none when warm,
//! before its pages are asked for.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::parquet::DecodeResult;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore};

use crate::storage::checked_read::{ReadError, SegmentObject, Tail};
use crate::storage::damage::{Damage, DamagedSegments};
use crate::storage::segment::{Segment, check_format};

use super::error::SegmentGone;
use super::footers::SegmentFooter;
use super::source::Tables;

/// What a file of a plan carries as its extension, in an `Arc`.
#[derive(Debug)]
pub(super) struct SegmentFile {
    segment: Arc<Segment>,
    /// The engine reads one file through several readers. As long as one of them lives, the next one has its footer.
    footer: Mutex<Weak<SegmentFooter>>,
}

impl SegmentFile {
    pub(super) fn new(segment: Arc<Segment>) -> Arc<Self> {
        Arc::new(SegmentFile { segment, footer: Mutex::default() })
    }

    fn footer(&self) -> Option<Arc<SegmentFooter>> {
        self.footer.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    fn share(&self, footer: &Arc<SegmentFooter>) {
        *self.footer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(footer);
    }
}

/// Makes readers for files that carry a [`SegmentFile`].
#[derive(Debug)]
pub(super) struct SegmentReaders {
    pub store: Arc<dyn ObjectStore>,
    pub footers: Arc<FileMetadataCache>,
    pub damaged: Arc<DamagedSegments>,
    pub tables: Arc<dyn Tables>,
}

impl ParquetFileReaderFactory for SegmentReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let Some(shared) = file.extension::<Arc<SegmentFile>>().cloned() else {
            return internal_err!("{} is read without its catalog entry", file.object_meta.location);
        };
        let metrics = ParquetFileMetrics::new(partition, file.object_meta.location.as_ref(), metrics);
        let object = SegmentObject::new(self.store.clone(), shared.segment.clone(), self.damaged.clone())
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let (footers, footer, tables) = (self.footers.clone(), shared.footer(), self.tables.clone());
        Ok(Box::new(SegmentReader { object, meta: file.object_meta, shared, footers, footer, tables, metrics }))
    }
}

struct SegmentReader {
    object: SegmentObject,
    meta: ObjectMeta,
    shared: Arc<SegmentFile>,
    footers: Arc<FileMetadataCache>,
    footer: Option<Arc<SegmentFooter>>,
    tables: Arc<dyn Tables>,
    metrics: ParquetFileMetrics,
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl SegmentReader {
    async fn explained(&self, error: ReadError) -> ParquetError {
        match error {
            ReadError::Damaged(error) => external(error),
            ReadError::Store(error) => external(error),
            ReadError::Missing => {
                self.tables.follow().await;
                let (state, id) = (self.tables.state(), self.shared.segment.id);
                if state.tables().any(|table| table.segments.iter().any(|segment| segment.id == id)) {
                    external(self.object.damaged(Damage::Missing))
                } else {
                    external(SegmentGone { path: self.shared.segment.path.clone() })
                }
            }
        }
    }

    async fn footer(&mut self) -> ParquetResult<Arc<SegmentFooter>> {
        if let Some(footer) = &self.footer {
            return Ok(footer.clone());
        }
        let footer = match self.cached() {
            Some(footer) => footer,
            None => self.read_footer().await?,
        };
        let footer = Arc::new(footer);
        self.shared.share(&footer);
        self.footer = Some(footer.clone());
        Ok(footer)
    }

    fn cached(&self) -> Option<SegmentFooter> {
        let entry = self.footers.get(self.object.path()).filter(|entry| entry.is_valid_for(&self.meta))?;
        entry.file_metadata.as_any().downcast_ref::<SegmentFooter>().cloned()
    }

    async fn read_footer(&self) -> ParquetResult<SegmentFooter> {
        let Tail { bytes, checksums } = match self.object.tail().await {
            Ok(tail) => tail,
            Err(error) => return Err(self.explained(error).await),
        };
        self.metrics.bytes_scanned.add(bytes.len());
        let metadata = self
            .decode(bytes)
            .map_err(|error| external(self.object.damaged(Damage::Unreadable(format!("its footer: {error}")))))?;
        check_format(metadata.file_metadata())?;
        let footer = SegmentFooter { metadata: Arc::new(metadata), checksums };
        let entry = CachedFileMetadataEntry::new(self.meta.clone(), Arc::new(footer.clone()));
        self.footers.put(self.object.path(), entry);
        Ok(footer)
    }

    /// The tail holds all that there is to decode.
    fn decode(&self, tail: Bytes) -> ParquetResult<ParquetMetaData> {
        let size = self.meta.size;
        let start = size.saturating_sub(tail.len() as u64);
        let mut decoder = ParquetMetaDataPushDecoder::try_new(size)?.with_page_index_policy(PageIndexPolicy::Optional);
        decoder.push_range(start..size, tail)?;
        match decoder.try_decode()? {
            DecodeResult::Data(metadata) => Ok(metadata),
            DecodeResult::NeedsData(ranges) => Err(ParquetError::EOF(format!("it also wants bytes {ranges:?}"))),
            DecodeResult::Finished => Err(ParquetError::EOF("there is none".to_string())),
        }
    }

    async fn ranges(&mut self, ranges: Vec<Range<u64>>) -> ParquetResult<Vec<Bytes>> {
        let footer = self.footer().await?;
        let (found, fetched) = match self.object.ranges(footer.checksums.as_ref(), &ranges).await {
            Ok(found) => found,
            Err(error) => return Err(self.explained(error).await),
        };
        self.metrics.bytes_scanned.add(fetched as usize);
        Ok(found)
    }
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { Ok(self.ranges(vec![range]).await?.swap_remove(0)) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.ranges(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        // Whoever asks says "without page index", to save a request. Ours costs none: it is in the tail.
        async move { Ok(self.footer().await?.metadata.clone()) }.boxed()
    }
}
