//! A gateway: the store, the catalog, the log, the buffer and the query engine, put together and taken apart again.
//!
//! Owns: the order of start and stop. Several gateways can live in one process.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use object_store::ObjectStore;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use uuid::Uuid;

use crate::catalog::{Catalog, CatalogError, CatalogOptions, CatalogState};
use crate::config::Settings;
use crate::ingest::buffer::BufferSink;
use crate::ingest::compaction::{CompactionOptions, Compactor};
use crate::ingest::flush::{FlushError, FlushOptions, FlushSignal, Flusher};
use crate::ingest::orphans::OrphanCollector;
use crate::ingest::wal::{Wal, WalError, WalMetrics, WalOptions};
use crate::ingest::{Buffer, Ingest, IngestLimits, IngestMetrics, writer};
use crate::model::{Clock, TableBatch, TableId};
use crate::protocol::Core;
use crate::query::{LiveChunk, LiveRows, QueryEngine, QueryError, QueryOptions, Tables, Unflushed};
use crate::storage::fs::{FileSystem, create_dir_durably};
use crate::storage::identity::{self, IdentityError};
use crate::storage::metered::MeteredStore;
use crate::storage::open::{StoreError, StoreOptions, StoreUrl, open_store, probe_put_if_absent};

const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Replaced segments outlive the longest query by this.
const REPLACED_MARGIN: Duration = Duration::from_secs(60);

/// What a gateway is handed instead of reaching for it.
#[derive(Clone)]
pub struct Surroundings {
    pub fs: Arc<dyn FileSystem>,
    pub clock: Clock,
    pub registry: Registry,
    /// Opens this store instead of the one in the settings.
    pub store: Option<Arc<dyn ObjectStore>>,
    /// Runs queries and background work.
    pub runtime: tokio::runtime::Handle,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{setting} = {}: the folder cannot be used: {source}", path.display())]
    Folder { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("a table's rows could not be read back from the log: {0}")]
    Replay(#[from] ArrowError),
    #[error(
        "the store accepts a second object under a name that is taken, so two gateways could overwrite each other's commits; use a store with conditional put"
    )]
    NoPutIfAbsent,
    #[error("a start-up task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

fn folder(setting: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    let path = path.to_path_buf();
    move |source| StartError::Folder { setting, path, source }
}

