//! Runs a request: its sub queries side by side, their groups in order.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use crate::catalog::{CatalogState, Table};
use crate::query::influxql::show::series::remove_known_values;
use crate::query::session::{QueryEngine, QueryScope, QuerySession, start};
use crate::query::{QueryError, Readable};

use super::answer::{GroupPiece, Named, Row, TagSet, rows_of};
use super::error::OpentsdbError;
use super::groups::{INTERLEAVED, schema};
use super::plan::Part;
use super::request::Query;
use super::resolve::Metrics;
use super::window::Window;

/// The `language` label of our metrics.
pub(super) const LANGUAGE: &str = "opentsdb";
/// Sub queries of a request that run at once.
const AT_ONCE: usize = 4;
/// Tables that are looked through for a value before it counts as known.
const TABLES_MAX: usize = 1000;

/// For whom a request runs.
#[derive(Debug, Clone)]
pub struct Asker {
    pub tenant: String,
    /// The database whose tables metrics are.
    pub database: String,
    /// Databases whose tables may be asked for.
    pub readable: Readable,
}

impl Asker {
    pub(super) fn metrics<'a>(&'a self, state: &'a CatalogState) -> Metrics<'a> {
        Metrics { state, tenant: &self.tenant, database: &self.database, readable: &self.readable }
    }
}

/// What a sub query is about, when it does not name a metric itself: series by their ids.
#[derive(Debug, Clone, Default)]
pub struct Target {
    pub metric: Arc<str>,
    /// Only these series, each sorted by key; `None`: all that the filters let through.
    pub members: Option<Vec<TagSet>>,
}

/// Groups of all sub queries, those of the first one first. After an error it ends; dropping it cancels the request.
pub type Groups = BoxStream<'static, Result<GroupPiece, OpentsdbError>>;

/// Where a sub query reads.
#[derive(Debug, Clone)]
pub struct Place {
    pub table: Arc<Table>,
    pub window: Window,
    /// The rows of the table are points of the sub query's metric and of no other.
    pub is_whole: bool,
}

/// A request that is being answered.
pub struct Answer {
    pub groups: Groups,
    /// By sub query.
    pub places: Vec<Place>,
}

impl QueryEngine {
    /// Starts a request; `targets` are by sub query. Errors that concern names come before the first group of their
    /// sub query.
    pub async fn opentsdb(
        self: &Arc<Self>,
        asker: &Asker,
        query: &Query,
        targets: &[Target],
    ) -> Result<Answer, OpentsdbError> {
        let scope =
            QueryScope { tenant: asker.tenant.clone(), database: asker.database.clone(), target_partitions: None };
        let mut session = self.session(LANGUAGE, &scope).await?;
        session.keep_batches_in_place();
        let state = session.names().state.clone();
        let metrics = asker.metrics(&state);
        let parts = match resolved(query, targets, metrics) {
            Ok(parts) => parts,
            Err(error) => {
                session.fail(QueryError::Plan(error.to_string()));
                return Err(error);
            }
        };
        let named: Vec<Named> =
            parts.iter().map(|part| Named { metric: targets[part.at].metric.clone(), keys: part.keys() }).collect();
        let place = |part: &Part<'_>| {
            let (table, is_whole) = (part.source.table.clone(), part.source.is_whole());
            Place { table, window: part.window(), is_whole }
        };
        let places = parts.iter().map(place).collect();
        let plans = parts.iter().map(|part| plans(part, &session)).collect::<Result<Vec<_>, _>>();
        let plans = match plans {
            Ok(plans) => plans,
            Err(error) => return Err(session.fail(error.into()).into()),
        };
        let checker = Checker {
            engine: self.clone(),
            state: session.state().clone(),
            catalog: state.clone(),
            asker: asker.clone(),
            sources: parts.iter().map(|part| part.source.table.clone()).collect(),
        };
        let rows = self.rows(session, move |state| in_order(state, plans));
        let pieces = rows.map_err(OpentsdbError::from).then(move |batch| {
            let (named, checker) = (named.clone(), checker.clone());
            async move {
                let mut pieces = Vec::new();
                for row in rows_of(&batch?, &named) {
                    match row {
                        Row::Unseen { query, values } => checker.check(query, values).await?,
                        Row::Piece(piece) => pieces.push(*piece),
                    }
                }
                Ok::<_, OpentsdbError>(stream::iter(pieces.into_iter().map(Ok)))
            }
        });
        Ok(Answer { groups: pieces.try_flatten().boxed(), places })
    }
}

