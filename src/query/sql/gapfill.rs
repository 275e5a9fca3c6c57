//! `time_window_gapfill(time, width)` with `locf` and `interpolate`: a row for every window of a stretch of time.
//!
//! The statement is taken apart: what the engine plans has `date_bin` in place of the window and plain aggregates in place of
//! those that are filled; windows without rows are made by the operator that fills gaps in every language, and order and limit of
//! the statement come behind it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr as PlanExpr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, LimitClause, OrderBy, OrderByKind, Select, SelectItem, SetExpr,
    Statement as SqlStatement, Value,
};

use crate::model::schema::TIME_COLUMN;
use crate::query::error::QueryError;
use crate::query::series::{Fill, FillRule, SeriesOperation, SeriesOrder, Windows, series_plan};

use super::delete::{Clock, instant};
use super::series_calls::{call, length_ns};
use super::statement::parse_text;

/// Windows that one series may be filled with.
const WINDOWS_MAX: i64 = 1_000_000;

/// What was taken out of a statement. Columns are counted as they are selected.
#[derive(Debug)]
pub(super) struct GapFill {
    window: usize,
    keys: Vec<usize>,
    rules: Vec<(usize, FillRule)>,
    windows: Windows,
    /// First and last instant, both included, nanoseconds.
    bounds: (i64, i64),
    /// Column, ascending, nulls first.
    order: Vec<(usize, bool, bool)>,
    offset: usize,
    limit: Option<usize>,
}

/// Takes the windows out of a question that has them; what is left of it is planned as it is. `None`: it has none.
pub(super) fn take(question: &mut EngineStatement, clock: Clock) -> Result<Option<GapFill>, QueryError> {
    let EngineStatement::Statement(statement) = question else { return Ok(None) };
    let SqlStatement::Query(query) = statement.as_mut() else { return Ok(None) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(None) };
    if !select.projection.iter().any(|item| item_call(item).is_some_and(|name| name == "time_window_gapfill")) {
        return Ok(None);
    }
    let bounds = bounds(select.selection.as_ref(), clock)?;
    let mut names = Vec::new();
    let mut rules = Vec::new();
    let mut window = None;
    let groups = groups(select)?;
    for (position, item) in select.projection.iter_mut().enumerate() {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), None),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(alias.clone())),
            other => return Err(refuse(&format!("{other} cannot be selected beside it"))),
        };
        let named = alias.clone().unwrap_or_else(|| match &expr {
            Expr::Identifier(name) => name.clone(),
            other => Ident::with_quote('"', other.to_string()),
        });
        let replaced = match call(&expr) {
            Some((name, args)) if name == "time_window_gapfill" => {
                let [time, width] = args[..] else { return Err(refuse("it takes a time and a width")) };
                let width = length_ns(width).ok_or_else(|| refuse("the width is no constant length of time"))?;
                if window.replace((position, width)).is_some() {
                    return Err(refuse("a statement has one of it"));
                }
                Some(expression(&format!("date_bin(INTERVAL '{width} nanoseconds', {time})"))?)
            }
            Some((name, args)) if matches!(name.as_str(), "locf" | "interpolate") => {
                let [value] = args[..] else { return Err(refuse(&format!("{name} takes one value"))) };
                let rule = if name == "locf" { FillRule::Previous } else { FillRule::Linear };
                rules.push((position, rule));
                Some(value.clone())
            }
            _ => None,
        };
        if let Some(replaced) = replaced {
            *item = SelectItem::ExprWithAlias { expr: replaced, alias: named.clone() };
        }
        names.push((named, expr));
    }
    let Some((window, width)) = window else { return Ok(None) };
    let is_group = |position: usize| {
        let (name, expr) = &names[position];
        groups.iter().any(|group| match group {
            Expr::Identifier(group) => group.value == name.value,
            Expr::Value(value) => matches!(&value.value, Value::Number(n, _) if *n == (position + 1).to_string()),
            other => other == expr,
        })
    };
    if !is_group(window) {
        return Err(refuse("the rows must be grouped by it"));
    }
    let keys = (0..names.len()).filter(|position| *position != window && is_group(*position)).collect();
    regroup(select, window)?;
    let windows = Windows::new(width, 0, None).ok_or_else(|| refuse("the width is no length of time"))?;
    if (bounds.1.saturating_sub(bounds.0)) / width > WINDOWS_MAX {
        return Err(refuse(&format!("it would make more than {WINDOWS_MAX} windows")));
    }
    let order = order(query.order_by.take(), &names)?;
    let (offset, limit) = limits(query.limit_clause.take())?;
    Ok(Some(GapFill { window, keys, rules, windows, bounds, order, offset, limit }))
}