/// A running gateway.
pub struct Gateway {
    pub core: Core,
    flusher: Arc<Flusher>,
    background: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Opens everything and replays the log; then all acknowledged points are visible and writes can be taken.
    pub async fn open(settings: &Settings, with: Surroundings) -> Result<Gateway, StartError> {
        let store = open_metered_store(settings, &with).await?;
        let identity =
            identity::read_or_create(&*store, Uuid::new_v4(), chrono::DateTime::from_timestamp_nanos((with.clock)()))
                .await?;
        if !probe_put_if_absent(&*store).await? {
            return Err(StartError::NoPutIfAbsent);
        }
        create_dir_durably(&*with.fs, &settings.wal.dir).map_err(folder("wal.dir", &settings.wal.dir))?;
        let writer = writer::read_or_create(&*with.fs, &settings.wal.dir, Uuid::new_v4())
            .map_err(folder("wal.dir", &settings.wal.dir))?;
        let options = CatalogOptions { snapshot_every: settings.catalog.snapshot_every, clock: with.clock.clone() };
        let catalog = Arc::new(Catalog::open(store.clone(), writer, options).await?);
        let buffer = Arc::new(Buffer::default());
        let wal = open_wal(settings, &with, identity.store_id, writer, catalog.state(), buffer.clone()).await?;
        let wal = Arc::new(wal.start(Box::new(BufferSink(buffer.clone())), WalMetrics::new(&with.registry)?)?);
        let metrics = IngestMetrics::new(&with.registry)?;
        let flush_signal = FlushSignal::default();
        let window_ns = settings.buffer.window_secs as i64 * NANOS_PER_SEC;
        let ingest = Ingest {
            catalog: catalog.clone(),
            wal: wal.clone(),
            buffer: buffer.clone(),
            limits: IngestLimits {
                buffer_bytes_max: settings.buffer.budget_bytes as u64,
                windows_per_request_max: settings.limits.windows_per_request_max,
                window_ns,
            },
            metrics: metrics.clone(),
            clock: with.clock.clone(),
            flush_signal: flush_signal.clone(),
        };
        let flusher = Arc::new(Flusher {
            buffer: buffer.clone(),
            catalog: catalog.clone(),
            store: store.clone(),
            wal,
            writer,
            options: flush_options(settings, window_ns),
            metrics: metrics.clone(),
            signal: flush_signal,
            round: tokio::sync::Mutex::new(()),
        });
        let live = Arc::new(LiveTables { buffer: buffer.clone(), catalog: catalog.clone(), writer });
        let temp_dir = fresh_temp_dir(settings, writer).map_err(folder("query.temp_dir", &settings.query.temp_dir))?;
        let queries =
            QueryEngine::new(query_options(settings, temp_dir), store.clone(), live.clone(), live, &with.registry)?;
        let mut background = vec![with.runtime.spawn(flusher.clone().run())];
        if settings.compaction.enabled {
            let compactor = Arc::new(Compactor {
                catalog: catalog.clone(),
                store: store.clone(),
                options: compaction_options(settings, window_ns),
                metrics: metrics.clone(),
                replaced: Mutex::new(VecDeque::new()),
            });
            background.push(with.runtime.spawn(compactor.run()));
        }
        let grace = Duration::from_secs(settings.catalog.orphan_grace_secs);
        let orphans =
            OrphanCollector { catalog: catalog.clone(), buffer, store, grace, metrics, clock: with.clock.clone() };
        background.push(with.runtime.spawn(orphans.run()));
        let core = Core { ingest, catalog, queries: Arc::new(queries), runtime: with.runtime };
        Ok(Gateway { core, flusher, background })
    }

    /// Publishes every row that is buffered now.
    pub async fn flush(&self) -> Result<(), FlushError> {
        self.flusher.flush_all().await
    }

    /// Stops background work, flushes, and closes log and catalog. What could not be flushed stays in the log.
    pub async fn close(self) {
        for task in self.background {
            task.abort();
            let _ = task.await;
        }
        match self.flusher.flush_all().await {
            Ok(()) => info!("all rows are in the store"),
            Err(error) => warn!(%error, "rows that are not in the store yet stay in the log"),
        }
        self.core.ingest.wal.shutdown().await;
        self.core.catalog.close().await;
    }
}

async fn open_metered_store(settings: &Settings, with: &Surroundings) -> Result<Arc<dyn ObjectStore>, StartError> {
    let store = match &with.store {
        Some(store) => store.clone(),
        None => {
            let url = StoreUrl::parse(&settings.storage.url)?;
            let (options, fs) = (store_options(settings), with.fs.clone());
            tokio::task::spawn_blocking(move || open_store(&url, &options, fs)).await??
        }
    };
    Ok(Arc::new(MeteredStore::new(store, &with.registry)?))
}

/// Recovers the log into the buffer: all rows but those that segments hold already.
async fn open_wal(
    settings: &Settings,
    with: &Surroundings,
    store_id: Uuid,
    writer: Uuid,
    state: Arc<CatalogState>,
    buffer: Arc<Buffer>,
) -> Result<Wal, StartError> {
    let options = WalOptions {
        file_bytes: settings.wal.file_bytes,
        budget_bytes: settings.wal.budget_bytes,
        ..WalOptions::new(&settings.wal.dir)
    };
    let fs = with.fs.clone();
    let wal = tokio::task::spawn_blocking(move || {
        let mut replay = |sequence: u64, mut batches: Vec<TableBatch>| {
            batches.retain(|batch| needs_replay(&state, batch.table, writer, sequence));
            buffer.apply(sequence, batches);
            Ok(())
        };
        let wal = Wal::open(fs, options, store_id, state.last_sequence + 1, &mut replay)?;
        buffer.resume_at(wal.next_sequence());
        Ok::<_, WalError>(wal)
    })
    .await??;
    let recovery = wal.recovery();
    info!(records = recovery.records, rows = recovery.rows, files = recovery.files, "log replayed");
    Ok(wal)
}

