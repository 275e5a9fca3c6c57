//! What reading needs from the rest of the gateway: the catalog, and the rows that are not in segments yet.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::error::ArrowError;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::catalog::{CatalogState, Table};
use crate::model::{ColumnId, TableId};
use crate::storage::segment::Segment;

/// The catalog, as far as queries see it.
pub trait Tables: Send + Sync + Debug {
    /// The newest version known.
    fn state(&self) -> Arc<CatalogState>;
    /// Waits, not for long, until the version known is as new as it is promised to be: nearly always it is.
    fn settle(&self) -> BoxFuture<'_, ()>;
    /// Looks, not for long, for newer versions.
    fn follow(&self) -> BoxFuture<'_, ()>;
}

/// Rows accepted but not in segments yet.
#[derive(Debug, Clone, Default)]
pub struct LiveRows {
    /// In order of sequence.
    pub chunks: Vec<LiveChunk>,
}

/// Rows of one table that a flush takes whole or not at all.
#[derive(Debug, Clone)]
pub struct LiveChunk {
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// In order of writing. The schema is the table's SQL schema at this or an earlier version; columns are matched by the
    /// id in their metadata.
    pub rows: RecordBatch,
}

/// Distinct tag sets of some rows.
#[derive(Debug, Clone, Default)]
pub struct LiveTagSets {
    pub count: usize,
    /// A dictionary of texts a tag, null where a set lacks it. A tag that is not listed is in none.
    pub tags: Vec<(ColumnId, ArrayRef)>,
}

/// The buffer, as far as queries see it.
pub trait Unflushed: Send + Sync + Debug {
    /// The table's rows of this moment. Fails only when rows do not fit their own table's schema.
    fn snapshot(&self, table: TableId) -> Result<LiveRows, ArrowError>;
    /// Which tag sets the table's rows of this moment have, without a look at the rows.
    fn tag_sets(&self, table: TableId) -> Vec<LiveTagSets>;
    /// Whose sequence numbers the rows carry.
    fn writer(&self) -> Uuid;
}

/// One moment of one table: each accepted row is in it exactly once.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// `None` when the table is gone.
    pub table: Option<Arc<Table>>,
    pub live: Vec<RecordBatch>,
}

impl Snapshot {
    /// Takes the live rows first, then the catalog: a flush that commits in between is then in both, and the catalog says
    /// which chunks to leave out. The other order would lose its rows.
    pub(super) fn take(tables: &dyn Tables, unflushed: &dyn Unflushed, id: TableId) -> Result<Snapshot, ArrowError> {
        let live = unflushed.snapshot(id)?;
        let state = tables.state();
        let Some(table) = state.table(id).cloned() else { return Ok(Snapshot::default()) };
        let flushed = table.flushed.get(&unflushed.writer()).copied();
        let live = live
            .chunks
            .into_iter()
            .filter(|chunk| flushed.is_none_or(|through| chunk.last_sequence > through))
            .map(|chunk| chunk.rows)
            .filter(|rows| rows.num_rows() > 0)
            .collect();
        Ok(Snapshot { table: Some(table), live })
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        self.table.as_ref().map_or(&[], |table| &table.segments)
    }
}
