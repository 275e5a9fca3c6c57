//! Fill: a row for every window of time, also for those without.

mod column;
mod run;

#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, Result, ScalarValue};

use self::run::FillRun;
use super::exec::{Operation, Run};
use super::order::Positions;
use super::windows::Windows;

/// What a column has in a window in which it has no value. A null in a row of the input is such a window too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FillRule {
    Null,
    /// A value of the column's type.
    Value(ScalarValue),
    /// The value of the row before it in order of output that has one.
    Previous,
    /// The value of the row after it in order of output that has one.
    Next,
    /// On the line between the values before and after, if there are both and they are numbers. Integers are cut.
    Linear,
}

impl FillRule {
    /// The rule that puts a number into columns of `data_type`: integers are cut, texts are empty, booleans false.
    pub fn number(value: f64, data_type: &DataType) -> FillRule {
        match data_type {
            DataType::Float64 => FillRule::Value(ScalarValue::Float64(Some(value))),
            DataType::Int64 => FillRule::Value(ScalarValue::Int64(Some(value as i64))),
            DataType::UInt64 => FillRule::Value(ScalarValue::UInt64(Some(value as i64 as u64))),
            DataType::Utf8 => FillRule::Value(ScalarValue::Utf8(Some(String::new()))),
            DataType::Boolean => FillRule::Value(ScalarValue::Boolean(Some(false))),
            _ => FillRule::Null,
        }
    }
}

impl fmt::Display for FillRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FillRule::Null => f.write_str("null"),
            FillRule::Value(value) => value.fmt(f),
            FillRule::Previous => f.write_str("previous"),
            FillRule::Next => f.write_str("next"),
            FillRule::Linear => f.write_str("linear"),
        }
    }
}

/// Rows for all windows of each series that has a row. The time of a row of the input is its window's start.
///
/// A column is filled from its first value to its last in the series, and on to the bound where there is one. A column
/// without a value in the series stays null. Columns without a rule are null in the rows made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fill {
    pub windows: Windows,
    /// The time in whose window a series begins (in order of output); with its first row when `None`.
    pub from: Option<i64>,
    /// The time in whose window a series ends (in order of output); with its last row when `None`.
    pub to: Option<i64>,
    /// Rows of a series that are wanted at most: further windows are not made.
    pub rows_max: Option<usize>,
    pub rules: Vec<(Column, FillRule)>,
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window={}ns", self.windows.interval())?;
        if self.windows.offset() != 0 {
            write!(f, "+{}ns", self.windows.offset())?;
        }
        if let Some(zone) = self.windows.zone() {
            write!(f, " in {}", zone.name())?;
        }
        let bound = |time: Option<i64>| time.map_or("data".to_string(), |time| time.to_string());
        write!(f, ", from={}, to={}", bound(self.from), bound(self.to))?;
        if let Some(rows) = self.rows_max {
            write!(f, ", rows={rows}")?;
        }
        for (column, rule) in &self.rules {
            write!(f, ", {}={rule}", column.name())?;
        }
        Ok(())
    }
}

/// A [`Fill`] over columns by position.
#[derive(Debug)]
pub(super) struct FillOperation {
    pub(super) fill: Fill,
    pub(super) order: Positions,
    /// The rule of each column.
    pub(super) rules: Vec<FillRule>,
    pub(super) input: SchemaRef,
    pub(super) output: SchemaRef,
}

impl Operation for FillOperation {
    fn name(&self) -> &'static str {
        "FillExec"
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fill, f)
    }

    fn run(&self, batch_rows: usize) -> Result<Box<dyn Run>> {
        Ok(Box::new(FillRun::new(self, batch_rows)))
    }
}

/// Whole series of the input at hand.
#[derive(Debug)]
struct Work {
    rows: RecordBatch,
    series: std::vec::IntoIter<std::ops::Range<usize>>,
}
