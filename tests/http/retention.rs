//! Retention policies expire data, and continuous queries run: by the machine's clock, over restarts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http_gate::{Gate, encoded, eventually};

const HOUR_NS: i64 = 3_600_000_000_000;

#[allow(clippy::disallowed_methods)] // the gateway under test has the machine's clock
fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[track_caller]
fn ask(gate: &Gate, q: &str) -> serde_json::Value {
    let json = gate.post(&format!("/query?db=d&epoch=ns&q={}", encoded(q)), "").send().expect(200).json();
    assert!(json["results"][0]["error"].is_null(), "{q}: {json}");
    json["results"][0].clone()
}

/// The first value of the first row; null without one.
fn value(gate: &Gate, q: &str) -> serde_json::Value {
    ask(gate, q)["series"][0]["values"][0][1].clone()
}

#[test]
fn rows_beyond_their_policy_are_refused_and_expire() {
    let mut gate = Gate::with(&[
        ("retention.check_interval_secs", "1"),
        ("buffer.flush_small_age_ms", "50"),
        ("buffer.flush_age_ms", "50"),
    ]);
    gate.create_database("d");
    let now = now_ns();
    gate.write("d", &format!("m,host=old v=1 {}\nm,host=new v=2 {now}", now - 100 * HOUR_NS));
    assert_eq!(value(&gate, "SELECT count(v) FROM m"), 2);
    gate.wait_until_flushed();
    assert_eq!(value(&gate, "SELECT count(v) FROM m"), 2, "autogen keeps rows forever");
    ask(&gate, "ALTER RETENTION POLICY autogen ON d DURATION 1h SHARD DURATION 1h");
    eventually("the old row has expired", || value(&gate, "SELECT count(v) FROM m") == 1);
    assert_eq!(gate.metric("tidegate_retention_segments_dropped_total", ""), 1.0);
    assert_eq!(
        ask(&gate, "SHOW TAG VALUES WITH KEY = host")["series"][0]["values"],
        serde_json::json!([["host", "new"]])
    );
    let refused = gate.post("/write?db=d", format!("m,host=late v=3 {}", now - 2 * HOUR_NS)).send().expect(400);
    assert_eq!(refused.influxdb_error(), "partial write: points beyond retention policy dropped=1");
    gate.kill_and_restart();
    assert_eq!(value(&gate, "SELECT count(v) FROM m"), 1);
}

#[test]
fn continuous_queries_run_before_and_after_a_restart() {
    let mut gate = Gate::with(&[("continuous_queries.run_interval_ms", "50")]);
    gate.create_database("d");
    ask(
        &gate,
        "CREATE CONTINUOUS QUERY q ON d RESAMPLE FOR 1m BEGIN SELECT count(v) AS n INTO t FROM m GROUP BY time(1s), host END",
    );
    let mut written = 0;
    for _ in 0..2 {
        // Over more than one window.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(1_500) {
            gate.write("d", &format!("m,host=a v={written}"));
            written += 1;
        }
        eventually("all windows are computed", || value(&gate, "SELECT sum(n) FROM t") == written);
        assert_eq!(ask(&gate, "SHOW TAG KEYS FROM t")["series"][0]["values"], serde_json::json!([["host"]]));
        gate.kill_and_restart();
    }
    assert!(gate.metric("tidegate_continuous_query_runs_total", "failed") == 0.0);
}
