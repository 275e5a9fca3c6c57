//! A select as a plan: what it reads, what becomes of the rows, in which order they leave.
//!
//! Three kinds of selects: rows as they are (here), calls ([`super::aggregate`]), and calls that give several rows
//! ([`super::points`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::{Column, DataFusionError};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::string::expr_fn::concat_ws;
use datafusion::functions_window::expr_fn::dense_rank;
use datafusion::logical_expr::{Expr as Plan, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use crate::query::influxql::answer::StatementError;
use crate::query::influxql::clauses::{Direction, Page};
use crate::query::influxql::select::Fill;
use crate::query::series::{Limit, SeriesOperation, SeriesOrder, series_plan};
use crate::query::session::QuerySession;

use super::aggregate::is_filled_to_the_end;
use super::ahead::WantedEdge;
use super::before::{is_carried_beside, with_values_before};
use super::calls::{Function, Planned, check_types, planned};
use super::fields::{Parts, filler};
use super::limits::{rows_of_runs, rows_of_series};
use super::read::{Read, Wanted, planning, table_rows};
use super::resolve::{Origin, Query};
use super::rows::{
    Keys, Known, NAME, Rows, TIME, call_column, column, field_column, is_rank, no_text, sorted_by, tag_column,
    value_column,
};
use super::sequence::over_windows;
use super::together::{joined, limited, limits_each_call, renamed};
use super::types::{Type, type_of_arrow};
use super::typing::type_of_ref;
use super::values::null;

/// Rows that a select gives: [`NAME`] or one measurement, grouped tags, [`TIME`], a [`field_column`] for each column, and
/// what tells their order.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    pub read: Read,
    pub kinds: Vec<Type>,
    /// Whether these are the rows that LIMIT and OFFSET leave.
    pub is_limited: bool,
}

/// Plans selects with the tables and functions of a session.
pub(super) struct Planner<'a> {
    pub session: &'a QuerySession,
    /// What random samples are drawn by.
    pub seed: u64,
    /// Tables may be looked at while they are planned with, which keeps their live rows until they are read.
    pub looks_ahead: bool,
}

