//! What was sent, what was acknowledged, and whether a gateway holds just that.
//!
//! A batch is one request. Its rows are numbered, go to several tables in turn, and fall into several time windows; rows
//! of [`JOURNAL`], which is an append table, are sent twice, and each batch overwrites its writer's one row in [`LATEST`].

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::ops::Range;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::physical::Copies;

pub const DATABASE: &str = "faults";
/// Rows here have no identity: what is stored twice is seen twice.
pub const JOURNAL: &str = "journal";
const LATEST: &str = "latest";
/// What rows go to. Tables come to be as they are first written to.
const TABLES: [&str; 4] = ["alpha", "beta", "gamma", JOURNAL];
const ROWS_MAX: i64 = 120;
/// Rows of one writer, one after the other, lie in as many time windows.
const WINDOWS: i64 = 2;
pub const WINDOW_SECS: u64 = 3600;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Not acknowledged: there whole, or not at all.
    Open,
    /// Acknowledged, or seen after a restart: there for ever.
    Stored,
    /// Not seen after a restart: never there again.
    Gone,
}

#[derive(Debug)]
struct Batch {
    number: i64,
    rows: Range<i64>,
    tables: Vec<&'static str>,
    fate: Fate,
}

impl Batch {
    fn table_of(&self, row: i64) -> &'static str {
        self.tables[row as usize % self.tables.len()]
    }

    /// How many rows each table should have, and the sum of their numbers.
    fn totals(&self) -> BTreeMap<&'static str, Totals> {
        let mut totals = BTreeMap::new();
        for row in self.rows.clone() {
            let copies = copies_sent(self.table_of(row));
            let totals: &mut Totals = totals.entry(self.table_of(row)).or_default();
            totals.rows += copies;
            totals.sum += copies * row;
        }
        totals
    }
}

fn copies_sent(table: &str) -> i64 {
    if table == JOURNAL { 2 } else { 1 }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    rows: i64,
    sum: i64,
}

/// One client: sends batches one after the other, under a host name of its own.
#[derive(Debug)]
pub struct Writer {
    pub host: String,
    random: StdRng,
    next_row: i64,
    batches: Vec<Batch>,
}

impl Writer {
    pub fn new(index: usize, seed: u64) -> Writer {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1000) + index as u64);
        Writer { host: format!("w{index}"), random, next_row: 0, batches: Vec::new() }
    }

    pub fn several(count: usize, seed: u64) -> Vec<Writer> {
        (0..count).map(|index| Writer::new(index, seed)).collect()
    }

    /// Begins a batch and returns it as line protocol. It is open until [`Writer::acknowledged`].
    pub fn begin(&mut self) -> String {
        let first_table = self.random.random_range(0..TABLES.len());
        let tables = (0..self.random.random_range(1..=3)).map(|i| TABLES[(first_table + i) % TABLES.len()]).collect();
        let from = self.next_row;
        self.next_row += self.random.random_range(1..=ROWS_MAX);
        let number = self.batches.len() as i64;
        let batch = Batch { number, rows: from..self.next_row, tables, fate: Fate::Open };
        let lines = self.lines(&batch);
        self.batches.push(batch);
        lines
    }

    /// The batch begun last was acknowledged.
    pub fn acknowledged(&mut self) {
        self.batches.last_mut().expect("a batch was begun").fate = Fate::Stored;
    }

    pub fn acknowledged_batches(&self) -> usize {
        self.batches.iter().filter(|batch| batch.fate == Fate::Stored).count()
    }

    fn lines(&self, batch: &Batch) -> String {
        let (host, number) = (&self.host, batch.number);
        let mut lines = format!("{LATEST},host={host} n={number}i 0\n");
        for row in batch.rows.clone() {
            let table = batch.table_of(row);
            // Neighbours are windows apart. Columns are added as time goes on.
            let time = (row % WINDOWS) * WINDOW_SECS as i64 * 1_000_000_000 + row;
            let column = (number / 8).min(5);
            for _ in 0..copies_sent(table) {
                writeln!(lines, "{table},host={host} batch={number}i,n={row}i,c{column}=\"row {row}\" {time}")
                    .expect("a String takes all that is written");
            }
        }
        lines
    }

    fn last_stored(&self) -> Option<i64> {
        self.batches.iter().rev().find(|batch| batch.fate == Fate::Stored).map(|batch| batch.number)
    }
}

/// Whether what is seen now decides for ever about batches that were not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It does: the gateway was started anew since they were sent.
    Yes,
    /// A restart may still find them.
    No,
}

