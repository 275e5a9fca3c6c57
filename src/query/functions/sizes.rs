//! How large values are, without looking at more of them than must be.

use std::ops::Range;

use datafusion::arrow::array::{Array, AsArray, OffsetSizeTrait};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast, max};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use datafusion::common::ScalarValue;

use super::growth::SLOT_BYTES;

/// Longest text of a float, as `-1.7976931348623157e308` without an exponent.
const FLOAT_TEXT_BYTES: u64 = 344;
/// Longest text of any other value that is no string.
const TEXT_BYTES: u64 = 80;

/// Bytes of some values of an array. What their offsets, views and null masks take is counted for elements of lists
/// only.
pub(super) fn array_bytes(array: &dyn Array, rows: Range<usize>) -> u64 {
    match array.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => span(array.as_string::<i32>().offsets(), &rows).len() as u64,
        DataType::LargeUtf8 => span(array.as_string::<i64>().offsets(), &rows).len() as u64,
        DataType::Binary => span(array.as_binary::<i32>().offsets(), &rows).len() as u64,
        DataType::LargeBinary => span(array.as_binary::<i64>().offsets(), &rows).len() as u64,
        DataType::Utf8View => views(array.as_string_view().views(), rows),
        DataType::BinaryView => views(array.as_binary_view().views(), rows),
        DataType::Dictionary(_, _) => in_dictionary(array, rows, &array_bytes),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.fold(0, |sum, column| sum.saturating_add(array_bytes(column.as_ref(), rows.clone())))
        }
        _ => match list(array, &rows) {
            Some((values, inner)) => {
                let slots = (inner.len() as u64).saturating_mul(SLOT_BYTES);
                array_bytes(values, inner).saturating_add(slots)
            }
            None => match array.data_type().primitive_width() {
                Some(width) => (rows.len() as u64).saturating_mul(width as u64),
                None if *array.data_type() == DataType::Boolean => rows.len() as u64,
                None => array.get_array_memory_size() as u64,
            },
        },
    }
}

/// Bytes of one value.
pub(super) fn scalar_bytes(value: &ScalarValue) -> u64 {
    if let Some(bytes) = scalar_value(value) {
        return bytes.len() as u64;
    }
    match value {
        ScalarValue::List(list) => array_bytes(list.as_ref(), 0..1),
        ScalarValue::LargeList(list) => array_bytes(list.as_ref(), 0..1),
        ScalarValue::FixedSizeList(list) => array_bytes(list.as_ref(), 0..1),
        ScalarValue::Struct(fields) => array_bytes(fields.as_ref(), 0..1),
        ScalarValue::Map(map) => array_bytes(map.as_ref(), 0..1),
        other => other.size() as u64,
    }
}

/// A text or bytes; empty when NULL, `None` when the value is of another type.
pub(super) fn scalar_value(value: &ScalarValue) -> Option<&[u8]> {
    match value {
        ScalarValue::Binary(bytes)
        | ScalarValue::BinaryView(bytes)
        | ScalarValue::LargeBinary(bytes)
        | ScalarValue::FixedSizeBinary(_, bytes) => Some(bytes.as_deref().unwrap_or_default()),
        ScalarValue::Null => Some(&[]),
        text => text.try_as_str().map(|text| text.unwrap_or_default().as_bytes()),
    }
}

/// One text of an array; empty when NULL, `None` when the array holds no text.
pub(super) fn array_value(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return Some(&[]);
    }
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row).as_bytes()),
        DataType::Utf8View => Some(array.as_string_view().value(row).as_bytes()),
        _ => None,
    }
}

/// Innermost elements of lists, and one for each list; a value that is no list is one.
pub(super) fn elements(array: &dyn Array, rows: Range<usize>) -> u64 {
    let own = rows.len() as u64;
    match list(array, &rows) {
        Some((values, inner)) => own.saturating_add(elements(values, inner)),
        None => own,
    }
}

/// Longest text that the elements of lists have, without those that are strings.
pub(super) fn text_bytes(array: &dyn Array, rows: Range<usize>) -> u64 {
    match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => 0,
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            values[rows].iter().map(|value| float_text_bytes(*value)).sum()
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            values[rows].iter().map(|value| float_text_bytes(f64::from(*value))).sum()
        }
        // It is unpacked first.
        DataType::Dictionary(_, _) => in_dictionary(array, rows, &|values, row| {
            array_bytes(values, row.clone()).saturating_add(text_bytes(values, row))
        }),
        _ => match list(array, &rows) {
            Some((values, inner)) => text_bytes(values, inner),
            None if array.data_type().is_nested() => array_bytes(array, rows).saturating_mul(FLOAT_TEXT_BYTES),
            None if array.data_type().is_primitive() || *array.data_type() == DataType::Boolean => {
                (rows.len() as u64).saturating_mul(TEXT_BYTES)
            }
            None => array_bytes(array, rows).saturating_mul(4),
        },
    }
}

fn float_text_bytes(value: f64) -> u64 {
    let plain = value == 0.0 || !value.is_finite() || (1e-16..1e17).contains(&value.abs());
    if plain { 40 } else { FLOAT_TEXT_BYTES }
}

/// The largest of some integers; 0 when all are less or NULL.
pub(super) fn largest(array: &dyn Array, rows: Range<usize>) -> u64 {
    match cast(&array.slice(rows.start, rows.len()), &DataType::Int64) {
        Ok(numbers) => max(numbers.as_primitive::<Int64Type>()).map_or(0, |largest| largest.max(0) as u64),
        // No integer of ours: the function will say so, or make anything.
        Err(_) => u64::MAX,
    }
}

/// Whether there are only characters of one byte.
pub(super) fn is_ascii(array: &dyn Array, rows: Range<usize>) -> bool {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().slice(rows.start, rows.len()).is_ascii(),
        DataType::LargeUtf8 => array.as_string::<i64>().slice(rows.start, rows.len()).is_ascii(),
        DataType::Utf8View => array.as_string_view().slice(rows.start, rows.len()).is_ascii(),
        _ => false,
    }
}

/// Which values belong to some rows.
fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, rows: &Range<usize>) -> Range<usize> {
    offsets[rows.start].as_usize()..offsets[rows.end].as_usize()
}

/// A view's length is its low half.
fn views(views: &[u128], rows: Range<usize>) -> u64 {
    views[rows].iter().map(|view| u64::from(*view as u32)).sum()
}

/// The values of lists, and which of them belong to some rows.
fn list<'a>(array: &'a dyn Array, rows: &Range<usize>) -> Option<(&'a dyn Array, Range<usize>)> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Some((list.values().as_ref(), span(list.offsets(), rows)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Some((list.values().as_ref(), span(list.offsets(), rows)))
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            Some((map.entries(), span(map.offsets(), rows)))
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(list.value_length()).unwrap_or(0);
            Some((list.values().as_ref(), rows.start * length..rows.end * length))
        }
        _ => None,
    }
}

/// The sum of a size over the values that the keys of some rows point at.
fn in_dictionary(array: &dyn Array, rows: Range<usize>, size: &dyn Fn(&dyn Array, Range<usize>) -> u64) -> u64 {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    let Ok(keys) = cast(&dictionary.keys().slice(rows.start, rows.len()), &DataType::Int64) else {
        return u64::MAX;
    };
    let keys = keys.as_primitive::<Int64Type>().iter().flatten();
    let rows = keys.filter_map(|key| usize::try_from(key).ok()).filter(|key| *key < values.len());
    rows.fold(0, |sum: u64, key| sum.saturating_add(size(values.as_ref(), key..key + 1)))
}
