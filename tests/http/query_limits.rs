//! Queries have limits of time, number and memory; and they end with the client that asked.

use std::time::{Duration, Instant};

use tidegate::config::Listener;

use super::wire::{Wire, post};
use crate::http_gate::{Gate, eventually};

/// Takes minutes: twenty-seven thousand million combinations.
const ENDLESS: &str = "select count(*) as n from t a cross join t b cross join t c where a.v + b.v + c.v < 0";

fn gate(settings: &[(&str, &str)]) -> Gate {
    let gate = Gate::with(settings);
    let lines: String = (0..3_000).map(|i| format!("t v={i} {i}\n")).collect();
    gate.write("public", &lines);
    gate
}

fn running(gate: &Gate) -> f64 {
    gate.metric("tidegate_queries_running", "")
}

#[test]
fn a_query_that_takes_too_long_is_ended_and_said_so() {
    let gate = gate(&[("query.timeout_ms", "300")]);
    let started = Instant::now();
    let (status, code, message) = gate.sql_error("public", ENDLESS);
    assert_eq!((status, &*code, &*message), (504, "000000", "the query took longer than 300 ms"));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    eventually("the query has ended", || running(&gate) == 0.0);
    assert_eq!(gate.metric("tidegate_query_seconds_count", "result=\"timeout\""), 1.0);
    assert_eq!(gate.sql("public", "select count(*) as n from t"), "n\n3000\n");
}

#[test]
fn an_answer_that_is_cut_by_the_time_limit_does_not_look_whole() {
    let gate = gate(&[("query.timeout_ms", "500")]);
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(post(
        "/api/v1/sql",
        &[("Accept", "application/json")],
        "select a.v from t a cross join t b cross join t c",
    ));
    wire.head().expect(200);
    // Read on: the end of a chunked answer is an empty chunk, and it must not come.
    let (rest, _) = wire.read_until_closed();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest[rest.len() - 200..]));
}

#[test]
fn a_client_that_leaves_before_its_answer_ends_its_query() {
    let gate = gate(&[]);
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(post("/api/v1/sql", &[], ENDLESS));
    eventually("the query runs", || running(&gate) == 1.0);
    drop(wire);
    eventually("the query is cancelled", || running(&gate) == 0.0);
    assert_eq!(gate.metric("tidegate_query_seconds_count", "result=\"cancelled\""), 1.0);
}

#[test]
fn so_many_queries_run_so_many_wait_and_the_rest_is_sent_away() {
    let gate = gate(&[("query.concurrency", "1"), ("query.queue", "1"), ("query.queue_timeout_ms", "20000")]);
    let mut runs = Wire::to(&gate, Listener::Cnosdb);
    runs.send(post("/api/v1/sql", &[], ENDLESS));
    eventually("one runs", || running(&gate) == 1.0);
    let mut waits = Wire::to(&gate, Listener::Cnosdb);
    waits.send(post("/api/v1/sql", &[], "select count(*) as n from t"));
    eventually("one waits", || gate.metric("tidegate_queries_queued", "") == 1.0);
    let answer = gate.ask_sql("public", "select 1").send().expect(429);
    assert_eq!(answer.cnosdb_error().0, "030024");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
    drop(runs);
    assert_eq!(waits.answer().expect(200).text(), "n\n3000\n");
}

#[test]
fn a_query_that_waits_too_long_for_its_turn_is_sent_away() {
    let gate = gate(&[("query.concurrency", "1"), ("query.queue_timeout_ms", "200")]);
    let mut runs = Wire::to(&gate, Listener::Cnosdb);
    runs.send(post("/api/v1/sql", &[], ENDLESS));
    eventually("one runs", || running(&gate) == 1.0);
    let answer = gate.ask_sql("public", "select 1").send().expect(429);
    assert_eq!(
        answer.cnosdb_error(),
        ("030024".into(), "the query waited 200 ms for its turn, try again later".into())
    );
    // Writes and refusals need no turn.
    gate.write("public", "u f=1 1");
    gate.get("/health").send().expect(200);
}

#[test]
fn a_client_that_leaves_the_queue_makes_room() {
    let gate = gate(&[("query.concurrency", "1"), ("query.queue", "1")]);
    let mut runs = Wire::to(&gate, Listener::Cnosdb);
    runs.send(post("/api/v1/sql", &[], ENDLESS));
    eventually("one runs", || running(&gate) == 1.0);
    let mut waits = Wire::to(&gate, Listener::Cnosdb);
    waits.send(post("/api/v1/sql", &[], "select 1"));
    let waiting = || gate.metric("tidegate_queries_queued", "");
    eventually("one waits", || waiting() == 1.0);
    drop(waits);
    eventually("none waits", || waiting() == 0.0);
}

#[test]
fn memory_is_limited_a_query_and_neighbours_do_not_notice() {
    let limit = (16 << 20).to_string();
    let gate = gate(&[("query.memory_bytes_per_query", &limit), ("query.temp_bytes_max", "0")]);
    let hungry =
        "select a.v, b.v, c.v from t a cross join t b cross join t c order by a.v + b.v + c.v, b.v limit 100000000";
    let (status, _, message) = gate.sql_error("public", hungry);
    assert!((400..500).contains(&status), "{status} {message}");
    assert!(message.contains("memory"), "{message}");
    assert_eq!(gate.sql("public", "select sum(v) as s from t"), "s\n4498500.0\n");
    eventually("no query runs", || running(&gate) == 0.0);
}

#[test]
fn what_does_not_fit_into_memory_goes_to_the_temporary_folder_and_leaves_it() {
    let limit = (16 << 20).to_string();
    let gate = gate(&[("query.memory_bytes_per_query", &limit)]);
    let large = "select count(*) as n from (select a.v as x, b.v as y from t a cross join t b where a.v < 400 \
                 order by a.v * b.v, b.v offset 1)";
    assert_eq!(gate.sql("public", large), "n\n1199999\n");
    eventually("no query runs", || running(&gate) == 0.0);
    let left: Vec<String> = gate.files().into_iter().filter(|file| file.starts_with("tmp/")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_client_that_stops_reading_does_not_hold_its_turn_for_ever() {
    let gate = gate(&[("query.timeout_ms", "1500"), ("query.concurrency", "1"), ("query.queue", "0")]);
    // A few rows are more than the buffers of the connection hold.
    gate.write("public", &format!("wide s=\"{}\" 1", "x".repeat(10_000)));
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(post("/api/v1/sql", &[], "select s, a.v as v from wide cross join t a cross join t b"));
    wire.head().expect(200);
    // It stays connected and reads no more.
    eventually("the query has ended", || running(&gate) == 0.0);
    assert_eq!(gate.sql("public", "select count(*) as n from t"), "n\n3000\n");
}
