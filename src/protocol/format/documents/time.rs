//! When a document happened: the forms in which shippers write it.

use chrono::NaiveDate;

use crate::model::time::{TIME_MAX_NS, TIME_MIN_NS};
use crate::model::{Documents, Value};

/// A time that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTime {
    /// The name it was written under.
    pub field: String,
    pub text: String,
}

/// Takes the time out of the document that is being written in `documents`, nanoseconds. `None`: it names none.
///
/// It is looked for under `required` names first: one that is there must be readable by `read_required`. Then under `likely`
/// names: what cannot be [`read`] there is a value like others, and so is a small number.
pub fn take_time(
    documents: &mut Documents,
    required: &[&str],
    read_required: impl Fn(Value<'_>) -> Option<i64>,
    likely: &[&str],
) -> Result<Option<i64>, BadTime> {
    for name in required {
        if let Some(value) = documents.get(name) {
            let Some(time_ns) = read_required(value) else {
                return Err(BadTime { field: name.to_string(), text: spelled(value) });
            };
            documents.remove(name);
            return Ok(Some(time_ns));
        }
    }
    for name in likely {
        if let Some(time_ns) = documents.get(name).filter(is_no_small_number).and_then(read) {
            documents.remove(name);
            return Ok(Some(time_ns));
        }
    }
    Ok(None)
}

/// A small number under a name such as `time` is how long something took, not when it was: it would be before 1973.
fn is_no_small_number(value: &Value<'_>) -> bool {
    match value {
        Value::Integer(number) => *number >= 100_000_000,
        Value::Float(number) => *number >= 1e8,
        _ => true,
    }
}

/// A value as text, for messages.
pub fn spelled(value: Value<'_>) -> String {
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => text.to_string(),
    }
}

/// Nanoseconds since 1970 UTC; `None`: no time, or beyond what can be stored.
///
/// Text: RFC 3339 with any offset (none: UTC), a date alone, a space for the `T`, up to nine decimals behind `.` or `,`; or a
/// number. Numbers count from 1970 in a unit told by their size: seconds below 10¹¹, milliseconds below 10¹⁴,
/// microseconds below 10¹⁷, else nanoseconds.
pub fn read(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => by_size(number),
        Value::Float(number) => by_size_of_float(number),
        Value::Text(text) => read_text(text.trim()),
        Value::Boolean(_) | Value::Unsigned(_) => None,
    }
}

/// As CnosDB reads times: RFC 3339 with an offset, or nanoseconds.
pub fn read_strictly(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(time_ns) => Some(time_ns).filter(storable),
        Value::Text(text) => read_rfc3339(text),
        _ => None,
    }
}

/// Text in RFC 3339 with an offset.
pub fn read_rfc3339(text: &str) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    time.timestamp_nanos_opt().filter(storable)
}

fn storable(time_ns: &i64) -> bool {
    (TIME_MIN_NS..=TIME_MAX_NS).contains(time_ns)
}

fn by_size(number: i64) -> Option<i64> {
    let unit_ns = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit_ns).filter(storable)
}

/// The digits of a float end at the microsecond.
fn by_size_of_float(number: f64) -> Option<i64> {
    let units_us = match number.abs() {
        size if size < 1e11 => 1e6,
        size if size < 1e14 => 1e3,
        size if size < 1e17 => 1.0,
        size if size < 9.2e18 => return Some(number as i64).filter(storable),
        _ => return None,
    };
    ((number * units_us).round() as i64).checked_mul(1_000).filter(storable)
}

fn read_text(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return by_size(text.parse().ok()?);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return by_size_of_float(text.parse().ok()?);
    }
    read_date(text)
}

