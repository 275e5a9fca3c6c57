//! The engine against a model that keeps every row in a map.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::catalog::Change;
use crate::model::{ColumnKind, FieldType, RowIdentity, SeriesFilter, TableSchema, Tombstone};
use crate::query::{QueryOptions, Tables};

use super::world::{Row, Value, World};

/// The schema as it grew: a table starts with the first and ends with the last. A tag and a field share a name, names
/// differ by case only, and one column was renamed.
fn schemas(identity: RowIdentity) -> [TableSchema; 3] {
    let mut first = TableSchema::new(identity);
    first.add("x", ColumnKind::Field, Some(FieldType::Float));
    first.add("host", ColumnKind::Tag, None);
    let mut second = first.clone();
    second.add("x", ColumnKind::Tag, None);
    second.add("Host", ColumnKind::Field, Some(FieldType::String));
    second.add("n", ColumnKind::Field, Some(FieldType::Integer));
    let mut third = second.clone();
    third.add("ok", ColumnKind::Field, Some(FieldType::Boolean));
    third.columns[4].sql_name = "number".to_string();
    [first, second, third]
}

/// SQL names of the last schema's columns.
const COLUMNS: [&str; 7] = ["time", "x", "host", "x_1", "\"Host\"", "number", "ok"];
/// Positions of tags among a row's values.
const TAGS: [usize; 2] = [1, 2];

fn random_row(random: &mut StdRng, schema: &TableSchema, times: i64) -> Row {
    let values = schema.columns.iter().map(|column| {
        if random.random_bool(0.35) {
            return None;
        }
        Some(match column.field_type {
            None => Value::Text(["a", "b", "", "é"].choose(random).unwrap().to_string()),
            Some(FieldType::Float) => Value::Float(*[-1.5, 0.0, -0.0, 2.25, 7.0].choose(random).unwrap()),
            Some(FieldType::Integer | FieldType::Unsigned) => Value::Integer(random.random_range(-3..4)),
            Some(FieldType::Boolean) => Value::Boolean(random.random()),
            Some(FieldType::String) => Value::Text(["", "t", "u"].choose(random).unwrap().to_string()),
        })
    });
    Row { values: values.collect(), time: random.random_range(-times..times) }
}

/// What the table holds: rows in order of writing, merged where they are one.
fn model(identity: RowIdentity, writes: &[Vec<Row>]) -> Vec<Row> {
    let mut merged: BTreeMap<(Vec<Option<String>>, i64), Row> = BTreeMap::new();
    let mut all = Vec::new();
    for row in writes.iter().flatten() {
        let mut row = row.clone();
        row.values.resize(6, None);
        all.push(row.clone());
        let text = |t: &usize| row.values[*t].as_ref().map(|v| format!("{v:?}"));
        let key = (TAGS.iter().map(text).collect(), row.time);
        match merged.get_mut(&key) {
            Some(old) => {
                for (old, new) in old.values.iter_mut().zip(row.values) {
                    *old = new.or(old.take());
                }
            }
            None => {
                merged.insert(key, row);
            }
        }
    }
    match identity {
        RowIdentity::Series => merged.into_values().collect(),
        RowIdentity::Append => all,
    }
}

type Test = Box<dyn Fn(&Row) -> bool>;

