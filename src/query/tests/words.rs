//! Full text search: what is found, and what is not read for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::catalog::Change;
use crate::model::{ColumnKind, FieldType, RowIdentity, SeriesFilter, TableId, TableSchema, Tombstone};
use crate::query::{QueryOptions, Tables};
use crate::storage::segment::Segment;

use super::store::Watched;
use super::world::{Row, Value, World};

fn options() -> QueryOptions {
    QueryOptions { target_partitions: 2, ..QueryOptions::default() }
}

fn schema(identity: RowIdentity) -> TableSchema {
    let mut schema = TableSchema::new(identity);
    schema.add("host", ColumnKind::Tag, None);
    schema.add("message", ColumnKind::Field, Some(FieldType::String));
    schema.add("n", ColumnKind::Field, Some(FieldType::Integer));
    schema
}

fn row(time: i64, message: Option<&str>) -> Row {
    let text = |text: &str| Value::Text(text.to_string());
    Row { time, values: vec![Some(text("web 1")), message.map(text), Some(Value::Integer(time))] }
}

/// Lines of their own, from number `first` on.
fn lines(first: i64, count: i64) -> Vec<Row> {
    let line = |n: i64| row(n, Some(&format!("GET /orders/{n} connection reset by peer, request r{:x}", n * 7919)));
    (first..first + count).map(line).collect()
}

/// Three segments, the last one without a message, and live rows.
async fn logs(world: &World) -> (TableId, TableSchema) {
    let schema = schema(RowIdentity::Append);
    let table = world.create_table("logs", &schema);
    world.add_segment(table, &schema, &lines(0, 2_000), (1, 1)).await;
    world.add_segment(table, &schema, &lines(2_000, 2_000), (2, 2)).await;
    world.add_segment(table, &schema, &[row(5_000, None)], (3, 3)).await;
    world.flushed(table, 3);
    world.add_live(table, &schema, &lines(6_000, 10), (4, 4));
    (table, schema)
}

fn groups(world: &World) -> (f64, f64) {
    let of = |result| world.metric("tidegate_word_filter_row_groups_total", &[("result", result)]);
    (of("read"), of("skipped"))
}

async fn files_read(world: &World, condition: &str) -> usize {
    let rows = world.rows(&format!("explain select n from logs where {condition}")).await.unwrap();
    let plan = rows.iter().find_map(|row| row.strip_prefix("physical_plan|")).unwrap().to_string();
    plan.matches(".parquet").count()
}

/// Conditions and the rows that they find.
const SEARCHES: [(&str, &str); 9] = [
    ("matches(message, '17')", "17"),
    ("matches(message, 'ORDERS 3999')", "3999"),
    ("matches(message, '6003')", "6003"),
    ("matches(message, 'nowhere')", ""),
    ("matches(message, '17 3999')", ""),
    ("matches(message, '17') or matches(message, '6001')", "17 6001"),
    ("matches(message, '\"reset by peer\"') and n in (5, 2005, 5000, 6005)", "5 2005 6005"),
    ("matches(message, '\"by reset\"')", ""),
    ("matches(host, 'WEB') and n in (1, 5000)", "1 5000"),
];

