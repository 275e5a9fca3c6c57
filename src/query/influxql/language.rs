//! Which words open which statement.

use super::ast::Statement;
use super::database;
use super::error::ParseError;
use super::parser::Parser;
use super::token::Keyword::{self, *};
use super::token::Token;

/// What a word leads to.
enum Branch {
    /// Another word follows.
    Then(Words),
    /// The statement is known; this parses the rest of it.
    Parse(fn(&mut Parser<'_>) -> Result<Statement, ParseError>),
    /// A statement of InfluxQL that we do not run.
    NotYet,
}

/// Words that may stand in one place, in the order in which errors list them.
type Words = &'static [(Keyword, Branch)];

use Branch::{NotYet, Parse, Then};

const STATEMENTS: Words = &[
    (Select, NotYet),
    (Delete, NotYet),
    (Show, Then(SHOW)),
    (Create, Then(CREATE)),
    (Drop, Then(DROP)),
    (Explain, NotYet),
    (Grant, NotYet),
    (Revoke, NotYet),
    (Alter, Then(&[(Retention, Then(&[(Policy, NotYet)]))])),
    (Set, Then(&[(Password, Then(&[(For, NotYet)]))])),
    (Kill, Then(&[(Query, NotYet)])),
];

const SHOW: Words = &[
    (Continuous, Then(&[(Queries, NotYet)])),
    (Databases, Parse(database::parse_show)),
    (Diagnostics, NotYet),
    (Field, Then(&[(Key, NotYet), (Keys, NotYet)])),
    (Grants, Then(&[(For, NotYet)])),
    (Measurement, Then(&[(Exact, NotYet), (Cardinality, NotYet)])),
    (Measurements, NotYet),
    (Queries, NotYet),
    (Retention, Then(&[(Policies, NotYet)])),
    (Series, NotYet),
    (Shard, Then(&[(Groups, NotYet)])),
    (Shards, NotYet),
    (Stats, NotYet),
    (Subscriptions, NotYet),
    (Tag, Then(&[(Key, NotYet), (Keys, NotYet), (Values, NotYet)])),
    (Users, NotYet),
];

const CREATE: Words = &[
    (Continuous, Then(&[(Query, NotYet)])),
    (Database, Parse(database::parse_create)),
    (User, NotYet),
    (Retention, Then(&[(Policy, NotYet)])),
    (Subscription, NotYet),
];

const DROP: Words = &[
    (Continuous, Then(&[(Query, NotYet)])),
    (Database, Parse(database::parse_drop)),
    (Measurement, NotYet),
    (Retention, Then(&[(Policy, NotYet)])),
    (Series, NotYet),
    (Shard, NotYet),
    (Subscription, NotYet),
    (User, NotYet),
];

/// Parses one statement, up to where it is complete; what follows it is the caller's.
pub fn parse_statement(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let mut words = STATEMENTS;
    let mut statement: Vec<&str> = Vec::new();
    loop {
        let found = parser.next_token();
        let branch = words.iter().find(|(keyword, _)| found.token == Token::Keyword(*keyword));
        let Some((keyword, branch)) = branch else {
            let expected: Vec<_> = words.iter().map(|(keyword, _)| keyword.as_str()).collect();
            return Err(ParseError::unexpected(&found, &expected));
        };
        statement.push(keyword.as_str());
        match branch {
            Then(next) => words = next,
            Parse(parse) => return parse(parser),
            NotYet => return Err(ParseError::NotSupported { statement: statement.join(" ") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).map_err(|e| e.to_string()), Err(expected.to_string()), "{text:?}");
    }

    #[test]
    fn words_that_open_no_statement_are_told_which_do() {
        let statements = "SELECT, DELETE, SHOW, CREATE, DROP, EXPLAIN, GRANT, REVOKE, ALTER, SET, KILL";
        check("fetch", &format!("found fetch, expected {statements} at line 1, char 1"));
        check("INSERT cpu v=1", &format!("found INSERT, expected {statements} at line 1, char 1"));
        check("'x'", &format!("found x, expected {statements} at line 1, char 1"));
        check(" \n  (", &format!("found (, expected {statements} at line 2, char 3"));
    }

    #[test]
    fn words_that_continue_no_statement_are_told_which_do() {
        check(
            "SHOW",
            "found EOF, expected CONTINUOUS, DATABASES, DIAGNOSTICS, FIELD, GRANTS, MEASUREMENT, MEASUREMENTS, \
             QUERIES, RETENTION, SERIES, SHARD, SHARDS, STATS, SUBSCRIPTIONS, TAG, USERS at line 1, char 6",
        );
        check("CREATE x", "found x, expected CONTINUOUS, DATABASE, USER, RETENTION, SUBSCRIPTION at line 1, char 8");
        check(
            "DROP x",
            "found x, expected CONTINUOUS, DATABASE, MEASUREMENT, RETENTION, SERIES, SHARD, SUBSCRIPTION, USER at \
             line 1, char 6",
        );
        check("ALTER x", "found x, expected RETENTION at line 1, char 7");
        check("ALTER RETENTION x", "found x, expected POLICY at line 1, char 17");
        check("SET x", "found x, expected PASSWORD at line 1, char 5");
        check("SET PASSWORD x", "found x, expected FOR at line 1, char 14");
        check("KILL", "found EOF, expected QUERY at line 1, char 6");
        check("SHOW CONTINUOUS", "found EOF, expected QUERIES at line 1, char 17");
        check("SHOW FIELD", "found EOF, expected KEY, KEYS at line 1, char 12");
        check("SHOW GRANTS", "found EOF, expected FOR at line 1, char 13");
        check("SHOW MEASUREMENT", "found EOF, expected EXACT, CARDINALITY at line 1, char 18");
        check("SHOW RETENTION", "found EOF, expected POLICIES at line 1, char 16");
        check("SHOW SHARD", "found EOF, expected GROUPS at line 1, char 12");
        check("SHOW TAG", "found EOF, expected KEY, KEYS, VALUES at line 1, char 10");
        check("CREATE RETENTION x", "found x, expected POLICY at line 1, char 18");
        check("DROP CONTINUOUS x", "found x, expected QUERY at line 1, char 17");
    }

    #[test]
    fn statements_that_we_do_not_run_are_named() {
        for text in [
            "SELECT",
            "DELETE",
            "EXPLAIN",
            "GRANT",
            "REVOKE",
            "ALTER RETENTION POLICY",
            "SET PASSWORD FOR",
            "KILL QUERY",
            "SHOW CONTINUOUS QUERIES",
            "SHOW MEASUREMENTS",
            "SHOW TAG KEYS",
            "CREATE USER",
            "CREATE SUBSCRIPTION",
            "DROP RETENTION POLICY",
            "DROP SERIES",
        ] {
            check(&format!("{} x", text.to_lowercase()), &format!("{text} is not supported yet"));
        }
    }
}
