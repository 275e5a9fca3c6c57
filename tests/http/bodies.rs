//! Request bodies: packed in any way we speak, whole or in chunks, and never larger or slower than the limits.

use std::io::Write;
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use super::wire::{Wire, chunk_of, chunked_head, post};
use crate::http_gate::Gate;

const LIMIT: usize = 100_000;

/// A gateway whose bodies may have [`LIMIT`] bytes.
fn gate_with_limit() -> Gate {
    let limit = LIMIT.to_string();
    Gate::with(&[
        ("limits.body_bytes_max", &limit),
        ("limits.write_body_bytes_max", &limit),
        ("limits.sql_body_bytes_max", &limit),
    ])
}

/// `bytes` packed in each way, under the name that headers have for it.
fn packed(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = flate2::Compression::default();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    gzip.write_all(bytes).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(bytes).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
    raw.write_all(bytes).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(bytes).unwrap();
    let mut br = Vec::new();
    brotli::BrotliCompress(
        &mut &bytes[..],
        &mut br,
        &brotli::enc::BrotliEncoderParams { quality: 4, ..Default::default() },
    )
    .unwrap();
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("br", br),
        ("zstd", zstd::encode_all(bytes, 3).unwrap()),
        ("lz4", lz4.finish().unwrap()),
    ]
}

#[test]
fn packed_writes_and_statements_are_read() {
    let gate = Gate::start();
    gate.create_database("d");
    for (i, (encoding, _)) in packed(b"").into_iter().enumerate() {
        let line = format!("m,way={i} v={i} 1");
        let body = packed(line.as_bytes()).swap_remove(i).1;
        gate.post("/write?db=d", &body).header("Content-Encoding", encoding).send().expect(204);
        let statement = format!("select v from m where way = '{i}'");
        let body = packed(statement.as_bytes()).swap_remove(i).1;
        let ask = gate.post("/api/v1/sql?db=d", &body).header("Content-Encoding", &encoding.to_uppercase());
        assert_eq!(ask.send().expect(200).text(), format!("v\n{i}.0\n"), "{encoding}");
        let line = format!("m,way=c{i} v={i} 1");
        let body = packed(line.as_bytes()).swap_remove(i).1;
        gate.post("/api/v1/write?db=d", &body).header("Content-Encoding", encoding).send().expect(200);
    }
    gate.post("/write?db=d", "m,way=plain v=1 1").header("Content-Encoding", "identity").send().expect(204);
    assert_eq!(gate.sql("d", "select count(*) as n from m"), "n\n13\n");
}

#[test]
fn a_small_body_that_unpacks_beyond_the_limit_is_refused() {
    let gate = gate_with_limit();
    gate.create_database("d");
    let comment = format!("#{}\nm f=1 1\n", "x".repeat(10 * LIMIT));
    for (encoding, bomb) in packed(comment.as_bytes()) {
        assert!(bomb.len() < LIMIT, "{encoding} is no bomb: {}", bomb.len());
        let answer = gate.post("/write?db=d", &bomb).header("Content-Encoding", encoding).send().expect(413);
        assert_eq!(answer.influxdb_error(), "Request Entity Too Large");
        for path in ["/api/v1/write?db=d", "/api/v1/sql?db=d"] {
            gate.post(path, &bomb).header("Content-Encoding", encoding).send().expect(413).cnosdb_error();
        }
    }
    assert_eq!(gate.sql("d", "show tables"), "table_name\n");
}

#[test]
fn a_body_of_exactly_the_limit_is_taken_and_one_more_byte_is_not() {
    let gate = gate_with_limit();
    gate.create_database("d");
    let body = |length: usize| format!("m f=1 1\n#{}", "x".repeat(length - 9));
    for (path, taken) in [("/write?db=d", 204), ("/api/v2/write?bucket=d", 204), ("/api/v1/write?db=d", 200)] {
        gate.post(path, body(LIMIT)).send().expect(taken);
        gate.post(path, body(LIMIT + 1)).send().expect(413);
    }
    let statement = |length: usize| format!("select 1 --{}", "x".repeat(length - 11));
    gate.post("/api/v1/sql", statement(LIMIT)).send().expect(200);
    gate.post("/api/v1/sql", statement(LIMIT + 1)).send().expect(413);
}

#[test]
fn an_announced_giant_is_refused_before_it_is_sent() {
    let gate = gate_with_limit();
    gate.create_database("d");
    for path in ["/write?db=d", "/api/v1/write?db=d", "/api/v1/sql"] {
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        let started = Instant::now();
        wire.send(format!("POST {path} HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n", LIMIT + 1));
        wire.answer().expect(413);
        assert!(started.elapsed() < Duration::from_secs(5), "{path} waited for the body");
    }
}

