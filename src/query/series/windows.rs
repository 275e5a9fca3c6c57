//! Windows of time: where one starts and ends, with an offset and in a time zone with clock changes.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Nanoseconds between which clock changes are looked up: no zone changes its clock twice in so short a time.
const ZONE_STRETCH: i64 = 6 * 3600 * 1_000_000_000;

/// Least and greatest times of a row (nanoseconds since 1970); two values are left on the low side for other meanings.
pub const TIME_MIN: i64 = i64::MIN + 2;
pub const TIME_MAX: i64 = i64::MAX - 1;

/// Windows of one length that follow one another. A window starts where `(local time - offset)` is a whole multiple of
/// the interval since 1970; local is UTC without a zone. In a zone, the days on which clocks change have windows that are
/// longer or shorter, as long as the change is less than the interval.
///
/// The rules, with their odd corners at clock changes, are those of `GROUP BY time(interval, offset)` and `tz()` in
/// InfluxDB 1.6: the distance to UTC is looked up without the offset. All times and lengths are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Windows {
    interval: i64,
    offset: i64,
    zone: Option<Tz>,
}

impl Windows {
    /// `None` unless `interval` is positive. The offset counts modulo the interval, and keeps its sign.
    pub fn new(interval: i64, offset: i64, zone: Option<Tz>) -> Option<Self> {
        (interval > 0).then(|| Windows {
            interval,
            offset: offset % interval,
            zone: zone.filter(|zone| *zone != Tz::UTC),
        })
    }

    pub fn interval(&self) -> i64 {
        self.interval
    }

    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// `None` for UTC.
    pub fn zone(&self) -> Option<Tz> {
        self.zone
    }

    /// A cursor that finds windows; it remembers what it looked up.
    pub fn clock(&self) -> Clock {
        Clock { windows: self.clone(), stretch: None }
    }
}

/// Finds windows of one [`Windows`].
#[derive(Debug, Clone)]
pub struct Clock {
    windows: Windows,
    /// Times from, to (exclusive) with one distance to UTC.
    stretch: Option<(i64, i64, i64)>,
}

impl Clock {
    /// Start and end (exclusive) of the window that holds `time`.
    pub fn window(&mut self, time: i64) -> (i64, i64) {
        let Windows { interval, offset, zone } = self.windows;
        let time = time.wrapping_sub(offset);
        let shift = self.shift(time);
        let into = time.wrapping_add(shift).rem_euclid(interval);
        let mut start = if TIME_MIN.saturating_add(into) >= time { TIME_MIN } else { time - into };
        if zone.is_some() {
            start = start.wrapping_add(self.change(shift, start));
        }
        let rest = interval - into;
        let mut end = if TIME_MAX - rest <= time { TIME_MAX } else { time + rest };
        if zone.is_some() {
            let change = self.change(shift, end);
            // A clock that goes forward within the window before belongs to that one.
            if change > 0 || (change < 0 && self.shift(end.wrapping_add(change)) == shift - change) {
                end = end.wrapping_add(change);
            }
        }
        (start.wrapping_add(offset), end.wrapping_add(offset))
    }

    pub fn start(&mut self, time: i64) -> i64 {
        self.window(time).0
    }

    pub fn interval(&self) -> i64 {
        self.windows.interval
    }

    /// A walk over the windows from the one that starts at `start`.
    pub fn walk(mut self, start: i64) -> Walk {
        let shift = self.shift(start);
        Walk { clock: self, start: Some(start), shift }
    }

    /// How much less the zone is ahead at `time` than `shift`, or 0 when that is a whole window or more.
    fn change(&mut self, shift: i64, time: i64) -> i64 {
        let change = shift - self.shift(time);
        if change.abs() < self.windows.interval { change } else { 0 }
    }

    /// How far local time is ahead of UTC, nanoseconds.
    pub fn shift(&mut self, time: i64) -> i64 {
        let Some(zone) = self.windows.zone else { return 0 };
        if let Some((from, to, shift)) = self.stretch
            && (from..to).contains(&time)
        {
            return shift;
        }
        let from = time.saturating_sub(time.rem_euclid(ZONE_STRETCH));
        let to = from.saturating_add(ZONE_STRETCH);
        let first = shift_at(zone, from);
        if first == shift_at(zone, to - 1) {
            self.stretch = Some((from, to, first));
            return first;
        }
        shift_at(zone, time)
    }
}

/// Steps over windows one after the other, forwards or backwards. At a clock change a step is longer or shorter by the
/// change; the window in which the clock changes is taken to be the one before the step.
#[derive(Debug, Clone)]
pub struct Walk {
    clock: Clock,
    start: Option<i64>,
    shift: i64,
}

