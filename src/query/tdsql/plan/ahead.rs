//! Whether the first or the last row of each series is all that a select asks of a table.

use crate::model::RowIdentity;
use crate::query::edges::Edge;
use crate::query::provider::TableRows;
use crate::query::tdsql::ast::{BinaryOp, Expr, Query, Select};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::tables::View;

use super::calls::{Nature, is_pseudo, nature};

/// Which end of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

impl End {
    /// Of the row that a call takes its value from; `last_row` takes it whether or not there is one.
    fn of_call(name: &str) -> Option<End> {
        match name {
            "first" => Some(End::First),
            "last" | "last_row" => Some(End::Last),
            _ => None,
        }
    }

    /// Whether a time that is compared with a constant so leaves rows at this end, if it leaves any of a series.
    fn is_left_by(self, op: BinaryOp) -> bool {
        match self {
            End::First => matches!(op, BinaryOp::Less | BinaryOp::LessEqual),
            End::Last => matches!(op, BinaryOp::Greater | BinaryOp::GreaterEqual),
        }
    }
}

/// The rows of a table for a select, fewer if the others do not matter to it.
pub(super) fn rows_for(rows: TableRows, view: &View<'_>, select: &Select, query: &Query) -> Result<TableRows, TdError> {
    let Some((end, valued)) = Asked { view, select, query }.end() else { return Ok(rows) };
    if !valued.is_empty() {
        let complete = rows.complete_columns()?;
        let is_complete = |name: &&str| view.column(name).is_some_and(|found| complete.contains(&found.column.id));
        if !valued.iter().all(is_complete) {
            return Ok(rows);
        }
    }
    Ok(rows.with_edge(match end {
        End::First => Edge::First(i64::MIN),
        End::Last => Edge::Last(i64::MAX),
    }))
}

/// A select from one table.
struct Asked<'a> {
    view: &'a View<'a>,
    select: &'a Select,
    query: &'a Query,
}

impl<'a> Asked<'a> {
    /// The end that all of its calls are about, and the fields that must have a value there: else the row that counts is another.
    fn end(&self) -> Option<(End, Vec<&'a str>)> {
        let Select { items, partition, group, having, condition, .. } = self.select;
        let is_keyed = self.view.table.schema.identity == RowIdentity::Series;
        if !is_keyed || self.select.window.is_some() || self.select.range.is_some() {
            return None;
        }
        let by_series = |expr: &Expr| matches!(expr, Expr::Column { name, .. } if self.is_of_series(name));
        if !partition.iter().chain(group).all(|item| by_series(&item.expr)) {
            return None;
        }
        let (mut end, mut valued) = (None, Vec::new());
        let order = self.query.order.iter().map(|order| &order.expr);
        for expr in items.iter().map(|item| &item.expr).chain(having).chain(order) {
            self.look(expr, &mut end, &mut valued)?;
        }
        let end = end?;
        condition.as_ref().is_none_or(|condition| self.leaves(condition, end)).then_some((end, valued))
    }

    /// Looks at the calls of an expression. `None`: they ask for more than the rows at one end.
    fn look(&self, expr: &'a Expr, end: &mut Option<End>, valued: &mut Vec<&'a str>) -> Option<()> {
        let Expr::Call { name, args } = expr else {
            return expr.parts().into_iter().try_for_each(|part| self.look(part, end, valued));
        };
        if nature(name) == Nature::Scalar {
            return args.iter().try_for_each(|arg| self.look(arg, end, valued));
        }
        let of_call = End::of_call(name)?;
        if *end.get_or_insert(of_call) != of_call {
            return None;
        }
        if name == "last_row" {
            return Some(());
        }
        for arg in args {
            match arg {
                Expr::Star { .. } => valued.extend(self.view.columns().map(|found| found.column.name.as_str())),
                Expr::Column { name, .. } if self.is_time(name) => {}
                Expr::Column { name, .. } => valued.push(name),
                _ => return None,
            }
        }
        Some(())
    }

    /// Whether a condition is about series, and about times only so that what it leaves of a series has that end.
    fn leaves(&self, condition: &Expr, end: End) -> bool {
        let names_rows = |expr: &Expr| {
            expr.any(&mut |part| match part {
                Expr::Column { name, .. } => !self.is_of_series(name),
                Expr::Star { .. } => true,
                Expr::Call { name, .. } => nature(name) != Nature::Scalar,
                _ => false,
            })
        };
        let is_time = |expr: &Expr| matches!(expr, Expr::Column { name, .. } if self.is_time(name));
        match condition {
            Expr::And(terms) => terms.iter().all(|term| self.leaves(term, end)),
            Expr::Binary { op, left, right } if is_time(left) && !names_rows(right) => end.is_left_by(*op),
            Expr::Binary { op, left, right } if is_time(right) && !names_rows(left) => end.is_left_by(op.mirrored()),
            other => !names_rows(other),
        }
    }

    fn is_time(&self, name: &str) -> bool {
        name == self.view.time_name()
    }

    /// Whether a column is the same in all rows of a series.
    fn is_of_series(&self, name: &str) -> bool {
        !is_pseudo(name) && (name == "tbname" || self.view.tags().any(|tag| tag.column.name == name))
    }
}
