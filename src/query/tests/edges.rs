//! Questions for the newest or the oldest row of each series, which read no others.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::model::{ColumnKind, FieldType, RowIdentity, TableId, TableSchema};
use crate::query::QueryOptions;
use crate::query::influxql::select::Explain;
use crate::query::influxql::{Statement, parse};

use super::influxql::{ask, asker};
use super::tdengine;
use super::world::{Row, Value, World};

fn schema() -> TableSchema {
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.add("host", ColumnKind::Tag, None);
    schema.add("dc", ColumnKind::Tag, None);
    schema.add("f", ColumnKind::Field, Some(FieldType::Float));
    schema.add("i", ColumnKind::Field, Some(FieldType::Integer));
    schema
}

/// Rows of four series, which share no time. Every row has `f`, some have `i`.
fn rows(chance: &mut StdRng, count: usize, times: std::ops::Range<i64>) -> Vec<Row> {
    let row = |_| {
        let series = chance.random_range(0..4);
        let text = |text: &str| Some(Value::Text(text.to_string()));
        let host = text(if series % 2 == 0 { "a" } else { "b" });
        let dc = if series < 2 { text("x") } else { None };
        let i = chance.random_bool(0.5).then(|| Value::Integer(chance.random_range(0..5)));
        let time = chance.random_range(times.clone()) * 4 + series;
        Row { time, values: vec![host, dc, Some(Value::Float(f64::from(chance.random_range(0..9)))), i] }
    };
    (0..count).map(row).collect()
}

async fn world(chance: &mut StdRng) -> (World, TableId) {
    let world = World::new(QueryOptions { batch_rows: 7, target_partitions: 2, ..QueryOptions::default() });
    let (schema, mut sequence) = (schema(), 0);
    let table = world.create_table("m", &schema);
    for _ in 0..chance.random_range(1..4) {
        sequence += 1;
        let from = chance.random_range(0..3) * 50;
        let rows = rows(chance, 80, from..from + 60);
        world.add_segment(table, &schema, &rows, (sequence, sequence)).await;
    }
    world.flushed(table, sequence);
    if chance.random_bool(0.5) {
        let rows = rows(chance, 5, 0..160);
        world.add_live(table, &schema, &rows, (sequence + 1, sequence + 1));
    }
    (world, table)
}

