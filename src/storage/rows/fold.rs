//! Sorts rows, merges equal ones, and cuts them at time windows: what segments are made of.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, TimestampNanosecondArray, UInt32Array, new_null_array};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;

use crate::model::{ColumnId, ColumnKind, RowIdentity, TableSchema};

use super::chunk::Chunk;
use super::series::SeriesSet;

/// Rows of one time window in segment order.
#[derive(Debug)]
pub struct SortedWindow {
    /// Start of the window, nanoseconds.
    pub window_ns: i64,
    /// Schema: the table's stored schema. Sorted by all tags in schema order, then time, nulls last.
    pub rows: RecordBatch,
}

/// Sorts `chunk` by (window, tags, time). In a table with row identity, rows equal in tags and time become one: of each
/// field the value written last. Windows are `window_ns` wide, aligned to the epoch.
pub fn sort_into_windows(
    chunk: &Chunk,
    series: &SeriesSet,
    schema: &TableSchema,
    window_ns: i64,
) -> Result<Vec<SortedWindow>, ArrowError> {
    let tags: Vec<ColumnId> = schema.tags().map(|c| c.id).collect();
    let ranks = series.ranks(&tags);
    let mut order: Vec<Place> = (0..chunk.rows())
        .map(|row| Place {
            window: chunk.times[row].div_euclid(window_ns),
            rank: ranks[chunk.series[row] as usize],
            time: chunk.times[row],
            row: row as u32,
        })
        .collect();
    order.sort_unstable();
    let mut windows = Vec::new();
    for places in order.chunk_by(|a, b| a.window == b.window) {
        let runs = match schema.identity {
            RowIdentity::Series => Runs::of(places),
            RowIdentity::Append => Runs::single(places),
        };
        let window_ns = places[0].window.saturating_mul(window_ns);
        windows.push(SortedWindow { window_ns, rows: gather(chunk, series, schema, &runs)? });
    }
    Ok(windows)
}

/// Where a row goes; the order of the fields is the order of the rows, the position last: what was written later follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    window: i64,
    rank: u32,
    time: i64,
    row: u32,
}

/// Row numbers in output order, and where each output row's run of equal rows ends.
struct Runs {
    rows: Vec<u32>,
    ends: Vec<u32>,
}

impl Runs {
    fn of(places: &[Place]) -> Runs {
        let mut ends = Vec::with_capacity(places.len());
        for (i, place) in places.iter().enumerate() {
            let next_differs = places.get(i + 1).is_none_or(|next| (next.rank, next.time) != (place.rank, place.time));
            if next_differs {
                ends.push(i as u32 + 1);
            }
        }
        Runs { rows: places.iter().map(|p| p.row).collect(), ends }
    }

    fn single(places: &[Place]) -> Runs {
        Runs { rows: places.iter().map(|p| p.row).collect(), ends: (1..=places.len() as u32).collect() }
    }

    fn all_single(&self) -> bool {
        self.ends.len() == self.rows.len()
    }

    /// The last row of each run.
    fn last_rows(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.ends.iter().map(|end| self.rows[*end as usize - 1])
    }

    /// Of each run, the last row that has a value in `array`; else its last row.
    fn newest_values(&self, array: &ArrayRef) -> UInt32Array {
        if self.all_single() || array.null_count() == 0 {
            return UInt32Array::from_iter_values(self.last_rows());
        }
        let mut start = 0;
        let newest = self.ends.iter().map(|&end| {
            let run = &self.rows[start..end as usize];
            start = end as usize;
            run.iter().rev().copied().find(|row| array.is_valid(*row as usize)).unwrap_or(run[run.len() - 1])
        });
        UInt32Array::from_iter_values(newest)
    }
}

