//! CREATE DATABASE, DROP DATABASE, SHOW DATABASES.

use std::fmt;

use super::ast::Statement;
use super::duration::Duration;
use super::error::ParseError;
use super::ident::Ident;
use super::parser::Parser;
use super::policy::parse_replication;
use super::print::clause;
use super::token::Keyword;

/// `CREATE DATABASE name [WITH …]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateDatabase {
    pub name: Ident,
    /// What the WITH clause says about the default policy.
    pub policy: Option<PolicySpec>,
}

/// `[DURATION d] [REPLICATION n] [SHARD DURATION d] [NAME policy]`, at least one of them, in this order.
///
/// The server reads a shard duration of zero and an empty policy name like absent ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySpec {
    /// Zero is for ever.
    pub duration: Option<Duration>,
    /// At least 1, at most `i32::MAX`.
    pub replication: Option<i64>,
    pub shard_duration: Option<Duration>,
    pub name: Option<Ident>,
}

/// `DROP DATABASE name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropDatabase {
    pub name: Ident,
}

/// What follows `CREATE DATABASE`.
pub fn parse_create(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    let policy = if parser.take(Keyword::With) { Some(parse_policy_spec(parser)?) } else { None };
    Ok(Statement::CreateDatabase(CreateDatabase { name, policy }))
}

/// What follows `DROP DATABASE`.
pub fn parse_drop(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::DropDatabase(DropDatabase { name: parser.ident()? }))
}

/// What follows `SHOW DATABASES`: nothing.
pub fn parse_show(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowDatabases)
}

fn parse_policy_spec(parser: &mut Parser<'_>) -> Result<PolicySpec, ParseError> {
    let mut spec = PolicySpec::default();
    if parser.take(Keyword::Duration) {
        spec.duration = Some(parser.duration()?);
    }
    if parser.take(Keyword::Replication) {
        spec.replication = Some(parse_replication(parser)?);
    }
    if parser.take(Keyword::Shard) {
        parser.expect(Keyword::Duration)?;
        spec.shard_duration = Some(parser.duration()?);
    }
    if parser.take(Keyword::Name) {
        spec.name = Some(parser.ident()?);
    }
    if spec == PolicySpec::default() {
        return Err(ParseError::unexpected(parser.peek(), &["DURATION", "NAME", "REPLICATION", "SHARD"]));
    }
    Ok(spec)
}

impl fmt::Display for CreateDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE DATABASE {}", self.name)?;
        clause(f, " WITH", self.policy.as_ref())
    }
}