/// Asks for everything and compares; `select` gives a statement's rows as cells.
#[track_caller]
pub fn check_visible(
    writers: &mut [Writer],
    settle: Settle,
    context: &str,
    mut select: impl FnMut(&str) -> Vec<Vec<String>>,
) {
    let tables = select(&format!("select table_name from information_schema.tables where table_schema = '{DATABASE}'"));
    let is_there = |table: &str| tables.iter().any(|row| row[0] == table);
    let mut found: HashMap<(&str, String, i64), Totals> = HashMap::new();
    for table in TABLES.into_iter().filter(|table| is_there(table)) {
        let groups = select(&format!("select host, batch, count(*), sum(n) from {table} group by host, batch"));
        let mut all = 0;
        for row in &groups {
            let totals = Totals { rows: number(&row[2]), sum: number(&row[3]) };
            all += totals.rows;
            found.insert((table, row[0].clone(), number(&row[1])), totals);
        }
        let counted = select(&format!("select count(*) from {table}"));
        assert_eq!(number(&counted[0][0]), all, "{context}: count(*) of {table}");
    }
    for writer in writers.iter_mut() {
        for batch in &mut writer.batches {
            let expected = batch.totals();
            let seen: BTreeMap<_, _> = TABLES
                .into_iter()
                .filter_map(|table| Some((table, found.remove(&(table, writer.host.clone(), batch.number))?)))
                .collect();
            let whole = seen == expected;
            let right = match batch.fate {
                Fate::Stored => whole,
                Fate::Open => whole || seen.is_empty(),
                Fate::Gone => seen.is_empty(),
            };
            let host = &writer.host;
            assert!(right, "{context}: {host} sent {batch:?}: {expected:?}\nseen: {seen:?}");
            batch.settle(settle, whole);
        }
    }
    assert!(found.is_empty(), "{context}: nobody sent {found:?}");
    if is_there(LATEST) && settle == Settle::Yes {
        let latest = select(&format!("select host, n from {LATEST} order by host"));
        let latest: Vec<_> = latest.iter().map(|row| (row[0].clone(), number(&row[1]))).collect();
        let expected: Vec<_> = writers.iter().filter_map(|w| Some((w.host.clone(), w.last_stored()?))).collect();
        assert_eq!(latest, expected, "{context}: the values written last");
    }
}

/// Compares with what lies in log and segments while no gateway runs.
#[track_caller]
pub fn check_copies(writers: &mut [Writer], mut copies: Copies, context: &str) {
    for writer in writers.iter_mut() {
        for batch in &mut writer.batches {
            let copies_of = |row: i64, copies: &mut Copies| {
                let copies = copies.remove(&(batch.table_of(row).to_string(), writer.host.clone(), row));
                i64::from(copies.unwrap_or(0))
            };
            let wrong: Vec<_> = batch
                .rows
                .clone()
                .map(|row| (row, copies_of(row, &mut copies), copies_sent(batch.table_of(row))))
                .collect();
            let whole = wrong.iter().all(|(_, found, sent)| found == sent);
            let none = wrong.iter().all(|(_, found, _)| *found == 0);
            let right = match batch.fate {
                Fate::Stored => whole,
                Fate::Open => whole || none,
                Fate::Gone => none,
            };
            let wrong: Vec<_> = wrong.iter().filter(|(_, found, sent)| found != sent).take(5).collect();
            let host = &writer.host;
            assert!(right, "{context}: {host} sent {batch:?}; on disk (row, copies found, copies sent): {wrong:?} …");
            batch.settle(Settle::Yes, whole);
        }
    }
    copies.retain(|(table, ..), _| table != LATEST);
    let some: Vec<_> = copies.iter().take(5).collect();
    assert!(some.is_empty(), "{context}: {} rows on disk that nobody sent, such as {some:?}", copies.len());
}

impl Batch {
    fn settle(&mut self, settle: Settle, whole: bool) {
        if self.fate == Fate::Open && settle == Settle::Yes {
            self.fate = if whole { Fate::Stored } else { Fate::Gone };
        }
    }
}

#[track_caller]
fn number(cell: &str) -> i64 {
    cell.parse().unwrap_or_else(|_| panic!("{cell:?} should be a number"))
}

/// Cells of a CSV answer without its header; no cell is quoted.
pub fn cells(csv: &str) -> Vec<Vec<String>> {
    csv.lines().skip(1).map(|line| line.split(',').map(str::to_string).collect()).collect()
}
