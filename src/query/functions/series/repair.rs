//! Series put right: times moved to where they should be, values filled in or corrected.
//!
//! Spec: CnosDB SQL, data repair functions, which are those of IoTDB's library (TimestampRepair, ValueFill, ValueRepair). How a series
//! is repaired is said in one text, `method=ar&…`; a value that is no number (NaN, infinite) is one that is missing.

mod filled;
mod options;
mod retimed;
mod revalued;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray, TimestampNanosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimestampNanosecondType};
use datafusion::common::{Result, exec_err};

use super::points::{Grouped, list_item, point_fields, time_type};
use filled::Filling;
use retimed::Retiming;
use revalued::Revaluing;

/// What is put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Times are those that a steady clock would have told: moved, left out, put in.
    Times,
    /// Values that are missing are made from the others.
    Fill,
    /// Values that change faster than they can are corrected; those that are missing are drawn first.
    Values,
}

/// A repair with what was said of how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Repairing {
    Times(Retiming),
    Fill(Filling),
    Values(Revaluing),
}

/// The points of one group in order of time. A value that is missing is NaN.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    /// Nanoseconds since 1970.
    times: Vec<i64>,
    values: Vec<f64>,
}

impl Repairing {
    /// `options`: `name=value` pairs with `&` between them.
    pub(super) fn new(repair: Repair, options: &str) -> Result<Repairing> {
        Ok(match repair {
            Repair::Times => Repairing::Times(Retiming::read(options)?),
            Repair::Fill => Repairing::Fill(Filling::read(options)?),
            Repair::Values => Repairing::Values(Revaluing::read(options)?),
        })
    }

    fn of(self, series: Series) -> Result<Series> {
        match self {
            Repairing::Times(how) => how.repaired(series),
            Repairing::Fill(how) => how.filled(series),
            Repairing::Values(how) => how.corrected(series),
        }
    }
}

/// The type of a repaired series: a list of points whose values are of type `value`.
pub(super) fn repaired_type(value: &DataType) -> DataType {
    DataType::List(list_item(&point_fields(&[value.clone(), time_type()])))
}

/// The repaired series of each group, values as the type `value` can hold them, else null.
pub(super) fn repaired(grouped: &Grouped, how: Repairing, value: &DataType) -> Result<ArrayRef> {
    let all_times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    let all_values = cast(grouped.column(0), &DataType::Float64)?;
    let all_values = all_values.as_primitive::<Float64Type>();
    if all_times.null_count() > 0 {
        return exec_err!("a point of a series to be repaired has no time");
    }
    let (mut times, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(grouped.groups()));
    for run in grouped.runs() {
        let mut run = run.to_vec();
        run.sort_by_key(|row| all_times.value(*row as usize));
        let number = |row: &u32| Some(all_values.value(*row as usize)).filter(|value| value.is_finite());
        let series = Series {
            times: run.iter().map(|row| all_times.value(*row as usize)).collect(),
            values: run.iter().map(|row| number(row).unwrap_or(f64::NAN)).collect(),
        };
        let series = how.of(series)?;
        lengths.push(series.times.len());
        times.extend(series.times);
        values.extend(series.values);
    }
    let fields = point_fields(&[value.clone(), time_type()]);
    let values = cast(&Float64Array::from(values), value)?;
    let points =
        StructArray::try_new(fields.clone(), vec![values, Arc::new(TimestampNanosecondArray::from(times))], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(list_item(&fields), offsets, Arc::new(points), None)?))
}