fn refuse(what: &str) -> QueryError {
    QueryError::Plan(format!("time_window_gapfill: {what}"))
}

fn item_call(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => call(expr).map(|(name, _)| name),
        _ => None,
    }
}

fn expression(text: &str) -> Result<Expr, QueryError> {
    let EngineStatement::Statement(statement) = parse_text(&format!("SELECT {text}"))? else {
        return Err(QueryError::internal("an expression of ours is none"));
    };
    let SqlStatement::Query(query) = *statement else {
        return Err(QueryError::internal("an expression of ours is none"));
    };
    match *query.body {
        SetExpr::Select(select) => match select.projection.into_iter().next() {
            Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
            _ => Err(QueryError::internal("an expression of ours is none")),
        },
        _ => Err(QueryError::internal("an expression of ours is none")),
    }
}

fn groups(select: &Select) -> Result<Vec<Expr>, QueryError> {
    match &select.group_by {
        GroupByExpr::Expressions(groups, modifiers) if modifiers.is_empty() => Ok(groups.clone()),
        _ => Err(refuse("the rows must be grouped by it")),
    }
}

/// The window among the groups, by its place among what is selected.
fn regroup(select: &mut Select, window: usize) -> Result<(), QueryError> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return Ok(()) };
    for group in groups {
        if call(group).is_some_and(|(name, _)| name == "time_window_gapfill") {
            *group = expression(&(window + 1).to_string())?;
        }
    }
    Ok(())
}

/// The stretch of time that a condition leaves: parts joined by AND that compare the time with constants.
fn bounds(condition: Option<&Expr>, clock: Clock) -> Result<(i64, i64), QueryError> {
    let mut bounds = (i64::MIN, i64::MAX);
    let mut parts: Vec<&Expr> = condition.into_iter().collect();
    while let Some(part) = parts.pop() {
        match part {
            Expr::Nested(inner) => parts.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => parts.extend([&**left, &**right]),
            Expr::Between { expr, negated: false, low, high } if is_time(expr) => {
                bounds.0 = bounds.0.max(instant(low, clock)?);
                bounds.1 = bounds.1.min(instant(high, clock)?);
            }
            Expr::BinaryOp { left, op, right } if is_time(left) => narrow(&mut bounds, op, instant(right, clock)?),
            Expr::BinaryOp { left, op, right } if is_time(right) => {
                let turned = match op {
                    BinaryOperator::Lt => BinaryOperator::Gt,
                    BinaryOperator::LtEq => BinaryOperator::GtEq,
                    BinaryOperator::Gt => BinaryOperator::Lt,
                    BinaryOperator::GtEq => BinaryOperator::LtEq,
                    other => other.clone(),
                };
                narrow(&mut bounds, &turned, instant(left, clock)?);
            }
            _ => {}
        }
    }
    if bounds.0 == i64::MIN || bounds.1 == i64::MAX {
        return Err(refuse("the time must be bounded on both sides in WHERE"));
    }
    Ok(bounds)
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => name.value == TIME_COLUMN,
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| name.value == TIME_COLUMN),
        _ => false,
    }
}

fn narrow(bounds: &mut (i64, i64), op: &BinaryOperator, at_ns: i64) {
    match op {
        BinaryOperator::Gt => bounds.0 = bounds.0.max(at_ns.saturating_add(1)),
        BinaryOperator::GtEq => bounds.0 = bounds.0.max(at_ns),
        BinaryOperator::Lt => bounds.1 = bounds.1.min(at_ns.saturating_sub(1)),
        BinaryOperator::LtEq => bounds.1 = bounds.1.min(at_ns),
        BinaryOperator::Eq => *bounds = (bounds.0.max(at_ns), bounds.1.min(at_ns)),
        _ => {}
    }
}

