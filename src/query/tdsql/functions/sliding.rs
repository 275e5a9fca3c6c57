//! Windows that overlap: the starts of all that a row is in.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, ListArray, TimestampNanosecondArray, UInt64Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit, TimestampNanosecondType, UInt64Type};
use datafusion::logical_expr::Expr;

use super::call;

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// For each time the starts of the windows of `length` that begin at each whole `step` from `offset` on and hold it:
/// ascending. All nanoseconds.
pub(in crate::query::tdsql) fn starts(time: Expr, length: i64, step: i64, offset: i64) -> Expr {
    let item = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let name = format!("td_window_starts_{length}_{step}_{offset}");
    call(name, list_of(item.clone()), vec![time], move |args| {
        let times = args[0].as_primitive::<TimestampNanosecondType>();
        let mut starts = Vec::new();
        let mut lengths = Vec::with_capacity(times.len());
        for time in times {
            let before = starts.len();
            if let Some(time) = time {
                // The last window begins at or before the row, the first is the earliest that ends behind it.
                // Times that nothing of is stored, which a cast may make, may have no start that is a time.
                let behind = time.saturating_sub(offset).rem_euclid(step);
                let last = time.saturating_sub(behind);
                let count = (length - behind - 1).div_euclid(step) + 1;
                starts.extend((0..count).rev().map(|back| last.saturating_sub(back * step)));
            }
            lengths.push(starts.len() - before);
        }
        let field = Arc::new(Field::new_list_field(item.clone(), true));
        let values = Arc::new(TimestampNanosecondArray::from(starts));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?) as ArrayRef)
    })
}

/// For each row's number (from 1) the numbers of the windows of `rows` rows that begin at each `step`-th row and hold it.
pub(in crate::query::tdsql) fn counted(number: Expr, rows: u64, step: u64) -> Expr {
    let name = format!("td_count_windows_{rows}_{step}");
    call(name, list_of(DataType::UInt64), vec![number], move |args| {
        let numbers = args[0].as_primitive::<UInt64Type>();
        let mut windows: Vec<u64> = Vec::new();
        let mut lengths = Vec::with_capacity(numbers.len());
        for number in numbers.values() {
            let before = windows.len();
            let row = number.saturating_sub(1);
            let last = row / step;
            let first = row.saturating_add(1).saturating_sub(rows).div_ceil(step);
            windows.extend(first..=last);
            lengths.push(windows.len() - before);
        }
        let field = Arc::new(Field::new_list_field(DataType::UInt64, true));
        let values = Arc::new(UInt64Array::from(windows));
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?) as ArrayRef)
    })
}
