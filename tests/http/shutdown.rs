//! A stop in order: no new connections, requests under way are answered, rows go to the store, status 0.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use super::wire::{Wire, get, post};
use crate::http_gate::{Gate, eventually};

#[test]
fn a_write_under_way_is_answered_and_kept() {
    let mut gate = Gate::start();
    gate.create_database("d");
    let request = post("/write?db=d", &[], "m f=1 1\nm f=2 2");
    let (first, second) = request.split_at(request.len() - 8);
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(first);
    std::thread::sleep(Duration::from_millis(200));
    gate.ask_to_stop();
    let address = gate.address(Listener::Influxdb);
    eventually("no new connections are taken", || TcpStream::connect(address).is_err());
    wire.send(second);
    wire.answer().expect(204);
    let status = gate.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    gate.start_again();
    assert_eq!(gate.sql("d", "select f from m order by time"), "f\n1.0\n2.0\n");
}

#[test]
fn a_query_under_way_is_answered() {
    let mut gate = Gate::start();
    let lines: String = (0..1_500).map(|i| format!("t v={i} {i}\n")).collect();
    gate.write("public", &lines);
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(post("/api/v1/sql", &[], "select count(*) as n from t a cross join t b where a.v * b.v >= 0"));
    eventually("the query runs", || gate.metric("tidegate_queries_running", "") == 1.0);
    gate.ask_to_stop();
    assert_eq!(wire.answer().expect(200).text(), "n\n2250000\n");
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
}

#[test]
fn a_stop_leaves_all_rows_in_the_store_and_none_in_the_log() {
    let mut gate = Gate::start();
    gate.write("public", "m f=1 1\nn f=2 2");
    assert!(!gate.files().iter().any(|file| file.ends_with(".parquet")));
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
    let segments = gate.files().iter().filter(|file| file.ends_with(".parquet")).count();
    assert_eq!(segments, 2);
    std::fs::remove_dir_all(gate.folder().join("wal")).unwrap();
    gate.start_again();
    assert_eq!(gate.sql("public", "select f from m union all select f from n order by f"), "f\n1.0\n2.0\n");
}

#[test]
fn idle_connections_do_not_hold_up_a_stop() {
    let mut gate = Gate::start();
    let mut idle: Vec<Wire<TcpStream>> = Listener::ALL.iter().map(|listener| Wire::to(&gate, *listener)).collect();
    for wire in &mut idle {
        wire.send(get("/ping", &[]));
        wire.answer().expect(204);
    }
    let _silent = gate.connect(Listener::Influxdb);
    let started = Instant::now();
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_request_that_does_not_end_is_cut_after_a_while() {
    let mut gate = Gate::with(&[("server.shutdown_timeout_secs", "1")]);
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send("POST /write?db=d HTTP/1.1\r\nHost: gate\r\nContent-Length: 100\r\n\r\nm f=1");
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
