//! The object store goes away under load and comes back.
//!
//! Meanwhile writes are acknowledged into the log, live rows answer, and what needs the store fails soon and says so;
//! budgets hold and send writers away. Afterwards all goes on without a restart, nothing is lost, everything is there once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use super::ledger::{DATABASE, JOURNAL, Settle, WINDOW_SECS, Writer, cells, check_copies, check_visible};
use super::physical;
use super::process::Connection;
use crate::http_gate::{Answer, Gate, eventually};
use crate::minio::Minio;

const PREFIX: &str = "drill";
const WRITERS: usize = 4;
/// From here on a writer's batches need no new column.
const BATCHES_UNTIL_COLUMNS_ARE_KNOWN: usize = 50;
/// A writer's pause between batches.
const PACE: Duration = Duration::from_millis(20);
/// A table outside of the ledger's database.
const OTHER: &str = "other";
/// Rows of a request that fills budgets.
const BULK_ROWS: u64 = 1000;
const MIB: u64 = 1024 * 1024;

/// A question that needs the store is cancelled after this; what piles up in a long outage takes longer to count.
fn query_timeout(outage_seconds: u64) -> Duration {
    Duration::from_secs(4 + outage_seconds / 5)
}
/// What goes on without the store takes no longer, on a busy machine.
const SOON: Duration = Duration::from_secs(3);
/// What needs the store is refused within this.
const REFUSED_WITHIN: Duration = Duration::from_secs(15);
/// After its return all rows are in the store within this.
const RECOVERED_WITHIN: Duration = Duration::from_secs(25);

/// How the store is away.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// Nobody listens: connections are refused at once.
    Refusing,
    /// Connections are taken and nothing is ever said.
    Silent,
}

impl Outage {
    fn begin(self, minio: &mut Minio) {
        match self {
            Outage::Refusing => minio.kill(),
            Outage::Silent => minio.freeze(),
        }
    }

    fn end(self, minio: &mut Minio) {
        match self {
            Outage::Refusing => minio.start_again(),
            Outage::Silent => minio.thaw(),
        }
    }
}

/// The budget that is to be used up: room for what is written in so many seconds, and little more.
#[derive(Debug, Clone, Copy)]
enum Budget {
    Buffer,
    Log,
}

