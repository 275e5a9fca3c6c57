//! One column of the output: for each row where its value comes from.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, UInt32Array,
};
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use datafusion::common::Result;

use super::FillRule;

/// The state of a column within its series, and the rows of the batch in the making.
#[derive(Debug)]
pub(super) struct FilledColumn {
    rule: FillRule,
    /// Rows of the series (as row numbers of the work) between its first value and its last.
    first: Option<u32>,
    last: u32,
    /// The row of the value before the one at hand, and the first one with a value not before it.
    before: Option<u32>,
    after: Option<u32>,
    /// For each row of the batch the row its value is taken from.
    rows: Vec<Option<u32>>,
    /// For each row of the batch whether the constant is put in.
    constant: Vec<bool>,
    lines: Vec<Line>,
}

/// A value between two.
#[derive(Debug)]
struct Line {
    /// Of the batch in the making.
    row: usize,
    before: u32,
    after: u32,
    time: i64,
}

impl FilledColumn {
    pub(super) fn new(rule: FillRule) -> Self {
        FilledColumn {
            rule,
            first: None,
            last: 0,
            before: None,
            after: None,
            rows: Vec::new(),
            constant: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Begins with the series at `range`.
    pub(super) fn begin(&mut self, column: &ArrayRef, range: &Range<usize>) {
        let valid = |row: &usize| column.is_valid(*row);
        self.before = None;
        self.first = range.clone().find(valid).map(|row| row as u32);
        self.last = range.clone().rev().find(valid).map_or(0, |row| row as u32);
        self.after = self.first;
    }

    /// Adds a row to the batch: row `row` of the series, or one made in front of it for a window at `time`. `open` says
    /// whether the column is filled before its first value, and after its last.
    pub(super) fn add(&mut self, column: &ArrayRef, row: u32, real: bool, time: i64, open: (bool, bool)) {
        if real && column.is_valid(row as usize) {
            self.rows.push(Some(row));
            self.constant.push(false);
            self.before = Some(row);
            return;
        }
        let number = self.rows.len();
        let begun = open.0 || self.before.is_some();
        let ended = !open.1 && self.before == Some(self.last);
        let filled = self.first.is_some() && begun && !ended;
        self.constant.push(filled && matches!(self.rule, FillRule::Value(_)));
        self.rows.push(match self.rule {
            FillRule::Previous if filled => self.before,
            FillRule::Next if filled => {
                let from = self.after.map_or(row, |after| after.max(row));
                self.after = (from..=self.last).find(|row| column.is_valid(*row as usize)).or(self.after);
                self.after.filter(|after| *after >= row)
            }
            _ => None,
        });
        if self.rule == FillRule::Linear
            && let Some(before) = self.before
            && before != self.last
        {
            let from = self.after.map_or(before + 1, |after| after.max(before + 1)).max(row);
            let after = (from..=self.last).find(|row| column.is_valid(*row as usize));
            self.after = after;
            self.lines.extend(after.map(|after| Line { row: number, before, after, time }));
        }
    }

    /// The column of the batch; the next one begins empty.
    pub(super) fn finish(&mut self, column: &ArrayRef, times: &[i64], interval: i64) -> Result<ArrayRef> {
        let rows = UInt32Array::from(std::mem::take(&mut self.rows));
        let constant = std::mem::take(&mut self.constant);
        let lines = std::mem::take(&mut self.lines);
        let taken = take(column, &rows, None)?;
        if let FillRule::Value(value) = &self.rule
            && constant.contains(&true)
        {
            return Ok(zip(&BooleanArray::from(constant), &value.to_scalar()?, &taken)?);
        }
        if lines.is_empty() {
            return Ok(taken);
        }
        let distances = |line: &Line| {
            let before = times[line.before as usize] / interval;
            let after = times[line.after as usize] / interval;
            ((line.time / interval - before) as f64, (after - before) as f64)
        };
        Ok(match column.data_type() {
            DataType::Float64 => drawn::<Float64Type>(column, &taken, &lines, |line, before, after| {
                let (x, width) = distances(line);
                (after - before) / width * x + before
            }),
            DataType::Int64 => drawn::<Int64Type>(column, &taken, &lines, |line, before, after| {
                let (x, width) = distances(line);
                (after.wrapping_sub(before) as f64 / width * x + before as f64) as i64
            }),
            DataType::UInt64 => drawn::<UInt64Type>(column, &taken, &lines, |line, before, after| {
                let (x, width) = distances(line);
                (after.wrapping_sub(before) as f64 / width * x + before as f64) as u64
            }),
            _ => taken,
        })
    }
}

/// `taken` with the values of `lines` in their rows.
fn drawn<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    taken: &ArrayRef,
    lines: &[Line],
    value: impl Fn(&Line, T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    let column = column.as_primitive::<T>();
    let mut values: Vec<Option<T::Native>> = taken.as_primitive::<T>().iter().collect();
    for line in lines {
        let (before, after) = (column.value(line.before as usize), column.value(line.after as usize));
        values[line.row] = Some(value(line, before, after));
    }
    Arc::new(values.into_iter().collect::<PrimitiveArray<T>>())
}
