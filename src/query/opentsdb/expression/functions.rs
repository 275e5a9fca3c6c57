//! The functions of `/api/query/gexp`.

use std::collections::{BTreeMap, VecDeque};

use super::super::answer::{TagSet, Value};
use super::super::error::OpentsdbError;
use super::{Budget, Series};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Function {
    Scale(Factor),
    Absolute,
    Alias(String),
    MovingAverage(Span),
    HighestCurrent(usize),
    HighestMax(usize),
    /// By milliseconds.
    Shift(i64),
    FirstDiff,
    Combine(Operator),
}

/// Keeps integers integers when it is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Factor {
    Integer(i64),
    Float(f64),
}

/// What a moving average is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Points(usize),
    Millis(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Sum,
    Difference,
    Multiply,
    Divide,
}

impl Operator {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Operator::Sum => a + b,
            Operator::Difference => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
        }
    }
}

impl Function {
    /// A function of that name with those parameters, as written.
    pub(super) fn named(name: &str, parameters: &[&str]) -> Result<Function, OpentsdbError> {
        let invalid = |what: &str| OpentsdbError::Refused(format!("Invalid parameter of {name}: {what}"));
        let first = || {
            parameters.first().copied().ok_or_else(|| OpentsdbError::Refused(format!("Need a parameter for {name}")))
        };
        let count = || -> Result<usize, OpentsdbError> {
            let text = first()?;
            text.parse().ok().filter(|count| *count > 0).ok_or_else(|| invalid(text))
        };
        Ok(match name {
            "scale" => {
                let text = first()?;
                match (text.parse(), text.parse::<f64>()) {
                    (Ok(factor), _) => Function::Scale(Factor::Integer(factor)),
                    (_, Ok(factor)) if factor.is_finite() => Function::Scale(Factor::Float(factor)),
                    _ => return Err(invalid(text)),
                }
            }
            "absolute" => Function::Absolute,
            "alias" => {
                first()?;
                Function::Alias(parameters.join(","))
            }
            "movingAverage" => {
                let text = first()?;
                Function::MovingAverage(match text.starts_with(['\'', '"']) {
                    true => Span::Millis(quoted_duration(text)?),
                    false => Span::Points(count()?),
                })
            }
            "highestCurrent" => Function::HighestCurrent(count()?),
            "highestMax" => Function::HighestMax(count()?),
            "shift" | "timeShift" => Function::Shift(quoted_duration(first()?)?),
            "firstDiff" => Function::FirstDiff,
            "sumSeries" | "sum" => Function::Combine(Operator::Sum),
            "diffSeries" | "difference" => Function::Combine(Operator::Difference),
            "multiplySeries" | "multiply" => Function::Combine(Operator::Multiply),
            "divideSeries" | "divide" => Function::Combine(Operator::Divide),
            _ => return Err(OpentsdbError::Refused(format!("Function {name} has not been implemented"))),
        })
    }

    /// Functions of one argument take the series of all that are given.
    pub(super) fn apply(&self, arguments: Vec<Vec<Series>>) -> Result<Vec<Series>, OpentsdbError> {
        if let Function::Combine(operator) = self {
            return combined(*operator, &arguments);
        }
        let mut series: Vec<Series> = arguments.into_iter().flatten().collect();
        match self {
            Function::Scale(factor) => each_value(&mut series, |value| match (value, factor) {
                (Value::Integer(value), Factor::Integer(factor)) => Value::Integer(value.wrapping_mul(*factor)),
                (value, Factor::Integer(factor)) => Value::Float(value.as_float() * *factor as f64),
                (value, Factor::Float(factor)) => Value::Float(value.as_float() * factor),
            }),
            Function::Absolute => each_value(&mut series, |value| match value {
                Value::Integer(value) => Value::Integer(value.wrapping_abs()),
                Value::Float(value) => Value::Float(value.abs()),
            }),
            Function::Alias(name) => series.iter_mut().for_each(|one| one.alias = Some(name.clone())),
            Function::MovingAverage(span) => series.iter_mut().for_each(|one| moving_average(one, *span)),
            Function::HighestCurrent(count) => {
                highest(&mut series, *count, |one| one.points.last().map_or(f64::NAN, |(_, value)| value.as_float()));
            }
            Function::HighestMax(count) => highest(&mut series, *count, |one| {
                one.points.iter().map(|(_, value)| value.as_float()).fold(f64::NAN, f64::max)
            }),
            Function::Shift(millis) => {
                let times = series.iter_mut().flat_map(|one| &mut one.points).map(|(time, _)| time);
                times.for_each(|time| *time = time.saturating_add(*millis));
            }
            Function::FirstDiff => series.iter_mut().for_each(first_difference),
            Function::Combine(_) => {}
        }
        each_value(&mut series, |value| match value {
            Value::Float(value) => finite(value),
            integer => integer,
        });
        Ok(series)
    }
}

