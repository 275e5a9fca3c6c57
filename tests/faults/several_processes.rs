//! Several processes on one store: two that write, killed and put to sleep for longer than anything is kept, and one that
//! only reads. No writer loses what the other one did, what sleeps cannot undo anything, and the reader sees what is
//! flushed soon, and whole.
//!
//! The store is a folder, and MinIO.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tidegate::catalog::{Catalog, CatalogOptions};

use super::physical;
use super::process::{Connection, Process};
use crate::http_gate::eventually;
use crate::minio::Minio;

const DATABASE: &str = "several";
const WRITERS: usize = 2;
const CLIENTS_A_WRITER: usize = 3;
/// Written all the time, to see how soon the reader shows it.
const BEACON: &str = "beacon";
/// One round; the clients write so long.
const ROUND: Duration = Duration::from_secs(20);
/// Longer than commits, snapshots and dead uploads are kept.
const NAP: Duration = Duration::from_millis(4_500);
/// Nothing is kept for long, so that who sleeps misses much.
const FORGETFUL: [(&str, &str); 5] = [
    ("TIDEGATE__CATALOG__PRUNE_AFTER_SECS", "2"),
    ("TIDEGATE__CATALOG__ORPHAN_GRACE_SECS", "3"),
    ("TIDEGATE__QUERY__TIMEOUT_MS", "2900"),
    ("TIDEGATE__CATALOG__POLL_ALONE_MS", "2000"),
    ("TIDEGATE__LOG__LEVEL", "info,tidegate=debug"),
];
/// What a reader promises, and what a busy machine is forgiven.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// One request: rows of one table.
#[derive(Debug, Clone)]
struct Batch {
    table: String,
    host: String,
    number: i64,
    from: i64,
    to: i64,
}

#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<Batch>,
    /// No answer came: there whole or not at all.
    open: Vec<Batch>,
}

/// Rows and the sum of their numbers, by table, host and batch.
type Seen = BTreeMap<(String, String, i64), (i64, i64)>;

/// The machine is busy enough with one of them.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn several_processes_share_a_folder_and_lose_nothing() {
    check_rounds(|| Place::of(None));
}

#[test]
fn several_processes_share_a_bucket_and_lose_nothing() {
    check_rounds(|| Place::of(Some(Minio::start())));
}

fn check_rounds(place: fn() -> Place) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (minutes, seed) = (number("TIDEGATE_PROCESSES_MINUTES", 0), number("TIDEGATE_PROCESSES_SEED", 1));
    // The minutes are those of both tests together.
    let until = Instant::now() + Duration::from_secs(30 * minutes);
    let mut seen_after = Vec::new();
    for round in 0.. {
        eprintln!("round {round}, seed {}", seed + round);
        seen_after.extend(share_a_store(&place(), seed + round));
        if Instant::now() >= until {
            break;
        }
    }
    seen_after.sort_unstable();
    let median = seen_after[seen_after.len() / 2];
    let worst = seen_after.last().unwrap();
    eprintln!("{} flushes were seen after {median:?} (median), {worst:?} (at worst)", seen_after.len());
    // The short form runs beside other tests.
    let within = if minutes > 0 { SEEN_WITHIN } else { 5 * SEEN_WITHIN };
    assert!(median < within, "the reader shows flushed rows after {median:?}");
}

/// Where the processes of a round keep things.
struct Place {
    folder: TempDir,
    /// The store, unless it is in the folder.
    minio: Option<Minio>,
    environment: Vec<(String, String)>,
}

impl Place {
    fn of(minio: Option<Minio>) -> Place {
        let folder = TempDir::new().unwrap();
        let environment = match &minio {
            Some(minio) => minio.environment("several"),
            None => {
                let url = format!("file://{}", folder.path().join("store").display());
                vec![("TIDEGATE__STORAGE__URL".to_string(), url)]
            }
        };
        Place { folder, minio, environment }
    }

    fn writer(&self, index: usize) -> Process {
        let mut environment = self.environment.clone();
        environment.extend(FORGETFUL.map(|(name, value)| (name.to_string(), value.to_string())));
        self.start(&format!("writer{index}"), &environment)
    }

