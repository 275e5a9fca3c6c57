//! Names of requests, for people who compare logs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

/// An id that no other request has: random once a process, then counted, since asking the system for randomness costs more than
/// the rest of a small write's answer.
pub fn fresh() -> Uuid {
    static PROCESS: OnceLock<Uuid> = OnceLock::new();
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let (high, low) = PROCESS.get_or_init(Uuid::new_v4).as_u64_pair();
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    Builder::from_custom_bytes(*Uuid::from_u64_pair(high, low.wrapping_add(number)).as_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let ids: HashSet<Uuid> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