impl Planner<'_> {
    /// The rows of a whole statement, in their order. `None` when there cannot be any.
    pub(super) fn statement(&self, query: &Query) -> Result<Option<Selected>, StatementError> {
        let Some(selected) = self.select(query, Reader::Client)? else { return Ok(None) };
        let rows = if selected.is_limited { EVERY_ROW } else { page(query) };
        let read = in_order(query, selected.read, series_page(query), rows).map_err(planning)?;
        Ok(Some(Selected { read, ..selected }))
    }

    /// The rows of a select, in no order. `None` when there cannot be any. Those that LIMIT leaves out may be missing
    /// of a statement.
    fn select(&self, query: &Query, reader: Reader<'_>) -> Result<Option<Selected>, StatementError> {
        let parts = Parts::of(&query.fields);
        match parts.calls.is_empty() {
            true => self.raw(query, &parts, reader),
            false => self.calls(query, &parts, reader),
        }
    }

    fn raw(&self, query: &Query, parts: &Parts, reader: Reader<'_>) -> Result<Option<Selected>, StatementError> {
        if parts.refs.iter().all(|reference| type_of_ref(reference) == Type::Unknown) {
            return Ok(None);
        }
        let drivers = positions(parts, |kind| kind != Type::Unknown && kind != Type::Tag);
        let wanted = Wanted {
            query,
            refs: &parts.refs,
            drivers: &drivers,
            drivers_decide_inner: false,
            range: query.read_range(),
            of_each_series: of_each_series(query, reader),
        };
        let driving = drivers.iter().map(|&i| &parts.refs[i]).collect();
        let edge = if reader.is_client() { WantedEdge::of_rows(query, driving) } else { None };
        let Some(read) = wanted.read(self.sources_at(query, edge.as_ref())?)? else { return Ok(None) };
        let plan = with_filled_refs(read.plan.clone(), &read, query, parts)?;
        let read = Read { plan, ..read };
        match query.fill {
            Fill::Previous => limited_and_carried(query, read, parts, reader),
            _ => fields_of(read, parts, reader),
        }
        .map(Some)
    }

    fn calls(&self, query: &Query, parts: &Parts, reader: Reader<'_>) -> Result<Option<Selected>, StatementError> {
        let mut calls = Vec::with_capacity(parts.calls.len());
        for call in &parts.calls {
            let planned = planned(call)?;
            check_types(call, &planned)?;
            calls.push(planned);
        }
        if calls.iter().all(|call| call.kind() == Type::Unknown) {
            return Ok(None);
        }
        let Some(read) = self.computed(query, parts, &calls)? else { return Ok(None) };
        let read = if limits_each_call(query) { limited(read, query, parts).map_err(planning)? } else { read };
        let plan = with_numbers(&read, query, parts, calls.len()).map_err(planning)?;
        let read = Read { plan, ..read };
        if is_carried_beside(query, parts, &calls) {
            return limited_and_carried(query, read, parts, reader).map(Some);
        }
        let lacks_values = calls.len() > 1 && !is_filled_to_the_end(query, &calls);
        let read = if lacks_values { with_values_before(read, query).map_err(planning)? } else { read };
        fields_of(read, parts, reader).map(Some)
    }

    /// Keys, [`TIME`], a column for each call and each reference beside one.
    fn computed(&self, query: &Query, parts: &Parts, calls: &[Planned]) -> Result<Option<Read>, StatementError> {
        let is_aggregate = |call: &Planned| matches!(call.function.innermost(), Function::Aggregate(_));
        let read_alike = calls.iter().all(|call| call.look_back() == calls[0].look_back());
        if calls.iter().all(is_aggregate) && read_alike {
            return self.aggregates(query, parts, calls);
        }
        let mut reads: Vec<(Vec<usize>, Read)> = Vec::new();
        let known = |call: &Planned| call.kind() != Type::Unknown;
        let of = |wanted: &dyn Fn(&Planned) -> bool| -> Vec<(usize, Planned)> {
            let numbered = calls.iter().cloned().enumerate();
            numbered.filter(|(_, call)| known(call) && wanted(call)).collect()
        };
        let look_backs: BTreeSet<i64> = calls.iter().map(Planned::look_back).collect();
        for &look_back in &look_backs {
            let is_sequence = |call: &Planned| matches!(call.function.innermost(), Function::Sequence(_));
            let sequences = of(&|call| is_sequence(call) && call.look_back() == look_back);
            if !sequences.is_empty() {
                let read = self.sequences(&query.looking_back(look_back), &sequences)?;
                reads.extend(read.map(|read| (sequences.iter().map(|(i, _)| *i).collect(), read)));
            }
        }
        for (i, call) in of(&|call| matches!(call.function.innermost(), Function::Several(_))) {
            let Function::Several(several) = *call.function.innermost() else { continue };
            let query = query.looking_back(call.look_back());
            let Some(read) = self.several(&query, parts, i, &call, several)? else { continue };
            let read = over_windows(&query, [(i, &call)].into_iter(), &[], read).map_err(planning)?;
            reads.push((vec![i], read));
        }
        for &look_back in &look_backs {
            let aggregates = of(&|call| is_aggregate(call) && call.look_back() == look_back);
            if aggregates.is_empty() {
                continue;
            }
            let numbers: Vec<usize> = aggregates.iter().map(|(i, _)| *i).collect();
            let calls: Vec<Planned> = aggregates.into_iter().map(|(_, call)| call).collect();
            let alone = Parts { refs: Vec::new(), ..parts.clone() };
            if let Some(read) = self.aggregates(&query.looking_back(look_back), &alone, &calls)? {
                let renamed = renamed(read, &numbers).map_err(planning)?;
                reads.push((numbers, renamed));
            }
        }
        joined(query, parts, calls, reads).map_err(planning)
    }

    pub(super) fn sources<'q>(&self, query: &'q Query) -> Result<Vec<(&'q Origin, Rows)>, StatementError> {
        self.sources_at(query, None)
    }

    /// The sources of a select; of tables only what is at an edge of series, where that is enough.
    pub(super) fn sources_at<'q>(
        &self,
        query: &'q Query,
        edge: Option<&WantedEdge<'_>>,
    ) -> Result<Vec<(&'q Origin, Rows)>, StatementError> {
        let mut sources = Vec::with_capacity(query.sources.len());
        for origin in &query.sources {
            let rows = match origin {
                Origin::Table(table) => {
                    Some(table_rows(self.session, table, self.looks_ahead, edge).map_err(planning)?)
                }
                Origin::Query(inner) => self.inner_rows(inner, &query.dimensions)?,
            };
            sources.extend(rows.map(|rows| (origin, rows)));
        }
        Ok(sources)
    }

    /// The rows of an inner select as its outer one, which groups by the tags `outer`, sees them.
    fn inner_rows(&self, inner: &Query, outer: &[Arc<str>]) -> Result<Option<Rows>, StatementError> {
        let reader = Reader::Select(outer);
        let Some(Selected { read, kinds, is_limited }) = self.select(inner, reader)? else { return Ok(None) };
        let read = if is_limited { read } else { limited_for(inner, read, reader).map_err(planning)? };
        let known = |name: &Arc<str>, column, kind| Known { name: name.clone(), column, kind, is_complete: false };
        let tags = inner.dimensions.iter().enumerate().map(|(i, key)| known(key, tag_column(i), Type::Tag));
        let fields = inner.columns.iter().zip(&kinds).enumerate();
        let tags: Vec<Known> = tags.collect();
        let fields = fields.map(|(i, (name, kind))| known(name, field_column(i), *kind)).collect();
        Ok(Some(Rows { plan: read.plan, measurement: read.measurement, tags, fields, order: read.order }))
    }
}

