//! Durations: a number and a unit, such as `30s`, `500ms`, `1n` (a month).

use std::str::FromStr;

use super::error::OpentsdbError;

/// What a duration counts. Months have 30 days and years 365 wherever lengths are fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    pub fn millis(self) -> i64 {
        match self {
            Unit::Millisecond => 1,
            Unit::Second => 1000,
            Unit::Minute => 60 * 1000,
            Unit::Hour => 3600 * 1000,
            Unit::Day => 24 * 3600 * 1000,
            Unit::Week => 7 * 24 * 3600 * 1000,
            Unit::Month => 30 * 24 * 3600 * 1000,
            Unit::Year => 365 * 24 * 3600 * 1000,
        }
    }
}

/// A positive number of units; its fixed length fits 63 bits of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    pub count: i64,
    pub unit: Unit,
}

impl Duration {
    /// Its fixed length, milliseconds.
    pub fn millis(self) -> i64 {
        self.count * self.unit.millis()
    }
}

impl FromStr for Duration {
    type Err = OpentsdbError;

    /// The digits in front are the number and the last letter, of either case, is the unit (`ms` counts as one letter), as in
    /// OpenTSDB's `DateTime.parseDuration`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits == text.len() && !text.is_empty() {
            return Err(refused("Invalid duration, must have an integer and unit", text));
        }
        let count: i64 = text[..digits].parse().map_err(|_| refused("Invalid duration (number)", text))?;
        if count <= 0 {
            return Err(refused("Zero or negative duration", text));
        }
        let lower = text.to_ascii_lowercase();
        let unit = match lower.chars().next_back() {
            Some('s') if text.ends_with("ms") || text.ends_with("mS") => Unit::Millisecond,
            Some('s') => Unit::Second,
            Some('m') => Unit::Minute,
            Some('h') => Unit::Hour,
            Some('d') => Unit::Day,
            Some('w') => Unit::Week,
            Some('n') => Unit::Month,
            Some('y') => Unit::Year,
            _ => return Err(refused("Invalid duration (suffix)", text)),
        };
        if count.checked_mul(unit.millis()).is_none() {
            return Err(refused("Duration must be < Long.MAX_VALUE ms", text));
        }
        Ok(Duration { count, unit })
    }
}

fn refused(what: &str, text: &str) -> OpentsdbError {
    OpentsdbError::Refused(format!("{what}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let check = |text: &str, expected: Result<i64, &str>| {
            let found = text.parse::<Duration>().map(Duration::millis).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_string), "{text}");
        };
        check("500ms", Ok(500));
        check("30s", Ok(30_000));
        check("1M", Ok(60_000));
        check("2h", Ok(7_200_000));
        check("1d", Ok(86_400_000));
        check("1w", Ok(604_800_000));
        check("1n", Ok(2_592_000_000));
        check("1y", Ok(31_536_000_000));
        check("1x", Err("Invalid duration (suffix): 1x"));
        check("0h", Err("Zero or negative duration: 0h"));
        check("3", Err("Invalid duration, must have an integer and unit: 3"));
        check("", Err("Invalid duration (number): "));
        check("h", Err("Invalid duration (number): h"));
        check("99999999999999999999s", Err("Invalid duration (number): 99999999999999999999s"));
        check("9999999999999999y", Err("Duration must be < Long.MAX_VALUE ms: 9999999999999999y"));
        check("1é", Err("Invalid duration (suffix): 1é"));
    }
}
