//! Answers of `/api/v1/sql`: their forms, how they are packed, and that they flow while rows are still being made.

use std::io::Read;
use std::net::TcpStream;

use tidegate::config::Listener;

use super::wire::{Wire, post};
use crate::http_gate::{Gate, eventually};

const ENCODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "lz4"];

/// Unpacks a stream that may not have ended yet.
fn unpacking<'a>(encoding: &str, bytes: &'a [u8]) -> Box<dyn Read + 'a> {
    match encoding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "deflate" => Box::new(flate2::read::DeflateDecoder::new(bytes)),
        "br" => Box::new(brotli::Decompressor::new(bytes, 4096)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
        "lz4" => Box::new(lz4_flex::frame::FrameDecoder::new(bytes)),
        _ => Box::new(bytes),
    }
}

/// As much as can be unpacked of a stream that was cut.
fn unpacked_so_far(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = unpacking(encoding, bytes);
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        text.extend_from_slice(&piece[..length]);
    }
    text
}

fn gate_with_every_type() -> Gate {
    let gate = Gate::start();
    gate.create_database("d");
    let lines = "t,host=a f=1.5,i=-7i,u=18446744073709551615u,b=true,s=\"x, \\\"y\" 1673712000000000000\n\
                 t,host=b f=1e-7 1673712180500000000\n";
    gate.post("/api/v1/write?db=d", lines).send().expect(200);
    gate
}

const ALL_ROWS: &str = "select time, host, f, i, u, b, s from t order by time";

#[test]
fn rows_come_in_the_form_that_was_asked_for() {
    let gate = gate_with_every_type();
    let csv = "time,host,f,i,u,b,s\n\
               2023-01-14T16:00:00.000000000,a,1.5,-7,18446744073709551615,true,\"x, \"\"y\"\n\
               2023-01-14T16:03:00.500000000,b,1e-7,,,,\n";
    let first =
        r#"{"time":"2023-01-14T16:00:00","host":"a","f":1.5,"i":-7,"u":18446744073709551615,"b":true,"s":"x, \"y"}"#;
    let second = r#"{"time":"2023-01-14T16:03:00.500","host":"b","f":1e-7}"#;
    let tsv = "time\thost\tf\ti\tu\tb\ts\n\
               2023-01-14T16:00:00.000000000\ta\t1.5\t-7\t18446744073709551615\ttrue\t\"x, \"\"y\"\n\
               2023-01-14T16:03:00.500000000\tb\t1e-7\t\t\t\t\n";
    let check = |accept: &str, content_type: &str, text: &str| {
        let answer = gate.ask_sql("d", ALL_ROWS).header("Accept", accept).send().expect(200);
        assert_eq!(answer.header("content-type"), Some(content_type), "{answer}");
        assert_eq!(answer.text(), text, "{accept}");
    };
    check("*/*", "text/csv", csv);
    check("application/csv", "text/csv", csv);
    check("text/tsv", "text/tsv", tsv);
    check("application/json", "application/json", &format!("[{first},{second}]"));
    check("application/nd-json", "application/nd-json", &format!("{first}\n{second}\n"));
    check("application/x-ndjson", "application/nd-json", &format!("{first}\n{second}\n"));
    check("application/json, text/plain, */*", "application/json", &format!("[{first},{second}]"));
}

#[test]
fn a_table_is_drawn() {
    let gate = gate_with_every_type();
    let statement = "select time, host, i from t order by time";
    let answer = gate.ask_sql("d", statement).header("Accept", "application/table").send().expect(200);
    assert_eq!(answer.header("content-type"), Some("text/table"));
    let drawn = "+-------------------------+------+----+\n\
                 | time                    | host | i  |\n\
                 +-------------------------+------+----+\n\
                 | 2023-01-14T16:00:00     | a    | -7 |\n\
                 | 2023-01-14T16:03:00.500 | b    |    |\n\
                 +-------------------------+------+----+";
    assert_eq!(answer.text().trim_end(), drawn);
}

#[test]
fn no_rows_are_still_a_whole_answer() {
    let gate = gate_with_every_type();
    let none = "select host, f from t where f > 1000";
    for (accept, text) in
        [("text/csv", "host,f\n"), ("text/tsv", "host\tf\n"), ("text/json", "[]"), ("text/nd-json", "")]
    {
        let answer = gate.ask_sql("d", none).header("Accept", accept).send().expect(200);
        assert_eq!(answer.text(), text, "{accept}");
    }
}

#[test]
fn forms_nobody_knows_are_refused_before_the_statement_runs() {
    let gate = Gate::start();
    let answer = gate.ask_sql("public", "create database made").header("Accept", "image/png").send().expect(400);
    let (code, message) = answer.cnosdb_error();
    assert_eq!(code, "040005");
    assert_eq!(message, "Invalid header: Invalid header: accept type not support: image/png");
    assert!(!gate.sql("public", "show databases").contains("made"));
}

