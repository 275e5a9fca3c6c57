//! The buckets of a downsampling: which one an instant is in.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

use crate::query::opentsdb::downsample::Interval;
use crate::query::opentsdb::duration::{Duration, Unit};
use crate::query::opentsdb::time::millis_of;
use crate::query::opentsdb::window::Window;

/// The buckets of one query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Buckets {
    /// One for the instants from `start_ms` on before `end_ms`.
    All {
        start_ms: i64,
        end_ms: i64,
    },
    /// Counted from 1970.
    Fixed {
        width_ms: i64,
    },
    Calendar(Calendar),
}

/// A stretch of time: milliseconds since 1970, the first included, the last not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    pub start_ms: i64,
    pub end_ms: i64,
}

impl Buckets {
    /// Those of a query from `start_ms` to `end_ms` that reads `window`.
    pub(super) fn new(interval: Interval, zone: Tz, (start_ms, end_ms): (i64, i64), window: Window) -> Buckets {
        match interval {
            Interval::All => Buckets::All { start_ms, end_ms },
            Interval::Fixed(duration) => Buckets::Fixed { width_ms: duration.millis() },
            Interval::Calendar(duration) => Buckets::Calendar(Calendar { duration, zone, from_ms: window.start_ms }),
        }
    }

    /// The bucket that an instant is in; `None` when it is in none.
    pub(super) fn at(&self, ms: i64) -> Option<Bucket> {
        match self {
            Buckets::All { start_ms, end_ms } => {
                let bucket = Bucket { start_ms: *start_ms, end_ms: *end_ms };
                (*start_ms <= ms && ms < *end_ms).then_some(bucket)
            }
            Buckets::Fixed { width_ms } => {
                let start_ms = ms - ms.rem_euclid(*width_ms);
                Some(Bucket { start_ms, end_ms: start_ms.saturating_add(*width_ms) })
            }
            Buckets::Calendar(calendar) => Some(calendar.at(ms)),
        }
    }
}

/// Intervals counted on the calendar of a zone. What they are counted from hangs on the unit, as in OpenTSDB's
/// `DateTime.previousInterval`: hours from midnight or, when a day is no multiple, the first of the month, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Calendar {
    duration: Duration,
    zone: Tz,
    /// From where several weeks or years are counted on.
    from_ms: i64,
}

impl Calendar {
    fn at(&self, ms: i64) -> Bucket {
        let Some(local) = self.local(ms) else {
            // Beyond the calendar: nothing that is stored can be there.
            return Bucket { start_ms: ms, end_ms: ms.saturating_add(1) };
        };
        let n = self.duration.count;
        let midnight = local.date().and_time(NaiveTime::MIN);
        let in_year = |date: NaiveDate| date.with_ordinal(1).unwrap_or(date);
        match self.duration.unit {
            unit @ (Unit::Millisecond | Unit::Second | Unit::Minute | Unit::Hour) => {
                let hour = midnight.with_hour(local.hour()).unwrap_or(midnight);
                let minute = hour.with_minute(local.minute()).unwrap_or(hour);
                let second = minute.with_second(local.second()).unwrap_or(minute);
                let anchor = match unit {
                    Unit::Millisecond if 1000 % n == 0 => second,
                    Unit::Millisecond => minute,
                    Unit::Second if 60 % n == 0 => minute,
                    Unit::Second => hour,
                    Unit::Minute if 60 % n == 0 => hour,
                    Unit::Minute => midnight,
                    _ if 24 % n == 0 => midnight,
                    _ => midnight.with_day(1).unwrap_or(midnight),
                };
                let (anchor, width) = (self.instant(anchor), self.duration.millis());
                let start_ms = anchor + (ms - anchor).div_euclid(width) * width;
                Bucket { start_ms, end_ms: start_ms.saturating_add(width) }
            }
            Unit::Day if n == 1 => self.days(local.date(), 1),
            Unit::Day => {
                let first = in_year(local.date());
                let passed = (local.date() - first).num_days();
                self.days(first + Days::new((passed / n * n).unsigned_abs()), n)
            }
            Unit::Week => {
                let sunday = sunday_of(local.date());
                let from = self.local(self.from_ms).map_or(sunday, |local| sunday_of(local.date()));
                let behind = (sunday - from).num_days().rem_euclid(n.saturating_mul(7));
                self.days(sunday - Days::new(behind.unsigned_abs()), n.saturating_mul(7))
            }
            Unit::Month => {
                let (first, passed) = (in_year(local.date()), i64::from(local.month0()));
                self.months(first, passed / n * n, n)
            }
            Unit::Year => {
                let from = self.local(self.from_ms).map_or(local.year(), |local| local.year());
                let behind = i64::from(local.year() - from).rem_euclid(n);
                self.months(in_year(local.date()), -12 * behind, n.saturating_mul(12))
            }
        }
    }

    fn days(&self, first: NaiveDate, count: i64) -> Bucket {
        let end = first.checked_add_days(Days::new(count.unsigned_abs()));
        self.bucket(first, end)
    }

