//! What a select reads: the rows of all its sources, with one column for each thing it asks for.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_fn::{coalesce, nullif};
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder, cast, lit};

use crate::catalog::Table;
use crate::model::{ColumnKind, RowIdentity};
use crate::query::functions::series::tag_text;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::expr::VarRef;
use crate::query::session::QuerySession;

use super::ahead::{WantedEdge, is_complete};
use super::condition::condition;
use super::limits::{NUMBER, all_columns, numbered};
use super::range::Range;
use super::resolve::{Origin, Query, columns_by_name};
use super::rows::{
    Keys, Known, NAME, Rows, TIME, column, is_rank, no_tag, no_text, order_column, rank_column, sorted_by, tag_column,
    text_tag, timestamp, value_column,
};
use super::types::Type;
use super::typing::type_of_ref;
use super::values::Value;

/// Rows of a select's sources: [`NAME`] unless all are of one measurement, the grouped tags, [`TIME`], the references
/// asked for, and what tells their order.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub plan: LogicalPlan,
    pub measurement: Option<Arc<str>>,
    pub keys: Keys,
    /// By what rows follow each other within a series.
    pub order: Vec<String>,
}

/// What is to be read.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub query: &'a Query,
    /// Columns to make, in this order.
    pub refs: &'a [VarRef],
    /// Rows of a table are wanted where one of these (positions in `refs`) has a value.
    pub drivers: &'a [usize],
    /// Rows of an inner select too.
    pub drivers_decide_inner: bool,
    pub range: Range,
    /// Of tables no more than the first rows of each series.
    pub of_each_series: Option<usize>,
}

/// The rows of a table. References to what it lacks are null. `looks_ahead`: its rows are looked at for columns that have
/// no nulls; then those at `edge` may be read alone.
pub(super) fn table_rows(
    session: &QuerySession,
    table: &Arc<Table>,
    looks_ahead: bool,
    edge: Option<&WantedEdge<'_>>,
) -> Result<Rows> {
    let mut rows = session.table_rows(table);
    let complete = if looks_ahead { rows.complete_columns()? } else { HashSet::new() };
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    for column in columns_by_name(&table.schema) {
        let known = Known {
            name: column.name.as_str().into(),
            column: column.sql_name.clone(),
            kind: column.field_type.map_or(Type::Tag, Type::from),
            is_complete: complete.contains(&column.id),
        };
        if column.kind == ColumnKind::Tag { &mut tags } else { &mut fields }.push(known);
    }
    // Where rows have no identity, several may be the newest of their series.
    let is_keyed = table.schema.identity == RowIdentity::Series;
    if let Some(wanted) = edge.filter(|wanted| is_keyed && wanted.is_enough(&fields)) {
        rows = rows.with_edge(wanted.edge);
    }
    let plan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(rows)), None)?.build()?;
    let order = vec![TIME.to_string()];
    Ok(Rows { plan, measurement: Some(table.name.table.clone()), tags, fields, order })
}

impl Wanted<'_> {
    /// All sources together; `None` when there are none.
    pub(super) fn read(&self, sources: Vec<(&Origin, Rows)>) -> Result<Option<Read>, StatementError> {
        let names: BTreeSet<Option<Arc<str>>> = sources.iter().map(|(_, rows)| rows.measurement.clone()).collect();
        let measurement = match names.iter().next() {
            Some(Some(only)) if names.len() == 1 => Some(only.clone()),
            _ => None,
        };
        let order = match &sources[..] {
            [] => return Ok(None),
            [(_, rows)] => rows.order.clone(),
            _ => vec![TIME.to_string()],
        };
        let keys = Keys { has_name: measurement.is_none(), tags: self.query.dimensions.len() };
        let mut parts = Vec::with_capacity(sources.len());
        for (origin, rows) in sources {
            parts.push(self.part(origin, rows, &keys, &order)?);
        }
        let mut parts = parts.into_iter();
        let Some(mut plan) = parts.next() else { return Ok(None) };
        for part in parts {
            plan = LogicalPlanBuilder::from(plan).union(part).and_then(LogicalPlanBuilder::build).map_err(planning)?;
        }
        let order = order.into_iter().enumerate().map(|(i, name)| hidden(i, &name)).collect();
        Ok(Some(Read { plan, measurement, keys, order }))
    }

    fn part(&self, origin: &Origin, rows: Rows, keys: &Keys, order: &[String]) -> Result<LogicalPlan, StatementError> {
        let is_table = matches!(origin, Origin::Table(_));
        let values: Vec<Plan> =
            self.refs.iter().map(|reference| reference_in(reference, &rows, is_table).expr).collect();
        let mut filters = Vec::new();
        if is_table {
            filters.extend(self.range.filters(&column(TIME)));
        }
        if let Some(wanted) = &self.query.condition {
            filters.push(condition(wanted, is_table, &|reference| visible_in(reference, &rows, is_table))?);
        }
        let all_have_values = self.drivers.iter().any(|&i| is_complete(&self.refs[i], &rows.fields));
        if (is_table || self.drivers_decide_inner) && !all_have_values {
            let has_value = self.drivers.iter().map(|&i| values[i].clone().is_not_null());
            filters.push(disjunction(has_value).unwrap_or_else(|| lit(false)));
        }
        let mut columns: Vec<Plan> = Vec::new();
        if keys.has_name {
            let name = rows.measurement.as_deref().map_or_else(|| column(NAME), lit);
            columns.push(name.alias(NAME));
        }
        for (i, key) in self.query.dimensions.iter().enumerate() {
            let tag = rows.tag(key).map(|known| column(&known.column));
            let text = tag.map_or_else(no_text, |tag| if is_table { tag_text(tag) } else { tag });
            columns.push(text.alias(tag_column(i)));
        }
        for (i, name) in order.iter().enumerate().filter(|(_, name)| *name != TIME) {
            columns.push(column(name).alias(hidden(i, name)));
        }
        columns.push(column(TIME).alias(TIME));
        columns.extend(values.into_iter().enumerate().map(|(i, value)| value.alias(value_column(i))));
        let mut plan = LogicalPlanBuilder::from(rows.plan);
        if let Some(filter) = conjunction(filters) {
            plan = plan.filter(filter).map_err(planning)?;
        }
        if let (Some(most), true) = (self.of_each_series, is_table) {
            return self.first_of_each(plan, &rows.tags, columns, most).map_err(planning);
        }
        plan.project(columns).and_then(LogicalPlanBuilder::build).map_err(planning)
    }

    /// `columns` of no more than `most` rows of each series of a table, the first in order of time.
    fn first_of_each(
        &self,
        plan: LogicalPlanBuilder,
        tags: &[Known],
        columns: Vec<Plan>,
        most: usize,
    ) -> Result<LogicalPlan> {
        let series = |i: usize| format!("series_{i}");
        let tags_of_series = tags.iter().enumerate().map(|(i, tag)| column(&tag.column).alias(series(i)));
        let with_series = plan.project(columns.into_iter().chain(tags_of_series).collect::<Vec<_>>())?.build()?;
        let kept = all_columns(&with_series).into_iter().take(with_series.schema().fields().len() - tags.len());
        let kept: Vec<Plan> = kept.collect();
        let by_time = sorted_by([TIME.to_string()], self.query.direction);
        let number = numbered((0..tags.len()).map(|i| column(series(i))).collect(), by_time, NUMBER)?;
        let wanted = column(NUMBER).lt_eq(lit(most as u64));
        LogicalPlanBuilder::from(with_series).window(vec![number])?.filter(wanted)?.project(kept)?.build()
    }
}

