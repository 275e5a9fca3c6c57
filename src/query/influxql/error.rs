//! What was wrong with a query, said as the server says it.

use thiserror::Error;

use super::duration::InvalidDuration;
use super::token::{Lexeme, Position};

/// Why text is no query. The text of each is the server's own, without `error parsing query: `.
///
/// All mean that the request is wrong, but [`NotSupported`](ParseError::NotSupported): that one is our shortcoming.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    #[error("found {found}, expected {} at {at}", .expected.join(", "))]
    Unexpected { found: String, expected: Vec<&'static str>, at: Position },
    #[error("{cause} at {at}")]
    Duration { cause: InvalidDuration, at: Position },
    #[error("invalid value {value}: must be {min} <= n <= {max} at {at}")]
    OutOfRange { value: i64, min: i64, max: i64, at: Position },
    /// `digits` are more than 64 bits hold. The server lets its library's words through.
    #[error("strconv.Atoi: parsing \"{digits}\": value out of range at {at}")]
    IntegerTooLarge { digits: String, at: Position },
    /// InfluxQL that we know but cannot run: the words that open the statement.
    #[error("{statement} is not supported yet")]
    NotSupported { statement: String },
}

impl ParseError {
    /// `found` stands where one of `expected` should.
    pub fn unexpected(found: &Lexeme, expected: &[&'static str]) -> Self {
        ParseError::Unexpected { found: found.token.to_string(), expected: expected.to_vec(), at: found.at }
    }
}
