//! Megabytes of line protocol a second through the parser, column building included, beside the bare parse of the crate
//! `influxdb-line-protocol`, which walks over measurement, tags, fields and time and builds nothing.
//!
//!     cargo bench --profile dist --bench parser
//!
//! One core, both in turns over the same bodies; prints the median of each and their ratio.

use std::hint::black_box;
use std::time::Instant;

use tidegate::model::Precision;
use tidegate::protocol::format::line_protocol::{Dialect, Options, parse};

const LINES: usize = 5_000;
const BODIES: usize = 20;
const ROUNDS: usize = 15;

fn main() {
    for (name, line) in
        [("integers", integers as Line), ("floats", floats), ("strings", strings), ("one field", one_field)]
    {
        let bodies: Vec<String> =
            (0..BODIES).map(|body| (0..LINES).map(|at| line(body * LINES + at)).collect()).collect();
        let bytes: usize = bodies.iter().map(String::len).sum();
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..ROUNDS {
            ours.push(seconds(|| bodies.iter().map(|body| points(body)).sum()));
            theirs.push(seconds(|| bodies.iter().map(|body| lines(body)).sum()));
        }
        let speed = |mut runs: Vec<f64>| {
            runs.sort_by(f64::total_cmp);
            bytes as f64 / 1e6 / runs[runs.len() / 2]
        };
        let (ours, theirs) = (speed(ours), speed(theirs));
        println!(
            "{name:<10} tidegate {ours:>6.0} MB/s   influxdb-line-protocol {theirs:>6.0} MB/s   ratio {:.2}",
            ours / theirs
        );
    }
}

type Line = fn(usize) -> String;

/// Runs `work`, which must handle all lines of all bodies.
fn seconds(work: impl FnOnce() -> usize) -> f64 {
    let start = Instant::now();
    assert_eq!(black_box(work()), LINES * BODIES);
    start.elapsed().as_secs_f64()
}

fn points(body: &str) -> usize {
    let options = Options { dialect: Dialect::INFLUXDB, precision: Precision::Ns, now_ns: 0 };
    let parsed = parse(black_box(body.as_bytes()), &options);
    black_box(parsed.points).into_tables().map(|table| table.rows()).sum()
}

fn lines(body: &str) -> usize {
    let mut count = 0;
    for line in influxdb_line_protocol::parse_lines(black_box(body)) {
        black_box(line.expect("the lines are good"));
        count += 1;
    }
    count
}

/// A value that looks random and is the same each time.
fn mixed(at: usize, field: usize) -> usize {
    (at * 31 + field).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

fn tags(at: usize) -> String {
    let host = at % 4_000;
    format!(
        "cpu,hostname=host_{host},region=eu-central-1,datacenter=eu-central-1{},rack={},os=Ubuntu16.04LTS,arch=x64,team=SF,service={},service_version=1,service_environment=production",
        ["a", "b"][host % 2],
        host % 100,
        host % 20
    )
}

const FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

fn with_fields(at: usize, value: impl Fn(usize) -> String) -> String {
    let fields: Vec<String> = FIELDS.iter().enumerate().map(|(i, name)| format!("{name}={}", value(i))).collect();
    format!("{} {} {}\n", tags(at), fields.join(","), time(at))
}

fn time(at: usize) -> usize {
    1_451_606_400_000_000_000 + at / 4_000 * 10_000_000_000
}

fn integers(at: usize) -> String {
    with_fields(at, |field| format!("{}i", mixed(at, field) % 100))
}

fn floats(at: usize) -> String {
    with_fields(at, |field| format!("{}", mixed(at, field) as f64 / 1e5))
}

fn strings(at: usize) -> String {
    with_fields(at, |field| format!("\"GET /api/items/{} took {} us\"", mixed(at, field), mixed(at, field) % 977))
}

fn one_field(at: usize) -> String {
    format!("m,host=host_{} value={} {}\n", at % 4_000, mixed(at, 1) as f64 / 1e5, time(at))
}