impl Budget {
    fn settings(self, seconds: u64) -> [(&'static str, String); 2] {
        let bytes = |base: u64| ((base + seconds) * MIB).to_string();
        match self {
            Budget::Buffer => [("buffer.budget_bytes", bytes(24)), ("buffer.flush_bytes", (4 * MIB).to_string())],
            Budget::Log => [("wal.budget_bytes", bytes(8)), ("wal.file_bytes", MIB.to_string())],
        }
    }
}

#[test]
fn a_store_that_refuses_connections_is_missed_by_no_writer_until_the_buffer_is_full() {
    drill(Outage::Refusing, Budget::Buffer);
}

#[test]
fn a_store_that_falls_silent_is_missed_by_no_writer_until_the_log_is_full() {
    drill(Outage::Silent, Budget::Log);
}

fn drill(outage: Outage, budget: Budget) {
    let seconds: u64 = std::env::var("TIDEGATE_OUTAGE_SECONDS").map_or(6, |text| text.parse().unwrap());
    let mut minio = Minio::start();
    let gate = start(&minio, query_timeout(seconds), &budget.settings(seconds));
    let mut writers = Writer::several(WRITERS, seconds);
    gate.create_database(OTHER);
    gate.write(OTHER, "pulse,host=a v=0i 0\nbulk a=0,b=\"\" 0");
    let load = Load::default();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| load.write(&gate, writer));
        }
        // Whatever fails here must end the writers too.
        let _stop = StopOnDrop(&load);
        eventually("all columns are known", || load.writers_at_ease.load(Ordering::Relaxed) == WRITERS as u64);
        eventually("something is in segments", || gate.metric("tidegate_segments", "") >= 3.0);
        let before = gate.resident_bytes();

        outage.begin(&mut minio);
        let since = Instant::now();
        let acknowledged = load.acknowledged.load(Ordering::Relaxed);
        let mut pulses = 0;
        let mut resident = before;
        let doors = [Door::Influxdb, Door::Cnosdb].map(|door| {
            let gate = &gate;
            scope.spawn(move || check_new_table(gate, door))
        });
        while since.elapsed() < Duration::from_secs(seconds) {
            pulses += 1;
            check_live(&gate, pulses);
            check_stored(&gate, query_timeout(seconds));
            gate.get("/ready").send().expect(200);
            resident = resident.max(gate.resident_bytes());
        }
        for door in doors {
            door.join().unwrap();
        }
        let acknowledged = load.acknowledged.load(Ordering::Relaxed) - acknowledged;
        let slowest = Duration::from_micros(load.slowest_us.load(Ordering::Relaxed));
        eprintln!(
            "{outage:?}: {acknowledged} batches acknowledged in {:?}, the slowest in {slowest:?}",
            since.elapsed()
        );
        assert!(acknowledged > seconds * 10, "only {acknowledged} batches were acknowledged");
        assert!(slowest < SOON, "a batch was acknowledged after {slowest:?}");

        let accepted = fill(&gate);
        resident = resident.max(gate.resident_bytes());
        eprintln!("{outage:?}: {} MiB resident before, {} MiB at most during", before / MIB, resident / MIB);
        assert!(resident < before + 300 * MIB, "{} MiB", resident / MIB);
        check_live_rows(&gate, pulses);

        outage.end(&mut minio);
        let since = Instant::now();
        let bulk = || gate.post(&format!("/write?db={OTHER}"), bulk_lines(accepted)).send().status;
        eventually("writes are taken again", || bulk() == 204);
        let taken = since.elapsed();
        let new = || gate.post(&format!("/write?db={OTHER}"), "brand_new v=1i 1").send().status;
        eventually("new tables are made again", || new() == 204);
        eprintln!("{outage:?}: writes are taken again after {taken:?}, new tables made after {:?}", since.elapsed());
        assert!(since.elapsed() < RECOVERED_WITHIN, "{:?}", since.elapsed());
        load.stop.store(true, Ordering::Relaxed);
        gate.wait_until_flushed();
        // A time-out of the drill is short: on a busy machine a question may meet one even now, and says "try later".
        let count = || gate.ask_sql(OTHER, "select count(*) as n, count(distinct b) as b from bulk").send();
        let mut counted = String::new();
        eventually("questions are answered again", || {
            let answer = count();
            counted = answer.text();
            answer.status == 200
        });
        let rows = (accepted + 1) * BULK_ROWS + 1;
        assert_eq!(counted, format!("n,b\n{rows},{rows}\n"));
        check_live_rows(&gate, pulses);
    });
    let context = format!("{outage:?}");
    check_visible(&mut writers, Settle::No, &context, |text| cells(&gate.sql(DATABASE, text)));
    check_after_stop(gate, &minio, &mut writers, &context);
}

#[test]
fn a_gateway_that_dies_while_the_store_is_away_waits_for_it_and_has_everything() {
    let mut minio = Minio::start();
    let mut gate = start(&minio, query_timeout(0), &[]);
    let mut writers = Writer::several(WRITERS, 3);
    let load = Load::default();
    std::thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| load.write(&gate, writer));
        }
        let _stop = StopOnDrop(&load);
        eventually("all columns are known", || load.writers_at_ease.load(Ordering::Relaxed) == WRITERS as u64);
        minio.kill();
        let acknowledged = load.acknowledged.load(Ordering::Relaxed);
        eventually("writes go on", || load.acknowledged.load(Ordering::Relaxed) > acknowledged + 50);
    });
    gate.kill();
    gate.start_again_not_ready();
    eventually("it says what it waits for", || {
        gate.log().contains("the store does not answer; the start waits for it")
    });
    gate.get("/ready").send().expect(503);
    let refused = gate.post(&format!("/write?db={DATABASE}"), "alpha v=1 1").send().expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused}");
    minio.start_again();
    gate.wait_until_ready();
    let context = "died while the store was away";
    check_visible(&mut writers, Settle::Yes, context, |text| cells(&gate.sql(DATABASE, text)));
    check_after_stop(gate, &minio, &mut writers, context);
}

