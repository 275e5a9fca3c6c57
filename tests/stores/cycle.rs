//! A gateway's life over each kind of store: write, flush, compact, die, start again, answer.

use futures::TryStreamExt;
use tidegate::storage::layout;

use crate::http_gate::{Gate, eventually};
use crate::kinds::Kind;
use crate::minio::Reached;

/// Everything happens soon.
const BUSY: [(&str, &str); 5] = [
    ("buffer.flush_age_ms", "100"),
    ("buffer.flush_small_age_ms", "100"),
    ("compaction.interval_ms", "100"),
    ("compaction.files_min", "2"),
    ("catalog.snapshot_every", "3"),
];
const ROUNDS: i64 = 4;
const ROWS: i64 = 500;

#[test]
fn a_gateway_lives_over_a_folder() {
    lives(&Kind::folder());
}

#[test]
fn a_gateway_lives_over_memory() {
    lives(&Kind::Memory);
}

#[test]
fn a_gateway_lives_over_minio() {
    lives(&Kind::minio(Reached::Plainly));
}

#[test]
fn a_gateway_lives_over_minio_with_tls() {
    lives(&Kind::minio(Reached::OverTls));
}

#[test]
fn a_gateway_lives_over_minio_with_the_bucket_in_the_host_name() {
    lives(&Kind::minio(Reached::ByHostName));
}

#[test]
fn a_gateway_lives_over_azure() {
    lives(&Kind::azure());
}

fn lives(kind: &Kind) {
    let mut gate = start(kind);
    gate.create_database("my db");
    for round in 0..ROUNDS {
        let lines =
            (round * ROWS..(round + 1) * ROWS).map(|row| format!("Table\\ ü/x,host=h{} v={row}i {row}\n", row % 7));
        gate.write("my db", &lines.collect::<String>());
        gate.wait_until_flushed();
    }
    check(&gate, "written");
    eventually("segments are merged", || gate.metric("tidegate_compactions_total", "") >= 1.0);
    check(&gate, "compacted");
    if let Kind::Memory = kind {
        return;
    }
    gate.write("my db", "Table\\ ü/x,host=h1 v=1i 1\n");
    gate.kill_and_restart();
    check(&gate, "started again");
    gate.wait_until_flushed();
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
    check_objects(kind);
    gate.start_again();
    check(&gate, "stopped and started");
}

fn start(kind: &Kind) -> Gate {
    let (mut settings, environment) = (kind.settings("some/prefix"), kind.environment());
    settings.extend(BUSY.map(|(name, value)| (name.to_string(), value.to_string())));
    let gate = Gate::start_not_ready(&borrowed(&settings), &borrowed(&environment));
    gate.wait_until_ready();
    gate
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[track_caller]
fn check(gate: &Gate, when: &str) {
    let rows = ROUNDS * ROWS;
    let question = "select count(*) as n, sum(v) as s, count(distinct host) as h, min(time) as t from \"Table ü/x\"";
    let expected = format!("n,s,h,t\n{rows},{},7,1970-01-01T00:00:00.000000000\n", rows * (rows - 1) / 2);
    assert_eq!(gate.sql("my db", question), expected, "{when}");
}

/// The bucket holds what the layout says and no more.
fn check_objects(kind: &Kind) {
    let store = kind.open("some/prefix");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found: Vec<_> = runtime.block_on(store.list(None).map_ok(|meta| meta.location).try_collect()).unwrap();
    let count = |is: &dyn Fn(&object_store::path::Path) -> bool| found.iter().filter(|key| is(key)).count();
    let commits = count(&|key| layout::parse_commit_key(key).is_some());
    let snapshots = count(&|key| layout::parse_snapshot_key(key).is_some());
    let segments = count(&|key| key.as_ref().starts_with("data/cnosdb/my!20db/") && key.as_ref().ends_with(".parquet"));
    assert!(commits > 0 && snapshots > 0 && segments > 0, "{found:?}");
    assert!(found.contains(&layout::identity_key()), "{found:?}");
    assert_eq!(count(&|key| key.as_ref().starts_with("probe/")), 0, "{found:?}");
}
