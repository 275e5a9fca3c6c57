//! A stop in order: no new connections, requests under way are answered, rows go to the store, status 0.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use super::wire::{Wire, get, post};
use crate::http_gate::{Gate, eventually};

/// A write of two points whose last byte is not sent yet; the gateway has begun to read it.
fn write_without_its_end(gate: &Gate) -> Wire<TcpStream> {
    gate.create_database("d");
    let mut wire = Wire::to(gate, Listener::Influxdb);
    wire.send("POST /write?db=d HTTP/1.1\r\nHost: gate\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
    wire.head().expect(100);
    wire.send("m f=1 1\nm f=2 ");
    wire
}

#[test]
fn a_write_under_way_is_answered_and_kept() {
    let mut gate = Gate::start();
    let mut wire = write_without_its_end(&gate);
    gate.ask_to_stop();
    let address = gate.address(Listener::Influxdb);
    eventually("no new connections are taken", || TcpStream::connect(address).is_err());
    wire.send("2");
    wire.answer().expect(204);
    let status = gate.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{}", gate.log());
    gate.start_again();
    assert_eq!(gate.sql("d", "select f from m order by time"), "f\n1.0\n2.0\n");
}

#[test]
fn an_answer_under_way_comes_to_its_end() {
    let mut gate = Gate::start();
    let lines: String = (0..3_000).map(|i| format!("t v={i}i {i}\n")).collect();
    gate.write("public", &lines);
    // Far more than the buffers of the connection hold.
    gate.write("public", &format!("wide s=\"{}\" 1", "x".repeat(10_000)));
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(post("/api/v1/sql", &[], "select v, s from t cross join wide"));
    wire.head().expect(200);
    gate.ask_to_stop();
    let address = gate.address(Listener::Cnosdb);
    eventually("no new connections are taken", || TcpStream::connect(address).is_err());
    let mut lines = 0;
    loop {
        let piece = wire.chunk();
        if piece.is_empty() {
            break;
        }
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines, 3_001);
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
    let _wire = write_without_its_end(&gate);
    let started = Instant::now();
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{}", gate.log());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
