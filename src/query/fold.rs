//! Rows that are equal in all tags and time become one: of each field the newest value that is not null.

use std::ops::Range;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{SortOptions, concat_batches, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, SortField};

/// How rows are sorted everywhere: ascending, nulls last, which is SQL's own default.
pub(super) const ROW_ORDER: SortOptions = SortOptions { descending: false, nulls_first: false };

/// Sorts the rows of `batches` (in order of writing, schema `schema`) by the columns `keys` and makes rows of equal keys
/// one.
pub fn sort_and_fold(batches: &[RecordBatch], schema: &SchemaRef, keys: &[usize]) -> Result<RecordBatch, ArrowError> {
    let rows = concat_batches(schema, batches)?;
    if rows.num_rows() == 0 {
        return Ok(rows);
    }
    let fields = keys.iter().map(|&k| SortField::new_with_options(schema.field(k).data_type().clone(), ROW_ORDER));
    let key_columns: Vec<ArrayRef> = keys.iter().map(|&k| rows.column(k).clone()).collect();
    let encoded = RowConverter::new(fields.collect())?.convert_columns(&key_columns)?;
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by(|&a, &b| encoded.row(a as usize).cmp(&encoded.row(b as usize)));
    let differs = |a: u32, b: u32| encoded.row(a as usize) != encoded.row(b as usize);
    let mut ends: Vec<u32> = (1..order.len()).filter(|&i| differs(order[i - 1], order[i])).map(|i| i as u32).collect();
    ends.push(order.len() as u32);
    Runs { rows: order, ends }.gather(&rows, keys)
}

/// Folds `rows`, which are sorted by key; `runs` are the stretches of equal keys. `age` orders the rows of a run, oldest first.
pub(super) fn fold_sorted(
    rows: &RecordBatch,
    keys: &[usize],
    runs: &[Range<usize>],
    age: impl Fn(u32) -> u64,
) -> Result<RecordBatch, ArrowError> {
    if runs.len() == rows.num_rows() {
        return Ok(rows.clone());
    }
    let mut order = Vec::with_capacity(rows.num_rows());
    let mut ends = Vec::with_capacity(runs.len());
    for run in runs {
        let start = order.len();
        order.extend(run.start as u32..run.end as u32);
        if run.len() > 1 {
            order[start..].sort_by_key(|row| age(*row));
        }
        ends.push(order.len() as u32);
    }
    Runs { rows: order, ends }.gather(rows, keys)
}

/// Row numbers in output order, and where each run of equal rows ends; the newest row of a run is its last.
struct Runs {
    rows: Vec<u32>,
    ends: Vec<u32>,
}

impl Runs {
    fn gather(&self, rows: &RecordBatch, keys: &[usize]) -> Result<RecordBatch, ArrowError> {
        let last = UInt32Array::from_iter_values(self.ends.iter().map(|end| self.rows[*end as usize - 1]));
        let column = |(i, column): (usize, &ArrayRef)| {
            if keys.contains(&i) || column.null_count() == 0 || self.ends.len() == self.rows.len() {
                return take(column, &last, None);
            }
            take(column, &self.newest(column), None)
        };
        let columns = rows.columns().iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(last.len()));
        RecordBatch::try_new_with_options(rows.schema(), columns, &options)
    }

    /// Of each run the newest row that has a value; its newest row when none has.
    fn newest(&self, column: &ArrayRef) -> UInt32Array {
        let mut start = 0;
        UInt32Array::from_iter_values(self.ends.iter().map(|&end| {
            let run = &self.rows[start..end as usize];
            start = end as usize;
            run.iter().rev().copied().find(|row| column.is_valid(*row as usize)).unwrap_or(run[run.len() - 1])
        }))
    }
}
