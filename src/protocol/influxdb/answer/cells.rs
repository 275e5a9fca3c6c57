//! Columns of a piece, ready to be read a cell at a time: the type is looked at once a piece, and nothing is allocated
//! for a cell.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    /// Nanoseconds since 1970 UTC.
    Time(i64),
    /// Not NaN.
    Float(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(&'a str),
    Texts(&'a ListArray, usize),
}

/// A column of a piece.
pub(super) struct Column<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Times(&'a [i64]),
    Floats(&'a [f64]),
    Integers(&'a [i64]),
    Unsigned(&'a [u64]),
    Booleans(&'a BooleanArray),
    Texts(&'a StringArray),
    LargeTexts(&'a LargeStringArray),
    TextViews(&'a StringViewArray),
    /// Keys of rows that are null mean nothing.
    Dictionary(&'a [i32], Box<Values<'a>>),
    Lists(&'a ListArray),
    Nothing,
}

impl<'a> Column<'a> {
    /// `None` for types that no InfluxQL answer has.
    pub(super) fn new(array: &'a ArrayRef) -> Option<Column<'a>> {
        Some(Column { nulls: array.logical_nulls(), values: Values::new(array)? })
    }

    #[inline]
    pub(super) fn cell(&self, row: usize) -> Cell<'a> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Cell::Null;
        }
        self.values.cell(row)
    }
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef) -> Option<Values<'a>> {
        Some(match array.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Values::Times(array.as_primitive::<TimestampNanosecondType>().values())
            }
            DataType::Float64 => Values::Floats(array.as_primitive::<Float64Type>().values()),
            DataType::Int64 => Values::Integers(array.as_primitive::<Int64Type>().values()),
            DataType::UInt64 => Values::Unsigned(array.as_primitive::<UInt64Type>().values()),
            DataType::Boolean => Values::Booleans(array.as_boolean()),
            DataType::Utf8 => Values::Texts(array.as_string()),
            DataType::LargeUtf8 => Values::LargeTexts(array.as_string()),
            DataType::Utf8View => Values::TextViews(array.as_string_view()),
            DataType::Dictionary(key, _) if **key == DataType::Int32 => {
                let dictionary = array.as_dictionary::<Int32Type>();
                Values::Dictionary(dictionary.keys().values(), Box::new(Values::new(dictionary.values())?))
            }
            DataType::List(item) if *item.data_type() == DataType::Utf8 => Values::Lists(array.as_list()),
            DataType::Null => Values::Nothing,
            _ => return None,
        })
    }

    fn cell(&self, row: usize) -> Cell<'a> {
        match self {
            Values::Times(values) => Cell::Time(values[row]),
            Values::Floats(values) if values[row].is_nan() => Cell::Null,
            Values::Floats(values) => Cell::Float(values[row]),
            Values::Integers(values) => Cell::Integer(values[row]),
            Values::Unsigned(values) => Cell::Unsigned(values[row]),
            Values::Booleans(values) => Cell::Boolean(values.value(row)),
            Values::Texts(values) => Cell::Text(values.value(row)),
            Values::LargeTexts(values) => Cell::Text(values.value(row)),
            Values::TextViews(values) => Cell::Text(values.value(row)),
            Values::Dictionary(keys, values) => match usize::try_from(keys[row]) {
                Ok(key) => values.cell(key),
                Err(_) => Cell::Null,
            },
            Values::Lists(values) => Cell::Texts(values, row),
            Values::Nothing => Cell::Null,
        }
    }
}

/// All columns of a piece; one of a type that no InfluxQL answer has reads as null.
pub(super) fn columns(rows: &RecordBatch) -> Vec<Column<'_>> {
    let unknown = || Column { nulls: None, values: Values::Nothing };
    rows.columns().iter().map(|array| Column::new(array).unwrap_or_else(unknown)).collect()
}

/// The strings of one row of a list.
pub(super) fn texts(lists: &ListArray, row: usize) -> Vec<String> {
    let items = lists.value(row);
    items.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_string()).collect()
}
