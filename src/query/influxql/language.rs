//! Which words open which statement.

use super::ast::Statement;
use super::error::ParseError;
use super::parser::Parser;
use super::token::Keyword::{self, *};
use super::token::Token;
use super::{cardinality, continuous, database, delete, policy, schema, select, server, subscription, user};

/// What a word leads to.
enum Branch {
    /// Another word follows.
    Then(Words),
    /// The statement is known; this parses the rest of it.
    Parse(fn(&mut Parser<'_>) -> Result<Statement, ParseError>),
}

/// Words that may stand in one place, in the order in which errors list them.
type Words = &'static [(Keyword, Branch)];

use Branch::{Parse, Then};

const STATEMENTS: Words = &[
    (Select, Parse(select::parse_select)),
    (Delete, Parse(delete::parse_delete)),
    (Show, Then(SHOW)),
    (Create, Then(CREATE)),
    (Drop, Then(DROP)),
    (Explain, Parse(select::parse_explain)),
    (Grant, Parse(user::parse_grant)),
    (Revoke, Parse(user::parse_revoke)),
    (Alter, Then(&[(Retention, Then(&[(Policy, Parse(policy::parse_alter))]))])),
    (Set, Then(&[(Password, Then(&[(For, Parse(user::parse_set_password))]))])),
    (Kill, Then(&[(Query, Parse(server::parse_kill))])),
];

const SHOW: Words = &[
    (Continuous, Then(&[(Queries, Parse(continuous::parse_show))])),
    (Databases, Parse(database::parse_show)),
    (Diagnostics, Parse(server::parse_diagnostics)),
    (Field, Then(&[(Key, Parse(cardinality::parse_of_field_keys)), (Keys, Parse(schema::parse_field_keys))])),
    (Grants, Then(&[(For, Parse(user::parse_show_grants))])),
    (
        Measurement,
        Then(&[
            (Exact, Parse(cardinality::parse_of_measurements_exact)),
            (Cardinality, Parse(cardinality::parse_of_measurements)),
        ]),
    ),
    (Measurements, Parse(schema::parse_measurements)),
    (Queries, Parse(server::parse_queries)),
    (Retention, Then(&[(Policies, Parse(policy::parse_show))])),
    (Series, Parse(schema::parse_series)),
    (Shard, Then(&[(Groups, Parse(server::parse_shard_groups))])),
    (Shards, Parse(server::parse_shards)),
    (Stats, Parse(server::parse_stats)),
    (Subscriptions, Parse(subscription::parse_show)),
    (
        Tag,
        Then(&[
            (Key, Parse(cardinality::parse_of_tag_keys)),
            (Keys, Parse(schema::parse_tag_keys)),
            (Values, Parse(schema::parse_tag_values)),
        ]),
    ),
    (Users, Parse(user::parse_show)),
];

const CREATE: Words = &[
    (Continuous, Then(&[(Query, Parse(continuous::parse_create))])),
    (Database, Parse(database::parse_create)),
    (User, Parse(user::parse_create)),
    (Retention, Then(&[(Policy, Parse(policy::parse_create))])),
    (Subscription, Parse(subscription::parse_create)),
];

const DROP: Words = &[
    (Continuous, Then(&[(Query, Parse(continuous::parse_drop))])),
    (Database, Parse(database::parse_drop)),
    (Measurement, Parse(delete::parse_drop_measurement)),
    (Retention, Then(&[(Policy, Parse(policy::parse_drop))])),
    (Series, Parse(delete::parse_drop_series)),
    (Shard, Parse(server::parse_drop_shard)),
    (Subscription, Parse(subscription::parse_drop)),
    (User, Parse(user::parse_drop)),
];

/// Parses one statement, up to where it is complete; what follows it is the caller's.
pub fn parse_statement(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let mut words = STATEMENTS;
    loop {
        let found = parser.next_token();
        let branch = words.iter().find(|(keyword, _)| found.token == Token::Keyword(*keyword));
        let Some((_, branch)) = branch else {
            let expected: Vec<_> = words.iter().map(|(keyword, _)| keyword.as_str()).collect();
            return Err(ParseError::unexpected(&found, &expected));
        };
        match branch {
            Then(next) => words = next,
            Parse(parse) => return parse(parser),
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
}
