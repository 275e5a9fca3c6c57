//! CREATE, ALTER, DROP RETENTION POLICY, SHOW RETENTION POLICIES.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::clauses::parse_on;
use super::duration::Duration;
use super::error::ParseError;
use super::ident::Ident;
use super::parser::Parser;
use super::print::clause;
use super::token::{Keyword, Lexeme, Token};

/// `CREATE RETENTION POLICY name ON db DURATION d REPLICATION n [SHARD DURATION d] [DEFAULT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRetentionPolicy {
    pub name: Ident,
    pub database: Ident,
    /// Zero is for ever.
    pub duration: Duration,
    /// At least 1, at most `i32::MAX`.
    pub replication: i64,
    /// Zero counts as absent.
    pub shard_duration: Option<Duration>,
    pub default: bool,
}

/// `ALTER RETENTION POLICY name ON db` and at least one of the changes, in any order, each at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterRetentionPolicy {
    pub name: Ident,
    pub database: Ident,
    pub duration: Option<Duration>,
    pub replication: Option<i64>,
    pub shard_duration: Option<Duration>,
    pub default: bool,
}

/// `DROP RETENTION POLICY name ON db`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRetentionPolicy {
    pub name: Ident,
    pub database: Ident,
}

/// `SHOW RETENTION POLICIES [ON db]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowRetentionPolicies {
    pub database: Option<Ident>,
}

/// What follows `CREATE RETENTION POLICY`.
pub fn parse_create(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::On)?;
    let database = parser.ident()?;
    parser.expect(Keyword::Duration)?;
    let duration = parser.duration()?;
    parser.expect(Keyword::Replication)?;
    let replication = parse_replication(parser)?;
    let shard_duration = if parser.take(Keyword::Shard) { Some(parse_shard_duration(parser)?) } else { None };
    let default = parser.take(Keyword::Default);
    let shard_duration = shard_duration.filter(|duration| duration.0 != 0);
    let create = CreateRetentionPolicy { name, database, duration, replication, shard_duration, default };
    Ok(Statement::CreateRetentionPolicy(create))
}

/// What follows `ALTER RETENTION POLICY`.
pub fn parse_alter(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = if parser.take(Keyword::Default) { Ident::from("default") } else { parser.ident()? };
    parser.expect(Keyword::On)?;
    let database = parser.ident()?;
    let (duration, replication, shard_duration, default) = (None, None, None, false);
    let mut alter = AlterRetentionPolicy { name, database, duration, replication, shard_duration, default };
    let mut changes = 0;
    loop {
        let Lexeme { token, at } = parser.peek().clone();
        let again = match token {
            Token::Keyword(Keyword::Duration) => alter.duration.is_some(),
            Token::Keyword(Keyword::Replication) => alter.replication.is_some(),
            Token::Keyword(Keyword::Shard) => alter.shard_duration.is_some(),
            Token::Keyword(Keyword::Default) => alter.default,
            _ => false,
        };
        if again {
            return Err(ParseError::DuplicateOption { option: token.to_string(), at });
        }
        if parser.take(Keyword::Duration) {
            alter.duration = Some(parser.duration()?);
        } else if parser.take(Keyword::Replication) {
            alter.replication = Some(parse_replication(parser)?);
        } else if parser.take(Keyword::Shard) {
            alter.shard_duration = Some(parse_shard_duration(parser)?);
        } else if parser.take(Keyword::Default) {
            alter.default = true;
        } else if changes == 0 {
            let options = ["DURATION", "REPLICATION", "SHARD", "DEFAULT"];
            return Err(ParseError::unexpected(parser.peek(), &options));
        } else {
            return Ok(Statement::AlterRetentionPolicy(alter));
        }
        changes += 1;
    }
}

/// What follows `DROP RETENTION POLICY`.
pub fn parse_drop(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::On)?;
    Ok(Statement::DropRetentionPolicy(DropRetentionPolicy { name, database: parser.ident()? }))
}

/// What follows `SHOW RETENTION POLICIES`.
pub fn parse_show(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowRetentionPolicies(ShowRetentionPolicies { database: parse_on(parser)? }))
}

pub(super) fn parse_replication(parser: &mut Parser<'_>) -> Result<i64, ParseError> {
    parser.integer(1, i64::from(i32::MAX))
}

/// `DURATION d` after SHARD; here INF is refused.
fn parse_shard_duration(parser: &mut Parser<'_>) -> Result<Duration, ParseError> {
    parser.expect(Keyword::Duration)?;
    let next = parser.peek();
    if next.token == Token::Keyword(Keyword::Inf) {
        return Err(ParseError::InfiniteShardDuration { at: next.at });
    }
    parser.duration()
}

impl Display for CreateRetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreateRetentionPolicy { name, database, duration, replication, shard_duration, default } = self;
        write!(f, "CREATE RETENTION POLICY {name} ON {database} DURATION {duration} REPLICATION {replication}")?;
        clause(f, " SHARD DURATION ", shard_duration.as_ref())?;
        f.write_str(if *default { " DEFAULT" } else { "" })
    }
}

impl Display for AlterRetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER RETENTION POLICY {} ON {}", self.name, self.database)?;
        clause(f, " DURATION ", self.duration.as_ref())?;
        clause(f, " REPLICATION ", self.replication.as_ref())?;
        clause(f, " SHARD DURATION ", self.shard_duration.as_ref())?;
        f.write_str(if self.default { " DEFAULT" } else { "" })
    }
}

impl Display for DropRetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP RETENTION POLICY {} ON {}", self.name, self.database)
    }
}

impl Display for ShowRetentionPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW RETENTION POLICIES")?;
        clause(f, " ON ", self.database.as_ref())
    }
}
