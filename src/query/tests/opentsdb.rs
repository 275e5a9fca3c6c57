//! OpenTSDB's queries over tables of segments and live rows.

use futures::StreamExt;

use crate::model::metric::{VALUE_FIELD, VALUE_INT_FIELD};
use crate::model::{Classify, ColumnKind, FieldType, Kind, RowIdentity, TableId, TableSchema};
use crate::query::opentsdb::OpentsdbError;
use crate::query::opentsdb::answer::Value as Number;
use crate::query::opentsdb::execute::{Asker, Target};
use crate::query::opentsdb::metric_query::{parse_metric, parse_metric_query};
use crate::query::opentsdb::request::{Counts, RawQuery, RawSubQuery};
use crate::query::{QueryOptions, Readable};

use super::world::{DATABASE, Row, TENANT, Value, World};

const SECOND: i64 = 1_000_000_000;

fn options() -> QueryOptions {
    QueryOptions { batch_rows: 7, target_partitions: 2, ..QueryOptions::default() }
}

fn schema() -> TableSchema {
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.add("host", ColumnKind::Tag, None);
    schema.add(VALUE_FIELD, ColumnKind::Field, Some(FieldType::Float));
    schema.add(VALUE_INT_FIELD, ColumnKind::Field, Some(FieldType::Integer));
    schema
}

/// A whole number at a second.
fn point(host: &str, second: i64, value: i64) -> Row {
    let values = [Value::Text(host.to_string()), Value::Float(value as f64), Value::Integer(value)];
    Row { time: second * SECOND, values: values.map(Some).to_vec() }
}

fn read(text: &str) -> Result<RawSubQuery, OpentsdbError> {
    parse_metric_query(text, &mut Counts::default())
}

fn asker() -> Asker {
    Asker { tenant: TENANT.to_string(), database: DATABASE.to_string(), readable: Readable::All }
}

/// Groups of sub queries from second 0 on, a line each: the tags, keys of the aggregated ones, `second:value` of each point.
async fn ask(world: &World, end: i64, queries: &[&str]) -> Result<Vec<String>, OpentsdbError> {
    let raw = RawQuery {
        start: Some("0".to_string()),
        end: Some(end.to_string()),
        queries: queries.iter().map(|text| read(text)).collect::<Result<_, _>>()?,
        ..RawQuery::default()
    };
    let query = raw.validate(0)?;
    let metric = |text: Option<&String>| text.map(|text| text.as_str().into()).unwrap_or_default();
    let targets: Vec<Target> =
        query.queries.iter().map(|query| Target { metric: metric(query.raw.metric.as_ref()), members: None }).collect();
    let mut groups = world.engine.opentsdb(&asker(), &query, &targets).await?.groups;
    let mut lines: Vec<String> = Vec::new();
    while let Some(piece) = groups.next().await {
        let piece = piece?;
        if let Some(head) = piece.head {
            let tags: Vec<String> = head.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            lines.push(format!("{}|{}|", tags.join(","), head.aggregated.join(",")));
        }
        let line = lines.last_mut().expect("a head comes first");
        for (time, value) in piece.points.iter() {
            let value = match value {
                Number::Integer(value) => value.to_string(),
                Number::Float(value) => format!("{value:?}"),
            };
            line.push_str(&format!(" {}:{value}", time / 1000));
        }
    }
    Ok(lines)
}

/// Two series of a point each ten seconds, as rows in order of time.
fn rows() -> Vec<Row> {
    (0..24).flat_map(|i| [point("a", i * 10, i), point("b", i * 10 + 5, 100 * i)]).collect()
}

const QUESTIONS: [&str; 7] = [
    "sum:m",
    "none:m{host=*}",
    "sum:20s-sum:m",
    "max:1m-avg-zero:m{host=*}",
    "avg:rate:m",
    "sum:0all-count:m{host=literal_or(b)}",
    // Few rows of each segment: batches of several are put together.
    "sum:10s-sum:m{host=literal_or(a)}",
];

