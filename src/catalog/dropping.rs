//! Databases that are dropped later. Until their time has come nobody sees them, and they can be recovered.
//!
//! A database is marked by a document that holds its ordinal, so that a mark which outlives it (a program that knows of no
//! marks dropped it) says nothing of a later one of its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::databases::{forget, options_key};
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, Database};

/// The collection of the marks: of a database, by `tenant/database`. They go with their database.
pub(super) const DROPPING: &str = "dropped_databases";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// That of the database.
    ordinal: u64,
    /// When it goes, nanoseconds since 1970.
    at_ns: i64,
}

impl CatalogState {
    /// When a database will be dropped; `None`: it stays.
    pub(super) fn dropped_at_ns(&self, database: &Database) -> Option<i64> {
        // Every look at a database comes by here.
        if self.held(DROPPING).documents == 0 {
            return None;
        }
        let kept = self.document(DROPPING, &options_key(&database.tenant, &database.name))?;
        let mark: Mark = serde_json::from_value((**kept).clone()).ok()?;
        (mark.ordinal == database.ordinal).then_some(mark.at_ns)
    }

    /// Refuses steps that make a database in place of one that can still be recovered.
    pub(super) fn check_dropping(&self, changes: &[Change]) -> Result<(), CatalogError> {
        for change in changes {
            if let Change::CreateDatabase { tenant, database, .. } = change
                && self.any_database(tenant, database).is_some_and(|known| self.dropped_at_ns(known).is_some())
            {
                return Err(CatalogError::DatabaseDropping { database: database.clone() });
            }
        }
        Ok(())
    }

    /// What drops the databases whose time has come by `now_ns`, and how many they are.
    fn drop_due(&self, now_ns: i64) -> (Vec<Change>, usize) {
        let is_due = |database: &&Arc<Database>| self.dropped_at_ns(database).is_some_and(|at_ns| at_ns <= now_ns);
        let due: Vec<_> = self.documents(DROPPING).next().map_or_else(Vec::new, |_| {
            let all = self.tenants().into_iter().flat_map(|tenant| self.all_databases(&tenant));
            all.filter(is_due).collect()
        });
        let changes = due.iter().flat_map(|database| forget(self, &database.tenant, &database.name)).collect();
        (changes, due.len())
    }
}

impl Catalog {
    /// Hides a database at once and lets it be dropped at `at_ns`; one that waits for that already gets another time. Durable on `Ok`.
    /// `Ok(false)`: there is none.
    pub async fn drop_database_at(&self, tenant: &str, name: &str, at_ns: i64) -> Result<bool, CatalogError> {
        let existed = self.state().any_database(tenant, name).is_some();
        let (tenant, name) = (tenant.to_string(), name.to_string());
        self.update(move |state| {
            let Some(database) = state.any_database(&tenant, &name) else { return Ok(Vec::new()) };
            if state.dropped_at_ns(database) == Some(at_ns) {
                return Ok(Vec::new());
            }
            let value = serde_json::to_value(Mark { ordinal: database.ordinal, at_ns }).expect("two numbers are JSON");
            let (collection, key) = (DROPPING.to_string(), options_key(&tenant, &name));
            Ok(vec![Change::PutDocument { collection, key, value }])
        })
        .await?;
        Ok(existed)
    }

    /// Shows a database that was to be dropped later, with all that is in it, and lets it stay. Durable on `Ok`. `Ok(false)`: there is none.
    pub async fn recover_database(&self, tenant: &str, name: &str) -> Result<bool, CatalogError> {
        let (tenant, name) = (tenant.to_string(), name.to_string());
        let (of, called) = (tenant.clone(), name.clone());
        let state = self
            .update(move |state| {
                let waits = |database: &Arc<Database>| state.dropped_at_ns(database).is_some();
                if !state.any_database(&tenant, &name).is_some_and(waits) {
                    return Ok(Vec::new());
                }
                let (collection, key) = (DROPPING.to_string(), options_key(&tenant, &name));
                Ok(vec![Change::DeleteDocument { collection, key }])
            })
            .await?;
        Ok(state.database(&of, &called).is_some())
    }

    /// Drops the databases whose time has come by `now_ns`, in one commit; none when there are none. Durable on `Ok`. Returns
    /// how many there were. Several processes may do this: who comes second finds nothing left.
    pub async fn drop_due(&self, now_ns: i64) -> Result<usize, CatalogError> {
        if self.state().drop_due(now_ns).1 == 0 {
            return Ok(0);
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = dropped.clone();
        self.update(move |state| {
            let (changes, dropped) = state.drop_due(now_ns);
            // Asked again after a lost answer there is nothing left; the number of before is right then.
            count.fetch_max(dropped, Ordering::Relaxed);
            Ok(changes)
        })
        .await?;
        Ok(dropped.load(Ordering::Relaxed))
    }
}
