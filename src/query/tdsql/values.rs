//! Values as statements write them, made into what the store holds: checked against the declared type.

use chrono_tz::Tz;

use crate::model::{DeclaredType, Precision};

use super::ast::{InsertValue, MomentBase};
use super::error::TdError;
use super::json_tag::json;
use super::time::parse_time;

/// What a value may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// What `now` means, nanoseconds.
    pub now_ns: i64,
    /// Texts without a zone are read in it.
    pub zone: Tz,
    /// The unit of times that are numbers.
    pub precision: Precision,
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stored {
    Null,
    Bool(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

fn illegal(near: &str, why: &'static str) -> TdError {
    TdError::value(near, why)
}

impl Moment {
    /// The start of the day that it is in the session's zone.
    pub(super) fn today_ns(&self) -> i64 {
        let local = chrono::DateTime::from_timestamp_nanos(self.now_ns).with_timezone(&self.zone);
        parse_time(&local.format("%Y-%m-%d").to_string(), self.zone).unwrap_or(self.now_ns)
    }

    /// A time in nanoseconds, cut to the unit. `None`: null.
    pub(super) fn time(&self, value: &InsertValue) -> Result<Option<i64>, TdError> {
        let out_of_range = || TdError::TimeRange;
        let of_number = |number: i64| self.precision.to_nanos(number).ok_or_else(out_of_range);
        let of_text = |text: &str| {
            if let Ok(number) = text.trim().parse::<i64>() {
                return of_number(number);
            }
            parse_time(text, self.zone).ok_or_else(|| illegal(text, "invalid timestamp"))
        };
        let time = match value {
            InsertValue::Null => return Ok(None),
            InsertValue::Number(digits) => {
                of_number(integer(digits).ok_or_else(|| illegal(digits, "invalid timestamp"))?)?
            }
            InsertValue::Text(text) => of_text(text)?,
            InsertValue::Bool(value) => return Err(illegal(&value.to_string(), "invalid timestamp")),
            InsertValue::Moment { base, shifts } => {
                let base = match base {
                    MomentBase::Now => self.now_ns,
                    MomentBase::Today => self.today_ns(),
                    MomentBase::Number(number) => of_number(*number)?,
                    MomentBase::Text(text) => of_text(text)?,
                };
                let shifted = |time: i64, (sign, by): &(i64, super::time::Duration)| by.added_to(time, *sign);
                shifts.iter().try_fold(base, shifted).ok_or_else(out_of_range)?
            }
        };
        let cut = self.precision.floor(time);
        if (crate::model::time::TIME_MIN_NS..=crate::model::time::TIME_MAX_NS).contains(&cut) {
            Ok(Some(cut))
        } else {
            Err(out_of_range())
        }
    }

    /// `value` for column or tag `name` of type `kind`.
    pub(super) fn stored(&self, name: &str, kind: DeclaredType, value: &InsertValue) -> Result<Stored, TdError> {
        use DeclaredType as T;
        if *value == InsertValue::Null {
            return Ok(Stored::Null);
        }
        let stored = match kind {
            T::Timestamp => return Ok(self.time(value)?.map_or(Stored::Null, Stored::Integer)),
            T::Bool => Stored::Bool(boolean(value)?),
            T::TinyInt => Stored::Integer(signed(value, i8::MIN.into(), i8::MAX.into())?),
            T::SmallInt => Stored::Integer(signed(value, i16::MIN.into(), i16::MAX.into())?),
            T::Int => Stored::Integer(signed(value, i32::MIN.into(), i32::MAX.into())?),
            T::BigInt => Stored::Integer(signed(value, i64::MIN, i64::MAX)?),
            T::UTinyInt => Stored::Unsigned(unsigned(value, u8::MAX.into())?),
            T::USmallInt => Stored::Unsigned(unsigned(value, u16::MAX.into())?),
            T::UInt => Stored::Unsigned(unsigned(value, u32::MAX.into())?),
            T::UBigInt => Stored::Unsigned(unsigned(value, u64::MAX)?),
            T::Float => {
                let narrow = float(value)? as f32;
                if !narrow.is_finite() {
                    return Err(illegal(&text_of(value)?, "illegal float data"));
                }
                Stored::Float(shortest(narrow))
            }
            T::Double => Stored::Float(float(value)?),
            T::Varchar(bytes) => text_within(name, text_of(value)?, |text| text.len(), bytes)?,
            T::NChar(characters) => text_within(name, text_of(value)?, |text| text.chars().count(), characters)?,
            T::Varbinary(bytes) => text_within(
                name,
                hex_of(&text_of(value)?).ok_or_else(|| illegal(name, "invalid varbinary"))?,
                |hex| hex.len() / 2,
                bytes,
            )?,
            T::Geometry(bytes) => {
                let text = text_of(value)?;
                let known = well_known_binary(&text).ok_or_else(|| illegal(&text, "invalid geometry"))?;
                text_within(name, known, |hex| hex.len() / 2, bytes)?
            }
            T::Json => Stored::Text(json(&text_of(value)?)?),
            T::Decimal { precision, scale } => {
                let text = text_of(value)?;
                Stored::Text(decimal(&text, precision, scale).ok_or_else(|| illegal(&text, "illegal decimal data"))?)
            }
        };
        Ok(stored)
    }
}

/// The 64-bit number that the shortest decimal form of a 32-bit one stands for.
pub(super) fn shortest(narrow: f32) -> f64 {
    narrow.to_string().parse().unwrap_or_else(|_| narrow.into())
}

/// A number without a fraction. Hex and binary digits count, and fractions are rounded away from zero as C does.
fn integer(digits: &str) -> Option<i64> {
    i64::try_from(wide_integer(digits)?).ok()
}

fn wide_integer(digits: &str) -> Option<i128> {
    let digits = digits.trim();
    if let Ok(number) = digits.parse::<i128>() {
        return Some(number);
    }
    let (negative, plain) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let radix = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).and_then(|digits| i128::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0b", 2)) {
        return Some(if negative { -number } else { number });
    }
    let number: f64 = digits.parse().ok()?;
    (number.is_finite() && number.abs() < 1e30).then(|| number.round() as i128)
}

fn digits_of(value: &InsertValue) -> Result<&str, TdError> {
    match value {
        InsertValue::Number(digits) => Ok(digits),
        InsertValue::Text(text) => Ok(text.trim()),
        InsertValue::Bool(true) => Ok("1"),
        InsertValue::Bool(false) => Ok("0"),
        InsertValue::Null | InsertValue::Moment { .. } => Err(illegal("now", "illegal int data")),
    }
}

fn signed(value: &InsertValue, min: i64, max: i64) -> Result<i64, TdError> {
    let digits = digits_of(value)?;
    let number = wide_integer(digits).ok_or_else(|| illegal(digits, "illegal int data"))?;
    let fitting = i64::try_from(number).ok().filter(|number| (min..=max).contains(number));
    fitting.ok_or_else(|| illegal(digits, "value out of range"))
}

fn unsigned(value: &InsertValue, max: u64) -> Result<u64, TdError> {
    let digits = digits_of(value)?;
    let number = wide_integer(digits).ok_or_else(|| illegal(digits, "illegal unsigned int data"))?;
    let fitting = u64::try_from(number).ok().filter(|number| *number <= max);
    fitting.ok_or_else(|| illegal(digits, "value out of range"))
}

fn float(value: &InsertValue) -> Result<f64, TdError> {
    let digits = digits_of(value)?;
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = number.or_else(|| wide_integer(digits).map(|number| number as f64));
    number.ok_or_else(|| illegal(digits, "illegal float data"))
}

fn boolean(value: &InsertValue) -> Result<bool, TdError> {
    match value {
        InsertValue::Bool(value) => Ok(*value),
        InsertValue::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        InsertValue::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => {
            let digits = digits_of(other)?;
            let number = digits.parse::<f64>().map_err(|_| illegal(digits, "invalid bool data"))?;
            Ok(number != 0.0)
        }
    }
}

fn text_of(value: &InsertValue) -> Result<String, TdError> {
    Ok(match value {
        InsertValue::Text(text) => text.clone(),
        InsertValue::Number(digits) => digits.clone(),
        InsertValue::Bool(value) => value.to_string(),
        InsertValue::Null | InsertValue::Moment { .. } => return Err(illegal("now", "string data expected")),
    })
}

fn text_within(name: &str, text: String, length: impl Fn(&str) -> usize, max: u32) -> Result<Stored, TdError> {
    if length(&text) > max as usize {
        return Err(TdError::TooLong(name.to_string()));
    }
    Ok(Stored::Text(text))
}

/// `\x7f8290` or any text, as lower-case hex digits.
pub(super) fn hex_of(text: &str) -> Option<String> {
    match text.strip_prefix("\\x") {
        Some(digits) if digits.len() % 2 == 0 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Some(digits.to_ascii_lowercase())
        }
        Some(_) => None,
        None => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
    }
}

