//! A bit flipped in a segment's object, as the process and its clients see it.

use std::fs;
use std::path::PathBuf;

use crate::http_gate::{Gate, eventually};

const DAY_NS: u64 = 86_400_000_000_000;

/// The segments of table `m`, in order of their windows.
fn segments(gate: &Gate) -> Vec<PathBuf> {
    let files = gate.files().into_iter().filter(|file| file.contains("/m/") && file.ends_with(".parquet"));
    let mut files: Vec<PathBuf> = files.map(|file| gate.folder().join(file)).collect();
    files.sort();
    files
}

fn flip(path: &PathBuf) {
    let mut bytes = fs::read(path).unwrap();
    bytes[20] ^= 0x04;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_segment_fails_the_queries_that_need_it_and_nothing_else() {
    let settings = [
        ("compaction.interval_ms", "50"),
        ("compaction.files_min", "2"),
        ("buffer.flush_age_ms", "100"),
        ("buffer.flush_small_age_ms", "100"),
    ];
    let mut gate = Gate::with(&settings);
    let line = |day: u64, n: u64| format!("m,host=a n={n}.5 {}", day * DAY_NS + n);
    let days: Vec<String> = (0..3).flat_map(|day| (1..=3).map(move |n| line(day, n))).collect();
    gate.write("public", &days.join("\n"));
    gate.write("public", "other n=1 1\nother n=2 2");
    gate.wait_until_flushed();
    let files = segments(&gate);
    assert_eq!(files.len(), 3, "{files:?}");
    // A fresh process: nothing of the segments is in its memory.
    gate.ask_to_stop();
    gate.wait_for_exit();
    flip(&files[1]);
    gate.start_again();

    let name = files[1].strip_prefix(gate.store()).unwrap().to_str().unwrap().to_string();
    for _ in 0..3 {
        let (status, _, message) = gate.sql_error("public", "select sum(n) from m");
        assert_eq!(status, 500, "{message}");
        let named = message.contains(&name) && message.contains("the checksum of bytes 0..");
        assert!(named, "{message}");
    }
    let day = |day: u64| {
        let (from, to) = (day * DAY_NS, (day + 1) * DAY_NS);
        let time = format!("time >= to_timestamp_nanos({from}) and time < to_timestamp_nanos({to})");
        gate.sql("public", &format!("select sum(n) from m where {time}"))
    };
    for sound in [0, 2] {
        assert_eq!(day(sound), "sum(m.n)\n7.5\n", "day {sound}");
    }
    assert_eq!(gate.sql("public", "select sum(n) from other"), "sum(other.n)\n3.0\n");
    assert_eq!(gate.metric("tidegate_corrupt_segments", ""), 1.0);

    // Compaction meets it, goes around it, and merges what else there is.
    // As much as there was: a merge takes no segment that is larger than the others together.
    let more: Vec<String> = (4..=8).map(|n| line(2, n)).chain([line(1, 4)]).collect();
    gate.write("public", &more.join("\n"));
    gate.wait_until_flushed();
    eventually("a merge of the third day", || gate.metric("tidegate_compactions_total", "") >= 1.0);
    assert_eq!(day(2), "sum(m.n)\n40.0\n");
    assert!(files[1].exists(), "the damaged segment is kept for repair");

    let log = gate.log();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains(&name) && line.contains("a segment is damaged")).collect();
    assert_eq!(lines.len(), 1, "{log}");

    // Repaired, it answers at once.
    flip(&files[1]);
    assert_eq!(day(1), "sum(m.n)\n12.0\n");
}