#[tokio::test]
async fn an_answer_does_not_hang_on_where_rows_are() {
    let whole = World::new(options());
    let table = whole.create_table("m", &schema());
    whole.add_segment(table, &schema(), &rows(), (1, 1)).await;
    let expected = ask(&whole, 240, &QUESTIONS).await.unwrap();
    assert_eq!(
        expected[1],
        "host=a|| 0:0 10:1 20:2 30:3 40:4 50:5 60:6 70:7 80:8 90:9 100:10 110:11 120:12 130:13 \
                             140:14 150:15 160:16 170:17 180:18 190:19 200:20 210:21 220:22 230:23"
    );
    for layout in [Layout::Live, Layout::PlainSegments, Layout::Overlapping, Layout::Clusters] {
        let world = World::new(options());
        let table = world.create_table("m", &schema());
        layout.fill(&world, table).await;
        assert_eq!(ask(&world, 240, &QUESTIONS).await.unwrap(), expected, "{layout:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Layout {
    Live,
    /// One after the other in time, the last rows live.
    PlainSegments,
    /// All over the same stretch of time.
    Overlapping,
    /// Several stretches of time, two segments over each: partitions take turns at them.
    Clusters,
}

impl Layout {
    async fn fill(self, world: &World, table: TableId) {
        let (schema, rows) = (schema(), rows());
        match self {
            Layout::Live => world.add_live(table, &schema, &rows, (1, 1)),
            Layout::PlainSegments => {
                for (i, part) in (1..).zip(rows.chunks(10)) {
                    if i < 4 {
                        world.add_segment(table, &schema, part, (i, i)).await;
                    } else {
                        world.add_live(table, &schema, part, (i, i));
                    }
                    world.flushed(table, 3);
                }
            }
            Layout::Overlapping => {
                for i in 0..3_u64 {
                    let part: Vec<Row> = rows.iter().skip(i as usize).step_by(3).cloned().collect();
                    world.add_segment(table, &schema, &part, (i + 1, i + 1)).await;
                }
            }
            Layout::Clusters => {
                for (i, part) in (0_u64..).zip(rows.chunks(6)) {
                    // Both hosts in both, so that neither is left out when one host is asked for.
                    let every_other = |first: usize| -> Vec<Row> {
                        part.chunks(2).skip(first).step_by(2).flatten().cloned().collect()
                    };
                    let split = [every_other(0), every_other(1)];
                    for (j, part) in (1..).zip(split) {
                        world.add_segment(table, &schema, &part, (2 * i + j, 2 * i + j)).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn names_that_were_never_written_are_refused() {
    let world = World::new(options());
    let table = world.create_table("m", &schema());
    world.add_segment(table, &schema(), &[point("a", 0, 1)], (1, 1)).await;
    let mut other = schema();
    other.add("dc", ColumnKind::Tag, None);
    let table = world.create_table("n", &other);
    world.add_live(table, &other, &[point("only_n", 0, 1)], (1, 1));
    let check = async |query: &str, expected: Result<usize, &str>| {
        let found = ask(&world, 60, &[query]).await.map(|lines| lines.len()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_string), "{query}");
    };
    check("sum:x", Err("No such name for 'metrics': 'x'")).await;
    check("sum:m{rack=*}", Err("No such name for 'tagk': 'rack'")).await;
    check("sum:m{host=b}", Err("No such name for 'tagv': 'b'")).await;
    check("sum:m{host=a|b}", Err("No such name for 'tagv': 'b'")).await;
    check("sum:m{host=iliteral_or(b)}", Ok(0)).await;
    // Written, but not here.
    check("sum:m{host=only_n}", Ok(0)).await;
    check("sum:m{dc=*}", Ok(0)).await;
    check("sum:m{host=a}", Ok(1)).await;
}

#[tokio::test]
async fn fields_of_any_table_are_metrics() {
    let world = World::new(options());
    let mut cpu = TableSchema::new(RowIdentity::Series);
    cpu.add("host", ColumnKind::Tag, None);
    cpu.add("idle", ColumnKind::Field, Some(FieldType::Float));
    cpu.add("n", ColumnKind::Field, Some(FieldType::Integer));
    cpu.add("up", ColumnKind::Field, Some(FieldType::Boolean));
    cpu.add("note", ColumnKind::Field, Some(FieldType::String));
    let text = |text: &str| Some(Value::Text(text.to_string()));
    let row = |second: i64, idle: Option<f64>| Row {
        time: second * SECOND,
        values: vec![text("a"), idle.map(Value::Float), Some(Value::Integer(7)), Some(Value::Boolean(true)), text("x")],
    };
    let table = world.create_table("sys.cpu", &cpu);
    world.add_live(table, &cpu, &[row(0, Some(2.0)), row(10, None)], (1, 1));
    let check = async |query: &str, expected: &str| {
        assert_eq!(ask(&world, 60, &[query]).await.unwrap(), [expected], "{query}");
    };
    check("sum:sys.cpu.idle", "host=a|| 0:2.0").await;
    check("sum:sys.cpu.n", "host=a|| 0:7 10:7").await;
    check("sum:sys.cpu.up", "host=a|| 0:1 10:1").await;
    check("sum:1m-sum:public.sys.cpu.n", "host=a|| 0:14.0").await;
    for query in ["sum:sys.cpu.note", "sum:sys.cpu.none", "sum:sys.cpu"] {
        assert!(ask(&world, 60, &[query]).await.is_err(), "{query}");
    }
    // A table of the name wins over a field.
    let table = world.create_table("sys.cpu.idle", &schema());
    world.add_live(table, &schema(), &[point("b", 0, 5)], (1, 1));
    check("sum:sys.cpu.idle", "host=b|| 0:5").await;
}

#[tokio::test]
async fn databases_that_may_not_be_read_have_no_metrics() {
    let world = World::new(options());
    let table = world.create_table("m", &schema());
    world.add_live(table, &schema(), &[point("a", 0, 1)], (1, 1));
    let stranger = Asker { readable: Readable::Only(["other".to_string()].into()), ..asker() };
    let target = Target { metric: "m".into(), members: None };
    let query = RawQuery {
        start: Some("0".to_string()),
        end: Some("60".to_string()),
        queries: vec![read("sum:m").unwrap()],
        ..RawQuery::default()
    };
    let query = query.validate(0).unwrap();
    for (asker, expected) in [(asker(), None), (stranger, Some("No such name for 'metrics': 'm'".to_string()))] {
        let asked = world.engine.opentsdb(&asker, &query, std::slice::from_ref(&target)).await;
        assert_eq!(asked.err().map(|error| error.to_string()), expected);
        let last = world.engine.opentsdb_last(&asker, &target, &[], None, 0).await;
        assert_eq!(last.err().map(|error| error.to_string()), expected);
    }
}

#[tokio::test]
async fn a_place_says_whether_its_rows_are_points_of_one_metric() {
    let world = World::new(options());
    world.create_table("m", &schema());
    let mut cpu = TableSchema::new(RowIdentity::Series);
    cpu.add("usage", ColumnKind::Field, Some(FieldType::Float));
    world.create_table("single", &cpu);
    cpu.add(VALUE_FIELD, ColumnKind::Field, Some(FieldType::Float));
    world.create_table("cpu", &cpu);
    for (metric, expected) in [("m", true), ("single.usage", true), ("cpu.usage", false), ("cpu", false)] {
        let query = read(&format!("sum:{metric}")).unwrap();
        let query = RawQuery { start: Some("0".into()), queries: vec![query], ..RawQuery::default() };
        let query = query.validate(60_000).unwrap();
        let target = Target { metric: metric.into(), members: None };
        let answer = world.engine.opentsdb(&asker(), &query, std::slice::from_ref(&target)).await.unwrap();
        assert_eq!(answer.places[0].is_whole, expected, "{metric}");
    }
}

#[tokio::test]
async fn series_asked_for_by_name_come_whatever_their_order() {
    let world = World::new(options());
    let table = world.create_table("m", &schema());
    world.add_live(table, &schema(), &["a", "b", "c", "d"].map(|host| point(host, 0, 1)), (1, 1));
    let query = read("none:m").unwrap();
    let query = RawQuery { start: Some("0".into()), queries: vec![query], ..RawQuery::default() };
    let query = query.validate(60_000).unwrap();
    let members = ["d", "a", "x", "c"].map(|host| vec![("host".into(), host.into())]).to_vec();
    let target = Target { metric: "m".into(), members: Some(members) };
    let mut groups = world.engine.opentsdb(&asker(), &query, &[target]).await.unwrap().groups;
    let mut hosts = Vec::new();
    while let Some(piece) = groups.next().await {
        hosts.extend(piece.unwrap().head.into_iter().map(|head| head.tags[0].1.to_string()));
    }
    assert_eq!(hosts, ["a", "c", "d"]);
}

#[tokio::test]
async fn sub_queries_answer_in_their_order() {
    let world = World::new(options());
    let table = world.create_table("m", &schema());
    world.add_live(table, &schema(), &rows(), (1, 1));
    let queries =
        ["count:1m-sum:m", "sum:0all-sum:m{host=a}", "none:m{host=b}", "max:2m-max:m", "min:4m-min:m", "sum:m"];
    let all = ask(&world, 240, &queries).await.unwrap();
    let mut one_by_one = Vec::new();
    for query in queries {
        one_by_one.extend(ask(&world, 240, &[query]).await.unwrap());
    }
    assert_eq!(all, one_by_one);
}

#[tokio::test]
async fn a_query_stays_within_its_memory() {
    let world = World::new(QueryOptions { memory_bytes_per_query: 64 * 1024, batch_rows: 1024, ..options() });
    let table = world.create_table("m", &schema());
    let rows: Vec<Row> = (0..20_000).map(|i| point("a", i, i)).collect();
    world.add_segment(table, &schema(), &rows, (1, 1)).await;
    for query in ["sum:m", "sum:1s-sum-zero:m"] {
        let error = ask(&world, 20_000, &[query]).await.expect_err(query);
        assert_eq!(error.kind(), Kind::TooLarge, "{query}: {error}");
    }
    assert_eq!(ask(&world, 20_000, &["sum:1h-count:m"]).await.unwrap().len(), 1);
    assert_eq!(world.engine.memory_reserved(), 0);
}

#[tokio::test]
async fn the_newest_point_of_each_series() {
    let world = World::new(options());
    let table = world.create_table("m", &schema());
    world.add_segment(table, &schema(), &rows(), (1, 1)).await;
    world.flushed(table, 1);
    let mut late = point("a", 15, 3);
    late.values[1] = Some(Value::Float(2.5));
    late.values[2] = None;
    world.add_live(table, &schema(), &[late, point("c", 1, 9)], (2, 2));
    let check = async |series: &str, since_s: Option<i64>, expected: &[(&str, i64, Number)]| {
        let (metric, filters) = parse_metric(series, &mut Counts::default()).unwrap();
        let target = Target { metric: metric.as_str().into(), members: None };
        let found =
            world.engine.opentsdb_last(&asker(), &target, &filters, since_s.map(|s| s * 1000), 0).await.unwrap();
        let found: Vec<_> =
            found.iter().map(|point| (point.tags[0].1.to_string(), point.time_ms / 1000, point.value)).collect();
        let expected: Vec<_> = expected.iter().map(|(host, time, value)| (host.to_string(), *time, *value)).collect();
        assert_eq!(found, expected, "{series}");
    };
    let (a, b, c) = (("a", 230, Number::Integer(23)), ("b", 235, Number::Integer(2300)), ("c", 1, Number::Integer(9)));
    check("m", None, &[a, b, c]).await;
    check("m{host=b|c}", None, &[b, c]).await;
    check("m", Some(200), &[a, b]).await;
    check("m{host=none}", None, &[]).await;
}
