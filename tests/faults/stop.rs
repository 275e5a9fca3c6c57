//! SIGTERM under load: the process ends well, the log holds nothing that segments lack, all acknowledged rows are in them.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tidegate::config::Listener;

use super::ledger::{DATABASE, JOURNAL, Settle, Writer, cells, check_copies, check_visible};
use super::physical;
use crate::http_gate::Gate;

const WRITERS: usize = 6;

/// Some of the rows are in the log, some in segments, some on the way.
const BUSY: [(&str, &str); 4] = [
    ("buffer.flush_age_ms", "300"),
    ("buffer.flush_small_age_ms", "300"),
    ("wal.file_bytes", "1048576"),
    ("compaction.interval_ms", "100"),
];

#[test]
fn a_stop_under_load_leaves_every_acknowledged_row_in_segments() {
    for milliseconds in [30, 450, 900] {
        let mut gate = Gate::with(&BUSY);
        gate.create_database(DATABASE);
        gate.ask_to_stop();
        gate.wait_for_exit();
        physical::create_append_table(physical::store_in(gate.folder()), DATABASE, JOURNAL);
        gate.start_again();
        let context = format!("stopped after {milliseconds} ms");
        let mut writers = Writer::several(WRITERS, milliseconds);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let connection = gate.connect(Listener::Influxdb);
                scope.spawn(|| write_until_refused(connection, writer));
            }
            std::thread::sleep(Duration::from_millis(milliseconds));
            gate.ask_to_stop();
        });
        let status = gate.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{context}: {}", gate.log());
        let acknowledged: usize = writers.iter().map(Writer::acknowledged_batches).sum();
        assert!(acknowledged >= WRITERS, "{context}: only {acknowledged} batches were acknowledged");

        let copies = || physical::copies(gate.folder(), physical::store_in(gate.folder()), DATABASE);
        check_copies(&mut writers, copies(), &context);
        fs::remove_dir_all(gate.folder().join("wal")).unwrap();
        let context = format!("{context}, without the log");
        check_copies(&mut writers, copies(), &context);
        gate.start_again();
        check_visible(&mut writers, Settle::Yes, &context, |text| cells(&gate.sql(DATABASE, text)));
    }
}

/// Sends one batch after the other, until the gateway takes no more.
fn write_until_refused(connection: TcpStream, writer: &mut Writer) {
    let mut connection = BufReader::new(connection);
    loop {
        let lines = writer.begin();
        match post(&mut connection, &lines) {
            Ok(204) => writer.acknowledged(),
            Ok(503) | Err(_) => return,
            Ok(status) => panic!("{status} for {lines}"),
        }
    }
}

/// The answer's status.
fn post(connection: &mut BufReader<TcpStream>, lines: &str) -> io::Result<u16> {
    let head = format!("POST /write?db={DATABASE} HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n", lines.len());
    connection.get_mut().write_all(format!("{head}{lines}").as_bytes())?;
    let mut status = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        } else if line.is_empty() {
            break;
        }
    }
    io::copy(&mut connection.take(length), &mut io::sink())?;
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
