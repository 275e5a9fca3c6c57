//! The stretch of time that is read for a range: whole hours around it.
//!
//! Points outside the range but inside the window take part in downsampling, rates and interpolation, so the window shows in
//! the numbers. It is the one that OpenTSDB's rows of an hour lead to.

use super::downsample::Interval;

const HOUR_S: i64 = 3600;

/// Milliseconds since 1970, the first included, the last not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Window {
    /// What is read for the instants from `start_ms` to `end_ms`, both included.
    pub fn of(start_ms: i64, end_ms: i64, interval: Option<Interval>) -> Window {
        let interval_ms = interval.and_then(Interval::millis);
        let mut start = start_ms.div_euclid(1000);
        let end = end_ms.div_euclid(1000).saturating_add(1);
        let mut aligned_end = end;
        if let Some(interval_ms) = interval_ms {
            start -= start.saturating_mul(1000).rem_euclid(interval_ms) / 1000;
            let rest = interval_ms - end.saturating_mul(1000).rem_euclid(interval_ms);
            aligned_end = end.saturating_add(rest / 1000);
        }
        let start = start.div_euclid(HOUR_S) * HOUR_S;
        let into_hour = aligned_end.rem_euclid(HOUR_S);
        let end = match (into_hour, interval_ms) {
            (0, Some(_)) => aligned_end,
            _ => aligned_end.saturating_add(HOUR_S - into_hour),
        };
        Window { start_ms: start.max(0).saturating_mul(1000), end_ms: end.saturating_mul(1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::opentsdb::downsample::Downsample;

    #[test]
    fn a_window_is_whole_hours_around_the_range() {
        let check = |start: i64, end: i64, downsample: Option<&str>, expected: (i64, i64)| {
            let interval = downsample.map(|text| Downsample::parse(text, false).expect("a downsampling").interval);
            let found = Window::of(start * 1000, end * 1000, interval);
            let expected = Window { start_ms: expected.0 * 1000, end_ms: expected.1 * 1000 };
            assert_eq!(found, expected, "{start} {end} {downsample:?}");
        };
        let h = 1_356_998_400;
        check(h, h, None, (h, h + 3600));
        check(h + 60, h + 3598, None, (h, h + 3600));
        // The last second of an hour reaches into the next one.
        check(h + 60, h + 3599, None, (h, h + 7200));
        check(h + 60, h + 120, Some("1m-avg"), (h, h + 3600));
        check(h + 60, h + 3599, Some("1m-avg"), (h, h + 7200));
        check(h + 60, h + 3598, Some("1m-avg"), (h, h + 3600));
        check(h + 7200, h + 7260, Some("1d-avg"), (h, h + 86_400));
        check(h + 60, h + 120, Some("0all-avg"), (h, h + 3600));
        check(100, 200, Some("1d-avg"), (0, 86_400));
    }
}
