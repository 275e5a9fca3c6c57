//! When continuous queries ran, and who is running them: a restart goes on where the last run ended, and of several
//! processes one runs a query.
//!
//! A run is claimed by a commit before it begins and recorded by another one when it has ended. A claim holds while the
//! process that made it is the store's writer and for a bounded time: a run that a crash cut off is done again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::change::Change;
use super::continuous::{ContinuousQuery, query_key};
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;

pub(super) const RUNS: &str = "continuous_runs";

/// What is remembered of a continuous query's runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContinuousRuns {
    /// The moment that the last ended run was for, nanoseconds; `None` before the first.
    pub last_ns: Option<i64>,
    /// The run under way.
    pub claim: Option<Claim>,
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub id: Uuid,
    writer: Uuid,
    epoch: u64,
    /// What [`ContinuousRuns::last_ns`] is when it has ended.
    last_ns: i64,
    /// When others stop waiting for its end, nanoseconds.
    until_ns: i64,
}

/// A run that this process wants to do.
#[derive(Debug, Clone)]
pub struct WantedRun {
    /// Names the attempt; fresh for each.
    pub id: Uuid,
    pub query: ContinuousQuery,
    /// The last run that it follows; if there was another one since, it is not due any more.
    pub after_ns: Option<i64>,
    /// The moment that it is for, nanoseconds.
    pub last_ns: i64,
}

impl CatalogState {
    /// Continuous queries of all databases, in order of databases and then of creation.
    pub fn all_continuous_queries(&self) -> Vec<ContinuousQuery> {
        let databases = self.tenants().into_iter().flat_map(|tenant| self.databases(&tenant));
        databases.flat_map(|database| self.continuous_queries(&database.tenant, &database.name)).collect()
    }

    /// What is remembered of a query's runs.
    pub fn continuous_runs(&self, query: &ContinuousQuery) -> ContinuousRuns {
        let document = self.document(RUNS, &key(query));
        document.and_then(|value| serde_json::from_value((**value).clone()).ok()).unwrap_or_default()
    }

    /// Whether someone is at it. A claim of a process that is no writer any more, or that is too old, does not count.
    pub fn is_running(&self, runs: &ContinuousRuns, now_ns: i64) -> bool {
        let holds = |claim: &Claim| {
            let owner = self.writer(claim.writer);
            now_ns < claim.until_ns && owner.is_some_and(|writer| writer.epoch == claim.epoch)
        };
        runs.claim.as_ref().is_some_and(holds)
    }
}

fn key(query: &ContinuousQuery) -> String {
    query_key(&query.tenant, &query.database, &query.name)
}

fn put(query: &ContinuousQuery, runs: &ContinuousRuns) -> Change {
    let value = serde_json::to_value(runs).expect("names and numbers under string keys are JSON");
    Change::PutDocument { collection: RUNS.to_string(), key: key(query), value }
}

impl Catalog {
    /// Claims runs until `until_ns`, in one commit. Returns those that are ours to do: not those whose query is gone,
    /// that someone else is at, or that were done meanwhile.
    pub async fn claim_runs(
        &self,
        wanted: Vec<WantedRun>,
        now_ns: i64,
        until_ns: i64,
    ) -> Result<Vec<WantedRun>, CatalogError> {
        let (writer, epoch) = self.me().ok_or(CatalogError::ReadOnly)?;
        let won = Arc::new(Mutex::new(HashSet::new()));
        let (asked, noted) = (wanted.clone(), won.clone());
        let plan = move |state: &CatalogState| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.clear();
            let mut changes = Vec::new();
            for run in &asked {
                let runs = state.continuous_runs(&run.query);
                if runs.claim.as_ref().is_some_and(|claim| claim.id == run.id) {
                    noted.insert(run.id); // an answer was lost: the commit is there already
                    continue;
                }
                let queries = state.continuous_queries(&run.query.tenant, &run.query.database);
                if runs.last_ns != run.after_ns || state.is_running(&runs, now_ns) || !queries.contains(&run.query) {
                    continue;
                }
                noted.insert(run.id);
                let claim = Claim { id: run.id, writer, epoch, last_ns: run.last_ns, until_ns };
                changes.push(put(&run.query, &ContinuousRuns { claim: Some(claim), ..runs }));
            }
            Ok(changes)
        };
        self.update(plan).await?;
        let won = won.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(wanted.into_iter().filter(|run| won.contains(&run.id)).collect())
    }

    /// Records that claimed runs have ended, in one commit. Claims that were lost meanwhile are left alone.
    pub async fn finish_runs(&self, done: Vec<WantedRun>) -> Result<(), CatalogError> {
        let plan = move |state: &CatalogState| {
            let finished = done.iter().filter_map(|run| {
                let claim = state.continuous_runs(&run.query).claim.filter(|claim| claim.id == run.id)?;
                Some(put(&run.query, &ContinuousRuns { last_ns: Some(claim.last_ns), claim: None }))
            });
            Ok(finished.collect())
        };
        self.update(plan).await.map(|_| ())
    }
}
