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

    /// The table at an index that [`Points::table_index`] gave, without the others.
    pub fn take_table(mut self, index: usize) -> TablePoints {
        self.tables.swap_remove(index)
    }

    /// The tables that have rows.
    pub fn into_tables(self) -> impl Iterator<Item = TablePoints> {
        self.tables.into_iter().filter(|t| t.rows() > 0)
    }

    pub fn tables(&self) -> impl Iterator<Item = &TablePoints> {
        self.tables.iter().filter(|t| t.rows() > 0)
    }

    /// All tables, for changes that leave their rows.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = &mut TablePoints> {
        self.tables.iter_mut()
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
    /// Where each tag key and field is, once there are more than [`COMPARED_MAX`]: before that they are compared one by one,
    /// so that a request of one line does not fill tables that nobody asks again.
    tag_key_index: AHashMap<String, u32>,
    field_index: AHashMap<String, Vec<usize>>,
    has_twins: bool,
}

/// Names that are compared rather than hashed.
const COMPARED_MAX: usize = 32;

impl TablePoints {
    fn new(name: &str) -> Self {
        TablePoints {
            name: name.to_string(),
            tag_keys: Vec::new(),
            series: SeriesKeys::default(),
            row_series: Vec::new(),
            times: Vec::new(),
            fields: Vec::new(),
            tag_key_index: AHashMap::new(),
            field_index: AHashMap::new(),
            has_twins: false,
        }
    }

    /// Whether a field has several columns, of different types.
    pub fn has_twins(&self) -> bool {
        self.has_twins
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Position of `key` in `tag_keys`, added when new.
    pub fn tag_key_index(&mut self, key: &str) -> u32 {
        let known = match self.tag_keys.len() > COMPARED_MAX {
            true => self.tag_key_index.get(key).copied(),
            false => self.tag_keys.iter().position(|known| known == key).map(|index| index as u32),
        };
        if let Some(index) = known {
            return index;
        }
        let index = self.tag_keys.len() as u32;
        self.tag_keys.push(key.to_string());
        if self.tag_keys.len() > COMPARED_MAX {
            let unlisted = self.tag_keys.iter().zip(0..).skip(self.tag_key_index.len());
            self.tag_key_index.extend(unlisted.map(|(key, index)| (key.clone(), index)));
        }
        index
    }

    /// Position in `fields` of the column for values of type `field_type` of field `name`, added when new.
    pub fn field_index(&mut self, name: &str, field_type: FieldType) -> usize {
        // A hint beats hashing: lines of one table nearly always list the same fields in the same order,
        // so parsers try `fields[i]` for the i-th field of a line before they ask here.
        let mut is_twin = false;
        let mut fits = |field: &FieldColumn| {
            is_twin |= field.name == name;
            field.name == name && field.field_type() == field_type
        };
        let known = match self.fields.len() > COMPARED_MAX {
            true => self.field_index.get(name).and_then(|k| k.iter().find(|i| fits(&self.fields[**i])).copied()),
            false => self.fields.iter().position(fits),
        };
        if let Some(index) = known {
            return index;
        }
        self.has_twins |= is_twin;
        let index = self.fields.len();
        self.fields.push(FieldColumn::new(name, field_type));
        match self.fields.len() {
            few if few <= COMPARED_MAX => {}
            listed => {
                let unlisted = if self.field_index.is_empty() { 0 } else { listed - 1 };
                for (index, field) in self.fields.iter().enumerate().skip(unlisted) {
                    self.field_index.entry(field.name.clone()).or_default().push(index);
                }
            }
        }
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

    /// Replaces the series of the row being written.
    pub fn set_series(&mut self, series: u32) {
        *self.row_series.last_mut().expect("a row was begun") = series;
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
        match column.rows.place(row, values.len()) {
            Place::Next => values.push(value),
            Place::Again(last) => values[last] = value,
        }
    }

    pub fn set_integer(&mut self, field: usize, value: i64) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Integer(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        match column.rows.place(row, values.len()) {
            Place::Next => values.push(value),
            Place::Again(last) => values[last] = value,
        }
    }

    pub fn set_unsigned(&mut self, field: usize, value: u64) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Unsigned(values) = &mut column.values else {
            unreachable!("the column was asked for by type")
        };
        match column.rows.place(row, values.len()) {
            Place::Next => values.push(value),
            Place::Again(last) => values[last] = value,
        }
    }

    pub fn set_boolean(&mut self, field: usize, value: bool) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::Boolean(values) = &mut column.values else { unreachable!("the column was asked for by type") };
        match column.rows.place(row, values.len()) {
            Place::Next => values.push(value),
            Place::Again(last) => values[last] = value,
        }
    }

