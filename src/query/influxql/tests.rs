//! What holds for every query and every text.

use proptest::prelude::*;

use super::database::{CreateDatabase, DropDatabase, PolicySpec};
use super::*;

#[track_caller]
fn check(text: &str, expected: Result<&str, &str>) {
    let found = parse(text).map(|query| query.to_string()).map_err(|e| e.to_string());
    assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{text:?}");
}

#[test]
fn statements_are_separated_by_semicolons() {
    check("SHOW DATABASES;DROP DATABASE x", Ok("SHOW DATABASES;\nDROP DATABASE x"));
    check(";; SHOW DATABASES ; -- the end\n;", Ok("SHOW DATABASES"));
    check("", Ok(""));
    check(" ; ", Ok(""));
    check("SHOW DATABASES SHOW DATABASES", Err("found SHOW, expected ; at line 1, char 16"));
    check("SHOW DATABASES \"x\"", Err("found x, expected ; at line 1, char 16"));
}

#[test]
fn one_bad_statement_refuses_the_query() {
    check("SHOW DATABASES; SELECT 1", Err("found EOF, expected FROM at line 1, char 25"));
    check("SHOW DATABASES;\nDROP DATABASE 1", Err("found 1, expected identifier at line 2, char 15"));
}

#[test]
fn parameters_stand_for_one_token() {
    let params: Params = [
        ("db", Value::Identifier("a; DROP DATABASE b".into())),
        ("word", Value::String("x".into())),
        ("n", Value::Integer(3)),
        ("keep", Value::Duration("3d".into())),
        ("none", Value::Unusable("unable to bind parameter with type <nil>".into())),
        ("", Value::Identifier("x".into())),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into_iter()
    .collect();
    let check = |text: &str, expected: Result<&str, &str>| {
        let found = parse_with_params(text, &params).map(|query| query.to_string()).map_err(|e| e.to_string());
        assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{text:?}");
    };
    check(
        "CREATE DATABASE $db WITH DURATION $keep REPLICATION $\"n\"",
        Ok("CREATE DATABASE \"a; DROP DATABASE b\" WITH DURATION 72h0m0s REPLICATION 3"),
    );
    check("DROP DATABASE \"$db\"", Ok("DROP DATABASE \"$db\""));
    check("DROP DATABASE $word", Err("found x, expected identifier at line 1, char 15"));
    check("DROP DATABASE $other", Err("found $other, expected identifier at line 1, char 15"));
    check("DROP DATABASE $", Err("found $, expected identifier at line 1, char 15"));
    check(
        "DROP DATABASE $none",
        Err("found unable to bind parameter with type <nil>, expected identifier at line 1, char 15"),
    );
}

#[test]
fn long_text_is_parsed_without_deep_recursion() {
    let statements = "DROP DATABASE x;".repeat(50_000);
    assert_eq!(parse(&statements).unwrap().statements.len(), 50_000);
    for text in [";", "(", "\"", "/*", "--\n", "$", "1h", "'\\", "SHOW "] {
        let _ = parse(&text.repeat(100_000));
    }
}

/// Any name but those with a carriage return: the language cannot write one.
fn name() -> impl Strategy<Value = Ident> {
    let keyword = prop::sample::select(token::Keyword::ALL).prop_map(|keyword| keyword.as_str().to_lowercase());
    prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[^\r]{0,8}", "[\"\\\\\n'a ]{0,6}", keyword].prop_map(Ident)
}

fn duration() -> impl Strategy<Value = Duration> {
    let unit = prop::sample::select(vec![1, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000]);
    prop_oneof![Just(0), 0..=i64::MAX, (0..10_000i64, unit).prop_map(|(n, unit)| n * unit)].prop_map(Duration)
}

fn policy_spec() -> impl Strategy<Value = PolicySpec> {
    let options = (
        prop::option::of(duration()),
        prop::option::of(1..=i64::from(i32::MAX)),
        prop::option::of(duration()),
        prop::option::of(name()),
    );
    options
        .prop_map(|(duration, replication, shard_duration, name)| PolicySpec {
            duration,
            replication,
            shard_duration,
            name,
        })
        .prop_filter("WITH needs something", |spec| *spec != PolicySpec::default())
}

fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        (name(), prop::option::of(policy_spec()))
            .prop_map(|(name, policy)| Statement::CreateDatabase(CreateDatabase { name, policy })),
        name().prop_map(|name| Statement::DropDatabase(DropDatabase { name })),
        Just(Statement::ShowDatabases),
    ]
}

/// Text made of what InfluxQL is made of, which gets further into the parser than random characters.
fn near_miss() -> impl Strategy<Value = String> {
    let word = prop::sample::select(token::Keyword::ALL).prop_map(|keyword| keyword.as_str().to_string());
    let piece = prop::sample::select(vec![
        "CREATE DATABASE",
        "x",
        "\"y\"",
        "'z'",
        "1",
        "1.5",
        "3d",
        "INF",
        ";",
        "$p",
        "/r/",
        "--",
        "\n",
        "/*",
        "*/",
        "\\",
        "\"",
        "µ",
    ]);
    prop::collection::vec(prop_oneof![word, piece.prop_map(str::to_string)], 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(statements in prop::collection::vec(statement(), 0..4)) {
        let query = Query { statements };
        prop_assert_eq!(parse(&format!("{query:#}")), Ok(query));
    }

    #[test]
    fn any_text_is_a_query_that_prints_or_an_error(text in prop_oneof![".*", "\\PC*", near_miss()]) {
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&format!("{query:#}")), Ok(query)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
