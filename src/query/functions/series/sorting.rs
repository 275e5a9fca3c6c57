//! Sorting row numbers by what stands in a column.

use std::cmp::Ordering;

use datafusion::arrow::array::{ArrayRef, AsArray, make_comparator};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use datafusion::common::Result;

/// Compares two rows of `column`, which has no nulls. NaN comes after all numbers.
pub(super) fn comparator(column: &ArrayRef) -> Result<Box<dyn Fn(u32, u32) -> Ordering + '_>> {
    if let Some(values) = column.as_primitive_opt::<Float64Type>() {
        let values = values.values();
        let compare = |a: &f64, b: &f64| a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
        return Ok(Box::new(move |a, b| compare(&values[a as usize], &values[b as usize])));
    }
    if let Some(values) = column.as_primitive_opt::<Int64Type>() {
        return Ok(Box::new(|a, b| values.value(a as usize).cmp(&values.value(b as usize))));
    }
    if let Some(values) = column.as_primitive_opt::<UInt64Type>() {
        return Ok(Box::new(|a, b| values.value(a as usize).cmp(&values.value(b as usize))));
    }
    if let Some(values) = column.as_primitive_opt::<TimestampNanosecondType>() {
        return Ok(Box::new(|a, b| values.value(a as usize).cmp(&values.value(b as usize))));
    }
    let compare = make_comparator(column.as_ref(), column.as_ref(), SortOptions::default())?;
    Ok(Box::new(move |a, b| compare(a as usize, b as usize)))
}
