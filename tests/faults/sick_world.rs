//! A gateway over a sick store, and what its callers do about it: try again.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tempfile::TempDir;
use tidegate::catalog::{Catalog, CatalogOptions};
use tidegate::ingest::compaction::{CompactionOptions, Compactor};
use tidegate::ingest::orphans::OrphanCollector;
use tidegate::storage::damage::DamagedSegments;
use tidegate::storage::fs::OsFileSystem;
use tidegate::storage::layout;
use tidegate::storage::patient::{Patience, PatientStore};

use super::ledger::WINDOW_SECS;
use super::machine::{Background, Running, settings};
use crate::sick_store::{Plan, SickStore};

/// Times that something is tried again before a test gives up.
const TRIES: usize = 60;
/// Tries after which the store gets better, if it is one that never does by itself.
const SICK_TRIES: usize = 20;

const HOUR_NS: i64 = 3_600_000_000_000;
/// Nothing asks the store any more when nothing has for so long.
const QUIET: Duration = Duration::from_millis(50);

/// One store, one log folder, and at most one gateway over them.
pub struct World {
    folder: TempDir,
    temp: TempDir,
    pub healthy: Arc<dyn ObjectStore>,
    pub sick: SickStore,
    /// What the gateway is handed.
    store: Arc<dyn ObjectStore>,
    running: Option<Running>,
    compactor: Option<Compactor>,
    plan: Cell<Plan>,
    /// How often orphans were.
    collected: Cell<i64>,
    pub context: String,
}

impl World {
    /// `retries`: of the store that the gateway sees; a real one is never without what keeps bodies whole.
    pub fn new(retries: usize, context: String) -> World {
        let healthy: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let sick = SickStore::new(healthy.clone());
        let patience = Patience {
            retries_max: retries,
            backoff: Duration::from_millis(2),
            backoff_max: Duration::from_millis(8),
            time_max: Duration::from_secs(10),
        };
        let store = Arc::new(PatientStore::new(Arc::new(sick.clone()), patience, 1));
        World {
            folder: TempDir::new().unwrap(),
            temp: TempDir::new().unwrap(),
            healthy,
            sick,
            store,
            running: None,
            compactor: None,
            plan: Cell::new(Plan::Healthy),
            collected: Cell::new(0),
            context,
        }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("a gateway runs")
    }

    /// Starts a gateway; it does nothing that it is not asked for.
    pub fn open(&mut self) {
        assert!(self.running.is_none());
        let settings = settings(self.folder.path(), self.temp.path(), Background::Quiet);
        let running =
            self.retried("start", || Running::open(&settings, Arc::new(OsFileSystem), Some(self.store.clone())));
        let core = &running.gateway.core;
        self.compactor = Some(Compactor {
            catalog: core.catalog.clone(),
            store: self.store.clone(),
            options: CompactionOptions {
                interval: Duration::MAX,
                files_min: 2,
                segment_bytes_max: 1 << 30,
                window_ns: WINDOW_SECS as i64 * 1_000_000_000,
                keep_replaced: Duration::ZERO,
            },
            metrics: core.ingest.metrics.clone(),
            clock: core.ingest.clock.clone(),
            replaced: Mutex::new(VecDeque::new()),
            damaged: Arc::new(DamagedSegments::new(&prometheus::Registry::new()).unwrap()),
        });
        self.running = Some(running);
    }

    /// As when the process is gone.
    pub fn cut_off(&mut self) {
        self.compactor = None;
        self.running.take().expect("a gateway runs").cut_off();
    }

    /// As when it is asked to stop.
    pub fn close(&mut self) {
        self.compactor = None;
        self.running.take().expect("a gateway runs").close();
    }

    pub fn flush(&self) {
        let running = self.running();
        self.retried("flush", || running.run(running.gateway.flush()));
    }

    /// Merges what can be merged. Returns how often that was.
    pub fn merge(&self) -> usize {
        let compactor = self.compactor.as_ref().expect("a gateway runs");
        self.retried("merge", || self.running().run(compactor.round()))
    }

    /// Removes what merges replaced. What cannot be removed is an orphan.
    pub fn remove_replaced(&self) {
        let compactor = self.compactor.as_ref().expect("a gateway runs");
        self.running().run(compactor.remove_replaced(Instant::now()));
    }

    pub fn collect_orphans(&self) {
        let core = &self.running().gateway.core;
        let collector = OrphanCollector::new(
            core.catalog.clone(),
            self.store.clone(),
            Duration::ZERO,
            core.ingest.metrics.clone(),
            core.ingest.clock.clone(),
        );
        // Ids of uploads are never older than what was collected before: each time it is later than all of them.
        let now_ns = (core.ingest.clock)() + HOUR_NS * self.collected.replace(self.collected.get() + 1);
        self.retried("collect orphans", || self.running().run(collector.collect(now_ns)));
    }

    /// Waits until snapshots that commits brought with them are written, or given up: they are no one's to wait for.
    pub fn settle(&self) {
        let mut asked = self.sick.trace().len();
        loop {
            std::thread::sleep(QUIET);
            let by_now = self.sick.trace().len();
            if asked == by_now {
                return;
            }
            asked = by_now;
        }
    }

    pub fn fall_ill(&self, plan: Plan) {
        self.plan.set(plan);
        self.sick.fall_ill(plan);
    }

    /// Returns how many requests had failed.
    pub fn recover(&self) -> usize {
        futures::executor::block_on(self.sick.recover())
    }

    /// Every object is one that the catalog speaks of, or goes when orphans are collected; the chain of commits can be
    /// read from its start to what the gateway knows. On a healthy store.
    pub fn check_store(&self) {
        self.collect_orphans();
        let (context, healthy) = (&self.context, self.healthy.clone());
        let (objects, read) = self.running().run(async {
            let prefix = layout::segments_prefix();
            let mut objects: Vec<String> =
                healthy.list(Some(&prefix)).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
            objects.sort();
            let probes = healthy.list(Some(&layout::probes_prefix())).try_collect::<Vec<_>>().await.unwrap();
            assert!(probes.is_empty(), "{context}: {probes:?}");
            let reader = Catalog::read(healthy, CatalogOptions::new(Arc::new(|| 0))).await.unwrap();
            (objects, reader.state())
        });
        let known = self.running().gateway.core.catalog.state();
        assert_eq!(read.version, known.version, "{context}: the last commit, and what the gateway knows");
        assert_eq!(read.as_changes().len(), known.as_changes().len(), "{context}: the catalog, and what is known");
        let mut live: Vec<String> = read.tables().flat_map(|t| t.segments.iter().map(|s| s.path.clone())).collect();
        live.sort();
        assert_eq!(objects, live, "{context}: objects, and those that the catalog speaks of");
    }

    /// Tries until it works; in the meantime the store gets better. A store that does not answer is
    /// neither damaged nor unfit.
    #[track_caller]
    pub fn retried<T, E: fmt::Display>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
        let mut failures = Vec::new();
        for _ in 0..TRIES {
            match attempt() {
                Ok(done) => {
                    if failures.len() >= SICK_TRIES {
                        self.fall_ill(self.plan.get());
                    }
                    return done;
                }
                Err(error) => {
                    let text = error.to_string();
                    let accused = ["damaged", "accepts a second object"].iter().any(|words| text.contains(words));
                    assert!(!accused, "{}: {what}: {text}", self.context);
                    failures.push(text);
                    if failures.len() == SICK_TRIES {
                        self.recover();
                    }
                }
            }
        }
        panic!("{}: {what}: in vain: {failures:?}", self.context);
    }
}
