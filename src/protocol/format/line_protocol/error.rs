//! Bad lines: what was wrong, in the words of the servers we stand in for.

use std::fmt;

use memchr::memchr_iter;

use super::KEY_BYTES_MAX;
use super::lines::Line;
use crate::model::text::cut;
use crate::model::time::{TIME_MAX_NS, TIME_MIN_NS};
use crate::model::{Classify, Kind};

/// How much text of bad lines is kept, and how much of one.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// How many bad lines are kept.
pub const BAD_LINES_MAX: usize = 1_000;

/// What is wrong with a line, said as InfluxDB says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("missing measurement")]
    MissingMeasurement,
    #[error("missing tag key")]
    MissingTagKey,
    #[error("missing tag value")]
    MissingTagValue,
    #[error("invalid tag format")]
    InvalidTagFormat,
    #[error("duplicate tags")]
    DuplicateTags,
    #[error("missing fields")]
    MissingFields,
    #[error("missing field key")]
    MissingFieldKey,
    #[error("missing field value")]
    MissingFieldValue,
    #[error("invalid field format")]
    InvalidFieldFormat,
    /// Field key.
    #[error("invalid value: field-key={0}")]
    InvalidValue(Box<str>),
    #[error("unbalanced quotes")]
    UnbalancedQuotes,
    #[error("invalid number")]
    InvalidNumber,
    #[error("invalid float")]
    InvalidFloat,
    #[error("invalid boolean")]
    InvalidBoolean,
    /// Digits, without the suffix.
    #[error("unable to parse integer {0}: strconv.ParseInt: parsing \"{0}\": value out of range")]
    IntegerOutOfRange(Box<str>),
    #[error("unable to parse unsigned {0}: strconv.ParseUint: parsing \"{0}\": value out of range")]
    UnsignedOutOfRange(Box<str>),
    #[error("bad timestamp")]
    BadTimestamp,
    #[error("strconv.ParseInt: parsing \"{0}\": invalid syntax")]
    TimestampSyntax(Box<str>),
    #[error("strconv.ParseInt: parsing \"{0}\": value out of range")]
    TimestampOutOfRange(Box<str>),
    #[error("time outside range {min} - {max}", min = TIME_MIN_NS, max = TIME_MAX_NS)]
    TimeOutsideRange,
    /// Something stands after the timestamp.
    #[error("point is invalid")]
    TrailingText,
    /// Length of the series key with the field key.
    #[error("max key length exceeded: {0} > {max}", max = KEY_BYTES_MAX)]
    KeyTooLong(usize),
    /// A backslash before this character, which the dialect does not escape there.
    #[error("unexpected {0:?} after a backslash")]
    UnexpectedToken(char),
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

/// `text` for an error, cut to what is kept of a line.
pub(super) fn quoted(text: &str) -> Box<str> {
    cut(text, TEXT_BYTES_MAX).into()
}

/// A [`Reason`] and where in the line it was met: the start of what could not be read.
#[derive(Debug)]
pub(super) struct Problem {
    reason: Reason,
    at: usize,
    in_value: bool,
}

impl Problem {
    pub(super) fn new(reason: Reason, at: usize) -> Self {
        use Reason::*;
        let in_value = matches!(
            reason,
            MissingFieldValue
                | InvalidNumber
                | InvalidFloat
                | InvalidBoolean
                | IntegerOutOfRange(_)
                | UnsignedOutOfRange(_)
        );
        Problem { reason, at, in_value }
    }

    /// The same, met at the start of a field's value.
    pub(super) fn in_value(self) -> Self {
        Problem { in_value: true, ..self }
    }
}

/// A line that could not be read. Displays as InfluxDB reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse '{line}': {reason}")]
pub struct LineError {
    /// The line as sent, without leading blanks; cut after [`TEXT_BYTES_MAX`]. Bytes that are not UTF-8 are replaced.
    pub line: String,
    pub reason: Reason,
    /// Where `line` starts in the body, in bytes.
    pub offset: usize,
    /// Its number in the body, from 1; newlines inside strings count, as in an editor.
    pub number: usize,
    /// Where in the body reading failed: the start of the tag, field, value or timestamp that is wrong.
    pub position: usize,
    in_value: bool,
    /// Where the token at `position` ends, when a line end or a blank follows it.
    token_end: Option<usize>,
}

