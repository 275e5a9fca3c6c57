//! Functions that would make large values, asked through the engine.

use crate::model::{Classify, Kind, RowIdentity};
use crate::query::{QueryError, QueryOptions};

use super::world::{Row, World, cpu, cpu_schema};

fn world(options: QueryOptions, rows: i64) -> World {
    let world = World::new(options);
    let schema = cpu_schema(RowIdentity::Append);
    let table = world.create_table("cpu", &schema);
    let rows: Vec<Row> = (0..rows).map(|t| cpu(&format!("host{}", t % 7), t, t as f64)).collect();
    world.add_live(table, &schema, &rows, (1, 1));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_a_wide_constant_comes_in_short_batches() {
    // All at once it would be more than one array of strings can hold.
    let world = world(QueryOptions::default(), 2_200);
    let text = "select sum(octet_length(a)) from (select repeat('x', 1000000) as a, usage from cpu) where a <> ''";
    assert_eq!(world.rows(text).await.unwrap(), ["2200000000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_function_would_make_is_too_much_for_a_call_or_for_the_query() {
    let world = world(QueryOptions { memory_bytes_per_query: 1_000_000, ..QueryOptions::default() }, 100);
    for text in [
        "select repeat('x', 300000000)",
        "select repeat(host, 300000000) from cpu",
        "select 'a' || repeat('x', 2000000)",
    ] {
        let error = world.rows(text).await.unwrap_err();
        assert!(error.to_string().contains(" are allowed"), "{text}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{text}");
    }
    let error = world.rows("select max(repeat(host, 10000)) from cpu").await.unwrap_err();
    assert!(matches!(error, QueryError::TooMuchMemory { limit_bytes: 1_000_000, .. }), "{error:?}");
    assert_eq!(world.rows("select max(host || '-' || repeat(host, 2)) from cpu").await.unwrap(), ["host6-host6host6"]);
}