/// A gateway over `minio` whose time-outs are short, with the ledger's tables.
fn start(minio: &Minio, query_timeout: Duration, more: &[(&str, String)]) -> Gate {
    let window = WINDOW_SECS.to_string();
    let timeout = query_timeout.as_millis().to_string();
    let store = minio.settings(PREFIX);
    let mut settings: Vec<(&str, &str)> = store.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.extend([
        ("storage.request_timeout_ms", "1000"),
        ("storage.connect_timeout_ms", "500"),
        ("storage.retries_max", "1"),
        ("storage.retry_timeout_ms", "1000"),
        ("query.timeout_ms", &timeout),
        ("buffer.window_secs", &window),
        ("buffer.flush_age_ms", "200"),
        ("buffer.flush_small_age_ms", "200"),
        ("compaction.interval_ms", "200"),
        ("limits.write_body_bytes_max", "16777216"),
    ]);
    settings.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let credentials = minio.credentials();
    let credentials: Vec<_> = credentials.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut gate = Gate::start_not_ready(&settings, &credentials);
    gate.wait_until_ready();
    gate.create_database(DATABASE);
    gate.ask_to_stop();
    gate.wait_for_exit();
    physical::create_append_table(minio.store(PREFIX), DATABASE, JOURNAL);
    gate.start_again();
    gate
}

/// What the writers have done so far, and whether they shall go on.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// Of acknowledged batches.
    slowest_us: AtomicU64,
    writers_at_ease: AtomicU64,
}

struct StopOnDrop<'a>(&'a Load);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Writes until it is told to stop; who is told to try later tries something else.
    fn write(&self, gate: &Gate, writer: &mut Writer) {
        let address = gate.address(Listener::Influxdb);
        let mut connection = Connection::open(address).unwrap();
        while !self.stop.load(Ordering::Relaxed) {
            let lines = writer.begin();
            let since = Instant::now();
            match connection.ask("POST", &format!("/write?db={DATABASE}"), &lines) {
                Ok((204, _)) => {
                    writer.acknowledged();
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    if writer.acknowledged_batches() == BATCHES_UNTIL_COLUMNS_ARE_KNOWN {
                        self.writers_at_ease.fetch_add(1, Ordering::Relaxed);
                    }
                    if writer.acknowledged_batches() > BATCHES_UNTIL_COLUMNS_ARE_KNOWN {
                        self.slowest_us.fetch_max(since.elapsed().as_micros() as u64, Ordering::Relaxed);
                    }
                }
                Ok((503, _)) => {}
                other => panic!("{other:?} for {lines}"),
            }
            std::thread::sleep(PACE);
        }
    }
}

/// What `ask` answers, which must be soon enough.
#[track_caller]
fn within(limit: Duration, what: &str, ask: impl FnOnce() -> Answer) -> Answer {
    let since = Instant::now();
    let answer = ask();
    assert!(since.elapsed() < limit, "{what} took {:?}: {answer}", since.elapsed());
    answer
}

/// Rows that no segment holds, of a window that has none: written and read without the store.
#[track_caller]
fn check_live(gate: &Gate, pulses: u64) {
    let time = WINDOW_SECS * 1_000_000_000 * 100 + pulses;
    let line = format!("pulse,host=a v={pulses}i {time}");
    within(SOON, "a write", || gate.post(&format!("/write?db={OTHER}"), &line).send().expect(204));
    check_live_rows(gate, pulses);
}

