//! SIGKILL at random moments under concurrent load: every acknowledged point is there exactly once, by query, by counting
//! copies on disk, and in an append table, where doubles would show. A request is stored whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::ObjectStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::physical;
use super::process::{Connection, Process};
use crate::minio::Minio;

const DATABASE: &str = "crash";
/// The last one is the append table.
const TABLES: [&str; 4] = ["alpha", "beta", "gamma", "journal"];
const WRITERS: usize = 8;
/// After so many a new folder is begun: every check reads all that was written.
const KILLS_A_FOLDER: u64 = 10;
/// Copies on disk are counted after every so many kills, and at the end.
const COUNT_EVERY: u64 = 5;

/// A request's rows: table, host, and numbers `from..to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Batch {
    table: &'static str,
    host: String,
    from: i64,
    to: i64,
}

/// What is known of the batches sent so far.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: Vec<Batch>,
    /// Sent, but no answer came: there whole or not at all.
    open: Vec<Batch>,
}

/// A store that is no folder, and the settings and credentials that lead a process to it.
type Elsewhere = (Arc<dyn ObjectStore>, Vec<(String, String)>);

/// Where gateways live and die: a folder, and a store that is in it or elsewhere.
struct Home {
    folder: TempDir,
    elsewhere: Option<Elsewhere>,
}

impl Home {
    fn start(&self) -> Process {
        let environment = self.elsewhere.as_ref().map_or(&[][..], |(_, environment)| environment);
        Process::start_with(self.folder.path(), environment)
    }

    fn store(&self) -> Arc<dyn ObjectStore> {
        match &self.elsewhere {
            Some((store, _)) => store.clone(),
            None => physical::store_in(self.folder.path()),
        }
    }
}

#[test]
fn acknowledged_points_survive_being_killed_exactly_once() {
    survive(number("TIDEGATE_CRASH_KILLS", 30), |_| None);
}

/// A fifth of the kills: each takes longer.
#[test]
fn acknowledged_points_survive_being_killed_over_minio_exactly_once() {
    let minio = Minio::start();
    survive(number("TIDEGATE_CRASH_KILLS", 30).div_ceil(5), |lot| {
        let prefix = format!("lot-{lot}");
        Some((minio.store(&prefix), minio.environment(&prefix)))
    });
}

