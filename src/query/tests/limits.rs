//! Queries that take too long, too much, or are given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;

use crate::model::{Classify, Kind, RowIdentity};
use crate::query::sql::SqlAnswer;
use crate::query::{QueryError, QueryOptions};

use super::store::Watched;
use super::world::{Row, World, cpu, cpu_schema};

async fn world(options: QueryOptions, rows: i64) -> (World, Arc<Watched>) {
    let store = Arc::new(Watched::default());
    let world = World::over(options, store.inner.clone(), store.clone());
    let schema = cpu_schema(RowIdentity::Append);
    let table = world.create_table("cpu", &schema);
    let rows: Vec<Row> = (0..rows).map(|t| cpu(&format!("host{}", t % 7), t * 7919 % rows, t as f64)).collect();
    world.add_segment(table, &schema, &rows, (1, 1)).await;
    (world, store)
}

fn running(world: &World) -> f64 {
    world.metric("tidegate_queries_running", &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_up_even_when_nothing_comes_from_the_store() {
    let options = QueryOptions { time_limit: Duration::from_millis(50), ..QueryOptions::default() };
    let (world, store) = world(options, 10).await;
    store.stuck.store(true, Ordering::SeqCst);
    let error = world.rows("select usage from cpu order by usage").await.unwrap_err();
    assert!(matches!(error, QueryError::Timeout { .. }), "{error}");
    assert_eq!(error.to_string(), "the query took longer than 50 ms");
    assert_eq!(running(&world), 0.0);
    assert_eq!(world.metric("tidegate_query_seconds", &[("language", "sql"), ("result", "timeout")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_end_is_ended_by_time() {
    let options = QueryOptions { time_limit: Duration::from_millis(300), ..QueryOptions::default() };
    let (world, _) = world(options, 2_000).await;
    let error = world.rows("select count(*) from cpu a, cpu b, cpu c where a.usage + b.usage + c.usage < 0").await;
    assert_eq!(error.unwrap_err().kind(), Kind::Timeout);
}

#[tokio::test]
async fn work_without_end_in_one_partition_on_one_thread_is_ended_too() {
    let options =
        QueryOptions { time_limit: Duration::from_millis(300), target_partitions: 1, ..QueryOptions::default() };
    let (world, _) = world(options, 2_000).await;
    let error = world.rows("select count(*) from cpu a, cpu b, cpu c where a.usage + b.usage + c.usage < 0").await;
    assert_eq!(error.unwrap_err().kind(), Kind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_dropped_gives_its_turn_and_memory_back() {
    let options = QueryOptions { running_max: 1, waiting_max: 0, ..QueryOptions::default() };
    let (world, store) = world(options, 10).await;
    store.stuck.store(true, Ordering::SeqCst);
    let SqlAnswer::Rows(mut stream) = world.run("select usage from cpu order by usage").await.unwrap() else {
        panic!()
    };
    assert!(tokio::time::timeout(Duration::from_millis(20), stream.next()).await.is_err());
    assert_eq!(running(&world), 1.0);
    let refused = world.rows("select 1").await.unwrap_err();
    assert!(matches!(refused, QueryError::QueueFull { .. }), "{refused}");
    drop(stream);
    assert_eq!((running(&world), world.engine.memory_reserved()), (0.0, 0));
    assert_eq!(world.metric("tidegate_query_seconds", &[("result", "cancelled")]), 1.0);
    assert_eq!(world.rows("select 1").await.unwrap(), ["1"]);
    assert_eq!(world.metric("tidegate_query_seconds", &[("result", "ok")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_needs_too_much_memory_is_told_so() {
    let options = QueryOptions { memory_bytes_per_query: 300_000, temp_bytes_max: 0, ..QueryOptions::default() };
    let (world, _) = world(options, 100_000).await;
    let error = world.rows("select * from cpu order by usage desc").await.unwrap_err();
    assert!(matches!(error, QueryError::TooMuchMemory { limit_bytes: 300_000, .. }), "{error:?}");
    assert_eq!(error.kind(), Kind::TooLarge);
    assert_eq!((running(&world), world.engine.memory_reserved()), (0.0, 0));
    assert_eq!(world.rows("select count(*) from cpu where usage >= 0").await.unwrap(), ["100000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_others_use_is_another_error() {
    let options = QueryOptions { memory_bytes: 300_000, temp_bytes_max: 0, ..QueryOptions::default() };
    let (world, _) = world(options, 100_000).await;
    let error = world.rows("select * from cpu order by usage desc").await.unwrap_err();
    assert!(matches!(error, QueryError::MemoryBusy), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_rows_count_as_memory_while_they_are_sorted() {
    let options = QueryOptions { memory_bytes_per_query: 100_000, ..QueryOptions::default() };
    let world = World::new(options);
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    let rows: Vec<Row> = (0..10_000).map(|t| cpu("a", t, 1.0)).collect();
    world.add_live(table, &schema, &rows, (1, 1));
    assert_eq!(world.rows("select usage from cpu").await.unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(world.rows("select count(usage) from cpu where time < to_timestamp_nanos(100)").await.unwrap(), ["100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_unavailable_and_a_division_is_the_callers() {
    let (world, store) = world(QueryOptions::default(), 10).await;
    let error = world.rows("select 1 / (cast(usage as bigint) - 3) from cpu").await.unwrap_err();
    assert!(matches!(error, QueryError::Execution(_)), "{error:?}");
    store.broken.store(true, Ordering::SeqCst);
    let error = world.rows("select usage from cpu").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    let error = world.rows("select nothing from cpu").await.unwrap_err();
    assert!(matches!(&error, QueryError::Plan(text) if text.contains("nothing")), "{error:?}");
}
