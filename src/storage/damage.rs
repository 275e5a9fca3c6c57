//! Segments that are not what was written: how it is said, and who has been seen.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounter, IntGauge, Registry};
use tracing::{error, info, warn};

use crate::model::{Classify, Kind};

/// A damaged segment is left alone for so long before it is looked at again, and named in the log no more often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// More are counted no further: by then the number says nothing any more.
const REMEMBERED_MAX: usize = 10_000;

/// A segment's object does not hold what its catalog entry says. Its rows cannot be told until it is restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {path} is damaged: {damage}; restore the object from a copy")]
pub struct DamagedSegment {
    /// Object path within the store.
    pub path: String,
    pub damage: Damage,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the checksum of bytes {}..{} does not match", bytes.start, bytes.end)]
    Checksum { bytes: Range<u64> },
    #[error("it has {found} bytes instead of {expected}")]
    Size { expected: u64, found: u64 },
    #[error("of bytes {}..{} only {found} came", bytes.start, bytes.end)]
    Cut { bytes: Range<u64>, found: u64 },
    #[error("the store does not have it")]
    Missing,
    #[error("{0}")]
    Unreadable(String),
}

impl Classify for DamagedSegment {
    fn kind(&self) -> Kind {
        Kind::Internal
    }
}

/// The damaged segments that this process has met. Shared by all who read segments.
#[derive(Debug)]
pub struct DamagedSegments {
    /// By path, with the moment each was last found damaged.
    seen: Mutex<HashMap<String, Instant>>,
    known: IntGauge,
    repeated: IntCounter,
}

impl DamagedSegments {
    /// Registers `tidegate_corrupt_segments` and `tidegate_corrupt_reads_repeated_total` with `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let known = IntGauge::new(
            "tidegate_corrupt_segments",
            "Segments found damaged or missing: queries that need them fail until they are restored",
        )?;
        let repeated = IntCounter::new(
            "tidegate_corrupt_reads_repeated_total",
            "Reads of segments that were damaged the first time and right the second",
        )?;
        registry.register(Box::new(known.clone()))?;
        registry.register(Box::new(repeated.clone()))?;
        Ok(DamagedSegments { seen: Mutex::default(), known, repeated })
    }

    /// Notes a damaged segment; the log names it once, and again when it is still damaged much later.
    pub fn report(&self, segment: &DamagedSegment) {
        self.report_at(segment, Instant::now());
    }

    fn report_at(&self, segment: &DamagedSegment, now: Instant) {
        let mut seen = self.lock();
        if seen.len() >= REMEMBERED_MAX && !seen.contains_key(&segment.path) {
            return;
        }
        let before = seen.insert(segment.path.clone(), now);
        if before.is_none_or(|before| now.saturating_duration_since(before) >= LOOK_AGAIN_AFTER) {
            error!(path = %segment.path, damage = %segment.damage, "a segment is damaged; restore the object from a copy");
        }
        self.known.set(seen.len() as i64);
    }

    /// Notes that a segment that was damaged when first read was right at once when read again.
    pub fn report_repeated(&self, path: &str, damage: &Damage) {
        warn!(path, %damage, "a segment came damaged from the store, and whole when it was read again");
        self.repeated.inc();
    }

    /// Notes that the whole of a segment was found right.
    pub fn report_whole(&self, path: &str) {
        let mut seen = self.lock();
        if seen.remove(path).is_some() {
            info!(path, "the segment is whole again");
        }
        self.known.set(seen.len() as i64);
    }

    /// Whether the segment is better left alone for now.
    pub fn is_recent(&self, path: &str) -> bool {
        self.lock().get(path).is_some_and(|since| since.elapsed() < LOOK_AGAIN_AFTER)
    }

    /// Forgets the segments that are live no more.
    pub fn retain(&self, is_live: impl Fn(&str) -> bool) {
        let mut seen = self.lock();
        seen.retain(|path, _| is_live(path));
        self.known.set(seen.len() as i64);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_until_it_is_whole_or_gone() {
        let segments = DamagedSegments::new(&Registry::new()).unwrap();
        let damaged = |path: &str| DamagedSegment { path: path.to_string(), damage: Damage::Missing };
        for path in ["a", "b", "a", "c"] {
            segments.report(&damaged(path));
        }
        assert_eq!(segments.known.get(), 3);
        segments.report_whole("b");
        segments.report_whole("never seen");
        segments.retain(|path| path == "a");
        assert_eq!((segments.known.get(), segments.is_recent("a"), segments.is_recent("b")), (1, true, false));
    }

    #[test]
    fn a_segment_is_looked_at_again_after_a_while() {
        let segments = DamagedSegments::new(&Registry::new()).unwrap();
        let damaged = DamagedSegment { path: "a".to_string(), damage: Damage::Missing };
        let Some(long_ago) = Instant::now().checked_sub(LOOK_AGAIN_AFTER) else { return };
        segments.report_at(&damaged, long_ago);
        assert!(!segments.is_recent("a"));
        segments.report(&damaged);
        assert!(segments.is_recent("a"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let segments = DamagedSegments::new(&Registry::new()).unwrap();
        for n in 0..REMEMBERED_MAX + 5 {
            segments.report(&DamagedSegment { path: n.to_string(), damage: Damage::Missing });
        }
        assert_eq!(segments.known.get(), REMEMBERED_MAX as i64);
    }

    #[test]
    fn the_text_names_object_and_bytes() {
        let text = |damage| DamagedSegment { path: "data/x.parquet".to_string(), damage }.to_string();
        let expected = "segment data/x.parquet is damaged: the checksum of bytes 5..9 does not match; restore the object from a copy";
        assert_eq!(text(Damage::Checksum { bytes: 5..9 }), expected);
        assert!(text(Damage::Size { expected: 7, found: 3 }).contains("3 bytes instead of 7"));
        assert!(text(Damage::Cut { bytes: 5..9, found: 1 }).contains("of bytes 5..9 only 1 came"));
    }
}
