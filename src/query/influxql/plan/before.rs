//! `fill(previous)` over rows: what a row lacks stands for with what the rows before it had.
//!
//! The server fills while rows leave, so what OFFSET leaves out is not known to those behind it.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder, cast};

use crate::query::functions::series::Calculation;
use crate::query::influxql::select::Fill;
use crate::query::series::{SeriesOperation, SeriesOrder, Transform, series_plan};

use super::calls::{Function, Planned, Several};
use super::fields::Parts;
use super::limits::{NUMBER, all_columns, numbered};
use super::read::Read;
use super::resolve::Query;
use super::rows::{TIME, column, sorted_by};
use super::select::series_order;

/// A number of a row within its series, as a time.
const PLACE: &str = "place";

/// Whether what stands beside a call is filled with the rows that leave, not with the windows: where the points have no
/// windows of their own, or OFFSET leaves some of them out.
pub(super) fn is_carried_beside(query: &Query, parts: &Parts, calls: &[Planned]) -> bool {
    let ([call], false) = (calls, parts.refs.is_empty()) else { return false };
    query.fill == Fill::Previous
        && match call.function.innermost() {
            Function::Several(several) => *several != Several::Distinct,
            Function::Aggregate(_) => query.windows.is_some() && query.rows.offset > 0,
            Function::Sequence(_) | Function::OverWindows(..) => false,
        }
}

/// The same rows with the values that they lack; nothing else than `fill(previous)` does that.
pub(super) fn with_values_before(read: Read, query: &Query) -> Result<Read> {
    if query.fill != Fill::Previous {
        return Ok(read);
    }
    let is_by_time = read.order.iter().all(|name| name == TIME || read.keys.names().contains(name));
    let plan = if is_by_time { along_times(&read, query) } else { along_places(&read, query) }?;
    Ok(Read { plan, ..read })
}

fn along_times(read: &Read, query: &Query) -> Result<LogicalPlan> {
    let carried = behind_keys(read).filter(|column| column.name != TIME);
    let columns = carried.map(|column| (column.clone(), Calculation::Carry, column.name)).collect();
    let order = series_order(&read.keys, query.direction);
    series_plan(read.plan.clone(), order, SeriesOperation::Transform(Transform { columns }))
}

/// Along rows as they are numbered in their order, which is not that of their times alone.
fn along_places(read: &Read, query: &Query) -> Result<LogicalPlan> {
    let kept = all_columns(&read.plan);
    let calculated = behind_keys(read).map(|column| {
        let tells_order = column.name == TIME || read.order.contains(&column.name);
        let calculation = if tells_order { Calculation::Keep { nulls: true } } else { Calculation::Carry };
        (column.clone(), calculation, column.name)
    });
    let carried = SeriesOperation::Transform(Transform { columns: calculated.collect() });
    let by_place = sorted_by(read.order.iter().cloned(), query.direction);
    let place = cast(column(NUMBER), DataType::Timestamp(TimeUnit::Nanosecond, None)).alias(PLACE);
    let placed: Vec<Plan> = kept.iter().cloned().chain([place]).collect();
    let number = numbered(read.keys.columns(), by_place, NUMBER)?;
    let placed = LogicalPlanBuilder::from(read.plan.clone()).window(vec![number])?.project(placed)?.build()?;
    let along = SeriesOrder {
        keys: read.keys.names().into_iter().map(Column::new_unqualified).collect(),
        time: Column::new_unqualified(PLACE),
        keys_descending: false,
        time_descending: false,
        then: Vec::new(),
    };
    LogicalPlanBuilder::from(series_plan(placed, along, carried)?).project(kept)?.build()
}

fn behind_keys(read: &Read) -> impl Iterator<Item = Column> {
    let keys = read.keys.names();
    read.plan.schema().columns().into_iter().filter(move |column| !keys.contains(&column.name))
}