#[track_caller]
fn check_live_rows(gate: &Gate, pulses: u64) {
    let question = "select count(*) as n, max(v) as last from pulse where time > '1970-01-02T00:00:00Z'";
    let answer = within(SOON, "a question about live rows", || gate.ask_sql(OTHER, question).send().expect(200));
    assert_eq!(answer.text(), format!("n,last\n{pulses},{pulses}\n"));
}

/// Rows in segments: the right answer, if what it takes is at hand, or an error that names the store.
#[track_caller]
fn check_stored(gate: &Gate, query_timeout: Duration) {
    let limit = query_timeout + SOON;
    let question = "select sum(v) as s from pulse where time < '1970-01-02T00:00:00Z'";
    let answer = within(limit, "a question about stored rows", || gate.ask_sql(OTHER, question).send());
    match answer.status {
        200 => assert_eq!(answer.text(), "s\n0\n"),
        _ => {
            let (_, message) = answer.cnosdb_error();
            let says_so =
                message.starts_with("the object store does not answer") || message.contains("took longer than");
            assert!((500..600).contains(&answer.status) && says_so, "{answer}");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Door {
    Influxdb,
    Cnosdb,
}

/// Points of a new table wait for the store to be back: both doors say "later", each in its words.
#[track_caller]
fn check_new_table(gate: &Gate, door: Door) {
    let (path, listener) = match door {
        Door::Influxdb => ("write", Listener::Influxdb),
        Door::Cnosdb => ("api/v1/write", Listener::Cnosdb),
    };
    let ask =
        || gate.post(&format!("/{path}?db={OTHER}"), format!("new_{path} v=1i 1")).at(listener).send().expect(503);
    let refused = within(REFUSED_WITHIN, "a new table", ask);
    let text = match door {
        Door::Influxdb => refused.influxdb_error(),
        Door::Cnosdb => refused.cnosdb_error().1,
    };
    assert!(text.contains("the object store does not answer"), "{refused}");
    assert!(refused.header("retry-after").is_some(), "{refused}");
}

/// Points that do not pack well; each request's are its own.
fn bulk_lines(request: u64) -> String {
    let mut state = (request + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..BULK_ROWS)
        .map(|row| {
            format!(
                "bulk a={},b=\"{:016x}{:016x}\" {}\n",
                noise() as u32,
                noise(),
                noise(),
                request * BULK_ROWS + row + 1
            )
        })
        .collect()
}

/// Writes until a budget is used up and both doors say so; how many requests were taken.
#[track_caller]
fn fill(gate: &Gate) -> u64 {
    for request in 0..2_000 {
        let answer = gate.post(&format!("/write?db={OTHER}"), bulk_lines(request)).send();
        if answer.status == 204 {
            continue;
        }
        let full = |text: String| text.contains("the write buffer holds") || text.contains("log is full");
        assert!(full(answer.clone().expect(503).influxdb_error()), "{answer}");
        assert!(answer.header("retry-after").is_some(), "{answer}");
        let path = format!("/api/v1/write?db={OTHER}");
        let other = gate.post(&path, bulk_lines(request)).at(Listener::Cnosdb).send().expect(429);
        assert!(other.header("retry-after").is_some() && full(other.cnosdb_error().1), "{other}");
        return request;
    }
    panic!("the budget was never used up");
}

/// All that was acknowledged is in the store, once, when the gateway has stopped.
#[track_caller]
fn check_after_stop(mut gate: Gate, minio: &Minio, writers: &mut [Writer], context: &str) {
    gate.ask_to_stop();
    assert_eq!(gate.wait_for_exit().code(), Some(0), "{context}: {}", gate.log());
    check_copies(writers, physical::copies(gate.folder(), minio.store(PREFIX), DATABASE), context);
    std::fs::remove_dir_all(gate.folder().join("wal")).unwrap();
    let context = format!("{context}, without the log");
    check_copies(writers, physical::copies(gate.folder(), minio.store(PREFIX), DATABASE), &context);
}
