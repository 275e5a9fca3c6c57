//! `topk` and `bottom` of CnosDB's SQL, asked through the engine.

use crate::model::RowIdentity;
use crate::query::QueryOptions;

use super::world::{Row, World, cpu, cpu_schema};

async fn world() -> World {
    let world = World::new(QueryOptions::default());
    let schema = cpu_schema(RowIdentity::Append);
    let table = world.create_table("cpu", &schema);
    let rows: Vec<Row> = [("a", 1, 5.0), ("b", 2, 9.0), ("a", 3, 9.0), ("b", 4, 1.0), ("a", 5, 7.0), ("b", 6, 1.0)]
        .map(|(host, time, usage)| cpu(host, time, usage))
        .into();
    world.add_segment(table, &schema, &rows[..3], (1, 1)).await;
    world.add_live(table, &schema, &rows[3..], (2, 2));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_with_the_greatest_or_least_values_are_whole() {
    let world = world().await;
    for (select, expected) in [
        // Of equal ones the earliest.
        ("select topk(usage, 1), host from cpu", vec!["9.0|b"]),
        ("select topk(usage, 3), host, cast(time as bigint) from cpu", vec!["9.0|b|2", "9.0|a|3", "7.0|a|5"]),
        ("select host, bottom(usage, 2) as x, cast(time as bigint) from cpu", vec!["b|1.0|4", "b|1.0|6"]),
        ("select topk(usage, 2) / 2 + 1 as x from cpu where host = 'a' order by x", vec!["4.5", "5.5"]),
        ("select topk(usage, 3) as x from cpu order by time desc limit 2", vec!["7.0", "9.0"]),
        ("select distinct topk(usage, 3) as x from cpu order by x", vec!["7.0", "9.0"]),
        ("select topk(sum(usage), 1) as x, host from cpu group by host", vec!["21.0|a"]),
        ("select host from cpu where time in (select time from (select bottom(usage, 1), time from cpu))", vec!["b"]),
        // What is null comes last, either way.
        ("select topk(nullif(usage, 9.0), 5), host from cpu", vec!["7.0|a", "5.0|a", "1.0|b", "1.0|b", "∅|b"]),
        ("select bottom(nullif(usage, 1.0), 5), host from cpu", vec!["5.0|a", "7.0|a", "9.0|b", "9.0|a", "∅|b"]),
        ("with t as (select topk(usage, 2) as x, host from cpu) select t.host from t order by host", vec!["a", "b"]),
    ] {
        assert_eq!(world.rows(select).await.unwrap(), expected, "{select}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_rows_are_held_than_are_chosen() {
    let world = world().await;
    let plan = world.rows("explain select topk(usage, 2), host from cpu").await.unwrap().join("\n");
    assert!(plan.contains("TopK(fetch=2)"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_chooses_no_rows_is_refused() {
    let world = world().await;
    let one = "one call of topk or bottom";
    let constant = "is a constant from 1 to 255";
    for (select, expected) in [
        ("select topk(usage, 2), topk(time, 2) from cpu", one),
        ("select topk(usage, 2), bottom(usage, 2) from cpu", one),
        ("select topk(topk(usage, 2), 2) from cpu", one),
        ("select topk(usage, 0) from cpu", constant),
        ("select topk(usage, -1) from cpu", constant),
        ("select topk(usage, 256) from cpu", constant),
        ("select topk(usage, usage) from cpu", constant),
        ("select bottom(usage, 'x') from cpu", constant),
        ("select host from cpu where topk(usage, 2) > 1", "in the list of a SELECT only"),
        ("select max(topk(usage, 2)) from cpu", "in the list of a SELECT only"),
        (
            "select time_window_gapfill(time, '1s') as w, topk(avg(usage), 1) from cpu where time > 0 and time < 9 group by w",
            "windows",
        ),
    ] {
        let error = world.rows(select).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{select}: {error}");
    }
    assert!(world.rows("select topk(usage) from cpu").await.is_err());
}
