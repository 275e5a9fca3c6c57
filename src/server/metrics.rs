//! Metrics of the process itself and of the requests it answers.

use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Counts and times of requests by route: the pattern that matched, or `other`.
#[derive(Debug, Clone)]
pub(super) struct HttpMetrics {
    pub(super) requests: IntCounterVec,
    pub(super) seconds: HistogramVec,
}

impl HttpMetrics {
    /// Registers them, and what the operating system says of the process.
    pub(super) fn new(registry: &Registry) -> Result<HttpMetrics, prometheus::Error> {
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let requests = IntCounterVec::new(
            Opts::new("tidegate_http_requests_total", "HTTP requests answered"),
            &["route", "method", "status"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("tidegate_http_request_seconds", "Time from a request's head to the head of its answer")
                .buckets(vec![0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            &["route"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(HttpMetrics { requests, seconds })
    }

    pub(super) fn observe(&self, route: Option<&str>, method: &str, status: u16, seconds: f64) {
        let route = route.unwrap_or("other");
        // Methods are the client's words: only known ones become labels.
        let method = match method {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
            _ => "other",
        };
        self.requests.with_label_values(&[route, method, &status.to_string()]).inc();
        self.seconds.with_label_values(&[route]).observe(seconds);
    }
}
