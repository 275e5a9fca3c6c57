//! Flush: turns buffered rows into segments and publishes them.
//!
//! Owns: the order *upload, commit, release, trim the log*, trying again. Does not own: choosing
//! tables (`due`), sorting and encoding (`storage`), accepting points.
//!
//! All tables of a round share one commit, which also says through which sequence number each of them is flushed: after
//! a crash the log's rows up to there are skipped, so that none is stored twice.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use object_store::ObjectStore;
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::catalog::{Catalog, CatalogError, CatalogState, Change, Table};
use crate::model::RowIdentity;
use crate::storage::checked_read::ReadError;
use crate::storage::create::create_own;
use crate::storage::damage::DamagedSegment;
use crate::storage::layout;
use crate::storage::rows::{Chunk, sort_into_windows};
use crate::storage::segment::{EncodedSegment, Segment, SegmentLabel, encode_segment};
use crate::storage::upload::fresh_upload_id;

use super::buffer::{Buffer, Frozen};
use super::due::{Due, DueOptions, Held};
use super::metrics::IngestMetrics;
use super::wal::WalHandle;

/// How often the flusher looks for tables that are due.
const TICK: Duration = Duration::from_millis(200);
/// Uploads under way at a time: the syncs of a disk and the answers of a bucket cost waiting, not work.
const UPLOADS_MAX: usize = 32;
/// More than memory will ever hold, and less than a semaphore can.
const KIB_MAX: u32 = 1 << 28;
/// Pauses after failed rounds double from the first to the last of these. A store that is back must not find its writers
/// sent away for long.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// When tables are flushed, and into what.
#[derive(Debug, Clone)]
pub struct FlushOptions {
    pub due: DueOptions,
    /// Width of a time window, nanoseconds.
    pub window_ns: i64,
    /// Tables encoded at a time. More are uploaded, as long as their rows are not more than so many full tables have.
    pub concurrency: usize,
}

/// Wakes the flusher.
#[derive(Debug, Clone, Default)]
pub struct FlushSignal(Arc<Notify>);

