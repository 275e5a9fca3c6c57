//! Deletes: tables dropped whole, and tombstones for rows.

use std::sync::Arc;

use uuid::Uuid;

use crate::model::{SeriesFilter, TableId, Tombstone};
use crate::storage::segment::Segment;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, Table};

/// Deletes of one table that compaction has not made physical yet; more are refused.
const TOMBSTONES_MAX: usize = 1000;

/// Rows to be deleted of one table.
#[derive(Debug, Clone)]
pub struct Delete {
    pub table: TableId,
    /// Both included, nanoseconds.
    pub time_min_ns: i64,
    pub time_max_ns: i64,
    pub series: SeriesFilter,
}

impl Catalog {
    /// Records deletes of rows that are in segments now; durable, and seen by every later query, on `Ok`.
    ///
    /// Rows that are in no segment yet are untouched: who wants them gone as well flushes first. Of tables that are gone
    /// there is nothing to delete.
    pub async fn delete_rows(&self, deletes: Vec<Delete>) -> Result<Arc<CatalogState>, CatalogError> {
        let deletes: Vec<(Delete, Uuid)> = deletes.into_iter().map(|delete| (delete, Uuid::now_v7())).collect();
        self.update(move |state| {
            let recorded = deletes.iter().map(|(delete, id)| recorded(state, delete, *id));
            Ok(recorded.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
        .await
    }

    /// Records a delete whose series were found by reading `seen` or a later state of its table.
    ///
    /// Errors: as [`delete_rows`](Self::delete_rows)'s, and [`CatalogError::Stale`], with nothing recorded, where rows came into
    /// segments after `seen`, from whichever writer, or the table's columns are others.
    pub async fn delete_seen_rows(&self, delete: Delete, seen: Arc<Table>) -> Result<Arc<CatalogState>, CatalogError> {
        let id = Uuid::now_v7();
        self.update(move |state| {
            let change = recorded(state, &delete, id)?;
            let is_other = |table: &&Arc<Table>| table.flushed != seen.flushed || table.schema != seen.schema;
            match state.table(delete.table).filter(is_other) {
                Some(_) if change.is_some() => Err(CatalogError::Stale { what: "the table's rows".to_string() }),
                _ => Ok(change.into_iter().collect()),
            }
        })
        .await
    }

    /// Drops a measurement under every policy of a database, with its columns. A missing one is fine.
    pub async fn drop_measurement(
        &self,
        tenant: &str,
        database: &str,
        name: &str,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, database, name) = (tenant.to_string(), database.to_string(), name.to_string());
        self.update(move |state| {
            let not_found = || CatalogError::DatabaseNotFound { database: database.clone() };
            let owner = state.database(&tenant, &database).ok_or_else(not_found)?;
            let tables = owner.policies.iter().filter_map(|policy| state.table_named(owner, &policy.name, &name));
            Ok(tables.map(|table| Change::DropTable { table: table.id }).collect())
        })
        .await
    }
}

impl Table {
    /// Deletes that hold for rows of a segment and were not made physical when it was written.
    pub fn tombstones_of(&self, segment: &Segment) -> Vec<Tombstone> {
        let held = self.tombstones.iter().filter(|tombstone| holds(tombstone, segment));
        held.map(|tombstone| (**tombstone).clone()).collect()
    }

    /// Whether there are rows without a look at any: a segment of which nothing was deleted has some.
    pub fn has_rows_for_sure(&self) -> bool {
        self.segments.iter().any(|segment| segment.rows > 0 && self.tombstones_of(segment).is_empty())
    }

    /// Number of the newest delete that segments may know of.
    pub fn last_tombstone(&self) -> u64 {
        let known = self.tombstones.iter().map(|tombstone| tombstone.ordinal);
        let applied = self.segments.iter().map(|segment| segment.tombstones_applied);
        known.chain(applied).max().unwrap_or(0)
    }

    /// Deletes that hold for no segment any more.
    pub fn spent_tombstones(&self) -> Vec<Uuid> {
        let is_spent = |tombstone: &&Arc<Tombstone>| !self.segments.iter().any(|segment| holds(tombstone, segment));
        self.tombstones.iter().filter(is_spent).map(|tombstone| tombstone.id).collect()
    }
}

/// The step that records a delete. `None`: there is nothing to delete, or it is recorded already.
fn recorded(state: &CatalogState, delete: &Delete, id: Uuid) -> Result<Option<Change>, CatalogError> {
    let Some(table) = state.table(delete.table) else { return Ok(None) };
    // With an answer lost the commit may be there already.
    if table.segments.is_empty() || table.tombstones.iter().any(|known| known.id == id) {
        return Ok(None);
    }
    if table.tombstones.len() >= TOMBSTONES_MAX {
        return Err(CatalogError::TooManyDeletes { table: table.name.clone(), max: TOMBSTONES_MAX });
    }
    let Delete { time_min_ns, time_max_ns, ref series, .. } = *delete;
    let tombstone =
        Tombstone { id, ordinal: table.last_tombstone() + 1, time_min_ns, time_max_ns, series: series.clone() };
    Ok(Some(Change::AddTombstone { table: delete.table, tombstone }))
}

fn holds(tombstone: &Tombstone, segment: &Segment) -> bool {
    segment.tombstones_applied < tombstone.ordinal
        && segment.time_min_ns <= tombstone.time_max_ns
        && segment.time_max_ns >= tombstone.time_min_ns
}