impl Walk {
    /// Where the window starts; `None` past the end of time.
    pub fn start(&self) -> Option<i64> {
        self.start
    }

    pub fn forward(&mut self) {
        self.start = self.start.and_then(|start| start.checked_add(self.clock.windows.interval));
        self.correct();
    }

    pub fn backward(&mut self) {
        self.start = self.start.and_then(|start| start.checked_sub(self.clock.windows.interval));
        self.correct();
    }

    fn correct(&mut self) {
        self.start = self.start.filter(|start| (TIME_MIN..=TIME_MAX).contains(start));
        let Some(start) = self.start else { return };
        let shift = self.clock.shift(start - 1);
        let change = self.shift - shift;
        self.shift = shift;
        if change.abs() < self.clock.windows.interval {
            self.start = start.checked_add(change);
        }
    }
}

fn shift_at(zone: Tz, time: i64) -> i64 {
    let utc = DateTime::from_timestamp_nanos(time).naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600 * 1_000_000_000;
    const DAY: i64 = 24 * HOUR;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
    }

    #[track_caller]
    fn check(zone: Option<Tz>, interval: i64, offset: i64, time: &str, start: &str, end: &str) {
        let window = Windows::new(interval, offset, zone).unwrap().clock().window(at(time));
        assert_eq!(
            window,
            (at(start), at(end)),
            "{} .. {}",
            DateTime::from_timestamp_nanos(window.0),
            DateTime::from_timestamp_nanos(window.1)
        );
    }

    #[test]
    fn windows_are_counted_from_1970() {
        check(None, HOUR, 0, "2023-03-01T10:59:59Z", "2023-03-01T10:00:00Z", "2023-03-01T11:00:00Z");
        check(None, 7 * DAY, 0, "2023-03-01T10:59:59Z", "2023-02-23T00:00:00Z", "2023-03-02T00:00:00Z");
        check(None, DAY, 6 * HOUR, "2023-03-01T05:00:00Z", "2023-02-28T06:00:00Z", "2023-03-01T06:00:00Z");
        check(None, DAY, -30 * HOUR, "2023-03-01T05:00:00Z", "2023-02-28T18:00:00Z", "2023-03-01T18:00:00Z");
        check(None, DAY, 0, "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z");
        assert_eq!(Windows::new(0, 0, None), None);
        assert_eq!(Windows::new(10, 0, None).unwrap().clock().window(i64::MAX - 1), (i64::MAX - 7, TIME_MAX));
        assert_eq!(Windows::new(10, 0, None).unwrap().clock().window(TIME_MIN).0, TIME_MIN);
    }

    #[test]
    fn days_are_local_and_23_or_25_hours_when_clocks_change() {
        let berlin = Some(chrono_tz::Europe::Berlin);
        check(berlin, DAY, 0, "2023-03-25T12:00:00Z", "2023-03-24T23:00:00Z", "2023-03-25T23:00:00Z");
        check(berlin, DAY, 0, "2023-03-26T12:00:00Z", "2023-03-25T23:00:00Z", "2023-03-26T22:00:00Z");
        check(berlin, DAY, 0, "2023-03-26T00:30:00Z", "2023-03-25T23:00:00Z", "2023-03-26T22:00:00Z");
        check(berlin, DAY, 0, "2023-10-29T12:00:00Z", "2023-10-28T22:00:00Z", "2023-10-29T23:00:00Z");
        check(berlin, HOUR, 0, "2023-10-29T01:30:00Z", "2023-10-29T01:00:00Z", "2023-10-29T02:00:00Z");
    }

    /// Points every ten minutes by window: (start, points), as InfluxDB 1.6.7 counted them.
    #[track_caller]
    fn check_counts(zone: Tz, (from, to): (&str, &str), interval: i64, offset: i64, expected: &[(&str, usize)]) {
        let mut clock = Windows::new(interval, offset, Some(zone)).unwrap().clock();
        let mut counts: Vec<(String, usize)> = Vec::new();
        let mut time = at(from);
        while time < at(to) {
            let start = DateTime::from_timestamp_nanos(clock.start(time)).format("%m-%dT%H:%M").to_string();
            match counts.last_mut() {
                Some((last, count)) if *last == start => *count += 1,
                _ => counts.push((start, 1)),
            }
            time += HOUR / 6;
        }
        let counts: Vec<(&str, usize)> = counts.iter().map(|(start, count)| (start.as_str(), *count)).collect();
        assert_eq!(counts, expected, "{zone}");
    }

    #[test]
    fn windows_with_offsets_at_clock_changes_are_those_of_the_server() {
        let berlin = chrono_tz::Europe::Berlin;
        let spring = ("2023-03-25T00:00:00Z", "2023-03-28T00:00:00Z");
        let autumn = ("2023-10-28T00:00:00Z", "2023-10-31T00:00:00Z");
        let counts = [("03-24T05:00", 30), ("03-25T05:00", 144), ("03-26T05:00", 138), ("03-27T04:00", 120)];
        check_counts(berlin, spring, DAY, 6 * HOUR, &counts);
        let counts = [("10-27T04:00", 24), ("10-28T04:00", 144), ("10-29T04:00", 150), ("10-30T05:00", 114)];
        check_counts(berlin, autumn, DAY, 6 * HOUR, &counts);
        let counts = [
            ("03-24T23:00", 66),
            ("03-25T11:00", 72),
            ("03-25T23:00", 66),
            ("03-26T10:00", 72),
            ("03-26T22:00", 72),
            ("03-27T10:00", 72),
            ("03-27T22:00", 12),
        ];
        check_counts(berlin, spring, 12 * HOUR, 0, &counts);
        let lord_howe = ("2023-04-01T00:00:00Z", "2023-04-03T00:00:00Z");
        let counts = [
            ("04-01T00:00", 36),
            ("04-01T06:00", 36),
            ("04-01T12:00", 39),
            ("04-01T18:30", 36),
            ("04-02T00:30", 36),
            ("04-02T06:30", 36),
            ("04-02T12:30", 36),
            ("04-02T18:30", 33),
        ];
        check_counts(chrono_tz::Australia::Lord_Howe, lord_howe, 6 * HOUR, -HOUR, &counts);
        let hours = ("2023-04-01T13:00:00Z", "2023-04-01T17:30:00Z");
        let counts = [("04-01T13:00", 6), ("04-01T14:00", 9), ("04-01T15:30", 6), ("04-01T16:30", 6)];
        check_counts(chrono_tz::Australia::Lord_Howe, hours, HOUR, 0, &counts);
    }

    #[test]
    fn a_walk_goes_over_the_windows_of_a_year() {
        for zone in
            [None, Some(chrono_tz::Europe::Berlin), Some(chrono_tz::America::New_York), Some(chrono_tz::Asia::Kolkata)]
        {
            let windows = Windows::new(DAY, 0, zone).unwrap();
            let mut clock = windows.clock();
            let first = clock.start(at("2023-01-01T12:00:00Z"));
            let mut walk = clock.clone().walk(first);
            let mut starts = Vec::new();
            for _ in 0..400 {
                let start = walk.start().unwrap();
                assert_eq!(clock.start(start), start, "{zone:?}");
                starts.push(start);
                let next = clock.window(start).1;
                walk.forward();
                assert_eq!(walk.start(), Some(next), "{zone:?}");
            }
            let mut back = clock.clone().walk(walk.start().unwrap());
            for start in starts.iter().rev() {
                back.backward();
                assert_eq!(back.start(), Some(*start), "{zone:?}");
            }
        }
    }

    #[test]
    fn a_walk_ends_where_time_does() {
        let mut walk = Windows::new(i64::MAX / 2, 0, None).unwrap().clock().walk(i64::MAX / 2);
        walk.forward();
        assert_eq!(walk.start(), Some(TIME_MAX));
        walk.forward();
        assert_eq!(walk.start(), None);
        walk.backward();
        assert_eq!(walk.start(), None);
    }

    /// The same rules, looked up for every time.
    fn plainly(windows: &Windows, time: i64) -> i64 {
        let zone = windows.zone.unwrap();
        let time = time - windows.offset;
        let shift = shift_at(zone, time);
        let start = time - (time + shift).rem_euclid(windows.interval);
        let change = shift - shift_at(zone, start);
        start + windows.offset + if change.abs() < windows.interval { change } else { 0 }
    }

    proptest! {
        #[test]
        fn what_is_remembered_changes_nothing_and_starts_go_up(
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            interval in proptest::sample::select(vec![HOUR / 4, HOUR, 2 * HOUR, 6 * HOUR, DAY, 7 * DAY]),
            offset in -30i64..30,
            from in 0i64..1_900_000_000,
            steps in proptest::collection::vec(0i64..4 * 3600, 200),
        ) {
            let windows = Windows::new(interval, offset * HOUR / 2, Some(zone)).unwrap();
            prop_assume!(windows.zone.is_some());
            let mut clock = windows.clock();
            let mut time = from * 1_000_000_000;
            let mut last = i64::MIN;
            for step in steps {
                time += step * 1_000_000_000;
                let start = clock.start(time);
                prop_assert_eq!(start, plainly(&windows, time));
                // What the order of the function's results rests on.
                prop_assert!(start >= last);
                last = start;
            }
        }
    }
}
