//! A gateway: the store, the catalog, the log, the buffer and the query engine, put together and taken apart again.
//!
//! Owns: the order of start and stop. Several gateways can live in one process.

mod access;
mod live;
mod options;
#[cfg(test)]
mod tests;

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

use crate::catalog::{Catalog, CatalogError, CatalogMetrics, CatalogState, Uids};
use crate::config::{Role, Settings};
use crate::ingest::buffer::BufferSink;
use crate::ingest::compaction::Compactor;
use crate::ingest::dropping::drop_when_due;
use crate::ingest::flush::{FlushError, FlushSignal, Flusher};
use crate::ingest::orphans::OrphanCollector;
use crate::ingest::retention::RetentionEnforcer;
use crate::ingest::wal::{Wal, WalError, WalFolder, WalHandle, WalMetrics, WalOptions};
use crate::ingest::{Buffer, Ingest, IngestMetrics, writer};
use crate::model::{Clock, TableBatch, TableId};
use crate::protocol::Core;
use crate::protocol::influxdb::continuous::{ContinuousMetrics, ContinuousQueries};
use crate::protocol::influxdb::debug::Inside;
use crate::query::{QueryEngine, QueryError};
use crate::storage::damage::DamagedSegments;
use crate::storage::exchange::ExchangeError;
use crate::storage::fs::{FileSystem, create_dir_durably};
use crate::storage::identity::{self, IdentityError};
use crate::storage::metered::MeteredStore;
use crate::storage::open::{StoreError, StoreUrl, open_store, open_to_read, probe_put_if_absent};
use crate::storage::reach::wait_for_answer;
use crate::storage::read_only::ReadOnlyStore;
use crate::storage::wire::WireMetrics;

use live::LiveTables;
use options::{
    about, catalog_options, compaction_options, exchange, flush_options, influxdb_limits, ingest_limits, query_options,
    store_options,
};

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
    #[error("cnosdb.copy_prefixes: {0}")]
    Exchange(#[from] ExchangeError),
    #[error("{setting} = {}: the folder cannot be used: {source}", path.display())]
    Folder { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the file of `{setting}`, `{}`, cannot be read: {source}", path.display())]
    Secret { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("`auth.admin_user` could not be made: {0}")]
    Admin(String),
    #[error("metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("a table's rows could not be read back from the log: {0}")]
    Replay(#[from] ArrowError),
    #[error(
        "the store accepts a second object under a name that is taken, so two gateways could overwrite each other's commits; use a store with conditional put"
    )]
    NoPutIfAbsent,
    #[error(
        "there is nothing to read yet (server.role = \"read-only\"): start a gateway that writes on this store first"
    )]
    NothingToRead,
    #[error("a start-up task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

fn folder_error(setting: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    let path = path.to_path_buf();
    move |source| StartError::Folder { setting, path, source }
}

/// A running gateway.
pub struct Gateway {
    pub core: Core,
    /// `None`: this process only reads.
    flusher: Option<Arc<Flusher>>,
    background: Vec<JoinHandle<()>>,
    /// Where queries spill; removed by a stop.
    temp_dir: PathBuf,
}

impl Gateway {
    /// Opens everything and replays the log; then all acknowledged points are visible and writes can be taken. A process
    /// that only reads opens store and catalog, and writes to neither.
    pub async fn open(settings: &Settings, with: Surroundings) -> Result<Gateway, StartError> {
        match settings.server.role {
            Role::ReadWrite => Gateway::open_writer(settings, with).await,
            Role::ReadOnly => Gateway::open_reader(settings, with).await,
        }
    }

