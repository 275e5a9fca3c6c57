//! Selects with a call that gives several points of a group: distinct, top, bottom, sample.

use datafusion::common::Result;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{Expr as Plan, LogicalPlanBuilder, cast, lit};

use crate::query::functions::series::{Choice, Kind, collected, selector, tag_text, window_start};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::clauses::{Direction, Page};
use crate::query::influxql::expr::VarRef;
use crate::query::influxql::select::Fill;
use crate::query::series::{Limit, SeriesOperation, series_plan};

use super::aggregate::{aside, drivers, fields_read, value_of};
use super::calls::{Planned, Several};
use super::fields::{Parts, filler};
use super::read::{Read, Wanted, planning};
use super::resolve::{Query, top_tags};
use super::rows::{TIME, call_column, column, order_column, rank_column, timestamp, value_column};
use super::select::{Planner, series_order};
use super::types::Type;
use super::typing::type_of_ref;

const POINTS: &str = "points";

impl Planner<'_> {
    /// One call that gives several points: keys, [`TIME`], its column and those of the references beside it.
    pub(super) fn several(
        &self,
        query: &Query,
        parts: &Parts,
        number: usize,
        planned: &Planned,
        several: Several,
    ) -> Result<Option<Read>, StatementError> {
        let alone = parts.calls.len() == 1;
        let beside: Vec<VarRef> = if alone { parts.refs.clone() } else { Vec::new() };
        let tags: Vec<VarRef> = top_tags(&parts.calls[number]).cloned().collect();
        let one = [planned.clone()];
        let mut also = beside.clone();
        also.extend(tags.iter().cloned());
        let refs = fields_read(&one, &also);
        let drivers = drivers(&one, &refs);
        let range = query.stored_range();
        let wanted =
            Wanted { query, refs: &refs, drivers: &drivers, drivers_decide_inner: true, range, of_each_series: None };
        let Some(mut read) = wanted.read(self.sources(query)?)? else { return Ok(None) };
        if tags.is_empty() {
            read = as_many_as_asked(query, read, several).map_err(planning)?;
        } else {
            let choice = if matches!(several, Several::Top(_)) { Choice::Max } else { Choice::Min };
            read = best_of_each(query, read, planned, &refs, &tags, choice).map_err(planning)?;
        }
        let shape = Shape { query, number, planned, several, refs: &refs, beside: &beside, seed: self.seed };
        shape.plan(read).map(Some).map_err(planning)
    }
}

/// `top` and `bottom` of a select with LIMIT look at no more points of a series than that, and one more: the server's
/// storage stops there.
fn as_many_as_asked(query: &Query, read: Read, several: Several) -> Result<Read> {
    let is_ranked = matches!(several, Several::Top(_) | Several::Bottom(_));
    if !is_ranked || !query.reads_tables_alone() || query.rows == Page::default() {
        return Ok(read);
    }
    let most = query.rows.limit.saturating_add(query.rows.offset).saturating_add(1);
    let limit = Limit { limit: Some(most as usize), ..Limit::default() };
    let order = series_order(&read.keys, query.direction);
    let plan = series_plan(read.plan.clone(), order, SeriesOperation::Limit(limit))?;
    Ok(Read { plan, ..read })
}