    fn reader(&self) -> Process {
        let mut environment = self.environment.clone();
        environment.extend([
            ("TIDEGATE__SERVER__ROLE".to_string(), "read-only".to_string()),
            ("TIDEGATE__CATALOG__PRUNE_AFTER_SECS".to_string(), "2".to_string()),
        ]);
        self.start("reader", &environment)
    }

    fn start(&self, name: &str, environment: &[(String, String)]) -> Process {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut process = Process::start_with(&folder, environment);
        process.wait_until_ready();
        process
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        match &self.minio {
            Some(minio) => minio.store("several"),
            None => physical::store_in(self.folder.path()),
        }
    }
}

/// A writer as its clients see it: it comes and goes.
struct Seat {
    process: Mutex<Option<Process>>,
    address: Mutex<SocketAddr>,
}

fn share_a_store(place: &Place, seed: u64) -> Vec<Duration> {
    let seats: Vec<Seat> = (0..WRITERS)
        .map(|index| {
            let process = place.writer(index);
            Seat { address: Mutex::new(process.influxdb), process: Mutex::new(Some(process)) }
        })
        .collect();
    create_database(&seats[0]);
    let reader = place.reader();
    let (over, started) = (AtomicBool::new(false), Instant::now());
    let (ledgers, seen_after) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..WRITERS * CLIENTS_A_WRITER)
            .map(|client| {
                let (seat, over) = (&seats[client % WRITERS], &over);
                scope.spawn(move || write(client, seat, seed, started, over))
            })
            .collect();
        let beacon = scope.spawn(|| shine(&seats, &over));
        let watched = scope.spawn(|| watch(place, &reader, &over));
        let checked = scope.spawn(|| look_for_torn_batches(&reader, &over));
        disturb(place, &seats, &mut StdRng::seed_from_u64(seed), started);
        over.store(true, Ordering::Relaxed);
        beacon.join().unwrap();
        checked.join().unwrap();
        let ledgers: Vec<Ledger> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        (ledgers, watched.join().unwrap())
    });
    // Each writer shows what it acknowledged, flushed or not.
    for (client, ledger) in ledgers.iter().enumerate() {
        let process = seats[client % WRITERS].process.lock().unwrap();
        check(ledger, &rows_of(process.as_ref().unwrap(), &format!("where host = 'c{client}'")), "its own writer");
    }
    for seat in &seats {
        let process = seat.process.lock().unwrap().take().unwrap();
        let log = process.log_file();
        assert!(process.stop().success(), "{}", std::fs::read_to_string(log).unwrap());
    }
    wait_until_followed(place, &reader);
    check_all(&ledgers, &rows_of(&reader, ""), "the reader");
    check_in_segments(place, &ledgers);
    seen_after
}

fn create_database(seat: &Seat) {
    let path = format!("/query?q=CREATE%20DATABASE%20{DATABASE}");
    assert_eq!(Connection::open(*seat.address.lock().unwrap()).unwrap().ask("POST", &path, "").unwrap().0, 200);
}

/// Kills writers and puts them to sleep, until the round is over; then all are awake.
fn disturb(place: &Place, seats: &[Seat], random: &mut StdRng, started: Instant) {
    let mut naps = 0;
    while started.elapsed() < ROUND {
        std::thread::sleep(Duration::from_millis(random.random_range(200..1_500)));
        let index = random.random_range(0..seats.len());
        let mut process = seats[index].process.lock().unwrap();
        if random.random_bool(0.4) || naps == 0 {
            naps += 1;
            process.as_ref().unwrap().pause();
            std::thread::sleep(NAP);
            process.as_ref().unwrap().resume();
        } else {
            process.take().unwrap().kill();
            let again = place.writer(index);
            *seats[index].address.lock().unwrap() = again.influxdb;
            *process = Some(again);
        }
    }
}