/// Each part with a blank before it.
impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(duration) = self.duration {
            write!(f, " DURATION {}", duration.as_clock())?;
        }
        if let Some(replication) = self.replication {
            write!(f, " REPLICATION {replication}")?;
        }
        if let Some(duration) = self.shard_duration.filter(|duration| f.alternate() || duration.0 != 0) {
            write!(f, " SHARD DURATION {}", duration.as_clock())?;
        }
        if let Some(name) = self.name.as_ref().filter(|name| f.alternate() || !name.0.is_empty()) {
            write!(f, " NAME {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DropDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP DATABASE {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Query, parse};
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    /// `text` is the statement `expected`, and prints as `normal`.
    #[track_caller]
    fn check(text: &str, expected: Statement, normal: &str) {
        let query = parse(text).unwrap();
        assert_eq!(query, Query { statements: vec![expected] }, "{text:?}");
        assert_eq!(query.to_string(), normal);
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse(text).map_err(|e| e.to_string()), Err(expected.to_string()), "{text:?}");
    }

    fn create(name: &str, policy: Option<PolicySpec>) -> Statement {
        Statement::CreateDatabase(CreateDatabase { name: name.into(), policy })
    }

    #[test]
    fn a_database_is_created_by_name() {
        check("create database Shop", create("Shop", None), "CREATE DATABASE Shop");
        check("CREATE DATABASE \"a b\"", create("a b", None), "CREATE DATABASE \"a b\"");
        check("CREATE/**/DATABASE -- which\n x", create("x", None), "CREATE DATABASE x");
    }

    #[test]
    fn the_with_clause_describes_the_default_policy() {
        let all = PolicySpec {
            duration: Some(Duration(720 * HOUR)),
            replication: Some(2),
            shard_duration: Some(Duration(2 * HOUR)),
            name: Some("recent".into()),
        };
        check(
            "CREATE DATABASE x WITH DURATION 30d REPLICATION 2 SHARD DURATION 120m NAME \"recent\"",
            create("x", Some(all)),
            "CREATE DATABASE x WITH DURATION 720h0m0s REPLICATION 2 SHARD DURATION 2h0m0s NAME recent",
        );
        let forever = PolicySpec { duration: Some(Duration::INFINITE), ..PolicySpec::default() };
        check("CREATE DATABASE x WITH DURATION inf", create("x", Some(forever)), "CREATE DATABASE x WITH DURATION 0s");
        let named = PolicySpec { name: Some("on".into()), ..PolicySpec::default() };
        check("CREATE DATABASE x WITH NAME \"on\"", create("x", Some(named)), "CREATE DATABASE x WITH NAME \"on\"");
    }

    #[test]
    fn the_with_clause_has_an_order_and_is_not_empty() {
        check_error(
            "CREATE DATABASE x WITH",
            "found EOF, expected DURATION, NAME, REPLICATION, SHARD at line 1, char 24",
        );
        check_error(
            "CREATE DATABASE x WITH a",
            "found a, expected DURATION, NAME, REPLICATION, SHARD at line 1, char 24",
        );
        check_error("CREATE DATABASE x WITH NAME y DURATION 1h", "found DURATION, expected ; at line 1, char 31");
        check_error("CREATE DATABASE x WITH SHARD 1h", "found 1h, expected DURATION at line 1, char 30");
        check_error("CREATE DATABASE x WITH DURATION 1", "found 1, expected duration at line 1, char 33");
        check_error("CREATE DATABASE x WITH DURATION 1y", "invalid duration at line 1, char 33");
        check_error(
            "CREATE DATABASE x WITH DURATION 20000w",
            "overflowed duration 20000w: choose a smaller duration or INF at line 1, char 33",
        );
        check_error("CREATE DATABASE x WITH NAME 'y'", "found y, expected identifier at line 1, char 28");
    }

    #[test]
    fn replication_is_a_count() {
        let spec = PolicySpec { replication: Some(2_147_483_647), ..PolicySpec::default() };
        let normal = "CREATE DATABASE x WITH REPLICATION 2147483647";
        check(normal, create("x", Some(spec)), normal);
        let range = "must be 1 <= n <= 2147483647 at line 1, char 36";
        check_error("CREATE DATABASE x WITH REPLICATION 0", &format!("invalid value 0: {range}"));
        check_error("CREATE DATABASE x WITH REPLICATION 2147483648", &format!("invalid value 2147483648: {range}"));
        check_error("CREATE DATABASE x WITH REPLICATION -1", "found -, expected integer at line 1, char 36");
        check_error("CREATE DATABASE x WITH REPLICATION 1.5", "found 1.5, expected integer at line 1, char 36");
        check_error(
            "CREATE DATABASE x WITH REPLICATION 9223372036854775808",
            "strconv.Atoi: parsing \"9223372036854775808\": value out of range at line 1, char 36",
        );
    }

    #[test]
    fn a_database_is_dropped_by_name() {
        check("DROP DATABASE x", Statement::DropDatabase(DropDatabase { name: "x".into() }), "DROP DATABASE x");
        check_error("DROP DATABASE", "found EOF, expected identifier at line 1, char 15");
        check_error("DROP DATABASE x y", "found y, expected ; at line 1, char 17");
    }

    #[test]
    fn databases_are_shown() {
        check("SHOW databases", Statement::ShowDatabases, "SHOW DATABASES");
        check_error("SHOW DATABASES x", "found x, expected ; at line 1, char 16");
    }

    #[test]
    fn a_name_is_an_identifier() {
        check_error("CREATE DATABASE", "found EOF, expected identifier at line 1, char 17");
        check_error("CREATE DATABASE 'x'", "found x, expected identifier at line 1, char 16");
        check_error("CREATE DATABASE name", "found NAME, expected identifier at line 1, char 17");
        check_error("CREATE DATABASE 1x", "found 1x, expected identifier at line 1, char 17");
        check_error("CREATE DATABASE a-b", "found -, expected ; at line 1, char 18");
        check_error("CREATE DATABASE \"open", "found open, expected identifier at line 1, char 16");
        check_error("CREATE DATABASE ''", "found STRING, expected identifier at line 1, char 16");
        check_error("CREATE DATABASE if not exists x", "found not, expected ; at line 1, char 20");
    }
}
