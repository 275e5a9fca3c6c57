//! The process's numbers in the shape in which InfluxDB tells its own: SHOW STATS and `/debug/vars`.
//!
//! Taken from the metrics that `/metrics` exports ([`Samples`]); what there is no number for is left out rather than zero.

use std::collections::BTreeMap;

use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::catalog::CatalogState;
use crate::model::names::DEFAULT_TENANT;

const NANOS_PER_SEC: f64 = 1e9;
/// Routes whose requests are writes.
const WRITES: [&str; 3] = ["/write", "/api/v2/write", "/api/v3/write_lp"];
const QUERIES: [&str; 3] = ["/query", "/api/v3/query_sql", "/api/v3/query_influxql"];

/// Numbers of one part of the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) tags: BTreeMap<&'static str, String>,
    /// In the order of their names.
    pub(super) values: BTreeMap<&'static str, i64>,
}

impl Module {
    fn new(name: &'static str, values: impl IntoIterator<Item = (&'static str, f64)>) -> Module {
        let values = values.into_iter().map(|(name, value)| (name, value as i64)).collect();
        Module { name, tags: BTreeMap::new(), values }
    }

    fn tagged(mut self, key: &'static str, value: &str) -> Module {
        self.tags.insert(key, value.to_string());
        self
    }

    /// How `/debug/vars` calls it: the name, and what tells it from others of that name.
    pub(super) fn key(&self) -> String {
        self.tags.values().fold(self.name.to_string(), |key, tag| format!("{key}:{tag}"))
    }
}

/// All modules. `bind`: the address of the listener that is asked.
pub(super) fn modules(registry: &Registry, state: &CatalogState, bind: &str) -> Vec<Module> {
    let samples = Samples(registry.gather());
    let mut modules =
        vec![runtime(&samples), query_executor(&samples), write(&samples), httpd(&samples).tagged("bind", bind)];
    for database in state.databases(DEFAULT_TENANT) {
        let tables: usize =
            database.policies.iter().map(|policy| state.tables_of(database, &policy.name).count()).sum();
        modules.push(Module::new("database", [("numMeasurements", tables as f64)]).tagged("database", &database.name));
    }
    modules
}

fn runtime(samples: &Samples) -> Module {
    let memory = samples.sum("process_resident_memory_bytes", |_| true);
    Module::new(
        "runtime",
        [
            ("Alloc", memory),
            ("HeapAlloc", memory),
            ("HeapInUse", memory),
            ("Sys", samples.sum("process_virtual_memory_bytes", |_| true)),
            ("NumGoroutine", samples.sum("process_threads", |_| true)),
        ],
    )
}

fn query_executor(samples: &Samples) -> Module {
    let (finished, seconds) = samples.histogram("tidegate_query_seconds", |_| true);
    let active = samples.sum("tidegate_queries_running", |_| true);
    Module::new(
        "queryExecutor",
        [
            ("queriesActive", active),
            ("queriesExecuted", finished + active),
            ("queriesFinished", finished),
            ("queryDurationNs", seconds * NANOS_PER_SEC),
        ],
    )
}

fn write(samples: &Samples) -> Module {
    let requests = |is_counted: fn(u16) -> bool| {
        samples.sum(REQUESTS, |metric| WRITES.contains(&label(metric, "route")) && is_counted(status(metric)))
    };
    let (accepted, rejected) = points(samples);
    Module::new(
        "write",
        [
            ("pointReq", accepted + rejected),
            ("pointReqLocal", accepted + rejected),
            ("req", requests(|_| true)),
            ("writeDrop", rejected),
            ("writeError", requests(|status| status >= 500)),
            ("writeOk", requests(|status| status < 300)),
        ],
    )
}

