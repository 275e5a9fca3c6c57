//! Points as a parser hands them over: columnar, a table at a time, not yet checked against any schema.

use std::sync::Arc;

use ahash::AHashMap;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::batch::SeriesKeys;
use super::schema::FieldType;

/// The points of one request: one [`TablePoints`] a table, in order of first appearance.
#[derive(Debug, Default)]
pub struct Points {
    tables: Vec<TablePoints>,
    by_name: AHashMap<String, usize>,
}

impl Points {
    /// Index of the table called `name`, which is added when new.
    pub fn table_index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let index = self.tables.len();
        self.tables.push(TablePoints::new(name));
        self.by_name.insert(name.to_string(), index);
        index
    }

    /// The table at an index that [`Points::table_index`] gave.
    pub fn table_mut(&mut self, index: usize) -> &mut TablePoints {
        &mut self.tables[index]
    }

    /// The tables that have rows.
    pub fn into_tables(self) -> impl Iterator<Item = TablePoints> {
        self.tables.into_iter().filter(|t| t.rows() > 0)
    }

    pub fn tables(&self) -> impl Iterator<Item = &TablePoints> {
        self.tables.iter().filter(|t| t.rows() > 0)
    }

    pub fn rows(&self) -> usize {
        self.tables.iter().map(TablePoints::rows).sum()
    }
}

/// Points of one table. Rows are written one at a time: [`begin_row`](Self::begin_row), a `set_…` a field, then the next
/// row, or [`abort_row`](Self::abort_row).
///
/// A field may appear with several types; which one stands is decided against the catalog.
#[derive(Debug)]
pub struct TablePoints {
    pub name: String,
    /// Tag keys in order of first appearance; [`SeriesKeys`] below refer to them by position.
    pub tag_keys: Vec<String>,
    /// Distinct tag sets (as written: two orders of the same tags are two entries). An empty value is kept as empty.
    pub series: SeriesKeys,
    /// A row's entry in `series`.
    pub row_series: Vec<u32>,
    /// A row's time, nanoseconds.
    pub times: Vec<i64>,
    pub fields: Vec<FieldColumn>,
    field_index: AHashMap<(String, FieldType), usize>,
}