    pub fn set_string(&mut self, field: usize, value: &str) {
        let row = self.times.len() - 1;
        let column = &mut self.fields[field];
        let FieldValues::String { bytes, ends } = &mut column.values else {
            unreachable!("the column was asked for by type")
        };
        if let Place::Again(last) = column.rows.place(row, ends.len()) {
            ends.truncate(last);
            bytes.truncate(ends.last().copied().unwrap_or(0) as usize);
        }
        bytes.extend_from_slice(value.as_bytes());
        ends.push(i32::try_from(bytes.len()).expect("request bodies are limited far below 2 GiB"));
    }
}

/// The values of one field that were written with one type. Only what was written takes room: many fields that few
/// rows have are no matrix here.
#[derive(Debug)]
pub struct FieldColumn {
    pub name: String,
    /// The values, without gaps.
    pub values: FieldValues,
    rows: Rows,
}

/// The row of each value, ascending.
#[derive(Debug, Default)]
struct Rows {
    /// Empty while the values are those of the first rows without a gap.
    listed: Vec<u32>,
}

/// Where a value goes.
enum Place {
    Next,
    /// The row has a value at this position already: the same field twice in one line, and the last one counts.
    Again(usize),
}

impl Rows {
    /// Notes a value of `row`, the last row, beside `count` values so far.
    #[inline]
    fn place(&mut self, row: usize, count: usize) -> Place {
        if self.listed.is_empty() {
            if row == count {
                return Place::Next;
            }
            if row + 1 == count {
                return Place::Again(row);
            }
            self.listed.extend(0..count as u32);
        } else if self.listed.last() == Some(&(row as u32)) {
            return Place::Again(count - 1);
        }
        self.listed.push(row as u32);
        Place::Next
    }

    /// How many of `count` values belong to rows below `rows`.
    fn below(&self, rows: usize, count: usize) -> usize {
        if self.listed.is_empty() { count.min(rows) } else { self.listed.partition_point(|row| (*row as usize) < rows) }
    }

    fn position(&self, row: usize, count: usize) -> Option<usize> {
        match self.listed.is_empty() {
            true => (row < count).then_some(row),
            false => self.listed.binary_search(&(row as u32)).ok(),
        }
    }

    fn first(&self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.listed.first().map_or(0, |row| *row as usize))
    }
}

#[derive(Debug)]
pub enum FieldValues {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Unsigned(Vec<u64>),
    Boolean(Vec<bool>),
    /// UTF-8 bytes one after the other, and where each value ends.
    String {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
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
        FieldColumn { name: name.to_string(), values, rows: Rows::default() }
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
        let keep = self.rows.below(rows, self.len());
        if self.len() == keep {
            return;
        }
        match &mut self.values {
            FieldValues::Float(v) => v.truncate(keep),
            FieldValues::Integer(v) => v.truncate(keep),
            FieldValues::Unsigned(v) => v.truncate(keep),
            FieldValues::Boolean(v) => v.truncate(keep),
            FieldValues::String { bytes, ends } => {
                ends.truncate(keep);
                bytes.truncate(ends.last().copied().unwrap_or(0) as usize);
            }
        }
        self.rows.listed.truncate(keep);
    }

