//! Removes objects that no commit speaks of: uploads whose commit never came, and replaced segments left behind.
//!
//! A commit may still be about to speak of an upload, in this process or in another one that sleeps at the moment. So
//! before anything is removed a horizon is committed: uploads older than that which are not live by then are dead, and
//! who plans a commit that would add one is told so and uploads again ([`Change::Horizon`]). As commits are decided one
//! after the other, this holds whatever the clocks say.
//!
//! A segment that was live a moment ago may be read by queries, here or elsewhere. So what is dead is removed only when
//! it was seen dead a grace period ago.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tracing::{info, warn};

use crate::catalog::{Catalog, CatalogError, CatalogState, Change};
use crate::model::Clock;
use crate::storage::layout;
use crate::storage::upload::uploaded_ms;

use super::metrics::IngestMetrics;

/// Collects the orphans of one store.
pub struct OrphanCollector {
    catalog: Arc<Catalog>,
    store: Arc<dyn ObjectStore>,
    /// Longer than any query: what died less than this ago is left alone.
    grace: Duration,
    metrics: IngestMetrics,
    clock: Clock,
    /// Dead objects, and since when they are known to be.
    dead: Mutex<HashMap<Path, i64>>,
}

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Store(#[from] object_store::Error),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl OrphanCollector {
    pub fn new(
        catalog: Arc<Catalog>,
        store: Arc<dyn ObjectStore>,
        grace: Duration,
        metrics: IngestMetrics,
        clock: Clock,
    ) -> OrphanCollector {
        OrphanCollector { catalog, store, grace, metrics, clock, dead: Mutex::default() }
    }

    /// Collects once per grace period until the task is dropped.
    pub async fn run(self) {
        loop {
            tokio::time::sleep(self.grace).await;
            match self.collect((self.clock)()).await {
                Ok(0) => {}
                Ok(removed) => info!(removed, "orphans removed"),
                Err(CollectError::Catalog(CatalogError::Fenced { .. })) => return,
                Err(error) => warn!(%error, "orphans not collected"),
            }
        }
    }

    /// One pass over all segment objects and what start-up checks left. Returns how many were removed. A dead object is
    /// removed by a pass that comes a grace period after the one that found it.
    pub async fn collect(&self, now_ns: i64) -> Result<u64, CollectError> {
        let oldest = chrono::DateTime::from_timestamp_nanos(now_ns) - self.grace;
        let horizon_ms = u64::try_from(oldest.timestamp_millis()).unwrap_or(0);
        let mut removed = self.collect_probes(oldest).await?;
        let old = self.old_uploads(oldest, horizon_ms).await?;
        let due = self.note_dead(old, &self.catalog.state(), now_ns);
        if !due.is_empty() {
            let state = self.catalog.update(move |state| Ok(horizon(state, horizon_ms))).await?;
            // Dead by the commit, not by what was known before it: from here on no one can bring them back.
            let live = live_paths(&state);
            for path in due.iter().filter(|path| !live.contains(path.as_ref())) {
                removed += self.remove(path).await?;
                self.dead.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
            }
        }
        self.metrics.orphans_removed.inc_by(removed);
        Ok(removed)
    }

    /// Segment objects older than the horizon by their ids, and by the store's clock as well.
    async fn old_uploads(
        &self,
        oldest: chrono::DateTime<chrono::Utc>,
        horizon_ms: u64,
    ) -> Result<Vec<Path>, object_store::Error> {
        let is_old = |meta: &ObjectMeta| {
            let id = layout::parse_segment_key(&meta.location);
            meta.last_modified < oldest && id.is_some_and(|id| uploaded_ms(id) < horizon_ms)
        };
        let listing = self.store.list(Some(&layout::segments_prefix()));
        let old = listing.try_filter(|meta| std::future::ready(is_old(meta))).map_ok(|meta| meta.location);
        old.try_collect().await
    }

    /// Remembers which of `old` are dead; returns those that have been so for long enough.
    fn note_dead(&self, old: Vec<Path>, state: &CatalogState, now_ns: i64) -> Vec<Path> {
        let live = live_paths(state);
        let mut known = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |path: &Path| known.get(path).copied().unwrap_or(now_ns);
        *known = old
            .into_iter()
            .filter(|path| !live.contains(path.as_ref()))
            .map(|path| (path.clone(), since(&path)))
            .collect();
        let grace_ns = i64::try_from(self.grace.as_nanos()).unwrap_or(i64::MAX);
        let is_due = |since: i64| now_ns.saturating_sub(since) >= grace_ns;
        known.iter().filter(|(_, since)| is_due(**since)).map(|(path, _)| path.clone()).collect()
    }

    /// Start-up checks remove what they write, unless the process dies in between.
    async fn collect_probes(&self, oldest: chrono::DateTime<chrono::Utc>) -> Result<u64, object_store::Error> {
        let mut listing = self.store.list(Some(&layout::probes_prefix()));
        let mut removed = 0;
        while let Some(meta) = listing.next().await {
            let meta = meta?;
            if meta.last_modified < oldest {
                removed += self.remove(&meta.location).await?;
            }
        }
        Ok(removed)
    }

    async fn remove(&self, path: &Path) -> Result<u64, object_store::Error> {
        match self.store.delete(path).await {
            Ok(()) => Ok(1),
            Err(object_store::Error::NotFound { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

fn horizon(state: &CatalogState, before_ms: u64) -> Vec<Change> {
    (state.horizon_ms < before_ms).then_some(Change::Horizon { before_ms }).into_iter().collect()
}

fn live_paths(state: &CatalogState) -> HashSet<&str> {
    state.tables().flat_map(|table| table.segments.iter().map(|segment| segment.path.as_str())).collect()
}
