//! Values corrected that change faster than they can.
//!
//! `screen`: each value is held between what the smallest and the greatest speed allow from the one before, at the median of
//! what the points of the next five intervals allow (Song et al., SCREEN, SIGMOD 2015). `lsgreedy`: of all values the one whose speed changes
//! most is corrected, until none changes more than three deviations.

use std::collections::BTreeSet;

use datafusion::common::{Result, exec_err};

use super::Series;
use super::options::Options;
use crate::query::functions::series::quality::{deviation, drawn, median, steps};

/// How values are corrected. Speeds are per nanosecond; what is not given is found from the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Revaluing {
    Screen { slowest: Option<f64>, fastest: Option<f64> },
    LsGreedy { center: f64, sigma: Option<f64> },
}

/// Deviations that a value may be away.
const DEVIATIONS: f64 = 3.0;
/// Intervals looked ahead.
const INTERVALS_AHEAD: f64 = 5.0;
/// Points that may be looked at for all of a series.
const LOOKS_MAX: usize = 50_000_000;
/// Less is no change of speed.
const NOTHING: f64 = 1e-12;
/// Corrections a point, on average, after which values are taken as they are.
const CORRECTIONS_MAX: usize = 100;
/// And of a whole series: nothing else of the query runs meanwhile.
const CORRECTIONS_OF_ALL_MAX: usize = 10_000_000;

impl Revaluing {
    pub(super) fn read(options: &str) -> Result<Revaluing> {
        let options = Options::read(options, &["method", "min_speed", "max_speed", "center", "sigma"])?;
        let (slowest, fastest) = (options.float("min_speed")?, options.float("max_speed")?);
        let (center, sigma) = (options.float("center")?, options.float("sigma")?);
        if [slowest, fastest, center, sigma].into_iter().flatten().any(f64::is_nan) {
            return exec_err!("Fail to parse argument: NaN is no speed");
        }
        match options.word("method").as_deref() {
            None | Some("screen") => Ok(Revaluing::Screen { slowest, fastest }),
            Some("lsgreedy") => Ok(Revaluing::LsGreedy { center: center.unwrap_or(0.0), sigma }),
            Some(other) => exec_err!("Invalid method: {other}"),
        }
    }

    pub(super) fn corrected(self, series: Series) -> Result<Series> {
        let first = series.times.first().copied().unwrap_or(0);
        // From the first one on, so that nanoseconds keep their digits.
        let times: Vec<f64> = series.times.iter().map(|time| (time.wrapping_sub(first) as u64) as f64).collect();
        let values = drawn(&times, &series.values)?;
        let values = match self {
            Revaluing::Screen { slowest, fastest } => screened(&times, values, slowest, fastest)?,
            Revaluing::LsGreedy { center, sigma } => smoothed(&times, values, center, sigma),
        };
        Ok(Series { values, ..series })
    }
}

fn speeds(times: &[f64], values: &[f64]) -> Vec<f64> {
    steps(values).iter().zip(steps(times)).map(|(step, interval)| step / interval).collect()
}

fn screened(times: &[f64], mut values: Vec<f64>, slowest: Option<f64>, fastest: Option<f64>) -> Result<Vec<f64>> {
    let ahead = INTERVALS_AHEAD * median(&steps(times));
    let speeds = speeds(times, &values);
    let (middle, spread) = (median(&speeds), DEVIATIONS * deviation(&speeds));
    let (slowest, fastest) = (slowest.unwrap_or(middle - spread), fastest.unwrap_or(middle + spread));
    let mut end = 0;
    let reach = |at: usize| {
        while end < times.len() && times[end] <= times[at] + ahead {
            end += 1;
        }
        end
    };
    let ends: Vec<usize> = (0..times.len()).map(reach).collect();
    let looks = ends.iter().enumerate().fold(0_usize, |looks, (at, end)| looks.saturating_add(end.saturating_sub(at)));
    if looks > LOOKS_MAX {
        return exec_err!("value_repair would compare more than {LOOKS_MAX} points; choose fewer");
    }
    let mut allowed = Vec::new();
    for (at, end) in ends.into_iter().enumerate() {
        allowed.clear();
        allowed.push(values[at]);
        for other in at + 1..end {
            let back = times[at] - times[other];
            allowed.extend([values[other] + slowest * back, values[other] + fastest * back]);
        }
        allowed.sort_unstable_by(f64::total_cmp);
        let wanted = allowed[allowed.len() / 2];
        values[at] = match at {
            0 => wanted,
            _ => {
                let (before, since) = (values[at - 1], times[at] - times[at - 1]);
                wanted.min(before + fastest * since).max(before + slowest * since)
            }
        };
    }
    Ok(values)
}

