//! Names of indices with a date in them: `<logs-{now/d}>`, `<logs-{now-1M/M{yyyy.MM|+02:00}}>`.
//!
//! Spec: Elasticsearch, date math support in index and index alias names. An expression is `now`, then any of `+N` and `-N` of a unit and
//! rounding down `/` to one; units are `y M w d h H m s`. Formats are of Java's letters as far as they are numbers of the calendar
//! and the clock (`u`, `y`, `M`, `d`, `H`, `m`, `s`) and of quoted text; others are refused.

use std::borrow::Cow;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, Duration, FixedOffset, Months, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;

const FORMAT: &str = "uuuu.MM.dd";

/// `name` with its dates, those of the moment `now_ns`; a name that is not in angle brackets is what it is. `Err`: why it cannot be read,
/// in Elasticsearch's words.
pub(super) fn resolve(name: &str, now_ns: i64) -> Result<Cow<'_, str>, String> {
    let Some(expression) = name.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) else {
        return Ok(Cow::Borrowed(name));
    };
    let wrong = |what: String| format!("invalid dynamic name expression [{expression}]. {what}");
    let mut resolved = String::new();
    let mut letters = expression.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => resolved.extend(letters.next().map(|(_, escaped)| escaped)),
            '{' => {
                let inside = &expression[at + 1..];
                let end =
                    placeholder_end(inside).ok_or_else(|| wrong("date math placeholder is open ended".to_string()))?;
                resolved.push_str(&placeholder(&inside[..end], now_ns).map_err(wrong)?);
                // On behind the closing brace.
                letters.by_ref().take_while(|(place, _)| *place < at + 1 + end).for_each(drop);
            }
            '}' => {
                let what = format!(
                    "invalid character at position [{}]. `{{` and `}}` are reserved characters and should be escaped when used as \
                     part of the index name using `\\` (e.g. `\\{{text\\}}`)",
                    at + 1
                );
                return Err(wrong(what));
            }
            letter => resolved.push(letter),
        }
    }
    if resolved.is_empty() { Err("nothing captured".to_string()) } else { Ok(Cow::Owned(resolved)) }
}