fn read_date(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4)?;
    rest.take(b'-')?;
    let month = rest.number(2)?;
    rest.take(b'-')?;
    let date = NaiveDate::from_ymd_opt(year as i32, month, rest.number(2)?)?;
    let (mut hour, mut minute, mut second, mut nanos, mut offset_s) = (0, 0, 0, 0, 0);
    if !rest.0.is_empty() {
        rest.take(b'T').or_else(|| rest.take(b't')).or_else(|| rest.take(b' '))?;
        hour = rest.number(2)?;
        if rest.take(b':').is_some() {
            minute = rest.number(2)?;
            if rest.take(b':').is_some() {
                second = rest.number(2)?;
                if rest.take(b'.').or_else(|| rest.take(b',')).is_some() {
                    nanos = rest.decimals()?;
                }
            }
        }
        offset_s = rest.offset()?;
    }
    if !rest.0.is_empty() {
        return None;
    }
    let time = date.and_hms_nano_opt(hour, minute, second, nanos)?.and_utc();
    time.timestamp_nanos_opt()?.checked_sub(offset_s * 1_000_000_000).filter(storable)
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        if *first != byte {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        if !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(number.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// Decimals of a second as nanoseconds; what is beyond nine is cut.
    fn decimals(&mut self) -> Option<u32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let digit = |at: usize| digits.get(at).map_or(0, |digit| u32::from(digit - b'0'));
        (count > 0).then(|| (0..9).fold(0, |nanos, at| nanos * 10 + digit(at)))
    }

    /// Seconds east of UTC; none is UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.len() > 1 {
            let _ = self.take(b' ');
        }
        if self.0.is_empty() || self.take(b'Z').or_else(|| self.take(b'z')).is_some() {
            return Some(0);
        }
        let sign = match self.take(b'+') {
            Some(()) => 1,
            None => self.take(b'-').map(|()| -1)?,
        };
        let hours = i64::from(self.number(2)?);
        let _ = self.take(b':');
        let minutes = if self.0.is_empty() { 0 } else { i64::from(self.number(2)?) };
        (hours <= 18 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(read(Value::Text(text)), expected, "{text}");
    }

    const MAY: i64 = 1_714_557_600_000_000_000; // 2024-05-01T10:00:00Z

    #[test]
    fn text_is_a_date_with_or_without_time_and_offset() {
        check("2024-05-01T10:00:00Z", Some(MAY));
        check("2024-05-01T12:00:00+02:00", Some(MAY));
        check("2024-05-01T04:30:00-0530", Some(MAY));
        check("2024-05-01T11:00:00+01", Some(MAY));
        check("2024-05-01 10:00:00", Some(MAY));
        check("2024-05-01 10:00:00 +0000", Some(MAY));
        check("2024-05-01T10:00", Some(MAY));
        check("2024-05-01T10:00:00.25Z", Some(MAY + 250_000_000));
        check("2024-05-01T10:00:00,123456789", Some(MAY + 123_456_789));
        check("2024-05-01T10:00:00.1234567899Z", Some(MAY + 123_456_789));
        check("2024-05-01", Some(MAY - 10 * 3_600_000_000_000));
        check("1969-12-31T23:59:59.9Z", Some(-100_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let wrong = [
            "yesterday",
            "",
            "2024-02-30",
            "2024-05-01T",
            "2024-05-01T25:00:00Z",
            "2024-05-01T10:00:00.Z",
            "2024-05-01T10:00:00+99",
            "2024-05-01T10:00:00Zx",
            "2024-05-01T10:00:00+",
            "24-05-01",
            "1.2.3",
            ".",
            "-",
            "9999-01-01T00:00:00Z",
            "27/03/2024",
        ];
        wrong.iter().for_each(|text| check(text, None));
        assert_eq!(read(Value::Boolean(true)), None);
        assert_eq!(read(Value::Float(f64::INFINITY)), None);
        assert_eq!(read(Value::Integer(i64::MIN)), None);
    }

    #[test]
    fn a_numbers_size_tells_its_unit() {
        for number in [MAY, MAY / 1_000, MAY / 1_000_000, MAY / 1_000_000_000] {
            assert_eq!(read(Value::Integer(number)), Some(MAY), "{number}");
            check(&number.to_string(), Some(MAY));
        }
        assert_eq!(read(Value::Float(1_714_557_600.125)), Some(MAY + 125_000_000));
        assert_eq!(read(Value::Float(1_714_557_600_125.5)), Some(MAY + 125_500_000));
        check("1714557600.125", Some(MAY + 125_000_000));
        assert_eq!(read(Value::Integer(-1)), Some(-1_000_000_000));
    }

    fn document(values: &[(&str, Value<'_>)]) -> Documents {
        let mut documents = Documents::new("t");
        values.iter().for_each(|(name, value)| documents.set(name, *value).unwrap());
        documents
    }

    #[test]
    fn a_required_time_must_be_readable_and_a_likely_one_may_be_a_value() {
        let values = [
            ("time", Value::Text("noon")),
            ("date", Value::Integer(1_000_000_000)),
            ("d", Value::Float(0.3)),
            ("@t", Value::Text("2024-05-01T10:00:00Z")),
        ];
        let mut all = document(&values);
        assert_eq!(take_time(&mut all, &["x", "@t"], read, &["time", "date"]), Ok(Some(MAY)));
        assert_eq!((all.get("@t"), all.get("date")), (None, Some(Value::Integer(1_000_000_000))));
        let likely = take_time(&mut document(&values), &[], read, &["d", "time", "date"]);
        assert_eq!(likely, Ok(Some(1_000_000_000_000_000_000)));
        let bad = BadTime { field: "time".to_string(), text: "noon".to_string() };
        assert_eq!(take_time(&mut document(&values), &["time"], read, &["date"]), Err(bad));
        assert_eq!(take_time(&mut document(&[]), &["time"], read, &["date"]), Ok(None));
    }
}
