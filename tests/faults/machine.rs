//! Gateways within this process, each on a runtime of its own, so that one can be cut off in the middle of everything.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::TryStreamExt;
use object_store::ObjectStore;
use tempfile::TempDir;
use tidegate::catalog::databases::{IfExists, NewDatabase};
use tidegate::catalog::{CatalogError, Change};
use tidegate::config::Settings;
use tidegate::ingest::{BadPoints, IngestError, Rules, Target};
use tidegate::model::names::{DEFAULT_POLICY, DEFAULT_TENANT};
use tidegate::model::{Classify, ColumnKind, FieldType, Kind, Precision, RowIdentity, TableSchema};
use tidegate::protocol::format::line_protocol::{Dialect, Options, parse};
use tidegate::protocol::format::rows::{Format, RowEncoder};
use tidegate::query::sql::{Asker, SqlAnswer, SqlRequest};
use tidegate::query::{QueryError, STACK_BYTES};
use tidegate::server::gateway::{Gateway, StartError, Surroundings};
use tidegate::server::system_clock;
use tidegate::storage::fs::FileSystem;
use tokio::runtime::Runtime;

use super::ledger::{DATABASE, JOURNAL, Settle, WINDOW_SECS, Writer, cells, check_copies, check_visible};
use super::physical;
use crate::lossy_fs::LossyFileSystem;

/// Nothing takes as long unless it never ends.
const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How much goes on behind the scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    /// Flushes, merges, snapshots and their removal, many times a second.
    Busy,
    /// Nothing that was not asked for.
    Quiet,
}

/// Settings of a gateway over `folder`; `temp` is for what queries spill.
pub fn settings(folder: &Path, temp: &Path, background: Background) -> Settings {
    let mut settings = Settings::default();
    settings.storage.url = format!("file://{}", folder.join("store").display());
    settings.wal.dir = folder.join("wal");
    settings.wal.file_bytes = 64 * 1024;
    settings.query.temp_dir = temp.to_path_buf();
    settings.buffer.window_secs = WINDOW_SECS;
    settings.compaction.files_min = 2;
    settings.catalog.snapshot_every = 4;
    // What is needless goes at once.
    settings.catalog.prune_after_secs = 0;
    match background {
        Background::Busy => {
            settings.buffer.flush_age_ms = 10;
            settings.buffer.flush_small_age_ms = 10;
            settings.compaction.interval_ms = 10;
        }
        Background::Quiet => {
            settings.buffer.flush_age_ms = HOUR.as_millis() as u64;
            settings.buffer.flush_small_age_ms = HOUR.as_millis() as u64;
            settings.compaction.enabled = false;
            settings.retention.enabled = false;
            settings.continuous_queries.enabled = false;
        }
    }
    settings
}

/// A computer whose power can be cut.
pub struct Machine {
    folder: TempDir,
    /// Not on the disk that loses things.
    temp: TempDir,
    pub fs: LossyFileSystem,
}

impl Machine {
    pub fn new() -> Machine {
        let folder = TempDir::new().unwrap();
        let fs = LossyFileSystem::new(folder.path()).unwrap();
        Machine { folder, temp: TempDir::new().unwrap(), fs }
    }

    pub fn open(&self, background: Background) -> Result<Running, StartError> {
        let settings = settings(self.folder.path(), self.temp.path(), background);
        Running::open(&settings, Arc::new(self.fs.clone()), None)
    }

    /// What lies on the disk, while no gateway runs.
    #[track_caller]
    pub fn check_disk(&self, writers: &mut [Writer], context: &str) {
        let copies = physical::copies(self.folder.path(), physical::store_in(self.folder.path()), DATABASE);
        check_copies(writers, copies, context);
    }

