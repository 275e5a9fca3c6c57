//! Finds the rows at the edges of series before a scan is planned.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use futures::{StreamExt, TryStreamExt, stream};

use crate::query::edges::{Edge, EdgeRows, SeriesStarts};
use crate::storage::segment::Segment;

use super::{Scan, key_columns};

/// Segments that are looked through at once.
const SEGMENTS_AT_ONCE: usize = 4;

impl Scan<'_> {
    /// The rows at the edges of series, of the segments that can be read so: those all of whose rows count.
    pub(in crate::query) async fn edge_rows(&self, edge: Edge, starts: &SeriesStarts) -> Result<EdgeRows> {
        let keys = key_columns(self.table);
        let (_, tags) = keys.split_last().unwrap_or((&0, &[]));
        let segments = self.prune(self.snapshot.segments().to_vec(), &self.filters_over(&keys))?;
        let mut looking = Vec::with_capacity(segments.len());
        for segment in segments {
            if edge.is_open_for(&segment) && self.deleted_from(&segment)?.is_none() {
                looking.push(async move {
                    let found = match starts.get(&segment) {
                        Some(known) => known,
                        None if tags.is_empty() => Some(Arc::from([0])),
                        None => {
                            let rows = self.tags_of(&segment, tags)?.execute(0, self.session.task_ctx())?;
                            starts.find(&segment, rows).await?
                        }
                    };
                    Ok::<_, datafusion::common::DataFusionError>((segment, found))
                });
            }
        }
        let mut looking = stream::iter(looking).buffer_unordered(SEGMENTS_AT_ONCE);
        let mut rows = EdgeRows::default();
        while let Some((segment, found)) = looking.try_next().await? {
            if let Some(starts) = found {
                rows.add(&segment, edge, &starts);
            }
        }
        Ok(rows)
    }

    /// The tags of a segment's rows as they stand, in one partition.
    fn tags_of(&self, segment: &Arc<Segment>, tags: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
        self.segments_scan(&[(0, segment.clone())], tags.to_vec())
    }
}