fn smoothed(times: &[f64], mut values: Vec<f64>, center: f64, sigma: Option<f64>) -> Vec<f64> {
    let sigma = sigma.unwrap_or_else(|| deviation(&steps(&speeds(times, &values))));
    let inner = 1..values.len().saturating_sub(1);
    let bound = (DEVIATIONS * sigma).max(NOTHING);
    let change = |values: &[f64], at: usize| {
        let speed = |to: usize| (values[to] - values[to - 1]) / (times[to] - times[to - 1]);
        speed(at + 1) - speed(at) - center
    };
    // Positive numbers are in the order of their bits; one that is none (two points at one time) cannot be corrected.
    let key = |change: f64, at: usize| (change.abs().to_bits(), std::cmp::Reverse(at));
    let too_fast = |change: f64| change.is_finite() && change.abs() > bound;
    let mut changes: Vec<f64> =
        (0..values.len()).map(|at| if inner.contains(&at) { change(&values, at) } else { 0.0 }).collect();
    let mut queue: BTreeSet<_> =
        inner.clone().filter(|at| too_fast(changes[*at])).map(|at| key(changes[at], at)).collect();
    for _ in 0..values.len().saturating_mul(CORRECTIONS_MAX).min(CORRECTIONS_OF_ALL_MAX) {
        let Some((_, std::cmp::Reverse(at))) = queue.pop_last() else { break };
        let (since, until) = (times[at] - times[at - 1], times[at + 1] - times[at]);
        let size = changes[at].abs();
        let size = if sigma < NOTHING { size } else { sigma.max(size / DEVIATIONS) };
        values[at] += size.copysign(changes[at]) * since * until / (since + until);
        let first = (at - 1).max(inner.start);
        for (near, known) in changes[first..inner.end.min(at + 2)].iter_mut().enumerate() {
            let near = first + near;
            queue.remove(&key(*known, near));
            *known = change(&values, near);
            if too_fast(*known) {
                queue.insert(key(*known, near));
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: f64 = f64::NAN;

    fn corrected(options: &str, points: &[(i64, f64)]) -> Result<Vec<f64>, String> {
        let (times, values) = points.iter().copied().unzip();
        let corrected = Revaluing::read(options).and_then(|how| how.corrected(Series { times, values }));
        corrected.map(|series| series.values).map_err(|error| error.strip_backtrace())
    }

    /// What CnosDB's own tests correct; its answer is a line.
    const POINTS: [(i64, f64); 15] = [
        (2, GONE),
        (3, 101.0),
        (4, 102.0),
        (6, 104.0),
        (8, 126.0),
        (10, 108.0),
        (14, GONE),
        (15, 113.0),
        (16, 114.0),
        (18, 116.0),
        (20, GONE),
        (22, GONE),
        (26, 124.0),
        (28, 126.0),
        (30, 128.0),
    ];

    #[test]
    fn a_value_that_jumps_is_put_back() {
        for options in ["", "method=screen", "method=LsGreedy", "center=0&sigma=0"] {
            let seen = corrected(options, &POINTS).unwrap();
            assert_eq!(seen, POINTS.map(|(time, _)| 98.0 + time as f64), "{options}");
        }
        let slow = corrected("min_speed=-1&max_speed=1", &[(0, 0.0), (1, 5.0), (2, 2.0)]).unwrap();
        assert_eq!(slow, [4.0, 3.0, 2.0]);
        assert_eq!(corrected("method=lsgreedy", &[(0, 1.0), (5, 7.0)]), Ok(vec![1.0, 7.0]));
    }

    #[test]
    fn points_at_one_time_end_nothing() {
        let points: Vec<(i64, f64)> = (0..40).map(|n| (n / 2, (n % 7) as f64)).collect();
        for options in ["", "method=lsgreedy", "method=lsgreedy&sigma=0"] {
            assert_eq!(corrected(options, &points).unwrap().len(), 40);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |options: &str, points: &[(i64, f64)], expected: &str| {
            assert_eq!(corrected(options, points), Err(format!("Execution error: {expected}")), "{options}");
        };
        check("", &[(1, 2.0), (2, GONE)], "At least two non-NaN values are needed");
        check("", &[], "At least two non-NaN values are needed");
        check("method=x", &POINTS, "Invalid method: x");
        check("sigma=x", &POINTS, "Fail to parse argument: sigma is \"x\", not a number");
        check("center=NaN", &POINTS, "Fail to parse argument: NaN is no speed");
        let cluster: Vec<(i64, f64)> = (0..24_000).map(|n| (if n < 11_000 { n } else { n * 1_000_000 }, 0.5)).collect();
        check("", &cluster, "value_repair would compare more than 50000000 points; choose fewer");
    }
}
