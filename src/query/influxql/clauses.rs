//! Clauses that several statements share: which rows of an answer, in which order, from where, under which condition.

use std::fmt::{self, Display};

use super::error::ParseError;
use super::expr::Expr;
use super::ident::Ident;
use super::parser::Parser;
use super::source::Measurement;
use super::token::{Keyword, Lexeme, Token};

/// `LIMIT n OFFSET m`, or `SLIMIT n SOFFSET m`. Zero is the same as absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// At most `i64::MAX`.
    pub limit: u64,
    /// At most `i64::MAX`.
    pub offset: u64,
}

/// `ORDER BY [time] [ASC | DESC]`: nothing but time can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    pub direction: Direction,
    /// Whether `time` is written.
    pub names_time: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

impl OrderBy {
    /// `ORDER BY …`, if it is next.
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Option<OrderBy>, ParseError> {
        if !parser.take(Keyword::Order) {
            return Ok(None);
        }
        parser.expect(Keyword::By)?;
        let found = parser.next_token();
        let order = match found.token {
            Token::Keyword(Keyword::Asc) => OrderBy { direction: Direction::Ascending, names_time: false },
            Token::Keyword(Keyword::Desc) => OrderBy { direction: Direction::Descending, names_time: false },
            Token::Ident(ref name) => {
                let direction = parse_direction(parser);
                if name != "time" {
                    return Err(ParseError::OrderNotByTime);
                }
                OrderBy { direction, names_time: true }
            }
            _ => return Err(ParseError::unexpected(&found, &["identifier", "ASC", "DESC"])),
        };
        let mut more = false;
        while parser.take_token(&Token::Comma) {
            parser.ident()?;
            parse_direction(parser);
            more = true;
        }
        if more { Err(ParseError::OrderNotByTime) } else { Ok(Some(order)) }
    }
}

fn parse_direction(parser: &mut Parser<'_>) -> Direction {
    if parser.take(Keyword::Desc) {
        return Direction::Descending;
    }
    parser.take(Keyword::Asc);
    Direction::Ascending
}

impl Page {
    /// `LIMIT n OFFSET m`, each if it is there.
    pub(super) fn parse_rows(parser: &mut Parser<'_>) -> Result<Page, ParseError> {
        Page::parse(parser, Keyword::Limit, Keyword::Offset)
    }

    /// `SLIMIT n SOFFSET m`, each if it is there.
    pub(super) fn parse_series(parser: &mut Parser<'_>) -> Result<Page, ParseError> {
        Page::parse(parser, Keyword::Slimit, Keyword::Soffset)
    }

    fn parse(parser: &mut Parser<'_>, limit: Keyword, offset: Keyword) -> Result<Page, ParseError> {
        Ok(Page { limit: parse_count(parser, limit)?, offset: parse_count(parser, offset)? })
    }

    /// ` LIMIT n OFFSET m`, without what is zero.
    pub(super) fn print(self, f: &mut fmt::Formatter<'_>, limit: Keyword, offset: Keyword) -> fmt::Result {
        for (word, count) in [(limit, self.limit), (offset, self.offset)] {
            if count > 0 {
                write!(f, " {} {count}", word.as_str())?;
            }
        }
        Ok(())
    }

    pub(super) fn print_rows(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, Keyword::Limit, Keyword::Offset)
    }
}

/// The count after `word`, or zero without it. A count that does not fit reads as the largest, as in the server.
fn parse_count(parser: &mut Parser<'_>, word: Keyword) -> Result<u64, ParseError> {
    if !parser.take(word) {
        return Ok(0);
    }
    let Lexeme { token, at } = parser.next_token();
    let Token::Integer(digits) = token else { return Err(ParseError::unexpected(&Lexeme { token, at }, &["integer"])) };
    if digits.starts_with('-') {
        return Err(ParseError::NegativeCount { word: word.as_str(), at });
    }
    let largest = i64::MAX.unsigned_abs();
    Ok(digits.parse().map_or(largest, |count: u64| count.min(largest)))
}

/// `ON database`, if it is next. An empty name counts as absent.
pub(super) fn parse_on(parser: &mut Parser<'_>) -> Result<Option<Ident>, ParseError> {
    if parser.take(Keyword::On) { Ok(parser.ident()?.non_empty()) } else { Ok(None) }
}

/// `FROM measurement, …`, if it is next. No subqueries.
pub(super) fn parse_from(parser: &mut Parser<'_>) -> Result<Vec<Measurement>, ParseError> {
    if !parser.take(Keyword::From) {
        return Ok(Vec::new());
    }
    let mut sources = vec![Measurement::parse(parser)?];
    while parser.take_token(&Token::Comma) {
        sources.push(Measurement::parse(parser)?);
    }
    Ok(sources)
}

/// `WHERE condition`, if it is next.
pub(super) fn parse_where(parser: &mut Parser<'_>) -> Result<Option<Expr>, ParseError> {
    if parser.take(Keyword::Where) { Expr::parse(parser).map(Some) } else { Ok(None) }
}

/// `GROUP BY dimension, …`, if it is next. Which expressions may be dimensions is checked later.
pub(super) fn parse_group_by(parser: &mut Parser<'_>) -> Result<Vec<Expr>, ParseError> {
    if !parser.take(Keyword::Group) {
        return Ok(Vec::new());
    }
    parser.expect(Keyword::By)?;
    let mut dimensions = Vec::new();
    loop {
        match parser.regex()? {
            Some(regex) => dimensions.push(Expr::Literal(super::expr::Literal::Regex(regex))),
            None => {
                dimensions.push(Expr::parse(parser)?);
                parser.take_whitespace();
            }
        }
        if parser.scan().token != Token::Comma {
            parser.unscan();
            return Ok(dimensions);
        }
    }
}

impl Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.names_time { "time " } else { "" })?;
        self.direction.fmt(f)
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        })
    }
}
