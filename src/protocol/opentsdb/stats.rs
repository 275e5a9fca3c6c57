//! What this protocol counts about itself, as `/api/stats` and telnet's `stats` say it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::catalog::UidKind;
use crate::protocol::Core;

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) http_requests: AtomicU64,
    pub(super) http_errors: AtomicU64,
    pub(super) telnet_connections: AtomicU64,
    pub(super) telnet_lines: AtomicU64,
    pub(super) telnet_errors: AtomicU64,
    pub(super) put_points: AtomicU64,
    pub(super) put_errors: AtomicU64,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) metric: &'static str,
    pub(super) value: u64,
    /// One tag besides the host, or none.
    pub(super) tag: Option<(&'static str, &'static str)>,
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Stats {
    pub(super) fn all(&self, core: &Core) -> Vec<Stat> {
        let stat = |metric, value, tag| Stat { metric, value, tag };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut all = vec![
            stat("tsd.rpc.received", count(&self.http_requests), Some(("type", "http"))),
            stat("tsd.rpc.received", count(&self.telnet_lines), Some(("type", "telnet"))),
            stat("tsd.rpc.received", count(&self.put_points), Some(("type", "put"))),
            stat("tsd.rpc.errors", count(&self.http_errors), Some(("type", "http"))),
            stat("tsd.rpc.errors", count(&self.telnet_errors), Some(("type", "telnet"))),
            stat("tsd.rpc.errors", count(&self.put_errors), Some(("type", "put"))),
            stat("tsd.connectionmgr.connections", count(&self.telnet_connections), Some(("type", "telnet"))),
        ];
        for kind in UidKind::ALL {
            all.push(stat("tsd.uid.ids-used", core.uids.count(kind) as u64, Some(("kind", kind.plural()))));
        }
        all.push(stat("tsd.datapoints.added", core.ingest.metrics.points_accepted.get(), Some(("type", "all"))));
        all.push(stat("tsd.buffer.bytes", core.ingest.buffer.bytes(), None));
        all.push(stat("tsd.catalog.version", core.catalog.state().version, None));
        all
    }

    /// Lines `metric time value key=value …`, time in seconds.
    pub(super) fn lines(&self, core: &Core) -> String {
        let time = seconds(core);
        let line = |stat: Stat| {
            let tag = stat.tag.map(|(key, value)| format!(" {key}={value}")).unwrap_or_default();
            format!("{} {time} {}{tag} host={HOST}\n", stat.metric, stat.value)
        };
        self.all(core).into_iter().map(line).collect()
    }
}

/// The host that numbers are tagged with.
pub(super) const HOST: &str = "tidegate";

/// Now, in seconds.
pub(super) fn seconds(core: &Core) -> i64 {
    (core.ingest.clock)() / 1_000_000_000
}
