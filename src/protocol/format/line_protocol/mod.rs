//! Line protocol: bytes → [`Points`]. One parser for every door that takes it; a [`Dialect`] says how they differ.
//!
//! ```text
//! line  = measurement *( "," tagkey "=" tagvalue ) 1*" " field *( "," field ) [ 1*" " timestamp ]
//! field = fieldkey "=" ( float | integer "i" | unsigned "u" | boolean | string )
//! ```
//!
//! Grammar: <https://docs.influxdata.com/influxdb/v1.8/write_protocols/line_protocol_reference/>; where it is silent,
//! [`Dialect::INFLUXDB`] does what an InfluxDB 1.8.10 server does, odd inputs included:
//! - Lines end at `\n`; a `\r` before it is part of the line. In field values, a newline may stand in quotes. A quote
//!   left open takes all that follows into its line. A backslash takes a newline along, too. Both hold for comments.
//! - Spaces, tabs and NUL bytes before a line, before the fields and before the timestamp are skipped; elsewhere only
//!   spaces separate.
//! - A separator is escaped when the byte before it is a backslash, also in `\\,`, which reads `\,`. Before any other
//!   byte a backslash is itself. Measurements and field keys know `\,` `\ ` `\=` `\"`, tags `\,` `\ ` `\=`.
//! - Quotes mean nothing in names and tags. A string ends with its value's last byte: `note="off"line` holds `off"lin`.
//!
//! Where we differ from that server: a line that is not UTF-8 is an error of its own (the store holds UTF-8 only),
//! and so is a line whose fields InfluxDB passes but cannot read back (no name, no value, no number).
//!
//! Owns: splitting, unescaping, numbers, timestamps, the wording of errors. Does not own: what a table accepts: types
//! against the catalog, reserved names (`time` is handed on as tag or field), the order of tags.

mod error;
mod fields;
mod lines;
mod number;
mod series;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use ahash::AHashMap;
use memchr::{memchr, memrchr};

use crate::model::{FieldType, Points, Precision, TablePoints};

pub use error::{BAD_LINES_MAX, BadLines, LineError, Reason, TEXT_BYTES_MAX};

use error::Problem;
use fields::{Field, Value};
use lines::{Line, Lines};
use series::Tag;

/// The longest series key: measurement, tags and one field key with all their escapes.
pub const KEY_BYTES_MAX: usize = 65_535;

/// How the line protocol of one door differs from that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// `1u` is an unsigned integer.
    unsigned: bool,
    /// A float may have a leading `+`.
    plus_sign: bool,
    /// A line may end in `\r\n`, and a comment ends with its line whatever quotes it has.
    text_lines: bool,
    /// A tag value may be empty or contain `=`; of tags with the same key the first counts.
    loose_tags: bool,
    /// A backslash takes the next byte along, which must be one that can be escaped; a string ends at its quote.
    strict_escapes: bool,
    /// One bad line spoils the request, so nothing after it is read.
    all_or_nothing: bool,
}

impl Dialect {
    /// What a default build of InfluxDB 1.8 takes.
    pub const INFLUXDB: Dialect = Dialect {
        unsigned: false,
        plus_sign: false,
        text_lines: false,
        loose_tags: false,
        strict_escapes: false,
        all_or_nothing: false,
    };

    /// What CnosDB takes. [`parse`] stops at the first bad line; the points before it are returned.
    pub const CNOSDB: Dialect = Dialect {
        unsigned: true,
        plus_sign: true,
        text_lines: true,
        loose_tags: true,
        strict_escapes: true,
        all_or_nothing: true,
    };
}

/// How to read a body.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub dialect: Dialect,
    /// Unit of the timestamps.
    pub precision: Precision,
    /// Time of the points without a timestamp, nanoseconds.
    pub now_ns: i64,
}

