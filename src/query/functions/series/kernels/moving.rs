//! The mean of the last points.

use std::collections::VecDeque;

use datafusion::arrow::datatypes::Float64Type;

use super::number::{Machine, Native, Number};

/// The sum is kept as points come and go, so floats round as they do there.
#[derive(Debug)]
pub(super) struct MovingAverage<T: Number> {
    n: usize,
    sum: Native<T>,
    last: VecDeque<Native<T>>,
}

impl<T: Number> MovingAverage<T> {
    pub(super) fn new(n: usize) -> Self {
        MovingAverage { n, sum: Native::<T>::default(), last: VecDeque::new() }
    }
}

impl<T: Number> Machine for MovingAverage<T> {
    type Takes = T;
    type Gives = Float64Type;

    fn take(&mut self, time: i64, value: Native<T>) -> Option<(i64, f64)> {
        if self.last.len() == self.n
            && let Some(first) = self.last.pop_front()
        {
            self.sum = T::minus(self.sum, first);
        }
        self.last.push_back(value);
        self.sum = T::plus(self.sum, value);
        (self.last.len() == self.n).then(|| (time, T::float(self.sum) / self.n as f64))
    }

    fn bytes(&self) -> usize {
        self.last.capacity() * size_of::<Native<T>>()
    }
}
