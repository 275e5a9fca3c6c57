//! The field part of a line: keys and values.

use std::borrow::Cow;

use memchr::memchr2;

use super::error::{Problem, Reason, quoted};
use super::series::{unescape_name, unescape_string};
use super::{Dialect, KEY_BYTES_MAX, is_escaped, lines, number};
use crate::model::FieldType;

/// A field of a line, without escapes.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub key: Cow<'a, str>,
    pub value: Value<'a>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(Cow<'a, str>),
}

impl Value<'_> {
    #[inline]
    pub(super) fn field_type(&self) -> FieldType {
        match self {
            Value::Float(_) => FieldType::Float,
            Value::Integer(_) => FieldType::Integer,
            Value::Unsigned(_) => FieldType::Unsigned,
            Value::Boolean(_) => FieldType::Boolean,
            Value::String(_) => FieldType::String,
        }
    }
}

/// What the limit of a key's length counts between the series and a field key.
const KEY_SEPARATOR_BYTES: usize = 4;

/// Reads the fields of `line`, whose series part ends at `end_of_series`; returns where they end.
pub(super) fn read<'a>(
    line: &'a str,
    end_of_series: usize,
    dialect: Dialect,
    fields: &mut Vec<Field<'a>>,
) -> Result<usize, Problem> {
    let bytes = line.as_bytes();
    let start = end_of_series + lines::blanks(&bytes[end_of_series..]);
    fields.clear();
    if let Some(end) = read_plain(line, start, dialect, fields)
        && end_of_series + KEY_SEPARATOR_BYTES + (end - start) <= KEY_BYTES_MAX
    {
        return Ok(end);
    }
    fields.clear();
    let end = check(line, start, dialect)?;
    split(line, start..end, end_of_series, dialect, fields)?;
    Ok(end)
}

/// Reads fields as nearly all are: no escapes but in strings, nothing wrong. `None` leaves it to [`check`] and [`split`].
fn read_plain<'a>(line: &'a str, start: usize, dialect: Dialect, fields: &mut Vec<Field<'a>>) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = start;
    loop {
        let key_bytes = bytes[at..].iter().position(|byte| matches!(byte, b'=' | b',' | b' ' | b'\\'))?;
        let equals = at + key_bytes;
        if key_bytes == 0 || bytes[equals] != b'=' {
            return None;
        }
        let (value, end) = match bytes.get(equals + 1)? {
            b'"' => read_string(line, equals + 1)?,
            first if starts_number(*first, dialect) => number::read(line, equals + 1, dialect)?,
            _ => {
                let end = value_end(bytes, equals + 1);
                (Value::Boolean(boolean(&bytes[equals + 1..end])?), end)
            }
        };
        fields.push(Field { key: Cow::Borrowed(&line[at..equals]), value });
        if bytes.get(end) != Some(&b',') {
            return Some(end);
        }
        at = end + 1;
    }
}

/// Reads the string that opens at `quote` and ends its value; returns it with its end.
#[inline]
fn read_string(line: &str, quote: usize) -> Option<(Value<'_>, usize)> {
    let bytes = line.as_bytes();
    let mut at = quote + 1;
    let close = loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            break at;
        }
        at += 2;
    };
    ends_value(bytes, close + 1).then(|| (Value::String(unescape_string(&line[quote + 1..close])), close + 1))
}

/// Finds the end of the fields, and whether each has a key and a value.
///
/// Commas and `=` are counted, as InfluxDB does, rather than matched: this is what gives each mistake its name.
fn check(line: &str, start: usize, dialect: Dialect) -> Result<usize, Problem> {
    let bytes = line.as_bytes();
    let (mut equals, mut commas) = (0usize, 0usize);
    let mut quoted = false;
    // Where the key and the value being read start.
    let (mut key, mut value) = (start, start);
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if at + 1 < bytes.len() => at += 1,
            b'"' if equals > commas => quoted = !quoted,
            b'=' if !quoted => {
                equals += 1;
                // (InfluxDB looks for the separator before, and takes it for escaped after any backslash.)
                if at == key && bytes[at - 2] != b'\\' {
                    return Err(Problem::new(Reason::MissingFieldKey, key));
                }
                value = at + 1;
                match bytes.get(value) {
                    None | Some(b',' | b' ') => return Err(Problem::new(Reason::MissingFieldValue, value)),
                    Some(b'"') => {}
                    Some(_) => {
                        let end = value_end(bytes, value);
                        read_bare(&line[..end], value, dialect)?;
                        at = end;
                        continue;
                    }
                }
            }
            b',' if !quoted => {
                commas += 1;
                key = at + 1;
            }
            b' ' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    if quoted {
        return Err(Problem::new(Reason::UnbalancedQuotes, value));
    }
    if equals != commas + 1 {
        return Err(Problem::new(Reason::InvalidFieldFormat, key));
    }
    Ok(at.min(bytes.len()))
}