async fn check_searches(world: &World) {
    for (condition, expected) in SEARCHES {
        // What is no column is not looked up.
        let slow = condition.replace("(message,", "(message || '',");
        for condition in [condition, condition, &slow] {
            let found = world.rows(&format!("select n from logs where {condition} order by n")).await.unwrap();
            assert_eq!(found.join(" "), expected, "{condition}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_the_same_with_filters_and_without() {
    let mut skipped = Vec::new();
    for words in [false, true] {
        let mut world = World::new(options());
        world.words = words;
        logs(&world).await;
        check_searches(&world).await;
        skipped.push(groups(&world).1);
    }
    // Without filters only the segment without the column is left out.
    assert!(skipped[0] < skipped[1], "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_without_the_words_are_not_read() {
    let store = Arc::new(Watched::default());
    let world = World::over(options(), store.inner.clone(), store.clone());
    logs(&world).await;
    let reads = async |condition: &str| {
        let before = store.reads.load(Ordering::SeqCst);
        world.rows(&format!("select n from logs where {condition}")).await.unwrap();
        store.reads.load(Ordering::SeqCst) - before
    };
    assert_eq!(files_read(&world, "matches(message || '', '17')").await, 3);
    assert_eq!(groups(&world), (0.0, 0.0));
    assert_eq!(files_read(&world, "matches(message, '17')").await, 1);
    assert_eq!(groups(&world), (1.0, 2.0));
    assert_eq!(files_read(&world, "matches(message, 'reset')").await, 2);
    assert_eq!(files_read(&world, "matches(message, 'reset nowhere')").await, 0);
    assert_eq!(files_read(&world, "matches(message, '17') and n > 1999").await, 0);
    assert_eq!(files_read(&world, "matches(message, 'reset') or n = 3").await, 3);
    assert_eq!(files_read(&world, "not matches(message, '17')").await, 3);
    assert_eq!(reads("matches(message, 'elsewhere')").await, 2, "a look into each segment that has messages");
    assert_eq!(reads("matches(message, 'elsewhere')").await, 0, "the answers are kept");
    assert_eq!(reads("matches(message, 'elsewhere') and n >= 0").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_groups_without_the_words_are_not_read() {
    let world = World::new(options());
    let schema = schema(RowIdentity::Append);
    let table = world.create_table("logs", &schema);
    world.add_segment(table, &schema, &lines(0, 300_000), (1, 1)).await;
    let found = world.rows("select n from logs where matches(message, '299999')").await.unwrap();
    assert_eq!(found, ["299999"]);
    assert_eq!(groups(&world), (1.0, 1.0));
    let text = "explain analyze select n from logs where matches(message, '299998')";
    let analyzed = world.rows(text).await.unwrap().join("\n");
    let scan = analyzed.lines().find(|line| line.contains("DataSourceExec")).unwrap();
    // The rows that the condition was asked about are those of the second row group: 300,000 - 262,144.
    assert!(scan.contains("pushdown_rows_matched=1,") && scan.contains("pushdown_rows_pruned=37.85 K"), "{scan}");
    assert_eq!(world.rows("select count(*) from logs where matches(message, 'peer')").await.unwrap(), ["300000"]);
}

fn segments(world: &World) -> Vec<Segment> {
    world.catalog.state().tables().flat_map(|table| table.segments.iter().map(|s| (**s).clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_filter_is_noticed_and_the_rows_are_read() {
    let world = World::new(options());
    logs(&world).await;
    let segment = &segments(&world)[0];
    let path = Path::parse(&segment.path).unwrap();
    let mut bytes = world.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    // Filters are the end of the body. Without its bits it would deny every word.
    let body = (segment.size_bytes - segment.footer_bytes) as usize;
    bytes[body - 8192..body].fill(0);
    world.store.put(&path, PutPayload::from(bytes)).await.unwrap();
    assert_eq!(files_read(&world, "matches(message, '17')").await, 1);
    assert_eq!(world.metric("tidegate_corrupt_segments", &[]), 1.0);
    // The second segment's filter still says no.
    assert_eq!(groups(&world), (0.0, 2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_are_not_found() {
    let world = World::new(options());
    let (table, _) = logs(&world).await;
    let (id, series) = (uuid::Uuid::new_v4(), SeriesFilter::All);
    let tombstone = Tombstone { id, ordinal: 1, time_min_ns: 0, time_max_ns: 100, series };
    world.catalog.apply(&Change::AddTombstone { table, tombstone });
    let found = world.rows("select n from logs where matches(message, '17')").await.unwrap();
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(world.rows("select n from logs where matches(message, '101')").await.unwrap(), ["101"]);
}

/// The newest value of a row hides the others, whatever words they have.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_merge_are_found_by_their_newest_text() {
    let world = World::new(options());
    let schema = schema(RowIdentity::Series);
    let table = world.create_table("logs", &schema);
    world.add_segment(table, &schema, &[row(1, Some("old text")), row(2, Some("other"))], (1, 1)).await;
    world.add_segment(table, &schema, &[row(1, Some("new text"))], (2, 2)).await;
    let find = async |word: &str| world.rows(&format!("select n from logs where matches(message, '{word}')")).await;
    assert_eq!(find("old").await.unwrap(), Vec::<String>::new());
    assert_eq!(find("new").await.unwrap(), ["1"]);
    assert_eq!(find("other").await.unwrap(), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_is_refused() {
    let world = World::new(options());
    logs(&world).await;
    for condition in ["matches(n, '1')", "matches(message, 1)", "matches(message)"] {
        let error = world.rows(&format!("select n from logs where {condition}")).await.unwrap_err();
        assert!(error.to_string().contains("matches"), "{error}");
    }
    assert_eq!(world.rows("select matches('One two', 'two'), matches(null, 'two')").await.unwrap(), ["true|∅"]);
}
