//! Lengths of time as InfluxQL writes them: `1h30m`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A length of time in nanoseconds. Policies read zero as for ever, which the language spells `INF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

/// Units from large to small, each with its length in nanoseconds, and the spellings that are only read.
const UNITS: [(&str, i64); 9] = [
    ("w", 7 * 24 * 3_600 * SECOND),
    ("d", 24 * 3_600 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("u", 1_000),
    ("µ", 1_000),
    ("ns", 1),
];
const SECOND: i64 = 1_000_000_000;

/// Why text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDuration {
    #[error("invalid duration")]
    Malformed,
    /// The sum passes 292 years at this part.
    #[error("overflowed duration {number}{unit}: choose a smaller duration or INF")]
    Overflow { number: i64, unit: &'static str },
}

impl Duration {
    pub const INFINITE: Duration = Duration(0);

    /// Prints like `72h0m0s`, as CREATE DATABASE is echoed. Parts of a second read `1500ms`.
    pub fn as_clock(self) -> Clock {
        Clock(self)
    }
}

/// See [`Duration::as_clock`].
#[derive(Debug, Clone, Copy)]
pub struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clock(duration) = self;
        if duration.0 == 0 || duration.0 % SECOND != 0 {
            return duration.fmt(f);
        }
        let sign = if duration.0 < 0 { "-" } else { "" };
        let seconds = (duration.0 / SECOND).unsigned_abs();
        match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
            (0, 0, s) => write!(f, "{sign}{s}s"),
            (0, m, s) => write!(f, "{sign}{m}m{s}s"),
            (h, m, s) => write!(f, "{sign}{h}h{m}m{s}s"),
        }
    }
}

/// Numbers with a unit each, in any order, added up; a `-` in front of them negates the whole. Unlike in the server,
/// whose arithmetic wraps, every sum that does not fit is refused.
impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        if rest.is_empty() {
            return Err(InvalidDuration::Malformed);
        }
        let mut sum: i64 = 0;
        while !rest.is_empty() {
            let (number, unit, length, after) = split_part(rest).ok_or(InvalidDuration::Malformed)?;
            sum = number
                .checked_mul(length)
                .and_then(|part| sum.checked_add(part))
                .ok_or(InvalidDuration::Overflow { number, unit })?;
            rest = after;
        }
        Ok(Duration(sign * sum))
    }
}

/// The number, the unit, its length, and what follows.
fn split_part(text: &str) -> Option<(i64, &'static str, i64, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number = digits.parse().ok()?;
    let fits = |&&(unit, _): &&(&str, i64)| rest.starts_with(unit);
    let &(unit, length) = UNITS.iter().filter(fits).max_by_key(|(unit, _)| unit.chars().count())?;
    Some((number, unit, length, &rest[unit.len()..]))
}

/// One number in the largest unit that divides the duration: `90m`, `1w`, `0s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (unit, length) =
            UNITS.iter().find(|(_, length)| self.0 % length == 0).expect("one nanosecond divides everything");
        write!(f, "{}{unit}", self.0 / length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, &str>) {
        let found = text.parse::<Duration>().map(|duration| duration.0).map_err(|e| e.to_string());
        assert_eq!(found, expected.map_err(str::to_string), "{text:?}");
    }

    #[test]
    fn parts_add_up() {
        check("1ns", Ok(1));
        check("1u", Ok(1_000));
        check("1µ", Ok(1_000));
        check("1ms", Ok(1_000_000));
        check("1s", Ok(SECOND));
        check("1m", Ok(60 * SECOND));
        check("1h", Ok(3_600 * SECOND));
        check("1d", Ok(86_400 * SECOND));
        check("1w", Ok(604_800 * SECOND));
        check("1h30m", Ok(5_400 * SECOND));
        check("1m1ms1m", Ok(120 * SECOND + 1_000_000));
        check("-90s", Ok(-90 * SECOND));
        check("0h", Ok(0));
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in ["", "-", "1", "s", "1x", "1n", "1e3", "1h30", "1H", "1hh", "99999999999999999999s", "1.5s", " 1s"]
        {
            check(text, Err("invalid duration"));
        }
    }

    #[test]
    fn a_duration_that_does_not_fit_names_the_part() {
        check("16000w", Err("overflowed duration 16000w: choose a smaller duration or INF"));
        check("9223372036854775807ns1u", Err("overflowed duration 1u: choose a smaller duration or INF"));
        // Wrapping arithmetic would take this for six days.
        check("61002w", Err("overflowed duration 61002w: choose a smaller duration or INF"));
    }

    #[track_caller]
    fn check_printed(nanoseconds: i64, shortest: &str, clock: &str) {
        let duration = Duration(nanoseconds);
        assert_eq!((duration.to_string().as_str(), duration.as_clock().to_string().as_str()), (shortest, clock));
    }

    #[test]
    fn durations_are_printed_in_the_largest_unit_or_as_a_clock() {
        check_printed(0, "0s", "0s");
        check_printed(604_800 * SECOND, "1w", "168h0m0s");
        check_printed(259_200 * SECOND, "3d", "72h0m0s");
        check_printed(5_400 * SECOND, "90m", "1h30m0s");
        check_printed(61 * SECOND, "61s", "1m1s");
        check_printed(5 * SECOND, "5s", "5s");
        check_printed(1_500_000_000, "1500ms", "1500ms");
        check_printed(1_000, "1u", "1u");
        check_printed(1, "1ns", "1ns");
        check_printed(-90 * SECOND, "-90s", "-1m30s");
    }
}
