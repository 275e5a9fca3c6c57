//! What holds for every query and every text.

mod statements;
mod trees;

use proptest::prelude::*;

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
    for text in [
        ";",
        "(",
        "SELECT (",
        "SELECT f(",
        "SELECT a FROM (SELECT a FROM ",
        "SELECT -",
        "SELECT a.",
        "SELECT a+",
        "\"",
        "/*",
        "--\n",
        "$",
        "1h",
        "'\\",
        "SHOW ",
    ] {
        let _ = parse(&text.repeat(100_000));
    }
}

#[test]
fn an_expression_has_a_depth_that_it_may_not_pass() {
    let too_deep = |text: &str, max: usize| {
        let error = parse(text).map_err(|e| e.to_string()).expect_err("it is too deep");
        assert!(error.starts_with(&format!("nested more than {max} levels deep at line 1, char ")), "{error}");
    };
    let select = |expr: &str| format!("SELECT {expr} FROM m");
    let parens = |levels: usize| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
    too_deep(&select(&parens(101)), 100);
    too_deep(&select(&format!("{}a{}", "f(".repeat(101), ")".repeat(101))), 100);
    too_deep(&format!("{}SELECT a FROM m{}", "SELECT a FROM (".repeat(101), ")".repeat(101)), 100);
    too_deep(&select(&format!("a{}", " + a".repeat(500))), 500);
    too_deep(&select(&format!("({}) * 2", vec![parens(90); 450].join(" + "))), 500);

    let deepest = select(&vec![parens(100); 300].join(" + "));
    let query = parse(&deepest).unwrap();
    assert_eq!(parse(&format!("{:#}", query.clone())), Ok(query));

    let checked = |text: &str| match parse(text).unwrap().statements.remove(0) {
        Statement::Select(select) => check::select(&select, 0).map_err(|e| e.to_string()).map(drop),
        other => panic!("{other} is no SELECT"),
    };
    assert_eq!(checked(&deepest), Ok(()));
    assert_eq!(checked(&format!("{}SELECT a FROM m{}", "SELECT a FROM (".repeat(100), ")".repeat(100))), Ok(()));
}

#[test]
fn a_long_condition_is_not_deep() {
    let long = format!("SELECT a FROM m WHERE {}", vec!["t = 'x'"; 20_000].join(" OR "));
    let query = parse(&long).unwrap();
    assert_eq!(query.to_string(), long);
    let Statement::Select(select) = &query.statements[0] else { panic!("a SELECT") };
    let checked = check::select(select, 0).unwrap();
    assert_eq!(checked.condition, select.condition);
}

#[test]
fn what_reads_back_shows_what_the_normal_form_hides() {
    let full = |text: &str| format!("{:#}", parse(text).unwrap());
    assert_eq!(full("SELECT 0.123456789, 5. FROM m fill(1.50)"), "SELECT 0.123456789, 5.0 FROM m fill(1.5)");
    assert_eq!(full("SELECT a * -b, DISTINCT \"c d\" FROM m"), "SELECT a * -b, DISTINCT \"c d\" FROM m");
    assert_eq!(full("SET PASSWORD FOR u = 'it\\'s'"), "SET PASSWORD FOR u = 'it\\'s'");
    assert_eq!(full("SHOW MEASUREMENTS ON \"a b\""), "SHOW MEASUREMENTS ON \"a b\"");
    let debug = format!("{:?}", parse("CREATE USER u WITH PASSWORD 'secret'").unwrap());
    assert!(!debug.contains("secret"), "{debug}");
}

#[test]
fn a_parameter_may_be_a_regular_expression_or_what_nothing_can_stand_for() {
    let params: Params =
        [("r", Value::Regex("a/b".into())), ("bad", Value::Unusable("unable to bind parameter with type []".into()))]
            .map(|(name, value)| (name.to_string(), value))
            .into_iter()
            .collect();
    let printed = |text: &str| parse_with_params(text, &params).map(|q| q.to_string()).map_err(|e| e.to_string());
    assert_eq!(printed("SELECT v FROM $r WHERE t =~ $r"), Ok("SELECT v FROM /a\\/b/ WHERE t =~ /a\\/b/".to_string()));
    assert_eq!(
        printed("SELECT $bad FROM m"),
        Err("missing parameter: unable to bind parameter with type []".to_string())
    );
}

/// Text made of what InfluxQL is made of, which gets further into the parser than random characters.
fn near_miss() -> impl Strategy<Value = String> {
    let word = prop::sample::select(token::Keyword::ALL).prop_map(|keyword| keyword.as_str().to_string());
    let piece = prop::sample::select(vec![
        "CREATE DATABASE",
        "SELECT",
        "SELECT a FROM m WHERE",
        "SHOW TAG VALUES WITH KEY",
        "GROUP BY",
        "fill(",
        "time",
        "(",
        ")",
        ",",
        ".",
        "::",
        "=~",
        "*",
        "-",
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

#[test]
fn what_is_printed_parses_to_the_same() {
    let run = || {
        proptest!(ProptestConfig::with_cases(64), |(statements in prop::collection::vec(trees::statement(), 0..3))| {
            let query = Query { statements };
            prop_assert_eq!(parse(&format!("{query:#}")), Ok(query));
        });
    };
    // What makes the trees nests deeper than a test's stack; the trees do not.
    std::thread::Builder::new().stack_size(16 << 20).spawn(run).unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn any_text_is_a_query_that_prints_or_an_error(text in prop_oneof![".*", "\\PC*", near_miss()]) {
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&format!("{query:#}")), Ok(query)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