/// Of the points of each combination of tags only the best, with the same columns.
fn best_of_each(
    query: &Query,
    read: Read,
    planned: &Planned,
    refs: &[VarRef],
    tags: &[VarRef],
    choice: Choice,
) -> Result<Read> {
    let mut groups = read.keys.columns();
    if let Some(windows) = &query.windows {
        groups.push(window_start(column(TIME), windows).alias("window"));
    }
    // A field in the place of a tag is a tag that no point has.
    for (i, tag) in tags.iter().filter(|tag| type_of_ref(tag) == Type::Tag).enumerate() {
        groups.push(tag_text(value_of(tag, refs)).alias(format!("group_{i}")));
    }
    let args = [value_of(&planned.field, refs), column(TIME)];
    let args = args.into_iter().chain(refs.iter().map(|reference| aside(reference, refs)));
    let best = selector(choice).call(args.collect()).alias(POINTS);
    let mut columns = read.keys.columns();
    columns.push(get_field(column(POINTS), "time").alias(TIME));
    for (i, reference) in refs.iter().enumerate() {
        let value = get_field(column(POINTS), format!("aux_{i}"));
        columns.push(cast(value, type_of_ref(reference).arrow()).alias(value_column(i)));
    }
    let builder = LogicalPlanBuilder::from(read.plan.clone()).aggregate(groups, vec![best])?;
    let plan = builder.filter(column(POINTS).is_not_null())?.project(columns)?.build()?;
    Ok(Read { plan, order: vec![TIME.to_string()], ..read })
}

struct Shape<'a> {
    query: &'a Query,
    number: usize,
    planned: &'a Planned,
    several: Several,
    refs: &'a [VarRef],
    beside: &'a [VarRef],
    seed: u64,
}

impl Shape<'_> {
    fn plan(&self, read: Read) -> Result<Read> {
        let mut groups = read.keys.columns();
        if let Some(windows) = &self.query.windows {
            groups.push(window_start(column(TIME), windows).alias("window"));
        }
        let points = self.points().alias(POINTS);
        let builder = LogicalPlanBuilder::from(read.plan.clone()).aggregate(groups, vec![points])?;
        let builder = builder.unnest_column(POINTS)?.filter(column(POINTS).is_not_null())?;
        let time = get_field(column(POINTS), "time");
        let value = get_field(column(POINTS), "value");
        let mut columns = read.keys.columns();
        let is_distinct = self.several == Several::Distinct;
        let windows = self.query.windows.as_ref();
        columns.push(match (is_distinct, windows) {
            (true, Some(_)) => column("window").alias(TIME),
            (true, None) => timestamp(self.query.range.start_or_zero()).alias(TIME),
            (false, _) => time.clone().alias(TIME),
        });
        // Within a group points come upwards, also where groups come downwards.
        let mut order = Vec::new();
        if windows.is_some() {
            order.push(order_column(0));
            columns.push(column("window").alias(order_column(0)));
        }
        order.push(rank_column(0));
        columns.push(time.alias(rank_column(0)));
        if is_distinct {
            order.push(rank_column(1));
            columns.push(value.clone().alias(rank_column(1)));
        }
        columns.push(value.alias(call_column(self.number)));
        for (i, reference) in self.beside.iter().enumerate() {
            let kind = type_of_ref(reference);
            let value = cast(get_field(column(POINTS), format!("aux_{i}")), kind.arrow());
            let value = match filler(self.query.fill, kind) {
                Some(number) if self.query.fill != Fill::Null => {
                    datafusion::functions::core::expr_fn::coalesce(vec![value, number])
                }
                _ => value,
            };
            columns.push(value.alias(value_column(i)));
        }
        let plan = builder.project(columns)?.build()?;
        Ok(Read { plan, order, ..read })
    }

    fn points(&self) -> Plan {
        let (kind, parameters) = match self.several {
            Several::Distinct => (Kind::Distinct, vec![lit(self.query.direction == Direction::Descending)]),
            Several::Top(n) => (Kind::Top, vec![lit(n)]),
            Several::Bottom(n) => (Kind::Bottom, vec![lit(n)]),
            Several::Sample(n) => (Kind::Sample, vec![lit(n), lit(self.seed)]),
        };
        let point = [value_of(&self.planned.field, self.refs), column(TIME)];
        let beside = self.beside.iter().map(|reference| aside(reference, self.refs));
        let beside: Vec<Plan> = if self.several == Several::Distinct { Vec::new() } else { beside.collect() };
        collected(kind).call(parameters.into_iter().chain(point).chain(beside).collect())
    }
}
