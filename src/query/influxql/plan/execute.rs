//! Runs a SELECT: its plans one after the other, their rows cut into series.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::partition;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};
use futures::{StreamExt, stream};

use crate::query::QueryError;
use crate::query::influxql::answer::{SeriesHead, SeriesPiece, SeriesStream, StatementError};
use crate::query::influxql::clauses::Direction;
use crate::query::influxql::select::{Explain, Select};
use crate::query::session::{QueryEngine, QueryScope, QuerySession};

use super::read::planning;
use super::resolve::{Origin, Query, Scope, resolve};
use super::rows::{NAME, TIME, column, field_column, tag_column};
use super::select::{Planner, Selected};

/// Selects of more measurements do not look at them while they are planned.
const MEASUREMENTS_AHEAD: usize = 8;

/// The `language` label of our metrics.
const LANGUAGE: &str = "influxql";

/// For whom and when a statement runs.
#[derive(Debug, Clone)]
pub struct Asker {
    pub tenant: String,
    /// What a measurement without a database is of.
    pub database: Option<String>,
    /// What a measurement without a policy is of; the database's default policy when `None`.
    pub policy: Option<String>,
    /// What `now()` means, nanoseconds since 1970.
    pub now: i64,
}

impl QueryEngine {
    /// Starts a SELECT. Rows come as the answer is polled.
    pub async fn select(&self, asker: &Asker, select: &Select) -> Result<SeriesStream, StatementError> {
        let (session, query, plans) = self.plan(asker, select).await?;
        let zone = query.zone;
        if plans.is_empty() {
            return Ok(SeriesStream::empty().in_zone(zone));
        }
        let rows = self.execute_all(session, plans).await?;
        let mut cutter = Cutter::new(&query);
        let pieces = rows.flat_map(move |batch| {
            stream::iter(match batch.and_then(|batch| cutter.cut(&batch)) {
                Ok(pieces) => pieces.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(SeriesStream::new(pieces).in_zone(zone))
    }

    /// How a SELECT is run, in the engine's words, a row an operator. `ANALYZE` runs it first and counts.
    pub async fn explain(&self, asker: &Asker, explain: &Explain) -> Result<SeriesStream, StatementError> {
        let (session, _, plans) = self.plan(asker, &explain.select).await?;
        let lines = self.describe_all(session, plans, explain.analyze).await?;
        let column = if explain.analyze { "EXPLAIN ANALYZE" } else { "QUERY PLAN" };
        Ok(SeriesStream::of(vec![SeriesPiece::of_texts(None, column, lines)]))
    }

    async fn plan(
        &self,
        asker: &Asker,
        select: &Select,
    ) -> Result<(QuerySession, Query, Vec<LogicalPlan>), StatementError> {
        let scope = QueryScope {
            tenant: asker.tenant.clone(),
            database: asker.database.clone().unwrap_or_default(),
            target_partitions: None,
        };
        if let Some(max) = self.series_max() {
            self.check_series(asker, select, max).await?;
        }
        let mut session = self.session(LANGUAGE, &scope).await?;
        if let Some(max) = self.points_max() {
            session.bound_points(max);
        }
        let planned = plans(&session, asker, select).and_then(|(query, plans)| {
            check_windows(&query, self.windows_max())?;
            Ok((query, plans))
        });
        match planned {
            Ok((query, plans)) => Ok((session, query, plans)),
            Err(error) => {
                session.fail(QueryError::Plan(error.to_string()));
                Err(error)
            }
        }
    }
}

/// Refuses more windows than there may be, in the server's words. It does not count them where nothing bounds them below.
fn check_windows(query: &Query, windows_max: Option<u64>) -> Result<(), StatementError> {
    let (Some(max), Some(windows)) = (windows_max, &query.windows) else { return Ok(()) };
    if query.range.is_unbounded_below() || query.range.start > query.range.end {
        return Ok(());
    }
    let mut clock = windows.clock();
    let (first, last) = (clock.start(query.range.start), clock.start(query.range.end));
    let found = (i128::from(last) - i128::from(first)) / i128::from(windows.interval().max(1)) + 1;
    match found > i128::from(max) {
        true => Err(StatementError::Refused(format!("max-select-buckets limit exceeded: ({found}/{max})"))),
        false => Ok(()),
    }
}

/// A statement's plans, in the order of their measurements. All have the same columns: [`NAME`], the grouped tags,
/// [`TIME`], the fields.
fn plans(session: &QuerySession, asker: &Asker, select: &Select) -> Result<(Query, Vec<LogicalPlan>), StatementError> {
    let names = session.names();
    let scope = Scope {
        state: &names.state,
        tenant: &asker.tenant,
        database: asker.database.as_deref(),
        policy: asker.policy.as_deref(),
        now: asker.now,
    };
    let query = resolve(select, &scope)?;
    let parts = by_measurement(&query);
    let looks_ahead = parts.len() <= MEASUREMENTS_AHEAD;
    let planner = Planner { session, seed: asker.now as u64, looks_ahead };
    let mut plans = Vec::new();
    for part in parts {
        let selected = planner.statement(&part)?;
        plans.extend(selected.map(|selected| answer(&part, selected)).transpose()?);
    }
    Ok((query, plans))
}

/// A select for each measurement, where there are only measurements: then they need not be sorted together.
fn by_measurement(query: &Query) -> Vec<Query> {
    let mut parts: BTreeMap<Arc<str>, Vec<Origin>> = BTreeMap::new();
    for source in &query.sources {
        match source {
            Origin::Table(table) => parts.entry(table.name.table.clone()).or_default().push(source.clone()),
            Origin::Query(_) => return vec![query.clone()],
        }
    }
    let parts = parts.into_values().map(|sources| Query { sources, ..query.clone() });
    match query.direction {
        Direction::Ascending => parts.collect(),
        Direction::Descending => parts.rev().collect(),
    }
}

fn answer(query: &Query, selected: Selected) -> Result<LogicalPlan, StatementError> {
    let name = selected.read.measurement.as_deref().map_or_else(|| column(NAME), lit);
    let tags = (0..query.dimensions.len()).map(|i| column(tag_column(i)));
    let fields = (0..selected.kinds.len()).map(|i| column(field_column(i)));
    let columns = [name.alias(NAME)].into_iter().chain(tags).chain([column(TIME)]).chain(fields);
    let columns: Vec<_> = columns.collect();
    LogicalPlanBuilder::from(selected.read.plan).project(columns).and_then(LogicalPlanBuilder::build).map_err(planning)
}

/// Cuts batches that are sorted by series at the borders of series.
struct Cutter {
    keys: Vec<Arc<str>>,
    columns: Vec<Arc<str>>,
    last: Option<Arc<SeriesHead>>,
}

impl Cutter {
    fn new(query: &Query) -> Self {
        let columns = [query.time_column.clone()].into_iter().chain(query.columns.iter().cloned()).collect();
        Cutter { keys: query.dimensions.clone(), columns, last: None }
    }

    fn cut(&mut self, batch: &RecordBatch) -> Result<Vec<SeriesPiece>, QueryError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let key_count = self.keys.len() + 1;
        let keys: Vec<ArrayRef> = batch.columns()[..key_count].to_vec();
        let rest: Vec<usize> = (key_count..batch.num_columns()).collect();
        let rows = batch.project(&rest).map_err(|error| QueryError::internal(error.to_string()))?;
        let ranges = partition(&keys).map_err(|error| QueryError::internal(error.to_string()))?.ranges();
        let mut pieces = Vec::with_capacity(ranges.len());
        for range in ranges {
            let head = self.head(&keys, range.start);
            pieces.push(SeriesPiece { head, rows: rows.slice(range.start, range.len()) });
        }
        Ok(pieces)
    }

    /// The head of the series that row `row` is of.
    fn head(&mut self, keys: &[ArrayRef], row: usize) -> Arc<SeriesHead> {
        let text = |array| text_at(array, row);
        if let Some(last) = &self.last {
            let values = last.tags.iter().map(|(_, value)| &**value);
            let same_name = last.name.as_deref() == keys.first().map(text);
            if same_name && keys[1..].iter().map(text).eq(values) {
                return last.clone();
            }
        }
        let tags = self.keys.iter().zip(&keys[1..]).map(|(key, value)| (key.clone(), text(value).into()));
        let head = Arc::new(SeriesHead {
            name: keys.first().map(|name| text(name).into()),
            tags: tags.collect(),
            columns: self.columns.clone(),
        });
        self.last = Some(head.clone());
        head
    }
}

fn text_at(array: &ArrayRef, row: usize) -> &str {
    if array.is_null(row) {
        return "";
    }
    match array.as_string_view_opt() {
        Some(texts) => texts.value(row),
        None => array.as_string::<i32>().value(row),
    }
}
