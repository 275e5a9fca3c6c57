//! Times: read from texts, shown by patterns, and their places in calendars.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use datafusion::logical_expr::Expr;

use crate::model::Precision;
use crate::query::tdsql::time::{fraction_digits, offset_seconds, parse_time};

use super::call;

const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// Texts as times, read in `zone` unless they say their own; null where they are none.
pub(in crate::query::tdsql) fn parsed(text: Expr, zone: Tz) -> Expr {
    call(format!("td_parsed_time_{zone}"), TIME, vec![text], move |args| {
        let times = args[0].as_string::<i32>().iter().map(|text| text.and_then(|text| parse_time(text, zone)));
        Ok(Arc::new(times.collect::<TimestampNanosecondArray>()) as ArrayRef)
    })
}

/// Times cut to a unit.
pub(in crate::query::tdsql) fn floored(time: Expr, precision: Precision) -> Expr {
    call(format!("td_floored_{precision:?}"), TIME, vec![time], move |args| {
        let times = args[0].as_primitive::<TimestampNanosecondType>();
        let cut = times.iter().map(|time| time.map(|time| precision.floor(time)));
        Ok(Arc::new(cut.collect::<TimestampNanosecondArray>()) as ArrayRef)
    })
}

/// A text of each time.
fn shown(name: String, time: Expr, show: impl Fn(i64) -> String + Send + Sync + 'static) -> Expr {
    call(name, DataType::Utf8, vec![time], move |args| {
        let times = args[0].as_primitive::<TimestampNanosecondType>();
        Ok(Arc::new(times.iter().map(|time| time.map(&show)).collect::<StringArray>()) as ArrayRef)
    })
}

/// ISO 8601 with the digits of `precision`: in the zone that `shown_as` (`Z`, `+08:00`, …) says, which is appended as it
/// is, or in `zone`.
pub(in crate::query::tdsql) fn iso8601(time: Expr, precision: Precision, zone: Tz, shown_as: Option<&str>) -> Expr {
    let digits = fraction_digits(precision);
    let shown_as = shown_as.map(str::to_string);
    let name = format!("td_iso8601_{digits}_{zone}_{}", shown_as.as_deref().unwrap_or_default());
    shown(name, time, move |time| {
        let moment = DateTime::from_timestamp_nanos(time);
        let fraction = format!("{:09}", moment.timestamp_subsec_nanos());
        let fraction = &fraction[..digits];
        match &shown_as {
            Some(text) => {
                let east = chrono::Duration::seconds(offset_seconds(text).unwrap_or(0));
                let local = moment.naive_utc().checked_add_signed(east).unwrap_or(moment.naive_utc());
                format!("{}.{fraction}{text}", local.format("%Y-%m-%dT%H:%M:%S"))
            }
            None => {
                let local = moment.with_timezone(&zone);
                format!("{}.{fraction}{}", local.format("%Y-%m-%dT%H:%M:%S"), local.format("%z"))
            }
        }
    })
}

/// By a pattern of PostgreSQL's kind.
pub(in crate::query::tdsql) fn formatted(time: Expr, zone: Tz, pattern: &str) -> Expr {
    let parts = pattern_parts(pattern);
    shown(format!("td_to_char_{zone}_{pattern}"), time, move |time| {
        let local = DateTime::from_timestamp_nanos(time).with_timezone(&zone);
        parts.iter().map(|part| part.show(&local)).collect()
    })
}

/// Texts as times by a pattern; null where they do not fit.
pub(in crate::query::tdsql) fn read_by(text: Expr, zone: Tz, pattern: &str) -> Expr {
    let parts = pattern_parts(pattern);
    call(format!("td_to_timestamp_{zone}_{pattern}"), TIME, vec![text], move |args| {
        let times = args[0].as_string::<i32>().iter().map(|text| text.and_then(|text| read(text, &parts, zone)));
        Ok(Arc::new(times.collect::<TimestampNanosecondArray>()) as ArrayRef)
    })
}

/// `week`, `weekofyear`, `weekday` (Monday is 0) or `dayofweek` (Sunday is 1).
pub(in crate::query::tdsql) fn of_calendar(what: &str, time: Expr, zone: Tz, mode: i64) -> Expr {
    let what = what.to_string();
    call(format!("td_{what}_{zone}_{mode}"), DataType::Int64, vec![time], move |args| {
        let times = args[0].as_primitive::<TimestampNanosecondType>();
        let one = |time: i64| {
            let date = DateTime::from_timestamp_nanos(time).with_timezone(&zone).date_naive();
            match what.as_str() {
                "weekday" => i64::from(date.weekday().num_days_from_monday()),
                "dayofweek" => i64::from(date.weekday().number_from_sunday()),
                "weekofyear" => i64::from(date.iso_week().week()),
                _ => week(date, mode),
            }
        };
        Ok(Arc::new(times.iter().map(|time| time.map(one)).collect::<Int64Array>()) as ArrayRef)
    })
}

