//! Retention and continuous queries over whole gateways, with a clock that the tests move.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::catalog::PolicyChange;
use crate::catalog::continuous::ContinuousQuery;
use crate::catalog::continuous_runs::WantedRun;
use crate::ingest::retention::RetentionEnforcer;
use crate::protocol::influxdb::continuous::{ContinuousMetrics, ContinuousQueries};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;
/// The hour that ended last before `NOW_NS` minus one hour: with that duration, rows before it have expired.
const BORDER_NS: i64 = NOW_NS - HOUR_NS - 800 * SECOND_NS;

fn enforcer(gateway: &Gateway) -> RetentionEnforcer {
    RetentionEnforcer {
        catalog: gateway.core.catalog.clone(),
        flusher: gateway.flusher.clone().unwrap(),
        interval: Duration::from_secs(3600),
        metrics: gateway.core.ingest.metrics.clone(),
        clock: Arc::new(|| NOW_NS),
    }
}

async fn keep_an_hour(gateway: &Gateway) {
    let change =
        PolicyChange { duration_ns: Some(HOUR_NS), shard_duration_ns: Some(HOUR_NS), ..PolicyChange::default() };
    gateway.core.catalog.alter_policy("cnosdb", "d", "autogen", change).await.unwrap();
}

/// Waits until a gateway knows what another one knows.
async fn catch_up(gateway: &Gateway, with: &Gateway) {
    let version = with.core.catalog.state().version;
    while gateway.core.catalog.state().version < version {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The values of `a`, ascending.
async fn values(gateway: &Gateway) -> Vec<f64> {
    let rows = select(gateway, "select a from m order by a").await;
    let values = rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Float64Type>().values().to_vec());
    values.collect()
}

/// Lines whose `a` says what they are: 1 and 2 have expired, 3 and 4 have not. Two of them may share a segment.
fn old_and_new(host: &str) -> String {
    let times = [BORDER_NS - 24 * HOUR_NS, BORDER_NS - 1, BORDER_NS, NOW_NS];
    let lines = times.iter().zip(1..).map(|(time, a)| format!("m,host={host} a={a} {time}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_rows_go_from_segments_and_buffer_and_do_not_come_back() {
    let mut house = House::new().await;
    house.write(&old_and_new("flushed")).await;
    house.gateway.flush().await.unwrap();
    house.write(&old_and_new("buffered")).await;
    assert_eq!(enforcer(&house.gateway).enforce(NOW_NS).await.unwrap(), 0, "autogen keeps everything");
    keep_an_hour(&house.gateway).await;
    // As in InfluxDB they are there until they are dropped.
    assert_eq!(values(&house.gateway).await, [1., 1., 2., 2., 3., 3., 4., 4.]);
    assert!(enforcer(&house.gateway).enforce(NOW_NS).await.unwrap() > 0);
    assert_eq!(values(&house.gateway).await, [3., 3., 4., 4.]);
    assert_eq!(enforcer(&house.gateway).enforce(NOW_NS).await.unwrap(), 0, "nothing is left to do");
    house.gateway.flush().await.unwrap();
    house.compactor.round().await.unwrap();
    assert_eq!(values(&house.gateway).await, [3., 3., 4., 4.]);
    house = house.restart().await;
    assert_eq!(values(&house.gateway).await, [3., 3., 4., 4.]);
    let refused = house.accept(&old_and_new("late")).await.unwrap();
    assert_eq!((refused.taken, refused.rejected.points), (1, 3), "a write is held against the duration itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_after_a_policy_was_widened_again_stay() {
    let house = House::new().await;
    house.write(&old_and_new("x")).await;
    keep_an_hour(&house.gateway).await;
    enforcer(&house.gateway).enforce(NOW_NS).await.unwrap();
    let change = PolicyChange { duration_ns: Some(0), ..PolicyChange::default() };
    house.gateway.core.catalog.alter_policy("cnosdb", "d", "autogen", change).await.unwrap();
    house.write(&format!("m,host=x a=9 {}", BORDER_NS - 1)).await;
    assert_eq!(values(&house.gateway).await, [3., 4., 9.]);
    house.gateway.flush().await.unwrap();
    house.compactor.round().await.unwrap();
    enforcer(&house.gateway).enforce(NOW_NS).await.unwrap();
    assert_eq!(values(&house.gateway).await, [3., 4., 9.]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_either_may_enforce_and_both_see_it() {
    let one = House::new().await;
    one.write(&old_and_new("x")).await;
    one.gateway.flush().await.unwrap();
    let two = House::open(one.store.clone(), tempfile::tempdir().unwrap()).await;
    keep_an_hour(&one.gateway).await;
    catch_up(&two.gateway, &one.gateway).await;
    let (first, second) = (enforcer(&one.gateway), enforcer(&two.gateway));
    let (first, second) = tokio::join!(first.enforce(NOW_NS), second.enforce(NOW_NS));
    assert!(first.unwrap() > 0 || second.unwrap() > 0);
    catch_up(&two.gateway, &one.gateway).await;
    catch_up(&one.gateway, &two.gateway).await;
    for house in [&one, &two] {
        assert_eq!(values(&house.gateway).await, [3., 4.]);
    }
}

/// A gateway whose clock the test moves, over a store that others may use too.
struct Timed {
    now: Arc<AtomicI64>,
    gateway: Gateway,
    folder: tempfile::TempDir,
    store: Arc<dyn ObjectStore>,
}

impl Timed {
    async fn open(store: &Arc<dyn ObjectStore>, folder: tempfile::TempDir, now_ns: i64) -> Timed {
        let now = Arc::new(AtomicI64::new(now_ns));
        let read = now.clone();
        let clock: Clock = Arc::new(move || read.load(Ordering::Relaxed));
        let with = Surroundings { clock, ..surroundings(store) };
        let gateway = Gateway::open(&settings(&folder), with).await.unwrap();
        Timed { now, gateway, folder, store: store.clone() }
    }

    async fn new() -> Timed {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let timed = Timed::open(&store, tempfile::tempdir().unwrap(), START_NS).await;
        let new = NewDatabase { tenant: "cnosdb".into(), name: "d".into(), precision: Precision::Ns, policy: None };
        timed.gateway.core.catalog.create_database(new, IfExists::Fail).await.unwrap();
        timed
    }

    /// Dies without a word, and comes back `later_ns` later.
    async fn crash(self, later_ns: i64) -> Timed {
        for task in &self.gateway.background {
            task.abort();
        }
        self.gateway.core.ingest.wal.as_ref().unwrap().shutdown().await;
        self.gateway.core.catalog.close().await;
        let now_ns = self.now.load(Ordering::Relaxed) + later_ns;
        Timed::open(&self.store, self.folder, now_ns).await
    }

    fn wait(&self, ns: i64) {
        self.now.fetch_add(ns, Ordering::Relaxed);
    }

    fn queries(&self) -> ContinuousQueries {
        ContinuousQueries::new(self.gateway.core.clone(), ContinuousMetrics::new(&Registry::new()).unwrap())
    }

    async fn run_due(&self) -> usize {
        self.queries().run_due().await.unwrap()
    }

    async fn write(&self, lines: &str) {
        assert_eq!(accept(&self.gateway, lines).await.unwrap().rejected.points, 0, "{lines}");
    }

    /// `(seconds since START_NS, n)` of a table.
    async fn rows(&self, table: &str) -> Vec<(i64, f64)> {
        let batches = select(&self.gateway, &format!("select time, n from \"{table}\" order by time")).await;
        let mut rows = Vec::new();
        for batch in batches {
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values();
            let values = cast(batch.column(1), &DataType::Float64).unwrap();
            let values = values.as_primitive::<Float64Type>().values().to_vec();
            rows.extend(times.iter().map(|time| (time - START_NS) / SECOND_NS).zip(values));
        }
        rows
    }
}

/// A whole minute.
const START_NS: i64 = 1_700_000_040 * SECOND_NS;

fn counting(name: &str, resample: &str, target: &str) -> ContinuousQuery {
    let text = format!(
        "CREATE CONTINUOUS QUERY {name} ON d {resample} BEGIN SELECT sum(v) AS n INTO {target} FROM d.autogen.m GROUP BY time(1m), host END"
    );
    ContinuousQuery { tenant: "cnosdb".into(), database: "d".into(), name: name.into(), text, ordinal: 0 }
}

async fn create(timed: &Timed, query: ContinuousQuery) {
    timed.gateway.core.catalog.create_continuous_query(query).await.unwrap();
}

/// A point of `v` so many seconds after the start.
fn point(seconds: i64, v: i64) -> String {
    format!("m,host=x v={v}i {}", START_NS + seconds * SECOND_NS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_window_is_computed_once_when_it_has_ended() {
    let timed = Timed::new().await;
    create(&timed, counting("q", "", "d.autogen.t")).await;
    timed.write(&[point(-30, 1), point(10, 2), point(50, 4), point(70, 8)].join("\n")).await;
    assert_eq!(timed.run_due().await, 1);
    assert_eq!(timed.rows("t").await, [(-60, 1.)]);
    timed.wait(59 * SECOND_NS);
    assert_eq!(timed.run_due().await, 0);
    timed.wait(SECOND_NS);
    assert_eq!(timed.run_due().await, 1);
    assert_eq!(timed.run_due().await, 0);
    assert_eq!(timed.rows("t").await, [(-60, 1.), (0, 6.)]);
    // Too late for its window.
    timed.write(&point(20, 100)).await;
    timed.wait(MINUTE_NS);
    assert_eq!(timed.run_due().await, 1);
    assert_eq!(timed.rows("t").await, [(-60, 1.), (0, 6.), (60, 8.)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resampling_reaches_back_and_a_target_may_be_named_after_its_source() {
    let timed = Timed::new().await;
    let policy = crate::catalog::databases::policy(Some("month"), 30 * 24 * HOUR_NS, None, 1);
    timed.gateway.core.catalog.create_policy("cnosdb", "d", policy, false).await.unwrap();
    create(&timed, counting("q", "RESAMPLE FOR 3m", "d.\"month\".:MEASUREMENT")).await;
    timed.write(&point(10, 1)).await;
    timed.wait(MINUTE_NS);
    assert_eq!(timed.run_due().await, 1);
    timed.write(&point(20, 100)).await;
    timed.wait(MINUTE_NS);
    assert_eq!(timed.run_due().await, 1);
    let state = timed.gateway.core.catalog.state();
    let database = state.database("cnosdb", "d").unwrap();
    assert!(state.table_named(database, "month", "m").is_some());
    let rows = select(&timed.gateway, "select n from \"d/month\".m").await;
    let found: Vec<i64> =
        rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64>().values().to_vec()).collect();
    assert_eq!(found, [101], "a sum of integers is one");
}

type Int64 = datafusion::arrow::datatypes::Int64Type;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let timed = Timed::new().await;
    create(&timed, counting("q", "", "d.autogen.t")).await;
    timed.run_due().await;
    timed.write(&[point(10, 1), point(70, 2), point(130, 4), point(190, 8)].join("\n")).await;
    let timed = timed.crash(3 * MINUTE_NS + 5 * SECOND_NS).await;
    assert_eq!(timed.run_due().await, 1, "one run for all windows that were missed");
    assert_eq!(timed.rows("t").await, [(0, 1.), (60, 2.), (120, 4.)]);
    let timed = timed.crash(SECOND_NS).await;
    assert_eq!(timed.run_due().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_runs_a_query() {
    let one = Timed::new().await;
    create(&one, counting("q", "", "d.autogen.t")).await;
    create(&one, counting("p", "", "d.autogen.u")).await;
    let two = Timed::open(&one.store, tempfile::tempdir().unwrap(), START_NS).await;
    let (mut first, mut second) = (one.queries(), two.queries());
    for _ in 0..5 {
        let (ran, also) = tokio::join!(first.run_due(), second.run_due());
        assert_eq!(ran.unwrap() + also.unwrap(), 2);
        let (ran, also) = tokio::join!(second.run_due(), first.run_due());
        assert_eq!(ran.unwrap() + also.unwrap(), 0);
        one.wait(MINUTE_NS);
        two.wait(MINUTE_NS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_a_crash_cut_off_is_done_again_by_its_owner_and_by_others_once_they_need_not_wait() {
    let one = Timed::new().await;
    let query = counting("q", "", "d.autogen.t");
    create(&one, query.clone()).await;
    let two = Timed::open(&one.store, tempfile::tempdir().unwrap(), START_NS).await;
    let run = WantedRun { id: Uuid::from_u128(1), query, after_ns: None, last_ns: START_NS };
    let until_ns = START_NS + 10 * MINUTE_NS;
    let claim = |of: &Timed, id| {
        let wanted = vec![WantedRun { id: Uuid::from_u128(id), ..run.clone() }];
        let catalog = of.gateway.core.catalog.clone();
        async move { catalog.claim_runs(wanted, START_NS, until_ns).await.unwrap().len() }
    };
    assert_eq!(claim(&one, 1).await, 1);
    assert_eq!(claim(&one, 1).await, 1, "the same claim again");
    assert_eq!(claim(&two, 2).await, 0);
    assert_eq!(two.run_due().await, 0);
    two.wait(10 * MINUTE_NS);
    assert_eq!(two.run_due().await, 1);
    // What the slow one records is the other's by now.
    one.gateway.core.catalog.finish_runs(vec![run.clone()]).await.unwrap();
    assert_eq!(two.run_due().await, 0);

    two.wait(MINUTE_NS);
    let one = one.crash(11 * MINUTE_NS).await;
    let state = one.gateway.core.catalog.state();
    let query = state.all_continuous_queries().remove(0);
    let after_ns = state.continuous_runs(&query).last_ns;
    let run = WantedRun { id: Uuid::from_u128(3), query, after_ns, last_ns: START_NS + 11 * MINUTE_NS };
    let far = i64::MAX;
    assert_eq!(one.gateway.core.catalog.claim_runs(vec![run], START_NS, far).await.unwrap().len(), 1);
    let one = one.crash(0).await;
    assert_eq!(one.run_due().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_fails_is_not_repeated_and_one_that_was_dropped_forgets_its_runs() {
    let timed = Timed::new().await;
    create(&timed, counting("q", "", "d.gone.t")).await;
    assert_eq!(timed.run_due().await, 1);
    assert_eq!(timed.run_due().await, 0);
    let catalog = &timed.gateway.core.catalog;
    catalog.drop_continuous_query("cnosdb", "d", "q").await.unwrap();
    assert_eq!(catalog.state().documents("continuous_runs").count(), 0);
    create(&timed, counting("q", "", "d.autogen.t")).await;
    assert_eq!(timed.run_due().await, 1);
    catalog.drop_database("cnosdb", "d").await.unwrap();
    assert_eq!(catalog.state().documents("continuous_runs").count(), 0);
}
