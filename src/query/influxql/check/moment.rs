//! Times that are written as strings: `'2020-01-01'`, `'2020-01-01 10:00:00.5'`, `'2020-01-01T10:00:00+02:00'`.

use chrono::{DateTime, NaiveDate, Offset, TimeZone as _};

use crate::query::influxql::expr::rfc3339;
use crate::query::influxql::zone::TimeZone;

const SECOND: i128 = 1_000_000_000;

/// Whether `text` begins like a date, so that where a time is wanted it is read as one.
pub fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    let date = digits(0..4) && digits(5..7) && digits(8..10) && bytes[4] == b'-' && bytes[7] == b'-';
    date && !text[10..].starts_with('\n')
}

/// Nanoseconds since 1970 UTC. What says nothing of a zone is a time in `zone`, or in UTC.
///
/// Where a zone skips or repeats local times, the server's choice among the two moments is made.
pub fn parse(text: &str, zone: Option<TimeZone>) -> Option<i128> {
    if !looks_like_time(text) {
        return None;
    }
    let (date, rest) = text.split_at(10);
    let number = |range: std::ops::Range<usize>| date[range].parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(number(0..4)?.try_into().ok()?, number(5..7)?, number(8..10)?)?;
    let midnight = i128::from(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp()) * SECOND;
    if rest.is_empty() {
        return Some(in_zone(midnight, zone));
    }
    if let Some(clock) = rest.strip_prefix('T') {
        let (time, rest) = clock_time(clock)?;
        let offset = zone_offset(rest)?;
        return Some(midnight + time - offset);
    }
    let clock = rest.strip_prefix(' ')?.trim_start_matches(' ');
    match clock_time(clock)? {
        (time, "") => Some(in_zone(midnight + time, zone)),
        _ => None,
    }
}

/// The moment at which clocks of `zone` show `local`, which is given as if it were UTC.
fn in_zone(local: i128, zone: Option<TimeZone>) -> i128 {
    let Some(zone) = zone else { return local };
    let offset_at = |time: i128| -> i128 {
        let seconds = i64::try_from(time.div_euclid(SECOND)).ok();
        let utc = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let offset = utc.map(|utc| zone.rules.offset_from_utc_datetime(&utc.naive_utc()).fix());
        offset.map_or(0, |offset| i128::from(offset.local_minus_utc()) * SECOND)
    };
    let guess = local - offset_at(local);
    local - offset_at(guess)
}

/// `15:04:05[.999…]` in nanoseconds, and what follows it. The hour may be one digit.
fn clock_time(text: &str) -> Option<(i128, &str)> {
    let hour_digits = text.find(|c: char| !c.is_ascii_digit()).filter(|digits| (1..=2).contains(digits))?;
    let (hour, rest) = text.split_at(hour_digits);
    let rest = rest.strip_prefix(':')?;
    let (minute, rest) = two_digits(rest)?;
    let (second, rest) = two_digits(rest.strip_prefix(':')?)?;
    let hour: i128 = hour.parse().ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, rest) = fraction(rest);
    Some((((hour * 60 + minute) * 60 + second) * SECOND + fraction, rest))
}

fn two_digits(text: &str) -> Option<(i128, &str)> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

/// `.999…` in nanoseconds, or zero without one; digits beyond the ninth count for nothing.
fn fraction(text: &str) -> (i128, &str) {
    let Some(rest) = text.strip_prefix('.') else { return (0, text) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if end == 0 {
        return (0, text);
    }
    let digits = format!("{:0<9}", &rest[..end.min(9)]);
    (digits.parse().unwrap_or(0), &rest[end..])
}

/// `Z`, `+02:00`, `-02:00` in nanoseconds.
fn zone_offset(text: &str) -> Option<i128> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = two_digits(&text[1..])?;
    let (minutes, rest) = two_digits(rest.strip_prefix(':')?)?;
    (rest.is_empty() && hours < 25 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60 * SECOND)
}

/// As RFC 3339 in UTC, without parts of a second.
pub(super) fn to_seconds(time: i128) -> String {
    rfc3339(time.div_euclid(SECOND) * SECOND)
}
