//! Removes objects that no commit speaks of: uploads whose commit never came, and replaced segments left behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tracing::{info, warn};

use crate::catalog::Catalog;
use crate::model::Clock;
use crate::storage::layout;

use super::buffer::Buffer;
use super::metrics::IngestMetrics;

/// Collects the orphans of one store.
pub struct OrphanCollector {
    pub catalog: Arc<Catalog>,
    pub buffer: Arc<Buffer>,
    pub store: Arc<dyn ObjectStore>,
    /// Younger objects are left alone: their commit may be under way, or a query may read them.
    pub grace: Duration,
    pub metrics: IngestMetrics,
    pub clock: Clock,
}

impl OrphanCollector {
    /// Collects once per grace period until the task is dropped.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(self.grace).await;
            match self.collect((self.clock)()).await {
                Ok(0) => {}
                Ok(removed) => info!(removed, "orphans removed"),
                Err(error) => warn!(%error, "orphans not collected"),
            }
        }
    }

    /// One pass over all segment objects. Returns how many were removed.
    pub async fn collect(&self, now_ns: i64) -> Result<u64, object_store::Error> {
        let oldest = chrono::DateTime::from_timestamp_nanos(now_ns) - self.grace;
        let prefix = layout::segments_prefix();
        let mut listing = self.store.list(Some(&prefix));
        let mut old: Vec<ObjectMeta> = Vec::new();
        while let Some(found) = listing.next().await {
            let meta = found?;
            if meta.last_modified < oldest && layout::parse_segment_key(&meta.location).is_some() {
                old.push(meta);
            }
        }
        // Asked after the listing: what was committed meanwhile counts as live.
        let waiting = self.buffer.stored_paths();
        let state = self.catalog.state();
        let mut live: HashSet<&str> = waiting.iter().map(String::as_str).collect();
        live.extend(state.tables().flat_map(|t| t.segments.iter().map(|s| s.path.as_str())));
        let mut removed = 0;
        for meta in old.iter().filter(|meta| !live.contains(meta.location.as_ref())) {
            match self.store.delete(&meta.location).await {
                Ok(()) => removed += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.metrics.orphans_removed.inc_by(removed);
        Ok(removed)
    }
}
