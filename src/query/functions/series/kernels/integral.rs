//! The area below a series.

use datafusion::arrow::datatypes::Float64Type;

use super::number::{Machine, Native, Number};
use crate::query::series::{Clock, Windows};

/// Sums trapezoids. At the border of a window the line between the points on both sides is cut. Of points at one time
/// the last counts.
///
/// Beyond a border, integers go on from the value at the border to the value before it instead of to the one after:
/// that is what InfluxDB computes.
#[derive(Debug)]
pub(super) struct Integral<T: Number> {
    unit: i64,
    clock: Option<Clock>,
    descending: bool,
    /// Where the area at hand is given, and where it ends in the order of the series.
    start: i64,
    end: i64,
    sum: f64,
    last: Option<(i64, Native<T>)>,
}

impl<T: Number> Integral<T> {
    pub(super) fn new(unit: i64, windows: Option<&Windows>, whole: i64, descending: bool) -> Self {
        let clock = windows.map(Windows::clock);
        Integral { unit, clock, descending, start: whole, end: whole, sum: 0.0, last: None }
    }

    fn enter(&mut self, time: i64) {
        let Some(clock) = &mut self.clock else { return };
        let (start, end) = clock.window(time);
        (self.start, self.end) = if self.descending { (end, start) } else { (start, end) };
    }

    fn passed(&self, time: i64) -> bool {
        self.clock.is_some() && if self.descending { time <= self.end } else { time >= self.end }
    }

    fn area(&self, from: i64, to: i64, a: f64, b: f64) -> f64 {
        0.5 * (b + a) * (to.wrapping_sub(from) as f64 / self.unit as f64)
    }
}

impl<T: Number> Machine for Integral<T> {
    type Takes = T;
    type Gives = Float64Type;
    const LAGS: bool = true;

    fn take(&mut self, time: i64, value: Native<T>) -> Option<(i64, f64)> {
        let Some((last_time, last_value)) = self.last.replace((time, value)) else {
            self.enter(time);
            return None;
        };
        if last_time == time {
            return None;
        }
        let (mut from, mut from_value) = (last_time, T::float(last_value));
        let mut to_value = T::float(value);
        let mut given = None;
        if self.passed(time) {
            if last_time != self.end {
                let slope = (to_value - from_value) / time.wrapping_sub(last_time) as f64;
                let border = slope * self.end.wrapping_sub(last_time) as f64 + from_value;
                self.sum += self.area(last_time, self.end, from_value, border);
                from = self.end;
                if T::INTEGER { to_value = border } else { from_value = border }
            }
            given = Some((self.start, self.sum));
            self.enter(time);
            self.sum = 0.0;
        }
        self.sum += self.area(from, time, from_value, to_value);
        given
    }

    fn end(&mut self) -> Option<(i64, f64)> {
        let (last, _) = self.last.take()?;
        (last != self.start).then_some((self.start, self.sum))
    }
}
