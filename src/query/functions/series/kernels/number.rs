//! Numbers of three types, and machines that go along them one by one.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use datafusion::common::Result;

use super::{Given, Kernel, Progress};

/// How a type counts. Integers wrap.
pub(super) trait Number: ArrowPrimitiveType<Native: PartialOrd + Default> + Debug + Send {
    const INTEGER: bool;

    fn float(value: Self::Native) -> f64;
    fn plus(a: Self::Native, b: Self::Native) -> Self::Native;
    fn minus(a: Self::Native, b: Self::Native) -> Self::Native;
    /// `a - b` as a float, with its sign.
    fn step(a: Self::Native, b: Self::Native) -> f64;
}

impl Number for Float64Type {
    const INTEGER: bool = false;

    fn float(value: f64) -> f64 {
        value
    }

    fn plus(a: f64, b: f64) -> f64 {
        a + b
    }

    fn minus(a: f64, b: f64) -> f64 {
        a - b
    }

    fn step(a: f64, b: f64) -> f64 {
        a - b
    }
}

impl Number for Int64Type {
    const INTEGER: bool = true;

    fn float(value: i64) -> f64 {
        value as f64
    }

    fn plus(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn minus(a: i64, b: i64) -> i64 {
        a.wrapping_sub(b)
    }

    fn step(a: i64, b: i64) -> f64 {
        a.wrapping_sub(b) as f64
    }
}

impl Number for UInt64Type {
    const INTEGER: bool = true;

    fn float(value: u64) -> f64 {
        value as f64
    }

    fn plus(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    fn minus(a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }

    fn step(a: u64, b: u64) -> f64 {
        if a > b { (a - b) as f64 } else { -((b - a) as f64) }
    }
}

/// A machine that takes one point after the other.
pub(super) trait Machine: Send {
    type Takes: ArrowPrimitiveType;
    type Gives: ArrowPrimitiveType;
    /// See [`Kernel::lags`].
    const LAGS: bool = false;

    /// Takes a point and may give one.
    fn take(&mut self, time: i64, value: Native<Self::Takes>) -> Option<(i64, Native<Self::Gives>)>;

    /// The last point of all.
    fn end(&mut self) -> Option<(i64, Native<Self::Gives>)> {
        None
    }

    /// Memory held beside the machine itself.
    fn bytes(&self) -> usize {
        0
    }
}

pub(super) type Native<T> = <T as ArrowPrimitiveType>::Native;

/// A [`Machine`] as a kernel.
pub(super) struct Along<M>(M);

impl<M> Along<M> {
    pub(super) fn new(machine: M) -> Self {
        Along(machine)
    }
}

impl<M: Machine> Along<M> {
    fn give(given: &mut Given, values: Vec<Native<M::Gives>>) {
        if !values.is_empty() {
            given.values.push(Arc::new(PrimitiveArray::<M::Gives>::new(values.into(), None)));
        }
    }
}

impl<M: Machine> Kernel for Along<M> {
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()> {
        let values = values.as_primitive::<M::Takes>();
        let mut gives = Vec::with_capacity(times.len());
        given.times.reserve(times.len());
        for (row, time) in times.iter().enumerate() {
            if values.is_null(row) {
                continue;
            }
            if let Some((time, value)) = self.0.take(*time, values.value(row)) {
                given.times.push(time);
                gives.push(value);
            }
        }
        Self::give(given, gives);
        Ok(())
    }

    fn finish(&mut self, given: &mut Given) -> Result<Progress> {
        if let Some((time, value)) = self.0.end() {
            given.times.push(time);
            Self::give(given, vec![value]);
        }
        Ok(Progress::Done)
    }

    fn lags(&self) -> bool {
        M::LAGS
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
