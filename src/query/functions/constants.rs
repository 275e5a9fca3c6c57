//! Constants of a plan: a column of one holds it once for every row of a batch.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::bounded::CALL_BYTES_MAX;
use super::sizes;

/// Shorter constants are like the values of any column.
const WIDE_BYTES: u64 = 1024;

/// Rows a batch of a plan may have, so that columns of its wide constants stay within what a call may make. To be asked
/// after the optimizer, which makes constants of calls.
pub(in crate::query) fn rows_beside_constants(plan: &LogicalPlan, batch_rows: usize) -> Result<usize> {
    let mut wide: u64 = 0;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Literal(value, _) = expr {
                    let bytes = sizes::scalar_bytes(value);
                    wide = wide.saturating_add(if bytes > WIDE_BYTES { bytes } else { 0 });
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let rows = CALL_BYTES_MAX.checked_div(wide).unwrap_or(u64::MAX);
    Ok(batch_rows.min(usize::try_from(rows).unwrap_or(usize::MAX)).max(1))
}