fn each_value(series: &mut [Series], change: impl Fn(Value) -> Value) {
    series.iter_mut().flat_map(|one| &mut one.points).for_each(|(_, value)| *value = change(*value));
}

/// Infinite numbers are in no answer: they are NaN.
fn finite(value: f64) -> Value {
    Value::Float(if value.is_infinite() { f64::NAN } else { value })
}

/// `'10min'`: in quotes, with units of its own.
fn quoted_duration(text: &str) -> Result<i64, OpentsdbError> {
    let inside = text.trim_start_matches(['\'', '"']);
    let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
    let count: i64 =
        inside[..digits].parse().map_err(|_| OpentsdbError::Refused(format!("Invalid Parameter: {text}")))?;
    let unit = &inside[digits..];
    let millis: i64 = match unit.trim_end_matches(['\'', '"']) {
        "sec" => 1000,
        "min" => 60 * 1000,
        "hr" => 3600 * 1000,
        "day" | "days" => 24 * 3600 * 1000,
        "week" | "weeks" => 7 * 24 * 3600 * 1000,
        _ => return Err(OpentsdbError::Refused(format!("unknown time unit={unit}"))),
    };
    count.checked_mul(millis).ok_or_else(|| OpentsdbError::Refused(format!("Invalid Parameter: {text}")))
}

/// The mean of the points of a span that ends at each point; 0 until the span is full.
fn moving_average(series: &mut Series, span: Span) {
    let mut window: VecDeque<(i64, f64)> = VecDeque::new();
    let mut sum = 0.0;
    let first = series.points.first().map_or(0, |(time, _)| *time);
    for (time, value) in &mut series.points {
        window.push_back((*time, value.as_float()));
        sum += value.as_float();
        let is_out = |window: &VecDeque<(i64, f64)>| match span {
            Span::Points(count) => window.len() > count,
            Span::Millis(millis) => window.front().is_some_and(|(at, _)| *at <= time.saturating_sub(millis)),
        };
        while is_out(&window) {
            sum -= window.pop_front().map_or(0.0, |(_, value)| value);
        }
        let is_full = match span {
            Span::Points(count) => window.len() == count,
            Span::Millis(millis) => time.saturating_sub(first) >= millis,
        };
        *value = Value::Float(if is_full { sum / window.len() as f64 } else { 0.0 });
    }
}

/// Differences to the point before; 0 for the first.
fn first_difference(series: &mut Series) {
    let mut before = None;
    for (_, value) in &mut series.points {
        let now = value.as_float();
        *value = Value::Float(before.map_or(0.0, |before| now - before));
        before = Some(now);
    }
}

/// Keeps the series with the highest scores, in order of these.
fn highest(series: &mut Vec<Series>, count: usize, score: impl Fn(&Series) -> f64) {
    let of = |one: &Series| Some(score(one)).filter(|score| !score.is_nan()).unwrap_or(f64::NEG_INFINITY);
    series.sort_by(|a, b| of(b).total_cmp(&of(a)));
    series.truncate(count);
}

