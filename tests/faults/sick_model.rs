//! What tables must hold after what was written to them: rows by key, later values over earlier ones, column by column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rand::Rng;
use rand::rngs::StdRng;

use super::ledger::{DATABASE, JOURNAL, WINDOW_SECS};

/// A database that comes and goes.
pub const OTHER: &str = "other";
const TABLES: [&str; 4] = ["m0", "m1", "m2", "m3"];
const HOSTS: u32 = 3;
/// Time windows that rows fall into, in any order.
const WINDOWS: i64 = 4;

/// Host and time in nanoseconds.
type Key = (String, i64);
/// Values as text, by column.
type Row = BTreeMap<String, String>;

/// Databases, tables, rows.
#[derive(Debug, Default)]
pub struct Model {
    tables: BTreeMap<(&'static str, &'static str), BTreeMap<Key, Row>>,
    /// Rows of the append table of [`DATABASE`]: host, number, copies.
    journal: BTreeSet<(String, u64, u64)>,
    journaled: u64,
    /// How many columns have been thought of so far.
    inventions: u32,
}

/// One request, and what it does to the model once it is acknowledged.
#[derive(Debug)]
pub struct Request {
    pub database: &'static str,
    pub lines: String,
    rows: Vec<(&'static str, Key, Row)>,
    journal: Vec<(String, u64, u64)>,
}

impl Model {
    /// Makes up a request of some rows for some tables, old rows and new columns among them.
    pub fn request(&mut self, random: &mut StdRng) -> Request {
        let database = if random.random_bool(0.2) { OTHER } else { DATABASE };
        let mut request = Request { database, lines: String::new(), rows: Vec::new(), journal: Vec::new() };
        let first = random.random_range(0..TABLES.len());
        let tables = random.random_range(1..=3);
        for _ in 0..random.random_range(1..12) {
            let table = TABLES[(first + random.random_range(0..tables)) % TABLES.len()];
            let host = format!("h{}", random.random_range(0..HOSTS));
            let window = random.random_range(0..WINDOWS) * WINDOW_SECS as i64 * 1_000_000_000;
            let time = window + random.random_range(0..6);
            let row = self.row(random);
            let fields: Vec<String> = row.iter().map(|(name, value)| field(name, value)).collect();
            push_line(&mut request.lines, &format!("{table},host={host} {} {time}", fields.join(",")));
            request.rows.push((table, (host, time), row));
        }
        if database == DATABASE && random.random_bool(0.5) {
            for _ in 0..random.random_range(1..4) {
                self.journaled += 1;
                let (host, n) = (format!("h{}", random.random_range(0..HOSTS)), self.journaled);
                let copies = random.random_range(1..=2);
                for _ in 0..copies {
                    push_line(&mut request.lines, &format!("{JOURNAL},host={host} batch=0i,n={n}i {n}"));
                }
                request.journal.push((host, n, copies));
            }
        }
        request
    }

    fn row(&mut self, random: &mut StdRng) -> Row {
        let mut row = Row::new();
        if random.random_bool(0.5) {
            row.insert("f".to_string(), format!("{}.5", random.random_range(-50..50)));
        }
        if random.random_bool(0.4) {
            row.insert("i".to_string(), random.random_range(i64::MIN..i64::MAX).to_string());
        }
        if random.random_bool(0.3) {
            row.insert("b".to_string(), random.random_bool(0.5).to_string());
        }
        if random.random_bool(0.05) {
            self.inventions += 1;
        }
        if row.is_empty() || random.random_bool(0.3) {
            let column = format!("s{}", random.random_range(0..=self.inventions));
            row.insert(column, format!("text {}", random.random_range(0..1000)));
        }
        row
    }

    /// The request was acknowledged.
    pub fn acknowledge(&mut self, request: Request) {
        for (table, key, row) in request.rows {
            let rows = self.tables.entry((request.database, table)).or_default();
            rows.entry(key).or_default().extend(row);
        }
        self.journal.extend(request.journal);
    }

    pub fn drop_database(&mut self, database: &str) {
        self.tables.retain(|(of, _), _| *of != database);
    }

    /// Tables that must exist, besides the append table.
    pub fn tables(&self) -> Vec<(&'static str, &'static str)> {
        self.tables.keys().copied().collect()
    }

    /// A question to which [`Model::check_table`] knows the answer.
    pub fn question(table: &str) -> String {
        format!("select *, cast(time as bigint) as ns from {table}")
    }

    /// Compares with the CSV that answered.
    #[track_caller]
    pub fn check_table(&self, of: (&str, &str), csv: &str, context: &str) {
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap_or_default();
        let position =
            |name: &str| header.iter().position(|n| *n == name).unwrap_or_else(|| panic!("{context}: {csv}"));
        let (host, ns, time) = (position("host"), position("ns"), position("time"));
        let mut found: BTreeMap<Key, Row> = BTreeMap::new();
        for cells in lines {
            let row = (0..header.len())
                .filter(|i| ![host, ns, time].contains(i) && !cells[*i].is_empty())
                .map(|i| (header[i].to_string(), cells[i].to_string()))
                .collect();
            let key = (cells[host].to_string(), cells[ns].parse().unwrap());
            assert_eq!(found.insert(key.clone(), row), None, "{context}: {of:?}: {key:?} twice");
        }
        let expected = self.tables.iter().find(|(name, _)| **name == of).map(|(_, rows)| rows.clone());
        assert_eq!(Some(found), expected, "{context}: {of:?}");
    }

    /// Answers with host, number and copies of each row of the append table.
    pub const JOURNAL_QUESTION: &str = "select host, n, count(*) from journal group by host, n";

    #[track_caller]
    pub fn check_journal(&self, csv: &str, context: &str) {
        let rows = csv.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].to_string(), cells[1].parse().unwrap(), cells[2].parse().unwrap())
        });
        assert_eq!(rows.collect::<BTreeSet<_>>(), self.journal, "{context}: {JOURNAL}");
    }

    /// The same type as `information_schema` shows it.
    pub fn shown_type_of(column: &str) -> &'static str {
        match Model::type_of(column) {
            "Timestamp(ns)" => "TIMESTAMP(NANOSECOND)",
            "Float64" => "DOUBLE",
            "Int64" => "BIGINT",
            "Boolean" => "BOOLEAN",
            _ => "STRING",
        }
    }

    /// The engine's word for the type of a column.
    pub fn type_of(column: &str) -> &'static str {
        match column {
            "time" => "Timestamp(ns)",
            "host" => "Dictionary(Int32, Utf8)",
            "f" => "Float64",
            "i" | "batch" | "n" => "Int64",
            "b" => "Boolean",
            _ => "Utf8",
        }
    }
}

fn field(name: &str, value: &str) -> String {
    match Model::type_of(name) {
        "Int64" => format!("{name}={value}i"),
        "Utf8" => format!("{name}=\"{value}\""),
        _ => format!("{name}={value}"),
    }
}

fn push_line(lines: &mut String, line: &str) {
    writeln!(lines, "{line}").expect("a String takes all that is written");
}
