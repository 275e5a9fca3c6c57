//! The functions of a query, without those that make a lot out of little, or with a bound on what a call may make.
//!
//! The engine reserves memory for what its operators keep, not for what its functions make; and a value of any size is
//! one `repeat` away. So every function that can make more than it was given is replaced by a `bounded::Bounded` one:
//! by name in the session's functions, and by a rewrite of plans wherever the planner puts one into a plan by itself
//! (`a || b`, `[a, b]`).
//!
//! Owns: which functions there are, what each may make, how much a query's functions may hold.
//! Does not own: what the functions compute, which is the engine's.

mod bounded;
mod constants;
mod growth;
mod joined;
pub(super) mod matches;
pub mod series;
mod sizes;
mod values;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ScalarUDF};

use bounded::Bounded;
use joined::Joined;
use matches::Matches;

pub(super) use constants::rows_beside_constants;
pub(super) use values::ValueMemory;

/// Functions whose result has any size the caller names, and no data to measure it by.
const UNBOUNDED: [&str; 4] = ["range", "generate_series", "array_repeat", "array_resize"];

/// Bytes of a value of a fixed width type, at most: such a value takes its room even when it is NULL.
const FIXED_BYTES_MAX: u64 = 8 * 1024;

/// Leaves a session with functions that know their bounds: table functions, functions over lambdas and
/// [`UNBOUNDED`] ones are gone, the ones that grow are [`Bounded`].
pub(super) fn bound(state: &mut SessionState) -> Result<()> {
    let table_functions: Vec<String> = state.table_functions().keys().cloned().collect();
    for name in table_functions {
        state.deregister_udtf(&name)?;
    }
    // What a lambda captures is repeated for every element.
    for name in state.higher_order_function_names() {
        state.deregister_higher_order_function(&name)?;
    }
    for name in UNBOUNDED {
        state.deregister_udf(name)?;
    }
    state.register_udf(Arc::new(Joined::default().into()))?;
    state.register_udf(Arc::new(Matches::default().into()))?;
    series::register(state)?;
    let functions: Vec<Arc<ScalarUDF>> = state.scalar_functions().values().cloned().collect();
    for bounded in functions.iter().filter_map(Bounded::of) {
        state.register_udf(bounded)?;
    }
    state.register_function_rewrite(Arc::new(BoundedInPlans))
}

/// Bounds the functions that a plan holds, whoever put them there. It runs before the optimizer, which computes
/// constants.
#[derive(Debug)]
struct BoundedInPlans;

impl FunctionRewrite for BoundedInPlans {
    fn name(&self) -> &str {
        "bounded_functions"
    }

    fn rewrite(&self, expr: Expr, _schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        bounded_node(expr)
    }
}

/// An expression with all its functions bounded.
fn bounded_expr(expr: Expr) -> Result<Expr> {
    Ok(expr.transform_up(bounded_node)?.data)
}

fn bounded_node(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => Ok(match Bounded::of(&func) {
            Some(func) => Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })),
            None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        }),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let func = Arc::new(Bounded::joined());
            let args = vec![*left, *right];
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args })))
        }
        Expr::Cast(cast) => {
            check_width(cast.field.data_type())?;
            Ok(Transformed::no(Expr::Cast(cast)))
        }
        Expr::TryCast(cast) => {
            check_width(cast.field.data_type())?;
            Ok(Transformed::no(Expr::TryCast(cast)))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn check_width(data_type: &DataType) -> Result<()> {
    if fixed_bytes(data_type) > FIXED_BYTES_MAX {
        return plan_err!("a value of type {data_type} takes more than {FIXED_BYTES_MAX} bytes");
    }
    Ok(())
}

/// Room that every value of a type takes, whatever it holds.
fn fixed_bytes(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(width) => u64::try_from(*width).unwrap_or(u64::MAX),
        DataType::FixedSizeList(item, length) => {
            let length = u64::try_from(*length).unwrap_or(u64::MAX);
            fixed_bytes(item.data_type()).saturating_mul(length)
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => fixed_bytes(item.data_type()),
        DataType::Struct(fields) => {
            fields.iter().fold(0, |sum: u64, field| sum.saturating_add(fixed_bytes(field.data_type())))
        }
        DataType::Dictionary(_, values) => fixed_bytes(values),
        other => other.primitive_width().unwrap_or(1) as u64,
    }
}