fn gather(chunk: &Chunk, series: &SeriesSet, schema: &TableSchema, runs: &Runs) -> Result<RecordBatch, ArrowError> {
    let rows = runs.ends.len();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.columns.len() + 1);
    let times = TimestampNanosecondArray::from_iter_values(runs.last_rows().map(|row| chunk.times[row as usize]));
    columns.push(Arc::new(times));
    let row_series: Vec<u32> = runs.last_rows().map(|row| chunk.series[row as usize]).collect();
    for column in &schema.columns {
        let data_type = column.data_type();
        columns.push(match (column.kind, chunk.field_as(column.id, &data_type).transpose()?) {
            (ColumnKind::Tag, _) => series.tag_array(column.id, row_series.iter().copied()),
            (_, Some(array)) => take(&array, &runs.newest_values(&array), None)?,
            (_, None) => new_null_array(&data_type, rows),
        });
    }
    RecordBatch::try_new(schema.stored_schema(), columns)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Float64Array};
    use datafusion::arrow::datatypes::{Float64Type, TimestampNanosecondType};

    use super::*;
    use crate::model::{FieldType, SeriesKeys};
    use crate::storage::segment::SequenceRange;

    type Row<'a> = (&'a str, i64, Option<f64>, Option<f64>);
    type Values = (i64, Option<f64>, Option<f64>);

    fn sorted(identity: RowIdentity, rows: &[Row<'_>], window_ns: i64) -> Vec<(i64, Vec<Values>)> {
        let mut schema = TableSchema::new(identity);
        let host = schema.add("host", ColumnKind::Tag, None);
        let a = schema.add("a", ColumnKind::Field, Some(FieldType::Float));
        let b = schema.add("b", ColumnKind::Field, Some(FieldType::Float));
        let mut series = SeriesSet::default();
        let mut numbers = Vec::new();
        for (tag, ..) in rows {
            let mut key = SeriesKeys::default();
            key.push([(host.0, *tag)]);
            numbers.push(series.number(key.key(0)));
        }
        let chunk = Chunk {
            sequence: SequenceRange { first: 1, last: 1 },
            series: numbers,
            times: rows.iter().map(|r| r.1).collect(),
            fields: vec![
                (a, Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>())),
                (b, Arc::new(rows.iter().map(|r| r.3).collect::<Float64Array>())),
            ],
        };
        let windows = sort_into_windows(&chunk, &series, &schema, window_ns).unwrap();
        windows
            .into_iter()
            .map(|w| {
                let times = w.rows.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec();
                let a = w.rows.column(2).as_primitive::<Float64Type>().iter();
                let b = w.rows.column(3).as_primitive::<Float64Type>().iter();
                (w.window_ns, times.into_iter().zip(a).zip(b).map(|((t, a), b)| (t, a, b)).collect())
            })
            .collect()
    }

    #[test]
    fn equal_rows_merge_field_by_field_and_the_later_value_wins() {
        let rows = [("x", 5, Some(1.0), Some(9.0)), ("x", 5, Some(2.0), None), ("w", 6, None, Some(3.0))];
        let expected = vec![(0, vec![(6, None, Some(3.0)), (5, Some(2.0), Some(9.0))])];
        assert_eq!(sorted(RowIdentity::Series, &rows, 100), expected);
    }

    #[test]
    fn append_tables_keep_equal_rows() {
        let rows = [("x", 5, Some(1.0), None), ("x", 5, Some(1.0), None)];
        let expected = vec![(0, vec![(5, Some(1.0), None), (5, Some(1.0), None)])];
        assert_eq!(sorted(RowIdentity::Append, &rows, 100), expected);
    }

    #[test]
    fn rows_are_cut_at_window_borders_on_both_sides_of_the_epoch() {
        let rows = [("x", 100, Some(1.0), None), ("x", 99, Some(2.0), None), ("x", -1, Some(3.0), None)];
        let expected = vec![
            (-100, vec![(-1, Some(3.0), None)]),
            (0, vec![(99, Some(2.0), None)]),
            (100, vec![(100, Some(1.0), None)]),
        ];
        assert_eq!(sorted(RowIdentity::Series, &rows, 100), expected);
    }
}