    /// `count` months, from so many after `first`.
    fn months(&self, first: NaiveDate, after: i64, count: i64) -> Bucket {
        let shifted = |months: i64| {
            let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
            if months < 0 { first.checked_sub_months(by) } else { first.checked_add_months(by) }
        };
        self.bucket(shifted(after).unwrap_or(first), shifted(after.saturating_add(count)))
    }

    fn bucket(&self, first: NaiveDate, end: Option<NaiveDate>) -> Bucket {
        let instant = |date: NaiveDate| self.instant(date.and_time(NaiveTime::MIN));
        Bucket { start_ms: instant(first), end_ms: end.map_or(i64::MAX, instant) }
    }

    /// The wall clock; `None` where the calendar has ended, be it only in this zone.
    fn local(&self, ms: i64) -> Option<NaiveDateTime> {
        let instant = DateTime::from_timestamp_millis(ms)?.naive_utc();
        instant.checked_add_offset(self.zone.offset_from_utc_datetime(&instant).fix())
    }

    fn instant(&self, local: NaiveDateTime) -> i64 {
        millis_of(local, self.zone)
    }
}

fn sunday_of(date: NaiveDate) -> NaiveDate {
    date - Days::new(u64::from(date.weekday().num_days_from_sunday()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR_S: i64 = 1_356_998_400; // 2013-01-01, a Tuesday.

    fn check(interval: &str, zone: &str, at_s: i64, expected_s: (i64, i64)) {
        let buckets = Buckets::new(
            Interval::Calendar(interval.parse().expect("a duration")),
            zone.parse().expect("a zone"),
            (0, 0),
            Window { start_ms: NEW_YEAR_S * 1000, end_ms: i64::MAX },
        );
        let found = buckets.at(at_s * 1000).expect("a bucket");
        assert_eq!((found.start_ms / 1000, found.end_ms / 1000), expected_s, "{interval} {zone} {at_s}");
    }

    #[test]
    fn calendar_intervals_begin_where_the_zone_says() {
        let (t, day) = (NEW_YEAR_S, 86_400);
        check("1d", "UTC", t + 5, (t, t + day));
        check("1d", "America/New_York", t + 5, (t - 19 * 3600, t + 5 * 3600));
        check("1d", "Asia/Kabul", t, (t - 16_200, t - 16_200 + day));
        check("12h", "Asia/Kolkata", t, (t - 19_800, t - 19_800 + day / 2));
        check("1w", "UTC", t, (t - 2 * day, t + 5 * day));
        check("2w", "UTC", t + 6 * day, (t - 2 * day, t + 12 * day));
        check("1n", "UTC", t + 40 * day, (t + 31 * day, t + 59 * day));
        check("5n", "UTC", t + 160 * day, (t + 151 * day, t + 304 * day));
        check("1y", "UTC", t + 160 * day, (t, t + 365 * day));
        check("3d", "UTC", t + 4 * day, (t + 3 * day, t + 6 * day));
        check("7m", "UTC", t + 8 * 60, (t + 7 * 60, t + 14 * 60));
        check("15s", "UTC", t + 20, (t + 15, t + 30));
        // A day of 23 hours.
        check("1d", "America/New_York", 1_362_900_600, (1_362_891_600, 1_362_974_400));
    }

    #[test]
    fn where_the_calendar_of_a_zone_ends_so_do_its_intervals() {
        let last_ms = DateTime::<chrono::Utc>::MAX_UTC.timestamp_millis();
        for (zone, at_ms) in [("Asia/Tokyo", last_ms), ("America/New_York", last_ms), ("UTC", last_ms + 1)] {
            for interval in ["1d", "1w", "1n", "5y"] {
                let duration = interval.parse().expect("a duration");
                let window = Window { start_ms: 0, end_ms: i64::MAX };
                let zone = zone.parse().expect("a zone");
                let buckets = Buckets::new(Interval::Calendar(duration), zone, (0, 0), window);
                let found = buckets.at(at_ms).expect("a bucket");
                assert!(found.start_ms <= at_ms && at_ms < found.end_ms, "{zone} {interval} {found:?}");
            }
        }
    }

    #[test]
    fn fixed_ones_are_counted_from_1970_and_the_whole_range_has_one() {
        let window = Window { start_ms: 0, end_ms: 10_000 };
        let fixed = Buckets::new(Interval::Fixed("7s".parse().expect("a duration")), Tz::UTC, (0, 0), window);
        assert_eq!(fixed.at(20_000), Some(Bucket { start_ms: 14_000, end_ms: 21_000 }));
        let all = Buckets::new(Interval::All, Tz::UTC, (3_000, 9_000), window);
        assert_eq!(all.at(3_000), Some(Bucket { start_ms: 3_000, end_ms: 9_000 }));
        assert_eq!((all.at(2_999), all.at(9_000)), (None, None));
    }
}
