//! What was wrong with a query, said as the server says it.

use thiserror::Error;

use super::duration::{Duration, InvalidDuration};
use super::regex::RegexError;
use super::token::{Lexeme, Position};

/// Why text is no query: the request is wrong. The text of each is the server's own, without `error parsing query: `.
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
    #[error("strconv.ParseUint: parsing \"{digits}\": {why} at {at}")]
    NotUnsigned { digits: String, why: &'static str, at: Position },
    #[error("{word} must be >= 0 at {at}")]
    NegativeCount { word: &'static str, at: Position },
    #[error("invalid duration INF for shard duration at {at}")]
    InfiniteShardDuration { at: Position },
    #[error("found duplicate {option} option at {at}")]
    DuplicateOption { option: String, at: Position },
    #[error("too many segments in {name} at {at}")]
    TooManySegments { name: String, at: Position },
    /// A database or policy where the statement works on all policies of the request's database.
    #[error("{qualifier} not supported at {at}")]
    QualifierNotSupported { qualifier: &'static str, at: Position },

    #[error("unable to parse number at {at}")]
    NotANumber { at: Position },
    #[error("unable to parse integer at {at}")]
    NotAnInteger { at: Position },
    /// Inside an expression the server names no place for it.
    #[error("{0}")]
    DurationValue(InvalidDuration),
    #[error("constant -{value} underflows int64")]
    ConstantUnderflows { value: u64 },
    #[error("{cause} at {at}")]
    Regex { cause: RegexError, at: Position },
    /// It does not end on its line.
    #[error("bad regex:  at {at}")]
    BadRegex { at: Position },
    #[error("bad escape: {escape} at {at}")]
    BadEscape { escape: String, at: Position },
    #[error("empty bound parameter")]
    EmptyParameter,
    #[error("missing parameter: {name}")]
    MissingParameter { name: String },

    #[error("invalid operator {op} in SELECT clause at {at}; operator is intended for WHERE clause")]
    ConditionInFields { op: &'static str, at: Position },
    #[error("only ORDER BY time supported at this time")]
    OrderNotByTime,
    #[error("fill must be a function call")]
    FillNoCall,
    #[error("fill requires an argument, e.g.: 0, null, none, previous, linear")]
    FillArguments,
    #[error("expected number argument in fill()")]
    FillValue,
    #[error("tz must be a function call")]
    ZoneNoCall,
    #[error("tz requires exactly one argument")]
    ZoneArguments,
    #[error("expected string argument in tz()")]
    ZoneNotString,
    #[error("unable to find time zone {name}")]
    UnknownZone { name: String },

    #[error("found {found}, expected {} at {at}", .expected.join(", "))]
    IntervalMissing { found: String, expected: Vec<String>, at: Position },
    #[error("FOR duration must be >= GROUP BY time duration: must be a minimum of {least}, got {found}")]
    ResampleTooShort { least: Duration, found: Duration },
    #[error(transparent)]
    Shape(#[from] ShapeError),

    /// Our bound; the server has none, and falls over its stack.
    #[error("nested more than {max} levels deep at {at}")]
    TooDeep { max: usize, at: Position },
}

/// What is wrong with `time(…)` among the dimensions. The parser says it of a continuous query, the check of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShapeError {
    #[error("time dimension expected 1 or 2 arguments")]
    TimeArguments,
    #[error("time dimension must have duration argument")]
    TimeWithoutDuration,
}

impl ParseError {
    /// `found` stands where one of `expected` should.
    pub fn unexpected(found: &Lexeme, expected: &[&'static str]) -> Self {
        ParseError::Unexpected { found: found.token.to_string(), expected: expected.to_vec(), at: found.at }
    }
}