/// Who reads the rows of a select.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reader<'a> {
    Client,
    /// An outer select, which groups by these tags.
    Select(&'a [Arc<str>]),
}

impl Reader<'_> {
    fn is_client(self) -> bool {
        matches!(self, Reader::Client)
    }
}

/// Whether the rows of a select come mixed to an outer one, which groups by `outer`. Without windows a call gives one row of
/// a series.
fn is_mixed(query: &Query, outer: &[Arc<str>]) -> bool {
    (query.is_raw() || query.windows.is_some()) && query.dimensions.len() > outer.len()
}

/// How many rows of each series the server's storage gives for LIMIT and OFFSET where they are to be counted once mixed.
fn of_each_series(query: &Query, reader: Reader<'_>) -> Option<usize> {
    let Reader::Select(outer) = reader else { return None };
    let Page { limit, offset } = query.rows;
    let is_limited = query.rows != Page::default() && is_mixed(query, outer);
    is_limited.then(|| (limit as usize).saturating_add(offset as usize).saturating_add(1))
}

/// The rows that LIMIT and OFFSET leave, as their reader counts them.
fn limited_for(query: &Query, read: Read, reader: Reader<'_>) -> Result<Read, DataFusionError> {
    let Reader::Select(outer) = reader else { return in_order(query, read, Page::default(), page(query)) };
    if query.rows == Page::default() {
        return Ok(read);
    }
    let has_ranks = read.order.iter().any(|name| is_rank(name));
    if is_mixed(query, outer) && !has_ranks && !limits_each_call(query) {
        let plan = rows_of_runs(read.plan.clone(), &read.keys, query, outer)?;
        return Ok(Read { plan, ..read });
    }
    in_order(query, read, Page::default(), page(query))
}

/// Rows whose `fill(previous)` knows those alone that LIMIT and OFFSET leave.
fn limited_and_carried(
    query: &Query,
    read: Read,
    parts: &Parts,
    reader: Reader<'_>,
) -> Result<Selected, StatementError> {
    let is_limited = query.rows != Page::default();
    let read = if is_limited { limited_for(query, read, reader).map_err(planning)? } else { read };
    let selected = fields_of(with_values_before(read, query).map_err(planning)?, parts, reader)?;
    Ok(Selected { is_limited, ..selected })
}

