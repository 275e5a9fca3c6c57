//! Joins.

use datafusion::logical_expr::{Expr as Plan, JoinType, LogicalPlanBuilder, SortExpr, lit};

use crate::query::tdsql::ast::{Join, JoinKind};
use crate::query::tdsql::error::TdError;

use super::Planner;
use super::expr::{RowNames, TimeRange};
use super::relation::Relation;
use super::types::column;

impl Planner<'_> {
    pub(super) fn join(&self, join: &Join) -> Result<Relation, TdError> {
        let (left, right) = (self.source(&join.left)?, self.source(&join.right)?);
        match join.kind {
            JoinKind::RightAsof => self.asof(right, left, join),
            JoinKind::LeftAsof => self.asof(left, right, join),
            JoinKind::LeftSemi | JoinKind::LeftAnti => {
                let both = joined(&left, &right);
                self.tested(left, right, both, join)
            }
            JoinKind::RightSemi | JoinKind::RightAnti => {
                let both = Relation { time: right.time.clone(), ..joined(&left, &right) };
                self.tested(right, left, both, join)
            }
            _ => self.plain_join(left, right, join),
        }
    }

    fn plain_join(&self, left: Relation, right: Relation, join: &Join) -> Result<Relation, TdError> {
        let both = joined(&left, &right);
        let on = match &join.on {
            Some(on) => Some(self.condition(on, &mut RowNames { relation: &both, range: TimeRange::default() })?),
            None => None,
        };
        let kind = match join.kind {
            JoinKind::Cross | JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            other => return Err(TdError::NotSupported(format!("{other:?}"))),
        };
        let plan = LogicalPlanBuilder::from(left.plan.clone());
        let plan = match on {
            None if kind == JoinType::Inner => plan.cross_join(right.plan.clone())?,
            None => return Err(TdError::NotSupported("a join without ON".to_string())),
            Some(on) => plan.join_on(right.plan.clone(), kind, [on])?,
        };
        let plan = plan.build()?;
        Ok(match kind {
            JoinType::Right => Relation { plan, time: right.time, ..both },
            _ => Relation { plan, ..both },
        })
    }

    /// Of the rows that fit each row of `left` the one nearest in time.
    fn asof(&self, left: Relation, right: Relation, join: &Join) -> Result<Relation, TdError> {
        let (Some(far), Some(near)) = (left.time.clone(), right.time.clone()) else {
            return Err(TdError::SessionColumn);
        };
        let number = self.fresh("n");
        let call = self.window_function("row_number", Vec::new(), &[], Vec::new(), false)?.alias(&number);
        let plan = LogicalPlanBuilder::from(left.plan.clone()).window([call])?.build()?;
        let left = Relation { plan, ..left };
        let both = joined(&left, &right);
        let (later, on) = match &join.on {
            Some(on) => {
                let names = &mut RowNames { relation: &both, range: TimeRange::default() };
                (later_rows_fit(on, &both, &near), self.condition(on, names)?)
            }
            None => (false, column(&far).gt_eq(column(&near))),
        };
        let plan = LogicalPlanBuilder::from(left.plan.clone()).join_on(right.plan, JoinType::Left, [on])?.build()?;
        let rank = self.fresh("n");
        let nearest: Vec<SortExpr> = vec![column(&near).sort(later, false)];
        let call = self.window_function("row_number", Vec::new(), &[column(&number)], nearest, false)?.alias(&rank);
        let plan = LogicalPlanBuilder::from(plan).window([call])?.filter(column(&rank).eq(lit(1u64)))?.build()?;
        Ok(Relation { plan, ..both })
    }

    /// Rows of one side, once each: those that a row of the other fits, beside the first of these, or those that none does.
    fn tested(&self, kept: Relation, other: Relation, both: Relation, join: &Join) -> Result<Relation, TdError> {
        let Some(on) = &join.on else { return Err(TdError::NotSupported("a join without ON".to_string())) };
        let on = self.condition(on, &mut RowNames { relation: &both, range: TimeRange::default() })?;
        if matches!(join.kind, JoinKind::LeftAnti | JoinKind::RightAnti) {
            let mark = self.fresh("n");
            let all = other.plan.schema().columns().into_iter().map(Plan::Column);
            let marked = all.chain([lit(true).alias(&mark)]);
            let other = LogicalPlanBuilder::from(other.plan.clone()).project(marked)?.build()?;
            let plan = LogicalPlanBuilder::from(kept.plan).join_on(other, JoinType::Left, [on])?;
            let plan = plan.filter(column(&mark).is_null())?.build()?;
            return Ok(Relation { plan, ..both });
        }
        let (number, rank) = (self.fresh("n"), self.fresh("n"));
        let call = self.window_function("row_number", Vec::new(), &[], Vec::new(), false)?.alias(&number);
        let numbered = LogicalPlanBuilder::from(kept.plan).window([call])?;
        let plan = numbered.join_on(other.plan, JoinType::Inner, [on])?.build()?;
        let first = other.time.iter().map(|time| column(time).sort(true, false)).collect();
        let call = self.window_function("row_number", Vec::new(), &[column(&number)], first, false)?.alias(&rank);
        let plan = LogicalPlanBuilder::from(plan).window([call])?.filter(column(&rank).eq(lit(1u64)))?.build()?;
        Ok(Relation { plan, ..both })
    }
}

/// Both sides' columns, over the plan of the left one.
fn joined(left: &Relation, right: &Relation) -> Relation {
    Relation {
        plan: left.plan.clone(),
        columns: left.columns.iter().chain(&right.columns).cloned().collect(),
        time: left.time.clone(),
        precision: left.precision,
        ordered: false,
        joined: true,
    }
}

/// Whether the condition wants rows of the right side that are later: then the earliest of them is the nearest.
fn later_rows_fit(on: &crate::query::tdsql::ast::Expr, both: &Relation, near: &str) -> bool {
    use crate::query::tdsql::ast::{BinaryOp, Expr};
    let is_near = |expr: &Expr| match expr {
        Expr::Column { table, name } => both.find(table.as_deref(), name).is_ok_and(|found| found.id == near),
        _ => false,
    };
    let wants_later = |expr: &Expr| match expr {
        Expr::Binary { op, left, right } => {
            let less = matches!(op, BinaryOp::Less | BinaryOp::LessEqual);
            let greater = matches!(op, BinaryOp::Greater | BinaryOp::GreaterEqual);
            (less && is_near(right)) || (greater && is_near(left))
        }
        _ => false,
    };
    match on {
        Expr::And(terms) => terms.iter().any(wants_later),
        other => wants_later(other),
    }
}
