//! What a statement must not reach: files, other stores, settings, rows without end.

use crate::model::{Classify, Kind, RowIdentity};
use crate::query::{QueryOptions, STACK_BYTES};

use super::world::{World, cpu, cpu_schema};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_tables_can_be_read_and_nothing_can_be_changed() {
    let world = World::new(QueryOptions::default());
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    world.add_live(table, &schema, &[cpu("a", 1, 1.0)], (1, 1));
    let refused = [
        ("select * from '/etc/passwd'", Kind::NotFound),
        ("select * from \"file:///etc/passwd\"", Kind::NotFound),
        ("select * from 'data.parquet'", Kind::NotFound),
        ("select * from \"s3://bucket/data.parquet\"", Kind::NotFound),
        ("explain select * from 'data.csv'", Kind::NotFound),
        ("select * from read_parquet('data.parquet')", Kind::Unsupported),
        ("select * from read_csv('/etc/passwd')", Kind::Unsupported),
        ("select * from parquet_metadata('x')", Kind::Unsupported),
        ("select * from generate_series(1, 100000000000)", Kind::Unsupported),
        ("select * from range(1)", Kind::Unsupported),
        ("select * from cpu, lateral generate_series(1, 2)", Kind::Unsupported),
        ("select 1 where 1 in (select * from range(1))", Kind::Unsupported),
        ("explain analyze select * from range(1)", Kind::Unsupported),
        ("select range(1, 100000000000)", Kind::Invalid),
        ("select generate_series(1, 100000000000)", Kind::Invalid),
        ("select array_repeat('x', 100000000000)", Kind::Invalid),
        ("with recursive t as (select 1 as n union all select n + 1 from t) select * from t", Kind::Unsupported),
        ("select * into other from cpu", Kind::Unsupported),
        ("with a as (insert into cpu values (1)) select 1", Kind::Unsupported),
        ("copy cpu to '/tmp/x.csv'", Kind::Unsupported),
        ("explain analyze copy cpu to '/tmp/x.csv'", Kind::Unsupported),
        ("set datafusion.execution.target_partitions = 1000", Kind::Unsupported),
        ("select * from information_schema.df_settings; select 1", Kind::Invalid),
    ];
    for (text, kind) in refused {
        let error = world.rows(text).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error:?}");
        assert!(!error.to_string().is_empty(), "{text}");
    }
    assert_eq!(world.rows("select usage from cpu").await.unwrap(), ["1.0"]);
}

#[test]
fn long_and_deep_statements_end_in_an_answer_or_an_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .build()
        .unwrap();
    let chain = |term: &str, joint: &str, count: usize| vec![term; count].join(joint);
    let texts = [
        ("answer", format!("select {}", chain("1", " + ", 490))),
        ("answer", format!("select count(*) from cpu where {}", chain("host = 'a'", " or ", 490))),
        ("answer", format!("select usage {} from cpu", "- usage".repeat(490))),
        ("answer", chain("select 1", " union all ", 100)),
        ("answer", format!("select 1 in ({})", chain("1", ", ", 10_000))),
        ("error", format!("select {}", chain("1", " + ", 100_000))),
        ("error", format!("select {}", chain("true", " and ", 100_000))),
        ("error", format!("select {}1", "- ".repeat(3_000))),
        ("error", format!("select {}true", "not ".repeat(3_000))),
        ("error", format!("select {}1{}", "case when true then ".repeat(1_000), " end".repeat(1_000))),
        ("error", format!("select {}1{}", "(select ".repeat(1_000), ")".repeat(1_000))),
        ("error", format!("select '{}'", "x".repeat(2_000_000))),
    ];
    let asked = async move {
        let world = World::new(QueryOptions::default());
        let schema = cpu_schema(RowIdentity::Series);
        let table = world.create_table("cpu", &schema);
        world.add_live(table, &schema, &[cpu("a", 1, 1.0)], (1, 1));
        for (expected, text) in texts {
            let seen = world.rows(&text).await;
            assert_eq!(if seen.is_ok() { "answer" } else { "error" }, expected, "{}: {:?}", &text[..60], seen.err());
        }
    };
    let done = runtime.spawn(asked);
    runtime.block_on(done).unwrap();
}