/// What a body holds.
#[derive(Debug)]
pub struct Parsed {
    /// The good lines, complete: a bad line leaves nothing here, neither a table nor a column.
    pub points: Points,
    pub bad_lines: BadLines,
}

/// Reads a whole body. Blank lines and comments are skipped.
///
/// Times are timestamp × precision; cutting them to a database's precision is up to the caller. Tags keep the order of
/// the line; lines whose `measurement,tags` part has the same bytes share one entry in their table's series.
pub fn parse(body: &[u8], options: &Options) -> Parsed {
    let mut parser = Parser {
        options: *options,
        points: Points::default(),
        known: AHashMap::new(),
        tags: Vec::new(),
        fields: Vec::new(),
    };
    let mut bad_lines = BadLines::default();
    for line in Lines::new(body, options.dialect) {
        if let Err(problem) = parser.accept(line) {
            bad_lines.add(body, line, problem);
            if options.dialect.all_or_nothing {
                break;
            }
        }
    }
    Parsed { points: parser.points, bad_lines }
}

/// Where the points of a series go.
#[derive(Clone, Copy)]
struct Place {
    table: usize,
    series: u32,
}

struct Parser<'a> {
    options: Options,
    points: Points,
    /// Series met so far, by their raw bytes.
    known: AHashMap<&'a str, Place>,
    /// Tags and fields of the line being read.
    tags: Vec<Tag<'a>>,
    fields: Vec<Field<'a>>,
}

impl<'a> Parser<'a> {
    /// Reads one line and adds its point, or nothing.
    fn accept(&mut self, line: Line<'a>) -> Result<(), Problem> {
        let dialect = self.options.dialect;
        let text = std::str::from_utf8(line.bytes).map_err(|_| Problem::new(Reason::InvalidUtf8, 0))?;
        if dialect.strict_escapes && memchr(b'\\', line.bytes).is_some() {
            check_escapes(text)?;
        }

        let known = series::end(line.bytes, dialect).and_then(|end| Some((end, *self.known.get(&text[..end])?)));
        let (end, known, measurement) = match known {
            Some((end, place)) => (end, Some(place), ""),
            None => {
                let (measurement, end) = series::read(text, dialect, &mut self.tags)?;
                (end, None, measurement)
            }
        };
        if end > KEY_BYTES_MAX {
            return Err(Problem::new(Reason::KeyTooLong(end), 0));
        }
        let end_of_fields = fields::read(text, end, dialect, &mut self.fields)?;
        let time = self.time(text, end_of_fields)?;

        let place = known.unwrap_or_else(|| self.register(&text[..end], measurement));
        self.add_point(place, time);
        Ok(())
    }

    /// The timestamp that starts at or after `at`, in nanoseconds.
    fn time(&self, line: &str, at: usize) -> Result<i64, Problem> {
        let bytes = line.as_bytes();
        let start = at + lines::blanks(&bytes[at..]);
        let negative = bytes.get(start) == Some(&b'-');
        let (magnitude, digits) = number::digits(&bytes[start + usize::from(negative)..], 0);
        let end = start + usize::from(negative) + digits;
        let rest = &bytes[end..];
        if !matches!(rest.first(), None | Some(b' ' | b'\n')) {
            return Err(Problem::new(Reason::BadTimestamp, start));
        }
        if start == end {
            return Ok(self.options.now_ns);
        }
        let problem = |reason| Problem::new(reason, start);
        if digits == 0 {
            return Err(problem(Reason::TimestampSyntax(error::quoted(&line[start..end]))));
        }
        let value = number::signed(magnitude, negative)
            .ok_or_else(|| problem(Reason::TimestampOutOfRange(error::quoted(&line[start..end]))))?;
        let time = self.options.precision.to_nanos(value).ok_or_else(|| problem(Reason::TimeOutsideRange))?;
        if rest.iter().any(|&byte| byte != b' ') {
            return Err(Problem::new(Reason::TrailingText, end));
        }
        Ok(time)
    }