/// Sorts by series and within them, and takes the `rows` (offset, limit) and the series that are wanted.
fn in_order(
    query: &Query,
    read: Read,
    series: Page,
    (offset, limit): (usize, Option<usize>),
) -> Result<Read, DataFusionError> {
    let plan = wanted_series(read.plan.clone(), &read.keys, &query.dimensions, series)?;
    let names = read.keys.names().into_iter().chain(read.order.iter().cloned());
    let sorts = sorted_by(names, query.direction);
    let plan = if offset == 0 && limit.is_none() {
        LogicalPlanBuilder::from(plan).sort(sorts)?.build()?
    } else if !read.keys.has_name && read.keys.tags == 0 {
        LogicalPlanBuilder::from(plan).sort(sorts)?.limit(offset, limit)?.build()?
    } else if read.order.iter().any(|name| is_rank(name)) {
        let order = sorted_by(read.order.iter().cloned(), query.direction);
        let plan = rows_of_series(plan, &read.keys, order, (offset, limit))?;
        LogicalPlanBuilder::from(plan).sort(sorts)?.build()?
    } else {
        let limit = Limit { offset, limit, ..Limit::default() };
        series_plan(plan, series_order(&read.keys, query.direction), SeriesOperation::Limit(limit))?
    };
    Ok(Read { plan, ..read })
}

/// No OFFSET and no LIMIT.
const EVERY_ROW: (usize, Option<usize>) = (0, None);

/// OFFSET and LIMIT of whole rows: where they count the points of each call, that has been done.
fn page(query: &Query) -> (usize, Option<usize>) {
    if limits_each_call(query) { EVERY_ROW } else { wanted_rows(query) }
}

/// OFFSET and LIMIT. Of rows as they are stored, OFFSET alone gives one: the server's storage stops there.
pub(super) fn wanted_rows(query: &Query) -> (usize, Option<usize>) {
    let Page { limit, offset } = query.rows;
    let limit = match (limit, offset) {
        (0, 1..) if query.is_of_stored_rows() => Some(1),
        (0, _) => None,
        (limit, _) => Some(limit as usize),
    };
    (offset as usize, limit)
}

/// SLIMIT and SOFFSET count the series of a measurement upwards, in whichever direction they leave, in the order of the
/// server's index. SOFFSET alone leaves none.
fn wanted_series(
    plan: LogicalPlan,
    keys: &Keys,
    dimensions: &[Arc<str>],
    series: Page,
) -> Result<LogicalPlan, DataFusionError> {
    let Page { limit, offset } = series;
    if limit == 0 && offset == 0 {
        return Ok(plan);
    }
    let builder = LogicalPlanBuilder::from(plan.clone());
    if limit == 0 {
        return builder.filter(lit(false))?.build();
    }
    if keys.tags == 0 {
        return if offset == 0 { Ok(plan) } else { builder.filter(lit(false))?.build() };
    }
    let by_name = keys.has_name.then(|| column(NAME)).into_iter().collect();
    let order = index_order(dimensions).into_iter().map(|key| key.sort(true, true)).collect();
    let number = dense_rank().partition_by(by_name).order_by(order).build()?.alias(SERIES_NUMBER);
    let (first, last) = (lit(offset.saturating_add(1)), lit(offset.saturating_add(limit)));
    let columns: Vec<Plan> = plan.schema().columns().into_iter().map(Plan::Column).collect();
    let wanted = column(SERIES_NUMBER).between(first, last);
    builder.window(vec![number])?.filter(wanted)?.project(columns)?.build()
}

const SERIES_NUMBER: &str = "series_number";

/// What the server's index sorts groups of series by: the names of the tags they have with the values of these behind.
fn index_order(dimensions: &[Arc<str>]) -> Vec<Plan> {
    let tags = || (0..dimensions.len()).map(|i| column(tag_column(i)));
    let names = tags().zip(dimensions).map(|(tag, name)| if_present(tag, lit(&**name)));
    let values = tags().map(|tag| if_present(tag.clone(), tag));
    let key = concat_ws(lit("|"), names.chain(values).collect());
    [key].into_iter().chain(tags()).collect()
}

