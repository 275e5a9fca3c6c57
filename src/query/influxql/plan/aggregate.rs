//! Selects with calls that make one value of a group: mean, max, percentile and the like, over everything or in windows.
//!
//! The rows of a group are the points of one output series, in one window if there are windows. All calls are computed
//! side by side; what a call has no point for is null.

use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::core::expr_fn::{get_field, nullif};
use datafusion::functions::math::expr_fn::isnan;
use datafusion::functions_aggregate::expr_fn::{avg, bool_or, count, count_distinct, max, min, sum};
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use crate::query::functions::series::{Choice, Kind, collected, mean_of_integers, selector, window_start};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::expr::VarRef;
use crate::query::influxql::select::Fill;
use crate::query::series::{Fill as Windowed, FillRule, SeriesOperation, Windows, series_plan};

use super::ahead::WantedEdge;
use super::before::is_carried_beside;
use super::calls::{Aggregate, Function, Planned};
use super::fields::Parts;
use super::read::{Read, Wanted, planning};
use super::resolve::Query;
use super::rows::{TIME, call_column, column, timestamp, value_column};
use super::select::{Planner, series_order, wanted_rows};
use super::sequence::over_windows;
use super::types::Type;
use super::typing::{may_be_no_number, type_of_function, type_of_ref};

/// The aggregates of all calls, each once, and what they are called until their values are made of them.
#[derive(Default)]
struct Aggregates(Vec<(Plan, String)>);

impl Aggregates {
    /// The column that holds an aggregate.
    fn column(&mut self, aggregate: Plan) -> Plan {
        if let Some((_, name)) = self.0.iter().find(|(known, _)| *known == aggregate) {
            return column(name);
        }
        let name = format!("aggregate_{}", self.0.len());
        self.0.push((aggregate, name.clone()));
        column(name)
    }
}

/// What a call comes to.
struct Computed {
    /// The value, over the columns of the aggregates.
    value: Plan,
    /// Whether there is one, over the same columns, and no more than a glance at one of them.
    present: Plan,
    /// Of a selector: the point, whose members are its value, its time, and what stands beside it.
    point: Option<Plan>,
}

impl Planner<'_> {
    /// Calls that make one value of each group: keys, [`TIME`], and a column for each call and each reference beside one.
    pub(super) fn aggregates(
        &self,
        query: &Query,
        parts: &Parts,
        calls: &[Planned],
    ) -> Result<Option<Read>, StatementError> {
        let refs = fields_read(calls, &parts.refs);
        let drivers = drivers(calls, &refs);
        let wanted = Wanted {
            query,
            refs: &refs,
            drivers: &drivers,
            drivers_decide_inner: true,
            range: query.stored_range(),
            of_each_series: None,
        };
        let edge = WantedEdge::of_calls(query, calls);
        let Some(read) = wanted.read(self.sources_at(query, edge.as_ref())?)? else { return Ok(None) };
        let plan = || {
            let grouped = grouped(query, parts, calls, &refs, read)?;
            let beside: Vec<String> = (0..parts.refs.len()).map(value_column).collect();
            over_windows(query, calls.iter().enumerate(), &beside, filled(query, parts, calls, grouped)?)
        };
        plan().map(Some).map_err(planning)
    }
}

/// The references that calls are about, then those that stand beside calls; each once.
pub(super) fn fields_read(calls: &[Planned], beside: &[VarRef]) -> Vec<VarRef> {
    let mut refs: Vec<VarRef> = Vec::new();
    for reference in calls.iter().map(|call| &call.field).chain(beside) {
        if !refs.contains(reference) {
            refs.push(reference.clone());
        }
    }
    refs
}