/// Sends one batch after the other. Tables and columns come to be as time goes on, from all clients at once.
fn write(client: usize, seat: &Seat, seed: u64, started: Instant, over: &AtomicBool) -> Ledger {
    let mut random = StdRng::seed_from_u64(seed * 1000 + client as u64);
    let mut ledger = Ledger::default();
    let mut connection = None;
    let (mut number, mut next) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let seconds = started.elapsed().as_secs();
        let table = match random.random_range(0..4) {
            0 | 1 => "common".to_string(),
            2 => format!("of_writer{}", client % WRITERS),
            _ => format!("made{}", seconds / 2),
        };
        let rows = if random.random_bool(0.3) { 1 } else { random.random_range(2..60) };
        let batch = Batch { table, host: format!("c{client}"), number, from: next, to: next + rows };
        let open = connection.take().map_or_else(|| Connection::open(*seat.address.lock().unwrap()), Ok);
        let Ok(mut open) = open else {
            std::thread::sleep(Duration::from_millis(20)); // it is being started again
            continue;
        };
        (number, next) = (number + 1, batch.to);
        match open.ask("POST", &format!("/write?db={DATABASE}"), &lines(&batch, seconds)) {
            Ok((204, _)) => ledger.acknowledged.push(batch),
            // Refused before anything was stored: the other writer's database may not be known yet.
            Ok((503 | 404, _)) => std::thread::sleep(Duration::from_millis(10)),
            Ok((status, body)) => panic!("{status}: {body}"),
            Err(_) => {
                ledger.open.push(batch);
                continue;
            }
        }
        connection = Some(open);
    }
    ledger
}

fn lines(batch: &Batch, seconds: u64) -> String {
    let Batch { table, host, number, from, to } = batch;
    let size = to - from;
    (*from..*to)
        .map(|n| {
            let time = (n % 2) * 3_600_000_000_000 + n;
            format!("{table},host={host} batch={number}i,size={size}i,n={n}i,c{seconds}=\"row {n}\" {time}\n")
        })
        .collect()
}

