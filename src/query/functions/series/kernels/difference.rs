//! Steps from point to point, and their opposite.

use std::marker::PhantomData;

use datafusion::arrow::datatypes::Float64Type;

use super::number::{Machine, Native, Number};

/// The point before and the one at hand, of each time the first.
#[derive(Debug)]
struct Steps<T: Number> {
    last: Option<(i64, Native<T>)>,
}

impl<T: Number> Steps<T> {
    /// The point before this one; `None` for the first point, and for one at the time of the last.
    fn before(&mut self, time: i64, value: Native<T>) -> Option<(i64, Native<T>)> {
        if self.last.is_some_and(|(last, _)| last == time) {
            return None;
        }
        self.last.replace((time, value))
    }
}

#[derive(Debug)]
pub(super) struct Derivative<T: Number> {
    steps: Steps<T>,
    unit: i64,
    non_negative: bool,
    descending: bool,
}

impl<T: Number> Derivative<T> {
    pub(super) fn new(unit: i64, non_negative: bool, descending: bool) -> Self {
        Derivative { steps: Steps { last: None }, unit, non_negative, descending }
    }
}

impl<T: Number> Machine for Derivative<T> {
    type Takes = T;
    type Gives = Float64Type;

    fn take(&mut self, time: i64, value: Native<T>) -> Option<(i64, f64)> {
        let (time_before, before) = self.steps.before(time, value)?;
        let step = T::step(value, before);
        if self.non_negative && step < 0.0 {
            return None;
        }
        let elapsed = time.wrapping_sub(time_before);
        let elapsed = if self.descending { elapsed.wrapping_neg() } else { elapsed };
        Some((time, step / (elapsed as f64 / self.unit as f64)))
    }
}

#[derive(Debug)]
pub(super) struct Difference<T: Number> {
    steps: Steps<T>,
    non_negative: bool,
}

impl<T: Number> Difference<T> {
    pub(super) fn new(non_negative: bool) -> Self {
        Difference { steps: Steps { last: None }, non_negative }
    }
}

impl<T: Number> Machine for Difference<T> {
    type Takes = T;
    type Gives = T;

    fn take(&mut self, time: i64, value: Native<T>) -> Option<(i64, Native<T>)> {
        let (_, before) = self.steps.before(time, value)?;
        if self.non_negative && T::step(value, before) < 0.0 {
            return None;
        }
        Some((time, T::minus(value, before)))
    }
}

#[derive(Debug)]
pub(super) struct CumulativeSum<T: Number> {
    sum: Native<T>,
    of: PhantomData<T>,
}

impl<T: Number> CumulativeSum<T> {
    pub(super) fn new() -> Self {
        CumulativeSum { sum: Native::<T>::default(), of: PhantomData }
    }
}

impl<T: Number> Machine for CumulativeSum<T> {
    type Takes = T;
    type Gives = T;

    fn take(&mut self, time: i64, value: Native<T>) -> Option<(i64, Native<T>)> {
        self.sum = T::plus(self.sum, value);
        Some((time, self.sum))
    }
}
