//! InfluxQL's SELECT over tables of segments and live rows. What is expected was answered by the real server.

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;

use crate::model::{ColumnKind, FieldType, RowIdentity, TableSchema};
use crate::query::QueryOptions;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::plan::execute::Asker;
use crate::query::influxql::select::Explain;
use crate::query::influxql::{Statement, parse};

use super::world::{DATABASE, Row, TENANT, Value, World};

/// Measurements `m` (tags host, dc; fields f, i, s, b) and `n` (field f). Half of `m` is in a segment, half is live.
async fn world() -> World {
    let world = World::new(QueryOptions { batch_rows: 3, target_partitions: 2, ..QueryOptions::default() });
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.add("host", ColumnKind::Tag, None);
    schema.add("dc", ColumnKind::Tag, None);
    schema.add("f", ColumnKind::Field, Some(FieldType::Float));
    schema.add("i", ColumnKind::Field, Some(FieldType::Integer));
    schema.add("s", ColumnKind::Field, Some(FieldType::String));
    schema.add("b", ColumnKind::Field, Some(FieldType::Boolean));
    let text = |text: &str| Some(Value::Text(text.to_string()));
    let row =
        |time, host: &str, dc: Option<&str>, f: Option<f64>, i: Option<i64>, s: Option<&str>, b: Option<bool>| Row {
            time,
            values: vec![
                text(host),
                dc.and_then(text),
                f.map(Value::Float),
                i.map(Value::Integer),
                s.and_then(text),
                b.map(Value::Boolean),
            ],
        };
    let stored = [
        row(10, "a", Some("x"), Some(1.0), Some(7), Some("on"), None),
        row(21, "b", None, Some(5.0), None, None, Some(true)),
        row(30, "a", Some("x"), None, Some(-2), Some("off"), None),
    ];
    let live = [
        row(45, "b", None, Some(3.0), Some(4), None, Some(false)),
        row(50, "a", Some("x"), Some(-1.5), None, Some("on"), None),
        row(62, "b", None, None, Some(9), Some("off"), None),
    ];
    let table = world.create_table("m", &schema);
    world.add_segment(table, &schema, &stored, (1, 1)).await;
    world.flushed(table, 1);
    world.add_live(table, &schema, &live, (2, 2));
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.add("f", ColumnKind::Field, Some(FieldType::Integer));
    let table = world.create_table("n", &schema);
    world.add_live(table, &schema, &[Row { time: 5, values: vec![Some(Value::Integer(2))] }], (1, 1));
    world
}

/// A line a row: the series, the time, the values; `-` for null.
pub(super) async fn ask(world: &World, text: &str) -> Result<Vec<String>, StatementError> {
    let query = parse(text).unwrap();
    let [Statement::Select(select)] = &query.statements[..] else { panic!("{text} is no SELECT") };
    let mut pieces = world.engine.select(&asker(), select).await?;
    let mut lines = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let tags: Vec<String> = piece.head.tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
        let options = FormatOptions::default().with_null("-");
        let cells: Vec<_> =
            piece.rows.columns()[1..].iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        let times = datafusion::arrow::compute::cast(piece.rows.column(0), &FieldType::Integer.arrow()).unwrap();
        let times = ArrayFormatter::try_new(&times, &options).unwrap();
        for row in 0..piece.rows.num_rows() {
            let values: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            let name = piece.head.name.as_deref().unwrap_or_default();
            lines.push(format!("{name}{} {} {}", tags.concat(), times.value(row), values.join(" ")));
        }
    }
    Ok(lines)
}

pub(super) fn asker() -> Asker {
    Asker { tenant: TENANT.to_string(), database: Some(DATABASE.to_string()), policy: None, now: 80 }
}

