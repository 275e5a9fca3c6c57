//! What the log tells the outside about itself.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry, exponential_buckets};

/// Handles to the log's metrics. Clones count into the same series.
#[derive(Debug, Clone)]
pub struct WalMetrics {
    pub(super) bytes: IntGauge,
    pub(super) fsync_seconds: Histogram,
    pub(super) records: IntCounter,
    pub(super) appended_bytes: IntCounter,
    pub(super) failed_records: IntCounter,
    pub(super) group_records: Histogram,
}

impl WalMetrics {
    /// Registers the metrics; fails when `registry` has them already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let fsync = HistogramOpts::new("tidegate_wal_fsync_seconds", "Time that one sync of the write-ahead log took.")
            .buckets(exponential_buckets(0.000_125, 2.0, 16)?);
        let group = HistogramOpts::new("tidegate_wal_group_records", "Records that shared one sync.")
            .buckets(exponential_buckets(1.0, 2.0, 11)?);
        let metrics = WalMetrics {
            bytes: IntGauge::new("tidegate_wal_bytes", "Bytes that the write-ahead log takes on disk.")?,
            fsync_seconds: Histogram::with_opts(fsync)?,
            records: IntCounter::new("tidegate_wal_records_total", "Records made durable.")?,
            appended_bytes: IntCounter::new("tidegate_wal_appended_bytes_total", "Bytes of records made durable.")?,
            failed_records: IntCounter::new(
                "tidegate_wal_failed_records_total",
                "Records that could not be written or synced.",
            )?,
            group_records: Histogram::with_opts(group)?,
        };
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.fsync_seconds.clone()))?;
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.appended_bytes.clone()))?;
        registry.register(Box::new(metrics.failed_records.clone()))?;
        registry.register(Box::new(metrics.group_records.clone()))?;
        Ok(metrics)
    }
}
