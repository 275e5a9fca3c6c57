//! How many there are of what is stored: SHOW … CARDINALITY.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::clauses::{Page, parse_from, parse_group_by, parse_on, parse_where};
use super::error::ParseError;
use super::expr::Expr;
use super::ident::Ident;
use super::parser::Parser;
use super::print::{clause, list_clause};
use super::schema::TagKeys;
use super::source::Measurement;
use super::token::Keyword;

/// `SHOW … [EXACT] CARDINALITY [ON db] [FROM …] [WITH KEY …] [WHERE …] [GROUP BY …] [LIMIT …] [OFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowCardinality {
    pub of: Counted,
    /// Without it series and measurements may be estimated.
    pub exact: bool,
    pub database: Option<Ident>,
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
    pub dimensions: Vec<Expr>,
    pub rows: Page,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    Series,
    Measurements,
    TagKeys,
    FieldKeys,
    TagValues(TagKeys),
}

/// What follows `SHOW SERIES [EXACT] CARDINALITY`.
pub(super) fn parse_of_series(parser: &mut Parser<'_>, exact: bool) -> Result<Statement, ParseError> {
    parse(parser, exact, |_| Ok(Counted::Series))
}

/// What follows `SHOW TAG VALUES [EXACT] CARDINALITY`.
pub(super) fn parse_of_tag_values(parser: &mut Parser<'_>, exact: bool) -> Result<Statement, ParseError> {
    parse(parser, exact, |parser| TagKeys::parse(parser).map(Counted::TagValues))
}

/// What follows `SHOW MEASUREMENT EXACT`.
pub fn parse_of_measurements_exact(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    parser.expect(Keyword::Cardinality)?;
    parse(parser, true, |_| Ok(Counted::Measurements))
}

/// What follows `SHOW MEASUREMENT CARDINALITY`.
pub fn parse_of_measurements(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    parse(parser, false, |_| Ok(Counted::Measurements))
}

/// What follows `SHOW TAG KEY`.
pub fn parse_of_tag_keys(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let exact = parse_exact_cardinality(parser)?;
    parse(parser, exact, |_| Ok(Counted::TagKeys))
}

/// What follows `SHOW FIELD KEY`.
pub fn parse_of_field_keys(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let exact = parse_exact_cardinality(parser)?;
    parse(parser, exact, |_| Ok(Counted::FieldKeys))
}

/// `[EXACT] CARDINALITY`: whether EXACT is there.
fn parse_exact_cardinality(parser: &mut Parser<'_>) -> Result<bool, ParseError> {
    let exact = parser.take(Keyword::Exact);
    if parser.take(Keyword::Cardinality) {
        return Ok(exact);
    }
    let expected: &[_] = if exact { &["CARDINALITY"] } else { &["EXACT", "CARDINALITY"] };
    Err(ParseError::unexpected(parser.peek(), expected))
}

/// What follows CARDINALITY. `counted` parses what stands between FROM and WHERE.
fn parse(
    parser: &mut Parser<'_>,
    exact: bool,
    counted: fn(&mut Parser<'_>) -> Result<Counted, ParseError>,
) -> Result<Statement, ParseError> {
    let database = parse_on(parser)?;
    let sources = parse_from(parser)?;
    let of = counted(parser)?;
    let condition = parse_where(parser)?;
    let dimensions = parse_group_by(parser)?;
    let rows = Page::parse_rows(parser)?;
    Ok(Statement::ShowCardinality(ShowCardinality { of, exact, database, sources, condition, dimensions, rows }))
}

impl Display for ShowCardinality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = match self.of {
            Counted::Series => "SERIES",
            Counted::Measurements => "MEASUREMENT",
            Counted::TagKeys => "TAG KEY",
            Counted::FieldKeys => "FIELD KEY",
            Counted::TagValues(_) => "TAG VALUES",
        };
        write!(f, "SHOW {counted}{} CARDINALITY", if self.exact { " EXACT" } else { "" })?;
        clause(f, " ON ", self.database.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        if let Counted::TagValues(keys) = &self.of {
            keys.fmt(f)?;
        }
        clause(f, " WHERE ", self.condition.as_ref())?;
        list_clause(f, " GROUP BY ", &self.dimensions)?;
        self.rows.print_rows(f)
    }
}