impl TablePoints {
    fn new(name: &str) -> Self {
        TablePoints {
            name: name.to_string(),
            tag_keys: Vec::new(),
            series: SeriesKeys::default(),
            row_series: Vec::new(),
            times: Vec::new(),
            fields: Vec::new(),
            field_index: AHashMap::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Position of `key` in `tag_keys`, added when new.
    pub fn tag_key_index(&mut self, key: &str) -> u32 {
        let found = self.tag_keys.iter().position(|k| k == key).unwrap_or_else(|| {
            self.tag_keys.push(key.to_string());
            self.tag_keys.len() - 1
        });
        found as u32
    }

    /// Position in `fields` of the column for values of type `field_type` of field `name`, added when new.
    pub fn field_index(&mut self, name: &str, field_type: FieldType) -> usize {
        // A hint beats hashing: lines of one table nearly always list the same fields in the same order,
        // so parsers try `fields[i]` for the i-th field of a line before they ask here.
        if let Some(&index) = self.field_index.get(&(name.to_string(), field_type)) {
            return index;
        }
        let index = self.fields.len();
        self.fields.push(FieldColumn::new(name, field_type));
        self.field_index.insert((name.to_string(), field_type), index);
        index
    }

    /// Starts a row of series `series` (an index into [`Self::series`]) at `time` nanoseconds.
    pub fn begin_row(&mut self, series: u32, time: i64) {
        self.row_series.push(series);
        self.times.push(time);
    }

    /// Replaces the time of the row being written; parsers meet it last.
    pub fn set_time(&mut self, time: i64) {
        *self.times.last_mut().expect("a row was begun") = time;
    }

    /// Takes back the row being written.
    pub fn abort_row(&mut self) {
        self.row_series.pop();
        self.times.pop();
        let rows = self.times.len();
        for field in &mut self.fields {
            field.truncate(rows);
        }
    }

    pub fn set_float(&mut self, field: usize, value: f64) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Float(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        set(values, &mut column.missing, row, value);
    }

    pub fn set_integer(&mut self, field: usize, value: i64) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Integer(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        set(values, &mut column.missing, row, value);
    }

    pub fn set_unsigned(&mut self, field: usize, value: u64) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Unsigned(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        set(values, &mut column.missing, row, value);
    }

    pub fn set_boolean(&mut self, field: usize, value: bool) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Boolean(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        set(values, &mut column.missing, row, value);
    }

    pub fn set_string(&mut self, field: usize, value: &str) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::String { bytes, ends } = &mut column.values else { unreachable!("the column was asked for by type") };
        if ends.len() > row {
            ends.truncate(row);
            bytes.truncate(ends.last().copied().unwrap_or(0) as usize);
        }
        while ends.len() < row {
            column.missing.push(ends.len() as u32);
            ends.push(bytes.len() as i32);
        }
        bytes.extend_from_slice(value.as_bytes());
        ends.push(i32::try_from(bytes.len()).expect("request bodies are limited far below 2 GiB"));
    }
}

/// Puts `value` into `row`, the last one; rows skipped since the last value are missing.
#[inline]
fn set<T: Copy + Default>(values: &mut Vec<T>, missing: &mut Vec<u32>, row: usize, value: T) {
    if values.len() == row {
        values.push(value);
    } else if values.len() > row {
        values[row] = value; // the same field twice in one line: the last one counts
    } else {
        missing.extend(values.len() as u32..row as u32);
        values.resize(row, T::default());
        values.push(value);
    }
}

/// The values of one field that were written with one type.
#[derive(Debug)]
pub struct FieldColumn {
    pub name: String,
    pub values: FieldValues,
    /// Rows below `values.len()` without a value, ascending. Rows from there on have none either.
    missing: Vec<u32>,
}

#[derive(Debug)]
pub enum FieldValues {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Unsigned(Vec<u64>),
    Boolean(Vec<bool>),
    /// UTF-8 bytes one after the other, and where each value ends.
    String { bytes: Vec<u8>, ends: Vec<i32> },
}

impl FieldColumn {
    fn new(name: &str, field_type: FieldType) -> Self {
        let values = match field_type {
            FieldType::Float => FieldValues::Float(Vec::new()),
            FieldType::Integer => FieldValues::Integer(Vec::new()),
            FieldType::Unsigned => FieldValues::Unsigned(Vec::new()),
            FieldType::Boolean => FieldValues::Boolean(Vec::new()),
            FieldType::String => FieldValues::String { bytes: Vec::new(), ends: Vec::new() },
        };
        FieldColumn { name: name.to_string(), values, missing: Vec::new() }
    }

    #[inline]
    pub fn field_type(&self) -> FieldType {
        match self.values {
            FieldValues::Float(_) => FieldType::Float,
            FieldValues::Integer(_) => FieldType::Integer,
            FieldValues::Unsigned(_) => FieldType::Unsigned,
            FieldValues::Boolean(_) => FieldType::Boolean,
            FieldValues::String { .. } => FieldType::String,
        }
    }

    fn len(&self) -> usize {
        match &self.values {
            FieldValues::Float(v) => v.len(),
            FieldValues::Integer(v) => v.len(),
            FieldValues::Unsigned(v) => v.len(),
            FieldValues::Boolean(v) => v.len(),
            FieldValues::String { ends, .. } => ends.len(),
        }
    }

    fn truncate(&mut self, rows: usize) {
        if self.len() <= rows {
            return;
        }
        match &mut self.values {
            FieldValues::Float(v) => v.truncate(rows),
            FieldValues::Integer(v) => v.truncate(rows),
            FieldValues::Unsigned(v) => v.truncate(rows),
            FieldValues::Boolean(v) => v.truncate(rows),
            FieldValues::String { bytes, ends } => {
                ends.truncate(rows);
                bytes.truncate(ends.last().copied().unwrap_or(0) as usize);
            }
        }
        while self.missing.last().is_some_and(|&row| row as usize >= rows) {
            self.missing.pop();
        }
    }

