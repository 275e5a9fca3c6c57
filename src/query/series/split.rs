//! Cuts sorted rows where one series ends and the next begins.

use std::ops::Range;

use datafusion::arrow::array::{ArrayRef, RecordBatch, make_comparator};
use datafusion::arrow::compute::{SortOptions, concat_batches, partition};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;

/// Where the series of `rows` lie; one when there are no keys.
pub(in crate::query) fn series(rows: &RecordBatch, keys: &[usize]) -> Result<Vec<Range<usize>>, ArrowError> {
    if rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    if keys.is_empty() {
        return Ok(std::iter::once(0..rows.num_rows()).collect());
    }
    let columns: Vec<ArrayRef> = keys.iter().map(|&key| rows.column(key).clone()).collect();
    Ok(partition(&columns)?.ranges())
}

/// Whether the last row of `before` and the first of `after` (neither empty) are of one series.
pub(in crate::query) fn goes_on(before: &RecordBatch, after: &RecordBatch, keys: &[usize]) -> Result<bool, ArrowError> {
    for &key in keys.iter().rev() {
        let compare = make_comparator(before.column(key), after.column(key), SortOptions::default())?;
        if compare(before.num_rows() - 1, 0).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Holds rows back until their series is whole.
#[derive(Debug)]
pub(super) struct WholeSeries {
    schema: SchemaRef,
    keys: Vec<usize>,
    held: Vec<RecordBatch>,
    bytes: usize,
}

impl WholeSeries {
    pub(super) fn new(schema: SchemaRef, keys: Vec<usize>) -> Self {
        WholeSeries { schema, keys, held: Vec::new(), bytes: 0 }
    }

    /// Takes the next rows. Gives those of the series that are whole now, if any.
    pub(super) fn push(&mut self, rows: RecordBatch) -> Result<Option<RecordBatch>, ArrowError> {
        let ranges = series(&rows, &self.keys)?;
        let Some(last) = ranges.last() else { return Ok(None) };
        let ended = match self.held.last() {
            Some(held) => ranges.len() > 1 || !goes_on(held, &rows, &self.keys)?,
            None => ranges.len() > 1,
        };
        if !ended {
            self.hold(rows);
            return Ok(None);
        }
        let whole = rows.slice(0, last.start);
        let rest = rows.slice(last.start, last.len());
        let whole = if self.held.is_empty() {
            whole
        } else {
            self.held.push(whole);
            concat_batches(&self.schema, &std::mem::take(&mut self.held))?
        };
        self.bytes = 0;
        self.hold(rest);
        Ok(Some(whole))
    }

    /// The rows of the last series.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.bytes = 0;
        if self.held.is_empty() {
            return Ok(None);
        }
        concat_batches(&self.schema, &std::mem::take(&mut self.held)).map(Some)
    }

    /// Memory of the rows held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn hold(&mut self, rows: RecordBatch) {
        self.bytes += rows.get_array_memory_size();
        self.held.push(rows);
    }
}
