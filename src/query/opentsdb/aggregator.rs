//! Aggregators: what makes one value of several, and what stands for a value that a series lacks at an instant.
//!
//! Definitions are those of OpenTSDB's `Aggregators`, to the order of additions.

use super::percentile::{Estimation, percentile};

/// What makes one value of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    Sum,
    Min,
    Max,
    Avg,
    /// The upper one of two in the middle.
    Median,
    Mult,
    /// The deviation of a population.
    Dev,
    /// The last less the first.
    Diff,
    Count,
    First,
    Last,
    SquareSum,
    /// `per_mille` of 1000 values lie below.
    Percentile {
        per_mille: u16,
        estimation: Estimation,
    },
}

/// What stands for a series between two of its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    /// A point of the line through its neighbours.
    Linear,
    Zero,
    Largest,
    Smallest,
    /// The point before.
    Previous,
}

/// A named aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Aggregator {
    pub name: &'static str,
    /// `None`: series are not aggregated, each is a result of its own.
    pub function: Option<Function>,
    pub missing: Missing,
}

impl Aggregator {
    /// Names are case-sensitive.
    pub fn named(name: &str) -> Option<Aggregator> {
        AGGREGATORS.iter().find(|known| known.name == name).copied()
    }
}

const fn of(name: &'static str, function: Function, missing: Missing) -> Aggregator {
    Aggregator { name, function: Some(function), missing }
}

const fn linear(name: &'static str, function: Function) -> Aggregator {
    of(name, function, Missing::Linear)
}

const fn quantile(name: &'static str, per_mille: u16, estimation: Estimation) -> Aggregator {
    linear(name, Function::Percentile { per_mille, estimation })
}

/// All that there are, by name as the server lists them.
pub const AGGREGATORS: [Aggregator; 35] = [
    linear("sum", Function::Sum),
    linear("min", Function::Min),
    linear("max", Function::Max),
    linear("avg", Function::Avg),
    linear("median", Function::Median),
    Aggregator { name: "none", function: None, missing: Missing::Zero },
    linear("mult", Function::Mult),
    linear("dev", Function::Dev),
    linear("diff", Function::Diff),
    of("count", Function::Count, Missing::Zero),
    of("zimsum", Function::Sum, Missing::Zero),
    of("mimmin", Function::Min, Missing::Largest),
    of("mimmax", Function::Max, Missing::Smallest),
    of("first", Function::First, Missing::Zero),
    of("last", Function::Last, Missing::Zero),
    of("pfsum", Function::Sum, Missing::Previous),
    of("squareSum", Function::SquareSum, Missing::Zero),
    quantile("p50", 500, Estimation::Legacy),
    quantile("p75", 750, Estimation::Legacy),
    quantile("p90", 900, Estimation::Legacy),
    quantile("p95", 950, Estimation::Legacy),
    quantile("p99", 990, Estimation::Legacy),
    quantile("p999", 999, Estimation::Legacy),
    quantile("ep50r3", 500, Estimation::R3),
    quantile("ep75r3", 750, Estimation::R3),
    quantile("ep90r3", 900, Estimation::R3),
    quantile("ep95r3", 950, Estimation::R3),
    quantile("ep99r3", 990, Estimation::R3),
    quantile("ep999r3", 999, Estimation::R3),
    quantile("ep50r7", 500, Estimation::R7),
    quantile("ep75r7", 750, Estimation::R7),
    quantile("ep90r7", 900, Estimation::R7),
    quantile("ep95r7", 950, Estimation::R7),
    quantile("ep99r7", 990, Estimation::R7),
    quantile("ep999r7", 999, Estimation::R7),
];

