//! Retention enforced: rows that their policy does not keep any longer are dropped, over and over.
//!
//! Owns: when. Which rows those are is the catalog's (`catalog::retention`). Objects of dropped segments are removed as
//! orphans, after the grace in which queries may still read them.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::catalog::{Catalog, CatalogError};
use crate::model::Clock;

use super::flush::{FlushError, Flusher};
use super::metrics::IngestMetrics;

/// Enforces the retention policies of one store.
pub struct RetentionEnforcer {
    pub catalog: Arc<Catalog>,
    pub flusher: Arc<Flusher>,
    /// Between two passes.
    pub interval: Duration,
    pub metrics: IngestMetrics,
    pub clock: Clock,
}

/// Why a pass did not come to its end. The next one finds what is left.
#[derive(Debug, thiserror::Error)]
pub enum EnforceError {
    #[error(transparent)]
    Flush(#[from] FlushError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl RetentionEnforcer {
    /// Enforces now and then once an interval, until the task is dropped.
    pub async fn run(self) {
        loop {
            match self.enforce((self.clock)()).await {
                Ok(0) => debug!("no segment has expired"),
                Ok(segments) => info!(segments, "expired segments dropped"),
                Err(EnforceError::Catalog(CatalogError::Fenced { .. })) => return,
                Err(error) => {
                    self.metrics.retention_failures.inc();
                    warn!(%error, "retention policies were not enforced, will be tried again");
                }
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    /// One pass over all tables: the rows that have expired by `now_ns` are gone on `Ok`, those that this process has
    /// buffered among them. Returns how many segments were dropped.
    pub async fn enforce(&self, now_ns: i64) -> Result<usize, EnforceError> {
        let state = self.catalog.state();
        let buffer = &self.flusher.buffer;
        // Deletes are about segments. Rows as old as that are refused, so they wait here only after a policy was changed.
        let mut expiring = state.expiring_tables(now_ns);
        if expiring.any(|(table, before_ns)| buffer.oldest_ns(table.id).is_some_and(|oldest| oldest < before_ns)) {
            self.flusher.flush_all().await?;
        }
        let dropped = self.catalog.expire(now_ns).await?;
        self.metrics.retention_passes.inc();
        self.metrics.expired_segments.inc_by(dropped as u64);
        Ok(dropped)
    }
}