/// Writes rows with ascending numbers through whichever writer is there.
fn shine(seats: &[Seat], over: &AtomicBool) {
    for n in 0i64.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let address = *seats[n as usize % seats.len()].address.lock().unwrap();
        if let Ok(mut connection) = Connection::open_hasty(address) {
            let line = format!("{BEACON},host=b n={n}i,batch={n}i,size=1i {n}");
            let _ = connection.ask("POST", &format!("/write?db={DATABASE}"), &line);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How long after a commit the reader shows its rows.
fn watch(place: &Place, reader: &Process, over: &AtomicBool) -> Vec<Duration> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options =
        CatalogOptions { poll: Duration::from_millis(5), ..CatalogOptions::new(tidegate::server::system_clock()) };
    let catalog = runtime.block_on(Catalog::read(place.store(), options)).unwrap();
    let committed = || {
        let state = catalog.state();
        let beacon = state.tables().find(|t| *t.name.table == *BEACON);
        beacon.map_or(0, |table| table.segments.iter().map(|s| s.rows).sum::<u64>())
    };
    let mut seen_after = Vec::new();
    let mut before = committed();
    while !over.load(Ordering::Relaxed) {
        let rows = committed();
        if rows <= before {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let since = Instant::now();
        let seen = || {
            let rows = ask(reader, &format!("select count(*) from {BEACON}")).ok()?;
            rows.first()?.parse::<u64>().ok()
        };
        while seen().is_none_or(|seen| seen < rows) {
            assert!(since.elapsed() < Duration::from_secs(30), "the reader does not show what is flushed");
            std::thread::sleep(Duration::from_millis(5));
        }
        seen_after.push(since.elapsed());
        before = rows;
    }
    seen_after
}

/// What a flush took is seen whole: a request's rows are never there in part.
fn look_for_torn_batches(reader: &Process, over: &AtomicBool) {
    let mut looks = 0;
    while !over.load(Ordering::Relaxed) {
        for table in tables(reader) {
            let torn = format!(
                "select host, batch, count(*), max(size) from {table} group by host, batch having count(*) <> max(size)"
            );
            match ask(reader, &torn) {
                Ok(rows) => assert_eq!(rows, Vec::<String>::new(), "{table}"),
                // Merged away and collected while the question was asked: nothing here is kept for long.
                Err(error) if error.starts_with("503") && error.contains("was merged away") => {}
                Err(error) => panic!("{torn}: {error}"),
            }
            looks += 1;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(looks > 0);
}

fn ask(process: &Process, statement: &str) -> Result<Vec<String>, String> {
    let path = format!("/api/v1/sql?db={DATABASE}");
    let answer = Connection::open(process.cnosdb).and_then(|mut c| c.ask("POST", &path, statement));
    match answer {
        Ok((200, body)) => Ok(body.lines().skip(1).map(str::to_string).collect()),
        Ok((status, body)) => Err(format!("{status}: {body}")),
        Err(error) => Err(error.to_string()),
    }
}

fn tables(process: &Process) -> Vec<String> {
    let statement = format!("select table_name from information_schema.tables where table_schema = '{DATABASE}'");
    // The database may not be there yet.
    ask(process, &statement).unwrap_or_default()
}

/// What it answers in the end: the time limit is a short one, and on a busy machine a question may meet it.
fn answered(process: &Process, statement: &str) -> Vec<String> {
    let mut answer = Err(String::new());
    eventually(statement, || {
        answer = ask(process, statement);
        !matches!(&answer, Err(error) if error.starts_with("503: ") || error.starts_with("504: "))
    });
    answer.unwrap_or_else(|error| panic!("{statement}: {error}"))
}

fn rows_of(process: &Process, filter: &str) -> Seen {
    let mut seen = Seen::new();
    for table in tables(process).into_iter().filter(|table| table != BEACON) {
        let statement = format!("select host, batch, count(*), sum(n) from {table} {filter} group by host, batch");
        for row in answered(process, &statement) {
            let cells: Vec<&str> = row.split(',').collect();
            let number = |at: usize| cells[at].parse::<i64>().unwrap();
            seen.insert((table.clone(), cells[0].to_string(), number(1)), (number(2), number(3)));
        }
    }
    seen
}

/// Acknowledged batches are there whole and once, those without an answer whole or not at all. Returns how many are there.
#[track_caller]
fn check(ledger: &Ledger, seen: &Seen, whom: &str) -> usize {
    let rows_of = |batch: &Batch| seen.get(&(batch.table.clone(), batch.host.clone(), batch.number)).copied();
    let whole = |batch: &Batch| (batch.to - batch.from, (batch.from..batch.to).sum::<i64>());
    for batch in &ledger.acknowledged {
        assert_eq!(rows_of(batch), Some(whole(batch)), "{whom}: {batch:?} was acknowledged");
    }
    let open = ledger.open.iter().filter(|batch| rows_of(batch).is_some());
    let open =
        open.inspect(|batch| assert_eq!(rows_of(batch), Some(whole(batch)), "{whom}: {batch:?} is there in part"));
    ledger.acknowledged.len() + open.count()
}

#[track_caller]
fn check_all(ledgers: &[Ledger], seen: &Seen, whom: &str) {
    let known: usize = ledgers.iter().map(|ledger| check(ledger, seen, whom)).sum();
    assert_eq!(seen.len(), known, "{whom}: batches that nobody sent");
    let (acknowledged, open): (usize, usize) =
        ledgers.iter().fold((0, 0), |(a, o), l| (a + l.acknowledged.len(), o + l.open.len()));
    eprintln!("{acknowledged} batches acknowledged, {open} without an answer, {known} there");
}

/// All writers have ended: what the reader knows is soon all there is.
fn wait_until_followed(place: &Place, reader: &Process) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(physical::state(&place.store()));
    assert_eq!(state.writers().count(), 0, "every writer said that it is through");
    let since = Instant::now();
    let version = || {
        let metrics = Connection::open(reader.influxdb).unwrap().ask("GET", "/metrics", "").unwrap().1;
        let line = metrics.lines().find_map(|line| line.strip_prefix("tidegate_catalog_version "));
        line.unwrap().parse::<u64>().unwrap()
    };
    while version() < state.version {
        assert!(since.elapsed() < Duration::from_secs(30), "the reader does not follow");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Each row lies in one live segment: none was stored by two commits.
fn check_in_segments(place: &Place, ledgers: &[Ledger]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let copies = runtime.block_on(async {
        let store = place.store();
        let state = physical::state(&store).await;
        let mut copies = physical::Copies::new();
        physical::count_segments(&store, &state, DATABASE, &mut copies).await;
        copies
    });
    let twice: Vec<_> = copies.iter().filter(|(_, copies)| **copies != 1).take(5).collect();
    assert!(twice.is_empty(), "rows in more than one segment: {twice:?}");
    for batch in ledgers.iter().flat_map(|ledger| &ledger.acknowledged) {
        let is_there = |n: i64| copies.contains_key(&(batch.table.clone(), batch.host.clone(), n));
        assert!((batch.from..batch.to).all(is_there), "{batch:?} is not in segments");
    }
}
