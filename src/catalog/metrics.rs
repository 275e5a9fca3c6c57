//! What the catalog tells Prometheus.

use prometheus::{Gauge, IntCounter, IntGauge, Registry};

/// Handles of the catalog's metrics; clones share them.
#[derive(Debug, Clone)]
pub struct CatalogMetrics {
    pub version: IntGauge,
    /// When the chain was last read to its end; seconds since 1970.
    pub followed_at: Gauge,
    pub polls: IntCounter,
    pub poll_failures: IntCounter,
    pub conflicts: IntCounter,
}

impl CatalogMetrics {
    pub fn new(registry: &Registry) -> Result<CatalogMetrics, prometheus::Error> {
        let metrics = CatalogMetrics::unregistered()?;
        registry.register(Box::new(metrics.version.clone()))?;
        registry.register(Box::new(metrics.followed_at.clone()))?;
        for counter in [&metrics.polls, &metrics.poll_failures, &metrics.conflicts] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(metrics)
    }

    /// Counts that nobody reads.
    pub fn unregistered() -> Result<CatalogMetrics, prometheus::Error> {
        Ok(CatalogMetrics {
            version: IntGauge::new("tidegate_catalog_version", "Number of the last commit known")?,
            followed_at: Gauge::new(
                "tidegate_catalog_followed_timestamp_seconds",
                "When the chain of commits was last read to its end",
            )?,
            polls: IntCounter::new("tidegate_catalog_polls_total", "Questions whether others have committed")?,
            poll_failures: IntCounter::new(
                "tidegate_catalog_poll_failures_total",
                "Questions whether others have committed that were not answered, or with a damaged commit",
            )?,
            conflicts: IntCounter::new(
                "tidegate_catalog_conflicts_total",
                "Commits planned again because another writer came first",
            )?,
        })
    }
}