fn needs_replay(state: &CatalogState, table: TableId, writer: Uuid, sequence: u64) -> bool {
    state.table(table).is_some_and(|t| t.flushed.get(&writer).is_none_or(|through| sequence > *through))
}

fn store_options(settings: &Settings) -> StoreOptions {
    let storage = &settings.storage;
    StoreOptions {
        endpoint: storage.endpoint.clone(),
        allow_http: storage.allow_http,
        virtual_hosted_style: storage.virtual_hosted_style,
        ca_file: storage.ca_file.clone(),
        connect_timeout: Duration::from_millis(storage.connect_timeout_ms),
        request_timeout: Duration::from_millis(storage.request_timeout_ms),
        retries_max: storage.retries_max,
        retry_backoff: Duration::from_millis(storage.retry_backoff_ms),
        retry_timeout: Duration::from_millis(storage.retry_timeout_ms),
    }
}

fn flush_options(settings: &Settings, window_ns: i64) -> FlushOptions {
    let buffer = &settings.buffer;
    FlushOptions {
        table_bytes: buffer.flush_bytes as u64,
        age: Duration::from_millis(buffer.flush_age_ms),
        small_bytes: buffer.flush_small_bytes as u64,
        small_age: Duration::from_millis(buffer.flush_small_age_ms),
        buffer_bytes_max: buffer.budget_bytes as u64,
        window_ns,
        concurrency: buffer.flush_concurrency,
    }
}

fn compaction_options(settings: &Settings, window_ns: i64) -> CompactionOptions {
    CompactionOptions {
        interval: Duration::from_millis(settings.compaction.interval_ms),
        files_min: settings.compaction.files_min,
        segment_bytes_max: settings.compaction.segment_bytes_max,
        window_ns,
        keep_replaced: Duration::from_millis(settings.query.timeout_ms) + REPLACED_MARGIN,
    }
}

/// A folder for what queries spill, empty: what a process that died left there is removed. It carries the writer's id, so
/// that it is no other gateway's.
fn fresh_temp_dir(settings: &Settings, writer: Uuid) -> std::io::Result<PathBuf> {
    let dir = settings.query.temp_dir.join(writer.to_string());
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn query_options(settings: &Settings, temp_dir: PathBuf) -> QueryOptions {
    let query = &settings.query;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    QueryOptions {
        running_max: if query.concurrency == 0 { 2 * cores } else { query.concurrency },
        waiting_max: query.queue,
        wait_max: Duration::from_millis(query.queue_timeout_ms),
        time_limit: Duration::from_millis(query.timeout_ms),
        memory_bytes: query.memory_bytes,
        memory_bytes_per_query: query.memory_bytes_per_query,
        temp_dir: Some(temp_dir),
        temp_bytes_max: query.temp_bytes_max,
        target_partitions: cores,
        metadata_cache_bytes: settings.cache.metadata_bytes,
        ..QueryOptions::default()
    }
}

/// What queries see of the write path.
#[derive(Debug)]
struct LiveTables {
    buffer: Arc<Buffer>,
    catalog: Arc<Catalog>,
    writer: Uuid,
}

impl Tables for LiveTables {
    fn state(&self) -> Arc<CatalogState> {
        self.catalog.state()
    }
}

impl Unflushed for LiveTables {
    fn snapshot(&self, table: TableId) -> Result<LiveRows, ArrowError> {
        let parts = self.buffer.rows_of(table);
        let Some(table) = self.catalog.state().table(table).cloned() else { return Ok(LiveRows::default()) };
        let mut chunks = Vec::new();
        for part in parts {
            let series = part.series.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            for chunk in &part.chunks {
                chunks.push(LiveChunk {
                    first_sequence: chunk.sequence.first,
                    last_sequence: chunk.sequence.last,
                    rows: chunk.to_sql_batch(&table.schema, &series)?,
                });
            }
        }
        Ok(LiveRows { chunks })
    }

    fn writer(&self) -> Uuid {
        self.writer
    }
}

#[cfg(test)]
mod tests;
