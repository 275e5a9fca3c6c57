//! Several calls of one select: their rows made one, their points counted each by itself.

use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{
    Expr as Plan, ExprFunctionExt, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, lit, when,
};

use crate::query::functions::series::Calculation;
use crate::query::influxql::clauses::Page;
use crate::query::influxql::expr::{Call, Expr};
use crate::query::influxql::select::Fill;
use crate::query::series::{SeriesOperation, Transform, series_plan};

use super::calls::Planned;
use super::fields::Parts;
use super::read::Read;
use super::resolve::Query;
use super::rows::{TIME, call_column, column, sorted_by, value_column};
use super::select::{passed_on, series_order, wanted_rows};
use super::types::Type;
use super::typing::type_of;
use super::values::null;

/// The calls of an aggregate under the numbers they have in the whole select. More than one call: keys, time, calls.
pub(super) fn renamed(read: Read, numbers: &[usize]) -> Result<Read, DataFusionError> {
    let mut columns = read.keys.columns();
    columns.push(column(TIME));
    columns.extend(numbers.iter().enumerate().map(|(i, number)| column(call_column(i)).alias(call_column(*number))));
    let plan = LogicalPlanBuilder::from(read.plan.clone()).project(columns)?.build()?;
    Ok(Read { plan, order: vec![TIME.to_string()], ..read })
}

/// Rows of several reads of one select: those of one series and time are one row. A row stays one where all is null.
pub(super) fn joined(
    query: &Query,
    parts: &Parts,
    calls: &[Planned],
    mut reads: Vec<(Vec<usize>, Read)>,
) -> Result<Option<Read>, DataFusionError> {
    if reads.len() == 1 && calls.len() == reads[0].0.len() {
        return Ok(reads.pop().map(|(_, read)| read));
    }
    let Some((_, first)) = reads.first() else { return Ok(None) };
    let (keys, measurement) = (first.keys.clone(), first.measurement.clone());
    let kinds: Vec<Type> = parts.calls.iter().map(|call| type_of(&Expr::Call(call.clone()))).collect();
    let mut all: Option<LogicalPlanBuilder> = None;
    let from = |read: usize| format!("from_{read}");
    let count = reads.len();
    for (number, (numbers, read)) in reads.into_iter().enumerate() {
        let mut columns = keys.columns();
        columns.push(column(TIME));
        for (i, kind) in kinds.iter().enumerate() {
            let name = call_column(i);
            columns.push(if numbers.contains(&i) { column(name) } else { null(*kind).alias(name) });
        }
        let here = |i: usize| if i == number { lit(true) } else { null(Type::Boolean) };
        columns.extend((0..count).map(|i| here(i).alias(from(i))));
        let part = LogicalPlanBuilder::from(read.plan).project(columns)?.build()?;
        all = Some(match all {
            None => LogicalPlanBuilder::from(part),
            Some(all) => all.union(part)?,
        });
    }
    let Some(all) = all else { return Ok(None) };
    let names = (0..calls.len()).map(call_column);
    let kept = names.clone().chain((0..count).map(from));
    let kept = kept.map(|name| (Column::new_unqualified(&name), Calculation::Keep { nulls: false }, name));
    let transform = Transform { columns: kept.collect() };
    let order = series_order(&keys, query.direction);
    let plan = series_plan(all.build()?, order, SeriesOperation::Transform(transform))?;
    let columns = keys.columns().into_iter().chain([column(TIME)]).chain(names.map(column));
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    Ok(Some(Read { plan, measurement, keys, order: vec![TIME.to_string()] }))
}

/// Whether LIMIT and OFFSET count the points of each call by itself: where calls have points of their own.
pub(super) fn limits_each_call(query: &Query) -> bool {
    let calls = Parts::of(&query.fields).calls;
    let over_windows = |call: &Call| matches!(call.args.first(), Some(Expr::Call(_))) && call.name != "count";
    let own_points = query.windows.is_none() || query.fill == Fill::None || calls.iter().all(over_windows);
    calls.len() > 1 && query.rows != Page::default() && own_points
}

/// Of each call the points that LIMIT and OFFSET want.
pub(super) fn limited(read: Read, query: &Query, parts: &Parts) -> Result<Read, DataFusionError> {
    let (offset, limit) = wanted_rows(query);
    let first = i64::try_from(offset).unwrap_or(i64::MAX);
    let last = limit.map(|limit| first.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX)));
    let number = |i: usize| format!("number_{i}");
    let counted = |i: usize| {
        let until_here = WindowFrame::new_bounds(
            WindowFrameUnits::Rows,
            WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
            WindowFrameBound::CurrentRow,
        );
        let window = Plan::from(WindowFunction::new(count_udaf(), vec![column(call_column(i))]))
            .partition_by(read.keys.columns())
            .order_by(sorted_by([TIME.to_string()], query.direction))
            .window_frame(until_here)
            .build()?;
        Ok(window.alias(number(i)))
    };
    let numbers = (0..parts.calls.len()).map(counted).collect::<Result<Vec<_>, DataFusionError>>()?;
    let builder = LogicalPlanBuilder::from(read.plan.clone()).window(numbers)?;
    let mut columns = passed_on(&read);
    let mut has_value = Vec::new();
    for i in 0..parts.calls.len() {
        let number = column(number(i));
        let above = number.clone().gt(lit(first));
        let wanted = match last {
            Some(last) => above.and(number.lt_eq(lit(last))),
            None => above,
        };
        let wanted = wanted.and(column(call_column(i)).is_not_null());
        columns.push(when(wanted.clone(), column(call_column(i))).end()?.alias(call_column(i)));
        has_value.push(wanted);
    }
    let values = (0..parts.refs.len()).map(|i| column(value_column(i)));
    let schema = read.plan.schema();
    columns.extend(values.filter(|value| matches!(value, Plan::Column(value) if schema.has_column(value))));
    let has_value = disjunction(has_value).unwrap_or_else(|| lit(false));
    let plan = builder.filter(has_value)?.project(columns)?.build()?;
    Ok(Read { plan, ..read })
}