impl Function {
    /// Of integers, at least one: sums wrap, quotients and roots are cut off.
    pub fn of_integers(self, values: &[i64]) -> i64 {
        let Some((&first, rest)) = values.split_first() else { return 0 };
        match self {
            Function::Sum => rest.iter().fold(first, |sum, &v| sum.wrapping_add(v)),
            Function::Min => rest.iter().fold(first, |min, &v| min.min(v)),
            Function::Max => rest.iter().fold(first, |max, &v| max.max(v)),
            Function::Avg => rest.iter().fold(first, |sum, &v| sum.wrapping_add(v)).wrapping_div(values.len() as i64),
            Function::Median => {
                let mut sorted = values.to_vec();
                sorted.sort_unstable();
                sorted[sorted.len() / 2]
            }
            Function::Mult => rest.iter().fold(first, |product, &v| product.wrapping_mul(v)),
            Function::Dev => deviation(values.iter().map(|&v| v as f64)) as i64,
            Function::Diff => rest.last().map_or(0, |last| last.wrapping_sub(first)),
            Function::Count => values.len() as i64,
            Function::First => first,
            Function::Last => *rest.last().unwrap_or(&first),
            Function::SquareSum => values.iter().fold(0_i64, |sum, &v| sum.wrapping_add(v.wrapping_mul(v))),
            Function::Percentile { per_mille, estimation } => {
                let mut sorted: Vec<f64> = values.iter().map(|&v| v as f64).collect();
                percentile(&mut sorted, per_mille, estimation) as i64
            }
        }
    }

    /// Of floats, at least one. NaN counts as absent but for `first`, `last`, `mult` and the last of `diff`.
    pub fn of_floats(self, values: &[f64]) -> f64 {
        let present = || values.iter().copied().filter(|v| !v.is_nan());
        match self {
            Function::Sum => match sum(present()) {
                (_, 0) => f64::NAN,
                (sum, _) => sum,
            },
            Function::Min => or_nan(present().fold(f64::INFINITY, |min, v| if v < min { v } else { min })),
            Function::Max => or_nan(present().fold(f64::NEG_INFINITY, |max, v| if v > max { v } else { max })),
            Function::Avg => match sum(present()) {
                (_, 0) => f64::NAN,
                (sum, count) => sum / count as f64,
            },
            Function::Median => {
                let mut sorted: Vec<f64> = present().collect();
                sorted.sort_unstable_by(f64::total_cmp);
                sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
            }
            Function::Mult => values.iter().copied().reduce(|product, v| product * v).unwrap_or(f64::NAN),
            Function::Dev => deviation(present()),
            Function::Diff => {
                let Some(at) = values.iter().position(|v| !v.is_nan()) else { return f64::NAN };
                if at + 1 == values.len() { 0.0 } else { values[values.len() - 1] - values[at] }
            }
            Function::Count => present().count() as f64,
            Function::First => values.first().copied().unwrap_or(f64::NAN),
            Function::Last => values.last().copied().unwrap_or(f64::NAN),
            Function::SquareSum => match sum(present().map(|v| v * v)) {
                (_, 0) => f64::NAN,
                (sum, _) => sum,
            },
            Function::Percentile { per_mille, .. } => {
                // Floats are always estimated in the one way, whatever the name says.
                let mut sorted: Vec<f64> = present().collect();
                percentile(&mut sorted, per_mille, Estimation::Legacy)
            }
        }
    }
}

/// What some values of a bucket come to: enough to go on with, and so many values that count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partial {
    pub value: f64,
    pub count: u32,
}

impl Function {
    /// What some floats, at least one, come to; `None` for functions that need all values at once.
    pub fn partial(self, values: &[f64]) -> Option<Partial> {
        let present = || values.iter().copied().filter(|v| !v.is_nan());
        let count = || present().count();
        let (value, count) = match self {
            Function::Sum | Function::Avg => sum(present()),
            Function::SquareSum => sum(present().map(|v| v * v)),
            Function::Count => (0.0, count()),
            Function::Min => (present().fold(f64::INFINITY, f64::min), count()),
            Function::Max => (present().fold(f64::NEG_INFINITY, f64::max), count()),
            Function::Mult | Function::First | Function::Last => (self.of_floats(values), 1),
            Function::Median | Function::Dev | Function::Diff | Function::Percentile { .. } => return None,
        };
        Some(Partial { value, count: count as u32 })
    }

    /// What partials in order of time come to together.
    pub fn of_partials(self, partials: &[Partial]) -> f64 {
        let count: u64 = partials.iter().map(|partial| u64::from(partial.count)).sum();
        let values = || partials.iter().map(|partial| partial.value);
        match self {
            Function::Count => count as f64,
            _ if count == 0 => f64::NAN,
            Function::Avg => values().sum::<f64>() / count as f64,
            Function::Sum | Function::SquareSum => values().sum(),
            Function::Min => or_nan(values().fold(f64::INFINITY, f64::min)),
            Function::Max => or_nan(values().fold(f64::NEG_INFINITY, f64::max)),
            _ => self.of_floats(&values().collect::<Vec<_>>()),
        }
    }
}