impl Classify for LineError {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl LineError {
    fn new(body: &[u8], line: Line<'_>, number: usize, problem: Problem) -> Self {
        let kept = &line.bytes[..line.bytes.len().min(TEXT_BYTES_MAX)];
        let mut text = String::from_utf8_lossy(kept).into_owned();
        if kept.len() < line.bytes.len() && std::str::from_utf8(line.bytes).is_ok() {
            // Only the cut itself can have made an end that needed replacing.
            text.truncate(text.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
        }
        let position = line.offset + problem.at;
        let end = line.offset + line.bytes.len();
        let blank = body[position..end].iter().position(u8::is_ascii_whitespace).map(|length| position + length);
        LineError {
            line: text,
            reason: problem.reason,
            offset: line.offset,
            number,
            position,
            in_value: problem.in_value,
            token_end: blank.or(line.terminated.then_some(end)),
        }
    }

    /// The error as CnosDB says it; positions are byte offsets in the body.
    pub fn cnosdb(&self) -> impl fmt::Display + '_ {
        CnosdbError(self)
    }

    /// The field value that is wrong.
    fn value(&self) -> &str {
        let rest = self.line.get(self.position - self.offset..).unwrap_or_default();
        let mut quoted = false;
        let end = rest.find(|c| {
            quoted ^= c == '"';
            !quoted && matches!(c, ',' | ' ')
        });
        &rest[..end.unwrap_or(rest.len())]
    }
}

struct CnosdbError<'a>(&'a LineError);

impl fmt::Display for CnosdbError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Reason::*;
        let error = self.0;
        let position = error.position;
        match &error.reason {
            _ if error.in_value => write!(f, "invalid field value: '{}'", error.value()),
            UnexpectedToken(token) => write!(f, "unexpect token '{token}' at {position}"),
            MissingTagKey | MissingTagValue | InvalidTagFormat | MissingFields | MissingFieldKey
            | MissingFieldValue | InvalidFieldFormat | UnbalancedQuotes => {
                write!(f, "unexpect end line start at '{position}'")
            }
            BadTimestamp | TimestampSyntax(_) | TimestampOutOfRange(_) | TimeOutsideRange | TrailingText => {
                write!(f, "fail to parse timestamp at {}", error.token_end.unwrap_or(position))
            }
            MissingMeasurement
            | DuplicateTags
            | InvalidValue(_)
            | InvalidNumber
            | InvalidFloat
            | InvalidBoolean
            | IntegerOutOfRange(_)
            | UnsignedOutOfRange(_)
            | KeyTooLong(_)
            | InvalidUtf8 => f.write_str("invalid line protocol syntax"),
        }
    }
}

/// The bad lines of a body, in order: the first [`BAD_LINES_MAX`], as long as their text stays below
/// [`TEXT_BYTES_MAX`], and how many more there were.
#[derive(Debug, Default)]
pub struct BadLines {
    kept: Vec<LineError>,
    text_bytes: usize,
    not_kept: usize,
    /// How far newlines were counted, and how many there were.
    counted: (usize, usize),
}

impl BadLines {
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many lines were bad, kept or not.
    pub fn count(&self) -> usize {
        self.kept.len() + self.not_kept
    }

    /// The errors that were kept; the first always is.
    pub fn kept(&self) -> &[LineError] {
        &self.kept
    }

    /// How many bad lines followed the ones that were kept.
    pub fn not_kept(&self) -> usize {
        self.not_kept
    }

    pub(super) fn add(&mut self, body: &[u8], line: Line<'_>, problem: Problem) {
        let fits = self.kept.len() < BAD_LINES_MAX && self.text_bytes + line.bytes.len() <= TEXT_BYTES_MAX;
        // Once one is left out, so are all after it: the kept ones are the first ones.
        if self.not_kept > 0 || !(fits || self.kept.is_empty()) {
            self.not_kept += 1;
            return;
        }
        self.text_bytes += line.bytes.len();
        let (from, newlines) = self.counted;
        let newlines = newlines + memchr_iter(b'\n', &body[from..line.offset]).count();
        self.counted = (line.offset, newlines);
        self.kept.push(LineError::new(body, line, newlines + 1, problem));
    }
}
