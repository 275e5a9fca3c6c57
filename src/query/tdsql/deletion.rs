//! DELETE: which rows of which series it means.

use crate::catalog::Delete;
use crate::model::{SERIES_NAME_TAG, SeriesFilter};

use super::ast::{BinaryOp, Expr, InsertValue, MomentBase, Query, QueryBody, Select, SelectItem, Source};
use super::error::TdError;
use super::tables::{Databases, View};
use super::values::Moment;

/// What a DELETE asks before it can be recorded.
#[derive(Debug)]
pub struct Deletion {
    /// Counts the rows that go.
    pub count: Query,
    /// Names the series that it speaks of; `None`: those of `delete`.
    pub names: Option<Query>,
    pub delete: Delete,
}

impl Deletion {
    /// The delete, of the series that were named.
    pub fn of_series(&self, names: Vec<String>) -> Delete {
        let equal = |value: String| SeriesFilter::Equal { tag: SERIES_NAME_TAG.to_string(), value };
        Delete { series: SeriesFilter::Any(names.into_iter().map(equal).collect()), ..self.delete.clone() }
    }
}

/// Plans a DELETE. Errors: conditions on anything but time and tags.
pub fn deletion(
    databases: &Databases<'_>,
    statement: &super::ast::Delete,
    now_ns: i64,
    zone: chrono_tz::Tz,
) -> Result<Deletion, TdError> {
    let view = databases.table(&statement.table)?;
    if !view.is_declared() {
        return Err(TdError::Target);
    }
    let moment = Moment { now_ns, zone, precision: view.database.precision };
    let (mut from, mut to, mut tags) = (i64::MIN, i64::MAX, Vec::new());
    for term in statement.condition.iter().flat_map(terms) {
        match bounds(term, &view, &moment) {
            Some((low, high)) => (from, to) = (from.max(low), to.min(high)),
            None if view.is_super() && is_about_tags(term, &view) => tags.push(term.clone()),
            None => return Err(TdError::DeleteRange),
        }
    }
    let series = match view.series {
        Some(series) => SeriesFilter::Equal { tag: SERIES_NAME_TAG.to_string(), value: series.name.clone() },
        None => SeriesFilter::All,
    };
    let select = |expr: Expr, condition: Option<Expr>, tags: bool| Query {
        body: QueryBody::Select(Box::new(Select {
            distinct: false,
            tags,
            items: vec![SelectItem { expr, alias: None, text: String::new() }],
            from: Some(Source::Table { name: statement.table.clone(), alias: None }),
            condition,
            partition: Vec::new(),
            range: None,
            every: None,
            window: None,
            fill: None,
            group: Vec::new(),
            having: None,
        })),
        order: Vec::new(),
        series_limit: None,
        limit: None,
    };
    let star = Expr::Call { name: "count".to_string(), args: vec![Expr::Star { table: None }] };
    Ok(Deletion {
        count: select(star, statement.condition.clone(), false),
        names: (!tags.is_empty()).then(|| select(Expr::column(SERIES_NAME_TAG), Some(Expr::And(tags)), true)),
        delete: Delete { table: view.table.id, time_min_ns: from, time_max_ns: to, series },
    })
}

/// The parts of a condition that must all hold.
fn terms(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::And(all) => all.iter().flat_map(terms).collect(),
        other => vec![other],
    }
}

fn is_about_tags(term: &Expr, view: &View<'_>) -> bool {
    let mut other = |part: &Expr| match part {
        Expr::Column { name, .. } => name != SERIES_NAME_TAG && view.tag(name).is_none(),
        _ => false,
    };
    !term.any(&mut other)
}

/// First and last time that a term lets through, when it is about the time alone.
fn bounds(term: &Expr, view: &View<'_>, moment: &Moment) -> Option<(i64, i64)> {
    let is_time = |expr: &Expr| matches!(expr, Expr::Column { name, .. } if name == view.time_name() || name == "_rowts" || name == "_c0");
    match term {
        Expr::Between { expr, low, high, negated: false } if is_time(expr) => {
            Some((constant(low, moment)?, constant(high, moment)?))
        }
        Expr::Binary { op, left, right } => {
            let (op, bound) = match (is_time(left), is_time(right)) {
                (true, false) => (*op, constant(right, moment)?),
                (false, true) => (op.mirrored(), constant(left, moment)?),
                _ => return None,
            };
            match op {
                BinaryOp::Equal => Some((bound, bound)),
                BinaryOp::Greater => Some((bound.saturating_add(1), i64::MAX)),
                BinaryOp::GreaterEqual => Some((bound, i64::MAX)),
                BinaryOp::Less => Some((i64::MIN, bound.saturating_sub(1))),
                BinaryOp::LessEqual => Some((i64::MIN, bound)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A time that hangs on no row, nanoseconds.
fn constant(expr: &Expr, moment: &Moment) -> Option<i64> {
    let value = match expr {
        Expr::Number(digits) => InsertValue::Number(digits.clone()),
        Expr::Text(text) => return super::time::parse_time(text, moment.zone),
        Expr::Call { name, args } if args.is_empty() => {
            let base = match name.as_str() {
                "now" => MomentBase::Now,
                "today" => MomentBase::Today,
                _ => return None,
            };
            InsertValue::Moment { base, shifts: Vec::new() }
        }
        Expr::Binary { op: op @ (BinaryOp::Add | BinaryOp::Subtract), left, right } => {
            let Expr::Duration(by) = &**right else { return None };
            let sign = if *op == BinaryOp::Add { 1 } else { -1 };
            return by.added_to(constant(left, moment)?, sign);
        }
        _ => return None,
    };
    moment.time(&value).ok().flatten()
}