/// The week of the year as MySQL's modes count: bit 0 Monday first, bit 1 from 1 on, bit 2 the first week begins with
/// the first day of the week.
fn week(date: NaiveDate, mode: i64) -> i64 {
    let (monday, from_one, by_first_day) = (mode & 1 != 0, mode & 2 != 0, (mode & 4 != 0) ^ (mode & 1 == 0));
    let weekday = |date: NaiveDate| {
        if monday { date.weekday().num_days_from_monday() } else { date.weekday().num_days_from_sunday() }
    };
    let first_week = |year: i32| {
        let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
        let day = i64::from(weekday(first));
        let starts_here = if by_first_day { day == 0 } else { day <= 3 };
        let back = chrono::Duration::days(day);
        if starts_here {
            first.checked_sub_signed(back)
        } else {
            first.checked_sub_signed(back)?.checked_add_signed(chrono::Duration::days(7))
        }
    };
    let number = |year: i32| first_week(year).map_or(0, |start| (date - start).num_days().div_euclid(7) + 1);
    if from_one {
        if first_week(date.year() + 1).is_some_and(|next| date >= next) {
            return 1;
        }
        let here = number(date.year());
        return if here < 1 { number(date.year() - 1) } else { here };
    }
    number(date.year()).max(0)
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(&'static str),
}

/// Longest first, so that `hh24` is not `hh` and `24`.
const FIELDS: [&str; 32] = [
    "month", "hh24", "hh12", "yyyy", "y,yyy", "ddd", "day", "mon", "a.m.", "p.m.", "yyy", "tzh", "yy", "mm", "dd",
    "hh", "mi", "ss", "ms", "us", "ns", "am", "pm", "d", "y", "Month", "MONTH", "Mon", "MON", "Day", "DAY", "AM",
];

fn pattern_parts(pattern: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = pattern;
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
            text.push_str(&rest[1..end]);
            rest = rest.get(end + 1..).unwrap_or_default();
            continue;
        }
        let exact = FIELDS.iter().filter(|field| rest.starts_with(**field));
        let any_case =
            FIELDS.iter().filter(|field| rest.get(..field.len()).is_some_and(|head| head.eq_ignore_ascii_case(field)));
        let longest = any_case.map(|field| field.len()).max();
        let field = exact.chain(
            FIELDS.iter().filter(|field| rest.get(..field.len()).is_some_and(|head| head.eq_ignore_ascii_case(field))),
        );
        match field.filter(|field| Some(field.len()) == longest).copied().next() {
            Some(field) => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Field(field));
                rest = &rest[field.len()..];
            }
            None => {
                text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

impl Part {
    fn show(&self, local: &DateTime<Tz>) -> String {
        let field = match self {
            Part::Text(text) => return text.clone(),
            Part::Field(field) => *field,
        };
        let nanos = local.timestamp_subsec_nanos();
        match field {
            "yyyy" => format!("{:04}", local.year()),
            "y,yyy" => format!("{},{:03}", local.year() / 1000, local.year() % 1000),
            "yyy" => format!("{:03}", local.year() % 1000),
            "yy" => format!("{:02}", local.year() % 100),
            "y" => format!("{}", local.year() % 10),
            "mm" => format!("{:02}", local.month()),
            "month" => format!("{:<9}", local.format("%B").to_string().to_lowercase()),
            "Month" => format!("{:<9}", local.format("%B")),
            "MONTH" => format!("{:<9}", local.format("%B").to_string().to_uppercase()),
            "mon" => local.format("%b").to_string().to_lowercase(),
            "Mon" => local.format("%b").to_string(),
            "MON" => local.format("%b").to_string().to_uppercase(),
            "dd" => format!("{:02}", local.day()),
            "ddd" => format!("{:03}", local.ordinal()),
            "d" => format!("{}", local.weekday().number_from_sunday()),
            "day" => format!("{:<9}", local.format("%A").to_string().to_lowercase()),
            "Day" => format!("{:<9}", local.format("%A")),
            "DAY" => format!("{:<9}", local.format("%A").to_string().to_uppercase()),
            "hh24" => format!("{:02}", local.hour()),
            "hh12" | "hh" => format!("{:02}", local.hour12().1),
            "mi" => format!("{:02}", local.minute()),
            "ss" => format!("{:02}", local.second()),
            "ms" => format!("{:03}", nanos / 1_000_000),
            "us" => format!("{:06}", nanos / 1_000),
            "ns" => format!("{nanos:09}"),
            "am" | "pm" => if local.hour12().0 { "pm" } else { "am" }.to_string(),
            "AM" => if local.hour12().0 { "PM" } else { "AM" }.to_string(),
            "a.m." | "p.m." => if local.hour12().0 { "p.m." } else { "a.m." }.to_string(),
            "tzh" => local.format("%:z").to_string()[..3].to_string(),
            other => other.to_string(),
        }
    }
}

fn read(text: &str, parts: &[Part], zone: Tz) -> Option<i64> {
    let (mut year, mut month, mut day, mut hour, mut minute, mut second, mut nanos) = (1970, 1, 1, 0, 0, 0, 0u32);
    let (mut afternoon, mut twelve, mut offset) = (false, false, None);
    let mut rest = text;
    for part in parts {
        let field = match part {
            Part::Text(text) => {
                for c in text.chars() {
                    if c.is_whitespace() {
                        rest = rest.trim_start();
                    } else {
                        rest = rest.strip_prefix(|found: char| !found.is_ascii_alphanumeric() || found == c)?;
                    }
                }
                continue;
            }
            Part::Field(field) => *field,
        };
        let mut digits = |most: usize| -> Option<(u32, usize)> {
            rest = rest.trim_start();
            let end = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let number = rest[..end].parse().ok()?;
            rest = &rest[end..];
            Some((number, end))
        };
        match field {
            "yyyy" => year = digits(4)?.0 as i32,
            "yy" => year = 2000 + digits(2)?.0 as i32,
            "mm" => month = digits(2)?.0,
            "dd" => day = digits(2)?.0,
            "hh24" => hour = digits(2)?.0,
            "hh" | "hh12" => (hour, twelve) = (digits(2)?.0, true),
            "mi" => minute = digits(2)?.0,
            "ss" => second = digits(2)?.0,
            "ms" | "us" | "ns" => {
                let most = match field {
                    "ms" => 3,
                    "us" => 6,
                    _ => 9,
                };
                let (number, length) = digits(most)?;
                nanos = number * 10u32.pow(9 - length as u32);
            }
            "am" | "pm" | "AM" => {
                let word = rest.get(..2)?;
                (afternoon, twelve) = (word.eq_ignore_ascii_case("pm"), true);
                rest = &rest[2..];
            }
            "month" | "Month" | "MONTH" | "mon" | "Mon" | "MON" => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                month = rest[..end].parse::<chrono::Month>().ok()?.number_from_month();
                rest = &rest[end..];
            }
            "tzh" => {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-:".contains(c))).unwrap_or(rest.len());
                offset = Some(offset_seconds(&rest[..end])?);
                rest = &rest[end..];
            }
            _ => return None,
        }
    }
    if twelve {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    let local = date.and_time(NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?);
    match offset {
        Some(seconds) => local.and_utc().timestamp_nanos_opt()?.checked_sub(seconds * 1_000_000_000),
        None => zone.from_local_datetime(&local).earliest()?.timestamp_nanos_opt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_show_and_read_the_same_time() {
        let time = parse_time("2024-03-01T13:02:03.004Z", Tz::UTC).unwrap();
        let local = DateTime::from_timestamp_nanos(time).with_timezone(&Tz::UTC);
        for (pattern, expected) in [
            ("yyyy-mm-dd hh24:mi:ss.ms", "2024-03-01 13:02:03.004"),
            ("YYYY/MM/DD", "2024/03/01"),
            ("hh12:mi am", "01:02 pm"),
            ("DD Mon yy", "01 Mar 24"),
            ("\"yyyy\" ddd d", "yyyy 061 6"),
        ] {
            let parts = pattern_parts(pattern);
            assert_eq!(parts.iter().map(|part| part.show(&local)).collect::<String>(), expected, "{pattern}");
        }
        let parts = pattern_parts("yyyy-mm-dd hh24:mi:ss.ms");
        assert_eq!(read("2024-03-01 13:02:03.004", &parts, Tz::UTC), Some(time));
        for wrong in ["", "2024-13-01 00:00:00.000", "x", "ä"] {
            assert_eq!(read(wrong, &parts, Tz::UTC), None, "{wrong}");
        }
    }

    #[test]
    fn weeks_are_counted_by_their_modes() {
        let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        // What MySQL answers, whose rules these are.
        for (date, mode, expected) in [
            (date(2008, 2, 20), 0, 7),
            (date(2008, 2, 20), 1, 8),
            (date(2008, 12, 31), 1, 53),
            (date(2000, 1, 1), 0, 0),
            (date(2000, 1, 1), 2, 52),
        ] {
            assert_eq!(week(date, mode), expected, "{date} {mode}");
        }
    }
}
