//! One number of many: median, standard deviation, mode, with the rounding and the ties of InfluxQL.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, IntervalMonthDayNanoArray, StructArray, UInt32Array,
    UInt64Array,
};
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{
    DataType, Field, Fields, Float64Type, Int64Type, IntervalMonthDayNano, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};

use super::points::{Grouped, time_type};
use super::sorting::comparator;

/// The middle value of the rows `run` (not empty); of an even number the mean of the middle two.
pub(super) fn median(run: &mut [u32], values: &[f64]) -> f64 {
    let (low, high) = middle(run, |a, b| values[a as usize].total_cmp(&values[b as usize]));
    let (low, high) = (values[low as usize], values[high as usize]);
    if run.len().is_multiple_of(2) { low + (high - low) / 2.0 } else { high }
}

pub(super) fn median_of_integers(run: &mut [u32], values: &[i64]) -> f64 {
    let (low, high) = middle(run, |a, b| values[a as usize].cmp(&values[b as usize]));
    let (low, high) = (values[low as usize], values[high as usize]);
    if run.len().is_multiple_of(2) { low as f64 + high.wrapping_sub(low) as f64 / 2.0 } else { high as f64 }
}

pub(super) fn median_of_unsigned(run: &mut [u32], values: &[u64]) -> f64 {
    let (low, high) = middle(run, |a, b| values[a as usize].cmp(&values[b as usize]));
    let (low, high) = (values[low as usize], values[high as usize]);
    if run.len().is_multiple_of(2) { low as f64 + (high - low) as f64 / 2.0 } else { high as f64 }
}

/// The rows on both sides of the middle; the middle one is the second.
fn middle(run: &mut [u32], compare: impl Fn(u32, u32) -> Ordering) -> (u32, u32) {
    let at = run.len() / 2;
    let (below, high, _) = run.select_nth_unstable_by(at, |a, b| compare(*a, *b));
    let low = below.iter().copied().max_by(|a, b| compare(*a, *b));
    (low.unwrap_or(*high), *high)
}

/// Standard deviation of a sample; NaN for one value. Two passes, the mean taken as it goes.
pub(super) fn stddev(run: &mut [u32], values: &[f64]) -> f64 {
    if run.len() < 2 {
        return f64::NAN;
    }
    let numbers = || run.iter().map(|row| values[*row as usize]).filter(|value| !value.is_nan());
    let (mut mean, mut count) = (0.0, 0.0);
    for value in numbers() {
        count += 1.0;
        mean += (value - mean) / count;
    }
    let variance: f64 = numbers().map(|value| (value - mean) * (value - mean)).sum();
    (variance / (count - 1.0)).sqrt()
}

/// The most frequent value of each group, null for a group without points; of booleans `true` when both are as frequent.
///
/// Ties: the values are gone through in ascending order, those that are equal by time, backwards when descending. A value that reaches the count of
/// the best so far takes its place unless its own first time is later than the time at which the best reached its
/// count. So the least value wins when none is repeated.
pub(super) fn mode(grouped: &Grouped, descending: bool) -> Result<ArrayRef> {
    let values = grouped.column(0);
    let rows: Vec<Option<u32>> = if values.data_type() == &DataType::Boolean {
        let values = values.as_boolean();
        let most = |run: &[u32]| {
            let truths = run.iter().filter(|row| values.value(**row as usize)).count();
            let wanted = truths * 2 >= run.len();
            run.iter().copied().find(|row| values.value(*row as usize) == wanted)
        };
        grouped.runs().map(most).collect()
    } else {
        let compare = comparator(values)?;
        let times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
        let time = |row: u32| times.value(row as usize);
        let by = |a: u32, b: u32| {
            let by_time = || if descending { time(b).cmp(&time(a)) } else { time(a).cmp(&time(b)) };
            compare(a, b).then_with(by_time)
        };
        grouped.runs().map(|run| most_frequent(run, &compare, by, time)).collect()
    };
    Ok(take(values, &UInt32Array::from(rows), None)?)
}

