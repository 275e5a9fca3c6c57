//! What takes data away: DELETE, DROP SERIES, DROP MEASUREMENT.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::clauses::{parse_from, parse_where};
use super::error::ParseError;
use super::expr::Expr;
use super::ident::Ident;
use super::parser::Parser;
use super::print::{clause, list_clause};
use super::source::Measurement;

/// `DELETE [FROM m, …] [WHERE …]`, at least one of the two: points, in all policies of the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// Without database and policy.
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
}

/// `DROP SERIES [FROM m, …] [WHERE …]`, at least one of the two.
#[derive(Debug, Clone, PartialEq)]
pub struct DropSeries {
    /// Without database and policy.
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
}

/// `DROP MEASUREMENT name`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropMeasurement {
    pub name: Ident,
}

/// What follows `DELETE`.
pub fn parse_delete(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (sources, condition) = parse_what(parser)?;
    Ok(Statement::Delete(Delete { sources, condition }))
}

/// What follows `DROP SERIES`.
pub fn parse_drop_series(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let (sources, condition) = parse_what(parser)?;
    Ok(Statement::DropSeries(DropSeries { sources, condition }))
}

/// What follows `DROP MEASUREMENT`.
pub fn parse_drop_measurement(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::DropMeasurement(DropMeasurement { name: parser.ident()? }))
}

/// `[FROM m, …] [WHERE …]`, but not nothing.
fn parse_what(parser: &mut Parser<'_>) -> Result<(Vec<Measurement>, Option<Expr>), ParseError> {
    let first = parser.peek().clone();
    let sources = parse_from(parser)?;
    Measurement::unqualified(&sources)?;
    let condition = parse_where(parser)?;
    if sources.is_empty() && condition.is_none() {
        return Err(ParseError::unexpected(&first, &["FROM", "WHERE"]));
    }
    Ok((sources, condition))
}

impl Display for Delete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DELETE")?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " WHERE ", self.condition.as_ref())
    }
}

impl Display for DropSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DROP SERIES")?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " WHERE ", self.condition.as_ref())
    }
}

impl Display for DropMeasurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP MEASUREMENT {}", self.name)
    }
}