/// Series of equal tags of all arguments, at each instant that any of them has; 0 where one lacks it. When each argument is one
/// series they belong together whatever their tags.
fn combined(operator: Operator, arguments: &[Vec<Series>]) -> Result<Vec<Series>, OpentsdbError> {
    if arguments.len() < 2 {
        return Err(OpentsdbError::refused("Must have at least two series to combine"));
    }
    let belong = arguments.iter().all(|series| series.len() == 1);
    let mut together: BTreeMap<TagSet, Vec<Option<&Series>>> = BTreeMap::new();
    for (at, argument) in arguments.iter().enumerate() {
        for series in argument {
            let key = if belong { Vec::new() } else { series.tags.clone() };
            together.entry(key).or_insert_with(|| vec![None; arguments.len()])[at] = Some(series);
            Budget::default().take(together.len().saturating_mul(arguments.len()))?;
        }
    }
    let combine = |parts: &Vec<Option<&Series>>| {
        let first = *parts.iter().flatten().next()?;
        let mut times: Vec<i64> =
            parts.iter().flatten().flat_map(|series| series.points.iter().map(|(time, _)| *time)).collect();
        times.sort_unstable();
        times.dedup();
        // How far each part has been read.
        let mut read = vec![0; parts.len()];
        let mut value = |time: i64| {
            let of_parts = parts.iter().zip(&mut read).map(|(part, read)| {
                let mut value = 0.0;
                while let Some((_, here)) =
                    part.and_then(|series| series.points.get(*read)).filter(|(at, _)| *at <= time)
                {
                    value = here.as_float();
                    *read += 1;
                }
                value
            });
            of_parts.reduce(|a, b| operator.apply(a, b)).unwrap_or(f64::NAN)
        };
        let points = times.into_iter().map(|time| (time, finite(value(time)))).collect();
        let (metric, tags, aggregated) = (first.metric.clone(), first.tags.clone(), first.aggregated.clone());
        Some(Series { metric, tags, aggregated, points, alias: first.alias.clone(), is_combined: true })
    };
    Ok(together.values().filter_map(combine).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(host: &str, values: &[i64]) -> Series {
        Series {
            metric: "m".into(),
            tags: vec![("h".into(), host.into())],
            aggregated: Vec::new(),
            points: values.iter().enumerate().map(|(i, &v)| (i as i64 * 10_000, Value::Integer(v))).collect(),
            alias: None,
            is_combined: false,
        }
    }

    fn applied(name: &str, parameters: &[&str], arguments: Vec<Vec<Series>>) -> Vec<Vec<Value>> {
        let function = Function::named(name, parameters).expect("a function");
        let found = function.apply(arguments).expect("series");
        found.iter().map(|one| one.points.iter().map(|(_, value)| *value).collect()).collect()
    }

    #[test]
    fn functions_of_one_series() {
        let check = |name: &str, parameters: &[&str], expected: &[Value]| {
            let found = applied(name, parameters, vec![vec![series("a", &[1, 2, 6, 3])]]);
            assert_eq!(found, [expected], "{name} {parameters:?}");
        };
        let floats = |values: [f64; 4]| values.map(Value::Float);
        check("scale", &["-10"], &[-10, -20, -60, -30].map(Value::Integer));
        check("scale", &["0.5"], &floats([0.5, 1.0, 3.0, 1.5]));
        check("absolute", &[], &[1, 2, 6, 3].map(Value::Integer));
        check("movingAverage", &["3"], &floats([0.0, 0.0, 3.0, 11.0 / 3.0]));
        check("movingAverage", &["'20sec'"], &floats([0.0, 0.0, 4.0, 4.5]));
        check("firstDiff", &[], &floats([0.0, 1.0, 4.0, -3.0]));
    }

    #[test]
    fn what_becomes_infinite_is_no_number() {
        let check = |name: &str, parameters: &[&str], values: &[f64]| {
            let mut large = series("a", &[0; 2]);
            large.points.iter_mut().zip(values).for_each(|((_, value), large)| *value = Value::Float(*large));
            let found = applied(name, parameters, vec![vec![large]]).concat();
            assert!(matches!(found[1], Value::Float(value) if value.is_nan()), "{name} {found:?}");
        };
        check("scale", &["10"], &[1.0, 1e308]);
        check("scale", &["1e10"], &[1.0, 1e308]);
        check("firstDiff", &[], &[-1e308, 1e308]);
        check("movingAverage", &["2"], &[1e308, 1e308]);
    }

    #[test]
    fn the_highest_series_are_chosen() {
        let arguments = || vec![vec![series("a", &[9, 1]), series("b", &[2, 3])]];
        assert_eq!(applied("highestMax", &["1"], arguments()), [[9, 1].map(Value::Integer)]);
        assert_eq!(applied("highestCurrent", &["1"], arguments()), [[2, 3].map(Value::Integer)]);
    }

    #[test]
    fn series_of_equal_tags_are_combined() {
        let arguments =
            || vec![vec![series("a", &[1, 2]), series("b", &[10, 20])], vec![series("b", &[1, 1]), series("a", &[2])]];
        let floats = |values: [f64; 2]| values.map(Value::Float);
        assert_eq!(applied("sumSeries", &[], arguments()), [floats([3.0, 2.0]), floats([11.0, 21.0])]);
        assert_eq!(applied("difference", &[], arguments()), [floats([-1.0, 2.0]), floats([9.0, 19.0])]);
        let single = vec![vec![series("a", &[6])], vec![series("b", &[3])]];
        assert_eq!(applied("divideSeries", &[], single), [[Value::Float(2.0)]]);
    }

    #[test]
    fn shifting_knows_its_own_units() {
        let shift = |text: &str| Function::named("shift", &[text]).map_err(|error| error.to_string());
        assert_eq!(shift("'10min'"), Ok(Function::Shift(600_000)));
        assert_eq!(shift("'20s'"), Err("unknown time unit=s'".to_string()));
        assert_eq!(shift("'x'"), Err("Invalid Parameter: 'x'".to_string()));
    }
}
