//! LIMIT and OFFSET where rows are counted by their place among others: of groups whose points have an order of their own,
//! and of series that leave an inner select mixed.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr as Plan, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, SortExpr, lit};

use crate::query::influxql::clauses::Page;

use super::resolve::Query;
use super::rows::{Keys, NAME, TIME, column, sorted_by, tag_column};

pub(super) const NUMBER: &str = "number";
const NUMBER_OF_SERIES: &str = "number_of_series";
const RUN: &str = "run";
const NUMBER_IN_RUN: &str = "number_in_run";

/// So many rows of each series, in an order.
pub(super) fn rows_of_series(
    plan: LogicalPlan,
    keys: &Keys,
    order: Vec<SortExpr>,
    (offset, limit): (usize, Option<usize>),
) -> Result<LogicalPlan> {
    let kept = all_columns(&plan);
    let number = numbered(keys.columns(), order, NUMBER)?;
    let wanted = wanted(NUMBER, offset, limit);
    LogicalPlanBuilder::from(plan).window(vec![number])?.filter(wanted)?.project(kept)?.build()
}

/// What leaves an inner select as rows whose series are more than those of the outer one, which groups by `outer`: they
/// come mixed, by time, and the server counts anew whenever the series is another than that of the row before. Rows as they
/// are stored are counted twice, which makes a difference to OFFSET.
pub(super) fn rows_of_runs(plan: LogicalPlan, keys: &Keys, inner: &Query, outer: &[Arc<str>]) -> Result<LogicalPlan> {
    let plan = counted_in_runs(plan, keys, inner, outer)?;
    let again = inner.is_of_stored_rows() && inner.rows.offset > 0;
    if again { counted_in_runs(plan, keys, inner, outer) } else { Ok(plan) }
}

fn counted_in_runs(plan: LogicalPlan, keys: &Keys, inner: &Query, outer: &[Arc<str>]) -> Result<LogicalPlan> {
    let Page { limit, offset } = inner.rows;
    let is_outer = |i: &usize| outer.contains(&inner.dimensions[*i]);
    let together = (0..inner.dimensions.len()).filter(is_outer).map(tag_column);
    let together = keys.has_name.then(|| NAME.to_string()).into_iter().chain(together);
    let mixed = sorted_by(together.chain([TIME.to_string()]).chain(keys.names()), inner.direction);
    // Rows of one series and time have no order of their own: it is settled once.
    let as_mixed = || vec![column(NUMBER).sort(true, false)];
    let kept = all_columns(&plan);
    // Rows of a series that follow each other are as far from their numbers within it.
    let run = (column(NUMBER) - column(NUMBER_OF_SERIES)).alias(RUN);
    let with_runs: Vec<Plan> = kept.iter().cloned().chain([column(NUMBER), run]).collect();
    let in_run = keys.columns().into_iter().chain([column(RUN)]).collect();
    LogicalPlanBuilder::from(plan)
        .window(vec![numbered(Vec::new(), mixed, NUMBER)?])?
        .window(vec![numbered(keys.columns(), as_mixed(), NUMBER_OF_SERIES)?])?
        .project(with_runs)?
        .window(vec![numbered(in_run, as_mixed(), NUMBER_IN_RUN)?])?
        .filter(wanted(NUMBER_IN_RUN, offset as usize, (limit > 0).then_some(limit as usize)))?
        .project(kept)?
        .build()
}

pub(super) fn all_columns(plan: &LogicalPlan) -> Vec<Plan> {
    plan.schema().columns().into_iter().map(Plan::Column).collect()
}

/// The number of each row among those that have `parts` in common, from 1.
pub(super) fn numbered(parts: Vec<Plan>, order: Vec<SortExpr>, name: &str) -> Result<Plan> {
    Ok(row_number().partition_by(parts).order_by(order).build()?.alias(name))
}

fn wanted(number: &str, offset: usize, limit: Option<usize>) -> Plan {
    let above = column(number).gt(lit(offset as u64));
    match limit {
        Some(limit) => above.and(column(number).lt_eq(lit(offset.saturating_add(limit) as u64))),
        None => above,
    }
}