/// Where the brace is that closes a placeholder, whose format may be in braces of its own.
fn placeholder_end(inside: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What is between the braces: `now/d`, `now/d{yyyy.MM.dd}`, `now/d{yyyy.MM.dd|+12:00}`.
fn placeholder(text: &str, now_ns: i64) -> Result<String, String> {
    let (math, format) = match text.split_once('{') {
        None => (text, FORMAT),
        Some((math, format)) => {
            (math, format.strip_suffix('}').ok_or("missing closing `}` for date math format".to_string())?)
        }
    };
    let (pattern, zone) = match format.split_once('|') {
        None => (format, Zone::Named(Tz::UTC)),
        Some((pattern, zone)) => (pattern, zone.parse()?),
    };
    if pattern.is_empty() {
        return Err("missing date format".to_string());
    }
    let too_far = || format!("failed to parse date field [{math}]: the date is out of range");
    let local = calculate(math, now_ns, zone)?.and_then(|time| zone.local(time)).ok_or_else(too_far)?;
    print(local, pattern)
}

#[derive(Debug, Clone, Copy)]
enum Zone {
    Named(Tz),
    Offset(FixedOffset),
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Zone, String> {
        if let Ok(zone) = text.parse() {
            return Ok(Zone::Named(zone));
        }
        let full = if text.len() == 3 { format!("{text}:00") } else { text.to_string() };
        full.parse().map(Zone::Offset).map_err(|_| format!("unknown time zone [{text}]"))
    }
}

impl Zone {
    /// What clocks of the zone show.
    fn local(self, time: DateTime<Utc>) -> Option<NaiveDateTime> {
        let offset = match self {
            Zone::Named(zone) => zone.offset_from_utc_datetime(&time.naive_utc()).fix(),
            Zone::Offset(offset) => offset,
        };
        time.naive_utc().checked_add_offset(offset)
    }

    /// The moment when clocks of the zone show `local`; in the hour that is left out when they are put forward, an hour later.
    fn moment(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let moment = |local: &NaiveDateTime| match self {
            Zone::Named(zone) => zone.from_local_datetime(local).earliest().map(|time| time.to_utc()),
            Zone::Offset(offset) => offset.from_local_datetime(local).earliest().map(|time| time.to_utc()),
        };
        moment(&local).or_else(|| moment(&local.checked_add_signed(Duration::hours(1))?))
    }
}

/// The moment that `now` and what follows it mean; `Ok(None)` where there is none such.
fn calculate(math: &str, now_ns: i64, zone: Zone) -> Result<Option<DateTime<Utc>>, String> {
    let Some(mut rest) = math.strip_prefix("now") else {
        return Err(format!(
            "failed to parse date field [{math}]: only [now] and what is reckoned from it is supported"
        ));
    };
    let mut time = Some(DateTime::from_timestamp_nanos(now_ns));
    while let Some(operator) = rest.chars().next() {
        if !matches!(operator, '+' | '-' | '/') {
            return Err(format!("operator not supported for date math [{math}]"));
        }
        rest = &rest[1..];
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let count = match &rest[..digits] {
            "" => 1,
            digits => digits.parse::<u32>().map_err(|_| format!("number too large in date math [{math}]"))?,
        };
        rest = &rest[digits..];
        let unit = rest.chars().next().ok_or_else(|| format!("truncated date math [{math}]"))?;
        if !"yMwdhHms".contains(unit) {
            return Err(format!("unit [{unit}] not supported for date math [{math}]"));
        }
        rest = &rest[1..];
        time = match operator {
            '/' if count != 1 => {
                return Err(format!("rounding `/` can only be used on single unit types [{math}]"));
            }
            '/' => time.and_then(|time| zone.moment(floor(zone.local(time)?, unit)?)),
            sign => time.and_then(|time| add(time, zone, i64::from(count) * if sign == '-' { -1 } else { 1 }, unit)),
        };
    }
    Ok(time)
}

/// Days and longer are of the calendar, shorter ones of the clock.
fn add(time: DateTime<Utc>, zone: Zone, count: i64, unit: char) -> Option<DateTime<Utc>> {
    let by_clock = |unit: Duration| time.checked_add_signed(unit.checked_mul(i32::try_from(count).ok()?)?);
    let size = count.unsigned_abs();
    let months = |each: u64| Some(Months::new(u32::try_from(size.checked_mul(each)?).ok()?));
    let days = |each: u64| Some(Days::new(size.checked_mul(each)?));
    let local = zone.local(time)?;
    let is_back = count < 0;
    let moved =
        |months: Months| if is_back { local.checked_sub_months(months) } else { local.checked_add_months(months) };
    let moved_days = |days: Days| if is_back { local.checked_sub_days(days) } else { local.checked_add_days(days) };
    match unit {
        'y' => zone.moment(moved(months(12)?)?),
        'M' => zone.moment(moved(months(1)?)?),
        'w' => zone.moment(moved_days(days(7)?)?),
        'd' => zone.moment(moved_days(days(1)?)?),
        'h' | 'H' => by_clock(Duration::hours(1)),
        'm' => by_clock(Duration::minutes(1)),
        _ => by_clock(Duration::seconds(1)),
    }
}

/// The beginning of the unit that `local` is in. Weeks begin on Monday.
fn floor(local: NaiveDateTime, unit: char) -> Option<NaiveDateTime> {
    let (day, midnight) = (local.date(), NaiveTime::MIN);
    match unit {
        'y' => Some(day.with_ordinal(1)?.and_time(midnight)),
        'M' => Some(day.with_day(1)?.and_time(midnight)),
        'w' => {
            let monday = day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday())))?;
            Some(monday.and_time(midnight))
        }
        'd' => Some(day.and_time(midnight)),
        'h' | 'H' => day.and_hms_opt(local.hour(), 0, 0),
        'm' => day.and_hms_opt(local.hour(), local.minute(), 0),
        _ => day.and_hms_opt(local.hour(), local.minute(), local.second()),
    }
}