    async fn open_writer(settings: &Settings, with: Surroundings) -> Result<Gateway, StartError> {
        let store = open_metered_store(settings, &with).await?;
        let identity =
            identity::read_or_create(&*store, Uuid::new_v4(), chrono::DateTime::from_timestamp_nanos((with.clock)()))
                .await?;
        if !probe_put_if_absent(&*store).await? {
            return Err(StartError::NoPutIfAbsent);
        }
        // The log is claimed before its writer registers: a process over a log that is in use must not fence its owner
        // off. And it registers before the log is read: what others did in this writer's name is known by then.
        let wal_dir = &settings.wal.dir;
        create_dir_durably(&*with.fs, wal_dir).map_err(folder_error("wal.dir", wal_dir))?;
        let folder = WalFolder::claim(&*with.fs, wal_dir, identity.store_id)?;
        let writer =
            writer::read_or_create(&*with.fs, wal_dir, Uuid::new_v4()).map_err(folder_error("wal.dir", wal_dir))?;
        let options = catalog_options(settings, with.clock.clone(), CatalogMetrics::new(&with.registry)?);
        let catalog = Arc::new(Catalog::open(store.clone(), writer, options).await?);
        let buffer = Arc::new(Buffer::default());
        let wal =
            recover_wal(settings, &with, folder, identity.store_id, writer, catalog.state(), buffer.clone()).await?;
        let wal = Arc::new(wal.start(Box::new(BufferSink(buffer.clone())), WalMetrics::new(&with.registry)?)?);
        let ingest = open_ingest(settings, &with, catalog.clone(), buffer, Some(wal.clone()))?;
        let flusher = Arc::new(Flusher {
            buffer: ingest.buffer.clone(),
            catalog: catalog.clone(),
            store: store.clone(),
            wal,
            writer,
            options: flush_options(settings),
            metrics: ingest.metrics.clone(),
            signal: ingest.flush_signal.clone(),
            round: tokio::sync::Mutex::new(()),
        });
        let damaged = Arc::new(DamagedSegments::new(&with.registry)?);
        let mut background = vec![with.runtime.spawn(flusher.clone().run())];
        if settings.compaction.enabled {
            let compactor = Arc::new(Compactor {
                catalog: catalog.clone(),
                store: store.clone(),
                options: compaction_options(settings),
                metrics: ingest.metrics.clone(),
                damaged: damaged.clone(),
                clock: with.clock.clone(),
                replaced: Mutex::new(VecDeque::new()),
            });
            background.push(with.runtime.spawn(compactor.run()));
        }
        let grace = Duration::from_secs(settings.catalog.orphan_grace_secs);
        let orphans =
            OrphanCollector::new(catalog.clone(), store.clone(), grace, ingest.metrics.clone(), with.clock.clone());
        background.push(with.runtime.spawn(orphans.run()));
        background.push(with.runtime.spawn(drop_when_due(catalog.clone(), with.clock.clone())));
        if settings.retention.enabled {
            let enforcer = RetentionEnforcer {
                catalog,
                flusher: flusher.clone(),
                interval: Duration::from_secs(settings.retention.check_interval_secs),
                metrics: ingest.metrics.clone(),
                clock: with.clock.clone(),
            };
            background.push(with.runtime.spawn(enforcer.run()));
        }
        let runtime = with.runtime.clone();
        let continuous_metrics = ContinuousMetrics::new(&with.registry)?;
        let (mut core, temp_dir) = open_core(settings, with, store, ingest, writer, damaged)?;
        core.flusher = Some(flusher.clone());
        access::make_administrator(settings, &core).await?;
        if settings.continuous_queries.enabled {
            let queries = ContinuousQueries::new(core.clone(), continuous_metrics);
            let interval = Duration::from_millis(settings.continuous_queries.run_interval_ms);
            background.push(runtime.spawn(queries.run(interval)));
        }
        Ok(Gateway { core, flusher: Some(flusher), background, temp_dir })
    }

    async fn open_reader(settings: &Settings, with: Surroundings) -> Result<Gateway, StartError> {
        let store = open_metered_store(settings, &with).await?;
        if identity::read_existing(&*store).await?.is_none() {
            return Err(StartError::NothingToRead);
        }
        let options = catalog_options(settings, with.clock.clone(), CatalogMetrics::new(&with.registry)?);
        let catalog = Arc::new(Catalog::read(store.clone(), options).await?);
        let ingest = open_ingest(settings, &with, catalog, Arc::default(), None)?;
        let damaged = Arc::new(DamagedSegments::new(&with.registry)?);
        let (core, temp_dir) = open_core(settings, with, store, ingest, Uuid::new_v4(), damaged)?;
        Ok(Gateway { core, flusher: None, background: Vec::new(), temp_dir })
    }