fn sum(values: impl Iterator<Item = f64>) -> (f64, usize) {
    values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1))
}

/// An infinity that nothing replaced.
fn or_nan(value: f64) -> f64 {
    if value.is_infinite() { f64::NAN } else { value }
}

/// By running means; 0 for one value, NaN for none.
fn deviation(mut values: impl Iterator<Item = f64>) -> f64 {
    let Some(mut mean) = values.next() else { return f64::NAN };
    let (mut n, mut squares) = (1.0, 0.0);
    for x in values {
        n += 1.0;
        let new = mean + (x - mean) / n;
        squares += (x - mean) * (x - new);
        mean = new;
    }
    if n == 1.0 { 0.0 } else { (squares / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Function {
        Aggregator::named(name).and_then(|aggregator| aggregator.function).expect("a function")
    }

    #[test]
    fn integers_stay_integers_and_are_cut_off() {
        let check = |name: &str, values: &[i64], expected: i64| {
            assert_eq!(function(name).of_integers(values), expected, "{name} {values:?}");
        };
        check("sum", &[i64::MAX, 1], i64::MIN);
        check("avg", &[1, 2], 1);
        check("avg", &[-1, -2], -1);
        check("median", &[4, 1, 3, 2], 3);
        check("dev", &[1, 4], 1);
        check("dev", &[7], 0);
        check("diff", &[5], 0);
        check("diff", &[5, 9, 2], -3);
        check("mult", &[3, 4], 12);
        check("squareSum", &[3, 4], 25);
        check("count", &[3, 4], 2);
        check("first", &[3, 4], 3);
        check("last", &[3, 4], 4);
        check("p50", &[1, 2, 3, 4], 2);
        check("ep50r3", &[1, 2, 3, 4], 2);
        check("ep90r7", &[1, 2, 3, 4], 3);
        check("p999", &[9], 9);
    }

    #[test]
    fn what_is_not_a_number_is_absent_but_for_those_that_look_at_places() {
        let nan = f64::NAN;
        let check = |name: &str, values: &[f64], expected: f64| {
            let found = function(name).of_floats(values);
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{name} {values:?}: {found}");
        };
        check("sum", &[1.5, nan, 2.0], 3.5);
        check("sum", &[nan], nan);
        check("avg", &[1.0, nan, 2.0], 1.5);
        check("min", &[nan, 3.0, 2.0], 2.0);
        check("max", &[nan], nan);
        check("count", &[nan, nan], 0.0);
        check("dev", &[nan, 1.0, nan, 3.0], 1.0);
        check("dev", &[nan, 1.0], 0.0);
        check("median", &[nan, 1.0, 3.0], 3.0);
        check("first", &[nan, 1.0], nan);
        check("last", &[1.0, nan], nan);
        check("mult", &[2.0, nan], nan);
        check("diff", &[nan, 1.0, 4.0], 3.0);
        check("diff", &[1.0, nan], nan);
        check("diff", &[1.0], 0.0);
        check("squareSum", &[nan, 2.0], 4.0);
        check("p50", &[nan, 4.0, 1.0], 2.5);
        // Floats take the formula of `p90` under any name.
        check("ep90r7", &[1.0, 2.0, 3.0, 4.0], 4.0);
    }

    #[test]
    fn parts_come_to_what_all_come_to() {
        let values = [3.0, f64::NAN, -1.5, 8.0, f64::NAN, f64::NAN, 2.0];
        for aggregator in AGGREGATORS {
            let Some(function) = aggregator.function else { continue };
            for cut in 1..values.len() {
                let (first, second) = values.split_at(cut);
                let (Some(first), Some(second)) = (function.partial(first), function.partial(second)) else { continue };
                let (found, expected) = (function.of_partials(&[first, second]), function.of_floats(&values));
                let same = found == expected || found.is_nan() && expected.is_nan();
                assert!(same, "{} cut at {cut}: {found}, not {expected}", aggregator.name);
            }
        }
        assert!(function("sum").of_partials(&[Partial { value: 0.0, count: 0 }]).is_nan());
    }

    #[test]
    fn names_are_unique_and_case_sensitive() {
        let names: std::collections::BTreeSet<_> = AGGREGATORS.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), AGGREGATORS.len());
        assert!(Aggregator::named("SUM").is_none() && Aggregator::named("squareSum").is_some());
    }
}
