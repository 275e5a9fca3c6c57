//! Continuous queries, run: looks for those that are due, claims them, runs them, and records that they ran.
//!
//! Owns: the order of these. Does not own: when a query is due and over which time (`influxql::schedule`), nor who may run
//! it (`catalog::continuous_runs`). As in InfluxDB a run that fails is not repeated; `FOR` computes its windows again.

use std::time::Duration;

use futures::StreamExt;
use prometheus::{IntCounterVec, Opts, Registry};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::catalog::CatalogError;
use crate::catalog::continuous::ContinuousQuery;
use crate::catalog::continuous_runs::WantedRun;
use crate::protocol::Core;
use crate::query::influxql::plan::execute::Asker;
use crate::query::influxql::schedule::{self, Due};
use crate::query::influxql::select::Select;
use crate::query::influxql::{self, Statement};

use super::into::IngestSink;

/// How much longer than its queries may take a claim holds.
const CLAIM_MARGIN: Duration = Duration::from_secs(60);

/// What continuous queries tell Prometheus.
#[derive(Debug, Clone)]
pub struct ContinuousMetrics(IntCounterVec);

impl ContinuousMetrics {
    pub fn new(registry: &Registry) -> Result<ContinuousMetrics, prometheus::Error> {
        let opts = Opts::new("tidegate_continuous_query_runs_total", "Runs of continuous queries by their end");
        let runs = IntCounterVec::new(opts, &["result"])?;
        for result in ["ok", "failed"] {
            runs.with_label_values(&[result]);
        }
        registry.register(Box::new(runs.clone()))?;
        Ok(ContinuousMetrics(runs))
    }
}

/// Runs the continuous queries of one store.
pub struct ContinuousQueries {
    core: Core,
    metrics: ContinuousMetrics,
    /// Runs that have ended, which the catalog does not know yet.
    unrecorded: Vec<WantedRun>,
}

impl ContinuousQueries {
    pub fn new(core: Core, metrics: ContinuousMetrics) -> ContinuousQueries {
        ContinuousQueries { core, metrics, unrecorded: Vec::new() }
    }

    /// Looks for queries that are due once an interval, until the task is dropped.
    pub async fn run(mut self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.run_due().await {
                Ok(_) => {}
                Err(CatalogError::Fenced { .. }) => return,
                Err(error) => warn!(%error, "continuous queries wait for the catalog"),
            }
        }
    }

    /// Runs what is due now, one query after the other. Returns how many were run, failed ones included.
    ///
    /// An error is the catalog's: it is open then which runs are recorded, and the next call goes on from there.
    pub async fn run_due(&mut self) -> Result<usize, CatalogError> {
        self.record().await?;
        let now_ns = (self.core.ingest.clock)();
        let due = self.due(now_ns);
        if due.is_empty() {
            return Ok(0);
        }
        let patience = self.core.queries.longest() * u32::try_from(due.len()).unwrap_or(u32::MAX) + CLAIM_MARGIN;
        let until_ns = now_ns.saturating_add(i64::try_from(patience.as_nanos()).unwrap_or(i64::MAX));
        let wanted = due.iter().map(|(run, _)| run.clone()).collect();
        let claimed = self.core.catalog.claim_runs(wanted, now_ns, until_ns).await?;
        let mut ran = 0;
        for run in claimed {
            let found = due.iter().find(|(wanted, _)| wanted.id == run.id);
            if let Some(select) = found.and_then(|(_, select)| select.as_ref()) {
                self.run_one(&run.query, select, now_ns).await;
                ran += 1;
            }
            self.unrecorded.push(run);
        }
        self.record().await?;
        Ok(ran)
    }

    async fn record(&mut self) -> Result<(), CatalogError> {
        if !self.unrecorded.is_empty() {
            self.core.catalog.finish_runs(self.unrecorded.clone()).await?;
            self.unrecorded.clear();
        }
        Ok(())
    }

    fn due(&self, now_ns: i64) -> Vec<(WantedRun, Option<Select>)> {
        let state = self.core.catalog.state();
        let due = state.all_continuous_queries().into_iter().filter_map(|query| {
            let runs = state.continuous_runs(&query);
            if state.is_running(&runs, now_ns) {
                return None;
            }
            let Due { moment_ns, select } = due_of(&query, runs.last_ns, now_ns)?;
            Some((WantedRun { id: Uuid::new_v4(), query, after_ns: runs.last_ns, last_ns: moment_ns }, select))
        });
        due.collect()
    }

    async fn run_one(&self, query: &ContinuousQuery, select: &Select, now_ns: i64) {
        let ticket = self.core.queries.running_queries.register(&select.to_string(), &query.database);
        let written = tokio::select! {
            written = self.write(query, select, now_ns) => written,
            () = ticket.killed() => Err("query interrupted".to_string()),
        };
        let result = match &written {
            Ok(()) => {
                debug!(db = %query.database, name = %query.name, "continuous query ran");
                "ok"
            }
            Err(error) => {
                info!(db = %query.database, name = %query.name, error, "continuous query failed");
                "failed"
            }
        };
        self.metrics.0.with_label_values(&[result]).inc();
    }

    async fn write(&self, query: &ContinuousQuery, select: &Select, now_ns: i64) -> Result<(), String> {
        let target = select.target.as_ref().ok_or("it has no target")?;
        let asker =
            Asker { tenant: query.tenant.clone(), database: Some(query.database.clone()), policy: None, now: now_ns };
        let sink = IngestSink(&self.core.ingest);
        let answer = self.core.queries.select_into(&asker, select, target, &sink).await;
        let mut rows = answer.map_err(|error| error.to_string())?;
        while let Some(piece) = rows.next().await {
            piece.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// What of a stored query is due. One that makes no sense (any more) never is.
fn due_of(query: &ContinuousQuery, last_ns: Option<i64>, now_ns: i64) -> Option<Due> {
    let parsed = influxql::parse(&query.text).ok()?;
    let Some(Statement::CreateContinuousQuery(create)) = parsed.statements.first() else { return None };
    match schedule::due(create, last_ns, now_ns) {
        Ok(due) => due,
        Err(error) => {
            debug!(db = %query.database, name = %query.name, %error, "continuous query cannot run");
            None
        }
    }
}
