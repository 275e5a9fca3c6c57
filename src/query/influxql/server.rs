//! The server itself: its queries, its shards, its statistics.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::error::ParseError;
use super::ident::{Ident, Quoted};
use super::parser::Parser;
use super::print::clause;
use super::token::Keyword;

/// `KILL QUERY id [ON host]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillQuery {
    pub id: u64,
    pub host: Option<Ident>,
}

/// `SHOW STATS [FOR 'module']`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowStats {
    pub module: Option<String>,
}

/// `SHOW DIAGNOSTICS [FOR 'module']`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowDiagnostics {
    pub module: Option<String>,
}

/// `DROP SHARD id`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropShard {
    pub id: u64,
}

/// What follows `KILL QUERY`.
pub fn parse_kill(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let id = parser.unsigned()?;
    let host = super::clauses::parse_on(parser)?;
    Ok(Statement::KillQuery(KillQuery { id, host }))
}

/// What follows `SHOW QUERIES`: nothing.
pub fn parse_queries(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowQueries)
}

/// What follows `SHOW STATS`.
pub fn parse_stats(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowStats(ShowStats { module: parse_module(parser)? }))
}

/// What follows `SHOW DIAGNOSTICS`.
pub fn parse_diagnostics(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowDiagnostics(ShowDiagnostics { module: parse_module(parser)? }))
}

/// What follows `SHOW SHARDS`: nothing.
pub fn parse_shards(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowShards)
}

/// What follows `SHOW SHARD GROUPS`: nothing.
pub fn parse_shard_groups(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowShardGroups)
}

/// What follows `DROP SHARD`.
pub fn parse_drop_shard(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::DropShard(DropShard { id: parser.unsigned()? }))
}

/// `FOR 'module'`, if it is next. An empty name counts as absent.
fn parse_module(parser: &mut Parser<'_>) -> Result<Option<String>, ParseError> {
    let module = if parser.take(Keyword::For) { Some(parser.string()?) } else { None };
    Ok(module.filter(|module| !module.is_empty()))
}

impl Display for KillQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KILL QUERY {}", self.id)?;
        clause(f, " ON ", self.host.as_ref())
    }
}

impl Display for ShowStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW STATS")?;
        clause(f, " FOR ", self.module.as_deref().map(Quoted).as_ref())
    }
}

impl Display for ShowDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW DIAGNOSTICS")?;
        clause(f, " FOR ", self.module.as_deref().map(Quoted).as_ref())
    }
}

impl Display for DropShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP SHARD {}", self.id)
    }
}
