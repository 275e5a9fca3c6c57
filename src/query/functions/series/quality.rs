//! How good a series is: how much of it is there, at the times it should be at, with values that fit their neighbours.
//!
//! Spec: CnosDB SQL, quality functions, which are those of IoTDB's library (completeness, consistency, timeliness, validity). A value
//! that is no number (NaN, infinite) counts as special, and is drawn on a line between its neighbours before anything is compared.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimestampNanosecondType};
use datafusion::common::{Result, exec_err};

use super::points::Grouped;

/// What is measured; each is 1 for a series without faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// The part that is neither missing nor special.
    Completeness,
    /// The part that is not redundant: too soon after the one before.
    Consistency,
    /// The part that is not late: too soon after one that follows a gap.
    Timeliness,
    /// The part whose values, and steps and speeds between them, are like the others.
    Validity,
}

/// Times looked ahead at.
const WINDOW: usize = 10;

/// Values that are further from the median than so many deviations do not fit.
const DEVIATIONS: f64 = 3.0;

/// The measure of each group. A group with fewer than two numbers is an error.
pub(super) fn measure(grouped: &Grouped, quality: Quality) -> Result<ArrayRef> {
    let all_times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    let values = cast(grouped.column(0), &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    let of_group = |run: &[u32]| {
        let mut run = run.to_vec();
        run.sort_by_key(|row| all_times.value(*row as usize));
        let first = run.first().map_or(0, |row| all_times.value(*row as usize));
        // From the first one on, so that nanoseconds keep their digits.
        let times: Vec<f64> =
            run.iter().map(|row| (all_times.value(*row as usize).wrapping_sub(first) as u64) as f64).collect();
        let values: Vec<f64> = run.iter().map(|row| values.value(*row as usize)).collect();
        let count = values.len() as f64;
        let special = values.iter().filter(|value| !value.is_finite()).count() as f64;
        let values = drawn(&times, &values)?;
        Ok(match quality {
            Quality::Completeness => {
                let missing = TimeFaults::of(&times).missing;
                1.0 - (missing + special) / (count + missing)
            }
            Quality::Consistency => 1.0 - TimeFaults::of(&times).redundant / count,
            Quality::Timeliness => 1.0 - TimeFaults::of(&times).late / count,
            Quality::Validity => 1.0 - 0.25 * misfits(&times, &values) / count,
        })
    };
    let measures = grouped.runs().map(of_group).collect::<Result<Vec<f64>>>()?;
    Ok(Arc::new(Float64Array::from(measures)))
}

/// Values with a number in place of each that is none: on the line through its neighbours, or the nearest two at the ends.
pub(super) fn drawn(times: &[f64], values: &[f64]) -> Result<Vec<f64>> {
    let known: Vec<usize> = (0..values.len()).filter(|at| values[*at].is_finite()).collect();
    if known.len() < 2 {
        return exec_err!("At least two non-NaN values are needed");
    }
    let mut right = 1;
    let on_line = |at: usize| {
        while right + 1 < known.len() && known[right] < at {
            right += 1;
        }
        let (a, b) = (known[right - 1], known[right]);
        match values[at].is_finite() {
            true => values[at],
            false => values[a] + (values[b] - values[a]) * ((times[at] - times[a]) / (times[b] - times[a])),
        }
    };
    Ok((0..values.len()).map(on_line).collect())
}

/// Faults of the times of a series, counted.
#[derive(Debug, Default)]
struct TimeFaults {
    missing: f64,
    redundant: f64,
    late: f64,
}

impl TimeFaults {
    /// Intervals are held against the median of all. After one that is at least twice (and at most nine times, else it was a pause) as
    /// long, those of at most half of it are late, as many as the long one lacks; what is lacking then is missing. Other short ones are redundant.
    fn of(times: &[f64]) -> TimeFaults {
        let base = median(&steps(times));
        let mut faults = TimeFaults::default();
        let mut ahead: Vec<f64> = times.iter().take(WINDOW).copied().collect();
        let mut next = ahead.len();
        while let [first, second, ..] = ahead[..] {
            let long = (second - first) / base;
            if long <= 0.5 {
                ahead.remove(1);
                faults.redundant += 1.0;
            } else if (2.0..=9.0).contains(&long) {
                let lacking = (long - 1.0).round();
                let mut late = 0.0;
                let mut at = 2;
                while at < ahead.len() && late < lacking {
                    let short = (ahead[at] - ahead[at - 1]) / base;
                    if short >= 2.0 {
                        break;
                    }
                    if short <= 0.5 {
                        late += 1.0;
                        ahead.remove(at);
                    } else {
                        at += 1;
                    }
                }
                faults.late += late;
                faults.missing += lacking - late;
            }
            ahead.remove(0);
            while ahead.len() < WINDOW && next < times.len() {
                ahead.push(times[next]);
                next += 1;
            }
        }
        faults
    }
}

/// Values, steps, speeds and changes of speed that do not fit, counted.
fn misfits(times: &[f64], values: &[f64]) -> f64 {
    let steps_of_values = steps(values);
    let speeds: Vec<f64> = steps_of_values.iter().zip(steps(times)).map(|(step, interval)| step / interval).collect();
    let all = [values, &steps_of_values, &speeds, &steps(&speeds)].map(outliers);
    all.into_iter().sum::<usize>() as f64
}

pub(super) fn steps(of: &[f64]) -> Vec<f64> {
    of.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn outliers(values: &[f64]) -> usize {
    let middle = median(values);
    let deviation = deviation(values);
    values.iter().filter(|value| (**value - middle).abs() > DEVIATIONS * deviation).count()
}

/// The median distance from the median, stretched so that it is the standard deviation of values that are normally distributed.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    1.4826 * median(&distances)
}

/// NaN of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (len, middle) if len.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}
