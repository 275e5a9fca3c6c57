//! The plan of a sub query: a scan under the window and the filters that name values, and [`super::groups`] on top.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, try_cast};
use datafusion::scalar::ScalarValue;

use crate::model::schema::TIME_COLUMN;
use crate::model::{FieldType, RowIdentity, TableSchema};
use crate::query::session::QuerySession;

use super::answer::TagSet;
use super::filter::TagFilter;
use super::groups::{GroupSpec, Sampling, groups_plan};
use super::request::{Query, SubQuery};
use super::resolve::{Numbers, Source};
use super::window::Window;

const NANOS_PER_MILLI: i64 = 1_000_000;
/// Filters that become conditions of the scan, for the sake of what need not be read. All of them are looked at behind it.
const PUSHED_MAX: usize = 16;

/// A sub query that is to be planned.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub query: &'a Query,
    pub at: usize,
    pub source: Source,
    /// Only these series, each sorted by key.
    pub members: Option<&'a [TagSet]>,
}

impl Part<'_> {
    fn sub(&self) -> &SubQuery {
        &self.query.queries[self.at]
    }

    /// The stretch of time that is read.
    pub(super) fn window(&self) -> Window {
        let interval = self.sub().downsample.map(|downsample| downsample.interval);
        Window::of(self.query.start_ms, self.query.end_ms, interval)
    }

    /// Keys of the table's tags, in the order of the plan's.
    pub(super) fn keys(&self) -> Vec<Arc<str>> {
        self.source.table.schema.tags().map(|tag| Arc::from(tag.name.as_str())).collect()
    }

    /// The plan, and the one to run where that finds rows of a series in no order.
    pub(super) fn plan(&self, session: &QuerySession) -> Result<(LogicalPlan, Option<LogicalPlan>)> {
        let is_sorted = self.source.table.schema.identity == RowIdentity::Series;
        let is_early = is_sorted && self.sub().downsample.is_some();
        let other = is_early.then(|| self.plan_with(session, false)).transpose()?;
        Ok((self.plan_with(session, is_early)?, other))
    }

    fn plan_with(&self, session: &QuerySession, early: bool) -> Result<LogicalPlan> {
        let (query, sub, window) = (self.query, self.sub(), self.window());
        let range_ms = (query.start_ms, query.end_ms);
        let sampling = sub.downsample.map(|asked| Sampling::new(asked, query.zone, range_ms, window));
        let schema = &self.source.table.schema;
        let mut plan = LogicalPlanBuilder::scan("rows", session.table(&self.source.table), None)?;
        for filter in self.filters(window) {
            plan = plan.filter(filter)?;
        }
        let mut columns: Vec<Expr> =
            schema.tags().enumerate().map(|(i, tag)| column(&tag.sql_name).alias(format!("tag_{i}"))).collect();
        columns.push(column(TIME_COLUMN).alias("time"));
        columns.extend(number_columns(&self.source.numbers, sampling.is_none()));
        let spec = GroupSpec {
            query: u32::try_from(self.at).unwrap_or(u32::MAX),
            tags: self.keys(),
            filters: sub.raw.filters.clone(),
            explicit_tags: sub.raw.explicit_tags,
            members: self.members.map(|members| {
                let mut members = members.to_vec();
                members.sort_unstable();
                members
            }),
            aggregator: sub.aggregator,
            sampling,
            rate: sub.rate,
            window,
            range_ms,
            early,
        };
        groups_plan(plan.project(columns)?.build()?, spec)
    }

    /// The window, and filters that name values: segments without them need not be read.
    fn filters(&self, window: Window) -> Vec<Expr> {
        let instant = |ms: i64| lit(ScalarValue::TimestampNanosecond(Some(ms.saturating_mul(NANOS_PER_MILLI)), None));
        let time = || column(TIME_COLUMN);
        let mut filters = vec![time().gt_eq(instant(window.start_ms)), time().lt(instant(window.end_ms))];
        let schema = &self.source.table.schema;
        filters.extend(pushed(schema, &self.sub().raw.filters));
        filters
    }
}

/// Conditions on the columns of tags that the first of some filters come to.
pub(super) fn pushed(schema: &TableSchema, filters: &[TagFilter]) -> impl Iterator<Item = Expr> {
    filters.iter().filter_map(|filter| is_one_of(schema, filter)).take(PUSHED_MAX)
}

/// A filter that names values, as a condition on its tag's column.
fn is_one_of(schema: &TableSchema, filter: &TagFilter) -> Option<Expr> {
    let tag = schema.tags().find(|tag| tag.name == filter.tagk)?;
    let values = filter.literals()?.into_iter().map(lit).collect();
    Some(column(&tag.sql_name).in_list(values, false))
}

/// The value as `float`, and if asked for as `integer` where it is one.
pub(super) fn number_columns(numbers: &Numbers, with_integers: bool) -> Vec<Expr> {
    let (float, integer) = match numbers {
        Numbers::Metric { value, integer } => (column(value), Some(column(integer))),
        Numbers::Field { column: name, field_type } => {
            let value = || column(name);
            let float = match field_type {
                // Booleans are 0 and 1; there is no way but through integers.
                FieldType::Boolean => cast(cast(value(), DataType::Int64), DataType::Float64),
                _ => cast(value(), DataType::Float64),
            };
            let integer = match field_type {
                FieldType::Integer => Some(value()),
                FieldType::Boolean => Some(cast(value(), DataType::Int64)),
                FieldType::Unsigned => Some(try_cast(value(), DataType::Int64)),
                FieldType::Float | FieldType::String => None,
            };
            (float, integer)
        }
    };
    let integer = integer.filter(|_| with_integers).map(|integer| integer.alias("integer"));
    [float.alias("float")].into_iter().chain(integer).collect()
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
