//! TDengine's queries that would take more than they may: stack, memory, time.

use chrono_tz::Tz;
use futures::StreamExt;

use crate::model::RowIdentity;
use crate::query::tdsql::{Question, Statement, TdError, parse};
use crate::query::{QueryOptions, Readable, STACK_BYTES};

use super::world::{DATABASE, TENANT, World, cpu, cpu_schema, to_text};

fn world() -> World {
    let world = World::new(QueryOptions::default());
    let schema = cpu_schema(RowIdentity::Series);
    let table = world.create_table("cpu", &schema);
    world.add_live(table, &schema, &[cpu("a", 1, 1.0)], (1, 1));
    world
}

/// How many rows a query has.
async fn rows(world: &World, text: &str) -> Result<usize, TdError> {
    Ok(lines(world, text).await?.len())
}

/// The rows of a query, or the lines of its plan.
pub(super) async fn lines(world: &World, text: &str) -> Result<Vec<String>, TdError> {
    let question = Question {
        tenant: TENANT.to_string(),
        database: Some(DATABASE.to_string()),
        user: "root".to_string(),
        readable: Readable::All,
        zone: Tz::UTC,
        now_ns: 0,
    };
    let mut answer = match parse(text)? {
        Statement::Query(query) => world.engine.ask_td(&question, &query).await?,
        Statement::Explain { query, run } => world.engine.explain_td(&question, &query, run).await?,
        _ => panic!("{text}"),
    };
    let mut lines = Vec::new();
    while let Some(batch) = answer.rows.next().await {
        lines.extend(to_text(&batch?));
    }
    Ok(lines)
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
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("select {}{inner}{} from cpu", open.repeat(depth), close.repeat(depth))
    };
    let different = |joint: &str| {
        let terms: Vec<String> = (0..990).map(|at| format!("usage = {at}")).collect();
        format!("select usage from cpu where usage = 1 or ({})", terms.join(joint))
    };
    let texts = [
        ("answer", format!("select usage from cpu where {}", chain("usage + 1 > usage", " and ", 200))),
        ("answer", different(" or ")),
        ("answer", different(" and ")),
        ("answer", format!("select {} from cpu", chain("usage", " + ", 250))),
        ("answer", format!("select {} from cpu", chain("usage", " & ", 250))),
        ("answer", format!("select greatest({}) from cpu", chain("usage", ", ", 990))),
        ("answer", format!("select concat({}) from cpu", chain("host", ", ", 990))),
        ("answer", format!("select case {} end from cpu", chain("when usage = 2 then 1", " ", 990))),
        ("answer", chain("select 1", " union all ", 100)),
        ("answer", nested(&format!("{} + (", chain("usage", " + ", 4)), "usage", ")", 55)),
        ("answer", format!("select case when {} then 1 end from cpu", chain("usage - 1", " - ", 125))),
        ("answer", nested("abs(", "usage", ")", 55)),
        ("answer", nested("1h + (", "usage", ")", 55)),
        (
            "answer",
            format!("select {}", (0..100).map(|at| format!("interp(usage + {at})")).collect::<Vec<_>>().join(", "))
                + " from cpu range(0, 1) every(1s)",
        ),
        ("error", format!("select usage{} from cpu", " -> 'k'".repeat(250))),
        ("error", format!("select {} from cpu", chain("usage", " + ", 100_000))),
        ("error", nested("nvl(", "usage", ", 1)", 55)),
        ("error", nested("greatest(", "usage", ", 1)", 55)),
        ("error", nested("concat(", "host", ", 'x')", 55)),
        ("error", nested("mod(1, ", "usage", ")", 55)),
        ("error", nested("(", "usage", " between 1 and 2)", 55)),
        ("error", nested("case ", "usage", " when 1 then 1 when 2 then 2 end", 55)),
    ];
    let asked = async move {
        let world = world();
        for (expected, text) in texts {
            let seen = rows(&world, &text).await;
            assert_eq!(if seen.is_ok() { "answer" } else { "error" }, expected, "{}: {:?}", &text[..60], seen.err());
        }
    };
    let done = runtime.spawn(asked);
    runtime.block_on(done).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_ranges_have_bounds() {
    let world = world();
    let count = |window: &str| format!("select count(*) from cpu {window}");
    let between = "where _ts >= -9223372036854775808 and _ts <= 9223372036854775807";
    for text in [
        count("count_window(18446744073709551615, 1)"),
        count("count_window(2000, 1)"),
        count("interval(2000s) sliding(1s)"),
        count("where _ts >= 0 interval('0s', auto)"),
        count("where _ts >= 0 interval('-1b', auto)"),
        count(&format!("{between} interval(1s) fill(null)")),
        "select interp(usage) from cpu range(-9223372036854775808, 9223372036854775807) every(1s)".to_string(),
        "select interp(usage) from cpu range(0, 1000000000000000) every(1s)".to_string(),
    ] {
        assert!(rows(&world, &text).await.is_err(), "{text}");
    }
    for (text, expected) in [
        (count("count_window(1000, 1)"), 1),
        (count("interval(100s) sliding(1s)"), 100),
        (count("where _ts >= 0 interval('1s', auto)"), 1),
        ("select interp(usage) from cpu range(0, 9000000000) every(1s)".to_string(), 10),
    ] {
        assert_eq!(rows(&world, &text).await.unwrap(), expected, "{text}");
    }
}
