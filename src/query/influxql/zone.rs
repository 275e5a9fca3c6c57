//! Time zones, as `tz('…')` names them.

use chrono_tz::Tz;

/// A zone of the time zone database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeZone(pub Tz);

impl TimeZone {
    pub const UTC: TimeZone = TimeZone(Tz::UTC);

    /// The zone of this name; an empty name is UTC, and so is `Local`, the server's own, which is UTC here.
    pub fn named(name: &str) -> Option<TimeZone> {
        match name {
            "" | "Local" => Some(TimeZone::UTC),
            _ => name.parse().ok().map(TimeZone),
        }
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }
}