/// Splits the fields, which [`check`] found to be in order, into keys and values.
fn split<'a>(
    line: &'a str,
    range: std::ops::Range<usize>,
    end_of_series: usize,
    dialect: Dialect,
    fields: &mut Vec<Field<'a>>,
) -> Result<(), Problem> {
    let line = &line[..range.end];
    let bytes = line.as_bytes();
    let mut at = range.start;
    while at < bytes.len() {
        let equals = (at..bytes.len()).find(|&i| bytes[i] == b'=' && !is_escaped(bytes, i, dialect));
        let equals = equals.filter(|i| i + 1 < bytes.len()).ok_or_else(|| {
            let key = &line[at..equals.unwrap_or(bytes.len())];
            Problem::new(Reason::InvalidValue(quoted(key)), at)
        })?;
        let key = &line[at..equals];
        if key.is_empty() {
            return Err(Problem::new(Reason::MissingFieldKey, at));
        }
        let key_bytes = end_of_series + KEY_SEPARATOR_BYTES + key.len();
        if key_bytes > KEY_BYTES_MAX {
            return Err(Problem::new(Reason::KeyTooLong(key_bytes), at));
        }
        let end = comma_after(bytes, equals + 1);
        let value = read_value(&line[..end], equals + 1, dialect)?;
        fields.push(Field { key: unescape_name(key), value });
        at = end + 1;
    }
    Ok(())
}

/// The comma that ends the value at `start`, or the end.
fn comma_after(bytes: &[u8], start: usize) -> usize {
    let mut quoted = false;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if matches!(bytes.get(at + 1), Some(b'"' | b'\\')) => at += 1,
            b'"' => quoted = !quoted,
            b',' if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    at.min(bytes.len())
}

/// Reads the value that takes all of `line` from `start` on.
fn read_value(line: &str, start: usize, dialect: Dialect) -> Result<Value<'_>, Problem> {
    let Some(text) = line[start..].strip_prefix('"') else {
        return read_bare(line, start, dialect);
    };
    // The last byte is taken for the closing quote, whatever it is.
    let Some(last) = text.chars().next_back().filter(|&last| last == '"' || !dialect.strict_escapes) else {
        return Err(Problem::new(Reason::InvalidFieldFormat, start).in_value());
    };
    Ok(Value::String(unescape_string(&text[..text.len() - last.len_utf8()])))
}

/// The same for a value that is no string.
fn read_bare(line: &str, start: usize, dialect: Dialect) -> Result<Value<'static>, Problem> {
    let problem = |reason| Problem::new(reason, start);
    let text = &line[start..];
    match text.bytes().next() {
        None => Err(problem(Reason::MissingFieldValue)),
        Some(first) if starts_number(first, dialect) || matches!(first, b'n' | b'N') => {
            match number::read(line, start, dialect) {
                Some((value, end)) if end == line.len() => Ok(value),
                _ => Err(problem(number::complaint(text, dialect))),
            }
        }
        Some(_) => boolean(text.as_bytes()).map(Value::Boolean).ok_or_else(|| problem(Reason::InvalidBoolean)),
    }
}

#[inline]
fn starts_number(byte: u8, dialect: Dialect) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'.') || (byte == b'+' && dialect.plus_sign)
}

fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Some(true),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// Whether a value that is no string ends before `at`.
#[inline]
pub(super) fn ends_value(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at), None | Some(b',' | b' '))
}

/// Where a value that is no string ends, from `at` on.
#[inline]
pub(super) fn value_end(bytes: &[u8], at: usize) -> usize {
    memchr2(b',', b' ', &bytes[at..]).map_or(bytes.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_and_the_exact_way_agree(
            text in "(([a-c\"]{1,2}=(-?[0-9.ei]{1,4}|t|False|\"[a,= \\\\\"]{0,4}\")|[a=,\"\\\\ ]),?){1,4}( 12)?",
        ) {
            let line = format!("pump {text}");
            for dialect in [Dialect::INFLUXDB, Dialect::CNOSDB] {
                let mut plain = Vec::new();
                if let Some(end) = read_plain(&line, 5, dialect, &mut plain) {
                    let mut exact = Vec::new();
                    prop_assert_eq!(check(&line, 5, dialect).ok(), Some(end));
                    prop_assert!(split(&line, 5..end, 4, dialect, &mut exact).is_ok());
                    prop_assert_eq!(format!("{plain:?}"), format!("{exact:?}"));
                }
            }
        }
    }
}
