//! OpenTSDB's lines over many connections that end as connections do: closed in order, cut within a line, or reset.
//!
//! A session is a series of its own, whose points are numbered in order of sending, with the number as value and as seconds. Of
//! a session that was closed in order every line is stored; of any other the lines up to some point. Nothing is stored twice, and
//! no part of a line as a point.

use std::collections::HashMap;
use std::io::{BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate::config::Listener;

use crate::http_gate::{Gate, eventually};

const BASE_SECONDS: u64 = 1_700_000_000;
const CONNECTIONS: u64 = 100;
const SESSION_LINES_MAX: u64 = 3_000;
/// Lines altogether; `TIDEGATE_TELNET_LINES` says another number.
const LINES: u64 = 60_000;
const MIB: u64 = 1024 * 1024;
const BUFFER_BYTES: u64 = 16 * MIB;
/// What connections and queues may take besides: 100 of them hold some hundred KiB each, and the engine's own memory grows.
const BESIDES: u64 = 240 * MIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Closed for writing, then by the server when it has read everything.
    InOrder,
    /// Closed in the middle of a line.
    Cut,
    /// Closed while an answer waits to be read, which resets the connection.
    Reset,
}

#[derive(Debug)]
struct Session {
    name: String,
    /// Whole lines that were handed to the connection.
    sent: u64,
    end: End,
}

#[test]
fn every_line_that_was_read_is_stored_once() {
    let lines = std::env::var("TIDEGATE_TELNET_LINES").map_or(LINES, |text| text.parse().expect("a number"));
    let gate = Gate::with(&[
        ("buffer.budget_bytes", &BUFFER_BYTES.to_string()),
        ("limits.body_bytes_max", &BUFFER_BYTES.to_string()),
        ("limits.write_body_bytes_max", &BUFFER_BYTES.to_string()),
        ("buffer.flush_bytes", &MIB.to_string()),
        ("buffer.flush_small_age_ms", "10000"),
    ]);
    let (sessions, most) = (Mutex::new(Vec::new()), Mutex::new(0));
    let at_rest = gate.resident_bytes();
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                let mut most = most.lock().unwrap();
                *most = gate.resident_bytes().max(*most);
                drop(most);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|client| {
                scope.spawn({
                    let (gate, sessions) = (&gate, &sessions);
                    move || be_client(gate, client, lines / CONNECTIONS, sessions)
                })
            })
            .collect();
        let ends: Vec<_> = clients.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        running.store(false, Ordering::Relaxed);
        assert!(ends.iter().all(Result::is_ok), "a client failed");
    });
    let sessions = sessions.into_inner().unwrap();
    eventually("no more lines are stored", || {
        let before = stored_points(&gate);
        std::thread::sleep(Duration::from_secs(1));
        stored_points(&gate) == before
    });
    check(&gate, &sessions);
    let grown = most.into_inner().unwrap().saturating_sub(at_rest);
    assert!(grown < BUFFER_BYTES + BESIDES, "{} MiB more than at rest", grown / MIB);
}

fn stored_points(gate: &Gate) -> String {
    gate.sql("opentsdb", "select count(*) from \"sys.lines\"")
}

fn be_client(gate: &Gate, client: u64, lines: u64, sessions: &Mutex<Vec<Session>>) {
    let mut random = StdRng::seed_from_u64(client);
    let mut left = lines;
    for number in 0.. {
        let count = random.random_range(1..=SESSION_LINES_MAX).min(left);
        let end = [End::InOrder, End::InOrder, End::Cut, End::Reset][random.random_range(0..4)];
        let name = format!("c{client}_{number}");
        let sent = be_session(gate.connect(Listener::Opentsdb), &name, count, end);
        sessions.lock().unwrap().push(Session { name, sent, end });
        left -= count;
        if left == 0 {
            return;
        }
    }
}

/// How many whole lines the connection took.
fn be_session(stream: TcpStream, name: &str, count: u64, end: End) -> u64 {
    let mut out = BufWriter::new(stream);
    if end == End::Reset {
        out.write_all(b"version\n").unwrap();
    }
    for number in 0..count {
        writeln!(out, "put sys.lines {} {number} session={name}", BASE_SECONDS + number).unwrap();
    }
    if end == End::Cut {
        write!(out, "put sys.lines {} {count}", BASE_SECONDS + count).unwrap();
    }
    out.flush().unwrap();
    let mut stream = out.into_inner().unwrap();
    match end {
        End::InOrder => {
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "");
        }
        End::Cut => stream.shutdown(Shutdown::Both).unwrap(),
        End::Reset => stream.peek(&mut [0]).map(|_| ()).unwrap(), // the answer is there, and stays unread
    }
    count
}

#[track_caller]
fn check(gate: &Gate, sessions: &[Session]) {
    let found = gate.sql(
        "opentsdb",
        &format!(
            "select session, count(*) as points, max(value_int) as last, \
             count(*) filter (where value_int is null or date_part('epoch', time) <> value_int + {BASE_SECONDS}) as wrong \
             from \"sys.lines\" group by session"
        ),
    );
    let stored: HashMap<&str, [u64; 3]> = found
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0], [1, 2, 3].map(|at| cells[at].parse().unwrap_or_else(|_| panic!("{line}"))))
        })
        .collect();
    let known = sessions.iter().filter(|session| stored.contains_key(session.name.as_str())).count();
    assert_eq!(known, stored.len(), "series that nobody sent");
    for session in sessions {
        let Some([points, last, wrong]) = stored.get(session.name.as_str()) else {
            assert!(session.end != End::InOrder, "{session:?} is not there");
            continue;
        };
        let is_whole = *points == session.sent || (session.end != End::InOrder && *points < session.sent);
        assert!(is_whole, "{session:?} has {points} points");
        assert_eq!(
            (*last, *wrong),
            (points - 1, 0),
            "{session:?}: the last one's number, and points with another's value"
        );
    }
    let points: u64 = stored.values().map(|[points, ..]| points).sum();
    assert_eq!(gate.metric("tidegate_points_accepted_total", ""), points as f64, "a line was taken twice");
    let in_order = sessions.iter().filter(|session| session.end == End::InOrder).count();
    println!("{} sessions, {in_order} of them closed in order", sessions.len());
}