    /// Whether row `row` has a value.
    pub fn has(&self, row: usize) -> bool {
        row < self.len() && self.missing.binary_search(&(row as u32)).is_err()
    }

    /// The first row with a value; `None` when the column has none (its rows were taken back).
    pub fn first_row(&self) -> Option<usize> {
        let first = self.missing.iter().enumerate().find(|(i, row)| **row as usize != *i).map_or(self.missing.len(), |(i, _)| i);
        (first < self.len()).then_some(first)
    }

    /// The column as an Arrow array of `rows` values, null where none was written. No value is copied
    /// (booleans are packed).
    pub fn into_array(mut self, rows: usize) -> ArrayRef {
        let len = self.len();
        self.missing.extend(len as u32..rows as u32);
        let nulls = (!self.missing.is_empty()).then(|| {
            let mut valid = vec![true; rows];
            for &row in &self.missing {
                valid[row as usize] = false;
            }
            NullBuffer::from(valid)
        });
        match self.values {
            FieldValues::Float(mut v) => {
                v.resize(rows, 0.0);
                Arc::new(Float64Array::new(v.into(), nulls))
            }
            FieldValues::Integer(mut v) => {
                v.resize(rows, 0);
                Arc::new(Int64Array::new(v.into(), nulls))
            }
            FieldValues::Unsigned(mut v) => {
                v.resize(rows, 0);
                Arc::new(UInt64Array::new(v.into(), nulls))
            }
            FieldValues::Boolean(mut v) => {
                v.resize(rows, false);
                Arc::new(BooleanArray::new(v.into(), nulls))
            }
            FieldValues::String { bytes, mut ends } => {
                ends.resize(rows, bytes.len() as i32);
                ends.insert(0, 0);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                // Parsers take values from `&str`s; checking again here keeps this safe code.
                Arc::new(StringArray::new(offsets, Buffer::from_vec(bytes), nulls))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Float64Type;

    use super::*;

    fn table() -> TablePoints {
        let mut points = Points::default();
        let index = points.table_index("t");
        points.tables.swap_remove(index)
    }

    #[test]
    fn rows_without_a_value_are_null() {
        let mut t = table();
        for time in 0..4 {
            t.begin_row(0, time);
            if time == 2 {
                let f = t.field_index("f", FieldType::Float);
                t.set_float(f, 1.5);
            }
        }
        let column = t.fields.pop().unwrap();
        assert_eq!(column.first_row(), Some(2));
        assert!(column.has(2) && !column.has(1) && !column.has(3));
        let array = column.into_array(4);
        assert_eq!(array.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [None, None, Some(1.5), None]);
    }

    #[test]
    fn the_last_value_of_a_field_in_a_row_counts() {
        let mut t = table();
        let f = t.field_index("f", FieldType::String);
        t.begin_row(0, 0);
        t.set_string(f, "first");
        t.set_string(f, "x");
        t.begin_row(0, 1);
        t.begin_row(0, 2);
        t.set_string(f, "");
        let array = t.fields.pop().unwrap().into_array(3);
        assert_eq!(array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("x"), None, Some("")]);
    }

    #[test]
    fn an_aborted_row_leaves_nothing() {
        let mut t = table();
        let (f, s) = (t.field_index("f", FieldType::Float), t.field_index("s", FieldType::String));
        t.begin_row(0, 0);
        t.set_float(f, 1.0);
        t.begin_row(0, 1);
        t.set_float(f, 2.0);
        t.set_string(s, "gone");
        t.abort_row();
        t.begin_row(0, 2);
        t.set_float(f, 3.0);
        assert_eq!(t.times, [0, 2]);
        assert_eq!(t.fields[s].first_row(), None);
        assert_eq!(t.fields.remove(f).into_array(2).as_primitive::<Float64Type>().values(), &[1.0, 3.0]);
        assert_eq!(t.fields.pop().unwrap().into_array(2).null_count(), 2);
    }
}
