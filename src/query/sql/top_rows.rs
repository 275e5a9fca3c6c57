//! `topk(x, k)` and `bottom(x, k)`: of the rows of a SELECT those with the `k` greatest or least `x`, whole.
//!
//! The planner knows the call as a function of its own. Afterwards it is `x`, and what the SELECT reads is sorted by `x` and cut
//! after `k` rows, which the engine does with a heap of `k` rows. Rows whose `x` is null come last, and of equal ones the earliest
//! are taken, as by [`top_points`](crate::query::functions::series::Kind::Top), which gives lists of points instead.
//! ORDER BY, LIMIT and DISTINCT of the SELECT come behind it; with GROUP BY it chooses among groups.
//! Spec: CnosDB SQL, selector functions. One such call a SELECT, and not outside of its list.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use crate::model::schema::TIME_COLUMN;
use crate::query::error::QueryError;

/// Most rows that a call chooses, which are held at once: CnosDB's bound.
const ROWS_MAX: usize = 255;

/// The names of the functions.
pub(super) const NAMES: [&str; 2] = ["topk", "bottom"];

/// The functions as the planner knows them.
pub(super) fn functions() -> [ScalarUDF; 2] {
    [true, false].map(|greatest| TopRows { greatest, signature: Signature::any(2, Volatility::Immutable) }.into())
}

/// A call that is still to be planned.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TopRows {
    greatest: bool,
    signature: Signature,
}

impl ScalarUDFImpl for TopRows {
    fn name(&self) -> &str {
        NAMES[usize::from(!self.greatest)]
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of, _] => Ok(of.clone()),
            _ => plan_err!("{} takes a value and a number of rows", self.name()),
        }
    }

    /// As the value is: it stands in the call's place afterwards.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [of, _] => Ok(Arc::new(of.as_ref().clone().with_name(self.name()))),
            _ => plan_err!("{} takes a value and a number of rows", self.name()),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} is no function of single rows", self.name())
    }
}

/// A call as it stands in a plan.
fn called(expr: &Expr) -> Option<(&TopRows, &[Expr])> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
    func.inner().downcast_ref::<TopRows>().map(|function| (function, args.as_slice()))
}

/// Plans all calls of a statement; `None`: it has none.
pub(super) fn choose(plan: &LogicalPlan) -> Result<Option<LogicalPlan>, QueryError> {
    let mut is_called = false;
    plan.apply_with_subqueries(|node| {
        is_called |= calls(node)?.is_some();
        Ok(if is_called { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match is_called {
        true => Ok(Some(plan.clone().transform_up_with_subqueries(chosen)?.data)),
        false => Ok(None),
    }
}

/// The one call among the expressions of a node.
fn calls(node: &LogicalPlan) -> Result<Option<Expr>> {
    let mut found: Option<Expr> = None;
    let mut others = false;
    node.apply_expressions(|expr| {
        expr.apply(|part| {
            if called(part).is_some() {
                others |= found.as_ref().is_some_and(|known| known != part);
                found.get_or_insert_with(|| part.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if others { plan_err!("there can be one call of topk or bottom in a SELECT") } else { Ok(found) }
}

fn chosen(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let Some(call) = calls(&node)? else { return Ok(Transformed::no(node)) };
    let Some((function, [of, rows])) = called(&call) else {
        return plan_err!("topk and bottom take a value and a number of rows");
    };
    let name = function.name();
    let LogicalPlan::Projection(Projection { expr, input, .. }) = node else {
        return plan_err!("{name} can be called in the list of a SELECT only");
    };
    let rows = match rows {
        Expr::Literal(ScalarValue::Int64(Some(rows)), _) => usize::try_from(*rows).ok(),
        Expr::Literal(ScalarValue::UInt64(Some(rows)), _) => usize::try_from(*rows).ok(),
        _ => None,
    };
    let Some(rows) = rows.filter(|rows| (1..=ROWS_MAX).contains(rows)) else {
        return plan_err!("the number of rows of {name} is a constant from 1 to {ROWS_MAX}");
    };
    let mut order = vec![of.clone().sort(!function.greatest, false)];
    let times: Vec<Column> = input.schema().columns().into_iter().filter(|column| column.name == TIME_COLUMN).collect();
    order.extend(times.into_iter().map(|time| Expr::Column(time).sort(true, false)));
    let input = LogicalPlanBuilder::from(Arc::unwrap_or_clone(input)).sort_with_limit(order, Some(rows))?.build()?;
    let names = NamePreserver::new_for_projection();
    let plain = |expr: Expr| {
        let name = names.save(&expr);
        let value = |part: Expr| {
            Ok(match part == call {
                true => Transformed::yes(of.clone()),
                false => Transformed::no(part),
            })
        };
        Ok(name.restore(expr.transform_up(value)?.data))
    };
    let exprs = expr.into_iter().map(plain).collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)))
}