/// Names of all sub queries; a name that is unknown refuses the request.
fn resolved<'a>(query: &'a Query, targets: &'a [Target], metrics: Metrics<'_>) -> Result<Vec<Part<'a>>, OpentsdbError> {
    let mut parts = Vec::with_capacity(targets.len());
    for (at, target) in targets.iter().enumerate() {
        let unknown = || OpentsdbError::NoSuchName { kind: "metrics", name: target.metric.to_string() };
        let source = metrics.find(&target.metric).ok_or_else(unknown)?;
        for filter in &query.queries[at].raw.filters {
            let has_key = source.table.schema.tags().any(|tag| tag.name == filter.tagk);
            if !has_key && !metrics.knows_tagk(&filter.tagk) {
                return Err(OpentsdbError::NoSuchName { kind: "tagk", name: filter.tagk.clone() });
            }
        }
        parts.push(Part { query, at, source, members: target.members.as_deref() });
    }
    Ok(parts)
}

type Plans = (LogicalPlan, Option<LogicalPlan>);

fn plans(part: &Part<'_>, session: &QuerySession) -> Result<Plans, DataFusionError> {
    part.plan(session)
}

/// The rows of plans in their order, some of which run ahead.
fn in_order(state: SessionState, plans: Vec<Plans>) -> SendableRecordBatchStream {
    let started = stream::iter(plans).map(move |(plan, other)| started(state.clone(), plan, other)).buffered(AT_ONCE);
    Box::pin(RecordBatchStreamAdapter::new(schema(), started.try_flatten()))
}

/// A plan's rows from the first on; those of the other plan where it finds that it should have been that.
async fn started(
    state: SessionState,
    plan: LogicalPlan,
    other: Option<LogicalPlan>,
) -> Result<BoxStream<'static, Result<RecordBatch, DataFusionError>>, DataFusionError> {
    let mut rows = start(state.clone(), plan).await?;
    let Some(other) = other else { return Ok(rows.boxed()) };
    match rows.next().await {
        Some(Err(error)) if error.to_string().contains(INTERLEAVED) => Ok(start(state, other).await?.boxed()),
        Some(first) => Ok(stream::iter([first]).chain(rows).boxed()),
        None => Ok(stream::empty().boxed()),
    }
}

/// Says whether values that filters name were ever written.
#[derive(Clone)]
struct Checker {
    engine: Arc<QueryEngine>,
    state: SessionState,
    catalog: Arc<CatalogState>,
    asker: Asker,
    sources: Vec<Arc<Table>>,
}

impl Checker {
    /// Values of any tag count, as they do in the original.
    async fn check(&self, query: usize, values: Vec<String>) -> Result<(), OpentsdbError> {
        let metrics = self.asker.metrics(&self.catalog);
        let others = metrics.metrics().filter(|table| table.id != self.sources[query].id);
        let mut unknown: BTreeSet<String> = values.into_iter().collect();
        for (looked_at, table) in [&self.sources[query]].into_iter().chain(others).enumerate() {
            if unknown.is_empty() || looked_at == TABLES_MAX {
                return Ok(());
            }
            let looked = remove_known_values(&self.state, &self.engine, table, &mut unknown).await;
            looked.map_err(QueryError::from)?;
        }
        match unknown.into_iter().next() {
            Some(name) => Err(OpentsdbError::NoSuchName { kind: "tagv", name }),
            None => Ok(()),
        }
    }
}
