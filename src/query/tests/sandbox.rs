//! What a statement must not reach: files, other stores, settings, rows without end.

use crate::model::{Classify, Kind, RowIdentity};
use crate::query::QueryOptions;

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
        ("create external table x stored as csv location '/etc/passwd'", Kind::Unsupported),
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

#[tokio::test(flavor = "multi_thread")]
async fn long_and_deep_statements_end_in_an_answer_or_an_error() {
    let world = World::new(QueryOptions::default());
    let chain = |term: &str, joint: &str, count: usize| vec![term; count].join(joint);
    for text in [
        format!("select {}", chain("1", " + ", 3_000)),
        format!("select {}", chain("true", " and ", 3_000)),
        format!("select {}1", "- ".repeat(3_000)),
        format!("select {}true", "not ".repeat(3_000)),
        format!("select {}1{}", "case when true then ".repeat(1_000), " end".repeat(1_000)),
        chain("select 1", " union all ", 300),
        format!("select 1 in ({})", chain("1", ", ", 10_000)),
    ] {
        // Which of the two it is does not matter; that the process lives does.
        eprintln!("{}", &text[..30]); let _ = world.rows(&text).await;
    }
    assert_eq!(world.rows("select 1").await.unwrap(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn probe() {
    let world = World::new(QueryOptions::default());
    let text = format!("select {}", vec!["1"; std::env::var("DEEP").unwrap().parse().unwrap()].join(" + "));
    let scope = crate::query::QueryScope { tenant: "cnosdb".into(), database: "public".into(), target_partitions: None };
    let session = world.engine.session("sql", &scope).await.unwrap();
    eprintln!("parse");
    let st = session.state().sql_to_statement(&text, &datafusion::config::Dialect::Generic).unwrap();
    eprintln!("refs");
    session.state().resolve_table_references(&st).unwrap();
    eprintln!("plan");
    let plan = session.state().statement_to_plan(st).await.unwrap();
    eprintln!("opt");
    let plan = session.state().optimize(&plan).unwrap();
    eprintln!("phys");
    let plan = session.state().create_physical_plan(&plan).await.unwrap();
    eprintln!("drop {}", plan.name());
    drop(plan);
    eprintln!("done");
}
