//! Which functions make one value of many, which choose rows, and which go along a series.

use crate::query::tdsql::ast::Expr;

/// One value for all rows of a group.
const AGGREGATES: [&str; 25] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "first",
    "last",
    "last_row",
    "spread",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "std",
    "var_pop",
    "var_samp",
    "variance",
    "percentile",
    "apercentile",
    "leastsquares",
    "histogram",
    "hyperloglog",
    "elapsed",
    "twa",
    "irate",
    "mode",
];

/// Some of a group's rows.
const CHOICES: [&str; 5] = ["top", "bottom", "unique", "tail", "sample"];

/// A value a row, which hangs on the rows before it.
const SEQUENCES: [&str; 6] = ["diff", "derivative", "csum", "mavg", "statecount", "stateduration"];

/// Aggregates whose value is that of one row.
const SELECTORS: [&str; 5] = ["min", "max", "first", "last", "last_row"];

/// How a call is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Aggregate,
    Choice,
    Sequence,
    Interpolation,
    /// One value of one row.
    Scalar,
}

pub(super) fn nature(name: &str) -> Nature {
    if AGGREGATES.contains(&name) {
        Nature::Aggregate
    } else if CHOICES.contains(&name) {
        Nature::Choice
    } else if SEQUENCES.contains(&name) {
        Nature::Sequence
    } else if name == "interp" {
        Nature::Interpolation
    } else {
        Nature::Scalar
    }
}

pub(super) fn is_selector(name: &str) -> bool {
    SELECTORS.contains(&name)
}

/// Whether a call of this nature is in an expression.
pub(super) fn has(expr: &Expr, wanted: Nature) -> bool {
    expr.any(&mut |part| matches!(part, Expr::Call { name, .. } if nature(name) == wanted))
}

/// The calls of a nature in an expression, each once, outermost first.
pub(super) fn calls_of<'a>(expr: &'a Expr, wanted: Nature, found: &mut Vec<&'a Expr>) {
    if let Expr::Call { name, .. } = expr
        && nature(name) == wanted
    {
        if !found.contains(&expr) {
            found.push(expr);
        }
        return;
    }
    for part in expr.parts() {
        calls_of(part, wanted, found);
    }
}

/// Whether an expression names a column outside of aggregates.
pub(super) fn has_bare_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column { name, .. } => !is_pseudo(name),
        Expr::Call { name, .. } if nature(name) != Nature::Scalar => false,
        other => other.parts().into_iter().any(has_bare_column),
    }
}

/// Columns that a window or the query makes, not the table.
pub(super) fn is_pseudo(name: &str) -> bool {
    matches!(name, "_wstart" | "_wend" | "_wduration" | "_qstart" | "_qend" | "_qduration" | "_irowts" | "_isfilled")
}

pub(super) fn is_window_pseudo(name: &str) -> bool {
    matches!(name, "_wstart" | "_wend" | "_wduration")
}
