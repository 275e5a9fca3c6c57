//! How a catalog keeps itself.

use std::time::Duration;

use crate::model::Clock;

use super::metrics::CatalogMetrics;

/// What a [`Catalog`](super::Catalog) is opened with.
#[derive(Clone)]
pub struct CatalogOptions {
    /// A snapshot is written every so many commits.
    pub snapshot_every: u64,
    /// Commits and snapshots are removed this long after newer snapshots made them needless. The same for every process
    /// of a store: who was away for less than a quarter of it trusts what it knows.
    pub prune_after: Duration,
    /// How often a process that only reads, or that is not the only writer, looks for commits of others.
    pub poll: Duration,
    /// The same for a writer that is alone.
    pub poll_alone: Duration,
    /// What people see in the list of writers.
    pub name: String,
    pub clock: Clock,
    pub metrics: CatalogMetrics,
}

impl CatalogOptions {
    /// The defaults of the settings, and metrics that nobody reads.
    pub fn new(clock: Clock) -> CatalogOptions {
        CatalogOptions {
            snapshot_every: 100,
            prune_after: Duration::from_secs(3_600),
            poll: Duration::from_millis(500),
            poll_alone: Duration::from_secs(10),
            name: String::new(),
            clock,
            metrics: CatalogMetrics::unregistered().expect("the names are valid"),
        }
    }
}
