//! What is stored: SHOW MEASUREMENTS, SERIES, TAG KEYS, TAG VALUES, FIELD KEYS.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::cardinality;
use super::clauses::{OrderBy, Page, parse_from, parse_on, parse_where};
use super::error::ParseError;
use super::expr::Expr;
use super::ident::Ident;
use super::parser::Parser;
use super::print::{clause, list_clause, separated};
use super::regex::Regex;
use super::source::{Measurement, MeasurementName};
use super::token::{Keyword, Token};

/// `SHOW MEASUREMENTS [ON db] [WITH MEASUREMENT = m | =~ /m/] [WHERE …] [ORDER BY …] [LIMIT …] [OFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowMeasurements {
    pub database: Option<Ident>,
    pub measurement: Option<Measurement>,
    pub condition: Option<Expr>,
    pub order: Option<OrderBy>,
    pub rows: Page,
}

/// `SHOW SERIES [ON db] [FROM …] [WHERE …] [ORDER BY …] [LIMIT …] [OFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowSeries {
    pub database: Option<Ident>,
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
    pub order: Option<OrderBy>,
    pub rows: Page,
}

/// `SHOW TAG KEYS [ON db] [FROM …] [WHERE …] [ORDER BY …] [LIMIT …] [OFFSET …] [SLIMIT …] [SOFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagKeys {
    pub database: Option<Ident>,
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
    pub order: Option<OrderBy>,
    /// Keys of each measurement.
    pub rows: Page,
    pub series: Page,
}

/// `SHOW TAG VALUES [ON db] [FROM …] WITH KEY … [WHERE …] [ORDER BY …] [LIMIT …] [OFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTagValues {
    pub database: Option<Ident>,
    pub sources: Vec<Measurement>,
    pub keys: TagKeys,
    pub condition: Option<Expr>,
    pub order: Option<OrderBy>,
    pub rows: Page,
}

/// What follows WITH KEY: which tags are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum TagKeys {
    In(Vec<Ident>),
    Equal(Ident),
    NotEqual(Ident),
    Matching(Regex),
    NotMatching(Regex),
}

/// `SHOW FIELD KEYS [ON db] [FROM …] [ORDER BY …] [LIMIT …] [OFFSET …]`
#[derive(Debug, Clone, PartialEq)]
pub struct ShowFieldKeys {
    pub database: Option<Ident>,
    pub sources: Vec<Measurement>,
    pub order: Option<OrderBy>,
    pub rows: Page,
}

/// What follows `SHOW MEASUREMENTS`.
pub fn parse_measurements(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let database = parse_on(parser)?;
    let mut measurement = None;
    if parser.take(Keyword::With) {
        parser.expect(Keyword::Measurement)?;
        let found = parser.next_token();
        if !matches!(found.token, Token::Eq | Token::EqRegex) {
            return Err(ParseError::unexpected(&found, &["=", "=~"]));
        }
        measurement = Some(Measurement::parse(parser)?);
    }
    let condition = parse_where(parser)?;
    let order = OrderBy::parse(parser)?;
    let rows = Page::parse_rows(parser)?;
    Ok(Statement::ShowMeasurements(ShowMeasurements { database, measurement, condition, order, rows }))
}

/// What follows `SHOW SERIES`.
pub fn parse_series(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let exact = parser.take(Keyword::Exact);
    if parser.take(Keyword::Cardinality) {
        return cardinality::parse_of_series(parser, exact);
    }
    // As in the server, EXACT without CARDINALITY is read and forgotten.
    let database = parse_on(parser)?;
    let sources = parse_from(parser)?;
    let condition = parse_where(parser)?;
    let order = OrderBy::parse(parser)?;
    let rows = Page::parse_rows(parser)?;
    Ok(Statement::ShowSeries(ShowSeries { database, sources, condition, order, rows }))
}

/// What follows `SHOW TAG KEYS`.
pub fn parse_tag_keys(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let database = parse_on(parser)?;
    let sources = parse_from(parser)?;
    let condition = parse_where(parser)?;
    let order = OrderBy::parse(parser)?;
    let rows = Page::parse_rows(parser)?;
    let series = Page::parse_series(parser)?;
    Ok(Statement::ShowTagKeys(ShowTagKeys { database, sources, condition, order, rows, series }))
}

