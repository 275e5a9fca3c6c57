//! GROUP BY → windows and tags.

use super::error::CheckError;
use super::fold::{Environment, fold};
use super::moment;
use crate::query::influxql::duration::Duration;
use crate::query::influxql::error::ShapeError;
use crate::query::influxql::expr::{Call, Expr, Literal, VarRef};
use crate::query::influxql::regex::Regex;
use crate::query::influxql::zone::TimeZone;

/// What `time(interval, offset)` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// In nanoseconds; not zero. A negative one counts where the rules ask for an interval, but makes no windows.
    pub length: i64,
    pub offset: Offset,
}

/// By how much windows are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offset {
    /// In nanoseconds, less than the interval either way; zero when nothing is said.
    Nanoseconds(i64),
    /// A time in quotes, which the server takes and then does not run: as it prints.
    Text(String),
}

/// What a GROUP BY divides by besides time.
#[derive(Debug, Clone, PartialEq)]
pub enum Dimension {
    Tag(VarRef),
    /// Every tag.
    All,
    /// Every tag whose name matches.
    Matching(Regex),
}

/// From year 1, which the server counts whole intervals from, to 1970, in nanoseconds.
const YEAR_ONE_TO_1970: i128 = 62_135_596_800_000_000_000;

pub(super) fn check(
    written: &[Expr],
    now: i64,
    zone: Option<TimeZone>,
) -> Result<(Option<Interval>, Vec<Dimension>), CheckError> {
    let mut interval: Option<Interval> = None;
    let mut dimensions = Vec::new();
    for dimension in written {
        match fold(dimension, &Environment::default()) {
            Expr::Ref(reference) if reference.is_time() => return Err(CheckError::TimeIsNoDimension),
            Expr::Ref(reference) => dimensions.push(Dimension::Tag(reference)),
            Expr::Wildcard(_) => dimensions.push(Dimension::All),
            Expr::Literal(Literal::Regex(regex)) => dimensions.push(Dimension::Matching(regex)),
            Expr::Call(call) => {
                let found = check_time(&call, interval.is_some(), now, zone)?;
                interval = found.or(interval);
            }
            _ => return Err(CheckError::Dimension),
        }
    }
    Ok((interval, dimensions))
}

fn check_time(call: &Call, again: bool, now: i64, zone: Option<TimeZone>) -> Result<Option<Interval>, CheckError> {
    if call.name != "time" {
        return Err(CheckError::DimensionCall);
    }
    let (length, offset) = match call.args.as_slice() {
        [length] => (length, None),
        [length, offset] => (length, Some(offset)),
        _ => return Err(ShapeError::TimeArguments.into()),
    };
    let Expr::Literal(Literal::Duration(Duration(length))) = *length else {
        return Err(ShapeError::TimeWithoutDuration.into());
    };
    if again {
        return Err(CheckError::SecondInterval);
    }
    let offset = offset.map_or(Ok(Offset::Nanoseconds(0)), |offset| check_offset(offset, length, now, zone))?;
    Ok((length != 0).then_some(Interval { length, offset }))
}

fn check_offset(offset: &Expr, length: i64, now: i64, zone: Option<TimeZone>) -> Result<Offset, CheckError> {
    match offset {
        Expr::Literal(Literal::Duration(Duration(offset))) => {
            Ok(Offset::Nanoseconds(offset.checked_rem(length).unwrap_or(0)))
        }
        Expr::Literal(Literal::Time(time)) => Ok(Offset::Nanoseconds(into_interval(*time, length))),
        Expr::Literal(Literal::String(text)) if moment::looks_like_time(text) => {
            moment::parse(text, zone).ok_or(CheckError::InvalidTime)?;
            Ok(Offset::Text(offset.to_string()))
        }
        Expr::Call(Call { name, .. }) if name != "now" => Err(CheckError::OffsetCall),
        Expr::Call(Call { args, .. }) if !args.is_empty() => Err(CheckError::OffsetNowArguments),
        Expr::Call(_) => Ok(Offset::Nanoseconds(into_interval(now.into(), length))),
        _ => Err(CheckError::Offset),
    }
}

/// How far `time` is into its interval, counted from year 1.
fn into_interval(time: i128, length: i64) -> i64 {
    if length <= 0 {
        return 0;
    }
    i64::try_from((time + YEAR_ONE_TO_1970).rem_euclid(length.into())).unwrap_or(0)
}
