//! Instants as requests say them: numbers, dates, and how long ago.

use chrono::{Days, LocalResult, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::duration::Duration;
use super::error::OpentsdbError;

/// Milliseconds since 1970 that `text` means. Dates are in `zone`, UTC when it is `None` or empty.
///
/// Up to ten characters of digits are seconds, more are milliseconds. The forms and the refusals are those of
/// OpenTSDB's `DateTime.parseDateTimeString`. An empty text is no instant: that is for the caller.
pub fn parse_time(text: &str, zone: Option<&str>, now_ms: i64) -> Result<i64, OpentsdbError> {
    let lower = text.to_lowercase();
    if let Some(number) = text.strip_suffix("ms")
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return parse_long(number).map_err(|why| invalid_time(text, &why));
    }
    if lower == "now" {
        return Ok(now_ms);
    }
    if lower.ends_with("-ago") {
        let ago: Duration = text[..text.len() - "-ago".len()].parse()?;
        return Ok(now_ms.saturating_sub(ago.millis()));
    }
    if text.contains('/') || text.contains(':') {
        return parse_date(text, zone);
    }
    let number = if text.contains('.') {
        if !is_dotted(text) {
            let why = "Millisecond timestamps must be in the format <seconds>.<ms> where the milliseconds are limited \
                       to 3 digits";
            return Err(invalid_time(text, why));
        }
        text.replace('.', "")
    } else {
        text.to_string()
    };
    let time = parse_long(&number).map_err(|why| invalid_time(text, &why))?;
    if time < 0 {
        return Err(invalid_time(text, "Negative timestamps are not supported."));
    }
    Ok(if text.len() <= 10 { time * 1000 } else { time })
}

/// The zone of a name; `None` when there is no such zone.
pub fn zone_named(name: &str) -> Option<Tz> {
    name.parse().ok()
}

fn invalid_time(text: &str, why: &str) -> OpentsdbError {
    OpentsdbError::Refused(format!("Invalid time: {text}. {why}"))
}

/// Ten digits, a dot, one to three digits.
fn is_dotted(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(seconds, millis)| {
        seconds.len() == 10 && digits(seconds) && (1..=3).contains(&millis.len()) && digits(millis)
    })
}

/// A whole number as OpenTSDB's `Tags.parseLong` reads it, and its words for what is none.
pub fn parse_long(text: &str) -> Result<i64, String> {
    let Some(first) = text.chars().next() else { return Err("Empty string".to_string()) };
    let is_signed = matches!(first, '+' | '-');
    if is_signed && text.len() == 1 {
        return Err(format!("Just a sign, no value: {text}"));
    }
    if text.len() > 19 + usize::from(is_signed) {
        return Err(format!("Value too long: {text}"));
    }
    let digits = if is_signed { &text[1..] } else { text };
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_digit()) {
        return Err(format!("Invalid character '{wrong}' in {text}"));
    }
    text.parse().map_err(|_| format!("Overflow in {text}"))
}

/// `yyyy/MM/dd`, then `-` or a space and `HH:mm` or `HH:mm:ss`. Numbers out of range carry over, as they do there.
fn parse_date(text: &str, zone: Option<&str>) -> Result<i64, OpentsdbError> {
    if !matches!(text.len(), 10 | 16 | 19) || !text.is_ascii() {
        return Err(OpentsdbError::Refused(format!("Invalid absolute date: {text}")));
    }
    let zone = match zone {
        None | Some("") => Tz::UTC,
        Some(name) => {
            zone_named(name).ok_or_else(|| OpentsdbError::Refused(format!("Invalid timezone name: {name}")))?
        }
    };
    let unparsable = || OpentsdbError::Refused(format!("Invalid date: {text}. Unparseable date: \"{text}\""));
    let local = local_of(text).ok_or_else(unparsable)?;
    Ok(millis_of(local, zone))
}

