//! What comes last in every select: its columns, DISTINCT, order, limits.

use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder, SortExpr, lit};

use crate::model::{DeclaredType, Precision};
use crate::query::tdsql::ast::{Expr, Limit, OrderItem, SelectItem};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::json;

use super::Planner;
use super::expr::Names;
use super::relation::{RelationColumn, Role, Selected};
use super::types::{Typed, column};

/// A column of the list.
#[derive(Debug, Clone)]
pub(super) struct Out {
    pub name: String,
    pub typed: Typed,
    pub role: Role,
}

/// How a select ends.
#[derive(Debug, Clone)]
pub(super) struct Finish<'a> {
    pub distinct: bool,
    pub order: &'a [OrderItem],
    pub series_limit: Option<Limit>,
    pub limit: Option<Limit>,
    /// What partitions are told by, of which limits speak.
    pub keys: Vec<Plan>,
    /// By what rows come when nothing is said.
    pub default_order: Vec<Plan>,
}

/// What rows are sorted by.
#[derive(Debug, Clone)]
pub(super) struct SortKey {
    by: SortBy,
    descending: bool,
    nulls_first: bool,
}

#[derive(Debug, Clone)]
enum SortBy {
    /// A column of the list.
    Output(usize),
    Expr(Plan),
}

impl Planner<'_> {
    /// ORDER BY: positions, names and expressions of the list, or expressions of their own.
    pub(super) fn sort_keys(
        &self,
        finish: &Finish<'_>,
        items: &[SelectItem],
        names: &mut dyn Names,
    ) -> Result<Vec<SortKey>, TdError> {
        let mut keys = Vec::with_capacity(finish.order.len());
        for OrderItem { expr, descending, nulls_first } in finish.order {
            let by = match expr {
                Expr::Number(digits) => match digits.parse::<usize>() {
                    Ok(at) if (1..=items.len()).contains(&at) => SortBy::Output(at - 1),
                    _ => return Err(TdError::OrderPosition),
                },
                other => {
                    let alias = |item: &SelectItem| matches!(other, Expr::Column { table: None, name } if item.alias.as_deref() == Some(name));
                    let same = |item: &SelectItem| item.expr == *other;
                    match items.iter().position(alias).or_else(|| items.iter().position(same)) {
                        Some(at) => SortBy::Output(at),
                        None => SortBy::Expr(sortable(self.expr(other, names)?)),
                    }
                }
            };
            keys.push(SortKey { by, descending: *descending, nulls_first: nulls_first.unwrap_or(*descending) });
        }
        Ok(keys)
    }

    #[expect(clippy::too_many_arguments, reason = "a select's end is made of all its parts")]
    pub(super) fn finish(
        &self,
        plan: LogicalPlan,
        outs: Vec<Out>,
        sorts: Vec<SortKey>,
        finish: &Finish<'_>,
        time: Option<Plan>,
        precision: Precision,
        ordered: bool,
    ) -> Result<Selected, TdError> {
        if finish.series_limit.is_some() && finish.keys.is_empty() {
            return Err(TdError::SlimitWithoutPartition);
        }
        let mut exprs = Vec::new();
        let mut columns = Vec::with_capacity(outs.len());
        // What is calculated above the last sort may come out of order: the engine spreads it over threads. So an answer's
        // columns have their final types below it, and are sorted by what they are made of.
        let is_answer = self.depth.get() <= 1;
        let mut sorted_by = Vec::with_capacity(outs.len());
        for out in outs {
            let id = self.fresh("o");
            let (made, shown) = (out.typed.expr.clone(), out.typed.plain());
            let retyped = is_answer && shown != made && matches!(made, Plan::Column(_));
            sorted_by.push(retyped.then(|| made.clone()));
            exprs.push(if is_answer { shown } else { made }.alias(&id));
            let (kind, role) = (out.typed.kind, out.role);
            columns.push(RelationColumn { table: None, name: out.name, id, kind, role, in_star: true });
        }
        let mut beside = |expr: Plan, what: &str| {
            let id = self.fresh(what);
            exprs.push(expr.alias(&id));
            column(&id)
        };
        let per_partition = !finish.keys.is_empty() && sorts.is_empty();
        let has_limits = finish.series_limit.is_some() || (finish.limit.is_some() && per_partition);
        let keys: Vec<Plan> = match has_limits && !finish.distinct {
            true => finish.keys.iter().map(|key| beside(key.clone(), "p")).collect(),
            false => Vec::new(),
        };
        let listed_time = columns.iter().find(|column| column.role == Role::Time).map(|column| column.id.clone());
        let hidden = match (&listed_time, time, finish.distinct) {
            (None, Some(time), false) => Some(beside(time, "t")),
            _ => None,
        };
        let time = match (&listed_time, &hidden) {
            (Some(id), _) => Some(id.clone()),
            (None, Some(Plan::Column(of))) => Some(of.name.clone()),
            _ => None,
        };
        let mut order = Vec::with_capacity(sorts.len());
        for SortKey { by, descending, nulls_first } in sorts {
            let by = match by {
                SortBy::Output(at) => {
                    let by = match sorted_by[at].take().filter(|_| !finish.distinct) {
                        Some(made) => {
                            let by = beside(made.clone(), "s");
                            sorted_by[at] = Some(made);
                            by
                        }
                        None => column(&columns[at].id),
                    };
                    sortable(Typed { expr: by, kind: columns[at].kind })
                }
                SortBy::Expr(_) if finish.distinct => {
                    return Err(TdError::NotSupported("ORDER BY of what a SELECT DISTINCT does not list".to_string()));
                }
                SortBy::Expr(expr) => beside(expr, "s"),
            };
            order.push(SortExpr { expr: by, asc: !descending, nulls_first });
        }
        if order.is_empty() && !finish.distinct {
            for by in &finish.default_order {
                order.push(beside(by.clone(), "s").sort(true, false));
            }
        }
        let mut plan = LogicalPlanBuilder::from(plan).project(exprs)?;
        if finish.distinct {
            plan = plan.distinct()?;
        }
        let mut plan = plan.build()?;
        if let Some(limit) = finish.series_limit {
            let rank = self.fresh("n");
            let by = keys.iter().map(|key| key.clone().sort(true, false)).collect();
            let call = self.window_function("dense_rank", Vec::new(), &[], by, false)?.alias(&rank);
            plan = within(LogicalPlanBuilder::from(plan).window([call])?.build()?, &rank, limit)?;
        }
        if let (Some(limit), true, false) = (finish.limit, per_partition, finish.distinct) {
            let number = self.fresh("n");
            let by = time.as_deref().map(|time| column(time).sort(true, false)).into_iter().collect();
            let call = self.window_function("row_number", Vec::new(), &keys, by, false)?.alias(&number);
            plan = within(LogicalPlanBuilder::from(plan).window([call])?.build()?, &number, limit)?;
        }
        let mut plan = LogicalPlanBuilder::from(plan);
        if !order.is_empty() {
            plan = plan.sort(order)?;
        }
        if let Some(limit) = finish.limit.filter(|_| !per_partition || finish.distinct) {
            plan = plan.limit(whole(limit.offset), Some(whole(limit.count)))?;
        }
        Ok(Selected { plan: plan.build()?, columns, time, precision, ordered })
    }
}

/// What values are sorted by: themselves, unless they are JSON.
fn sortable(typed: Typed) -> Plan {
    if typed.kind == Some(DeclaredType::Json) { json::order(typed.plain()) } else { typed.expr }
}

fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The rows whose number (from 1) a limit lets through.
fn within(plan: LogicalPlan, number: &str, limit: Limit) -> Result<LogicalPlan, TdError> {
    let last = limit.offset.saturating_add(limit.count);
    let inside = column(number).gt(lit(limit.offset)).and(column(number).lt_eq(lit(last)));
    Ok(LogicalPlanBuilder::from(plan).filter(inside)?.build()?)
}
