//! When: the bounds on time in a condition, and the windows that a select groups by.

use crate::query::influxql::check::{Interval, Offset, TimeRange};
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::expr::Expr;
use crate::query::influxql::select::Field;
use crate::query::influxql::zone::TimeZone;
use crate::query::series::{TIME_MAX, TIME_MIN, Windows};

use super::calls::look_back_of;
use super::resolve::{Origin, Query};

/// Times from and to, both included, nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start: i64,
    pub end: i64,
}

impl Range {
    pub(super) const ALL: Range = Range { start: TIME_MIN, end: TIME_MAX };

    pub(super) fn intersect(self, other: Range) -> Range {
        Range { start: self.start.max(other.start), end: self.end.min(other.end) }
    }

    /// The time of what has no time of its own.
    pub(super) fn start_or_zero(self) -> i64 {
        if self.is_unbounded_below() { 0 } else { self.start }
    }

    pub(super) fn is_unbounded_below(self) -> bool {
        self.start <= TIME_MIN
    }

    pub(super) fn is_unbounded_above(self) -> bool {
        self.end >= TIME_MAX
    }
}

impl Query {
    /// The times of the points that are read: before the first window there are more for calls over windows, so that
    /// the first one of the range has those before it.
    pub(super) fn read_range(&self) -> Range {
        self.range_with(self.look_back)
    }

    /// The times of the points that are read of tables: of a look back no more than the whole statement reads.
    pub(super) fn stored_range(&self) -> Range {
        self.read_range().intersect(self.bounds)
    }

    /// What a whole statement reads: its range, and the windows before it (behind it, downwards) that its own calls look
    /// back at.
    pub(super) fn whole_range(&self, extra_windows: i64) -> Range {
        self.range_with(extra_windows)
    }

    fn range_with(&self, extra_windows: i64) -> Range {
        let Some(windows) = &self.windows else { return self.range };
        let extra = windows.interval().saturating_mul(extra_windows);
        match self.direction {
            Direction::Ascending if !self.range.is_unbounded_below() => {
                Range { start: self.range.start.saturating_sub(extra).max(TIME_MIN), ..self.range }
            }
            Direction::Descending if !self.range.is_unbounded_above() => {
                Range { end: self.range.end.saturating_add(extra).min(TIME_MAX), ..self.range }
            }
            _ => self.range,
        }
    }

    /// The same select for calls that look back at fewer windows, and what is inside it for them.
    pub(super) fn looking_back(&self, windows: i64) -> Query {
        let mut query = Query { look_back: windows, ..self.clone() };
        let range = query.read_range();
        query.narrow(range);
        query
    }

    fn narrow(&mut self, range: Range) {
        for source in &mut self.sources {
            if let Origin::Query(inner) = source {
                inner.range = inner.range.intersect(range);
                inner.narrow(range);
            }
        }
    }
}

/// How many windows before the first the calls of the fields read, at most.
pub(super) fn look_back(fields: &[Field]) -> i64 {
    let mut most = 0;
    for field in fields {
        field.expr.any(&mut |part| {
            if let Expr::Call(call) = part {
                most = most.max(look_back_of(call));
            }
            false
        });
    }
    most
}

/// The times that a select's own condition allows; with windows, nothing is later than now.
pub(super) fn of(range: TimeRange, has_windows: bool, now: i64) -> Range {
    let latest = if has_windows { now } else { TIME_MAX };
    Range { start: range.min.map_or(TIME_MIN, |min| min.max(TIME_MIN)), end: range.max.unwrap_or(latest).min(TIME_MAX) }
}

/// `time(length, offset)` as windows; none when the length is negative.
pub(super) fn windows(interval: &Interval, zone: Option<TimeZone>) -> Option<Windows> {
    let offset = match interval.offset {
        Offset::Nanoseconds(offset) => offset,
        Offset::Text(_) => 0,
    };
    Windows::new(interval.length, offset, zone.map(|zone| zone.rules))
}
