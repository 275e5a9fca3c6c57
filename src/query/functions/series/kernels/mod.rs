//! What is computed along a series: machines that are fed its points in order of time and give points.
//!
//! A [`Kernel`] is made for one series by [`Calculation::kernel`]. Points whose value is null are passed over. Series may
//! run backwards in time: then everything is computed along the descending points.

mod carried;
mod difference;
mod elapsed;
mod holt_winters;
mod integral;
mod kept;
mod moving;
mod nelder_mead;
mod number;
mod smoothing;

#[cfg(test)]
mod tests;

use std::fmt;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{Result, plan_err};

use self::carried::Carried;
use self::difference::{CumulativeSum, Derivative, Difference};
use self::elapsed::Elapsed;
use self::holt_winters::HoltWinters;
use self::integral::Integral;
use self::kept::Kept;
use self::moving::MovingAverage;
use self::number::Along;
use self::smoothing::Smoother;
use crate::query::series::Windows;

pub use smoothing::{Smoothing, Warmup};

/// What is computed. Times and units are nanoseconds; units are positive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Calculation {
    /// The points themselves, of any type. With `nulls` a null is a point too.
    Keep { nulls: bool },
    /// The points, of any type; one without a value has that of the point before.
    Carry,
    /// Float64: the step from the point before by the time between them, for each `unit`. Only the first of points at one
    /// time counts. `descending` says how the series runs, for the sign.
    Derivative { unit: i64, non_negative: bool, descending: bool },
    /// The step from the point before. Only the first of points at one time counts; integers wrap.
    Difference { non_negative: bool },
    /// The sum of the points so far; integers wrap.
    CumulativeSum,
    /// Float64: the mean of the last `n` points, from the `n`-th on.
    MovingAverage { n: usize },
    /// Int64, from any type: whole units since the point before; negative when the series runs backwards.
    Elapsed { unit: i64 },
    /// Float64: see [`Smoothing`].
    Smoothed(Smoothing),
    /// Float64: the area below the points, for each `unit`, by trapezoids. With windows an area for each window that has
    /// points, cut at its borders; else one, at `whole`. An area whose last point lies at its time is left out.
    Integral { unit: i64, windows: Option<Windows>, whole: i64, descending: bool },
    /// Float64: `forecasts` points after the last, `interval` apart, by the damped method of Holt and Winters with seasons
    /// of `season` points (less than 2: none). With `fit` also those that the model gives for the points there are.
    HoltWinters { forecasts: usize, season: usize, fit: bool, interval: i64 },
}

impl Calculation {
    /// The type of the result over values of type `data_type`; an error when it does not take them or has bad parameters.
    pub fn result_type(&self, data_type: &DataType) -> Result<DataType> {
        if let Some(problem) = self.problem() {
            return plan_err!("{self}: {problem}");
        }
        let number = matches!(data_type, DataType::Float64 | DataType::Int64 | DataType::UInt64);
        match self {
            Calculation::Keep { .. } | Calculation::Carry => Ok(data_type.clone()),
            Calculation::Elapsed { .. } => Ok(DataType::Int64),
            _ if !number => plan_err!("{self} does not take values of type {data_type}"),
            Calculation::Difference { .. } | Calculation::CumulativeSum => Ok(data_type.clone()),
            _ => Ok(DataType::Float64),
        }
    }