    /// Whether row `row` has a value.
    pub fn has(&self, row: usize) -> bool {
        self.position(row).is_some()
    }

    /// Where among `values` the value of row `row` is.
    pub fn position(&self, row: usize) -> Option<usize> {
        self.rows.position(row, self.len())
    }

    /// The first row with a value; `None` when the column has none (its rows were taken back).
    pub fn first_row(&self) -> Option<usize> {
        self.rows.first(self.len())
    }

    /// The column as an Arrow array of `rows` values, null where none was written. Values of a column without gaps are
    /// not copied (booleans are packed).
    pub fn into_array(self, rows: usize) -> ArrayRef {
        let spread = Spread { listed: &self.rows.listed, count: self.len(), rows };
        let nulls = spread.nulls();
        match self.values {
            FieldValues::Float(v) => Arc::new(Float64Array::new(spread.values(v).into(), nulls)),
            FieldValues::Integer(v) => Arc::new(Int64Array::new(spread.values(v).into(), nulls)),
            FieldValues::Unsigned(v) => Arc::new(UInt64Array::new(spread.values(v).into(), nulls)),
            FieldValues::Boolean(v) => Arc::new(BooleanArray::new(spread.values(v).into(), nulls)),
            FieldValues::String { bytes, ends } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(spread.offsets(&ends)));
                // Parsers take values from `&str`s; checking again here keeps this safe code.
                Arc::new(StringArray::new(offsets, Buffer::from_vec(bytes), nulls))
            }
        }
    }
}

/// Spreads `count` values over `rows` rows.
struct Spread<'a> {
    listed: &'a [u32],
    count: usize,
    rows: usize,
}

impl Spread<'_> {
    fn nulls(&self) -> Option<NullBuffer> {
        if self.count == self.rows {
            return None;
        }
        let mut valid = vec![false; self.rows];
        match self.listed {
            [] => valid[..self.count].fill(true),
            listed => listed.iter().for_each(|row| valid[*row as usize] = true),
        }
        Some(NullBuffer::from(valid))
    }

    fn values<T: Copy + Default>(&self, mut values: Vec<T>) -> Vec<T> {
        if self.listed.is_empty() {
            values.resize(self.rows, T::default());
            return values;
        }
        let mut spread = vec![T::default(); self.rows];
        for (row, value) in self.listed.iter().zip(values) {
            spread[*row as usize] = value;
        }
        spread
    }

    fn offsets(&self, ends: &[i32]) -> Vec<i32> {
        let mut offsets = Vec::with_capacity(self.rows + 1);
        offsets.push(0);
        let mut last = 0;
        for (position, end) in ends.iter().enumerate() {
            let row = self.listed.get(position).map_or(position, |row| *row as usize);
            offsets.resize(row + 1, last);
            last = *end;
            offsets.push(last);
        }
        offsets.resize(self.rows + 1, last);
        offsets
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
    fn names_are_found_again_however_many_there_are() {
        let mut t = table();
        let names: Vec<String> = (0..3 * COMPARED_MAX).map(|i| format!("n{i}")).collect();
        for _ in 0..2 {
            for (index, name) in names.iter().enumerate() {
                assert_eq!(t.tag_key_index(name), index as u32);
                assert_eq!(t.field_index(name, FieldType::Float), index);
            }
        }
        assert!(!t.has_twins());
        for (more, name) in [&names[1], &names[3 * COMPARED_MAX - 1]].into_iter().enumerate() {
            let twin = t.field_index(name, FieldType::Integer);
            assert_eq!((twin, t.field_index(name, FieldType::Integer)), (names.len() + more, twin));
        }
        assert!(t.has_twins());
        let mut few = table();
        let found = [FieldType::Float, FieldType::Integer, FieldType::Float, FieldType::Integer]
            .map(|of| few.field_index("f", of));
        assert_eq!((found, few.has_twins()), ([0, 1, 0, 1], true));
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