/// Positions of the fields that calls are about.
pub(super) fn drivers(calls: &[Planned], refs: &[VarRef]) -> Vec<usize> {
    let known = calls.iter().filter(|call| call.kind() != Type::Unknown);
    let mut positions: Vec<usize> =
        known.filter_map(|call| refs.iter().position(|reference| *reference == call.field)).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// The column of a reference among `refs`.
pub(super) fn value_of(reference: &VarRef, refs: &[VarRef]) -> Plan {
    let position = refs.iter().position(|known| known == reference);
    position.map_or_else(|| lit(ScalarValue::Null), |i| column(value_column(i)))
}

/// The column of a reference beside a call. Tags are texts there: a dictionary is of no use to a single value.
pub(super) fn aside(reference: &VarRef, refs: &[VarRef]) -> Plan {
    let value = value_of(reference, refs);
    if type_of_ref(reference) == Type::Tag { cast(value, Type::String.arrow()) } else { value }
}

/// A row a group, with a column for each call and each reference beside a call.
fn grouped(query: &Query, parts: &Parts, calls: &[Planned], refs: &[VarRef], read: Read) -> Result<Read> {
    let keeps_time = calls.len() == 1 && calls[0].is_selector() && query.windows.is_none();
    let mut groups = read.keys.columns();
    if let Some(windows) = &query.windows {
        groups.push(window_start(column(TIME), windows).alias(TIME));
    }
    let mut aggregates = Aggregates::default();
    let mut computed = Vec::with_capacity(calls.len());
    for call in calls {
        let Function::Aggregate(aggregate) = *call.function.innermost() else { continue };
        let has_company = calls.len() > 1;
        let beside: &[VarRef] = if has_company { &[] } else { &parts.refs };
        let with_point = !has_company && (keeps_time || !beside.is_empty());
        let beside: Vec<Plan> = beside.iter().map(|reference| aside(reference, refs)).collect();
        let value = (call.kind() != Type::Unknown).then(|| value_of(&call.field, refs));
        let is_known = value.is_some();
        let about = About {
            kind: call.kind(),
            may_be_nan: call.kind() == Type::Float && may_be_no_number(&call.field.name.0, &query.sources),
            descending: query.direction == Direction::Descending,
        };
        let mut one = compute(aggregate, about, value, &beside, with_point, &mut aggregates);
        if !is_known {
            let sequences = call.function.over_windows().into_iter();
            let kind = result_type(aggregate, Type::Unknown);
            one.value = super::values::null(sequences.fold(kind, |kind, next| type_of_function(&next.name, kind)));
        }
        computed.push(one);
    }
    let aggregates: Vec<Plan> = aggregates.0.into_iter().map(|(aggregate, name)| aggregate.alias(name)).collect();
    let builder = LogicalPlanBuilder::from(read.plan.clone()).aggregate(groups, aggregates)?;

    let mut columns = read.keys.columns();
    let only_point = computed.first().and_then(|one| one.point.clone()).filter(|_| keeps_time);
    columns.push(match (&query.windows, only_point) {
        (Some(_), _) => column(TIME),
        (None, Some(point)) => get_field(point, "time").alias(TIME),
        (None, None) => timestamp(query.range.start_or_zero()).alias(TIME),
    });
    let point = computed.first().and_then(|one| one.point.clone());
    let has_value = disjunction(computed.iter().map(|one| one.present.clone())).unwrap_or_else(|| lit(false));
    columns.extend(computed.iter().enumerate().map(|(i, one)| one.value.clone().alias(call_column(i))));
    for (i, reference) in parts.refs.iter().enumerate() {
        let beside = match &point {
            Some(point) => cast(get_field(point.clone(), format!("aux_{i}")), type_of_ref(reference).arrow()),
            None => super::values::null(type_of_ref(reference)),
        };
        columns.push(beside.alias(value_column(i)));
    }
    let plan = builder.filter(has_value)?.project(columns)?.build()?;
    let tags = read.keys.names();
    let order = match query.windows {
        Some(_) => [TIME.to_string()].into_iter().chain(tags).collect(),
        None => tags.into_iter().chain([TIME.to_string()]).collect(),
    };
    Ok(Read { plan, order, ..read })
}

fn result_type(aggregate: Aggregate, kind: Type) -> Type {
    match aggregate {
        Aggregate::Count | Aggregate::CountDistinct => Type::Integer,
        Aggregate::Mean | Aggregate::Median | Aggregate::Stddev => Type::Float,
        _ => kind,
    }
}

/// What is known of the points that an aggregate is computed of.
#[derive(Debug, Clone, Copy)]
struct About {
    kind: Type,
    /// Whether there may be infinite ones and such as are no number: the engine's extremes know neither.
    may_be_nan: bool,
    descending: bool,
}

fn compute(
    aggregate: Aggregate,
    about: About,
    value: Option<Plan>,
    beside: &[Plan],
    with_point: bool,
    aggregates: &mut Aggregates,
) -> Computed {
    let About { kind, may_be_nan, descending } = about;
    let Some(value) = value else {
        let value = super::values::null(result_type(aggregate, kind));
        return Computed { value, present: lit(false), point: None };
    };
    let mut first = None;
    let mut add = |plan: Plan| {
        let column = aggregates.column(plan);
        first.get_or_insert_with(|| column.clone());
        column
    };
    let point_args = |parameters: Vec<Plan>| {
        let args = parameters.into_iter().chain([value.clone(), column(TIME)]);
        args.chain(beside.iter().cloned()).collect::<Vec<_>>()
    };
    let mut point = None;
    let value = match aggregate {
        Aggregate::Count => nullif(add(count(value)), lit(0i64)),
        Aggregate::CountDistinct => nullif(add(count_distinct(value)), lit(0i64)),
        Aggregate::Sum => add(sum(value)),
        Aggregate::Mean if kind == Type::Float => add(avg(value)),
        Aggregate::Mean => {
            let total = add(sum(value.clone()));
            mean_of_integers(total, add(count(value)))
        }
        Aggregate::Spread if may_be_nan => {
            let mut extreme = |choice| get_field(add(selector(choice).call(point_args(Vec::new()))), "value");
            let width = extreme(Choice::Max) - extreme(Choice::Min);
            let is_nan = add(bool_or(isnan(value.clone())));
            when(is_nan, lit(f64::NAN)).otherwise(width.clone()).unwrap_or(width)
        }
        Aggregate::Spread => {
            let most = add(max(value.clone()));
            most - add(min(value))
        }
        Aggregate::Median => add(collected(Kind::Median).call(vec![value])),
        Aggregate::Stddev => add(collected(Kind::Stddev).call(vec![value])),
        Aggregate::Mode => add(collected(Kind::Mode).call(vec![lit(descending), value, column(TIME)])),
        Aggregate::Selector(choice @ (Choice::Min | Choice::Max)) if may_be_nan => {
            // The point that comes first is kept where none is less, or greater: than what is no number, none is.
            let came_first = if descending { Choice::Last } else { Choice::First };
            let came_first = add(selector(came_first).call(point_args(Vec::new())));
            let number = when(isnan(value.clone()).is_false(), value.clone()).end().unwrap_or_else(|_| value.clone());
            let of_numbers = [number, column(TIME)].into_iter().chain(beside.iter().cloned()).collect();
            let extreme = add(selector(choice).call(of_numbers));
            let is_nan = isnan(get_field(came_first.clone(), "value"));
            let chosen = when(is_nan, came_first).otherwise(extreme.clone()).unwrap_or(extreme);
            point = Some(chosen.clone());
            get_field(chosen, "value")
        }
        Aggregate::Selector(Choice::Min) if !with_point => add(min(value)),
        Aggregate::Selector(Choice::Max) if !with_point => add(max(value)),
        Aggregate::Selector(choice) => {
            let chosen = add(selector(choice).call(point_args(Vec::new())));
            point = Some(chosen.clone());
            get_field(chosen, "value")
        }
        Aggregate::Percentile(rank) => {
            let chosen = add(collected(Kind::Percentile).call(point_args(vec![lit(rank), lit(descending)])));
            point = Some(chosen.clone());
            get_field(chosen, "value")
        }
    };
    let present = match (aggregate, first) {
        (_, None) => lit(false),
        (Aggregate::Count | Aggregate::CountDistinct, Some(first)) => first.gt(lit(0i64)),
        (_, Some(first)) => first.is_not_null(),
    };
    Computed { value, present, point }
}

/// With rows for windows in which there was nothing, and what is missing replaced.
fn filled(query: &Query, parts: &Parts, calls: &[Planned], read: Read) -> Result<Read> {
    let plan = match (&query.windows, query.fill) {
        (Some(_), Fill::None) | (None, _) => read.plan.clone(),
        (Some(windows), _) => with_windows(query, parts, calls, windows, &read)?,
    };
    Ok(Read { plan, ..read })
}

/// Whether `fill(previous)` has given each call a value in all windows behind its first one. Without a bound a call is filled
/// to its own last value only, and what is computed over windows comes after that and may have no value in some.
pub(super) fn is_filled_to_the_end(query: &Query, calls: &[Planned]) -> bool {
    let is_plain = |call: &Planned| matches!(call.function, Function::Aggregate(_));
    let fills = query.windows.is_some() && query.fill == Fill::Previous;
    fills && calls.iter().all(is_plain) && bounds_of_windows(query).1.is_some()
}

/// The times in whose windows series begin and end in order of output, where they do not with their rows.
fn bounds_of_windows(query: &Query) -> (Option<i64>, Option<i64>) {
    let range = query.read_range();
    let below = (!range.is_unbounded_below()).then_some(range.start);
    let above = (!range.is_unbounded_above()).then_some(range.end);
    match query.direction {
        Direction::Ascending => (below, above),
        Direction::Descending => (above, below),
    }
}

fn with_windows(
    query: &Query,
    parts: &Parts,
    calls: &[Planned],
    windows: &Windows,
    read: &Read,
) -> Result<LogicalPlan> {
    let (from, to) = bounds_of_windows(query);
    let schema = read.plan.schema().clone();
    let mut rules = Vec::new();
    for (i, call) in calls.iter().enumerate() {
        let name = call_column(i);
        let data_type = schema.field_with_unqualified_name(&name)?.data_type();
        let counts =
            matches!(call.function.innermost(), Function::Aggregate(Aggregate::Count | Aggregate::CountDistinct));
        let rule = match query.fill {
            Fill::Null if counts => FillRule::number(0.0, data_type),
            Fill::Null | Fill::None => FillRule::Null,
            Fill::Integer(number) => FillRule::number(number as f64, data_type),
            Fill::Number(number) => FillRule::number(number, data_type),
            Fill::Previous => FillRule::Previous,
            Fill::Linear => FillRule::Linear,
        };
        rules.push((Column::new_unqualified(name), rule));
    }
    let with_windows = query.fill == Fill::Previous && !is_carried_beside(query, parts, calls);
    let beside = if with_windows { FillRule::Previous } else { FillRule::Null };
    rules.extend((0..parts.refs.len()).map(|i| (Column::new_unqualified(value_column(i)), beside.clone())));
    // LIMIT alone may ask for few of very many windows. What is computed over windows needs them all.
    let is_over_windows = calls.iter().any(|call| matches!(call.function, Function::OverWindows(..)));
    let has_other_calls = parts.calls.len() > calls.len();
    let rows_max = match wanted_rows(query) {
        (offset, Some(limit)) if !is_over_windows && !has_other_calls => Some(offset.saturating_add(limit)),
        _ => None,
    };
    let fill = Windowed { windows: windows.clone(), from, to, rows_max, rules };
    series_plan(read.plan.clone(), series_order(&read.keys, query.direction), SeriesOperation::Fill(fill))
}