/// The sum of the steps upwards of each group in order of time. After a step downwards a counter began again at nothing.
pub(super) fn increase(grouped: &Grouped) -> Result<ArrayRef> {
    let values = grouped.column(0);
    let times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    let in_time = |run: &[u32]| {
        let mut run = run.to_vec();
        run.sort_by_key(|row| times.value(*row as usize));
        run
    };
    Ok(match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            let steps = |run: &[u32]| {
                let run = in_time(run);
                let step = |pair: &[u32]| {
                    let (before, now) = (values.value(pair[0] as usize), values.value(pair[1] as usize));
                    if now >= before { now.wrapping_sub(before) } else { now }
                };
                (!run.is_empty()).then(|| run.windows(2).map(step).fold(0_i64, i64::wrapping_add))
            };
            Arc::new(grouped.runs().map(steps).collect::<Int64Array>())
        }
        DataType::UInt64 => {
            let values = values.as_primitive::<UInt64Type>();
            let steps = |run: &[u32]| {
                let run = in_time(run);
                let step = |pair: &[u32]| {
                    let (before, now) = (values.value(pair[0] as usize), values.value(pair[1] as usize));
                    if now >= before { now - before } else { now }
                };
                (!run.is_empty()).then(|| run.windows(2).map(step).fold(0_u64, u64::wrapping_add))
            };
            Arc::new(grouped.runs().map(steps).collect::<UInt64Array>())
        }
        _ => {
            let values = cast(values, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            let steps = |run: &[u32]| {
                let run = in_time(run);
                let step = |pair: &[u32]| {
                    let (before, now) = (values.value(pair[0] as usize), values.value(pair[1] as usize));
                    if now >= before { now - before } else { now }
                };
                (!run.is_empty()).then(|| run.windows(2).map(step).sum::<f64>())
            };
            Arc::new(grouped.runs().map(steps).collect::<Float64Array>())
        }
    })
}

/// What is kept of a gauge: points {`ts`, `val`} called `first`, `second`, `penultimate`, `last`, and `num_elements`.
pub(super) fn gauge_fields() -> Fields {
    let point = || DataType::Struct(gauge_point_fields());
    let points = GAUGE_POINTS.map(|name| Field::new(name, point(), true));
    points.into_iter().chain([Field::new("num_elements", DataType::UInt64, true)]).collect()
}

const GAUGE_POINTS: [&str; 4] = ["first", "second", "penultimate", "last"];

fn gauge_point_fields() -> Fields {
    Fields::from(vec![Field::new("ts", time_type(), true), Field::new("val", DataType::Float64, true)])
}

/// The first two and the last two points of each group in order of time, and how many there are; null for a group without points.
/// Of a single point all four are that one.
pub(super) fn gauge(grouped: &Grouped) -> Result<ArrayRef> {
    let values = cast(grouped.column(0), &DataType::Float64)?;
    let times = grouped.column(1);
    let all_times = times.as_primitive::<TimestampNanosecondType>();
    let mut chosen: [Vec<Option<u32>>; GAUGE_POINTS.len()] = Default::default();
    let mut counts = Vec::with_capacity(grouped.groups());
    for run in grouped.runs() {
        let mut run = run.to_vec();
        run.sort_by_key(|row| all_times.value(*row as usize));
        let last = run.len().wrapping_sub(1);
        let places = [0, 1.min(last), last.saturating_sub(1), last];
        for (rows, at) in chosen.iter_mut().zip(places) {
            rows.push(run.get(at).copied());
        }
        counts.push((!run.is_empty()).then_some(run.len() as u64));
    }
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(chosen.len() + 1);
    for rows in chosen {
        let rows = UInt32Array::from(rows);
        let columns_of_points = vec![take(times, &rows, None)?, take(&values, &rows, None)?];
        columns.push(Arc::new(StructArray::try_new(gauge_point_fields(), columns_of_points, rows.nulls().cloned())?));
    }
    let counts = UInt64Array::from(counts);
    let seen = counts.nulls().cloned();
    columns.push(Arc::new(counts));
    Ok(Arc::new(StructArray::try_new(gauge_fields(), columns, seen)?))
}

