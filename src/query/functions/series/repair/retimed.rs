//! Times put where a steady clock would have them.
//!
//! Which times these are is said by an interval and a start; which point goes to which is what costs least: a step of time costs as long as
//! it is, a point that is left out or put in costs 100 seconds (CnosDB's measure, in nanoseconds).

use std::collections::HashMap;

use datafusion::common::{Result, exec_err};

use super::Series;
use super::options::Options;

/// How the clock is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Retiming {
    interval: Interval,
    start: Start,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Interval {
    /// Of the intervals between the times.
    Median,
    Mode,
    /// The mean of the largest of three clusters of them.
    Cluster,
    Given {
        nanos: i64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// At the phase that most times have, at or before the first one.
    Mode,
    /// Where a line through the times begins.
    Linear,
}

const LEFT_OUT: i64 = 100_000_000_000;
/// Times that a repaired series may have.
const TIMES_MAX: usize = 1_000_000;
/// Pairs of a point and a time that may be compared.
const PAIRS_MAX: usize = 64 * 1024 * 1024;
const CLUSTERS: i128 = 3;
/// Rounds until clusters are taken as they are.
const ROUNDS_MAX: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    /// The point is at this time.
    Keep,
    /// No point is at this time.
    PutIn,
    /// The point is at no time.
    LeaveOut,
}

impl Retiming {
    pub(super) fn read(options: &str) -> Result<Retiming> {
        let options = Options::read(options, &["method", "interval", "start_mode"])?;
        let start = match options.word("start_mode").as_deref() {
            None | Some("mode") => Start::Mode,
            Some("linear") => Start::Linear,
            Some(other) => return exec_err!("Invalid start_mode: {other}"),
        };
        let interval = match (options.integer("interval")?, options.word("method").as_deref()) {
            // Milliseconds.
            (Some(millis), _) => match millis.checked_mul(1_000_000) {
                Some(nanos) if nanos > 0 => Interval::Given { nanos },
                Some(_) => return exec_err!("interval must be positive"),
                None => return exec_err!("interval is longer than there is time"),
            },
            (None, None | Some("median")) => Interval::Median,
            (None, Some("mode")) => Interval::Mode,
            (None, Some("cluster")) => Interval::Cluster,
            (None, Some(other)) => return exec_err!("Invalid method: {other}"),
        };
        Ok(Retiming { interval, start })
    }

    pub(super) fn repaired(self, series: Series) -> Result<Series> {
        let times = &series.times;
        if times.len() <= 2 {
            return Ok(series);
        }
        let intervals: Vec<i128> = times.windows(2).map(|pair| i128::from(pair[1]) - i128::from(pair[0])).collect();
        let interval = match self.interval {
            Interval::Median => median(intervals),
            Interval::Mode => most_frequent(&intervals),
            Interval::Cluster => largest_cluster(&intervals),
            Interval::Given { nanos } => i128::from(nanos),
        };
        if interval <= 0 {
            return exec_err!("the interval between most times is none; give one");
        }
        let start = match self.start {
            Start::Mode => first_of_phase(times, interval),
            Start::Linear => line_start(times, interval),
        };
        let last = i128::from(times[times.len() - 1]);
        // Up to the first time of the clock that is not before the last one.
        let count = ((last - start + interval - 1).div_euclid(interval) + 1).max(0) as usize;
        if count > TIMES_MAX || (count + 1).saturating_mul(times.len() + 1) > PAIRS_MAX {
            return exec_err!(
                "timestamp_repair would compare {} points with {count} times, which is too many; choose fewer, or a longer interval",
                times.len()
            );
        }
        let clock: Vec<i128> = (0..count as i128).map(|at| start + at * interval).collect();
        Ok(cheapest(&clock, &series))
    }
}

