//! CREATE, DROP CONTINUOUS QUERY, SHOW CONTINUOUS QUERIES.

use std::fmt::{self, Display};

use super::ast::Statement;
use super::duration::Duration;
use super::error::ParseError;
use super::ident::Ident;
use super::parser::Parser;
use super::print::clause;
use super::select::{self, Select};
use super::token::{Keyword, Lexeme, Token};

/// `CREATE CONTINUOUS QUERY name ON db [RESAMPLE [EVERY d] [FOR d]] BEGIN SELECT … INTO … END`
#[derive(Debug, Clone, PartialEq)]
pub struct CreateContinuousQuery {
    pub name: Ident,
    pub database: Ident,
    /// How often it runs. Not zero.
    pub resample_every: Option<Duration>,
    /// How far back a run reaches. Not zero.
    pub resample_for: Option<Duration>,
    /// Has a target, and an interval if there is a call in it.
    pub select: Box<Select>,
}

/// `DROP CONTINUOUS QUERY name ON db`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropContinuousQuery {
    pub name: Ident,
    pub database: Ident,
}

/// What follows `CREATE CONTINUOUS QUERY`.
pub fn parse_create(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::On)?;
    let database = parser.ident()?;
    let (resample_every, resample_for) =
        if parser.take(Keyword::Resample) { parse_resample(parser)? } else { (None, None) };
    parser.expect(Keyword::Begin)?;
    parser.expect(Keyword::Select)?;
    let select = Box::new(select::parse_with_target(parser)?);
    let interval = select.written_interval();
    if !select.is_raw() {
        let reason = match &interval {
            Ok(Duration(0)) => Some(None),
            Ok(_) => None,
            Err(error) => Some(Some(error.to_string())),
        };
        if let Some(reason) = reason {
            return Err(interval_missing(parser, reason));
        }
    }
    parser.expect(Keyword::End)?;
    let interval = interval?;
    if let Some(resample_for) = resample_for {
        let least = interval.max(resample_every.unwrap_or(Duration(0)));
        if least > resample_for {
            return Err(ParseError::ResampleTooShort { least, found: resample_for });
        }
    }
    let create = CreateContinuousQuery { name, database, resample_every, resample_for, select };
    Ok(Statement::CreateContinuousQuery(create))
}

/// The server steps two tokens back before it says what it found.
fn interval_missing(parser: &mut Parser<'_>, reason: Option<String>) -> ParseError {
    parser.unscan();
    parser.unscan();
    let found = parser.next_token();
    let expected = std::iter::once("GROUP BY time(...)".to_string()).chain(reason).collect();
    ParseError::IntervalMissing { found: found.token.to_string(), expected, at: found.at }
}

/// What follows `DROP CONTINUOUS QUERY`.
pub fn parse_drop(parser: &mut Parser<'_>) -> Result<Statement, ParseError> {
    let name = parser.ident()?;
    parser.expect(Keyword::On)?;
    Ok(Statement::DropContinuousQuery(DropContinuousQuery { name, database: parser.ident()? }))
}

/// What follows `SHOW CONTINUOUS QUERIES`: nothing.
pub fn parse_show(_: &mut Parser<'_>) -> Result<Statement, ParseError> {
    Ok(Statement::ShowContinuousQueries)
}

/// `[EVERY d] [FOR d]`, at least one of them. Zero counts as absent.
fn parse_resample(parser: &mut Parser<'_>) -> Result<(Option<Duration>, Option<Duration>), ParseError> {
    let every = if parser.take(Keyword::Every) { parse_finite(parser)? } else { None };
    let reach = if parser.take(Keyword::For) { parse_finite(parser)? } else { None };
    if every.is_none() && reach.is_none() {
        return Err(ParseError::unexpected(parser.peek(), &["EVERY", "FOR"]));
    }
    Ok((every, reach))
}

/// A duration that is not INF; nothing if it is zero.
fn parse_finite(parser: &mut Parser<'_>) -> Result<Option<Duration>, ParseError> {
    let Lexeme { token, at } = parser.next_token();
    let Token::Duration(text) = token else { return Err(ParseError::unexpected(&Lexeme { token, at }, &["duration"])) };
    let duration: Duration = text.parse().map_err(|cause| ParseError::Duration { cause, at })?;
    Ok(Some(duration).filter(|duration| duration.0 != 0))
}

impl Display for CreateContinuousQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CREATE CONTINUOUS QUERY {} ON {}", self.name, self.database)?;
        if self.resample_every.is_some() || self.resample_for.is_some() {
            f.write_str(" RESAMPLE")?;
            clause(f, " EVERY ", self.resample_every.as_ref())?;
            clause(f, " FOR ", self.resample_for.as_ref())?;
        }
        f.write_str(" BEGIN ")?;
        self.select.fmt(f)?;
        f.write_str(" END")
    }
}

impl Display for DropContinuousQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP CONTINUOUS QUERY {} ON {}", self.name, self.database)
    }
}
