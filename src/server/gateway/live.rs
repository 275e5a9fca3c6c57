//! The write path as queries see it.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::catalog::{Catalog, CatalogState};
use crate::ingest::Buffer;
use crate::model::TableId;
use crate::query::{LiveChunk, LiveRows, LiveTagSets, Tables, Unflushed};

/// A query waits this long for the catalog's newest version, and no longer: without the store it goes on with what is known.
const PATIENCE: Duration = Duration::from_secs(2);

/// What queries see of the write path.
#[derive(Debug)]
pub(super) struct LiveTables {
    pub(super) buffer: Arc<Buffer>,
    pub(super) catalog: Arc<Catalog>,
    /// Whose rows `buffer` holds.
    pub(super) writer: Uuid,
}

impl Tables for LiveTables {
    fn state(&self) -> Arc<CatalogState> {
        self.catalog.state()
    }

    fn settle(&self) -> BoxFuture<'_, ()> {
        self.catalog.settle(PATIENCE).boxed()
    }

    fn follow(&self) -> BoxFuture<'_, ()> {
        self.catalog.follow(PATIENCE).boxed()
    }
}

impl Unflushed for LiveTables {
    fn snapshot(&self, table: TableId) -> Result<LiveRows, ArrowError> {
        let parts = self.buffer.rows_of(table);
        let Some(table) = self.catalog.state().table(table).cloned() else { return Ok(LiveRows::default()) };
        let mut chunks = Vec::new();
        for part in parts {
            let series = part.series.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            for chunk in &part.chunks {
                chunks.push(LiveChunk {
                    first_sequence: chunk.sequence.first,
                    last_sequence: chunk.sequence.last,
                    rows: chunk.to_sql_batch(&table.schema, &series)?,
                });
            }
        }
        Ok(LiveRows { chunks })
    }

    fn tag_sets(&self, table: TableId) -> Vec<LiveTagSets> {
        let parts = self.buffer.rows_of(table);
        let Some(table) = self.catalog.state().table(table).cloned() else { return Vec::new() };
        let sets = |part: crate::ingest::buffer::Part| {
            let series = part.series.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let all = 0..series.len() as u32;
            let tags = table.schema.tags().map(|tag| (tag.id, series.tag_array(tag.id, all.clone()))).collect();
            LiveTagSets { count: series.len(), tags }
        };
        parts.into_iter().map(sets).collect()
    }

    fn writer(&self) -> Uuid {
        self.writer
    }
}