    /// Adds the series `raw`, whose tags were just read.
    fn register(&mut self, raw: &'a str, measurement: &str) -> Place {
        let index = self.points.table_index(&series::unescape_name(measurement));
        let table = self.points.table_mut(index);
        let mut numbered = Vec::with_capacity(self.tags.len());
        for (position, tag) in self.tags.iter().enumerate() {
            let key = series::unescape_tag(tag.key);
            // Series of one table nearly always list the same keys in the same order.
            let number = match table.tag_keys.get(position) {
                Some(expected) if *expected == key => position as u32,
                _ => table.tag_key_index(&key),
            };
            numbered.push((number, series::unescape_tag(tag.value)));
        }
        let series = table.series.push(numbered.iter().map(|(number, value)| (*number, value.as_ref())));
        let place = Place { table: index, series };
        self.known.insert(raw, place);
        place
    }

    /// Adds a point of the fields that were just read.
    fn add_point(&mut self, place: Place, time: i64) {
        let table = self.points.table_mut(place.table);
        table.begin_row(place.series, time);
        let mut expected = 0;
        for Field { key, value } in self.fields.drain(..) {
            let column = column(table, expected, &key, value.field_type());
            expected = column + 1;
            match value {
                Value::Float(value) => table.set_float(column, value),
                Value::Integer(value) => table.set_integer(column, value),
                Value::Unsigned(value) => table.set_unsigned(column, value),
                Value::Boolean(value) => table.set_boolean(column, value),
                Value::String(value) => table.set_string(column, &value),
            }
        }
    }
}

/// The column of a field, looked for first where it stands when every line lists the same fields.
#[inline]
fn column(table: &mut TablePoints, expected: usize, name: &str, field_type: FieldType) -> usize {
    match table.fields.get(expected) {
        Some(column) if column.name == name && column.field_type() == field_type => expected,
        _ => table.field_index(name, field_type),
    }
}

/// Whether the separator at `at` is escaped.
#[inline]
fn is_escaped(bytes: &[u8], at: usize, dialect: Dialect) -> bool {
    if at == 0 || bytes[at - 1] != b'\\' {
        return false;
    }
    if !dialect.strict_escapes {
        return true;
    }
    // A backslash takes the next byte along: an even run of them is used up by itself.
    let run = bytes[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
    run % 2 == 1
}

/// Refuses a backslash before a byte that cannot be escaped where it stands.
fn check_escapes(line: &str) -> Result<(), Problem> {
    enum Part {
        Measurement,
        Tags,
        FieldKey,
        Value { quoted: bool },
    }
    let bytes = line.as_bytes();
    let last = memrchr(b'\\', bytes).unwrap_or(0);
    let mut part = Part::Measurement;
    let mut at = 0;
    while at <= last {
        let byte = bytes[at];
        if byte == b'\\' {
            let Some(escaped) = line[at + 1..].chars().next() else { break };
            let fits = match part {
                Part::Measurement => matches!(escaped, ',' | ' ' | '\\' | '"' | '\''),
                Part::Tags | Part::FieldKey => matches!(escaped, ',' | ' ' | '=' | '\\' | '"' | '\''),
                Part::Value { .. } => matches!(escaped, '\\' | '"' | '\''),
            };
            if !fits {
                return Err(Problem::new(Reason::UnexpectedToken(escaped), at + 1));
            }
            at += 2;
            continue;
        }
        part = match (part, byte) {
            (Part::Measurement, b',') => Part::Tags,
            (Part::Measurement | Part::Tags, b' ') => Part::FieldKey,
            (Part::FieldKey, b'=') => Part::Value { quoted: false },
            (Part::Value { quoted }, b'"') => Part::Value { quoted: !quoted },
            (Part::Value { quoted: false }, b',') => Part::FieldKey,
            (part, _) => part,
        };
        at += 1;
    }
    Ok(())
}