/// The points at the times of `clock`, at least cost.
fn cheapest(clock: &[i128], series: &Series) -> Series {
    let width = series.times.len() + 1;
    let mut steps = vec![Step::Keep; (clock.len() + 1) * width];
    let mut above: Vec<i64> = (0..width as i64).map(|points| points * LEFT_OUT).collect();
    let mut row = vec![0; width];
    for (i, at) in clock.iter().enumerate() {
        let i = i + 1;
        row[0] = LEFT_OUT * i as i64;
        for (j, time) in series.times.iter().enumerate() {
            let j = j + 1;
            // Farther than this nobody moves a point.
            let distance = i64::try_from((i128::from(*time) - at).abs()).unwrap_or(i64::MAX);
            if distance == 0 {
                row[j] = above[j - 1];
                continue;
            }
            let (cost, step) = match above[j] < row[j - 1] {
                true => (above[j] + LEFT_OUT, Step::PutIn),
                false => (row[j - 1] + LEFT_OUT, Step::LeaveOut),
            };
            let moved = above[j - 1].saturating_add(distance);
            (row[j], steps[i * width + j]) = if moved < cost { (moved, Step::Keep) } else { (cost, step) };
        }
        std::mem::swap(&mut above, &mut row);
    }
    let mut values = vec![f64::NAN; clock.len()];
    let (mut i, mut j) = (clock.len(), series.times.len());
    while i >= 1 && j >= 1 {
        match steps[i * width + j] {
            Step::Keep => {
                values[i - 1] = series.values[j - 1];
                (i, j) = (i - 1, j - 1);
            }
            Step::PutIn => i -= 1,
            Step::LeaveOut => j -= 1,
        }
    }
    let nanos = |at: &i128| (*at).clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    Series { times: clock.iter().map(nanos).collect(), values }
}

fn line_start(times: &[i64], interval: i128) -> i128 {
    let moved = |(at, time): (usize, &i64)| i128::from(*time) - at as i128 * interval;
    times.iter().enumerate().map(moved).sum::<i128>() / times.len() as i128
}

fn first_of_phase(times: &[i64], interval: i128) -> i128 {
    let phases: Vec<i128> = times.iter().map(|time| i128::from(*time) % interval).collect();
    let phase = most_frequent(&phases);
    let first = i128::from(times[0]);
    // Of the times with the phase any one will do.
    let at =
        times.iter().map(|time| i128::from(*time)).zip(phases).find(|(_, of)| *of == phase).map_or(first, |(at, _)| at);
    at - (at - first + interval - 1).div_euclid(interval) * interval
}

fn median(mut of: Vec<i128>) -> i128 {
    of.sort_unstable();
    let middle = of.len() / 2;
    if of.len().is_multiple_of(2) { (of[middle - 1] + of[middle]) / 2 } else { of[middle] }
}

/// Of equally frequent ones the one that is met first.
fn most_frequent(of: &[i128]) -> i128 {
    let mut counts: HashMap<i128, usize> = HashMap::new();
    of.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
    let mut best = (0, 0);
    for number in of {
        if counts[number] > best.1 {
            best = (*number, counts[number]);
        }
    }
    best.0
}

