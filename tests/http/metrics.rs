//! `/metrics`: what is counted, under conventional names.

use std::collections::BTreeMap;

use tidegate::config::Listener;

use super::wire::Wire;
use crate::http_gate::{Gate, eventually};

/// Families and their types.
const FAMILIES: &[(&str, &str)] = &[
    ("tidegate_points_accepted_total", "counter"),
    ("tidegate_points_rejected_total", "counter"),
    ("tidegate_write_requests_refused_total", "counter"),
    ("tidegate_buffer_bytes", "gauge"),
    ("tidegate_flush_seconds", "histogram"),
    ("tidegate_flushed_rows_total", "counter"),
    ("tidegate_flushed_bytes_total", "counter"),
    ("tidegate_flush_failures_total", "counter"),
    ("tidegate_segments", "gauge"),
    ("tidegate_compactions_total", "counter"),
    ("tidegate_catalog_version", "gauge"),
    ("tidegate_catalog_followed_timestamp_seconds", "gauge"),
    ("tidegate_catalog_polls_total", "counter"),
    ("tidegate_catalog_poll_failures_total", "counter"),
    ("tidegate_catalog_conflicts_total", "counter"),
    ("tidegate_wal_bytes", "gauge"),
    ("tidegate_wal_fsync_seconds", "histogram"),
    ("tidegate_wal_records_total", "counter"),
    ("tidegate_wal_appended_bytes_total", "counter"),
    ("tidegate_wal_group_records", "histogram"),
    ("tidegate_queries_running", "gauge"),
    ("tidegate_queries_queued", "gauge"),
    ("tidegate_query_seconds", "histogram"),
    ("tidegate_cache_requests_total", "counter"),
    ("tidegate_object_store_requests_total", "counter"),
    ("tidegate_object_store_request_seconds", "histogram"),
    ("tidegate_object_store_bytes_total", "counter"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
];

/// A gateway that has done a little of everything.
fn used_gate() -> Gate {
    let gate = Gate::with(&[("buffer.flush_age_ms", "10"), ("buffer.flush_small_age_ms", "10")]);
    gate.create_database("d");
    gate.write("d", "m f=1 1\nm f=2 2");
    gate.wait_until_flushed();
    gate.sql("d", "select * from m");
    gate
}

#[test]
fn families_have_conventional_names_types_and_words() {
    let gate = used_gate();
    let answer = gate.get("/metrics").at(Listener::Elasticsearch).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"), "{answer}");
    let text = answer.text();
    let described: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
    let types: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for (name, kind) in FAMILIES {
        assert_eq!(types.get(name), Some(kind), "{name}");
    }
    for (name, kind) in &types {
        assert!(name.starts_with("tidegate_") || name.starts_with("process_"), "{name}");
        assert!(
            described.iter().any(|help| help.split_once(' ').is_some_and(|(n, words)| n == *name && !words.is_empty()))
        );
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
    }
}

#[test]
fn every_listener_shows_the_same_counters_and_they_move() {
    let gate = used_gate();
    let accepted = || gate.metric("tidegate_points_accepted_total", "");
    let rejected = || gate.metric("tidegate_points_rejected_total", "");
    assert_eq!((accepted(), rejected()), (2.0, 0.0));
    gate.post("/write?db=d", "m f=3 3\nm f=4i 4\nm").send().expect(400);
    assert_eq!((accepted(), rejected()), (3.0, 2.0));
    gate.post("/write?db=d", "m f=5 5\nm\nm").send().expect(400);
    assert_eq!((accepted(), rejected()), (4.0, 4.0));
    gate.post("/api/v1/write?db=d", "m f=6 6\nm f=7i 7").send().expect(422);
    assert_eq!((accepted(), rejected()), (4.0, 6.0));
    for listener in Listener::ALL {
        let text = gate.get("/metrics").at(listener).send().expect(200).text();
        assert!(text.contains("\ntidegate_points_accepted_total 4\n"), "{listener}: {text}");
    }
    eventually("four rows are in segments", || gate.metric("tidegate_flushed_rows_total", "") == 4.0);
    assert!(gate.metric("tidegate_flush_seconds_count", "") >= 2.0);
    assert!(gate.metric("tidegate_wal_records_total", "") >= 3.0);
    assert!(gate.metric("tidegate_segments", "") >= 1.0);
    assert_eq!(gate.metric("tidegate_query_seconds_count", "result=\"ok\""), 1.0);
    gate.sql("d", "select count(*) from m");
    eventually("two queries are counted", || gate.metric("tidegate_query_seconds_count", "result=\"ok\"") == 2.0);
    gate.sql_error("d", "select nothing from m");
    eventually("a failure is counted", || gate.metric("tidegate_query_seconds_count", "result=\"error\"") == 1.0);
}

#[test]
fn names_that_clients_choose_make_no_series() {
    let gate = used_gate();
    for i in 0..20 {
        gate.get(&format!("/invented/{i}")).send().expect(404);
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        wire.send(format!("INVENTED{i} /ping HTTP/1.1\r\nHost: gate\r\n\r\n"));
        wire.answer().expect(405);
        gate.create_database(&format!("chosen{i}"));
        gate.write(&format!("chosen{i}"), "chosen f=1 1");
    }
    let text = gate.get("/metrics").send().expect(200).text();
    for name in ["chosen", "invented", "INVENTED"] {
        assert!(!text.contains(name), "{text}");
    }
}