    /// Publishes every row that is buffered now.
    pub async fn flush(&self) -> Result<(), FlushError> {
        match &self.flusher {
            Some(flusher) => flusher.flush_all().await,
            None => Ok(()),
        }
    }

    /// Stops background work, flushes, and closes log and catalog. What could not be flushed stays in the log.
    pub async fn close(self) {
        for task in self.background {
            task.abort();
            let _ = task.await;
        }
        let catalog = &self.core.catalog;
        if let (Some(flusher), Some(wal)) = (&self.flusher, &self.core.ingest.wal) {
            let flushed = flusher.flush_all().await;
            match &flushed {
                Ok(()) => info!("all rows are in the store"),
                Err(error) => warn!(%error, "rows that are not in the store yet stay in the log"),
            }
            wal.shutdown().await;
            if flushed.is_ok()
                && self.core.ingest.buffer.loads().is_empty()
                && let Err(error) = catalog.retire().await
            {
                warn!(%error, "others will take this writer for one that still runs");
            }
        }
        catalog.close().await;
        let _ = std::fs::remove_dir_all(&self.temp_dir);
    }
}

async fn open_metered_store(settings: &Settings, with: &Surroundings) -> Result<Arc<dyn ObjectStore>, StartError> {
    let only_reads = settings.server.role == Role::ReadOnly;
    let store = match &with.store {
        Some(store) if only_reads => Arc::new(ReadOnlyStore::new(store.clone())),
        Some(store) => store.clone(),
        None => {
            let url = StoreUrl::parse(&settings.storage.url)?;
            let (options, fs, of) =
                (store_options(settings, Some(WireMetrics::new(&with.registry)?)), with.fs.clone(), url.clone());
            let open = move || if only_reads { open_to_read(&of, &options) } else { open_store(&of, &options, fs) };
            let store = tokio::task::spawn_blocking(open).await??;
            if matches!(url, StoreUrl::Bucket { .. }) {
                wait_for_answer(&*store, &url).await?;
            }
            store
        }
    };
    Ok(Arc::new(MeteredStore::new(store, &with.registry)?))
}

fn open_ingest(
    settings: &Settings,
    with: &Surroundings,
    catalog: Arc<Catalog>,
    buffer: Arc<Buffer>,
    wal: Option<Arc<WalHandle>>,
) -> Result<Ingest, StartError> {
    Ok(Ingest {
        catalog,
        wal,
        buffer,
        limits: ingest_limits(settings),
        metrics: IngestMetrics::new(&with.registry)?,
        clock: with.clock.clone(),
        flush_signal: FlushSignal::default(),
    })
}

/// What handlers work with, and the folder that queries spill to; `writer` is whose rows the buffer holds.
fn open_core(
    settings: &Settings,
    with: Surroundings,
    store: Arc<dyn ObjectStore>,
    ingest: Ingest,
    writer: Uuid,
    damaged: Arc<DamagedSegments>,
) -> Result<(Core, PathBuf), StartError> {
    let temp_dir =
        fresh_temp_dir(settings, writer).map_err(folder_error("query.temp_dir", &settings.query.temp_dir))?;
    let (buffer, catalog) = (ingest.buffer.clone(), ingest.catalog.clone());
    let live = Arc::new(LiveTables { buffer, catalog: catalog.clone(), writer });
    let options = query_options(settings, temp_dir.clone(), exchange(settings)?);
    let queries = Arc::new(QueryEngine::new(options, store, live.clone(), live, damaged, &with.registry)?);
    let uids = Arc::new(Uids::new(catalog.clone()));
    let auth = Arc::new(access::authenticator(settings)?);
    let influxdb = Arc::new(Inside {
        about: about(settings, (ingest.clock)()),
        registry: with.registry.clone(),
        tracker: Arc::default(),
        limits: influxdb_limits(settings),
    });
    Ok((Core { ingest, catalog, queries, uids, auth, influxdb, flusher: None, runtime: with.runtime }, temp_dir))
}

/// Recovers the log into the buffer: all rows but those that segments hold already.
async fn recover_wal(
    settings: &Settings,
    with: &Surroundings,
    folder: WalFolder,
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
        let wal = Wal::recover(fs, options, folder, store_id, state.last_sequence + 1, &mut replay)?;
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