#[track_caller]
fn check(text: &str, answered: Result<Vec<String>, StatementError>, expected: &[&str]) {
    match answered {
        Ok(lines) => assert_eq!(lines, expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_have_a_field_and_come_by_time() {
    let world = world().await;
    let table: &[(&str, &[&str])] = &[
        ("SELECT f FROM m", &["m 10 1.0", "m 21 5.0", "m 45 3.0", "m 50 -1.5"]),
        ("SELECT f, host FROM m WHERE time > 21 ORDER BY time DESC", &["m 50 -1.5 a", "m 45 3.0 b"]),
        ("SELECT i / 2, f + i, s FROM m WHERE dc = ''", &["m 21 - - -", "m 45 2.0 7.0 -", "m 62 4.5 - off"]),
        ("SELECT host FROM m", &[]),
        ("SELECT nothing FROM m", &[]),
        ("SELECT f FROM m GROUP BY dc LIMIT 1", &["m,dc= 21 5.0", "m,dc=x 10 1.0"]),
        ("SELECT f FROM m GROUP BY * ORDER BY time DESC SLIMIT 1", &["m,dc=x,host=a 50 -1.5", "m,dc=x,host=a 10 1.0"]),
        (
            "SELECT f, i FROM m WHERE time < 50 fill(previous)",
            &["m 10 1.0 7", "m 21 5.0 7", "m 30 5.0 -2", "m 45 3.0 4"],
        ),
        ("SELECT f FROM m WHERE dc = dc", &["m 10 1.0", "m 50 -1.5"]),
        ("SELECT f FROM m WHERE b - 1 != true AND b = true", &["m 21 5.0"]),
        ("SELECT f FROM m WHERE dc != dc", &["m 21 5.0", "m 45 3.0"]),
        ("SELECT i FROM m WHERE s != dc", &["m 10 7", "m 30 -2"]),
        ("SELECT i FROM m WHERE (dc = '') = true OR (dc != 'y') = true", &["m 10 7", "m 30 -2"]),
        ("SELECT i FROM m WHERE f * 2 AND i > 4", &["m 10 7", "m 62 9"]),
        ("SELECT i FROM m WHERE host * 'a'", &[]),
        ("SELECT i FROM m WHERE time < nothing = 5s AND host = 'b'", &["m 45 4", "m 62 9"]),
        ("SELECT f FROM m WHERE f > 2 = 5s", &["m 10 1.0", "m 50 -1.5"]),
        ("SELECT f FROM m, n WHERE s != 'x'", &["m 10 1.0", "m 50 -1.5"]),
        ("SELECT * FROM m WHERE f = 5", &["m 21 true - 5.0 b - -"]),
        ("SELECT f FROM /./", &["m 10 1.0", "m 21 5.0", "m 45 3.0", "m 50 -1.5", "n 5 2.0"]),
        ("SELECT f FROM m, n ORDER BY time DESC LIMIT 1", &["n 5 2.0", "m 50 -1.5"]),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_makes_a_row_whose_time_is_that_of_the_point_or_the_bound() {
    let world = world().await;
    let table: &[(&str, &[&str])] = &[
        ("SELECT mean(f), count(i), sum(i) FROM m", &["m 0 1.875 4 18"]),
        ("SELECT count(s) FROM m WHERE time >= 21 GROUP BY host", &["m,host=a 21 2", "m,host=b 21 1"]),
        ("SELECT max(f) FROM m", &["m 21 5.0"]),
        ("SELECT max(f), min(f) FROM m", &["m 0 5.0 -1.5"]),
        ("SELECT last(i), host, s FROM m", &["m 62 9 b off"]),
        ("SELECT median(f), spread(i), mode(s) FROM m", &["m 0 2.0 11 on"]),
        ("SELECT top(f, 2), host FROM m", &["m 21 5.0 b", "m 45 3.0 b"]),
        ("SELECT top(f, host, 2) FROM m", &["m 10 1.0 a", "m 21 5.0 b"]),
        ("SELECT distinct(s) FROM m", &["m 0 on", "m 0 off"]),
        ("SELECT max(x), min(x) FROM (SELECT ln(f - 1) AS x FROM m WHERE f = 1)", &["m 0 -inf -inf"]),
        ("SELECT spread(x) FROM (SELECT ln(f - 1) AS x FROM m WHERE f != 1)", &["m 0 NaN"]),
        ("SELECT spread(x) FROM (SELECT ln(f - 1) AS x FROM m WHERE f > 0)", &["m 0 inf"]),
        (
            "SELECT max(x), min(x) FROM (SELECT sqrt(f) - 2 AS x FROM m WHERE i > 0 OR f < 0)",
            &["m 0 -0.2679491924311228 -1.0"],
        ),
        ("SELECT max(x) + 1 FROM (SELECT ln(f + 1) AS x FROM m) ORDER BY time DESC", &["m 50 -"]),
        ("SELECT max(x), i FROM (SELECT log2(f + 3) AS x, i FROM m)", &["m 21 3.0 -"]),
        ("SELECT derivative(f, 1ns) FROM m WHERE host = 'b'", &["m 45 -0.08333333333333333"]),
        ("SELECT cumulative_sum(i) FROM m", &["m 10 7", "m 30 5", "m 45 9", "m 62 18"]),
        ("SELECT count(nothing) FROM m", &[]),
        ("SELECT mean(f::string) FROM m", &[]),
        ("SELECT spread(s::integer), sum(f::integer) FROM m", &["m 0 - 8"]),
        ("SELECT mean(f) FROM m WHERE time > 100", &[]),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_filled_from_bound_to_bound() {
    let world = world().await;
    let in_range = "FROM m WHERE time >= 5 AND time < 65 GROUP BY time(20ns)";
    let table: &[(String, &[&str])] = &[
        (format!("SELECT sum(f) {in_range}"), &["m 0 1.0", "m 20 5.0", "m 40 1.5", "m 60 -"]),
        (format!("SELECT sum(f) {in_range} fill(none)"), &["m 0 1.0", "m 20 5.0", "m 40 1.5"]),
        (format!("SELECT count(f) {in_range}"), &["m 0 1", "m 20 1", "m 40 2", "m 60 0"]),
        (
            format!("SELECT last(b), max(i) + 1 {in_range} fill(-3.5)"),
            &["m 0 false 8", "m 20 true -1", "m 40 false 5", "m 60 false 10"],
        ),
        (format!("SELECT max(f) {in_range} fill(previous)"), &["m 0 1.0", "m 20 5.0", "m 40 3.0", "m 60 3.0"]),
        (format!("SELECT difference(max(f)) {in_range}"), &["m 20 4.0", "m 40 -2.0"]),
        (format!("SELECT cumulative_sum(difference(max(f))) {in_range}"), &["m 20 4.0", "m 40 2.0"]),
        (format!("SELECT derivative(cumulative_sum(sum(i)), 20ns) {in_range}"), &["m 20 -2.0", "m 40 4.0", "m 60 9.0"]),
        (
            format!("SELECT difference(cumulative_sum(sum(f))), sum(f), cumulative_sum(sum(f)) {in_range} fill(none)"),
            &["m 0 - 1.0 1.0", "m 20 5.0 5.0 6.0", "m 40 1.5 1.5 7.5"],
        ),
        (format!("SELECT difference(distinct(i)) {in_range}"), &["m 20 -9", "m 40 6", "m 60 5"]),
        (
            format!("SELECT difference(sample(i, 9)), sum(f) {in_range} fill(none)"),
            &["m 0 - 1.0", "m 20 - 5.0", "m 30 -9 -", "m 40 - 1.5", "m 45 6 -", "m 62 5 -"],
        ),
        (
            "SELECT cumulative_sum(distinct(i)) FROM m WHERE time >= 0 AND time < 65 GROUP BY time(80ns)".to_string(),
            &["m 0 7", "m 0 5", "m 0 9", "m 0 18"],
        ),
        (
            format!("SELECT cumulative_sum(integral(i, 1ns)) {in_range}"),
            &["m 0 47.5", "m 20 95.0", "m 40 188.08823529411765", "m 60 200.5"],
        ),
        (
            "SELECT sum(i) FROM m GROUP BY time(20ns), host fill(0)".to_string(),
            &[
                "m,host=a 0 7",
                "m,host=a 20 -2",
                "m,host=a 40 0",
                "m,host=a 60 0",
                "m,host=a 80 0",
                "m,host=b 40 4",
                "m,host=b 60 9",
                "m,host=b 80 0",
            ],
        ),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_without_end_are_not_made_before_they_are_asked_for() {
    let world = world().await;
    let text = "SELECT sum(f) FROM m WHERE time >= 10 AND time < 3600000000000 GROUP BY time(1ns) LIMIT 2";
    check(text, ask(&world, text).await, &["m 10 1.0", "m 11 -"]);
    let text = "SELECT sum(f) FROM m WHERE time >= 10 AND time < 3600000000000 GROUP BY time(1ns), host LIMIT 2";
    check(text, ask(&world, text).await, &["m,host=a 10 1.0", "m,host=a 11 -", "m,host=b 10 -", "m,host=b 11 -"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_has_a_range_and_points_of_its_own() {
    let world = world().await;
    let from_21 = "FROM m WHERE time >= 21 AND time < 80 GROUP BY time(20ns)";
    let from_0 = "FROM m WHERE time >= 0 AND time < 80 GROUP BY";
    let table: &[(String, &[&str])] = &[
        (
            format!("SELECT difference(max(f)), cumulative_sum(count(f)) {from_21}"),
            &["m 20 4.0 1", "m 40 -2.0 3", "m 60 - 3"],
        ),
        (format!("SELECT difference(max(f)), difference(max(nothing)) {from_21}"), &["m 20 4.0 -", "m 40 -2.0 -"]),
        (
            format!("SELECT difference(last(f)), cumulative_sum(sum(f)) {from_0} time(10ns) LIMIT 1"),
            &["m 10 - 1.0", "m 20 4.0 -"],
        ),
        (
            format!("SELECT derivative(mean(f)), mean(i) {from_0} time(20ns)"),
            &["m 0 - 7.0", "m 20 4.0 -2.0", "m 40 -4.25 4.0", "m 60 - 9.0"],
        ),
        (
            format!("SELECT top(f, 2), i {from_0} time(40ns) fill(previous)"),
            &["m 10 1.0 7", "m 21 5.0 7", "m 45 3.0 4", "m 50 -1.5 4"],
        ),
        (
            format!("SELECT top(f, 2), i, s {from_0} time(80ns), host fill(previous)"),
            &["m,host=a 10 1.0 7 on", "m,host=a 50 -1.5 7 on", "m,host=b 21 5.0 - -", "m,host=b 45 3.0 4 -"],
        ),
        (
            "SELECT max(i), sum(f) FROM m GROUP BY time(20ns) fill(previous) ORDER BY time DESC".to_string(),
            &["m 80 - -", "m 60 9 -", "m 40 4 1.5", "m 20 -2 5.0", "m 0 7 1.0"],
        ),
        (
            format!("SELECT non_negative_difference(max(f)), difference(max(f)) {from_0} time(20ns) fill(previous)"),
            &["m 20 4.0 4.0", "m 40 4.0 -2.0", "m 60 0.0 0.0"],
        ),
        (format!("SELECT bottom(f, 2) {from_0} time(80ns) LIMIT 9"), &["m 10 1.0", "m 50 -1.5"]),
        (
            format!("SELECT distinct(s) {from_0} time(40ns), host ORDER BY time DESC LIMIT 1"),
            &["m,host=b 40 off", "m,host=a 40 on"],
        ),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_selects_have_the_range_and_the_groups_of_the_outer_one() {
    let world = world().await;
    let table: &[(&str, &[&str])] = &[
        ("SELECT max(x) FROM (SELECT sum(f) AS x FROM m GROUP BY host)", &["m 0 8.0"]),
        (
            "SELECT mean(x) FROM (SELECT f * 2 AS x FROM m) WHERE time < 40 GROUP BY host",
            &["m,host=a 0 2.0", "m,host=b 0 10.0"],
        ),
        ("SELECT x FROM (SELECT sum(i) AS x FROM m GROUP BY host) WHERE x > 5", &["m 0 13"]),
        ("SELECT f FROM (SELECT f FROM m) WHERE host = 'a'", &[]),
        ("SELECT f FROM (SELECT f, host FROM m) WHERE host = 'a'", &["m 10 1.0", "m 50 -1.5"]),
        ("SELECT distinct(host) FROM (SELECT f, host FROM m)", &["m 0 a", "m 0 b"]),
        ("SELECT count(host) FROM (SELECT last(f) FROM m GROUP BY host)", &["m 0 2"]),
        ("SELECT last(host), f FROM (SELECT f, host FROM m)", &["m 50 a -1.5"]),
        ("SELECT x, dc FROM (SELECT last(f) AS x FROM m GROUP BY dc)", &["m 45 3.0 ", "m 50 -1.5 x"]),
        ("SELECT x FROM (SELECT f AS x FROM m) WHERE nothing = '' AND x > 1", &["m 21 5.0", "m 45 3.0"]),
        ("SELECT x FROM (SELECT f AS x FROM m) WHERE sqrt(x) > 1", &[]),
        ("SELECT x::boolean FROM (SELECT f AS x FROM m) LIMIT 1", &["m 10 1.0"]),
        ("SELECT count(s::tag) FROM (SELECT s, f FROM m)", &["m 0 4"]),
        ("SELECT first(host::float) FROM (SELECT f FROM m GROUP BY host)", &["m 10 a"]),
        ("SELECT first(host::field) FROM (SELECT f, host FROM m)", &[]),
        ("SELECT count(host::field) FROM (SELECT f FROM m GROUP BY host)", &["m 0 4"]),
        ("SELECT host::field FROM (SELECT f, host FROM m)", &[]),
        ("SELECT host::field, f FROM (SELECT f, host FROM m) LIMIT 1", &["m 10 a 1.0"]),
        ("SELECT sum(nothing::string), count(f) FROM (SELECT f FROM m)", &["m 0 - 4"]),
        ("SELECT c FROM (SELECT f::string AS c, i FROM (SELECT f, i FROM m)) LIMIT 1", &["m 10 1.0"]),
        ("SELECT first(c) FROM (SELECT f::string AS c, i FROM (SELECT f, i FROM m))", &[]),
        ("SELECT c, host FROM (SELECT host AS c, f FROM m GROUP BY host) WHERE c = 'a'", &["m 10 a a", "m 50 a a"]),
        ("SELECT x FROM (SELECT i AS x FROM m GROUP BY host LIMIT 1)", &["m 10 7", "m 45 4"]),
        ("SELECT x FROM (SELECT i AS x FROM m GROUP BY host LIMIT 1 OFFSET 1)", &[]),
        ("SELECT x FROM (SELECT f AS x, b FROM m) WHERE b != true", &["m 10 1.0", "m 45 3.0", "m 50 -1.5"]),
        ("SELECT x FROM (SELECT f AS x, i FROM m) WHERE i = false", &["m 21 5.0", "m 50 -1.5"]),
        ("SELECT top(x, 1) FROM (SELECT f AS x FROM m) LIMIT 1", &["m 21 5.0"]),
        (
            "SELECT d FROM (SELECT difference(max(f)) AS d FROM m GROUP BY time(20ns)) WHERE time >= 21 AND time < 80",
            &["m 40 -2.0"],
        ),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_series_and_time_are_one_run() {
    let world = World::new(QueryOptions { target_partitions: 2, ..QueryOptions::default() });
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.add("host", ColumnKind::Tag, None);
    schema.add("dc", ColumnKind::Tag, None);
    schema.add("f", ColumnKind::Field, Some(FieldType::Integer));
    let row = |time, host: &str, dc: i64| Row {
        time,
        values: vec![Some(Value::Text(host.to_string())), Some(Value::Text(dc.to_string())), Some(Value::Integer(dc))],
    };
    let of = |(time, host)| (0..200).map(move |dc| row(time, host, dc));
    let turns = [(5, "b"), (10, "a"), (11, "a"), (20, "b"), (30, "a"), (40, "b")];
    let rows: Vec<Row> = turns.into_iter().flat_map(of).collect();
    let table = world.create_table("m", &schema);
    world.add_live(table, &schema, &rows, (1, 1));
    // Those of a begin with a run of two times.
    for (limit, rows) in [(300, 4 * 200 + 300), (150, 5 * 150)] {
        let text = format!("SELECT x FROM (SELECT f AS x FROM m GROUP BY host LIMIT {limit})");
        assert_eq!(ask(&world, &text).await.unwrap().len(), rows, "{text}");
        let inner = "SELECT x FROM (SELECT f AS x FROM m GROUP BY host, dc)";
        let text = format!("SELECT x FROM ({inner} GROUP BY host LIMIT {limit})");
        assert_eq!(ask(&world, &text).await.unwrap().len(), rows, "{text}");
    }
    // Storage gives one row more of each series than the limit.
    let text = "SELECT x FROM (SELECT f AS x FROM m WHERE dc = '7' GROUP BY host LIMIT 1)";
    check(text, ask(&world, text).await, &["m 5 7", "m 10 7", "m 20 7"]);
    let text =
        "SELECT x FROM (SELECT f AS x FROM m WHERE dc = '7' AND time > 5 GROUP BY host LIMIT 1) ORDER BY time DESC";
    check(text, ask(&world, text).await, &["m 40 7", "m 30 7", "m 20 7", "m 11 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_before_are_those_of_rows_that_leave() {
    let world = world().await;
    let windows = "FROM m WHERE time >= 0 AND time < 80 GROUP BY time(20ns)";
    let table: &[(String, &[&str])] = &[
        ("SELECT f, i FROM m fill(previous) LIMIT 2 OFFSET 2".to_string(), &["m 30 - -2", "m 45 3.0 4"]),
        ("SELECT f + i, s FROM m fill(previous) OFFSET 3".to_string(), &["m 45 7.0 -"]),
        (
            "SELECT f, i FROM m GROUP BY host fill(previous) ORDER BY time DESC LIMIT 9 OFFSET 1".to_string(),
            &["m,host=b 45 3.0 4", "m,host=b 21 5.0 4", "m,host=a 30 - -2", "m,host=a 10 1.0 7"],
        ),
        (
            "SELECT f, i FROM (SELECT f, i FROM m fill(previous) LIMIT 3 OFFSET 2)".to_string(),
            &["m 30 - -2", "m 45 3.0 4", "m 50 -1.5 4"],
        ),
        (
            "SELECT f, i FROM (SELECT f, i FROM m GROUP BY host fill(previous) LIMIT 9 OFFSET 1) GROUP BY host"
                .to_string(),
            &["m,host=a 30 - -2", "m,host=a 50 -1.5 -2", "m,host=b 45 3.0 4", "m,host=b 62 3.0 9"],
        ),
        (format!("SELECT max(i), s {windows} fill(previous) OFFSET 1"), &["m 20 -2 off", "m 40 4 off", "m 60 9 off"]),
        (format!("SELECT max(f), s {windows} fill(previous) OFFSET 1"), &["m 20 5.0 -", "m 40 3.0 -", "m 60 3.0 -"]),
        (
            format!("SELECT max(f), s {windows} fill(previous)"),
            &["m 0 1.0 on", "m 20 5.0 on", "m 40 3.0 on", "m 60 3.0 on"],
        ),
        ("SELECT top(f, 3), i FROM m fill(previous) LIMIT 4 OFFSET 1".to_string(), &["m 21 5.0 -", "m 45 3.0 4"]),
        (
            "SELECT t, i FROM (SELECT top(f, 4) AS t, i FROM m) fill(previous)".to_string(),
            &["m 10 1.0 7", "m 21 5.0 7", "m 45 3.0 4", "m 50 -1.5 4"],
        ),
    ];
    for (text, expected) in table {
        check(text, ask(&world, text).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_ends_rows_behind_offset_alone() {
    let world = world().await;
    for (text, expected) in [
        ("SELECT f FROM m OFFSET 1", &["m 21 5.0"][..]),
        ("SELECT f FROM (SELECT f FROM m) OFFSET 1", &["m 21 5.0", "m 45 3.0", "m 50 -1.5"]),
        ("SELECT f FROM (SELECT f FROM m OFFSET 1)", &["m 21 5.0"]),
        ("SELECT x FROM (SELECT f AS x FROM (SELECT f FROM m GROUP BY host) GROUP BY host OFFSET 1)", &["m 45 3.0"]),
        (
            "SELECT x FROM (SELECT f AS x FROM (SELECT f FROM m GROUP BY host) GROUP BY host OFFSET 1) GROUP BY host",
            &["m,host=a 50 -1.5", "m,host=b 45 3.0"],
        ),
    ] {
        check(text, ask(&world, text).await, expected);
    }
}

/// The operators of a select's plan.
async fn explained(world: &World, text: &str) -> String {
    let mut query = parse(text).unwrap();
    let Statement::Select(select) = query.statements.remove(0) else { panic!("{text} is no SELECT") };
    let mut pieces = world.engine.explain(&asker(), &Explain { analyze: false, select }).await.unwrap();
    let mut lines = Vec::new();
    while let Some(piece) = pieces.next().await {
        lines.extend(super::world::to_text(&piece.unwrap().rows));
    }
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn values_before_are_carried_in_one_pass_where_rows_may_lack_them() {
    let world = world().await;
    let until = "FROM m WHERE time >= 0 AND time < 80 GROUP BY time(20ns) fill(previous)";
    for (text, passes) in [
        (format!("SELECT mean(f), max(i) {until}"), 0),
        (format!("SELECT mean(f), max(i) {until} ORDER BY time DESC"), 0),
        ("SELECT mean(f), max(i) FROM m GROUP BY time(20ns) fill(previous) ORDER BY time DESC".to_string(), 1),
        (format!("SELECT difference(mean(f)), difference(max(i)) {until}"), 1),
        (format!("SELECT top(f, 2), i {until}"), 1),
        ("SELECT f, i FROM m fill(previous)".to_string(), 1),
    ] {
        let plan = explained(&world, &text).await;
        let carrying = plan.lines().filter(|line| line.contains("TransformExec") && line.contains("carry of"));
        assert_eq!((carrying.count(), plan.contains("last_value")), (passes, false), "{text}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said_as_the_server_says_it() {
    let world = world().await;
    let table = [
        ("SELECT s + 1 FROM m", "type error: s::string + 1: incompatible types: string and integer"),
        ("SELECT mean(s) FROM m", "unsupported mean iterator type: *query.stringInterruptIterator"),
        (
            "SELECT x::tag + 1 FROM (SELECT f AS x FROM m)",
            "type error: x::tag + 1: incompatible types: tag and integer",
        ),
        (
            "SELECT sum(x::tag) FROM (SELECT f AS x FROM m)",
            "unsupported sum iterator type: *query.stringInterruptIterator",
        ),
        ("SELECT f FROM nowhere..m", "database not found: nowhere"),
        ("SELECT f FROM lost.m", "retention policy not found: lost"),
    ];
    for (text, expected) in table {
        assert_eq!(ask(&world, text).await.unwrap_err().to_string(), expected, "{text}");
    }
}
