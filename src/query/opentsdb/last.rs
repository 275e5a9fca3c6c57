//! The newest point of each series.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, DictionaryArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::expr_fn::{last_value, max};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

use crate::model::metric::integer_of;
use crate::model::schema::{TIME_COLUMN, tag_type};
use crate::query::QueryError;
use crate::query::edges::Edge;
use crate::query::session::{QueryEngine, QueryScope, QuerySession};

use super::answer::{TagSet, Value};
use super::error::OpentsdbError;
use super::execute::{Asker, LANGUAGE, Target};
use super::filter::{Matcher, TagFilter};
use super::plan::{number_columns, pushed};
use super::resolve::Source;

const NANOS_PER_MILLI: i64 = 1_000_000;
/// Series of an answer to a request.
pub const SERIES_MAX: usize = 1_000_000;

/// The newest point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct LastPoint {
    pub metric: Arc<str>,
    pub tags: TagSet,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    pub value: Value,
}

impl QueryEngine {
    /// The newest point of each of a target's series that pass `filters`, among the points since `since_ms`; by tags. The request
    /// has `held` of them already, and may have [`SERIES_MAX`].
    pub async fn opentsdb_last(
        &self,
        asker: &Asker,
        target: &Target,
        filters: &[TagFilter],
        since_ms: Option<i64>,
        held: usize,
    ) -> Result<Vec<LastPoint>, OpentsdbError> {
        let scope =
            QueryScope { tenant: asker.tenant.clone(), database: asker.database.clone(), target_partitions: None };
        let session = self.session(LANGUAGE, &scope).await?;
        let state = session.names().state.clone();
        let Some(source) = asker.metrics(&state).find(&target.metric) else {
            let error = OpentsdbError::NoSuchName { kind: "metrics", name: target.metric.to_string() };
            session.fail(QueryError::Plan(error.to_string()));
            return Err(error);
        };
        let wanted = Wanted::new(&source, target, filters);
        let plan = match plan(&session, &source, filters, since_ms) {
            Ok(plan) => plan,
            Err(error) => return Err(session.fail(error.into()).into()),
        };
        let mut rows = self.execute(session, plan).await?;
        let mut found = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let tags = wanted.keys.len();
            let texts = batch.columns()[..tags].iter().map(|column| cast(column, &tag_type()));
            let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|e| QueryError::internal(e.to_string()))?;
            let texts: Vec<&DictionaryArray<Int32Type>> = texts.iter().map(|column| column.as_dictionary()).collect();
            let times = batch.column(tags).as_primitive::<TimestampNanosecondType>();
            let floats = batch.column(tags + 1).as_primitive::<Float64Type>();
            let integers = batch.columns().get(tags + 2).map(|column| column.as_primitive::<Int64Type>());
            for row in 0..batch.num_rows() {
                let Some(tags) = wanted.tags(&texts, row) else { continue };
                if held + found.len() >= SERIES_MAX {
                    return Err(OpentsdbError::TooManyPoints { points_max: SERIES_MAX });
                }
                let integer = integers.filter(|integers| integers.is_valid(row)).map(|integers| integers.value(row));
                let float = floats.value(row);
                let value = integer_of(float, integer).map_or(Value::Float(float), Value::Integer);
                let time_ms = times.value(row).div_euclid(NANOS_PER_MILLI);
                found.push(LastPoint { metric: target.metric.clone(), tags, time_ms, value });
            }
        }
        found.sort_by(|a, b| a.tags.cmp(&b.tags));
        Ok(found)
    }
}

/// Which series are wanted, by their tags.
struct Wanted<'a> {
    keys: Vec<Arc<str>>,
    /// By the key's place; `None`: the table has no such tag, and nothing passes.
    matchers: Vec<(Option<usize>, Arc<Matcher>)>,
    members: Option<&'a [TagSet]>,
}

impl<'a> Wanted<'a> {
    fn new(source: &Source, target: &'a Target, filters: &[TagFilter]) -> Self {
        let keys: Vec<Arc<str>> = source.table.schema.tags().map(|tag| tag.name.as_str().into()).collect();
        let matcher = |filter: &TagFilter| (keys.iter().position(|key| **key == *filter.tagk), filter.matcher());
        let matchers = filters.iter().map(matcher).collect();
        Wanted { matchers, members: target.members.as_deref(), keys }
    }

    fn tags(&self, columns: &[&DictionaryArray<Int32Type>], row: usize) -> Option<TagSet> {
        let value = |at: usize| {
            let column = columns[at];
            let text = column.keys().is_valid(row).then(|| column.keys().value(row) as usize)?;
            let texts = column.values().as_string::<i32>();
            texts.is_valid(text).then(|| texts.value(text)).filter(|text| !text.is_empty())
        };
        let passes = |(at, matcher): &(Option<usize>, Arc<Matcher>)| {
            at.and_then(value).is_some_and(|value| matcher.is_match(value))
        };
        if !self.matchers.iter().all(passes) {
            return None;
        }
        let mut tags: TagSet =
            self.keys.iter().enumerate().filter_map(|(at, key)| Some((key.clone(), value(at)?.into()))).collect();
        tags.sort_unstable();
        self.members.is_none_or(|members| members.contains(&tags)).then_some(tags)
    }
}

fn plan(
    session: &QuerySession,
    source: &Source,
    filters: &[TagFilter],
    since_ms: Option<i64>,
) -> Result<LogicalPlan, datafusion::common::DataFusionError> {
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let schema = &source.table.schema;
    let rows = session.table_rows(&source.table);
    // Where every row has a value, the last row of each series is all that matters.
    let value = schema.fields().find(|column| column.sql_name == source.numbers.column()).map(|column| column.id);
    let all_have_values = value.map_or(Ok(false), |value| rows.complete_columns().map(|ids| ids.contains(&value)))?;
    let rows = if all_have_values { rows.with_edge(Edge::Last(i64::MAX)) } else { rows };
    let mut plan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::new(rows)), None)?;
    if let Some(since_ms) = since_ms {
        let since = ScalarValue::TimestampNanosecond(Some(since_ms.saturating_mul(NANOS_PER_MILLI)), None);
        plan = plan.filter(column(TIME_COLUMN).gt_eq(lit(since)))?;
    }
    for filter in pushed(schema, filters) {
        plan = plan.filter(filter)?;
    }
    let tag = |i: usize| format!("tag_{i}");
    let mut columns: Vec<Expr> =
        schema.tags().enumerate().map(|(i, known)| column(&known.sql_name).alias(tag(i))).collect();
    let tags = columns.len();
    columns.push(column(TIME_COLUMN).alias("time"));
    columns.extend(number_columns(&source.numbers, true));
    let names = ["float", "integer"];
    let numbers = columns.len() - tags - 1;
    let plan = plan.project(columns)?.filter(column("float").is_not_null())?;
    let newest = |name: &str| last_value(column(name), vec![column("time").sort(true, false)]).alias(name);
    let mut aggregates = vec![max(column("time")).alias("newest")];
    aggregates.extend(names[..numbers].iter().map(|name| newest(name)));
    let plan = plan.aggregate((0..tags).map(|i| column(&tag(i))).collect::<Vec<_>>(), aggregates)?;
    // Without tags there is a row even of nothing.
    plan.filter(column("newest").is_not_null())?.build()
}