    fn problem(&self) -> Option<&'static str> {
        match self {
            Calculation::Derivative { unit, .. }
            | Calculation::Elapsed { unit }
            | Calculation::Integral { unit, .. } => (*unit <= 0).then_some("the unit is not positive"),
            Calculation::MovingAverage { n } => (*n == 0).then_some("the number of points is not positive"),
            Calculation::Smoothed(smoothing) => smoothing.problem(),
            Calculation::HoltWinters { interval, season, .. } => {
                if *interval <= 0 {
                    return Some("the interval is not positive");
                }
                (*season > holt_winters::SEASON_MAX).then_some("the season is too long")
            }
            Calculation::Keep { .. } | Calculation::Carry => None,
            Calculation::Difference { .. } | Calculation::CumulativeSum => None,
        }
    }

    /// A machine for one series of values of type `data_type`.
    pub fn kernel(&self, data_type: &DataType) -> Result<Box<dyn Kernel>> {
        self.result_type(data_type)?;
        Ok(match (self.clone(), data_type) {
            (Calculation::Keep { nulls }, _) => Box::new(Kept { nulls }),
            (Calculation::Carry, _) => Box::new(Carried::default()),
            (Calculation::Elapsed { unit }, _) => Box::new(Elapsed::new(unit)),
            (Calculation::Smoothed(smoothing), _) => Box::new(AsFloats(Along::new(Smoother::new(&smoothing)))),
            (Calculation::HoltWinters { forecasts, season, fit, interval }, _) => {
                Box::new(AsFloats(HoltWinters::new(forecasts, season, fit, interval)))
            }
            (Calculation::Derivative { unit, non_negative, descending }, DataType::Int64) => {
                Box::new(Along::new(Derivative::<Int64Type>::new(unit, non_negative, descending)))
            }
            (Calculation::Derivative { unit, non_negative, descending }, DataType::UInt64) => {
                Box::new(Along::new(Derivative::<UInt64Type>::new(unit, non_negative, descending)))
            }
            (Calculation::Derivative { unit, non_negative, descending }, _) => {
                Box::new(Along::new(Derivative::<Float64Type>::new(unit, non_negative, descending)))
            }
            (Calculation::Difference { non_negative }, DataType::Int64) => {
                Box::new(Along::new(Difference::<Int64Type>::new(non_negative)))
            }
            (Calculation::Difference { non_negative }, DataType::UInt64) => {
                Box::new(Along::new(Difference::<UInt64Type>::new(non_negative)))
            }
            (Calculation::Difference { non_negative }, _) => {
                Box::new(Along::new(Difference::<Float64Type>::new(non_negative)))
            }
            (Calculation::CumulativeSum, DataType::Int64) => Box::new(Along::new(CumulativeSum::<Int64Type>::new())),
            (Calculation::CumulativeSum, DataType::UInt64) => Box::new(Along::new(CumulativeSum::<UInt64Type>::new())),
            (Calculation::CumulativeSum, _) => Box::new(Along::new(CumulativeSum::<Float64Type>::new())),
            (Calculation::MovingAverage { n }, DataType::Int64) => {
                Box::new(Along::new(MovingAverage::<Int64Type>::new(n)))
            }
            (Calculation::MovingAverage { n }, DataType::UInt64) => {
                Box::new(Along::new(MovingAverage::<UInt64Type>::new(n)))
            }
            (Calculation::MovingAverage { n }, _) => Box::new(Along::new(MovingAverage::<Float64Type>::new(n))),
            (Calculation::Integral { unit, windows, whole, descending }, DataType::Int64) => {
                Box::new(Along::new(Integral::<Int64Type>::new(unit, windows.as_ref(), whole, descending)))
            }
            (Calculation::Integral { unit, windows, whole, descending }, DataType::UInt64) => {
                Box::new(Along::new(Integral::<UInt64Type>::new(unit, windows.as_ref(), whole, descending)))
            }
            (Calculation::Integral { unit, windows, whole, descending }, _) => {
                Box::new(Along::new(Integral::<Float64Type>::new(unit, windows.as_ref(), whole, descending)))
            }
        })
    }
}

impl fmt::Display for Calculation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let non_negative = |yes: &bool| if *yes { "non_negative_" } else { "" };
        match self {
            Calculation::Keep { .. } => f.write_str("keep"),
            Calculation::Carry => f.write_str("carry"),
            Calculation::Derivative { unit, non_negative: yes, .. } => {
                write!(f, "{}derivative({unit}ns)", non_negative(yes))
            }
            Calculation::Difference { non_negative: yes } => write!(f, "{}difference", non_negative(yes)),
            Calculation::CumulativeSum => f.write_str("cumulative_sum"),
            Calculation::MovingAverage { n } => write!(f, "moving_average({n})"),
            Calculation::Elapsed { unit } => write!(f, "elapsed({unit}ns)"),
            Calculation::Smoothed(smoothing) => smoothing.fmt(f),
            Calculation::Integral { unit, .. } => write!(f, "integral({unit}ns)"),
            Calculation::HoltWinters { forecasts, season, fit, .. } => {
                write!(f, "holt_winters{}({forecasts}, {season})", if *fit { "_with_fit" } else { "" })
            }
        }
    }
}

/// Points that a kernel gives, in the order of its series: times and values side by side.
#[derive(Debug, Default)]
pub struct Given {
    pub times: Vec<i64>,
    /// One after the other as many as there are times.
    pub values: Vec<ArrayRef>,
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// Call again: a slice of longer work is done.
    Again,
}

/// A machine along one series.
pub trait Kernel: Send {
    /// Takes the next points: `values` has as many rows as there are `times`, nulls included.
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()>;

    /// The series has ended; called until it is done.
    fn finish(&mut self, given: &mut Given) -> Result<Progress>;

    /// Whether points may come whose time is before that of the last point taken (in the order of the series).
    fn lags(&self) -> bool;

    /// Memory held.
    fn bytes(&self) -> usize;
}

/// Makes floats of the values first.
struct AsFloats<K>(K);

impl<K: Kernel> Kernel for AsFloats<K> {
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()> {
        self.0.push(times, &cast(values, &DataType::Float64)?, given)
    }

    fn finish(&mut self, given: &mut Given) -> Result<Progress> {
        self.0.finish(given)
    }

    fn lags(&self) -> bool {
        self.0.lags()
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
