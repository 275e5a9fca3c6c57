//! Statements and their prints: whatever can be said reads back as it was printed.

use proptest::prelude::*;

use super::TdError;
use super::ast::*;
use super::parser::parse;
use super::time::{Duration, Unit};
use crate::model::DeclaredType;

/// Parses, prints, and parses what was printed.
#[track_caller]
fn check(text: &str) {
    let statement = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let printed = statement.to_string();
    let again = parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
    assert_eq!(again.to_string(), printed, "{text}");
}

#[test]
fn statements_of_all_kinds_print_as_they_read() {
    for text in [
        "select 1",
        "select distinct tbname, a from s where a in (1, 2) and not b like 'x\\%' order by 1 desc nulls last limit 3, 4;",
        "select tags tbname from s",
        "select a.*, count(*) c from d.t a, (select x from y) b where a.ts = b.ts group by c having c > 1",
        "select a from (t x join u on x.ts = u.ts) left join v on x.ts = v.ts",
        "select _wstart, avg(v) from t where ts between '2024-01-01' and now() - 1h partition by k, l interval(1m, 5s) sliding(10s) fill(value, 1, -2) slimit 1 soffset 2 limit 5",
        "select count(*) from t session(ts, 10s)",
        "select count(*) from t state_window(case when a > 1 then 1 else 0 end) true_for(2s)",
        "select count(*) from t event_window start with a > 1 end with b is not null",
        "select count(*) from t count_window(5, 2)",
        "select interp(v) from t range('2024-01-01', now) every(1s) fill(linear)",
        "select j->'k', j contains 'k', cast(a as binary(5)), position('a' in b), trim(leading 'x' from c), -a, a & 3 from t",
        "select a from t union all select b from u union (select c from v) order by 1",
        "explain analyze select 1",
        "insert into a values (now, 'x', null, -1.5) (now + 1s - 1m, true, today(), \"y\") b using d.s (k) tags (1) (ts, v) values (1, 2), (3, 4)",
        "insert into a (ts) select ts from b",
        "delete from d.t where ts > 5",
        "create database if not exists d precision 'us' keep 10d,20d,30d vgroups 2",
        "alter database d keep 30",
        "drop database if exists d",
        "use `D`",
        "create stable if not exists s (ts timestamp, a int unsigned, b varchar(5), c decimal(10,2)) tags (k json) comment 'it''s' ttl 3",
        "create table a using s tags (1, 'x') if not exists b using s (k) tags (2)",
        "alter stable s add column a nchar(3)",
        "alter table a set tag x = 1, y = 'b'",
        "alter table s rename tag a b",
        "drop table if exists a, d.b",
        "describe d.t",
        "show databases",
        "show normal d.tables like 'a%'",
        "show table tags a, b from s",
        "show create stable s",
        "show cluster alive",
        "show alive",
        "show d.alive",
        "show queries",
        "grant all on *.* to u",
    ] {
        check(text);
    }
}

#[track_caller]
fn refused(text: &str, code: u16, near: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains(near)), (code, true), "{text}: {error}");
}

#[test]
fn what_is_no_statement_is_quoted_from_the_word_that_does_not_fit() {
    refused("wrong SQL", 0x2600, "\"wrong sql\"");
    refused("select * from d.t 1", 0x2600, "\"1\"");
    refused("SELECT a FROM T WHERE x = 'Y' ZZ 'Q'", 0x2600, "\"zz 'Q'\"");
    refused("select * from", 0x2601, "Incomplete");
    refused("select count(* from t", 0x2600, "from t");
    refused("create table t (ts timestamp, a varchar)", 0x2600, ")");
    refused("insert into t values", 0x2601, "Incomplete");
    refused("insert into t file '/etc/passwd'", 0x2600, "not supported");
}

#[test]
fn nesting_and_chains_have_bounds() {
    let nested = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(50)).is_ok());
    assert!(matches!(parse(&nested(100_000)), Err(TdError::NotSupported(_))));
    let chain = |length: usize| format!("select 1{}", " + 1".repeat(length));
    assert!(parse(&chain(250)).is_ok());
    assert!(matches!(parse(&chain(100_000)), Err(TdError::NotSupported(_))));
    let not = format!("select a from t where {}a", "not ".repeat(100_000));
    assert!(matches!(parse(&not), Err(TdError::NotSupported(_))));
    assert!(parse(&format!("select a from t where a = 0{}", " or a = 1".repeat(900))).is_ok());
}