impl FlushSignal {
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Why a flush did not come to its end. The rows stay where they are and the flush is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    #[error("rows were not encoded: {0}")]
    Encode(#[from] datafusion::parquet::errors::ParquetError),
    #[error("rows were not sorted: {0}")]
    Sort(#[from] datafusion::arrow::error::ArrowError),
    #[error(transparent)]
    Damaged(#[from] DamagedSegment),
    #[error("the store does not have a segment that is to be merged")]
    Missing,
    #[error("segment was not stored: {0}")]
    Store(#[from] object_store::Error),
    #[error("segments were not published: {0}")]
    Publish(#[from] CatalogError),
    #[error("segments were uploaded too long ago to be published; they are uploaded again")]
    Outdated,
    #[error("the encoding task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<ReadError> for FlushError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged(damaged) => FlushError::Damaged(damaged),
            ReadError::Missing => FlushError::Missing,
            ReadError::Store(error) => FlushError::Store(error),
        }
    }
}

/// Flushes the buffer of one writer.
pub struct Flusher {
    pub buffer: Arc<Buffer>,
    pub catalog: Arc<Catalog>,
    pub store: Arc<dyn ObjectStore>,
    pub wal: Arc<WalHandle>,
    pub writer: Uuid,
    pub options: FlushOptions,
    pub metrics: IngestMetrics,
    pub signal: FlushSignal,
    /// One round at a time.
    pub round: Mutex<()>,
}

impl Flusher {
    /// Flushes what is due until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut pause = RETRY_PAUSE.0;
        // A round takes a part of what a table has: it may be due again at once.
        let mut is_behind = false;
        let mut tables = Due::new(self.options.due.clone());
        loop {
            if !is_behind {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = self.signal.0.notified() => {}
                }
            }
            let held = Held { buffer_bytes: self.buffer.bytes(), log_bytes: self.wal.bytes() };
            self.metrics.buffer_bytes.set(held.buffer_bytes as i64);
            let due = tables.tables(self.buffer.loads(), held, Instant::now());
            is_behind = false;
            if due.is_empty() {
                self.trim_log();
                continue;
            }
            match self.flush(&due).await {
                Ok(()) => (pause, is_behind) = (RETRY_PAUSE.0, true),
                Err(FlushError::Publish(CatalogError::Fenced { .. })) => return, // said where it was noticed
                Err(error) => {
                    self.metrics.flush_failures.inc();
                    warn!(%error, tables = due.len(), pause_ms = pause.as_millis(), "flush failed, will be tried again");
                    // The writer's id differs between processes: enough to keep them from trying in step.
                    let jitter = u64::from(self.writer.as_bytes()[15]) * pause.as_millis() as u64 / 512;
                    tokio::time::sleep(pause + Duration::from_millis(jitter)).await;
                    pause = (pause * 2).min(RETRY_PAUSE.1);
                }
            }
        }
    }

    /// Flushes every row that the buffer holds now. Returns when they are published.
    pub async fn flush_all(&self) -> Result<(), FlushError> {
        let through = self.buffer.applied();
        // Each round takes a part of what a table has, and first what a round before could not publish.
        while self.buffer.unflushed_from() <= through {
            let tables: Vec<_> = self.buffer.loads().iter().map(|load| load.table).collect();
            self.flush(&tables).await?;
        }
        Ok(())
    }

    async fn flush(&self, tables: &[crate::model::TableId]) -> Result<(), FlushError> {
        let _one_at_a_time = self.round.lock().await;
        let started = Instant::now();
        let frozen: Vec<Arc<Frozen>> =
            tables.iter().filter_map(|table| self.buffer.freeze(*table, self.options.due.table_bytes)).collect();
        if frozen.is_empty() {
            return Ok(());
        }
        let room = &Room::of(&self.options);
        let stored: Vec<Result<Stored, FlushError>> = futures::stream::iter(frozen)
            .map(|frozen| async move { self.store_rows(&frozen, room).await.map(|segments| (frozen, segments)) })
            .buffer_unordered(UPLOADS_MAX.max(self.options.concurrency))
            .collect()
            .await;
        let mut flushed = Vec::new();
        let mut failure = None;
        for result in stored {
            match result {
                Ok(done) => flushed.push(done),
                Err(error) => failure = Some(error),
            }
        }
        if !flushed.is_empty() {
            self.publish(flushed, started).await?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sorts, encodes and uploads frozen rows. Segments uploaded by an earlier try are used again.
    async fn store_rows(&self, frozen: &Arc<Frozen>, room: &Room) -> Result<Vec<Segment>, FlushError> {
        if let Some(stored) = &*frozen.stored.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(stored.clone());
        }
        let Some(table) = self.catalog.state().table(frozen.table).cloned() else {
            return Ok(Vec::new()); // dropped: its rows go with it
        };
        let (rows, window_ns, of) = (frozen.clone(), self.options.window_ns, table.clone());
        let _room = room.for_rows(frozen.bytes).await;
        let encoded = {
            let _turn = room.encoding.acquire().await;
            tokio::task::spawn_blocking(move || encode_frozen(&rows, &of, window_ns)).await??
        };
        let mut segments = Vec::with_capacity(encoded.len());
        for (window_ns, rows, encoded) in encoded {
            let id = fresh_upload_id(self.catalog.state().horizon_ms);
            let segment = segment_entry(id, &table, window_ns, rows, frozen.sequence, 0, &encoded);
            put_segment(&*self.store, &segment, encoded).await?;
            segments.push(segment);
        }
        *frozen.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some(segments.clone());
        Ok(segments)
    }

    async fn publish(&self, flushed: Vec<Stored>, started: Instant) -> Result<(), FlushError> {
        let writer = self.writer;
        let steps: Vec<_> =
            flushed.iter().map(|(frozen, segments)| (frozen.table, frozen.sequence.last, segments.clone())).collect();
        let published = self
            .catalog
            .update(move |state| {
                let mut changes = Vec::new();
                for (table, through, segments) in &steps {
                    let Some(known) = state.table(*table) else { continue };
                    if known.flushed.get(&writer).is_some_and(|mark| mark >= through) {
                        continue; // an answer was lost: the commit is there already
                    }
                    check_uploads(state, segments)?;
                    // Deletes that are recorded by now came before: they are about what was in segments then.
                    let (published, tombstones_applied) = (state.version + 1, known.last_tombstone());
                    let publish = |s: &Segment| Segment { published, tombstones_applied, ..s.clone() };
                    let segments = segments.iter().map(publish).collect();
                    changes.push(Change::AddSegments { table: *table, segments });
                    changes.push(Change::Flushed { table: *table, writer, through: *through });
                }
                Ok(changes)
            })
            .await;
        let state = match published {
            Ok(state) => state,
            Err(CatalogError::Stale { .. }) => {
                forget_outdated(&self.catalog.state(), &flushed);
                return Err(FlushError::Outdated);
            }
            Err(error) => return Err(error.into()),
        };
        for (frozen, segments) in &flushed {
            self.buffer.release(frozen);
            self.metrics.flushed_rows.inc_by(segments.iter().map(|s| s.rows).sum());
            self.metrics.flushed_bytes.inc_by(segments.iter().map(|s| s.size_bytes).sum());
        }
        self.metrics.buffer_bytes.set(self.buffer.bytes() as i64);
        self.metrics.segments.set(state.tables().map(|t| t.segments.len() as i64).sum());
        self.metrics.flush_seconds.observe(started.elapsed().as_secs_f64());
        debug!(tables = flushed.len(), version = state.version, elapsed_ms = started.elapsed().as_millis(), "flushed");
        self.trim_log();
        Ok(())
    }

    fn trim_log(&self) {
        self.wal.trim(self.buffer.unflushed_from());
    }
}

/// What the tables of one round share: many small ones wait for the store together, large ones for each other.
struct Room {
    encoding: Semaphore,
    /// KiB of rows whose segments are held in memory, and how many there may be.
    kib: Semaphore,
    kib_max: u32,
}

impl Room {
    fn of(options: &FlushOptions) -> Room {
        let tables = options.concurrency.max(1);
        let kib_max = u32::try_from(options.due.table_bytes / 1024).unwrap_or(u32::MAX).max(1);
        let kib_max = kib_max.saturating_mul(u32::try_from(tables).unwrap_or(u32::MAX)).min(KIB_MAX);
        Room { encoding: Semaphore::new(tables), kib: Semaphore::new(kib_max as usize), kib_max }
    }

    /// Waits until there is room for so many bytes; what is larger than all of it takes all of it.
    async fn for_rows(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, self.kib_max);
        self.kib.acquire_many(kib).await.ok() // never closed
    }
}

/// Frozen rows and the segments made of them.
type Stored = (Arc<Frozen>, Vec<Segment>);

type EncodedWindow = (i64, u64, EncodedSegment);

fn encode_frozen(frozen: &Frozen, table: &Table, window_ns: i64) -> Result<Vec<EncodedWindow>, FlushError> {
    let chunk = Chunk::concat(frozen.part.chunks.iter().map(|chunk| (**chunk).clone()).collect())?;
    let series = frozen.part.series.read().unwrap_or_else(PoisonError::into_inner);
    encode_windows(&chunk, &series, table, window_ns)
}

/// Sorts rows into windows and encodes each.
pub(super) fn encode_windows(
    chunk: &Chunk,
    series: &crate::storage::rows::SeriesSet,
    table: &Table,
    window_ns: i64,
) -> Result<Vec<EncodedWindow>, FlushError> {
    let name = table.name.to_string();
    // Documents are searched; the texts of other tables are states and names, and their rows may merge.
    let words = table.schema.identity == RowIdentity::Append;
    let mut encoded = Vec::new();
    for window in sort_into_windows(chunk, series, &table.schema, window_ns)? {
        let label = SegmentLabel {
            table: &name,
            table_id: table.id.0,
            window_ns: window.window_ns,
            sequence: chunk.sequence,
            words,
        };
        encoded.push((window.window_ns, window.rows.num_rows() as u64, encode_segment(&window.rows, &label)?));
    }
    Ok(encoded)
}

/// Asked while planning a commit that adds `segments`: their objects must not have been declared dead meanwhile, as
/// they may be gone.
pub(super) fn check_uploads(state: &CatalogState, segments: &[Segment]) -> Result<(), CatalogError> {
    match segments.iter().find(|segment| !state.admits_upload(segment.id)) {
        Some(dead) => Err(CatalogError::Stale { what: format!("{} was collected", dead.path) }),
        None => Ok(()),
    }
}

/// Uploads that a commit may no longer speak of are forgotten, so that the next try makes new ones.
fn forget_outdated(state: &CatalogState, flushed: &[Stored]) {
    for (frozen, segments) in flushed {
        if check_uploads(state, segments).is_err() {
            *frozen.stored.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// The catalog entry of a segment about to be stored; the commit that publishes it is still to be noted.
pub(super) fn segment_entry(
    id: Uuid,
    table: &Table,
    window_ns: i64,
    rows: u64,
    sequence: crate::storage::segment::SequenceRange,
    level: u8,
    encoded: &EncodedSegment,
) -> Segment {
    let folder_id = table.folder_with_id.then_some(table.id);
    Segment {
        id,
        path: layout::segment_key(&table.folder_name(), folder_id, window_ns, id).to_string(),
        size_bytes: encoded.bytes.len() as u64,
        rows,
        window_ns,
        time_min_ns: encoded.time_min_ns,
        time_max_ns: encoded.time_max_ns,
        sequence,
        published: 0,
        tombstones_applied: 0,
        level,
        footer_bytes: encoded.footer_bytes,
        checks: Some(encoded.checks),
        columns: encoded.columns.clone(),
    }
}

/// Stores a segment under its path, which holds a fresh id.
pub(super) async fn put_segment(
    store: &dyn ObjectStore,
    segment: &Segment,
    encoded: EncodedSegment,
) -> Result<(), object_store::Error> {
    let path = object_store::path::Path::parse(&segment.path)?;
    create_own(store, &path, encoded.bytes).await
}