/// How often each group's value is another one than before, in order of time; null for a group without points. Values at one time are gone
/// through in their order.
pub(super) fn changes(grouped: &Grouped) -> Result<ArrayRef> {
    let values = grouped.column(0);
    if values.data_type() == &DataType::Null {
        return Ok(Arc::new(Int64Array::new_null(grouped.groups())));
    }
    let times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    let time = |row: u32| times.value(row as usize);
    let compare = comparator(values)?;
    let changes = |run: &[u32]| {
        let mut run = run.to_vec();
        run.sort_by(|a, b| time(*a).cmp(&time(*b)).then_with(|| compare(*a, *b)));
        let changed = run.windows(2).filter(|pair| compare(pair[0], pair[1]).is_ne()).count();
        (!run.is_empty()).then_some(changed as i64)
    };
    Ok(Arc::new(grouped.runs().map(changes).collect::<Int64Array>()))
}

/// How long each group's values were `state` (as text) between two times: each lasts until the next one, the last one no time at all.
/// Null for a group without points. Of values at one time the greatest is the one that lasts.
pub(super) fn state_duration(grouped: &Grouped, state: &str, from_ns: i64, until_ns: i64) -> Result<ArrayRef> {
    const DAY_NS: i128 = 86_400_000_000_000;
    let values = grouped.column(0);
    if values.data_type() == &DataType::Null {
        return Ok(Arc::new(IntervalMonthDayNanoArray::new_null(grouped.groups())));
    }
    let state = ScalarValue::from(state).cast_to(values.data_type())?;
    let is_so = eq(values, &state.to_scalar()?)?;
    let times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    let time = |row: u32| times.value(row as usize);
    let compare = comparator(values)?;
    let lasting = |run: &[u32]| {
        let mut run = run.to_vec();
        run.sort_by(|a, b| time(*a).cmp(&time(*b)).then_with(|| compare(*a, *b)));
        let lasts = |pair: &[u32]| {
            let (start, end) = (time(pair[0]).max(from_ns), time(pair[1]).min(until_ns));
            if is_so.value(pair[0] as usize) && start < end { i128::from(end) - i128::from(start) } else { 0 }
        };
        (!run.is_empty()).then(|| {
            let all_ns: i128 = run.windows(2).map(lasts).sum();
            // All time there is has some 213,000 days.
            IntervalMonthDayNano::new(0, (all_ns / DAY_NS) as i32, (all_ns % DAY_NS) as i64)
        })
    };
    Ok(Arc::new(grouped.runs().map(lasting).collect::<IntervalMonthDayNanoArray>()))
}

/// Of rows that are gone through in the order `by`, in which those of equal values are together.
fn most_frequent(
    run: &[u32],
    compare: impl Fn(u32, u32) -> Ordering,
    by: impl Fn(u32, u32) -> Ordering,
    time: impl Fn(u32) -> i64,
) -> Option<u32> {
    let mut run = run.to_vec();
    run.sort_by(|a, b| by(*a, *b));
    let first = *run.first()?;
    let (mut best, mut best_count, mut best_time) = (first, 0, time(first));
    let (mut here, mut here_count, mut here_time) = (first, 0, time(first));
    for row in run {
        if compare(row, here).is_ne() {
            (here, here_count, here_time) = (row, 1, time(row));
            continue;
        }
        here_count += 1;
        if best_count > here_count || (best_count == here_count && here_time > best_time) {
            continue;
        }
        (best, best_count, best_time) = (row, here_count, time(row));
    }
    Some(best)
}
