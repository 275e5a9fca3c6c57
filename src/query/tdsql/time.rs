//! Durations as the language writes them, and times as text.

use std::fmt;

use chrono::{LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::model::Precision;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    Nanosecond,
    Microsecond,
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
    fn letter(self) -> char {
        match self {
            Unit::Nanosecond => 'b',
            Unit::Microsecond => 'u',
            Unit::Millisecond => 'a',
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
            Unit::Day => 'd',
            Unit::Week => 'w',
            Unit::Month => 'n',
            Unit::Year => 'y',
        }
    }

    fn of(letter: char) -> Option<Unit> {
        const ALL: [Unit; 10] = [
            Unit::Nanosecond,
            Unit::Microsecond,
            Unit::Millisecond,
            Unit::Second,
            Unit::Minute,
            Unit::Hour,
            Unit::Day,
            Unit::Week,
            Unit::Month,
            Unit::Year,
        ];
        ALL.into_iter().find(|unit| unit.letter() == letter)
    }

    /// Nanoseconds; `None` for months and years, whose length the calendar tells.
    pub fn nanos(self) -> Option<i64> {
        const SECOND: i64 = 1_000_000_000;
        Some(match self {
            Unit::Nanosecond => 1,
            Unit::Microsecond => 1_000,
            Unit::Millisecond => 1_000_000,
            Unit::Second => SECOND,
            Unit::Minute => 60 * SECOND,
            Unit::Hour => 3_600 * SECOND,
            Unit::Day => 86_400 * SECOND,
            Unit::Week => 7 * 86_400 * SECOND,
            Unit::Month | Unit::Year => return None,
        })
    }
}

/// A literal such as `10s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Duration {
    pub number: i64,
    pub unit: Unit,
}

impl Duration {
    /// `10` and `s`; fractions (`0.5` and `s`) become a smaller unit. `None` when it is no duration or too long.
    pub fn parse(number: &str, unit: char) -> Option<Duration> {
        let unit = Unit::of(unit)?;
        if let Ok(number) = number.parse::<i64>() {
            if let Some(nanos) = unit.nanos() {
                number.checked_mul(nanos)?;
            }
            return Some(Duration { number, unit });
        }
        let nanos = number.parse::<f64>().ok()? * unit.nanos()? as f64;
        (nanos.is_finite() && nanos < i64::MAX as f64)
            .then_some(Duration { number: nanos.round() as i64, unit: Unit::Nanosecond })
    }

    /// `20s`, as between quotes.
    pub fn parse_text(text: &str) -> Option<Duration> {
        let text = text.trim();
        let unit = text.chars().next_back()?;
        Duration::parse(&text[..text.len() - unit.len_utf8()], unit.to_ascii_lowercase())
    }

    /// Nanoseconds; `None` for months and years.
    pub fn nanos(self) -> Option<i64> {
        Some(self.unit.nanos()? * self.number)
    }

    /// Months; `None` for what is shorter.
    pub fn months(self) -> Option<i64> {
        match self.unit {
            Unit::Month => Some(self.number),
            Unit::Year => self.number.checked_mul(12),
            _ => None,
        }
    }

    /// `time` (nanoseconds) and `sign` times this duration; `None` beyond what can be stored.
    pub fn added_to(self, time: i64, sign: i64) -> Option<i64> {
        if let Some(nanos) = self.nanos() {
            return time.checked_add(nanos.checked_mul(sign)?);
        }
        let months = self.months()?.checked_mul(sign)?;
        let moment = chrono::DateTime::from_timestamp_nanos(time);
        let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        let moved = if months < 0 { moment.checked_sub_months(by) } else { moment.checked_add_months(by) };
        moved?.timestamp_nanos_opt()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.unit.letter())
    }
}

/// The time that a text means, nanoseconds; read in `zone` unless it says its own. `None` when it is no time.
///
/// `YYYY-MM-DD`, `YYYY-MM-DD[ T]HH:MM:SS[.fraction]`, each with or without `Z`, `±hh:mm` or `±hhmm`.
pub fn parse_time(text: &str, zone: Tz) -> Option<i64> {
    let text = text.trim();
    let date = text.get(..10)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let rest = &text[10..];
    let (time, rest) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => time_of_day(rest)?,
        None => (NaiveTime::MIN, rest),
    };
    let local = NaiveDateTime::new(date, time);
    let rest = rest.trim_start();
    if rest.is_empty() {
        return match zone.from_local_datetime(&local) {
            LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.timestamp_nanos_opt(),
            LocalResult::None => None,
        };
    }
    let offset = offset_seconds(rest)?;
    local.and_utc().timestamp_nanos_opt()?.checked_sub(offset.checked_mul(1_000_000_000)?)
}

