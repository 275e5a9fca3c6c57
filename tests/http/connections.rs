//! Connections: many requests on one, in order; and none may be held by saying little or nothing.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use tidegate::config::Listener;

use super::wire::{Wire, get, post};
use crate::http_gate::Gate;

const A_WHILE: Duration = Duration::from_millis(500);
const FAR_TOO_LONG: Duration = Duration::from_secs(8);

#[test]
fn a_connection_serves_many_requests() {
    let gate = Gate::start();
    gate.create_database("d");
    for listener in [Listener::Influxdb, Listener::Cnosdb] {
        let mut wire = Wire::to(&gate, listener);
        for i in 0..20 {
            wire.send(post("/write?db=d", &[], format!("m f={i} {i}")));
            wire.answer().expect(204);
            wire.send(post("/api/v1/sql?db=d", &[], "select max(f) as f from m"));
            let text = wire.answer().expect(200).text();
            assert!(text.starts_with("f\n"), "{text}");
        }
        // Refusals do not end the connection either.
        wire.send(post("/write?db=d", &[], "m f="));
        wire.answer().expect(400);
        wire.send(get("/nowhere", &[]));
        wire.answer().expect(404);
        wire.send(get("/ping", &[]));
        wire.answer().expect(204);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let gate = Gate::start();
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    let mut all = Vec::new();
    for i in 0..8 {
        let id = i.to_string();
        all.extend(post("/write?db=d", &[("X-Request-Id", &id)], format!("m,n={i} f={i} {i}")));
        all.extend(get(&format!("/ping?verbose={}", i % 2), &[("X-Request-Id", &id)]));
        all.extend(post("/api/v1/sql?db=d", &[], format!("select n from m where n = '{i}'")));
    }
    wire.send(&all);
    for i in 0..8 {
        let id = i.to_string();
        assert_eq!(wire.answer().expect(204).header("x-request-id"), Some(&*id));
        assert_eq!(wire.answer().expect(if i % 2 == 0 { 204 } else { 200 }).header("x-request-id"), Some(&*id));
        assert_eq!(wire.answer().expect(200).text(), format!("n\n{i}\n"));
    }
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let gate = Gate::start();
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    for byte in post("/write?db=d", &[], "m f=1 1") {
        wire.send([byte]);
    }
    wire.answer().expect(204);
}

#[test]
fn a_client_that_wants_to_close_is_closed_after_its_answer() {
    let gate = Gate::start();
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(get("/ping", &[("Connection", "close")]));
    wire.answer().expect(204);
    assert_eq!(wire.read_until_closed().0, b"");
    let mut old = Wire::to(&gate, Listener::Influxdb);
    old.send("GET /ping HTTP/1.0\r\n\r\n");
    old.answer().expect(204);
    assert_eq!(old.read_until_closed().0, b"");
}

#[test]
fn a_head_that_takes_too_long_is_cut() {
    let gate = Gate::with(&[("server.client_header_timeout_ms", "400")]);
    for said in ["", "GET", "GET /ping HTTP/1.1\r\nHost: gate\r\nX-Slow: "] {
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        wire.send(said);
        let (_, took) = wire.read_until_closed();
        assert!(took < FAR_TOO_LONG, "{said:?}: {took:?}");
    }
}

#[test]
fn a_head_that_trickles_is_cut_too() {
    let gate = Gate::with(&[("server.client_header_timeout_ms", "400")]);
    let mut stream = gate.connect(Listener::Influxdb);
    stream.write_all(b"GET /ping HTTP/1.1\r\n").unwrap();
    let cut = (0..40).any(|i| {
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(format!("X-Slow-{i}: x\r\n").as_bytes()).is_err()
    });
    assert!(cut, "a head of four seconds was taken");
}

/// FIXME: the HTTP library times the head of a connection's first request only. Right would be to close here as well.
#[test]
fn the_head_of_a_later_request_is_not_timed_yet() {
    let gate = Gate::with(&[("server.client_header_timeout_ms", "200"), ("server.keep_alive_secs", "2")]);
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(get("/ping", &[]));
    wire.answer().expect(204);
    wire.send("GET /ping HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    std::thread::sleep(A_WHILE);
    wire.send("x\r\n\r\n");
    wire.answer().expect(204);
}

#[test]
fn an_idle_connection_is_closed() {
    let gate = Gate::with(&[("server.keep_alive_secs", "1")]);
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(get("/ping", &[]));
    wire.answer().expect(204);
    let (rest, took) = wire.read_until_closed();
    assert_eq!(rest, b"");
    assert!(took > A_WHILE && took < FAR_TOO_LONG, "{took:?}");
}

#[test]
fn without_keep_alive_every_answer_closes() {
    let gate = Gate::with(&[("server.keep_alive_secs", "0")]);
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(get("/api/v1/ping", &[]));
    assert_eq!(wire.answer().expect(200).header("connection"), Some("close"));
    assert!(wire.read_until_closed().1 < FAR_TOO_LONG);
}

#[test]
fn what_is_no_http_is_refused_and_harms_no_one() {
    let gate = Gate::start();
    let giant = format!("GET /ping HTTP/1.1\r\nX-Giant: {}\r\n\r\n", "x".repeat(300_000));
    for nonsense in ["\0\u{1}\u{2}\r\n\r\n", "put m 1 1 host=a\r\n\r\n", "GET /ping HTTP/9.9\r\n\r\n", &giant] {
        let mut stream = gate.connect(Listener::Influxdb);
        let _ = stream.write_all(nonsense.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let (said, _) = Wire::over(stream).read_until_closed();
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.0 4"), "{said}");
    }
    gate.get("/ping").send().expect(204);
}

#[test]
fn a_listener_serves_only_so_many_connections_and_the_next_one_waits() {
    let gate = Gate::with(&[("server.max_connections", "1"), ("server.workers", "2")]);
    let mut first = Wire::to(&gate, Listener::Influxdb);
    first.send(get("/ping", &[]));
    first.answer().expect(204);
    let mut second = Wire::to(&gate, Listener::Influxdb);
    second.send(get("/ping", &[]));
    assert!(second.is_silent_for(A_WHILE), "a second connection was served beside the only one");
    drop(first);
    second.answer().expect(204);
}

#[test]
fn the_same_parameter_twice_means_the_first() {
    let gate = Gate::start();
    gate.create_database("d");
    let answer = gate.post("/write?db=d&db=other&precision=s&precision=h", "m f=1 1").send().expect(204);
    assert_eq!(answer.header("x-influxdb-version"), Some("1.8.10"));
    assert_eq!(gate.sql("d", "select time from m"), "time\n1970-01-01T00:00:01.000000000\n");
}

#[test]
fn a_query_string_that_cannot_be_read_is_refused_in_the_protocols_words() {
    let gate = Gate::start();
    for path in ["/write?db=%ff%fe", "/write?db=%zz", "/query?q=%ff"] {
        let answer = gate.post(path, "m f=1 1").send();
        assert!((400..500).contains(&answer.status), "{answer}");
        answer.influxdb_error();
    }
    let answer = gate.post("/api/v1/sql?db=%ff", "select * from t").send();
    assert!((400..500).contains(&answer.status), "{answer}");
    answer.cnosdb_error();
}
