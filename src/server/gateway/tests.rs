//! Whole gateways over an in-memory store: what is written is what is read, whatever flush, compaction and restarts do.

mod policies;
mod several;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, TimestampNanosecondType};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

mod damage;

use super::options::compaction_options;
use super::*;
use crate::catalog::databases::{IfExists, NewDatabase};
use crate::ingest::compaction::CompactionOptions;
use crate::ingest::{BadPoints, IngestError, Receipt, Rules, Target};
use crate::model::Precision;
use crate::protocol::format::line_protocol::{Dialect, Options, parse};
use crate::query::sql::{Asker, SqlAnswer, SqlRequest};
use crate::storage::fs::OsFileSystem;
use crate::storage::held::{HeldStore, Holding};
use crate::storage::layout;

const RULES: Rules =
    Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true, tag_may_be_called_time: false };
const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// A gateway whose background work is done by hand.
struct House {
    store: Arc<dyn ObjectStore>,
    folder: tempfile::TempDir,
    gateway: Gateway,
    compactor: Compactor,
}

fn settings(folder: &tempfile::TempDir) -> Settings {
    let mut settings = Settings::default();
    settings.storage.url = "memory:///".to_string();
    settings.wal.dir = folder.path().join("wal");
    settings.query.temp_dir = folder.path().join("tmp");
    settings.buffer.flush_age_ms = 3_600_000;
    settings.buffer.flush_small_age_ms = 3_600_000;
    settings.buffer.window_secs = 100;
    settings.compaction.enabled = false;
    settings.retention.enabled = false;
    settings.continuous_queries.enabled = false;
    settings.compaction.files_min = 2;
    settings.catalog.snapshot_every = 3;
    settings
}

fn surroundings(store: &Arc<dyn ObjectStore>) -> Surroundings {
    Surroundings {
        fs: Arc::new(OsFileSystem),
        clock: Arc::new(|| NOW_NS),
        registry: Registry::new(),
        store: Some(store.clone()),
        runtime: tokio::runtime::Handle::current(),
    }
}

async fn accept(gateway: &Gateway, lines: &str) -> Result<Receipt, IngestError> {
    let options = Options { dialect: Dialect::INFLUXDB, precision: Precision::Ns, now_ns: NOW_NS };
    let parsed = parse(lines.as_bytes(), &options);
    assert!(parsed.bad_lines.is_empty(), "{lines}");
    let target = Target { tenant: "cnosdb".into(), database: "d".into(), policy: None };
    gateway.core.ingest.accept(&target, parsed.points, RULES).await
}

async fn select(gateway: &Gateway, text: &str) -> Vec<RecordBatch> {
    ask(gateway, text).await.unwrap()
}

async fn ask(gateway: &Gateway, text: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let mut request = SqlRequest::new("cnosdb", "d", text, Asker::root());
    request.target_partitions = Some(2);
    let SqlAnswer::Rows(rows) = gateway.core.queries.run(request).await? else { panic!("{text}") };
    rows.try_collect().await
}

async fn count(gateway: &Gateway, text: &str) -> i64 {
    select(gateway, text).await[0].column(0).as_primitive::<datafusion::arrow::datatypes::Int64Type>().value(0)
}

impl House {
    async fn open(store: Arc<dyn ObjectStore>, folder: tempfile::TempDir) -> House {
        House::try_open(store, folder).await.unwrap()
    }

    async fn try_open(store: Arc<dyn ObjectStore>, folder: tempfile::TempDir) -> Result<House, StartError> {
        let settings = settings(&folder);
        let gateway = Gateway::open(&settings, surroundings(&store)).await?;
        let compactor = Compactor {
            catalog: gateway.core.catalog.clone(),
            store: store.clone(),
            options: CompactionOptions { keep_replaced: Duration::ZERO, ..compaction_options(&settings) },
            metrics: gateway.core.ingest.metrics.clone(),
            damaged: Arc::new(DamagedSegments::new(&Registry::new()).unwrap()),
            clock: gateway.core.ingest.clock.clone(),
            replaced: Mutex::new(VecDeque::new()),
        };
        Ok(House { store, folder, gateway, compactor })
    }

    async fn new() -> House {
        House::over(Arc::new(InMemory::new())).await
    }

    async fn over(store: Arc<dyn ObjectStore>) -> House {
        let house = House::open(store, tempfile::tempdir().unwrap()).await;
        let new = NewDatabase { tenant: "cnosdb".into(), name: "d".into(), precision: Precision::Ns, policy: None };
        house.gateway.core.catalog.create_database(new, IfExists::Fail).await.unwrap();
        house
    }

