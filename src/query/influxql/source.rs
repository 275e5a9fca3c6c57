//! Where rows come from and where they go to: measurements, by name or by pattern, and subqueries.

use std::fmt::{self, Display};

use super::error::ParseError;
use super::ident::Ident;
use super::parser::Parser;
use super::regex::Regex;
use super::select::Select;
use super::token::{Keyword, Position, Token};

/// One of the things that FROM lists.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    Measurement(Measurement),
    Subquery(Box<Select>),
}

/// `[[database.][policy].]name` or a regular expression in place of the name. An empty database or policy is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub database: Option<Ident>,
    /// Without it the database's default policy.
    pub policy: Option<Ident>,
    pub name: MeasurementName,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MeasurementName {
    Name(Ident),
    Regex(Regex),
}

/// What INTO names. Empty parts are absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub database: Option<Ident>,
    pub policy: Option<Ident>,
    /// Absent for `:MEASUREMENT`: the name that the rows come from.
    pub name: Option<Ident>,
}

impl Source {
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Source, ParseError> {
        if let Some(regex) = parser.regex()? {
            return Ok(Source::Measurement(Measurement::matching(regex)));
        }
        if !parser.take_token(&Token::LeftParen) {
            return Measurement::parse_segments(parser).map(Source::Measurement);
        }
        parser.expect(Keyword::Select)?;
        let inner = parser.nested(Select::parse_subquery)?;
        parser.expect_token(&Token::RightParen, ")")?;
        Ok(Source::Subquery(Box::new(inner)))
    }
}

impl Measurement {
    /// A measurement of the default database and policy.
    pub fn named(name: &str) -> Measurement {
        Measurement { database: None, policy: None, name: MeasurementName::Name(name.into()) }
    }

    fn matching(regex: Regex) -> Measurement {
        Measurement { database: None, policy: None, name: MeasurementName::Regex(regex) }
    }

    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Measurement, ParseError> {
        match parser.regex()? {
            Some(regex) => Ok(Measurement::matching(regex)),
            None => Measurement::parse_segments(parser),
        }
    }

    fn parse_segments(parser: &mut Parser<'_>) -> Result<Measurement, ParseError> {
        let mut segments = parse_segments(parser)?;
        let regex = if segments.len() == 3 { None } else { parser.regex()? };
        let name = match regex {
            Some(regex) => MeasurementName::Regex(regex),
            None => MeasurementName::Name(segments.pop().expect("there is at least one segment")),
        };
        let policy = segments.pop().and_then(Ident::non_empty);
        let database = segments.pop().and_then(Ident::non_empty);
        Ok(Measurement { database, policy, name })
    }

    /// Measurements without database and policy, for statements that work on all policies of one database.
    pub(super) fn unqualified(sources: &[Measurement]) -> Result<(), ParseError> {
        let mut outcome = Ok(());
        for source in sources {
            if source.database.is_some() {
                outcome = Err(ParseError::QualifierNotSupported { qualifier: "database", at: Position::START });
            }
            if source.policy.is_some() {
                outcome = Err(ParseError::QualifierNotSupported { qualifier: "retention policy", at: Position::START });
            }
        }
        outcome
    }
}

impl Target {
    /// What follows INTO.
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Target, ParseError> {
        let mut segments = parse_segments(parser)?;
        if segments.len() < 3 && parser.look() == Some(':') {
            parser.expect_token(&Token::Colon, ":")?;
            parser.expect(Keyword::Measurement)?;
            segments.push(Ident(String::new()));
        }
        let name = segments.pop().and_then(Ident::non_empty);
        let policy = segments.pop().and_then(Ident::non_empty);
        let database = segments.pop().and_then(Ident::non_empty);
        Ok(Target { database, policy, name })
    }
}

/// One to three names with points between them. `a..b` has an empty one in the middle. Stops behind a point that a
/// regular expression or a colon follows.
pub(super) fn parse_segments(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParseError> {
    let mut segments = vec![parser.ident()?];
    loop {
        if parser.scan().token != Token::Dot {
            parser.unscan();
            break;
        }
        match parser.look() {
            Some('/' | ':') => break,
            Some('.') => segments.push(Ident(String::new())),
            _ => segments.push(parser.ident()?),
        }
    }
    if segments.len() > 3 {
        return Err(ParseError::TooManySegments { name: dotted(&segments), at: Position::START });
    }
    Ok(segments)
}

/// The segments as the server quotes them in an error: all but the last in quotes.
fn dotted(segments: &[Ident]) -> String {
    let last = segments.len() - 1;
    let quoted = segments.iter().enumerate().map(|(i, segment)| match i {
        _ if i == last || i == 0 && segment.0.is_empty() => segment.to_string(),
        _ if segment.0.is_empty() => String::new(),
        _ => segment.quoted(),
    });
    quoted.collect::<Vec<_>>().join(".")
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Measurement(measurement) => measurement.fmt(f),
            Source::Subquery(inner) => {
                f.write_str("(")?;
                inner.fmt(f)?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        qualifiers(f, self.database.as_ref(), self.policy.as_ref())?;
        match &self.name {
            MeasurementName::Name(name) if name.0.is_empty() && !f.alternate() => Ok(()),
            MeasurementName::Name(name) => name.fmt(f),
            MeasurementName::Regex(regex) => regex.fmt(f),
        }
    }
}

/// `INTO …`
impl Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("INTO ")?;
        qualifiers(f, self.database.as_ref(), self.policy.as_ref())?;
        match &self.name {
            Some(name) => name.fmt(f),
            None if f.alternate() && self.database.is_none() && self.policy.is_none() => f.write_str("\"\""),
            None => f.write_str(":MEASUREMENT"),
        }
    }
}

fn qualifiers(f: &mut fmt::Formatter<'_>, database: Option<&Ident>, policy: Option<&Ident>) -> fmt::Result {
    if let Some(database) = database {
        write!(f, "{database}.")?;
    }
    if let Some(policy) = policy {
        write!(f, "{policy}")?;
    }
    f.write_str(if database.is_some() || policy.is_some() { "." } else { "" })
}