/// What follows `SHOW TAG VALUES`.
pub fn parse_tag_values(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    if parser.take(Keyword::Exact) {
        parser.expect(Keyword::Cardinality)?;
        return cardinality::parse_of_tag_values(parser, true);
    }
    if parser.take(Keyword::Cardinality) {
        return cardinality::parse_of_tag_values(parser, false);
    }
    let database = parse_on(parser)?;
    let sources = parse_from(parser)?;
    let keys = TagKeys::parse(parser)?;
    let condition = parse_where(parser)?;
    let order = OrderBy::parse(parser)?;
    let rows = Page::parse_rows(parser)?;
    Ok(Statement::ShowTagValues(ShowTagValues { database, sources, keys, condition, order, rows }))
}

/// What follows `SHOW FIELD KEYS`.
pub fn parse_field_keys(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let database = parse_on(parser)?;
    let sources = parse_from(parser)?;
    let order = OrderBy::parse(parser)?;
    let rows = Page::parse_rows(parser)?;
    Ok(Statement::ShowFieldKeys(ShowFieldKeys { database, sources, order, rows }))
}

impl TagKeys {
    /// `WITH KEY …`, which must be next.
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<TagKeys, ParseError> {
        parser.expect(Keyword::With)?;
        parser.expect(Keyword::Key)?;
        let found = parser.next_token();
        match found.token {
            Token::Keyword(Keyword::In) => {
                parser.expect_token(&Token::LeftParen, "(")?;
                let mut keys = vec![parser.ident()?];
                while parser.take_token(&Token::Comma) {
                    keys.push(parser.ident()?);
                }
                parser.expect_token(&Token::RightParen, ")")?;
                Ok(TagKeys::In(keys))
            }
            Token::Eq => parser.ident().map(TagKeys::Equal),
            Token::NotEq => parser.ident().map(TagKeys::NotEqual),
            Token::EqRegex => parser.expect_regex().map(TagKeys::Matching),
            Token::NotEqRegex => parser.expect_regex().map(TagKeys::NotMatching),
            _ => Err(ParseError::unexpected(&found, &["IN", "=", "=~"])),
        }
    }
}

impl Display for ShowMeasurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW MEASUREMENTS")?;
        match &self.database {
            // The server forgets to quote this one.
            Some(database) if !f.alternate() => write!(f, " ON {}", database.0)?,
            database => clause(f, " ON ", database.as_ref())?,
        }
        if let Some(measurement) = &self.measurement {
            let matches = matches!(measurement.name, MeasurementName::Regex(_));
            f.write_str(if matches { " WITH MEASUREMENT =~ " } else { " WITH MEASUREMENT = " })?;
            measurement.fmt(f)?;
        }
        clause(f, " WHERE ", self.condition.as_ref())?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)
    }
}

impl Display for ShowSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW SERIES")?;
        clause(f, " ON ", self.database.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " WHERE ", self.condition.as_ref())?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)
    }
}

impl Display for ShowTagKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG KEYS")?;
        clause(f, " ON ", self.database.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " WHERE ", self.condition.as_ref())?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)?;
        self.series.print(f, Keyword::Slimit, Keyword::Soffset)
    }
}

impl Display for ShowTagValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW TAG VALUES")?;
        clause(f, " ON ", self.database.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        self.keys.fmt(f)?;
        clause(f, " WHERE ", self.condition.as_ref())?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)
    }
}

/// With a blank before it.
impl Display for TagKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(" WITH KEY ")?;
        match self {
            TagKeys::In(keys) => {
                f.write_str("IN (")?;
                separated(f, keys)?;
                f.write_str(")")
            }
            TagKeys::Equal(key) => write!(f, "= {key}"),
            TagKeys::NotEqual(key) => write!(f, "!= {key}"),
            TagKeys::Matching(regex) => write!(f, "=~ {regex}"),
            TagKeys::NotMatching(regex) => write!(f, "!~ {regex}"),
        }
    }
}

impl Display for ShowFieldKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHOW FIELD KEYS")?;
        clause(f, " ON ", self.database.as_ref())?;
        list_clause(f, " FROM ", &self.sources)?;
        clause(f, " ORDER BY ", self.order.as_ref())?;
        self.rows.print_rows(f)
    }
}
