//! What the write path tells Prometheus.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Handles of the write path's metrics; registered once per gateway.
#[derive(Debug, Clone)]
pub struct IngestMetrics {
    pub points_accepted: IntCounter,
    pub points_rejected: IntCounter,
    pub requests_refused: IntCounterVec,
    pub buffer_bytes: IntGauge,
    pub flush_seconds: Histogram,
    pub flushed_rows: IntCounter,
    pub flushed_bytes: IntCounter,
    pub flush_failures: IntCounter,
    pub segments: IntGauge,
    pub compactions: IntCounter,
    pub compacted_bytes: IntCounter,
    pub orphans_removed: IntCounter,
    pub expired_segments: IntCounter,
    pub retention_passes: IntCounter,
    pub retention_failures: IntCounter,
}

impl IngestMetrics {
    pub fn new(registry: &Registry) -> Result<IngestMetrics, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let requests_refused = IntCounterVec::new(
            Opts::new("tidegate_write_requests_refused_total", "Write requests refused because a budget was used up"),
            &["budget"],
        )?;
        registry.register(Box::new(requests_refused.clone()))?;
        for budget in ["buffer", "wal"] {
            requests_refused.with_label_values(&[budget]);
        }
        let buckets = vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        let flush_seconds = Histogram::with_opts(
            HistogramOpts::new("tidegate_flush_seconds", "Time from freezing rows to the commit that publishes them")
                .buckets(buckets),
        )?;
        registry.register(Box::new(flush_seconds.clone()))?;
        Ok(IngestMetrics {
            points_accepted: counter("tidegate_points_accepted_total", "Points acknowledged")?,
            points_rejected: counter("tidegate_points_rejected_total", "Points refused for what they are")?,
            requests_refused,
            buffer_bytes: gauge("tidegate_buffer_bytes", "Bytes of acknowledged rows not in segments yet")?,
            flush_seconds,
            flushed_rows: counter("tidegate_flushed_rows_total", "Rows written into segments by flushes")?,
            flushed_bytes: counter("tidegate_flushed_bytes_total", "Bytes of segments written by flushes")?,
            flush_failures: counter("tidegate_flush_failures_total", "Flushes that failed and are tried again")?,
            segments: gauge("tidegate_segments", "Live segments")?,
            compactions: counter("tidegate_compactions_total", "Compactions committed")?,
            compacted_bytes: counter("tidegate_compacted_bytes_total", "Bytes of segments written by compactions")?,
            orphans_removed: counter("tidegate_orphans_removed_total", "Objects removed that no commit speaks of")?,
            expired_segments: counter(
                "tidegate_retention_segments_dropped_total",
                "Segments dropped because their policy does not keep them",
            )?,
            retention_passes: counter("tidegate_retention_passes_total", "Times that all policies were enforced")?,
            retention_failures: counter("tidegate_retention_failures_total", "Enforcements that are tried again")?,
        })
    }
}
