//! Segments that are not what was written: who needs them gets an error that names them, who does not gets an answer.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::catalog::Change;
use crate::model::{Classify, Kind, RowIdentity, TableSchema};
use crate::query::{QueryError, QueryOptions};
use crate::storage::segment::Segment;

use super::world::{World, cpu, cpu_schema};

/// A table of a small segment (`time` 1 and 2) and one of many blocks (`time` 1000 and later).
async fn world() -> (World, TableSchema) {
    let world = World::new(QueryOptions { target_partitions: 2, ..QueryOptions::default() });
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    world.add_segment(table, &schema, &[cpu("a", 1, 20.0), cpu("b", 2, 5.0)], (1, 1)).await;
    // Values that do not compress, so that each column has blocks of its own.
    let row = |i: i64| cpu(&format!("h{:02}", i / 1000), 1000 + i, (i as f64 * 0.73).sin());
    let rows: Vec<_> = (0..40_000).map(row).collect();
    world.add_segment(table, &schema, &rows, (2, 2)).await;
    (world, schema)
}

fn segments(world: &World) -> Vec<Segment> {
    let state = crate::query::Tables::state(&*world.catalog);
    state.tables().flat_map(|table| table.segments.iter().map(|s| (**s).clone())).collect()
}

async fn get(world: &World, segment: &Segment) -> Vec<u8> {
    let path = Path::parse(&segment.path).unwrap();
    world.store.get(&path).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn put(world: &World, segment: &Segment, bytes: Vec<u8>) {
    world.store.put(&Path::parse(&segment.path).unwrap(), PutPayload::from(bytes)).await.unwrap();
}

fn check_error(error: &QueryError, segment: &Segment, expected: &str) {
    assert!(matches!(error, QueryError::Damaged(_)), "{error:?}");
    assert_eq!(error.kind(), Kind::Internal);
    let text = error.to_string();
    assert!(text.contains(&segment.path) && text.contains(expected), "{text}");
}

const LATE: &str = "select sum(usage), count(usage) from cpu where time >= to_timestamp_nanos(1000) and usage < 9";
const EARLY: &str = "select usage from cpu where time < to_timestamp_nanos(1000) order by usage";

#[tokio::test(flavor = "multi_thread")]
async fn a_query_fails_if_and_only_if_it_needs_what_is_damaged() {
    let (world, _) = world().await;
    let late = &segments(&world)[1];
    let whole = get(&world, late).await;
    let answer = world.rows(LATE).await.unwrap();
    let mut damaged = whole.clone();
    // The last column's pages are the end of the body.
    let at = (late.size_bytes - late.footer_bytes) as usize - 1000;
    damaged[at] ^= 1;
    put(&world, late, damaged).await;
    for _ in 0..2 {
        let error = world.rows(LATE).await.unwrap_err();
        check_error(&error, late, "the checksum of bytes");
    }
    assert_eq!(world.rows(EARLY).await.unwrap(), ["5.0", "20.0"], "another segment");
    let hosts = world.rows("select count(distinct host) from cpu where host > 'b'").await.unwrap();
    assert_eq!(hosts, ["40"], "other columns of the damaged segment");
    let first = world.rows("select usage from cpu where host = 'h00' and time = to_timestamp_nanos(1000)").await;
    assert_eq!(first.unwrap(), ["0.0"], "other pages of the damaged column");
    assert_eq!(world.metric("tidegate_corrupt_segments", &[]), 1.0);
    // Nothing damaged was kept.
    put(&world, late, whole).await;
    assert_eq!(world.rows(LATE).await.unwrap(), answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_footers_truncated_and_missing_objects_are_named_and_not_remembered() {
    let (world, _) = world().await;
    let late = &segments(&world)[1];
    let whole = get(&world, late).await;
    let answer = world.rows("select count(usage) from cpu where usage < 9").await.unwrap();
    let tail = (late.size_bytes - late.footer_bytes) as usize;
    // Page indexes, somewhere in the footer, its length.
    for at in [tail + 3, whole.len() - 300, whole.len() - 6] {
        let (cold, _) = self::world().await;
        let late = &segments(&cold)[1];
        let mut damaged = get(&cold, late).await;
        damaged[at] ^= 0x80;
        put(&cold, late, damaged).await;
        let queries = (0..4).map(|_| cold.rows(LATE));
        for result in futures::future::join_all(queries).await {
            check_error(&result.unwrap_err(), late, "the checksum of bytes");
        }
        assert_eq!(cold.rows(EARLY).await.unwrap(), ["5.0", "20.0"]);
        put(&cold, late, whole.clone()).await;
        assert_eq!(cold.rows("select count(usage) from cpu where usage < 9").await.unwrap(), answer);
    }
    let (cold, _) = self::world().await;
    let late = &segments(&cold)[1];
    put(&cold, late, whole[..whole.len() - 1].to_vec()).await;
    check_error(&cold.rows(LATE).await.unwrap_err(), late, "bytes instead of");
    cold.store.delete(&Path::parse(&late.path).unwrap()).await.unwrap();
    check_error(&cold.rows(LATE).await.unwrap_err(), late, "the store does not have it");
    assert_eq!(cold.rows(EARLY).await.unwrap(), ["5.0", "20.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_merged_away_is_no_damage_and_the_next_question_is_answered() {
    let (world, _) = world().await;
    let late = &segments(&world)[1];
    world.store.delete(&Path::parse(&late.path).unwrap()).await.unwrap();
    let table = crate::query::Tables::state(&*world.catalog).tables().next().unwrap().id;
    world.catalog.1.lock().unwrap().push(Change::RemoveSegments { table, ids: vec![late.id] });
    let error = world.rows(LATE).await.unwrap_err();
    assert!(matches!(error, QueryError::Gone(_)), "{error:?}");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!(world.metric("tidegate_corrupt_segments", &[]), 0.0);
    assert_eq!(world.rows("select count(usage) from cpu where usage < 9").await.unwrap(), ["1"]);
}
