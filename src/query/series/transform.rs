//! Calculations along each series: rows in, rows out, the times of several calculations joined.

mod join;
mod run;

#[cfg(test)]
mod tests;

use std::fmt;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Column, Result};

use self::run::TransformRun;
use super::exec::{Operation, Run};
use super::order::Positions;
use crate::query::functions::series::Calculation;

/// Columns calculated along each series. The result has what names a series, the time, and a column for each of these.
///
/// Each calculation gives points of its own; points of one time make a row. Of several at one time the first ones
/// of each calculation make a row, then the second ones, and so on. A row in which a calculation has no point has a null
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Transform {
    /// The column of the input, what is calculated of it, and the name of the result.
    pub columns: Vec<(Column, Calculation, String)>,
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (column, calculation, name)) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{calculation} of {} as {name}", column.name())?;
        }
        Ok(())
    }
}

/// A [`Transform`] over columns by position.
#[derive(Debug)]
pub(super) struct TransformOperation {
    pub(super) transform: Transform,
    pub(super) order: Positions,
    /// The column of the input of each calculation.
    pub(super) columns: Vec<usize>,
    pub(super) input: SchemaRef,
    pub(super) output: SchemaRef,
}

impl Operation for TransformOperation {
    fn name(&self) -> &'static str {
        "TransformExec"
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.transform, f)
    }

    fn run(&self, batch_rows: usize) -> Result<Box<dyn Run>> {
        Ok(Box::new(TransformRun::new(self, batch_rows)))
    }
}
