//! Time zones, as `tz('…')` names them.

use chrono_tz::Tz;

/// A zone of the time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone {
    pub rules: Tz,
    name: &'static str,
}

impl TimeZone {
    pub const UTC: TimeZone = TimeZone { rules: Tz::UTC, name: "UTC" };

    /// The zone of this name; an empty name is UTC, and so is `Local`, the server's own, which is UTC here.
    pub fn named(name: &str) -> Option<TimeZone> {
        match name {
            "" => Some(TimeZone::UTC),
            "Local" => Some(TimeZone { name: "Local", ..TimeZone::UTC }),
            _ => name.parse().ok().map(|rules: Tz| TimeZone { rules, name: rules.name() }),
        }
    }

    pub fn name(self) -> &'static str {
        self.name
    }
}
