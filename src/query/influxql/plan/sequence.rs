//! Calls that go along a series point by point: derivative, moving_average, integral, holt_winters and the like.

use datafusion::common::{Column, Result};

use crate::query::functions::series::{Calculation, Smoothing, Warmup};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::expr::Literal;
use crate::query::influxql::select::Fill;
use crate::query::series::{SeriesOperation, Transform, series_plan};

use super::aggregate::{drivers, fields_read};
use super::calls::{Function, Planned, Sequence};
use super::fields::Parts;
use super::read::{Read, Wanted, planning};
use super::resolve::Query;
use super::rows::{TIME, call_column, value_column};
use super::select::{Planner, series_order};
use super::types::Type;

const SECOND: i64 = 1_000_000_000;

impl Planner<'_> {
    /// Calls along points as they are: keys, [`TIME`], and a column for each of these calls.
    pub(super) fn sequences(&self, query: &Query, calls: &[(usize, Planned)]) -> Result<Option<Read>, StatementError> {
        let planned: Vec<Planned> = calls.iter().map(|(_, call)| call.clone()).collect();
        let refs = fields_read(&planned, &[]);
        let drivers = drivers(&planned, &refs);
        let wanted = Wanted { query, refs: &refs, drivers: &drivers, drivers_decide_inner: true, range: query.range };
        let Some(read) = wanted.read(self.sources(query)?)? else { return Ok(None) };
        let columns = calls.iter().filter_map(|(i, call)| {
            let Function::Sequence(sequence) = &call.function else { return None };
            let value = refs.iter().position(|reference| *reference == call.field)?;
            Some((Column::new_unqualified(value_column(value)), calculation(sequence, query), call_column(*i)))
        });
        let transform = Transform { columns: columns.collect() };
        let order = series_order(&read.keys, query.direction);
        let plan = series_plan(read.plan.clone(), order, SeriesOperation::Transform(transform)).map_err(planning)?;
        Ok(Some(Read { plan, order: vec![TIME.to_string()], ..read }))
    }
}

/// Goes along the rows of windows where a call wants that; the other columns stay as they are.
pub(super) fn over_windows(query: &Query, parts: &Parts, calls: &[Planned], read: Read) -> Result<Read> {
    if !calls.iter().any(|call| matches!(call.function, Function::OverWindows(..))) {
        return Ok(read);
    }
    let keep = Calculation::Keep { nulls: query.fill != Fill::None };
    let mut columns = Vec::new();
    for (i, call) in calls.iter().enumerate() {
        let calculation = match &call.function {
            Function::OverWindows(..) if call.kind() == Type::Unknown => Calculation::Keep { nulls: false },
            Function::OverWindows(sequence, _) => calculation(sequence, query),
            _ => keep.clone(),
        };
        columns.push((Column::new_unqualified(call_column(i)), calculation, call_column(i)));
    }
    for i in 0..parts.refs.len() {
        columns.push((Column::new_unqualified(value_column(i)), keep.clone(), value_column(i)));
    }
    let order = series_order(&read.keys, query.direction);
    let plan = series_plan(read.plan.clone(), order, SeriesOperation::Transform(Transform { columns }))?;
    Ok(Read { plan, ..read })
}

fn calculation(sequence: &Sequence, query: &Query) -> Calculation {
    let interval = query.windows.as_ref().map(|windows| windows.interval());
    let descending = query.direction == Direction::Descending;
    let unit = |default: i64| match sequence.args.first() {
        Some(Literal::Duration(duration)) => duration.0,
        _ => default,
    };
    let count = |i: usize| match sequence.args.get(i) {
        Some(Literal::Integer(n)) => Some(*n),
        _ => None,
    };
    let points = |i: usize| usize::try_from(count(i).unwrap_or(0)).unwrap_or(0);
    match sequence.name.as_str() {
        name @ ("derivative" | "non_negative_derivative") => Calculation::Derivative {
            unit: unit(interval.unwrap_or(SECOND)),
            non_negative: name == "non_negative_derivative",
            descending,
        },
        name @ ("difference" | "non_negative_difference") => {
            Calculation::Difference { non_negative: name == "non_negative_difference" }
        }
        "cumulative_sum" => Calculation::CumulativeSum,
        "moving_average" => Calculation::MovingAverage { n: points(0) },
        "elapsed" => Calculation::Elapsed { unit: unit(1) },
        "integral" => {
            Calculation::Integral { unit: unit(SECOND), windows: query.windows.clone(), whole: 0, descending }
        }
        name @ ("holt_winters" | "holt_winters_with_fit") => Calculation::HoltWinters {
            forecasts: points(0),
            season: points(1),
            fit: name == "holt_winters_with_fit",
            interval: interval.unwrap_or(SECOND),
        },
        name => Calculation::Smoothed(smoothing(name, sequence, count)),
    }
}

fn smoothing(name: &str, sequence: &Sequence, count: impl Fn(usize) -> Option<i64>) -> Smoothing {
    let period = u32::try_from(count(0).unwrap_or(0)).unwrap_or(0);
    let hold = count(1).and_then(|hold| u32::try_from(hold).ok());
    let said = match sequence.args.get(2) {
        Some(Literal::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let warmup = if said == Some("simple") { Warmup::Simple } else { Warmup::Exponential };
    match name {
        "double_exponential_moving_average" => Smoothing::DoubleExponentialMovingAverage { period, hold, warmup },
        "triple_exponential_moving_average" => Smoothing::TripleExponentialMovingAverage { period, hold, warmup },
        "triple_exponential_derivative" => Smoothing::TripleExponentialDerivative { period, hold, warmup },
        "relative_strength_index" => Smoothing::RelativeStrengthIndex { period, hold, warmup },
        "kaufmans_efficiency_ratio" => Smoothing::KaufmansEfficiencyRatio { period, hold },
        "kaufmans_adaptive_moving_average" => Smoothing::KaufmansAdaptiveMovingAverage { period, hold },
        "chande_momentum_oscillator" => Smoothing::ChandeMomentumOscillator {
            period,
            hold,
            warmup: said.filter(|word| *word != "none").map(|_| warmup),
        },
        _ => Smoothing::ExponentialMovingAverage { period, hold, warmup },
    }
}
