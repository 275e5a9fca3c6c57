//! Who sends requests, counted while somebody looks: `/debug/requests`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::protocol::auth::Principal;

/// Senders of one look; more are not counted.
const SENDERS_MAX: usize = 10_000;

/// Counts requests for everybody who looks. Costs one load while nobody does.
#[derive(Debug, Default)]
pub struct RequestTracker {
    watching: AtomicUsize,
    looks: Mutex<Vec<Weak<Look>>>,
}

/// What a request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Write,
    Query,
}

/// Requests of one sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) writes: u64,
    pub(super) queries: u64,
}

/// What is counted since somebody began to look; dropping it ends that.
#[derive(Debug)]
pub(super) struct Look {
    senders: Mutex<BTreeMap<String, Counts>>,
    tracker: Weak<RequestTracker>,
}

impl RequestTracker {
    pub(super) fn look(self: &Arc<Self>) -> Arc<Look> {
        let look = Arc::new(Look { senders: Mutex::default(), tracker: Arc::downgrade(self) });
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|look| look.strong_count() > 0);
        looks.push(Arc::downgrade(&look));
        self.watching.fetch_add(1, Ordering::Relaxed);
        look
    }

    /// Counts one request. Who asks by name is counted by name and address.
    pub(super) fn note(&self, principal: &Principal, address: Option<IpAddr>, sent: Sent) {
        if self.watching.load(Ordering::Relaxed) == 0 {
            return;
        }
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        let sender = match principal.name() {
            Some(name) => format!("{name}:{address}"),
            None => address,
        };
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        for look in looks.iter().filter_map(Weak::upgrade) {
            look.count(&sender, sent);
        }
    }
}

impl Look {
    fn count(&self, sender: &str, sent: Sent) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= SENDERS_MAX && !senders.contains_key(sender) {
            return;
        }
        let counts = senders.entry(sender.to_string()).or_default();
        match sent {
            Sent::Write => counts.writes += 1,
            Sent::Query => counts.queries += 1,
        }
    }

    /// By sender.
    pub(super) fn counted(&self) -> BTreeMap<String, Counts> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if let Some(tracker) = self.tracker.upgrade() {
            tracker.watching.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_while_somebody_looks() {
        let tracker = Arc::new(RequestTracker::default());
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        tracker.note(&Principal::Anyone, here, Sent::Query);
        let look = tracker.look();
        tracker.note(&Principal::Anyone, here, Sent::Query);
        tracker.note(&Principal::Anyone, here, Sent::Write);
        let other = tracker.look();
        tracker.note(&Principal::Anyone, here, Sent::Write);
        let counts = |look: &Look| look.counted().into_iter().collect::<Vec<_>>();
        let address = "127.0.0.1".to_string();
        assert_eq!(counts(&look), [(address.clone(), Counts { writes: 2, queries: 1 })]);
        assert_eq!(counts(&other), [(address, Counts { writes: 1, queries: 0 })]);
        drop((look, other));
        assert_eq!(tracker.watching.load(Ordering::Relaxed), 0);
    }
}
