//! What a downsampling asks for: `<interval>-<function>[-<fill>]`.

use super::aggregator::{Aggregator, Function};
use super::duration::Duration;
use super::error::OpentsdbError;

/// What stands in a bucket without points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fill {
    /// Nothing: the bucket is left out.
    None,
    /// Not a number, shown as such.
    Nan,
    /// Not a number, shown as null.
    Null,
    Zero,
}

/// How long a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interval {
    /// The whole range of the query.
    All,
    /// Counted from 1970.
    Fixed(Duration),
    /// Counted on the calendar of a zone.
    Calendar(Duration),
}

impl Interval {
    /// Its fixed length, milliseconds; `None` for the whole range.
    pub fn millis(self) -> Option<i64> {
        match self {
            Interval::All => None,
            Interval::Fixed(duration) | Interval::Calendar(duration) => Some(duration.millis()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Downsample {
    pub interval: Interval,
    pub function: Function,
    pub fill: Fill,
}

impl Downsample {
    /// Reads a specification as OpenTSDB's `DownsamplingSpecification` does; `calendar` makes its interval one of the
    /// calendar whether or not it ends in `c`.
    pub fn parse(text: &str, calendar: bool) -> Result<Self, OpentsdbError> {
        let mut parts: Vec<&str> = text.split('-').collect();
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let refused = |why: &str| OpentsdbError::Refused(format!("Invalid downsampling specifier '{text}': {why}"));
        let (interval, function, fill) = match parts[..] {
            [interval, function] => (interval, function, None),
            [interval, function, fill] => (interval, function, Some(fill)),
            [] | [_] => return Err(refused("must provide at least interval and function")),
            _ => return Err(refused("must consist of interval, function, and optional fill policy")),
        };
        let interval = if interval.contains("all") {
            Interval::All
        } else if let Some(interval) = interval.strip_suffix('c') {
            Interval::Calendar(interval.parse()?)
        } else if calendar {
            Interval::Calendar(interval.parse()?)
        } else {
            Interval::Fixed(interval.parse()?)
        };
        let aggregator = Aggregator::named(function)
            .ok_or_else(|| OpentsdbError::Refused(format!("No such downsampling function: {function}")))?;
        let function = aggregator
            .function
            .ok_or_else(|| OpentsdbError::refused("cannot use the NONE aggregator for downsampling"))?;
        let fill = match fill.map(str::to_ascii_lowercase).as_deref() {
            None | Some("none") => Fill::None,
            Some("nan") => Fill::Nan,
            Some("null") => Fill::Null,
            Some("zero") => Fill::Zero,
            Some("scalar") => return Err(OpentsdbError::refused("The scalar fill policy is not supported here")),
            Some(_) => {
                let name = fill.unwrap_or_default();
                return Err(OpentsdbError::Refused(format!("Unrecognized fill policy: {name}")));
            }
        };
        Ok(Downsample { interval, function, fill })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_has_two_or_three_parts() {
        let check = |text: &str, expected: Result<(Option<i64>, Fill), &str>| {
            let found = Downsample::parse(text, false);
            let found = found.map(|d| (d.interval.millis(), d.fill)).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_string), "{text}");
        };
        check("1m-avg", Ok((Some(60_000), Fill::None)));
        check("500ms-sum-NaN", Ok((Some(500), Fill::Nan)));
        check("1m-sum-null", Ok((Some(60_000), Fill::Null)));
        check("1dc-sum-zero", Ok((Some(86_400_000), Fill::Zero)));
        check("0all-sum", Ok((None, Fill::None)));
        check("1m", Err("Invalid downsampling specifier '1m': must provide at least interval and function"));
        check("1m-", Err("Invalid downsampling specifier '1m-': must provide at least interval and function"));
        check(
            "1m-avg-nan-x",
            Err(
                "Invalid downsampling specifier '1m-avg-nan-x': must consist of interval, function, and optional fill \
                 policy",
            ),
        );
        check("1m-bogus", Err("No such downsampling function: bogus"));
        check("1m-none", Err("cannot use the NONE aggregator for downsampling"));
        check("1q-avg", Err("Invalid duration (suffix): 1q"));
        check("0m-avg", Err("Zero or negative duration: 0m"));
        check("1m-avg-bogus", Err("Unrecognized fill policy: bogus"));
        assert!(Downsample::parse("1m-sum-scalar", false).is_err());
    }

    #[test]
    fn calendar_mode_takes_every_interval_but_the_whole_range() {
        let interval = |text: &str, calendar| Downsample::parse(text, calendar).expect("a downsampling").interval;
        assert!(matches!(interval("1d-sum", true), Interval::Calendar(_)));
        assert!(matches!(interval("1dc-sum", false), Interval::Calendar(_)));
        assert!(matches!(interval("0all-sum", true), Interval::All));
    }
}
