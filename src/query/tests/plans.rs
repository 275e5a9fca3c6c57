//! What is read and what is not, and what names mean.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::catalog::Change;
use crate::model::{ColumnKind, FieldType, RowIdentity, TableSchema};
use crate::query::{QueryError, QueryOptions};

use super::store::Watched;
use super::world::{DATABASE, Row, TENANT, Value, World, cpu, cpu_schema};

fn options() -> QueryOptions {
    QueryOptions { target_partitions: 2, ..QueryOptions::default() }
}

async fn plan(world: &World, text: &str) -> String {
    let rows = world.rows(&format!("explain {text}")).await.unwrap();
    rows.iter().find_map(|row| row.strip_prefix("physical_plan|")).unwrap().to_string()
}

/// Two overlapping segments, one alone, and live rows over the first two.
async fn mixed(world: &World) -> TableSchema {
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    world.add_segment(table, &schema, &[cpu("a", 1, 20.0), cpu("b", 5, 5.0)], (1, 2)).await;
    world.add_segment(table, &schema, &[cpu("a", 1, 1.0), cpu("c", 3, 3.0)], (3, 4)).await;
    world.add_segment(table, &schema, &[cpu("a", 100, 7.0), cpu("b", 110, 8.0)], (5, 6)).await;
    world.add_live(table, &schema, &[cpu("b", 5, 50.0), cpu("z", 1_000, 1.0), cpu("z", 1_000, 2.0)], (7, 7));
    schema
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_over_keys_go_below_the_merge_and_filters_over_fields_stay_above() {
    let world = World::new(options());
    mixed(&world).await;
    let plan = plan(&world, "select usage from cpu where host = 'a' and usage > 15").await;
    let (above, below) = plan.split_once("RowMergeExec").unwrap();
    assert!(above.contains("usage@") && above.contains("> 15"), "{plan}");
    let merged_file = below.lines().find(|line| line.contains("DataSourceExec")).unwrap();
    assert!(merged_file.contains("predicate=host@") && !merged_file.contains("> 15"), "{plan}");
    assert_eq!(world.rows("select usage from cpu where usage > 15").await.unwrap(), ["50.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_overlapping_segments_are_merged() {
    let world = World::new(options());
    mixed(&world).await;
    let all = plan(&world, "select * from cpu").await;
    assert_eq!(all.matches("RowMergeExec").count(), 1, "{all}");
    let quiet = plan(&world, "select * from cpu where time >= to_timestamp_nanos(50)").await;
    assert_eq!((quiet.matches("RowMergeExec").count(), quiet.matches(".parquet").count()), (0, 1), "{quiet}");
    let nothing = plan(&world, "select * from cpu where time >= to_timestamp_nanos(5000)").await;
    assert!(nothing.contains("EmptyExec") && !nothing.contains("DataSourceExec"), "{nothing}");
    let by_tag = plan(&world, "select * from cpu where host = 'c'").await;
    assert_eq!((by_tag.matches("RowMergeExec").count(), by_tag.matches(".parquet").count()), (0, 1), "{by_tag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_segment_costs_one_read_for_its_footer_and_a_warm_one_none() {
    let store = Arc::new(Watched::default());
    let world = World::over(options(), store.inner.clone(), store.clone());
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    world.add_segment(table, &schema, &[cpu("a", 1, 20.0), cpu("b", 2, 5.0)], (1, 1)).await;
    let reads = async |text: &str| {
        let before = store.reads.load(Ordering::SeqCst);
        world.rows(text).await.unwrap();
        store.reads.load(Ordering::SeqCst) - before
    };
    assert_eq!(reads("select count(*), max(time), count(usage) from cpu").await, 0);
    assert_eq!(reads("select usage from cpu where usage > 6").await, 2);
    assert_eq!(reads("select usage from cpu where usage > 6").await, 1);
    let requests = |result| world.metric("tidegate_cache_requests_total", &[("result", result)]);
    assert_eq!((requests("miss"), requests("hit")), (1.0, 1.0), "one look-up a file");
    assert!(world.metric("tidegate_cache_bytes", &[("cache", "parquet_metadata")]) > 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_flushed_while_a_query_starts_are_seen_once() {
    let schema = cpu_schema(RowIdentity::Append);
    let world = World::new(options());
    let table = world.create_table("cpu", &schema);
    let rows = [cpu("a", 1, 1.0), cpu("a", 1, 1.0)];
    world.add_live(table, &schema, &rows, (1, 2));
    world.add_live(table, &schema, &[cpu("a", 9, 9.0)], (3, 3));
    let segment = world.put_segment(table, &schema, &rows, (1, 2)).await;
    let (catalog, writer) = (world.catalog.clone(), super::world::WRITER);
    *world.buffer.after_snapshot.lock().unwrap() = Some(Box::new(move || {
        catalog.apply(&Change::AddSegments { table, segments: vec![segment.clone()] });
        catalog.apply(&Change::Flushed { table, writer, through: 2 });
    }));
    assert_eq!(world.rows("select count(*) from cpu").await.unwrap(), ["3"]);
    assert_eq!(world.rows("select a.usage from cpu a join cpu b on a.time = b.time").await.unwrap().len(), 5);
    world.flushed(table, 3);
    assert_eq!(world.rows("select count(*) from cpu").await.unwrap(), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_known_by_id() {
    let world = World::new(options());
    let mut schema = TableSchema::new(RowIdentity::Append);
    for name in ["n", "old", "kept"] {
        schema.add(name, ColumnKind::Field, Some(FieldType::Integer));
    }
    let table = world.create_table("t", &schema);
    let row = |n| Row { time: n, values: vec![Some(Value::Integer(n)); 3] };
    world.add_segment(table, &schema, &[row(1)], (1, 1)).await;
    world.add_live(table, &schema, &[row(2)], (2, 2));
    // One column is widened, one dropped and added anew, one renamed to what another was called.
    let dropped = schema.columns.remove(1);
    schema.columns[0].field_type = Some(FieldType::Float);
    schema.columns[1].sql_name = dropped.name.clone();
    schema.add("old", ColumnKind::Field, Some(FieldType::Boolean));
    world.set_schema(table, &schema);
    let all = world.rows("select n, old, old_1 from t where n + 0.5 > 1 order by n").await.unwrap();
    assert_eq!(all, ["1.0|1|∅", "2.0|2|∅"]);
    assert_eq!(world.rows("select n from t where n > 1.5 and old_1 is null").await.unwrap(), ["2.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_are_not_exact_do_not_answer() {
    let world = World::new(options());
    let schema = cpu_schema(RowIdentity::Append);
    let table = world.create_table("cpu", &schema);
    world.add_segment(table, &schema, &[cpu("a", 1, 0.0), cpu("a", 2, 0.0)], (1, 1)).await;
    assert_eq!(world.rows("select min(usage), max(usage) from cpu").await.unwrap(), ["0.0|0.0"]);
    world.add_segment(table, &schema, &[cpu("a", 1, f64::NAN), cpu("a", 2, 3.0)], (2, 2)).await;
    assert_eq!(world.rows("select count(*) from cpu where usage > 2").await.unwrap(), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_exact_first_and_fold_only_when_unique() {
    let world = World::new(options());
    let schema = cpu_schema(RowIdentity::Append);
    for (name, rows) in [("Cpu", 1), ("CPU", 2), ("Mem", 3)] {
        let table = world.create_table(name, &schema);
        let rows: Vec<Row> = (0..rows).map(|t| cpu("a", t, 1.0)).collect();
        world.add_live(table, &schema, &rows, (1, 1));
    }
    let check = async |table: &str, rows: Option<&str>| {
        let answer = world.rows(&format!("SELECT COUNT(*) FROM {table}")).await;
        match (answer, rows) {
            (Ok(seen), Some(rows)) => assert_eq!(seen, [rows], "{table}"),
            (Err(QueryError::TableNotFound { .. }), None) => {}
            (seen, _) => panic!("{table}: {seen:?}"),
        }
    };
    check("Cpu", Some("1")).await;
    check("CPU", Some("2")).await;
    check("cpu", None).await;
    check("mem", Some("3")).await;
    check("cnosdb.public.\"Mem\"", Some("3")).await;
    check("\"public/autogen\".Mem", Some("3")).await;
    let missing = world.rows("select * from public.none").await.unwrap_err();
    assert_eq!(missing.to_string(), "table not found: \"cnosdb.public.none\"");
    for text in ["select * from none.t", "show tables on none", "select * from other.public.Mem", "desc none.t"] {
        let error = world.rows(text).await.unwrap_err();
        assert!(matches!(error, QueryError::DatabaseNotFound { .. }), "{text}: {error}");
    }
    assert_eq!(world.rows("with Mem as (select 1 as one) select one from Mem").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_answers_what_there_is() {
    let world = World::new(options());
    mixed(&world).await;
    assert_eq!(world.rows("show databases").await.unwrap(), ["cluster_schema", DATABASE, "usage_schema"]);
    assert_eq!(world.rows("SHOW TABLES").await.unwrap(), ["cpu"]);
    let described =
        ["time|TIMESTAMP(NANOSECOND)|TIME|DEFAULT", "host|STRING|TAG|DEFAULT", "usage|DOUBLE|FIELD|DEFAULT"];
    assert_eq!(world.rows("describe table cpu").await.unwrap(), described);
    let tables = "select table_catalog, table_name from information_schema.tables where table_schema = 'public'";
    assert_eq!(world.rows(tables).await.unwrap(), [format!("{TENANT}|cpu")]);
    assert_eq!(world.rows("show columns from cpu").await.unwrap().len(), 3);
    assert_eq!(world.rows("select 1").await.unwrap(), ["1"]);
}