/// The mean of the largest of three clusters (k-means, from centres evenly spread over the range).
fn largest_cluster(of: &[i128]) -> i128 {
    let (least, greatest) = of.iter().fold((of[0], of[0]), |(least, greatest), n| (least.min(*n), greatest.max(*n)));
    let mut centres: Vec<i128> = (1..=CLUSTERS).map(|at| least + at * (greatest - least) / (CLUSTERS + 1)).collect();
    let nearest =
        |centres: &[i128], number: i128| (0..centres.len()).min_by_key(|at| (number - centres[*at]).abs()).unwrap_or(0);
    let mut counts = vec![0_i128; centres.len()];
    for _ in 0..ROUNDS_MAX {
        let mut sums = vec![0; centres.len()];
        counts.fill(0);
        for number in of {
            let at = nearest(&centres, *number);
            sums[at] += number;
            counts[at] += 1;
        }
        let mean = |at: usize| if counts[at] == 0 { centres[at] } else { sums[at] / counts[at] };
        let moved: Vec<i128> = (0..centres.len()).map(mean).collect();
        if moved == centres {
            break;
        }
        centres = moved;
    }
    (0..centres.len()).max_by_key(|at| (counts[*at], std::cmp::Reverse(*at))).map_or(0, |at| centres[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Points at these seconds, with values from 1.
    fn repaired(options: &str, seconds: &[i64]) -> Result<Vec<(f64, f64)>, String> {
        let times: Vec<i64> = seconds.iter().map(|second| second * SECOND).collect();
        let series = Series { values: (1..=times.len()).map(|n| n as f64).collect(), times };
        let repaired = Retiming::read(options).and_then(|how| how.repaired(series));
        let point = |(time, value): (&i64, &f64)| (*time as f64 / SECOND as f64, *value);
        repaired
            .map(|series| series.times.iter().zip(&series.values).map(point).collect())
            .map_err(|error| error.strip_backtrace())
    }

    /// The example of CnosDB's and IoTDB's manuals, whose answers these are.
    const EXAMPLE: [i64; 10] = [0, 10, 19, 30, 40, 50, 61, 71, 81, 91];

    #[test]
    fn points_go_to_the_times_of_a_steady_clock() {
        for (options, shift) in [
            ("", 0.0),
            ("method=median", 0.0),
            ("method=mode", 0.0),
            ("method=cluster", 0.0),
            ("interval=10000", 0.0),
            ("method=cluster&interval=10000&start_mode=mode", 0.0),
            ("start_mode=linear&interval=10000", 0.3),
        ] {
            let seen = repaired(options, &EXAMPLE).unwrap();
            assert_eq!(seen.len(), 11, "{options}");
            for (at, (time, value)) in seen.iter().enumerate() {
                assert_eq!(*time, 10.0 * at as f64 + shift, "{options}");
                assert!(if at < 10 { *value == at as f64 + 1.0 } else { value.is_nan() }, "{options}");
            }
        }
    }

    #[test]
    fn points_are_put_in_and_left_out() {
        let shown = |seconds: &[i64]| -> Vec<String> {
            repaired("interval=1000000", seconds).unwrap().iter().map(|(t, v)| format!("{t} {v}")).collect()
        };
        assert_eq!(shown(&[0, 1000, 3000, 4000]), ["0 1", "1000 2", "2000 NaN", "3000 3", "4000 4"]);
        assert_eq!(shown(&[0, 1000, 1500, 2000]), ["0 1", "1000 2", "2000 4"]);
        assert_eq!(shown(&[0, 5]), ["0 1", "5 2"], "two points say nothing of a clock");
        assert_eq!(repaired("", &[]), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |options: &str, seconds: &[i64], expected: &str| {
            let refused = repaired(options, seconds).unwrap_err();
            assert!(refused.starts_with(&format!("Execution error: {expected}")), "{options}: {refused}");
        };
        check("method=invalid", &[1], "Invalid method: invalid");
        check("start_mode=x", &[1], "Invalid start_mode: x");
        check("interval=-10000", &[1], "interval must be positive");
        check("interval=0", &[1], "interval must be positive");
        check("interval=x", &[1], "Fail to parse argument: interval is \"x\", not an integer");
        check("interval=9223372036854775807", &[1], "interval is longer than there is time");
        let known = "expected one of `method`, `interval`, `start_mode`";
        check("assd", &[1], &format!("Fail to parse argument: unknown field `assd`, {known}"));
        check("", &[7, 7, 7, 8], "the interval between most times is none");
        check("interval=1", &[0, 1, 4_000_000], "timestamp_repair would compare 3 points with 4000000001 times");
        let many: Vec<i64> = (0..10_000).collect();
        check("", &many, "timestamp_repair would compare 10000 points with 10000 times");
    }
}