fn time_of_day(text: &str) -> Option<(NaiveTime, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let format = if clock.matches(':').count() == 1 { "%H:%M" } else { "%H:%M:%S" };
    let time = NaiveTime::parse_from_str(clock, format).ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanos = digits.parse::<u32>().ok()?;
    Some((chrono::Timelike::with_nanosecond(&time, nanos)?, rest))
}

/// `Z`, `+08:00`, `+0800`, `+08`: seconds east of UTC.
pub(super) fn offset_seconds(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) || text.len() > 6 {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = if digits.len() == 4 { digits[2..].parse().ok()? } else { 0 };
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `ms`, `us` or `ns`.
pub fn precision_text(precision: Precision) -> &'static str {
    match precision {
        Precision::Us => "us",
        Precision::Ns => "ns",
        _ => "ms",
    }
}

/// Digits of a second's fraction.
pub(super) fn fraction_digits(precision: Precision) -> usize {
    match precision {
        Precision::Us => 6,
        Precision::Ns => 9,
        _ => 3,
    }
}

/// A time (nanoseconds) as RFC 3339 with exactly the digits of `precision`, in `zone`.
pub fn rfc3339(time: i64, precision: Precision, zone: Tz) -> String {
    let moment = chrono::DateTime::from_timestamp_nanos(time);
    let digits = fraction_digits(precision);
    let fraction = format!("{:09}", moment.timestamp_subsec_nanos());
    if zone == Tz::UTC {
        return format!("{}.{}Z", moment.format("%Y-%m-%dT%H:%M:%S"), &fraction[..digits]);
    }
    let local = moment.with_timezone(&zone);
    format!("{}.{}{}", local.format("%Y-%m-%dT%H:%M:%S"), &fraction[..digits], local.format("%:z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let found = parse_time(text, Tz::Europe__Moscow).map(|time| rfc3339(time, Precision::Ns, Tz::UTC));
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn times_are_read_in_the_zone_they_name_or_else_the_sessions() {
        check("2024-03-01T00:00:00Z", Some("2024-03-01T00:00:00.000000000Z"));
        check("2024-03-01 03:00:00.5", Some("2024-03-01T00:00:00.500000000Z"));
        check("2024-03-01T08:00:00.123456789123+08:00", Some("2024-03-01T00:00:00.123456789Z"));
        check("2024-03-01T08:00:00+0800", Some("2024-03-01T00:00:00.000000000Z"));
        check("2024-03-01", Some("2024-02-29T21:00:00.000000000Z"));
        for wrong in
            ["rubbish", "", "2024-13-01", "2024-03-01T", "2024-03-01T00:00:00X", "2024-03-01T00:00:00+8", "äääääääääää"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn months_follow_the_calendar() {
        let start = parse_time("2024-01-31", Tz::UTC).unwrap();
        let month = Duration::parse("1", 'n').unwrap();
        assert_eq!(month.added_to(start, 1), parse_time("2024-02-29", Tz::UTC));
        assert_eq!(Duration::parse("1", 'y').unwrap().added_to(start, -1), parse_time("2023-01-31", Tz::UTC));
    }

    #[test]
    fn durations_that_do_not_fit_are_none() {
        assert_eq!(Duration::parse("0.5", 's'), Some(Duration { number: 500_000_000, unit: Unit::Nanosecond }));
        assert_eq!(Duration::parse("99999999999", 'w'), None);
        assert_eq!(Duration::parse("1", 'q'), None);
        assert_eq!(Duration::parse_text("20s").unwrap().nanos(), Some(20_000_000_000));
    }

    #[test]
    fn digits_follow_the_precision() {
        assert_eq!(rfc3339(1_500_000_000, Precision::Ms, Tz::UTC), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(-1, Precision::Us, Tz::Asia__Shanghai), "1970-01-01T07:59:59.999999+08:00");
    }
}
