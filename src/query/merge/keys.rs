//! The keys of a batch's rows, ready to be compared with those of another: a batch is looked at once, not once for each
//! batch that it meets.

use std::cmp::Ordering;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, make_comparator};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampNanosecondType};
use datafusion::arrow::error::ArrowError;

use crate::query::fold::ROW_ORDER;

/// The columns that rows are sorted by, in that order.
pub(super) struct Keys(Vec<KeyColumn>);

struct KeyColumn {
    values: Values,
    column: ArrayRef,
}

enum Values {
    /// A tag: the number of each row's text among the texts.
    Texts(Int32Array, StringArray),
    /// A time, which every row has.
    Times(ScalarBuffer<i64>),
    Other,
}

impl Keys {
    /// Of the columns of `rows` at `positions`.
    pub(super) fn new(rows: &RecordBatch, positions: &[usize]) -> Self {
        Keys(positions.iter().map(|position| KeyColumn::new(rows.column(*position))).collect())
    }

    /// Compares the key of a row with that of a row of another batch, whose columns have the same types.
    pub(super) fn compare(&self, row: usize, other: &Keys, other_row: usize) -> Result<Ordering, ArrowError> {
        for (column, other) in self.0.iter().zip(&other.0) {
            let order = column.compare(row, other, other_row)?;
            if order.is_ne() {
                return Ok(order);
            }
        }
        Ok(Ordering::Equal)
    }
}

impl KeyColumn {
    fn new(column: &ArrayRef) -> Self {
        KeyColumn { values: Values::of(column), column: column.clone() }
    }

    fn compare(&self, row: usize, other: &KeyColumn, other_row: usize) -> Result<Ordering, ArrowError> {
        Ok(match (&self.values, &other.values) {
            (Values::Times(times), Values::Times(others)) => times[row].cmp(&others[other_row]),
            (Values::Texts(numbers, texts), Values::Texts(other_numbers, other_texts)) => {
                match (text(numbers, texts, row), text(other_numbers, other_texts, other_row)) {
                    (Some(text), Some(other)) => text.cmp(other),
                    // As the order of rows has it: what is missing comes last.
                    (text, other) => other.is_some().cmp(&text.is_some()),
                }
            }
            _ => make_comparator(&self.column.slice(row, 1), &other.column.slice(other_row, 1), ROW_ORDER)?(0, 0),
        })
    }
}

impl Values {
    fn of(column: &ArrayRef) -> Self {
        let times = match column.data_type() {
            DataType::Timestamp(..) => column.as_primitive_opt::<TimestampNanosecondType>().map(|times| times.values()),
            _ => column.as_primitive_opt::<Int64Type>().map(|times| times.values()),
        };
        if let (Some(times), 0) = (times, column.null_count()) {
            return Values::Times(times.clone());
        }
        let tags = column.as_dictionary_opt::<Int32Type>();
        match tags.and_then(|tags| Some((tags.keys(), tags.values().as_string_opt::<i32>()?))) {
            Some((numbers, texts)) => Values::Texts(numbers.clone(), texts.clone()),
            None => Values::Other,
        }
    }
}

fn text<'a>(numbers: &Int32Array, texts: &'a StringArray, row: usize) -> Option<&'a str> {
    let number = numbers.is_valid(row).then(|| numbers.value(row) as usize)?;
    texts.is_valid(number).then(|| texts.value(number))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{DictionaryArray, Int64Array, TimestampNanosecondArray};

    use super::*;

    /// Rows of a column are in order, however the column holds them.
    fn check(column: ArrayRef) {
        let rows = RecordBatch::try_from_iter([("key", column)]).unwrap();
        let keys = Keys::new(&rows, &[0]);
        for a in 0..rows.num_rows() {
            for b in 0..rows.num_rows() {
                assert_eq!(keys.compare(a, &keys, b).unwrap(), a.cmp(&b), "{rows:?}: {a} and {b}");
            }
        }
    }

    #[test]
    fn keys_compare_as_rows_are_sorted() {
        check(Arc::new([Some(""), Some("a"), Some("b"), None].into_iter().collect::<DictionaryArray<Int32Type>>()));
        check(Arc::new(StringArray::from(vec![Some(""), Some("a"), Some("b"), None])));
        check(Arc::new(TimestampNanosecondArray::from(vec![i64::MIN, -1, 0, i64::MAX])));
        check(Arc::new(Int64Array::from(vec![Some(-1), Some(3), None])));
        check(Arc::new(datafusion::arrow::array::TimestampSecondArray::from(vec![1, 2])));
        // Of two dictionaries the texts are compared, not their numbers.
        let tags = |numbers: [i32; 2], texts: [&str; 2]| {
            let tags =
                DictionaryArray::new(Int32Array::from(numbers.to_vec()), Arc::new(StringArray::from(texts.to_vec())));
            let rows = RecordBatch::try_from_iter([("key", Arc::new(tags) as ArrayRef)]).unwrap();
            Keys::new(&rows, &[0])
        };
        let (one, other) = (tags([0, 1], ["a", "c"]), tags([1, 0], ["c", "b"]));
        assert!(one.compare(0, &other, 0).unwrap().is_lt() && one.compare(1, &other, 1).unwrap().is_eq());
    }
}
