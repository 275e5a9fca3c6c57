//! SELECT from its sources to its end: what kind of select it is, and the plain kind.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr as Plan, LogicalPlanBuilder};

use crate::model::{DeclaredType, Precision};
use crate::query::tdsql::ast::{BinaryOp, Expr, Query, QueryBody, Select, SelectItem, Source};
use crate::query::tdsql::error::TdError;

use super::Planner;
use super::aggregate::{Ready, row_names};
use super::ahead::rows_for;
use super::calls::{Nature, has, is_window_pseudo};
use super::expr::{RowNames, TimeRange};
use super::order::{Finish, Out};
use super::relation::{Relation, RelationColumn, Role, Selected};
use super::types::{Typed, arrow_type, cast_to, column};

/// Most columns of an answer.
const COLUMNS_MAX: usize = 4096;

impl Planner<'_> {
    pub(super) fn query(&self, query: &Query) -> Result<Selected, TdError> {
        self.depth.set(self.depth.get() + 1);
        let selected = match &query.body {
            QueryBody::Select(select) => self.select(select, query),
            body @ QueryBody::Union { .. } => self.united(body, query),
        };
        self.depth.set(self.depth.get() - 1);
        selected
    }

    fn select(&self, select: &Select, query: &Query) -> Result<Selected, TdError> {
        let listed = self.listed_series(select, query)?;
        let of_series = listed.is_some();
        let relation = match (listed, &select.from) {
            (Some(listed), _) => listed,
            (None, Some(Source::Table { name, alias })) => {
                self.table(name, alias.as_deref(), |rows, view| rows_for(rows, view, select, query))?
            }
            (None, Some(source)) => self.source(source)?,
            (None, None) => Relation::nothing(Precision::Ms)?,
        };
        let range = match &select.condition {
            Some(condition) => self.range(condition, &relation)?,
            None => TimeRange::default(),
        };
        let relation = match &select.condition {
            None => relation,
            Some(condition) => {
                let condition = self.condition(condition, &mut RowNames { relation: &relation, range })?;
                let plan = LogicalPlanBuilder::from(relation.plan).filter(condition)?.build()?;
                Relation { plan, ..relation }
            }
        };
        let items = self.items(select, &relation)?;
        if items.len() > COLUMNS_MAX {
            return Err(TdError::ColumnCount);
        }
        if select.distinct && items.iter().any(|item| is_json_tag(&item.expr, &relation)) {
            return Err(TdError::JsonGroup);
        }
        let finish = Finish {
            distinct: select.distinct || (select.tags && !of_series),
            order: &query.order,
            series_limit: query.series_limit,
            limit: query.limit,
            keys: Vec::new(),
            default_order: Vec::new(),
        };
        let everywhere =
            || items.iter().map(|item| &item.expr).chain(&select.having).chain(query.order.iter().map(|o| &o.expr));
        let any = |wanted: Nature| everywhere().any(|expr| has(expr, wanted));
        if select.window.is_some() && !select.group.is_empty() {
            return Err(TdError::GroupAndWindow);
        }
        if select.window.is_none() && select.fill.is_some() && !any(Nature::Interpolation) {
            return Err(TdError::Syntax("fill".to_string()));
        }
        let ready = Ready { select, items: &items, relation: &relation, range, finish };
        if any(Nature::Interpolation) {
            return self.interpolated(ready);
        }
        if any(Nature::Choice) || any(Nature::Sequence) {
            return self.along(ready);
        }
        let groups = select.window.is_some() || !select.group.is_empty() || any(Nature::Aggregate);
        if groups { self.aggregated(ready) } else { self.plain(ready) }
    }

    /// A query that only asks for names and tags of series, each once, is answered from the registry: series without
    /// rows are series too.
    fn listed_series(&self, select: &Select, query: &Query) -> Result<Option<Relation>, TdError> {
        let Some(Source::Table { name, alias }) = &select.from else { return Ok(None) };
        if !(select.distinct || select.tags) || select.window.is_some() || !select.group.is_empty() {
            return Ok(None);
        }
        let Some(listed) = self.series_of(name, alias.as_deref())? else { return Ok(None) };
        let items = select.items.iter().map(|item| &item.expr);
        let others =
            select.condition.iter().chain(query.order.iter().map(|order| &order.expr)).chain(select.having.iter());
        let partition = select.partition.iter().map(|item| &item.expr);
        let aliases: Vec<&str> = select.items.iter().filter_map(|item| item.alias.as_deref()).collect();
        let mut about_rows = |part: &Expr| match part {
            Expr::Column { table, name } => {
                listed.find(table.as_deref(), name).is_err() && !aliases.contains(&name.as_str())
            }
            Expr::Star { .. } => true,
            Expr::Call { name, .. } => super::calls::nature(name) != Nature::Scalar,
            _ => false,
        };
        let mut exprs = items.chain(others).chain(partition);
        Ok((!exprs.any(|expr| expr.any(&mut about_rows))).then_some(listed))
    }

    /// The list with its stars written out.
    fn items(&self, select: &Select, relation: &Relation) -> Result<Vec<SelectItem>, TdError> {
        let mut items = Vec::new();
        for item in &select.items {
            match &item.expr {
                Expr::Star { table } => {
                    let columns = starred(relation, table.as_deref())?;
                    if columns.is_empty() {
                        return Err(TdError::Syntax("*".to_string()));
                    }
                    items.extend(columns.into_iter().map(|column| named(column, &column.name)));
                }
                Expr::Call { name, args } if matches!(name.as_str(), "first" | "last" | "last_row") => {
                    match &args[..] {
                        [Expr::Star { table }] => {
                            let columns = starred(relation, table.as_deref())?;
                            let rows =
                                columns.into_iter().filter(|column| matches!(column.role, Role::Time | Role::Field));
                            items.extend(rows.map(|column| {
                                let inner = named(column, &column.name).expr;
                                let expr = Expr::Call { name: name.clone(), args: vec![inner] };
                                SelectItem { expr, alias: None, text: format!("{name}({})", column.name) }
                            }));
                        }
                        // Several columns are as many calls.
                        [_, _, ..] => items.extend(args.iter().map(|arg| {
                            let call = Expr::Call { name: name.clone(), args: vec![arg.clone()] };
                            let text = match arg {
                                Expr::Column { table: None, name: column } => format!("{name}({column})"),
                                _ => call.to_string(),
                            };
                            SelectItem { text, expr: call, alias: None }
                        })),
                        _ => items.push(item.clone()),
                    }
                }
                // A column is called by its name, however it was written.
                Expr::Column { name, .. } => items.push(SelectItem { text: name.clone(), ..item.clone() }),
                _ => items.push(item.clone()),
            }
        }
        Ok(items)
    }

    /// Rows as they are.
    fn plain(&self, ready: Ready<'_>) -> Result<Selected, TdError> {
        let (_, key_exprs) = self.keys(&ready)?;
        let Ready { select, items, relation, range, mut finish } = ready;
        if select.having.is_some() {
            return Err(TdError::NotSingleGroup);
        }
        let mut names = RowNames { relation, range };
        let mut outs = Vec::with_capacity(items.len());
        for item in items {
            if let Expr::Column { table: None, name } = &item.expr
                && is_window_pseudo(name)
                && relation.find(None, name).is_err()
            {
                return Err(TdError::PseudoColumn(name.clone()));
            }
            let typed = self.expr(&item.expr, &mut names)?;
            let is_time = matches!(&typed.expr, Plan::Column(of) if Some(&of.name) == relation.time.as_ref());
            let role = match &item.expr {
                _ if is_time => Role::Time,
                Expr::Column { table, name } => relation.find(table.as_deref(), name).map_or(Role::Field, |c| c.role),
                _ => Role::Field,
            };
            outs.push(Out { name: item.name().to_string(), typed, role });
        }
        let sorts = self.sort_keys(&finish, items, &mut names)?;
        finish.keys = key_exprs.into_iter().map(|key| key.unalias()).collect();
        let time = relation.time.as_deref().map(column);
        if relation.ordered && finish.keys.is_empty() {
            finish.default_order.extend(time.clone());
        }
        self.finish(relation.plan.clone(), outs, sorts, &finish, time, relation.precision, relation.ordered)
    }

    fn united(&self, body: &QueryBody, query: &Query) -> Result<Selected, TdError> {
        let selected = self.body(body)?;
        let relation = Relation {
            plan: selected.plan,
            columns: selected.columns,
            time: selected.time,
            precision: selected.precision,
            ordered: false,
            joined: false,
        };
        let items: Vec<SelectItem> = relation.columns.iter().map(|column| named(column, &column.name)).collect();
        let outs = relation.columns.iter().map(|c| Out {
            name: c.name.clone(),
            typed: Typed { expr: column(&c.id), kind: c.kind },
            role: c.role,
        });
        let outs = outs.collect();
        let finish = Finish {
            distinct: false,
            order: &query.order,
            series_limit: query.series_limit,
            limit: query.limit,
            keys: Vec::new(),
            default_order: Vec::new(),
        };
        let mut names = row_names(&relation, TimeRange::default());
        let sorts = self.sort_keys(&finish, &items, &mut names)?;
        let time = relation.time.as_deref().map(column);
        self.finish(relation.plan.clone(), outs, sorts, &finish, time, relation.precision, false)
    }

    /// Selects put together: names and types are those of the first.
    fn body(&self, body: &QueryBody) -> Result<Selected, TdError> {
        let (left, right, all) = match body {
            QueryBody::Select(select) => {
                let query = Query { body: body.clone(), order: Vec::new(), series_limit: None, limit: None };
                return self.select(select, &query);
            }
            QueryBody::Union { left, right, all } => (self.body(left)?, self.body(right)?, *all),
        };
        if left.columns.len() != right.columns.len() {
            return Err(TdError::UnionWidth);
        }
        let mut columns = Vec::with_capacity(left.columns.len());
        let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
        for (a, b) in left.columns.iter().zip(&right.columns) {
            let id = self.fresh("u");
            let kind = a.kind.or(b.kind);
            of_left.push(cast_to(column(&a.id), arrow_type(kind)).alias(&id));
            let other = Typed { expr: column(&b.id), kind: b.kind };
            let other = match kind {
                Some(kind) => self.cast(other, kind, left.precision)?.expr,
                None => other.expr,
            };
            of_right.push(other.alias(&id));
            columns.push(RelationColumn { id, kind, ..a.clone() });
        }
        let time = columns.iter().find(|column| column.role == Role::Time).map(|column| column.id.clone());
        let right = LogicalPlanBuilder::from(right.plan).project(of_right)?.build()?;
        let plan = LogicalPlanBuilder::from(left.plan).project(of_left)?;
        let plan = if all { plan.union(right)? } else { plan.union_distinct(right)? };
        Ok(Selected { plan: plan.build()?, columns, time, precision: left.precision, ordered: false })
    }

    /// The first and the last time that rows may have by the terms of a condition that all must hold.
    fn range(&self, condition: &Expr, relation: &Relation) -> Result<TimeRange, TdError> {
        let mut range = TimeRange::default();
        self.narrow(condition, relation, &mut range)?;
        Ok(range)
    }

    fn narrow(&self, condition: &Expr, relation: &Relation, range: &mut TimeRange) -> Result<(), TdError> {
        let is_time = |expr: &Expr| match expr {
            Expr::Column { table, name } => relation
                .typed(table.as_deref(), name)
                .is_ok_and(|typed| matches!(&typed.expr, Plan::Column(of) if Some(&of.name) == relation.time.as_ref())),
            _ => false,
        };
        let constant = |expr: &Expr| -> Option<i64> {
            if expr.any(&mut |part| matches!(part, Expr::Column { .. } | Expr::Star { .. })) {
                return None;
            }
            let typed = self.expr(expr, &mut row_names(relation, TimeRange::default())).ok()?;
            match self.time(typed, relation.precision).ok()? {
                Plan::Literal(ScalarValue::TimestampNanosecond(Some(nanos), _), _) => Some(nanos),
                _ => None,
            }
        };
        let unit = relation.precision.nanos();
        let mut at_least = |time: i64| range.from = Some(range.from.map_or(time, |from| from.max(time)));
        match condition {
            Expr::And(terms) => terms.iter().try_for_each(|term| self.narrow(term, relation, range))?,
            Expr::Between { expr, low, high, negated: false } if is_time(expr) => {
                if let Some(low) = constant(low) {
                    at_least(low);
                }
                if let Some(high) = constant(high) {
                    range.to = Some(range.to.map_or(high, |to| to.min(high)));
                }
            }
            Expr::Binary { op, left, right } => {
                let (op, bound) = match (is_time(left), is_time(right)) {
                    (true, false) => (*op, constant(right)),
                    (false, true) => (op.mirrored(), constant(left)),
                    _ => return Ok(()),
                };
                let Some(bound) = bound else { return Ok(()) };
                let (from, to) = match op {
                    BinaryOp::Equal => (Some(bound), Some(bound)),
                    BinaryOp::Greater => (Some(bound.saturating_add(unit)), None),
                    BinaryOp::GreaterEqual => (Some(bound), None),
                    BinaryOp::Less => (None, Some(bound.saturating_sub(unit))),
                    BinaryOp::LessEqual => (None, Some(bound)),
                    _ => (None, None),
                };
                if let Some(from) = from {
                    at_least(from);
                }
                if let Some(last) = to {
                    range.to = Some(range.to.map_or(last, |to| to.min(last)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether this is a whole JSON tag, not a member of it.
fn is_json_tag(expr: &Expr, relation: &Relation) -> bool {
    let Expr::Column { table, name } = expr else { return false };
    let found = relation.find(table.as_deref(), name);
    found.is_ok_and(|column| column.role == Role::Tag && column.kind == Some(DeclaredType::Json))
}

/// The columns that a star means; in a join only a star of one table means tags too.
fn starred<'a>(relation: &'a Relation, table: Option<&str>) -> Result<Vec<&'a RelationColumn>, TdError> {
    let of_table = |column: &&RelationColumn| table.is_none_or(|table| column.table.as_deref() == Some(table));
    let without_tags = relation.joined && table.is_none();
    let wanted = |column: &&RelationColumn| {
        column.in_star && !(without_tags && matches!(column.role, Role::Tag | Role::SeriesName))
    };
    if let Some(table) = table
        && !relation.columns.iter().any(|column| column.table.as_deref() == Some(table))
    {
        return Err(TdError::Table(table.to_string()));
    }
    Ok(relation.columns.iter().filter(of_table).filter(wanted).collect())
}

/// A column as an item of a list.
fn named(column: &RelationColumn, text: &str) -> SelectItem {
    let expr = Expr::Column { table: column.table.clone(), name: column.name.clone() };
    SelectItem { expr, alias: None, text: text.to_string() }
}