#[test]
fn changes_answer_empty() {
    let gate = Gate::start();
    for statement in
        ["create database a", "create database if not exists a", "drop database a", "drop database if exists a"]
    {
        let answer = gate.ask_sql("public", statement).header("Accept", "application/json").send().expect(200);
        assert_eq!(answer.text(), "", "{statement}");
    }
    let (status, code, message) = gate.sql_error("public", "drop database a");
    assert_eq!((status, &*code, &*message), (422, "030017", "Database not found: \"a\""));
    gate.sql("public", "create database a");
    let (status, code, message) = gate.sql_error("public", "create database a");
    assert_eq!((status, &*code, &*message), (422, "030018", "Database \"a\" already exists"));
}

#[test]
fn answers_are_packed_as_the_client_likes() {
    let gate = gate_with_every_type();
    let plain = gate.sql("d", ALL_ROWS);
    for encoding in ENCODINGS {
        let answer = gate.ask_sql("d", ALL_ROWS).header("Accept-Encoding", encoding).send().expect(200);
        assert_eq!(answer.header("content-encoding"), Some(encoding), "{answer}");
        let mut text = String::new();
        unpacking(encoding, &answer.body).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain, "{encoding}");
    }
    for (accepted, encoding) in
        [("snappy, br;q=0.5, gzip", "br"), ("deflate, gzip, br, zstd", "deflate"), ("identity", "identity")]
    {
        let answer = gate.ask_sql("d", ALL_ROWS).header("Accept-Encoding", accepted).send().expect(200);
        assert_eq!(answer.header("content-encoding"), Some(encoding), "{answer}");
    }
    for accepted in ["lzma", "*", "gzip;q=0"] {
        let answer = gate.ask_sql("d", ALL_ROWS).header("Accept-Encoding", accepted).send().expect(200);
        assert_eq!(answer.header("content-encoding"), None, "{answer}");
        assert_eq!(answer.text(), plain);
    }
}

#[test]
fn errors_are_plain_json_whatever_was_accepted() {
    let gate = Gate::start();
    let answer = gate
        .ask_sql("public", "select * from missing")
        .header("Accept", "text/csv")
        .header("Accept-Encoding", "gzip")
        .send()
        .expect(422);
    assert_eq!(answer.header("content-encoding"), None, "{answer}");
    let (code, message) = answer.cnosdb_error();
    assert_eq!((&*code, &*message), ("030019", "Table not found: \"cnosdb.public.missing\""));
}

/// Nine million rows, far more than the buffers of a socket hold.
fn gate_with_a_long_answer() -> Gate {
    let gate = Gate::start();
    gate.create_database("d");
    let lines: String = (0..3_000).map(|i| format!("t v={}.25 {i}\n", i * 7919 % 3_001)).collect();
    gate.write("d", &lines);
    gate
}

const LONG: &str = "select a.v as v, b.v as w from t a cross join t b";

fn running(gate: &Gate) -> f64 {
    gate.metric("tidegate_queries_running", "")
}

/// Asks for the long answer and reads until `enough` of its text is there.
fn read_a_little(gate: &Gate, encoding: &str, enough: usize) -> Wire<TcpStream> {
    let mut wire = Wire::to(gate, Listener::Cnosdb);
    wire.send(post("/api/v1/sql?db=d", &[("Accept-Encoding", encoding)], LONG));
    let head = wire.head().expect(200);
    assert_eq!(head.header("content-encoding"), Some(encoding), "{head}");
    let mut received = Vec::new();
    loop {
        let piece = wire.chunk();
        assert!(!piece.is_empty(), "the answer ended");
        received.extend(piece);
        let text = unpacked_so_far(encoding, &received);
        if text.len() >= enough {
            assert!(text.starts_with(b"v,w\n"), "{:?}", String::from_utf8_lossy(&text[..100]));
            return wire;
        }
    }
}

#[test]
fn the_first_rows_leave_before_the_last_is_made() {
    let gate = gate_with_a_long_answer();
    let _wire = read_a_little(&gate, "identity", 20_000);
    // The client does not read on, so the query cannot have ended.
    assert_eq!(running(&gate), 1.0);
}

#[test]
fn packed_answers_flow_too_and_a_client_that_leaves_ends_its_query() {
    let gate = gate_with_a_long_answer();
    for encoding in ["gzip", "deflate", "br", "zstd", "lz4"] {
        let wire = read_a_little(&gate, encoding, 1_000);
        assert_eq!(running(&gate), 1.0, "{encoding}");
        drop(wire);
        eventually("the query is cancelled", || running(&gate) == 0.0);
    }
    let cancelled = gate.metric("tidegate_query_seconds_count", "result=\"cancelled\"");
    assert_eq!(cancelled, 5.0);
}