/// Digits padded to `scale`, rounded half away from zero; `None` when there are too many before the point.
pub(super) fn decimal(text: &str, precision: u8, scale: u8) -> Option<String> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 100)?),
        None => (digits, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || all.len() > 200 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The value is `all` times ten to the power of -places.
    let places = fraction.len() as i32 - exponent;
    let scale = i32::from(scale);
    let mut unscaled: String = if places <= scale {
        let zeros = (scale - places) as usize;
        format!("{all}{}", "0".repeat(zeros))
    } else {
        let cut = (places - scale) as usize;
        let (kept, dropped) = if cut > all.len() { ("", "0") } else { all.split_at(all.len() - cut) };
        let kept: u128 = if kept.is_empty() {
            0
        } else {
            kept.trim_start_matches('0').parse().ok().or(kept.bytes().all(|b| b == b'0').then_some(0))?
        };
        (kept + u128::from(dropped.as_bytes()[0] >= b'5')).to_string()
    };
    unscaled = unscaled.trim_start_matches('0').to_string();
    if unscaled.len() > precision as usize {
        return None;
    }
    let padded = format!("{unscaled:0>width$}", width = scale as usize + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale as usize);
    let sign = if negative && padded.bytes().any(|b| b != b'0') { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// `POINT(1 2)`, `LINESTRING(…)`, `POLYGON((…), …)` as little-endian well-known binary in hex.
pub(super) fn well_known_binary(text: &str) -> Option<String> {
    let text = text.trim();
    let open = text.find('(')?;
    let inner = text[open..].trim().strip_prefix('(')?.strip_suffix(')')?;
    let mut bytes = vec![1u8];
    let points = |text: &str| -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut count = 0u32;
        for point in text.split(',') {
            let numbers: Vec<f64> = point.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>()?;
            let [x, y] = numbers[..] else { return None };
            bytes.extend(x.to_le_bytes());
            bytes.extend(y.to_le_bytes());
            count += 1;
        }
        Some([count.to_le_bytes().to_vec(), bytes].concat())
    };
    match text[..open].trim().to_ascii_lowercase().as_str() {
        "point" => {
            bytes.extend(1u32.to_le_bytes());
            let point = points(inner)?;
            (point.len() == 20).then(|| bytes.extend(&point[4..]))?;
        }
        "linestring" => {
            bytes.extend(2u32.to_le_bytes());
            bytes.extend(points(inner)?);
        }
        "polygon" => {
            bytes.extend(3u32.to_le_bytes());
            let rings: Vec<Vec<u8>> = inner
                .split(')')
                .map(|ring| ring.trim().trim_start_matches(',').trim())
                .filter(|ring| !ring.is_empty())
                .map(|ring| points(ring.strip_prefix('(')?))
                .collect::<Option<_>>()?;
            bytes.extend((rings.len() as u32).to_le_bytes());
            bytes.extend(rings.concat());
        }
        _ => return None,
    }
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment { now_ns: 1_709_251_200_123_456_789, zone: Tz::UTC, precision: Precision::Ms };

    #[track_caller]
    fn check(kind: DeclaredType, value: InsertValue, expected: Option<Stored>) {
        assert_eq!(AT.stored("c", kind, &value).ok(), expected, "{kind} {value:?}");
    }

    fn number(digits: &str) -> InsertValue {
        InsertValue::Number(digits.to_string())
    }

    fn text(text: &str) -> InsertValue {
        InsertValue::Text(text.to_string())
    }

    fn stored(text: &str) -> Option<Stored> {
        Some(Stored::Text(text.to_string()))
    }

    #[test]
    fn numbers_are_held_to_their_types() {
        check(DeclaredType::TinyInt, number("-128"), Some(Stored::Integer(-128)));
        check(DeclaredType::TinyInt, number("128"), None);
        check(DeclaredType::UTinyInt, number("-1"), None);
        check(DeclaredType::UBigInt, number("18446744073709551614"), Some(Stored::Unsigned(u64::MAX - 1)));
        check(DeclaredType::Int, text("42"), Some(Stored::Integer(42)));
        check(DeclaredType::Int, text("abc"), None);
        check(DeclaredType::Float, number("10.3"), Some(Stored::Float(10.3)));
        check(DeclaredType::Float, number("1e39"), None);
        check(DeclaredType::Double, number("1e3"), Some(Stored::Float(1000.0)));
        check(DeclaredType::Bool, text("TRUE"), Some(Stored::Bool(true)));
        check(DeclaredType::Int, InsertValue::Null, Some(Stored::Null));
    }

    #[test]
    fn of_a_long_wrong_value_the_beginning_is_told() {
        let wrong = AT.stored("c", DeclaredType::Int, &text(&"é".repeat(100))).unwrap_err();
        assert_eq!(wrong.to_string(), format!("syntax error near '{}' (illegal int data)", "é".repeat(31)));
    }

    #[test]
    fn lengths_count_bytes_or_characters() {
        check(DeclaredType::Varchar(3), text("abc"), stored("abc"));
        check(DeclaredType::Varchar(3), text("涛"), stored("涛"));
        check(DeclaredType::Varchar(3), text("涛a"), None);
        check(DeclaredType::NChar(3), text("涛思数"), stored("涛思数"));
        check(DeclaredType::NChar(3), text("涛思数据"), None);
        check(DeclaredType::Varbinary(3), text("\\x7F8290"), stored("7f8290"));
        check(DeclaredType::Varbinary(2), text("\\x7f8290"), None);
        check(DeclaredType::Varbinary(9), text("\\x7"), None);
    }

    #[test]
    fn decimals_are_padded_and_rounded() {
        let kind = |precision, scale| DeclaredType::Decimal { precision, scale };
        check(kind(20, 4), number("4467440737095516.123"), stored("4467440737095516.1230"));
        check(kind(10, 2), number("10.987"), stored("10.99"));
        check(kind(10, 2), number("-0.5"), stored("-0.50"));
        check(kind(10, 2), number("0.004"), stored("0.00"));
        check(kind(10, 0), number("1.5e1"), stored("15"));
        check(kind(3, 2), number("10"), None);
    }

    #[test]
    fn shapes_become_well_known_binary() {
        let point = "010100000000000000000059400000000000005940";
        check(DeclaredType::Geometry(100), text("point(100 100)"), stored(point));
        check(DeclaredType::Geometry(20), text("point(100 100)"), None);
        check(DeclaredType::Geometry(100), text("circle(1 1)"), None);
        assert!(
            well_known_binary("POLYGON((0 0, 1 0, 1 1, 0 0))")
                .is_some_and(|hex| hex.starts_with("0103000000010000000400"))
        );
    }

    #[test]
    fn times_are_in_the_unit_of_the_database_and_cut_to_it() {
        let moment = |base, shifts| InsertValue::Moment { base, shifts };
        assert_eq!(AT.time(&number("1")).unwrap(), Some(1_000_000));
        assert_eq!(AT.time(&moment(MomentBase::Now, vec![])).unwrap(), Some(1_709_251_200_123_000_000));
        assert_eq!(AT.time(&text("1970-01-01T00:00:00.0019Z")).unwrap(), Some(1_000_000));
        let hour = super::super::time::Duration::parse("1", 'h').unwrap();
        assert_eq!(AT.time(&moment(MomentBase::Number(0), vec![(-1, hour)])).unwrap(), Some(-3_600_000_000_000));
        assert_eq!(AT.time(&InsertValue::Null).unwrap(), None);
        assert!(AT.time(&number("1880602200000000")).is_err());
    }
}