fn order(order: Option<OrderBy>, names: &[(Ident, Expr)]) -> Result<Vec<(usize, bool, bool)>, QueryError> {
    let Some(order) = order else { return Ok(Vec::new()) };
    let OrderByKind::Expressions(parts) = order.kind else { return Err(refuse("ORDER BY ALL is not supported")) };
    let place = |expr: &Expr| match expr {
        Expr::Identifier(name) => names.iter().position(|(known, _)| known.value == name.value),
        Expr::Value(value) => match &value.value {
            Value::Number(n, _) => n.parse::<usize>().ok().filter(|n| (1..=names.len()).contains(n)).map(|n| n - 1),
            _ => None,
        },
        other => names.iter().position(|(_, known)| known == other),
    };
    let part = |part: &datafusion::sql::sqlparser::ast::OrderByExpr| {
        let at = place(&part.expr).ok_or_else(|| refuse("rows can be ordered by what is selected"))?;
        let ascending = part.options.asc.unwrap_or(true);
        Ok((at, ascending, part.options.nulls_first.unwrap_or(!ascending)))
    };
    parts.iter().map(part).collect()
}

fn limits(clause: Option<LimitClause>) -> Result<(usize, Option<usize>), QueryError> {
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(n, _) => n.parse::<usize>().map_err(|_| refuse("LIMIT is a number")),
            _ => Err(refuse("LIMIT is a number")),
        },
        _ => Err(refuse("LIMIT is a number")),
    };
    match clause {
        None => Ok((0, None)),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let offset = offset.as_ref().map(|offset| number(&offset.value)).transpose()?.unwrap_or(0);
            Ok((offset, limit.as_ref().map(number).transpose()?))
        }
        Some(_) => Err(refuse("LIMIT is a number")),
    }
}

impl GapFill {
    /// The rest of the statement over the plan of what was left of it.
    pub(super) fn fill(&self, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
        let plan = with_plain_keys(plan, &self.keys)?;
        let columns: Vec<Column> = plan.schema().iter().map(Column::from).collect();
        let column = |position: &usize| columns[*position].clone();
        let order = SeriesOrder {
            keys: self.keys.iter().map(column).collect(),
            time: column(&self.window),
            keys_descending: false,
            time_descending: false,
            then: Vec::new(),
        };
        let fill = Fill {
            windows: self.windows.clone(),
            from: Some(self.bounds.0),
            to: Some(self.bounds.1),
            rows_max: None,
            rules: self.rules.iter().map(|(at, rule)| (column(at), rule.clone())).collect(),
        };
        let mut plan = LogicalPlanBuilder::from(series_plan(plan, order, SeriesOperation::Fill(fill))?);
        if !self.order.is_empty() {
            let sort = |(at, ascending, nulls_first): &(usize, bool, bool)| {
                PlanExpr::Column(column(at)).sort(*ascending, *nulls_first)
            };
            plan = plan.sort(self.order.iter().map(sort).collect::<Vec<_>>())?;
        }
        if self.offset > 0 || self.limit.is_some() {
            plan = plan.limit(self.offset, self.limit)?;
        }
        Ok(plan.build()?)
    }
}

/// Keys are texts, not dictionaries of them.
fn with_plain_keys(plan: LogicalPlan, keys: &[usize]) -> Result<LogicalPlan, QueryError> {
    let schema = plan.schema().clone();
    let plain = |(position, column): (usize, Column)| {
        let field = schema.field(position);
        let name = field.name().clone();
        match field.data_type() {
            DataType::Dictionary(_, values) if keys.contains(&position) => {
                Ok(PlanExpr::Column(column).cast_to(values, schema.as_ref())?.alias(name))
            }
            _ => Ok(PlanExpr::Column(column)),
        }
    };
    let columns: Vec<Column> = schema.iter().map(Column::from).collect();
    let shown = columns.into_iter().enumerate().map(plain).collect::<Result<Vec<_>, QueryError>>()?;
    Ok(LogicalPlanBuilder::from(plan).project(shown)?.build()?)
}