/// `local` in a pattern of Java's letters.
fn print(local: NaiveDateTime, pattern: &str) -> Result<String, String> {
    let unsupported = |letter: char| format!("the letter [{letter}] of date format [{pattern}] is not supported");
    let mut printed = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            let mut closed = false;
            for quoted in letters.by_ref() {
                if quoted == '\'' {
                    closed = true;
                    break;
                }
                printed.push(quoted);
            }
            if !closed {
                return Err(format!("date format [{pattern}] ends in quoted text"));
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            printed.push(letter);
            continue;
        }
        let mut width = 1;
        while letters.next_if_eq(&letter).is_some() {
            width += 1;
        }
        let year = i64::from(local.year());
        let number = match (letter, width) {
            ('u' | 'y', 2) => year.rem_euclid(100),
            ('u' | 'y', 1 | 3..=9) => year,
            ('M', 1 | 2) => i64::from(local.month()),
            ('d', 1 | 2) => i64::from(local.day()),
            ('H', 1 | 2) => i64::from(local.hour()),
            ('m', 1 | 2) => i64::from(local.minute()),
            ('s', 1 | 2) => i64::from(local.second()),
            _ => return Err(unsupported(letter)),
        };
        printed.push_str(&format!("{number:0width$}"));
    }
    Ok(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-22T11:30:45Z, a Friday.
    const NOW_NS: i64 = 1_711_107_045_000_000_000;

    #[test]
    fn names_hold_the_date_of_the_moment() {
        for (name, expected) in [
            ("logs", "logs"),
            ("<logs>", "logs"),
            ("<logs-{now/d}>", "logs-2024.03.22"),
            ("<logs-{now/M}-x>", "logs-2024.03.01-x"),
            ("<logs-{now/M{yyyy.MM}}>", "logs-2024.03"),
            ("<logs-{now/M-1M{yyyy.MM}}>", "logs-2024.02"),
            ("<logs-{now-30d/y{uuuu}}-{now/w}>", "logs-2024-2024.03.18"),
            ("<{now{uuuu}}é{now{MM}}{now{dd}}-x>", "2024é0322-x"),
            ("<logs-{now/d{yyyy.MM.dd|+12:00}}>", "logs-2024.03.22"),
            ("<logs-{now/d{yyyy.MM.dd|+13}}>", "logs-2024.03.23"),
            ("<logs-{now{yyyyMMdd'T'HHmmss|America/New_York}}>", "logs-20240322T073045"),
            ("<logs-{now+9d/d{d.M.yy|Europe/Berlin}}>", "logs-31.3.24"),
            ("<logs-{now+90m/h{HH:mm}}>", "logs-13:00"),
            (r"<elastic\{ON\}-{now/M}>", "elastic{ON}-2024.03.01"),
            ("<日誌-{now/d}>", "日誌-2024.03.22"),
        ] {
            assert_eq!(resolve(name, NOW_NS).as_deref(), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (name, expected) in [
            ("<logs-{now/d>", "date math placeholder is open ended"),
            ("<logs-}>", "invalid character at position [6]"),
            ("<>", "nothing captured"),
            ("<logs-{now/d{}}>", "missing date format"),
            ("<logs-{now/d{yyyy}x}>", "missing closing `}` for date math format"),
            ("<logs-{now/2d}>", "rounding `/` can only be used on single unit types [now/2d]"),
            ("<logs-{now+1x}>", "unit [x] not supported for date math [now+1x]"),
            ("<logs-{now*1d}>", "operator not supported for date math [now*1d]"),
            ("<logs-{now+}>", "truncated date math [now+]"),
            ("<logs-{today}>", "failed to parse date field [today]"),
            ("<logs-{now/d{EEE}}>", "the letter [E] of date format [EEE] is not supported"),
            ("<logs-{now/d{yyyy|Nowhere/City}}>", "unknown time zone [Nowhere/City]"),
            ("<logs-{now+4000000000y}>", "out of range"),
            ("<logs-{now-99999999999999999999d}>", "number too large"),
            ("<logs-{now+é}>", "unit [é] not supported"),
        ] {
            let error = resolve(name, NOW_NS).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn an_hour_that_clocks_leave_out_is_the_next_one() {
        // Berlin, 2024-03-31: 02:00 is 03:00.
        let midnight_ns = 1_711_753_200_000_000_000 + 86_400_000_000_000;
        let name = "<a-{now/d{MM-dd'T'HH:mm|Europe/Berlin}}-{now-1d{MM-dd'T'HH:mm|Europe/Berlin}}>";
        let at = |hours: i64| resolve(name, midnight_ns + hours * 3_600_000_000_000).unwrap().into_owned();
        assert_eq!(at(24), "a-04-01T00:00-03-31T01:00");
        assert_eq!(at(25), "a-04-01T00:00-03-31T03:00");
    }
}
