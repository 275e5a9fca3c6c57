//! The log's files after a crash: a tail that was being written is cut off, damage to what was durable stops the start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http_gate::{Gate, refused_start};

/// Rows stay in the log.
const UNFLUSHED: [(&str, &str); 2] = [("buffer.flush_age_ms", "3600000"), ("buffer.flush_small_age_ms", "3600000")];
const REQUESTS: u64 = 6;
const ROWS: u64 = 50;

/// Writes requests and kills the gateway. Returns where each record of the log starts, and where the last one ends.
fn killed_after_writing(gate: &mut Gate) -> (PathBuf, Vec<u64>) {
    let file = log_files(gate.folder()).pop().unwrap();
    let mut ends = vec![length(&file)];
    for request in 0..REQUESTS {
        let lines: Vec<String> =
            (0..ROWS).map(|row| format!("m,request={request} n={row}i {}", request * ROWS + row)).collect();
        gate.write("public", &lines.join("\n"));
        ends.push(length(&file));
    }
    kill(gate);
    assert_eq!(log_files(gate.folder()), std::slice::from_ref(&file), "all requests are in one file");
    (file, ends)
}

fn log_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("wal")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "wal")).collect();
    files.sort();
    files
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// SIGKILL.
fn kill(gate: &mut Gate) {
    let sent = Command::new("sh").args(["-c", &format!("kill -KILL {}", gate.process_id())]).status().unwrap();
    assert!(sent.success());
    gate.wait_for_exit();
}

fn cut(file: &Path, length: u64) {
    fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[track_caller]
fn check_requests(gate: &Gate, requests: u64, context: &str) {
    let found = gate.sql("public", "select request, count(*), sum(n) from m group by request order by request");
    let sum = ROWS * (ROWS - 1) / 2;
    let rows: String = (0..requests).map(|request| format!("{request},{ROWS},{sum}\n")).collect();
    let (_, found) = found.split_once('\n').unwrap();
    assert_eq!(found, rows, "{context}");
}

#[test]
fn a_torn_tail_is_cut_off_and_all_before_it_is_kept() {
    // What is left of the last record, of its bytes: all but one, half, less than its header.
    for left in [|bytes| bytes - 1, |bytes| bytes / 2, |_| 5] {
        let mut gate = Gate::with(&UNFLUSHED);
        let (file, ends) = killed_after_writing(&mut gate);
        let (start, end) = (ends[ends.len() - 2], ends[ends.len() - 1]);
        let length: u64 = start + left(end - start);
        cut(&file, length);
        gate.start_again();
        check_requests(&gate, REQUESTS - 1, &format!("record {start}..{end} cut at {length}"));
        // The log goes on, and is read past the cut.
        gate.write("public", &format!("m,request={REQUESTS} n=1i 1000000"));
        gate.kill_and_restart();
        assert_eq!(gate.sql("public", "select count(*) from m"), format!("count(*)\n{}\n", (REQUESTS - 1) * ROWS + 1));
    }
}

#[test]
fn damage_in_the_middle_stops_the_start_with_file_and_offset() {
    let mut gate = Gate::with(&UNFLUSHED);
    let (file, ends) = killed_after_writing(&mut gate);
    let whole = fs::read(&file).unwrap();
    for record in [0, 2] {
        let (start, end) = (ends[record], ends[record + 1]);
        // In the record's header, in the middle of it, and its last byte.
        for at in [start + 3, start + (end - start) / 2, end - 1] {
            let mut damaged = whole.clone();
            damaged[at as usize] ^= 0x20;
            fs::write(&file, &damaged).unwrap();
            let refused = start_over(&gate);
            let context = format!("byte {at} of record {start}..{end}: {refused}");
            assert!(refused.contains(file.to_str().unwrap()), "the file is not named; {context}");
            assert!(refused.contains(&format!("at byte {start}:")), "the offset is not told; {context}");
            assert_eq!(fs::read(&file).unwrap(), damaged, "the log was changed; {context}");
        }
    }
    fs::write(&file, &whole).unwrap();
    gate.start_again();
    check_requests(&gate, REQUESTS, "damage undone");
}

/// What a start over the gate's folder that must be refused says.
#[track_caller]
fn start_over(gate: &Gate) -> String {
    let store = format!("storage.url=file://{}", gate.store().display());
    let wal = format!("wal.dir={}", gate.folder().join("wal").display());
    let off = ["opentsdb", "tdengine", "cnosdb", "elasticsearch"].map(|listener| format!("listen.{listener}=off"));
    let mut arguments = vec!["serve", "--set", &store, "--set", &wal, "--set", "query.temp_dir={folder}/tmp"];
    arguments.extend(["--set", "listen.influxdb=127.0.0.1:0"]);
    off.iter().for_each(|setting| arguments.extend(["--set", setting.as_str()]));
    let refused = refused_start(&arguments);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    refused.stderr
}