#[test]
fn a_client_that_asks_first_sends_its_body_only_then() {
    let gate = gate_with_limit();
    gate.create_database("d");
    let head = |length: usize| {
        format!("POST /write?db=d HTTP/1.1\r\nHost: gate\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(head(7));
    wire.head().expect(100);
    wire.send("m f=1 1");
    wire.answer().expect(204);
}

#[test]
fn chunks_are_put_together_wherever_they_are_cut() {
    let gate = gate_with_limit();
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(chunked_head("/write?db=d"));
    for byte in b"m,host=a v=1 1\nm,host=b v=2 2" {
        wire.send(chunk_of(&[*byte]));
    }
    wire.send(chunk_of(b""));
    wire.answer().expect(204);
    assert_eq!(gate.sql("d", "select host, v from m order by host"), "host,v\na,1.0\nb,2.0\n");
}

#[test]
fn chunks_are_counted_as_they_arrive() {
    let gate = gate_with_limit();
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(chunked_head("/write?db=d"));
    for _ in 0..LIMIT / 10_000 + 1 {
        wire.send(chunk_of(&[b'#'; 10_000]));
    }
    // The end of the body is never sent.
    assert_eq!(wire.answer().expect(413).influxdb_error(), "Request Entity Too Large");
}

#[test]
fn encodings_nobody_knows_are_refused_by_name() {
    let gate = Gate::start();
    gate.create_database("d");
    let answer = gate.post("/write?db=d", "m f=1").header("Content-Encoding", "zip").send().expect(400);
    assert_eq!(answer.influxdb_error(), "unsupported content encoding \"zip\"");
    for path in ["/api/v1/write", "/api/v1/sql"] {
        let answer = gate.post(path, "select 1").header("Content-Encoding", "zip").send().expect(400);
        let (code, message) = answer.cnosdb_error();
        assert_eq!((&*code, &*message), ("040005", "Invalid header: content encoding not support: zip"));
    }
}

#[test]
fn packed_bodies_that_are_damaged_are_refused_and_nothing_is_stored() {
    let gate = Gate::start();
    gate.create_database("d");
    let line = b"m,host=a v=1 1\n".repeat(100);
    let gzip = packed(&line).swap_remove(0).1;
    for (body, text) in [
        (b"measurement f=1 1".to_vec(), "gzip: invalid header"),
        (gzip[..gzip.len() - 10].to_vec(), "unexpected EOF"),
        (gzip[..5].to_vec(), "unexpected EOF"),
        (Vec::new(), "EOF"),
    ] {
        let answer = gate.post("/write?db=d", &body).header("Content-Encoding", "gzip").send().expect(400);
        assert_eq!(answer.influxdb_error(), text, "{body:?}");
    }
    for (encoding, whole) in packed(&line) {
        let half = &whole[..whole.len() / 2];
        gate.post("/write?db=d", half).header("Content-Encoding", encoding).send().expect(400);
        let answer = gate.post("/api/v1/write?db=d", half).header("Content-Encoding", encoding).send().expect(400);
        assert_eq!(answer.cnosdb_error().0, "040013");
    }
    assert_eq!(gate.sql("d", "show tables"), "table_name\n");
}

#[test]
fn a_body_that_takes_too_long_is_given_up() {
    let gate = Gate::with(&[("server.client_body_timeout_ms", "300")]);
    gate.create_database("d");
    for (path, influxdb) in [("/write?db=d", true), ("/api/v1/write?db=d", false)] {
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        let started = Instant::now();
        wire.send(format!("POST {path} HTTP/1.1\r\nHost: gate\r\nContent-Length: 100\r\n\r\nm f=1 1\n"));
        let answer = wire.answer().expect(408);
        if influxdb {
            assert_eq!(answer.influxdb_error(), "timeout");
        }
        assert!((300..5_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    }
    assert_eq!(gate.sql("d", "show tables"), "table_name\n");
}

#[test]
fn a_body_that_breaks_off_stores_nothing() {
    let gate = Gate::start();
    gate.create_database("d");
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    wire.send(chunked_head("/write?db=d"));
    wire.send(chunk_of(b"m f=1 1\n"));
    drop(wire);
    let mut wire = Wire::to(&gate, Listener::Influxdb);
    let request = post("/write?db=d", &[], "m f=1 1\nm f=2 2");
    wire.send(&request[..request.len() - 7]);
    drop(wire);
    gate.write("d", "other f=1 1");
    assert_eq!(gate.sql("d", "show tables"), "table_name\nother\n");
}

/// A client that reads only after it has sent everything must not find the connection broken instead of an answer.
#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let gate = Gate::start();
    let comments = format!("#{}\n", "x".repeat(999)).repeat(20_000);
    for (path, status) in [
        ("/write?db=missing", 404),
        ("/write", 400),
        ("/api/v1/write?precision=x", 400),
        ("/nowhere", 404),
        ("/ping", 405),
    ] {
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        wire.send(post(path, &[], &comments));
        wire.answer().expect(status);
    }
    let gate = gate_with_limit();
    gate.create_database("d");
    for path in ["/write?db=d", "/api/v1/write?db=public"] {
        let mut wire = Wire::to(&gate, Listener::Influxdb);
        wire.send(post(path, &[], &comments));
        wire.answer().expect(413);
    }
}