#[test]
fn operators_are_counted_over_the_whole_statement() {
    let refused = |text: String| {
        let error = parse(&text).unwrap_err();
        assert!(error.to_string().contains("operators"), "{error}: {}", &text[..text.len().min(80)]);
    };
    for repeated in [" or a = 1", " and a = 1", " + 1", " * 1", " -> 'k'", " when 1 then 1"] {
        let text = |times: usize| match repeated {
            " when 1 then 1" => format!("select case{} end from t", repeated.repeat(times)),
            _ => format!("select a from t where a{}", repeated.repeat(times)),
        };
        let most = if [" + 1", " * 1", " -> 'k'"].contains(&repeated) { 250 } else { 990 };
        assert!(parse(&text(most)).is_ok(), "{repeated}");
        refused(text(100_000));
    }
    refused(format!("select concat(a{}) from t", ", a".repeat(100_000)));
    refused(format!("select 1{}", " union all select 1".repeat(100_000)));
    // Each level alone would pass.
    let level = format!("1{} + (", " + 1".repeat(100));
    refused(format!("select {}1{}", level.repeat(40), ")".repeat(40)));
    let joined = format!("{})", " join t on a".repeat(9));
    refused(format!("select a from {}t{}", "(select a from ".repeat(57), joined.repeat(57)));
    // Lists that stay flat are as long as they are.
    assert!(parse(&format!("select a from t where a in (1{})", ", 1".repeat(10_000))).is_ok());
    assert!(parse(&format!("insert into t values {}", "(1, -1)".repeat(10_000))).is_ok());
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_ äß]{0,5}"
}

fn duration() -> impl Strategy<Value = Duration> {
    let units = [Unit::Nanosecond, Unit::Millisecond, Unit::Second, Unit::Minute, Unit::Week, Unit::Month, Unit::Year];
    (0i64..1000, proptest::sample::select(units.to_vec())).prop_map(|(number, unit)| Duration { number, unit })
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(Expr::Null),
        any::<bool>().prop_map(Expr::Bool),
        (-1000i64..1000).prop_map(|number| Expr::Number(number.to_string())),
        (0.0f64..1e9).prop_map(|number| Expr::Number(format!("{number:?}"))),
        "[a-z'\"`\\\\%_äx \n]{0,6}".prop_map(Expr::Text),
        duration().prop_map(Expr::Duration),
        (proptest::option::of(name()), name()).prop_map(|(table, name)| Expr::Column { table, name }),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    use BinaryOp::*;
    let ops = [
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        BitAnd,
        BitOr,
        Equal,
        NotEqual,
        Less,
        LessEqual,
        Greater,
        GreaterEqual,
    ];
    leaf().prop_recursive(4, 24, 4, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let list = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            (proptest::sample::select(ops.to_vec()), boxed.clone(), boxed.clone())
                .prop_map(|(op, left, right)| Expr::Binary { op, left, right }),
            list.clone().prop_map(Expr::And),
            list.clone().prop_map(Expr::Or),
            boxed.clone().prop_map(Expr::Not),
            ("[a-z]{3,6}x", list.clone()).prop_map(|(name, args)| Expr::Call { name, args }),
            (boxed.clone(), list, any::<bool>()).prop_map(|(expr, list, negated)| Expr::In { expr, list, negated }),
            (boxed.clone(), boxed.clone(), boxed.clone(), any::<bool>())
                .prop_map(|(expr, low, high, negated)| Expr::Between { expr, low, high, negated }),
            (boxed.clone(), boxed.clone(), any::<bool>()).prop_map(|(expr, pattern, negated)| Expr::Like {
                expr,
                pattern,
                negated
            }),
            (boxed.clone(), any::<bool>()).prop_map(|(expr, negated)| Expr::IsNull { expr, negated }),
            boxed.clone().prop_map(|expr| Expr::Cast { expr, to: DeclaredType::NChar(9) }),
            (inner.clone(), inner.clone(), proptest::option::of(boxed)).prop_map(|(when, then, otherwise)| {
                Expr::Case { operand: None, branches: vec![(when, then)], otherwise }
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_query_is_the_query(items in proptest::collection::vec(expr(), 1..3), condition in proptest::option::of(expr()), table in name(), alias in proptest::option::of(name())) {
        let item = |expr| SelectItem { expr, alias: alias.clone(), text: String::new() };
        let select = Select {
            distinct: false,
            tags: false,
            items: items.into_iter().map(item).collect(),
            from: Some(Source::Table { name: TableName { database: None, table }, alias: None }),
            condition,
            partition: Vec::new(),
            range: None,
            every: None,
            window: None,
            fill: None,
            group: Vec::new(),
            having: None,
        };
        let query = Query { body: QueryBody::Select(Box::new(select)), order: Vec::new(), series_limit: None, limit: None };
        let statement = Statement::Query(Box::new(query));
        let printed = statement.to_string();
        let mut read = parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
        if let Statement::Query(query) = &mut read
            && let QueryBody::Select(select) = &mut query.body
        {
            // What an item was written like is no part of what it means.
            select.items.iter_mut().for_each(|item| item.text.clear());
        }
        prop_assert_eq!(&read, &statement, "{}", printed);
    }

    #[test]
    fn any_text_is_a_statement_or_an_error(text in "(select|insert into|create table|[a-z]{1,8}|[`'\"().,*+=<>-]|[0-9]{1,3}[a-z]?| |\\PC){0,24}") {
        if let Ok(statement) = parse(&text) {
            let printed = statement.to_string();
            if !printed.contains("PASS '******'") {
                prop_assert_eq!(parse(&printed).map(|again| again.to_string()).ok(), Some(printed));
            }
        }
    }
}