/// A condition in SQL and in the model. Null is never true.
fn random_condition(random: &mut StdRng, times: i64) -> (String, Test) {
    let at = random.random_range(-times..times);
    let number = random.random_range(-3..4);
    let tag = ["a", "b", "", "é", "nobody"].choose(random).unwrap().to_string();
    let place = *TAGS.choose(random).unwrap();
    let name = COLUMNS[place + 1];
    let text = |row: &Row, at: usize| match &row.values[at] {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    match random.random_range(0..13) {
        0 => (format!("time >= to_timestamp_nanos({at})"), Box::new(move |r| r.time >= at)),
        1 => (format!("time < to_timestamp_nanos({at})"), Box::new(move |r| r.time < at)),
        2 => (format!("time = to_timestamp_nanos({at})"), Box::new(move |r| r.time == at)),
        3 => (format!("{name} = '{tag}'"), Box::new(move |r| text(r, place).is_some_and(|t| t == tag))),
        4 => (format!("{name} <> '{tag}'"), Box::new(move |r| text(r, place).is_some_and(|t| t != tag))),
        5 => (format!("{name} is null"), Box::new(move |r| r.values[place].is_none())),
        6 => ("x > 1".to_string(), Box::new(|r| matches!(r.values[0], Some(Value::Float(x)) if x > 1.0))),
        7 => ("x <= 0".to_string(), Box::new(|r| matches!(r.values[0], Some(Value::Float(x)) if x <= 0.0))),
        8 => (
            format!("number >= {number}"),
            Box::new(move |r| matches!(r.values[4], Some(Value::Integer(n)) if n >= number)),
        ),
        9 => ("number is null".to_string(), Box::new(|r| r.values[4].is_none())),
        10 => ("ok".to_string(), Box::new(|r| matches!(r.values[5], Some(Value::Boolean(true))))),
        11 => ("\"Host\" = 't'".to_string(), Box::new(move |r| text(r, 3).is_some_and(|t| t == "t"))),
        _ => (
            format!("({name} = '{tag}' or x > 1)"),
            Box::new(move |r| {
                text(r, place).is_some_and(|t| t == tag) || matches!(r.values[0], Some(Value::Float(x)) if x > 1.0)
            }),
        ),
    }
}

/// A delete for the catalog and for the model. A tag that a row lacks is empty.
fn random_delete(random: &mut StdRng, ordinal: u64, times: i64) -> (Tombstone, Test) {
    let [a, b] = [0, 0].map(|_| random.random_range(-times..times));
    let (time_min_ns, time_max_ns) = (a.min(b), a.max(b));
    let value = ["a", "b", "", "é"].choose(random).unwrap().to_string();
    let (tag, place) = *[("host", 1), ("x", 2)].choose(random).unwrap();
    let tag = tag.to_string();
    let of_row = move |row: &Row| match row.values.get(place) {
        Some(Some(Value::Text(text))) => text.clone(),
        _ => String::new(),
    };
    let (series, is_meant): (SeriesFilter, Test) = match random.random_range(0..4) {
        0 => (SeriesFilter::All, Box::new(|_| true)),
        1 => (SeriesFilter::Equal { tag, value: value.clone() }, Box::new(move |row| of_row(row) == value)),
        2 => {
            let equal = SeriesFilter::Equal { tag, value: value.clone() };
            (SeriesFilter::Not(Box::new(equal)), Box::new(move |row| of_row(row) != value))
        }
        _ => {
            let pattern = "^[ab]?$".to_string();
            (SeriesFilter::Matches { tag, pattern }, Box::new(move |row| ["a", "b", ""].contains(&&*of_row(row))))
        }
    };
    let tombstone = Tombstone { id: uuid::Uuid::new_v4(), ordinal, time_min_ns, time_max_ns, series };
    let is_deleted = move |row: &Row| (time_min_ns..=time_max_ns).contains(&row.time) && is_meant(row);
    (tombstone, Box::new(is_deleted))
}

fn value_text(row: &Row, column: usize) -> String {
    if column == 0 {
        let nanos = chrono::DateTime::from_timestamp_nanos(row.time).naive_utc();
        return nanos.format("%Y-%m-%dT%H:%M:%S%.f").to_string();
    }
    match &row.values[column - 1] {
        None => "∅".to_string(),
        Some(Value::Float(x)) => format!("{x:?}"),
        Some(Value::Integer(n)) => n.to_string(),
        Some(Value::Boolean(b)) => b.to_string(),
        Some(Value::Text(t)) => t.clone(),
    }
}

fn expected(rows: &[&Row], columns: &[usize]) -> Vec<String> {
    rows.iter().map(|row| columns.iter().map(|c| value_text(row, *c)).collect::<Vec<_>>().join("|")).collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// Writes are cut at random into stretches of sequence; each stretch is a flush of one or more time windows, the last
/// ones are live. Some flushed chunks are still in the buffer.
async fn fill(world: &World, random: &mut StdRng, identity: RowIdentity, writes: usize, times: i64) -> Vec<Vec<Row>> {
    let schemas = schemas(identity);
    let table = world.create_table("t", &schemas[0]);
    let window = *[times / 3 + 1, 2 * times + 1].choose(random).unwrap();
    let mut all = Vec::new();
    let mut stretch: Vec<Row> = Vec::new();
    let mut first = 1u64;
    let live_from = random.random_range(writes / 2..=writes);
    for number in 0..writes {
        let schema = &schemas[(number * 3 / writes.max(1)).min(2)];
        let rows: Vec<Row> = (0..random.random_range(1..25)).map(|_| random_row(random, schema, times)).collect();
        all.push(rows.clone());
        let sequence = number as u64 + 1;
        if number >= live_from {
            world.add_live(table, schema, &rows, (sequence, sequence));
            first = sequence + 1;
            continue;
        }
        stretch.extend(rows);
        if random.random_bool(0.4) || number + 1 == live_from {
            if random.random_bool(0.2) {
                world.add_live(table, schema, &stretch, (first, sequence));
            }
            let mut windows: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
            for row in stretch.drain(..) {
                windows.entry(row.time.div_euclid(window)).or_default().push(row);
            }
            for rows in windows.values() {
                world.add_segment(table, schema, rows, (first, sequence)).await;
            }
            world.flushed(table, sequence);
            first = sequence + 1;
            if random.random_bool(0.4) {
                let ordinal = world.catalog.state().table(table).unwrap().last_tombstone() + 1;
                let (tombstone, is_deleted) = random_delete(random, ordinal, times);
                world.catalog.apply(&Change::AddTombstone { table, tombstone });
                all.iter_mut().for_each(|rows| rows.retain(|row| !is_deleted(row)));
            }
        }
    }
    world.set_schema(table, &schemas[2]);
    all
}

async fn check(seed: u64, identity: RowIdentity, writes: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    let random = &mut random;
    let options = QueryOptions {
        batch_rows: *[1, 3, 16, 8192].choose(random).unwrap(),
        target_partitions: random.random_range(1..4),
        ..QueryOptions::default()
    };
    let world = World::new(options);
    let times = *[4, 40, 400].choose(random).unwrap();
    let writes = fill(&world, random, identity, writes, times).await;
    let rows = model(identity, &writes);
    let all: Vec<&Row> = rows.iter().collect();
    let every: Vec<usize> = (0..COLUMNS.len()).collect();
    let ask = async |text: &str| world.rows(text).await.unwrap_or_else(|e| panic!("seed {seed}: {text}: {e}"));
    assert_eq!(sorted(ask("select * from t").await), sorted(expected(&all, &every)), "seed {seed}: select *");
    assert_eq!(ask("select count(*) from t").await, [all.len().to_string()], "seed {seed}: count(*)");
    let Some(latest) = all.iter().map(|r| r.time).max() else { return };
    let text = "select max(cast(time as bigint)), min(time) is null, count(x), count(x_1) from t";
    let counted = |at: usize| all.iter().filter(|r| r.values[at].is_some()).count();
    assert_eq!(ask(text).await, [format!("{latest}|false|{}|{}", counted(0), counted(2))], "seed {seed}: {text}");
    for _ in 0..8 {
        let conditions: Vec<_> = (0..random.random_range(1..4)).map(|_| random_condition(random, times)).collect();
        let filter = conditions.iter().map(|c| c.0.as_str()).collect::<Vec<_>>().join(" and ");
        let passing: Vec<&Row> = all.iter().copied().filter(|row| conditions.iter().all(|c| c.1(row))).collect();
        let columns: Vec<usize> = (0..random.random_range(1..4)).map(|_| random.random_range(0..7)).collect();
        let names = columns.iter().enumerate().map(|(i, c)| format!("{} as c{i}", COLUMNS[*c])).collect::<Vec<_>>();
        let names = names.join(", ");

        let text = format!("select {names} from t where {filter}");
        assert_eq!(sorted(ask(&text).await), sorted(expected(&passing, &columns)), "seed {seed}: {text}");

        let text = format!("select count(*) from t where {filter}");
        assert_eq!(ask(&text).await, [passing.len().to_string()], "seed {seed}: {text}");

        let limit = random.random_range(1..6);
        let text = format!("select {names} from t limit {limit}");
        let some = ask(&text).await;
        assert_eq!(some.len(), limit.min(all.len()), "seed {seed}: {text}");
        let possible = expected(&all, &columns);
        assert!(some.iter().all(|row| possible.contains(row)), "seed {seed}: {text}");

        // Times alone, so that rows that tie cannot differ.
        let text = format!("select time from t where {filter} order by time desc limit {limit}");
        let mut newest = passing.clone();
        newest.sort_by_key(|row| std::cmp::Reverse(row.time));
        newest.truncate(limit);
        assert_eq!(ask(&text).await, expected(&newest, &[0]), "seed {seed}: {text}");

        let text = format!("select host, x_1, time from t where {filter} order by host, x_1, time");
        let mut in_order = passing.clone();
        let tag = |row: &Row, at: usize| (row.values[at].is_none(), value_text(row, at + 1));
        in_order.sort_by_key(|row| (tag(row, 1), tag(row, 2), row.time));
        assert_eq!(ask(&text).await, expected(&in_order, &[2, 3, 0]), "seed {seed}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_identity_are_read_as_the_model_has_them() {
    for seed in 0..6 {
        check(seed, RowIdentity::Series, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn append_tables_are_read_as_the_model_has_them() {
    for seed in 100..103 {
        check(seed, RowIdentity::Append, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_overlapping_segments_are_merged_in_levels() {
    for seed in 200..201 {
        check(seed, RowIdentity::Series, 200).await;
    }
}