    /// Stops without flushing: what the log holds is replayed.
    async fn restart(self) -> House {
        self.stop().await;
        House::open(self.store, self.folder).await
    }

    async fn stop(&self) {
        for task in &self.gateway.background {
            task.abort();
        }
        self.gateway.core.ingest.wal.as_ref().unwrap().shutdown().await;
        self.gateway.core.catalog.close().await;
    }

    async fn accept(&self, lines: &str) -> Result<Receipt, IngestError> {
        accept(&self.gateway, lines).await
    }

    async fn write(&self, lines: &str) {
        assert_eq!(self.accept(lines).await.unwrap().rejected.points, 0, "{lines}");
    }

    async fn ask(&self, text: &str) -> Result<Vec<RecordBatch>, QueryError> {
        ask(&self.gateway, text).await
    }

    async fn count(&self, text: &str) -> i64 {
        count(&self.gateway, text).await
    }

    fn orphans(&self, grace: Duration) -> OrphanCollector {
        let core = &self.gateway.core;
        OrphanCollector::new(
            core.catalog.clone(),
            self.store.clone(),
            grace,
            core.ingest.metrics.clone(),
            Arc::new(|| NOW_NS),
        )
    }

    async fn objects(&self) -> Vec<String> {
        let listing: Vec<_> = self.store.list(Some(&layout::segments_prefix())).collect().await;
        listing.into_iter().map(|meta| meta.unwrap().location.to_string()).collect()
    }
}

/// Later than the grace of what is written now: objects carry the time of the machine.
fn far_from_now() -> i64 {
    i64::MAX
}

/// (host, dc, time) → (a, b): what the rows must be.
type Model = BTreeMap<(Option<String>, Option<String>, i64), (Option<f64>, Option<String>)>;

fn strings(array: &dyn Array) -> Vec<Option<String>> {
    let array = match array.data_type() {
        DataType::Dictionary(_, _) => {
            let array = array.as_dictionary::<Int32Type>();
            return array.downcast_dict::<StringArray>().unwrap().into_iter().map(|s| s.map(str::to_string)).collect();
        }
        _ => cast(array, &DataType::Utf8).unwrap(),
    };
    array.as_string::<i32>().iter().map(|s| s.map(str::to_string)).collect()
}

async fn rows(house: &House) -> Model {
    rows_where(house, "true").await.unwrap()
}

async fn rows_where(house: &House, filter: &str) -> Result<Model, QueryError> {
    let mut model = Model::new();
    for batch in house.ask(&format!("select host, dc, time, a, b from m where {filter}")).await? {
        let (hosts, dcs, bs) = (strings(batch.column(0)), strings(batch.column(1)), strings(batch.column(4)));
        let times = batch.column(2).as_primitive::<TimestampNanosecondType>();
        let a = batch.column(3).as_primitive::<Float64Type>();
        for i in 0..batch.num_rows() {
            let key = (hosts[i].clone(), dcs[i].clone(), times.value(i));
            let value = (a.is_valid(i).then(|| a.value(i)), bs[i].clone());
            assert_eq!(model.insert(key.clone(), value), None, "{key:?} twice");
        }
    }
    Ok(model)
}