/// What the `i`-th column of an order is called further on.
fn hidden(i: usize, name: &str) -> String {
    match name {
        TIME => name.to_string(),
        rank if is_rank(rank) => rank_column(i),
        _ => order_column(i),
    }
}

/// What a reference of the fields is in a source: the field of the name, else its tag, as the type it has been given.
fn reference_in(reference: &VarRef, rows: &Rows, is_table: bool) -> Value {
    let name = reference.name.0.as_str();
    let kind = type_of_ref(reference);
    let field = rows.field(name).map(|known| Value::of(column(&known.column), known.kind));
    let tag = || {
        let known = column(&rows.tag(name)?.column);
        Some(Value::of(if is_table { known } else { text_tag(known) }, Type::Tag))
    };
    // What an inner select gives under a name hides the tag.
    let found = if kind == Type::Tag && is_table { tag().or(field) } else { field.or_else(tag) };
    match found {
        Some(value) if kind != Type::Unknown && (value.kind == Type::Tag) == (kind == Type::Tag) => value.cast_to(kind),
        // A text that an inner select made of a tag is both.
        Some(value) if !is_table && value.kind.is_text() && kind.is_text() => value.cast_to(kind),
        _ => Value::null(kind),
    }
}

/// What a reference of the condition is. A name that stands for nothing anywhere is a tag that is absent.
fn visible_in(reference: &VarRef, rows: &Rows, is_table: bool) -> Value {
    if !is_table {
        return visible_in_inner(reference, rows);
    }
    let name = reference.name.0.as_str();
    let kind = type_of_ref(reference);
    match (rows.field(name), rows.tag(name)) {
        (None, Some(known)) if kind == Type::Unknown => Value::of(column(&known.column), Type::Tag),
        (None, None) if matches!(kind, Type::Unknown | Type::Tag) => Value::of(no_tag(), Type::Tag),
        (Some(_), _) if kind == Type::Unknown => Value::null(Type::Unknown),
        _ => reference_in(reference, rows, true),
    }
}

/// What a reference of the condition over an inner select is: its column, else the text of its tag, empty where absent.
fn visible_in_inner(reference: &VarRef, rows: &Rows) -> Value {
    let name = reference.name.0.as_str();
    let text = |expr: Plan| Value::of(cast(expr, Type::String.arrow()), Type::String);
    let Some(known) = rows.field(name) else {
        // Not the bare column: where the engine knows that a grouped tag is one text, it loses that again over no rows.
        let tag = rows.tag(name).map(|tag| nullif(column(&tag.column), no_text()));
        return text(tag.map_or_else(no_text, |tag| coalesce(vec![tag, no_text()])));
    };
    let value = Value::of(column(&known.column), known.kind);
    let kind = type_of_ref(reference);
    match known.kind {
        Type::Tag => text(value.expr),
        known if known.is_number() && kind.is_number() => value.cast_to(kind),
        _ => value,
    }
}

/// What the planner cannot plan is a fault of ours, or asks too much.
pub(super) fn planning(error: datafusion::common::DataFusionError) -> StatementError {
    StatementError::Query(error.into())
}

impl Range {
    /// What a row's time must fulfil. A bound that holds for all times is left out.
    pub(super) fn filters(self, time: &Plan) -> Vec<Plan> {
        let mut filters = Vec::new();
        if !self.is_unbounded_below() {
            filters.push(time.clone().gt_eq(timestamp(self.start)));
        }
        if !self.is_unbounded_above() {
            filters.push(time.clone().lt_eq(timestamp(self.end)));
        }
        filters
    }
}
