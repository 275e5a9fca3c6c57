//! When rows cannot leave memory or the log, writers are told to come back later, readers are served, nothing is lost.

use std::fs;
use std::io::ErrorKind;

use crate::http_gate::{Gate, eventually};

/// Lines of one request: a thousand points that do not pack well.
fn lines(request: u64) -> String {
    let mut state = request.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..1_000)
        .map(|i| format!("m,host=h{} a={},b=\"{:016x}\" {}\n", i % 10, noise() as u32, noise(), request * 1_000 + i))
        .collect()
}

/// A gateway whose segments cannot be stored: their folder's name is taken by a file.
fn gate_that_cannot_flush(settings: &[(&str, &str)]) -> Gate {
    let gate = Gate::with(settings);
    gate.create_database("d");
    match fs::remove_dir_all(gate.store().join("data")) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => fs::write(gate.store().join("data"), "in the way").unwrap(),
    }
    gate
}

/// Writes until one is refused; how many were accepted.
fn fill(gate: &Gate) -> u64 {
    for request in 0..2_000 {
        let answer = gate.post("/write?db=d", lines(request)).send();
        match answer.status {
            204 => {}
            503 => {
                assert!(answer.influxdb_error().len() > 10, "{answer}");
                assert_eq!(answer.header("retry-after"), Some("1"), "{answer}");
                return request;
            }
            _ => panic!("{answer}"),
        }
    }
    panic!("the budget was never used up");
}

/// What holds while the budget is used up, and after it is not any more.
fn refuses_keeps_and_recovers(mut gate: Gate, budget: &str) {
    let accepted = fill(&gate);
    assert!(accepted > 0);
    let label = format!("budget=\"{budget}\"");
    assert!(gate.metric("tidegate_write_requests_refused_total", &label) >= 1.0);
    let refused = gate.post("/api/v1/write?db=d", lines(1_999)).send().expect(429);
    assert_eq!((refused.cnosdb_error().0.as_str(), refused.header("retry-after")), ("030024", Some("1")), "{refused}");
    let expected = |requests: u64| format!("n\n{}\n", requests * 1_000);
    let count = "select count(*) as n from m";
    assert_eq!(gate.sql("d", count), expected(accepted));
    gate.get("/health").send().expect(200);
    eventually("a flush has failed", || gate.metric("tidegate_flush_failures_total", "") >= 1.0);
    // What was accepted outlives the process although no segment holds it.
    gate.kill_and_restart();
    assert_eq!(gate.sql("d", count), expected(accepted));
    fs::remove_file(gate.store().join("data")).unwrap();
    eventually("writes are taken again", || gate.post("/write?db=d", lines(accepted)).send().status == 204);
    gate.wait_until_flushed();
    assert_eq!(gate.sql("d", count), expected(accepted + 1));
    assert_eq!(gate.sql("d", "select count(distinct b) as n from m"), expected(accepted + 1));
}

const OFTEN: [(&str, &str); 2] = [("buffer.flush_age_ms", "50"), ("buffer.flush_small_age_ms", "50")];

#[test]
fn a_full_buffer_sends_writers_away_until_flushes_work() {
    let mut settings = OFTEN.to_vec();
    settings.extend([
        ("buffer.budget_bytes", "1048576"),
        ("buffer.flush_bytes", "1048576"),
        ("buffer.flush_small_bytes", "1048576"),
        ("limits.body_bytes_max", "1048576"),
        ("limits.write_body_bytes_max", "1048576"),
    ]);
    refuses_keeps_and_recovers(gate_that_cannot_flush(&settings), "buffer");
}

#[test]
fn a_full_log_sends_writers_away_until_flushes_work() {
    let mut settings = OFTEN.to_vec();
    settings.extend([("wal.budget_bytes", "2097152"), ("wal.file_bytes", "1048576")]);
    refuses_keeps_and_recovers(gate_that_cannot_flush(&settings), "wal");
}