    pub fn store_folder(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

/// A gateway at work.
pub struct Running {
    runtime: Runtime,
    pub gateway: Arc<Gateway>,
}

impl Running {
    pub fn open(
        settings: &Settings,
        fs: Arc<dyn FileSystem>,
        store: Option<Arc<dyn ObjectStore>>,
    ) -> Result<Running, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .unwrap();
        let clock = system_clock();
        let with = Surroundings {
            fs,
            // Ahead of the files' own times, so that orphans are old enough at once.
            clock: Arc::new(move || clock() + 2 * HOUR.as_nanos() as i64),
            registry: prometheus::Registry::new(),
            store,
            runtime: runtime.handle().clone(),
        };
        let opening = async { tokio::time::timeout(PATIENCE, Gateway::open(settings, with)).await };
        let opened = runtime.block_on(opening).expect("a start comes to its end");
        Ok(Running { gateway: Arc::new(opened?), runtime })
    }

    /// Runs `work` here; it must end.
    #[track_caller]
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await }).expect("it comes to its end")
    }

    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(work)
    }

    /// Stops as a process that is gone does: nothing is brought to its end.
    pub fn cut_off(self) {
        // Waits for what runs on threads of its own; the gateway, and with it the log's thread, goes after that.
        drop(self.runtime);
        drop(self.gateway);
    }

    /// Stops in order.
    pub fn close(self) {
        let gateway = Arc::into_inner(self.gateway).expect("no one else uses the gateway");
        self.runtime.block_on(gateway.close());
    }

    /// Makes the database and the append table, as far as they are missing.
    pub fn prepare(&self) -> Result<(), CatalogError> {
        let database = NewDatabase {
            tenant: DEFAULT_TENANT.to_string(),
            name: DATABASE.to_string(),
            precision: Precision::Ns,
            policy: None,
        };
        let catalog = self.gateway.core.catalog.clone();
        self.run(async {
            catalog.create_database(database, IfExists::Keep).await?;
            let create = catalog.update(|state| {
                let database = state.database(DEFAULT_TENANT, DATABASE);
                if database.is_some_and(|d| state.table_named(d, DEFAULT_POLICY, JOURNAL).is_some()) {
                    return Ok(Vec::new());
                }
                let mut schema = TableSchema::new(RowIdentity::Append);
                schema.add("host", ColumnKind::Tag, None);
                for field in ["batch", "n"] {
                    schema.add(field, ColumnKind::Field, Some(FieldType::Integer));
                }
                Ok(vec![Change::CreateTable {
                    id: state.next_table_id(),
                    tenant: DEFAULT_TENANT.to_string(),
                    database: DATABASE.to_string(),
                    policy: DEFAULT_POLICY.to_string(),
                    table: JOURNAL.to_string(),
                    schema,
                    folder_with_id: false,
                    folder: None,
                }])
            });
            create.await.map(|_| ())
        })
    }

    /// A statement's answer as CSV with a header.
    #[track_caller]
    pub fn ask(&self, database: &str, text: &str, context: &str) -> Result<String, QueryError> {
        let request = SqlRequest::new(DEFAULT_TENANT, database, text, Asker::root());
        let queries = self.gateway.core.queries.clone();
        let asked = async {
            let SqlAnswer::Rows(mut rows) = queries.run(request).await? else { panic!("{text} has rows") };
            let mut csv = Vec::new();
            let mut encoder = RowEncoder::new(Format::Csv { header: true }, 0);
            encoder.begin(rows.schema(), &mut csv);
            while let Some(batch) = rows.try_next().await? {
                encoder.batch(&batch, &mut csv).unwrap();
            }
            encoder.end(&mut csv).unwrap();
            Ok(String::from_utf8(csv).unwrap())
        };
        let asked = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await });
        asked.unwrap_or_else(|_| panic!("{context}: {text}: does not come to its end"))
    }

    #[track_caller]
    fn select(&self, text: &str, context: &str) -> Vec<Vec<String>> {
        let asked = self.ask(DATABASE, text, context);
        cells(&asked.unwrap_or_else(|error| panic!("{context}: {text}: {error}")))
    }

    #[track_caller]
    pub fn check(&self, writers: &mut [Writer], settle: Settle, context: &str) {
        check_visible(writers, settle, context, |text| self.select(text, context));
    }
}

/// Sends the writer's next batch. What cannot be stored is refused with a reason to try later.
pub async fn send(gateway: &Gateway, writer: &Mutex<Writer>) -> Result<(), IngestError> {
    let lines = lock(writer).begin();
    write(gateway, DATABASE, &lines).await?;
    lock(writer).acknowledged();
    Ok(())
}

/// Writes lines that are good.
pub async fn write(gateway: &Gateway, database: &str, lines: &str) -> Result<(), IngestError> {
    let parsed = parse(lines.as_bytes(), &Options { dialect: Dialect::INFLUXDB, precision: Precision::Ns, now_ns: 0 });
    assert!(parsed.bad_lines.is_empty(), "{lines}");
    let target = Target { tenant: DEFAULT_TENANT.to_string(), database: database.to_string(), policy: None };
    let rules =
        Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true, tag_may_be_called_time: false };
    let rows = parsed.points.rows();
    match gateway.core.ingest.accept(&target, parsed.points, rules).await {
        Ok(receipt) => {
            assert_eq!((receipt.taken, receipt.rejected.points), (rows, 0), "{lines}");
            Ok(())
        }
        Err(error) => {
            assert!(matches!(error.kind(), Kind::Unavailable | Kind::Overloaded), "{:?}: {error}", error.kind());
            Err(error)
        }
    }
}

pub fn lock(writer: &Mutex<Writer>) -> std::sync::MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}
