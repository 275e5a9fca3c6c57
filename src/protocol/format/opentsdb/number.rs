//! Numbers as the server reads them: a text without `.`, `e` and `E` is an integer, another one a float of Java's.

use super::error::quotable;

/// A number of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    pub fn as_float(self) -> f64 {
        match self {
            Number::Integer(integer) => integer as f64,
            Number::Float(float) => float,
        }
    }

    /// The bytes and flags that the server would store, as its messages show them: as few bytes as hold the number.
    pub(super) fn as_stored(self) -> String {
        let (bytes, flags) = match self {
            Number::Integer(i) => match (i8::try_from(i), i16::try_from(i), i32::try_from(i)) {
                (Ok(i), ..) => (i.to_be_bytes().to_vec(), 0),
                (_, Ok(i), _) => (i.to_be_bytes().to_vec(), 1),
                (_, _, Ok(i)) => (i.to_be_bytes().to_vec(), 3),
                _ => (i.to_be_bytes().to_vec(), 7),
            },
            Number::Float(f) if f64::from(f as f32) == f => ((f as f32).to_be_bytes().to_vec(), 11),
            Number::Float(f) => (f.to_be_bytes().to_vec(), 15),
        };
        let bytes: Vec<String> = bytes.iter().map(|byte| (*byte as i8).to_string()).collect();
        format!("[{}]/{flags}", bytes.join(", "))
    }
}

/// The text is no number. The sentence is that of the server's own parser, or of Java's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotANumber(String);

/// Longest text of a float; longer ones are no measurement.
const FLOAT_BYTES_MAX: usize = 512;

/// A point's value. Floats may be infinite when they are too large; they are never NaN.
pub fn parse(text: &str) -> Result<Number, NotANumber> {
    match text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        true => parse_float(text).map(Number::Float),
        false => parse_long(text).map(Number::Integer),
    }
}

/// A signed integer of 64 bits: a sign or none, digits, nothing else; no more of either than the longest has.
pub fn parse_long(text: &str) -> Result<i64, NotANumber> {
    let refuse = |why: &str| Err(NotANumber(format!("{why}{}", quotable(text))));
    let (digits, is_signed) = match text.as_bytes() {
        [] => return Err(NotANumber("Empty string".to_string())),
        [b'+' | b'-', rest @ ..] => (rest, true),
        digits => (digits, false),
    };
    if digits.is_empty() {
        return refuse("Just a sign, no value: ");
    }
    // The server counts UTF-16 units, of which only ASCII ones can be right.
    if digits.len() > 19 && text.encode_utf16().count() > 19 + usize::from(is_signed) {
        return refuse("Value too long: ");
    }
    let mut negated: i64 = 0;
    let mut overflowed = false;
    for (at, byte) in digits.iter().enumerate() {
        if !byte.is_ascii_digit() {
            let c = text[at + usize::from(is_signed)..].chars().next().unwrap_or_default();
            return refuse(&format!("Invalid character '{c}' in "));
        }
        let next = negated.checked_mul(10).and_then(|n| n.checked_sub(i64::from(byte - b'0')));
        match next {
            Some(next) => negated = next,
            None => overflowed = true,
        }
    }
    let value = if text.starts_with('-') { Some(negated) } else { negated.checked_neg() };
    match value.filter(|_| !overflowed) {
        Some(value) => Ok(value),
        None => refuse("Overflow in "),
    }
}

/// A decimal float as Java reads it: spaces around it and a type letter after it are fine.
fn parse_float(text: &str) -> Result<f64, NotANumber> {
    let refuse = || NotANumber(format!("For input string: \"{}\"", quotable(text)));
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    let number = trimmed.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(trimmed);
    let is_decimal = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_decimal || number.len() > FLOAT_BYTES_MAX {
        return Err(refuse());
    }
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    if mantissa.matches('.').count() > 1 {
        return Err(NotANumber("multiple points".to_string()));
    }
    number.parse().map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<Number, &str>) {
        let parsed = parse(text).map_err(|error| error.to_string());
        assert_eq!(parsed.as_ref().map_err(String::as_str), expected.as_ref().map_err(|e| *e), "{text:?}");
    }

    #[test]
    fn texts_without_point_and_exponent_are_integers() {
        check("0", Ok(Number::Integer(0)));
        check("+42", Ok(Number::Integer(42)));
        check("-9223372036854775808", Ok(Number::Integer(i64::MIN)));
        check("9223372036854775807", Ok(Number::Integer(i64::MAX)));
        check("", Err("Empty string"));
        check("+", Err("Just a sign, no value: +"));
        check("9223372036854775808", Err("Overflow in 9223372036854775808"));
        check("-9223372036854775809", Err("Overflow in -9223372036854775809"));
        check("9999999999999999999", Err("Overflow in 9999999999999999999"));
        check("99999999999999999999", Err("Value too long: 99999999999999999999"));
        check("4x2", Err("Invalid character 'x' in 4x2"));
        check("nan", Err("Invalid character 'n' in nan"));
        check(" 5", Err("Invalid character ' ' in  5"));
        check("-ä", Err("Invalid character 'ä' in -ä"));
        check("--1", Err("Invalid character '-' in --1"));
    }

    #[test]
    fn the_others_are_floats_of_javas() {
        check("1.5", Ok(Number::Float(1.5)));
        check("1.", Ok(Number::Float(1.0)));
        check(".5", Ok(Number::Float(0.5)));
        check("+4.2E3", Ok(Number::Float(4200.0)));
        check("-7e-2", Ok(Number::Float(-0.07)));
        check("1.5f", Ok(Number::Float(1.5)));
        check("1e400", Ok(Number::Float(f64::INFINITY)));
        check("1.5x", Err("For input string: \"1.5x\""));
        check("true", Err("For input string: \"true\""));
        check("1e", Err("For input string: \"1e\""));
        check(".", Err("For input string: \".\""));
        check("1.2.3", Err("multiple points"));
    }

    #[test]
    fn messages_show_the_bytes_that_the_server_would_store() {
        for (number, expected) in [
            (Number::Integer(42), "[42]/0"),
            (Number::Integer(-1), "[-1]/0"),
            (Number::Integer(300), "[1, 44]/1"),
            (Number::Integer(100_000), "[0, 1, -122, -96]/3"),
            (Number::Integer(1 << 40), "[0, 0, 1, 0, 0, 0, 0, 0]/7"),
            (Number::Float(1.5), "[63, -64, 0, 0]/11"),
            (Number::Float(0.1), "[63, -71, -103, -103, -103, -103, -103, -102]/15"),
        ] {
            assert_eq!(number.as_stored(), expected);
        }
    }
}