/// Random lines, and what they do to the model.
fn lines(random: &mut StdRng, model: &mut Model) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(1..20) {
        let host = random.random_bool(0.9).then(|| format!("h{}", random.random_range(0..3)));
        let dc = random.random_bool(0.3).then(|| format!("d{}", random.random_range(0..2)));
        let time = random.random_range(-2..4) * 60_000_000_000 + random.random_range(0..4);
        let a = random.random_bool(0.7).then(|| f64::from(random.random_range(0..100)));
        let b = (a.is_none() || random.random_bool(0.5)).then(|| format!("s{}", random.random_range(0..9)));
        text.push('m');
        host.iter().for_each(|h| text.push_str(&format!(",host={h}")));
        dc.iter().for_each(|d| text.push_str(&format!(",dc={d}")));
        let fields: Vec<String> =
            a.iter().map(|a| format!("a={a}")).chain(b.iter().map(|b| format!("b=\"{b}\""))).collect();
        text.push_str(&format!(" {} {time}\n", fields.join(",")));
        let row = model.entry((host, dc, time)).or_default();
        row.0 = a.or(row.0);
        row.1 = b.or(row.1.take());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_small_tables_wait_for_the_store_together() {
    let store = HeldStore::over(&(Arc::new(InMemory::new()) as Arc<dyn ObjectStore>));
    let house = House::over(store.clone()).await;
    let lines: Vec<String> = (0..20).map(|i| format!("t{i} v={i}i {i}")).collect();
    house.write(&lines.join("\n")).await;
    store.hold(Holding::Puts("data/"));
    let release = async {
        let together = tokio::time::timeout(Duration::from_secs(30), store.so_many_wait(20)).await;
        store.hold(Holding::Nothing);
        together
    };
    let (flushed, together) = tokio::join!(house.gateway.flush(), release);
    flushed.unwrap();
    assert!(together.is_ok(), "uploads go one after the other");
    let counted = (0..20).map(|i| format!("select count(v) as n from t{i}")).collect::<Vec<_>>().join(" union all ");
    assert_eq!(count(&house.gateway, &format!("select sum(n) from ({counted})")).await, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_what_was_written_through_flushes_merges_and_restarts() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut house = House::new().await;
        let mut model = Model::new();
        // Every column exists before the first question.
        house.write("m,host=h0,dc=d0 a=1,b=\"s\" 0").await;
        model.insert((Some("h0".into()), Some("d0".into()), 0), (Some(1.0), Some("s".into())));
        for step in 0..40 {
            match random.random_range(0..10) {
                0..=4 => house.write(&lines(&mut random, &mut model)).await,
                5..=6 => house.gateway.flush().await.unwrap(),
                7 => drop(house.compactor.round().await.unwrap()),
                8 => house = house.restart().await,
                _ => house.compactor.remove_replaced(Instant::now()).await,
            }
            assert_eq!(rows(&house).await, model, "seed {seed}, step {step}");
            let count = house.count("select count(*) from m").await;
            assert_eq!(count as usize, model.len(), "seed {seed}, step {step}");
        }
        house.gateway.flush().await.unwrap();
        while house.compactor.round().await.unwrap() > 0 {}
        house.compactor.remove_replaced(Instant::now()).await;
        // What was replaced before a restart is an orphan after it.
        house.orphans(Duration::ZERO).collect(far_from_now()).await.unwrap();
        assert_eq!(rows(&house).await, model, "seed {seed}, at the end");
        let state = house.gateway.core.catalog.state();
        let live: usize = state.tables().map(|t| t.segments.len()).sum();
        assert_eq!(house.objects().await.len(), live, "seed {seed}: every object is live");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_leaves_one_segment_a_window_and_removes_what_it_replaced() {
    let house = House::new().await;
    for i in 0..6 {
        house.write(&format!("m,host=x a={i} {i}\nm,host=x a={i} {}", 250_000_000_000i64 + i)).await;
        house.gateway.flush().await.unwrap();
    }
    assert_eq!(house.objects().await.len(), 12);
    assert_eq!(house.compactor.round().await.unwrap(), 2);
    assert_eq!(house.objects().await.len(), 14, "a query may still read what was replaced");
    house.compactor.remove_replaced(Instant::now()).await;
    assert_eq!(house.objects().await.len(), 2);
    assert_eq!(house.count("select count(*) from m").await, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_go_and_live_objects_stay() {
    let house = House::new().await;
    house.write("m a=1 1").await;
    house.gateway.flush().await.unwrap();
    let live = house.objects().await;
    let table = house.gateway.core.catalog.state().tables().next().unwrap().clone();
    let orphan = layout::segment_key(&table.name, None, 0, Uuid::new_v4());
    house.store.put(&orphan, PutPayload::from_static(b"left behind")).await.unwrap();
    let hour = Duration::from_secs(3600);
    let (collector, later) = (house.orphans(hour), far_from_now() - hour.as_nanos() as i64);
    assert_eq!(collector.collect(0).await.unwrap(), 0, "it is young");
    assert_eq!(collector.collect(later).await.unwrap(), 0, "a query may read it");
    assert_eq!(house.objects().await.len(), 2);
    assert_eq!(collector.collect(far_from_now()).await.unwrap(), 1);
    assert_eq!(house.objects().await, live);
    let version = house.gateway.core.catalog.state().version;
    assert_eq!(collector.collect(far_from_now()).await.unwrap(), 0);
    assert_eq!(house.gateway.core.catalog.state().version, version, "nothing to remove, nothing to commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_database_takes_its_buffered_rows_with_it() {
    let house = House::new().await;
    house.write("m a=1 1").await;
    assert!(house.gateway.core.catalog.drop_database("cnosdb", "d").await.unwrap());
    house.gateway.flush().await.unwrap();
    assert_eq!(house.gateway.core.ingest.buffer.bytes(), 0);
    assert_eq!(house.objects().await, Vec::<String>::new());
    let new = NewDatabase { tenant: "cnosdb".into(), name: "d".into(), precision: Precision::Ns, policy: None };
    house.gateway.core.catalog.create_database(new, IfExists::Fail).await.unwrap();
    house.write("m a=2 2").await;
    assert_eq!(house.count("select count(*) from m").await, 1);
}