fn survive(kills: u64, store_of: impl Fn(usize) -> Option<(Arc<dyn ObjectStore>, Vec<(String, String)>)>) {
    let seed = number("TIDEGATE_CRASH_SEED", 1);
    eprintln!("{kills} kills, seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let lots: Vec<u64> =
        (0..kills).step_by(KILLS_A_FOLDER as usize).map(|done| KILLS_A_FOLDER.min(kills - done)).collect();
    for (lot, kills) in lots.into_iter().enumerate() {
        eprintln!("folder {lot}: {kills} kills");
        live_and_die(&Home { folder: TempDir::new().unwrap(), elsewhere: store_of(lot) }, kills, &mut random);
    }
}

/// One home through so many kills.
fn live_and_die(home: &Home, kills: u64, random: &mut StdRng) {
    prepare(home);
    let mut ledger = Ledger::default();
    let mut next: Vec<i64> = vec![0; WRITERS];
    for kill in 1..=kills {
        let mut process = home.start();
        if random.random_bool(0.2) {
            // While it starts: the log is being replayed, or the catalog read.
            std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
            process.kill();
            process = home.start();
        }
        process.wait_until_ready();
        check_by_query(&process, &mut ledger, kill);
        write_until_killed(process, random, &mut next, &mut ledger);
        if kill % COUNT_EVERY == 0 {
            check_on_disk(home, &ledger, kill);
        }
    }
    let mut process = home.start();
    process.wait_until_ready();
    check_by_query(&process, &mut ledger, kills);
    assert!(process.stop().success());
    check_on_disk(home, &ledger, kills);
    let points: i64 = ledger.acknowledged.iter().map(|b| b.to - b.from).sum();
    eprintln!("{} acknowledged requests with {points} points, all there once", ledger.acknowledged.len());
    assert!(ledger.acknowledged.len() as u64 > kills, "hardly anything was written");
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A database with an append table in it.
fn prepare(home: &Home) {
    let mut process = home.start();
    process.wait_until_ready();
    let path = format!("/query?q=CREATE%20DATABASE%20{DATABASE}");
    assert_eq!(Connection::open(process.influxdb).unwrap().ask("POST", &path, "").unwrap().0, 200);
    assert!(process.stop().success());
    physical::create_append_table(home.store(), DATABASE, TABLES[3]);
}

/// Lets all writers write and kills the gateway under them.
fn write_until_killed(process: Process, random: &mut StdRng, next: &mut [i64], ledger: &mut Ledger) {
    let killed = AtomicBool::new(false);
    let lifetime = Duration::from_millis(random.random_range(20..800));
    let address = process.influxdb;
    std::thread::scope(|scope| {
        let writers: Vec<_> = next
            .iter_mut()
            .enumerate()
            .map(|(i, next)| {
                let (seed, killed) = (random.random(), &killed);
                scope.spawn(move || write(i, address, StdRng::seed_from_u64(seed), next, killed))
            })
            .collect();
        std::thread::sleep(lifetime);
        process.kill();
        killed.store(true, Ordering::Relaxed);
        for writer in writers {
            let mut written = writer.join().unwrap();
            ledger.acknowledged.append(&mut written.acknowledged);
            ledger.open.append(&mut written.open);
        }
    });
}

fn write(i: usize, address: std::net::SocketAddr, mut random: StdRng, next: &mut i64, killed: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut connection) = Connection::open(address) else { return ledger };
    loop {
        let rows = if random.random_bool(0.5) { 1 } else { random.random_range(2..500) };
        let table = TABLES[random.random_range(0..TABLES.len())];
        let batch = Batch { table, host: format!("w{i}"), from: *next, to: *next + rows };
        *next = batch.to;
        match connection.ask("POST", &format!("/write?db={DATABASE}"), &lines(&batch)) {
            Ok((204, _)) => ledger.acknowledged.push(batch),
            // Refused before anything was stored.
            Ok((503, _)) => {}
            Ok((status, body)) => panic!("{status}: {body}"),
            Err(_) => {
                ledger.open.push(batch);
                return ledger;
            }
        }
        if killed.load(Ordering::Relaxed) {
            return ledger;
        }
    }
}

/// Neighbours in number are far apart in time, so that every batch falls into several windows.
fn lines(batch: &Batch) -> String {
    let Batch { table, host, from, to } = batch;
    (*from..*to)
        .map(|n| {
            let time = (n % 3) * 3_600_000_000_000 + n;
            format!("{table},host={host} n={n}i,half={},text=\"number {n}\" {time}\n", n as f64 / 2.0)
        })
        .collect()
}

/// Asks for every row and compares its values; settles which of the open batches came through.
fn check_by_query(process: &Process, ledger: &mut Ledger, kill: u64) {
    let mut found: BTreeMap<(&str, String), Vec<i64>> = BTreeMap::new();
    let have: Vec<String> =
        process.select(DATABASE, "select table_name from information_schema.tables where table_schema = 'crash'");
    for table in TABLES.into_iter().filter(|t| have.iter().any(|h| h == t)) {
        for line in process.select(DATABASE, &format!("select host, n, half, text, time from {table}")) {
            let cells: Vec<&str> = line.split(',').collect();
            let n: i64 = cells[1].parse().unwrap();
            assert_eq!(cells[2].parse::<f64>().unwrap(), n as f64 / 2.0, "kill {kill}, {table}: {line}");
            assert_eq!(cells[3], format!("number {n}"), "kill {kill}, {table}: {line}");
            assert!(cells[4].starts_with(&format!("1970-01-01T0{}:", n % 3)), "kill {kill}, {table}: {line}");
            found.entry((table, cells[0].to_string())).or_default().push(n);
        }
    }
    found.values_mut().for_each(|numbers| numbers.sort_unstable());
    let rows_of = |batch: &Batch| {
        let numbers = found.get(&(batch.table, batch.host.clone())).map_or(&[][..], |n| n);
        let range = numbers.partition_point(|n| *n < batch.from)..numbers.partition_point(|n| *n < batch.to);
        numbers[range].to_vec()
    };
    for batch in &ledger.acknowledged {
        let expected: Vec<i64> = (batch.from..batch.to).collect();
        assert_eq!(rows_of(batch), expected, "after kill {kill}: {batch:?} was acknowledged");
    }
    for batch in std::mem::take(&mut ledger.open) {
        let rows = rows_of(&batch);
        let expected: Vec<i64> = (batch.from..batch.to).collect();
        assert!(rows.is_empty() || rows == expected, "after kill {kill}: {batch:?} is there in part: {rows:?}");
        if !rows.is_empty() {
            ledger.acknowledged.push(batch); // visible, so it must stay
        }
    }
    let known: i64 = ledger.acknowledged.iter().map(|b| b.to - b.from).sum();
    let all: usize = found.values().map(Vec::len).sum();
    assert_eq!(all as i64, known, "after kill {kill}: rows that no one wrote, or twice");
}

/// Counts copies in log and segments while no gateway runs.
fn check_on_disk(home: &Home, ledger: &Ledger, kill: u64) {
    let copies = physical::copies(home.folder.path(), home.store(), DATABASE);
    for batch in &ledger.acknowledged {
        for n in batch.from..batch.to {
            let found = copies.get(&(batch.table.to_string(), batch.host.clone(), n)).copied().unwrap_or(0);
            assert_eq!(found, 1, "after kill {kill}: copies of number {n} of {batch:?}");
        }
    }
    let more_than_once: Vec<_> = copies.iter().filter(|(_, copies)| **copies > 1).take(5).collect();
    assert!(more_than_once.is_empty(), "after kill {kill}: {more_than_once:?}");
}