/// The first and the last line of each series.
fn edges(lines: &[String]) -> (Vec<String>, Vec<String>) {
    let mut series: BTreeMap<&str, (&String, &String)> = BTreeMap::new();
    for line in lines {
        let name = line.split(' ').next().unwrap_or_default();
        series.entry(name).or_insert((line, line)).1 = line;
    }
    series.values().map(|(first, last)| ((*first).clone(), (*last).clone())).unzip()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_and_the_oldest_are_those_of_all_rows() {
    for seed in 0..4 {
        let mut chance = StdRng::seed_from_u64(seed);
        let (world, _) = world(&mut chance).await;
        let at = chance.random_range(0..700);
        let conditions = [
            String::new(),
            format!("WHERE time <= {at}"),
            format!("WHERE time >= {at}"),
            "WHERE host = 'a'".to_string(),
            "WHERE dc = ''".to_string(),
            "WHERE i > 2".to_string(),
            format!("WHERE dc =~ /x/ AND time < {at}"),
        ];
        for condition in conditions {
            for group in ["GROUP BY host", "GROUP BY host, dc", ""] {
                let all = ask(&world, &format!("SELECT f, i FROM m {condition} {group}")).await.unwrap();
                let (first, last) = edges(&all);
                for (fields, order, expected) in [
                    ("f, i", "ORDER BY time DESC LIMIT 1", &last),
                    ("f, i", "LIMIT 1", &first),
                    ("last(f), i", "", &last),
                    ("first(f), i", "", &first),
                ] {
                    let text = format!("SELECT {fields} FROM m {condition} {group} {order}");
                    let mut found = ask(&world, &text).await.unwrap();
                    found.sort();
                    assert_eq!(found, *expected, "seed {seed}: {text}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_those_of_all_rows_in_tdengine_s_words_too() {
    for seed in 0..4 {
        let mut chance = StdRng::seed_from_u64(seed);
        let (world, _) = world(&mut chance).await;
        let at = chance.random_range(0..700);
        for condition in
            ["", "where host = 'a'", &format!("where _ts > {at}"), &format!("where {at} >= _ts and dc = 'x'")]
        {
            for partition in ["partition by host, dc", "partition by tbname", "group by host", ""] {
                for calls in
                    ["last_row(i)", "last(i)", "last(f)", "last_row(_ts), last(f)", "first(f)", "first(_ts, f)"]
                {
                    let lines = async |more: &str| {
                        let text = format!("select {calls}{more} from m {condition} {partition}");
                        let mut lines = tdengine::lines(&world, &text).await.unwrap();
                        lines.sort();
                        lines
                    };
                    let expected: Vec<String> = lines(", count(*)")
                        .await
                        .into_iter()
                        .filter_map(|line| Some(line.rsplit_once('|')?.0.to_string()))
                        .collect();
                    let mut found = lines("").await;
                    // Over no rows a count is a row.
                    found.retain(|line| !line.is_empty() || !expected.is_empty());
                    assert_eq!(found, expected, "seed {seed}: {calls} {condition} {partition}");
                }
            }
        }
    }
}

/// Rows that the scans of a select gave.
async fn rows_read(world: &World, text: &str) -> usize {
    let mut query = parse(text).unwrap();
    let Statement::Select(select) = query.statements.remove(0) else { panic!("{text} is no SELECT") };
    let explain = Explain { analyze: true, select };
    let mut pieces = world.engine.explain(&asker(), &explain).await.unwrap();
    let mut read = 0;
    while let Some(piece) = futures::StreamExt::next(&mut pieces).await {
        read += rows_of_scans(&super::world::to_text(&piece.unwrap().rows));
    }
    read
}

fn rows_of_scans(plan: &[String]) -> usize {
    let scans = plan.iter().filter(|line| line.contains("DataSourceExec"));
    scans.filter_map(|line| line.split("output_rows=").nth(1)?.split([',', ' ']).next()?.parse::<usize>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_row_of_each_series_is_read_where_that_is_enough() {
    let world = World::new(QueryOptions { batch_rows: 16, target_partitions: 2, ..QueryOptions::default() });
    let schema = schema();
    let table = world.create_table("m", &schema);
    let rows = rows(&mut StdRng::seed_from_u64(1), 400, 0..1_000_000);
    world.add_segment(table, &schema, &rows, (1, 1)).await;
    world.flushed(table, 1);
    for (text, most) in [
        ("SELECT last(f) FROM m GROUP BY host", 4),
        ("SELECT first(f), i FROM m", 4),
        ("SELECT * FROM m GROUP BY * ORDER BY time DESC LIMIT 1", 4),
        ("SELECT last(f) FROM m WHERE time > 5 AND host = 'a'", 4),
    ] {
        let read = rows_read(&world, text).await;
        assert!((1..=most).contains(&read), "{text}: {read} rows");
    }
    for text in [
        "SELECT last(i) FROM m",                      // not every row has one
        "SELECT last(f) FROM m WHERE time < 2000000", // not every row counts
        "SELECT max(f) FROM m",
        "SELECT f FROM m ORDER BY time DESC LIMIT 2",
    ] {
        let read = rows_read(&world, text).await;
        assert!(read > 4, "{text}: {read} rows");
    }
    for (text, is_enough) in [
        ("last_row(i) from m", true),
        ("last(f), host from m where host = 'a' and _ts > 5 partition by dc", true),
        ("first(f, _ts) from m where _ts <= 2000000", true),
        ("last(i) from m", false),
        ("last_row(f), first(f) from m", false),
        ("last_row(f), max(f) from m", false),
        ("last_row(f) from m where f > 1", false),
        ("last_row(f) from m where _ts < 2000000", false),
        ("last_row(f) from m where host = 'a' or _ts > 5", false),
        ("first(f) from m where _ts > 5", false),
        ("last_row(f) from m group by i", false),
        ("last_row(f) from m interval(1s)", false),
        ("last_row(f) from (select f from m)", false),
    ] {
        let read = rows_of_scans(&tdengine::lines(&world, &format!("explain analyze select {text}")).await.unwrap());
        assert!(read > 0 && (read <= 4) == is_enough, "{text}: {read} rows");
    }
}