fn local_of(text: &str) -> Option<NaiveDateTime> {
    let (date, clock) = text.split_at(10);
    let mut parts = date.splitn(3, '/').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?;
    let months = i64::from(month) - 1;
    let date = if months < 0 { first - Months::new(1) } else { first + Months::new(u32::try_from(months).ok()?) };
    let date = if day == 0 { date - Days::new(1) } else { date + Days::new(u64::from(day) - 1) };
    let mut seconds = 0_i64;
    if !clock.is_empty() {
        let clock = clock.strip_prefix(['-', ' '])?;
        for (part, scale) in clock.split(':').zip([3600, 60, 1]) {
            seconds += i64::from(part.parse::<u32>().ok()?) * scale;
        }
    }
    date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::seconds(seconds))
}

/// Milliseconds since 1970 of a wall clock. A clock that shows twice means the later instant; one that is skipped
/// means as long after the gap's start as it is after it.
pub(super) fn millis_of(local: NaiveDateTime, zone: Tz) -> i64 {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) => instant.timestamp_millis(),
        LocalResult::Ambiguous(_, later) => later.timestamp_millis(),
        LocalResult::None => {
            // The clock an hour or so before exists; gaps are no longer than a day.
            let before = (1..=24).find_map(|hours| {
                let earlier = zone.from_local_datetime(&(local - TimeDelta::hours(hours))).latest()?;
                Some(earlier.timestamp_millis() + hours * 3_600_000)
            });
            before.unwrap_or_else(|| local.and_utc().timestamp_millis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_400_000_000_123;

    fn check(text: &str, zone: Option<&str>, expected: Result<i64, &str>) {
        let found = parse_time(text, zone, NOW).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_string), "{text} {zone:?}");
    }

    #[test]
    fn every_accepted_form_is_read() {
        check("1356998400", None, Ok(1_356_998_400_000));
        check("1356998400500", None, Ok(1_356_998_400_500));
        check("1356998400.500", None, Ok(1_356_998_400_500));
        check("1356998400.5", None, Ok(13_569_984_005));
        check("1356998400500ms", None, Ok(1_356_998_400_500));
        check("now", None, Ok(NOW));
        check("NOW", None, Ok(NOW));
        check("1h-ago", None, Ok(NOW - 3_600_000));
        check("1D-AGO", None, Ok(NOW - 86_400_000));
        check("2013/01/01", None, Ok(1_356_998_400_000));
        check("2013/01/01-00:01", None, Ok(1_356_998_460_000));
        check("2013/01/01 00:01", Some(""), Ok(1_356_998_460_000));
        check("2013/01/01-00:01:30", None, Ok(1_356_998_490_000));
        check("2012/12/31 19:00:30", Some("America/New_York"), Ok(1_356_998_430_000));
        check("2012/12/32-00:00:00", None, Ok(1_356_998_400_000));
        // Skipped by daylight saving: half past two on the tenth of March is half past three.
        check("2013/03/10-02:30", Some("America/New_York"), Ok(1_362_900_600_000));
        check("0", None, Ok(0));
    }

    #[test]
    fn what_is_no_time_is_refused_in_the_servers_words() {
        check("notatime", None, Err("Invalid time: notatime. Invalid character 'n' in notatime"));
        check("-5", None, Err("Invalid time: -5. Negative timestamps are not supported."));
        check("2013/01/01-00", None, Err("Invalid absolute date: 2013/01/01-00"));
        check("1x-ago", None, Err("Invalid duration (suffix): 1x"));
        check("0h-ago", None, Err("Zero or negative duration: 0h"));
        check(
            "1356998400.1234",
            None,
            Err(
                "Invalid time: 1356998400.1234. Millisecond timestamps must be in the format <seconds>.<ms> where the \
                 milliseconds are limited to 3 digits",
            ),
        );
        check("2013/01/01", Some("Nowhere/Land"), Err("Invalid timezone name: Nowhere/Land"));
        check("9999999999999999999", None, Err("Invalid time: 9999999999999999999. Overflow in 9999999999999999999"));
        check("abcd/ef/gh", None, Err("Invalid date: abcd/ef/gh. Unparseable date: \"abcd/ef/gh\""));
    }
}