fn httpd(samples: &Samples) -> Module {
    let requests = |is_counted: &dyn Fn(&Metric) -> bool| samples.sum(REQUESTS, is_counted);
    let of = |routes: &'static [&'static str]| requests(&|metric| routes.contains(&label(metric, "route")));
    let with_status = |range: std::ops::Range<u16>| requests(&|metric| range.contains(&status(metric)));
    let time = |routes: Option<&[&str]>| {
        let is_counted = |metric: &Metric| routes.is_none_or(|routes| routes.contains(&label(metric, "route")));
        samples.histogram("tidegate_http_request_seconds", is_counted).1 * NANOS_PER_SEC
    };
    let (accepted, rejected) = points(samples);
    Module::new(
        "httpd",
        [
            ("authFail", with_status(401..402)),
            ("clientError", with_status(400..500)),
            ("serverError", with_status(500..600)),
            ("pingReq", of(&["/ping"])),
            ("statusReq", of(&["/status"])),
            ("queryReq", of(&QUERIES)),
            ("queryReqDurationNs", time(Some(&QUERIES))),
            ("writeReq", of(&WRITES)),
            ("writeReqDurationNs", time(Some(&WRITES))),
            ("req", requests(&|_| true)),
            ("reqDurationNs", time(None)),
            ("pointsWrittenOK", accepted),
            ("pointsWrittenDropped", rejected),
        ],
    )
}

const REQUESTS: &str = "tidegate_http_requests_total";

/// Accepted and refused.
fn points(samples: &Samples) -> (f64, f64) {
    let of = |family| samples.sum(family, |_| true);
    (of("tidegate_points_accepted_total"), of("tidegate_points_rejected_total"))
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value())
}

fn status(metric: &Metric) -> u16 {
    label(metric, "status").parse().unwrap_or(0)
}

/// What all metrics say at one moment.
struct Samples(Vec<MetricFamily>);

impl Samples {
    /// The sum of a family's values, of those metrics that are counted.
    fn sum(&self, family: &str, is_counted: impl Fn(&Metric) -> bool) -> f64 {
        let Some(family) = self.family(family) else { return 0.0 };
        let value = |metric: &Metric| match family.get_field_type() {
            MetricType::COUNTER => metric.get_counter().get_value(),
            _ => metric.get_gauge().get_value(),
        };
        family.get_metric().iter().filter(|metric| is_counted(metric)).map(value).sum()
    }

    /// Number and sum of a histogram's observations.
    fn histogram(&self, family: &str, is_counted: impl Fn(&Metric) -> bool) -> (f64, f64) {
        let Some(family) = self.family(family) else { return (0.0, 0.0) };
        let counted = family.get_metric().iter().filter(|metric| is_counted(metric)).map(Metric::get_histogram);
        counted.fold((0.0, 0.0), |(count, sum), histogram| {
            (count + histogram.get_sample_count() as f64, sum + histogram.get_sample_sum())
        })
    }

    fn family(&self, name: &str) -> Option<&MetricFamily> {
        self.0.iter().find(|family| family.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

    use super::*;

    #[test]
    fn numbers_are_summed_from_the_metrics() {
        let registry = Registry::new();
        let requests = IntCounterVec::new(Opts::new(REQUESTS, "help"), &["route", "method", "status"]).unwrap();
        registry.register(Box::new(requests.clone())).unwrap();
        for (route, status, count) in [
            ("/query", "200", 3),
            ("/query", "401", 1),
            ("/write", "204", 5),
            ("/write", "500", 1),
            ("/ping", "204", 2),
        ] {
            requests.with_label_values(&[route, "GET", status]).inc_by(count);
        }
        let seconds = HistogramOpts::new("tidegate_http_request_seconds", "help");
        let seconds = HistogramVec::new(seconds, &["route"]).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        seconds.with_label_values(&["/query"]).observe(0.5);
        seconds.with_label_values(&["/write"]).observe(0.25);
        let modules = modules(&registry, &CatalogState::initial(), "127.0.0.1:8086");
        let value = |key: &str, name: &str| {
            let module = modules.iter().find(|module| module.key() == key).unwrap_or_else(|| panic!("no {key}"));
            module.values[name]
        };
        const HTTPD: &str = "httpd:127.0.0.1:8086";
        for (name, expected) in [
            ("req", 12),
            ("queryReq", 4),
            ("writeReq", 6),
            ("pingReq", 2),
            ("authFail", 1),
            ("clientError", 1),
            ("serverError", 1),
            ("queryReqDurationNs", 500_000_000),
            ("reqDurationNs", 750_000_000),
        ] {
            assert_eq!(value(HTTPD, name), expected, "{name}");
        }
        assert_eq!((value("write", "writeOk"), value("write", "writeError"), value("write", "req")), (5, 1, 6));
        assert_eq!(value("database:public", "numMeasurements"), 0);
    }
}