/// Null where a grouped tag is absent.
fn if_present(tag: Plan, value: Plan) -> Plan {
    when(tag.not_eq(no_text()), cast(value, Type::String.arrow())).end().unwrap_or_else(|_| null(Type::String))
}

/// SLIMIT and SOFFSET of a statement: those of the selects inside count with it, for its own series.
fn series_page(query: &Query) -> Page {
    let mut innermost = query;
    while let [Origin::Query(inner)] = &innermost.sources[..] {
        innermost = inner;
    }
    innermost.series
}

/// Positions of the references whose type is wanted.
fn positions(parts: &Parts, wanted: impl Fn(Type) -> bool) -> Vec<usize> {
    let refs = parts.refs.iter().enumerate();
    refs.filter(|(_, reference)| wanted(type_of_ref(reference))).map(|(i, _)| i).collect()
}

/// `fill(number)` stands for values that are missing in rows too.
fn with_filled_refs(
    plan: LogicalPlan,
    read: &Read,
    query: &Query,
    parts: &Parts,
) -> Result<LogicalPlan, StatementError> {
    if !matches!(query.fill, Fill::Integer(_) | Fill::Number(_)) {
        return Ok(plan);
    }
    let mut columns = passed_on(read);
    for (i, reference) in parts.refs.iter().enumerate() {
        let name = value_column(i);
        let value = match filler(query.fill, type_of_ref(reference)) {
            Some(number) => coalesce(vec![column(&name), number]),
            None => column(&name),
        };
        columns.push(value.alias(name));
    }
    LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build).map_err(planning)
}

/// `fill(number)` also stands for what a call or a reference lacks in a row that others have.
fn with_numbers(read: &Read, query: &Query, parts: &Parts, calls: usize) -> Result<LogicalPlan, DataFusionError> {
    if !matches!(query.fill, Fill::Integer(_) | Fill::Number(_)) {
        return Ok(read.plan.clone());
    }
    let mut columns = passed_on(read);
    let schema = read.plan.schema();
    let mut add = |name: String, kind: Type| {
        let value = match filler(query.fill, kind) {
            Some(number) => coalesce(vec![column(&name), number]),
            None => column(&name),
        };
        columns.push(value.alias(name));
    };
    for i in 0..calls {
        let name = call_column(i);
        let kind = type_of_arrow(schema.field_with_unqualified_name(&name)?.data_type());
        add(name, kind);
    }
    for (i, reference) in
        parts.refs.iter().enumerate().filter(|(i, _)| schema.has_column(&Column::new_unqualified(value_column(*i))))
    {
        add(value_column(i), type_of_ref(reference));
    }
    LogicalPlanBuilder::from(read.plan.clone()).project(columns)?.build()
}

/// The columns of rows that are not values: keys, time, order.
pub(super) fn passed_on(read: &Read) -> Vec<Plan> {
    let keys = read.keys.names();
    let hidden = read.order.iter().filter(|name| *name != TIME && !keys.contains(name)).map(column);
    read.keys.columns().into_iter().chain([column(TIME)]).chain(hidden).collect()
}

/// Computes the columns of the answer. What is no number is null in a statement's, and still none in an inner select's.
fn fields_of(read: Read, parts: &Parts, reader: Reader<'_>) -> Result<Selected, StatementError> {
    let values = parts.values(reader.is_client());
    let kinds = values.iter().map(|value| value.kind).collect();
    let mut columns = passed_on(&read);
    columns.extend(values.into_iter().enumerate().map(|(i, value)| value.expr.alias(field_column(i))));
    let plan = LogicalPlanBuilder::from(read.plan.clone()).project(columns).and_then(LogicalPlanBuilder::build);
    Ok(Selected { read: Read { plan: plan.map_err(planning)?, ..read }, kinds, is_limited: false })
}

/// How rows lie for what is done to series one after the other.
pub(super) fn series_order(keys: &Keys, direction: Direction) -> SeriesOrder {
    let descending = direction == Direction::Descending;
    SeriesOrder {
        keys: keys.names().into_iter().map(Column::new_unqualified).collect(),
        time: Column::new_unqualified(TIME),
        keys_descending: descending,
        time_descending: descending,
        then: Vec::new(),
    }
}
