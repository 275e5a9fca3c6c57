//! Time inside is `i64` nanoseconds since 1970 UTC; precision is the unit on a wire or of a database.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Tells the time: nanoseconds since 1970 UTC. Handed in when a thing is built, so that tests can hold it still.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// First and last instants that can be stored, in nanoseconds (InfluxDB keeps the two lowest and the highest for itself).
pub const TIME_MIN_NS: i64 = i64::MIN + 2;
pub const TIME_MAX_NS: i64 = i64::MAX - 1;

/// The unit of a time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Ns,
    Us,
    Ms,
    S,
    M,
    H,
}

impl Precision {
    /// Nanoseconds in one unit.
    pub const fn nanos(self) -> i64 {
        match self {
            Precision::Ns => 1,
            Precision::Us => 1_000,
            Precision::Ms => 1_000_000,
            Precision::S => 1_000_000_000,
            Precision::M => 60_000_000_000,
            Precision::H => 3_600_000_000_000,
        }
    }

    /// `value` units since the epoch in nanoseconds, or `None` beyond what can be stored.
    pub fn to_nanos(self, value: i64) -> Option<i64> {
        value.checked_mul(self.nanos()).filter(|ns| (TIME_MIN_NS..=TIME_MAX_NS).contains(ns))
    }

    /// `ns` cut to this unit, towards the past.
    pub fn floor(self, ns: i64) -> i64 {
        ns.div_euclid(self.nanos()).saturating_mul(self.nanos()).max(TIME_MIN_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_towards_the_past_on_both_sides_of_the_epoch() {
        assert_eq!(Precision::Us.floor(1_999), 1_000);
        assert_eq!(Precision::Us.floor(-1), -1_000);
        assert_eq!(Precision::Ns.floor(-1), -1);
        assert_eq!(Precision::H.floor(TIME_MIN_NS), TIME_MIN_NS);
    }

    #[test]
    fn refuses_times_that_do_not_fit() {
        assert_eq!(Precision::S.to_nanos(1), Some(1_000_000_000));
        assert_eq!(Precision::H.to_nanos(i64::MAX), None);
        assert_eq!(Precision::Ns.to_nanos(i64::MAX), None);
        assert_eq!(Precision::Ns.to_nanos(i64::MIN + 1), None);
        assert_eq!(Precision::Ns.to_nanos(TIME_MIN_NS), Some(TIME_MIN_NS));
    }
}
