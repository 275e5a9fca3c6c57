//! Calls that go along a series point by point: derivative, moving_average, integral, holt_winters and the like.

use datafusion::common::{Column, Result};

use crate::query::functions::series::{Calculation, Smoothing, Warmup};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::expr::Literal;
use crate::query::influxql::select::Fill;
use crate::query::series::{SeriesOperation, SeriesOrder, Transform, series_plan};

use super::aggregate::{drivers, fields_read};
use super::calls::{Function, Planned, Sequence};
use super::read::{Read, Wanted, planning};
use super::resolve::Query;
use super::rows::{TIME, call_column, is_rank, value_column};
use super::select::{Planner, series_order};
use super::types::Type;

const SECOND: i64 = 1_000_000_000;

impl Planner<'_> {
    /// Calls along points as they are: keys, [`TIME`], and a column for each of these calls.
    pub(super) fn sequences(&self, query: &Query, calls: &[(usize, Planned)]) -> Result<Option<Read>, StatementError> {
        let planned: Vec<Planned> = calls.iter().map(|(_, call)| call.clone()).collect();
        let refs = fields_read(&planned, &[]);
        let drivers = drivers(&planned, &refs);
        let range = query.stored_range();
        let wanted =
            Wanted { query, refs: &refs, drivers: &drivers, drivers_decide_inner: true, range, of_each_series: None };
        let Some(read) = wanted.read(self.sources(query)?)? else { return Ok(None) };
        let columns = calls.iter().filter_map(|(i, call)| {
            let Function::Sequence(sequence) = call.function.innermost() else { return None };
            let value = refs.iter().position(|reference| *reference == call.field)?;
            Some((Column::new_unqualified(value_column(value)), calculation(sequence, query), call_column(*i)))
        });
        let transform = Transform { columns: columns.collect() };
        let order = series_order(&read.keys, query.direction);
        let plan = series_plan(read.plan.clone(), order, SeriesOperation::Transform(transform)).map_err(planning)?;
        let read = Read { plan, order: vec![TIME.to_string()], ..read };
        let calls = calls.iter().map(|(i, call)| (*i, call));
        over_windows(query, calls, &[], read).map(Some).map_err(planning)
    }
}

/// Goes along the rows of windows, or points of them, where calls want that, as often as they want it; the columns of the
/// other calls and `beside` stay as they are.
pub(super) fn over_windows<'c>(
    query: &Query,
    calls: impl Iterator<Item = (usize, &'c Planned)>,
    beside: &[String],
    mut read: Read,
) -> Result<Read> {
    let calls: Vec<_> = calls.map(|(i, call)| (call_column(i), call, call.function.over_windows())).collect();
    let times = calls.iter().map(|(_, _, sequences)| sequences.len()).max().unwrap_or(0);
    let keep = Calculation::Keep { nulls: query.fill != Fill::None };
    for time in 0..times {
        let mut columns = Vec::new();
        for (name, call, sequences) in &calls {
            let calculation = match sequences.get(time) {
                Some(_) if call.kind() == Type::Unknown => Calculation::Keep { nulls: false },
                Some(sequence) => calculation(sequence, query),
                None if sequences.is_empty() => keep.clone(),
                None => Calculation::Keep { nulls: false },
            };
            columns.push((Column::new_unqualified(name), calculation, name.clone()));
        }
        columns.extend(beside.iter().map(|name| (Column::new_unqualified(name), keep.clone(), name.clone())));
        let ranks = read.order.iter().filter(|name| is_rank(name)).map(Column::new_unqualified).collect();
        let order = SeriesOrder { then: ranks, ..series_order(&read.keys, query.direction) };
        read.plan = series_plan(read.plan, order, SeriesOperation::Transform(Transform { columns }))?;
        if read.order.iter().any(|name| is_rank(name)) {
            read.order = vec![TIME.to_string()];
        }
    }
    Ok(read)
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
