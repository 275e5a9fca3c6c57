//! How long something lasts, in CnosDB's words: `'10d'`, `'2y1M'`, `'inf'`.

/// Nanoseconds in a unit, longest first, with its names and the one it is printed with.
const UNITS: [(&str, i64, &[&str]); 10] = [
    // 365.25 days, and a twelfth of it.
    ("year", 31_557_600_000_000_000, &["y", "yr", "year", "years"]),
    ("month", 2_630_016_000_000_000, &["M", "month", "months"]),
    ("week", 604_800_000_000_000, &["w", "week", "weeks"]),
    ("day", 86_400_000_000_000, &["d", "day", "days"]),
    ("h", 3_600_000_000_000, &["h", "hr", "hour", "hours"]),
    ("m", 60_000_000_000, &["m", "min", "minute", "minutes"]),
    ("s", 1_000_000_000, &["s", "sec", "second", "seconds"]),
    ("ms", 1_000_000, &["ms", "msec", "millisecond", "milliseconds"]),
    ("us", 1_000, &["us", "usec", "microsecond", "microseconds"]),
    ("ns", 1, &["ns", "nsec", "nanosecond", "nanoseconds"]),
];

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    ForEver,
    /// Nanoseconds, more than none.
    For(i64),
}

impl Lasting {
    /// `inf`, a number of days, or numbers with units one after the other. `None`: it is none of these. What is longer than there is
    /// time (292 years) is for ever.
    pub fn parse(text: &str) -> Option<Lasting> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("inf") {
            return Some(Lasting::ForEver);
        }
        if let Ok(days) = text.parse::<i64>() {
            return (days > 0).then(|| days.checked_mul(UNITS[3].1).map_or(Lasting::ForEver, Lasting::For));
        }
        let mut rest = text;
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, behind) = rest.split_at(digits);
            let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
            let (unit, behind) = behind.split_at(end);
            let lower = unit.to_ascii_lowercase();
            // Only `M` and `m` are told apart by case.
            let named = |names: &[&str]| names.contains(&unit) || (unit != "M" && names.contains(&lower.as_str()));
            let (_, unit_ns, _) = UNITS.iter().find(|(_, _, names)| named(names))?;
            total = total.checked_add(i128::from(number.parse::<i64>().ok()?) * i128::from(*unit_ns))?;
            rest = behind.trim_start();
        }
        (total > 0).then(|| i64::try_from(total).map_or(Lasting::ForEver, Lasting::For))
    }

    /// As CnosDB shows it: `INF`, `10days`, `3months 8days 16h 19m 12s`.
    pub fn shown(self) -> String {
        let Lasting::For(mut rest) = self else { return "INF".to_string() };
        let mut parts = Vec::new();
        for (name, unit_ns, _) in UNITS.iter().filter(|(name, ..)| *name != "week") {
            let count = rest / unit_ns;
            rest %= unit_ns;
            if count > 0 {
                let plural = if count > 1 && matches!(*name, "year" | "month" | "day") { "s" } else { "" };
                parts.push(format!("{count}{name}{plural}"));
            }
        }
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(Lasting::parse(text).map(Lasting::shown).as_deref(), expected, "{text}");
    }

    #[test]
    fn durations_read_and_print_as_there() {
        check("inf", Some("INF"));
        check("10d", Some("10days"));
        check("1d", Some("1day"));
        check("10", Some("10days"));
        check("100d", Some("3months 8days 16h 19m 12s"));
        check("1y", Some("1year"));
        check("2y1M", Some("2years 1month"));
        check("5h", Some("5h"));
        check("30m", Some("30m"));
        check("90ms", Some("90ms"));
        check("1Week", Some("7days"));
        check("1h 30min", Some("1h 30m"));
        check("106751d", Some("292years 3months 6days 16h 19m 12s"));
        check("1000000d", Some("INF"));
        check("1000000", Some("INF"));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for wrong in ["", "d", "0", "0d", "-1d", "1x", "1.5d", "99999999999999999999y", "1d2"] {
            check(wrong, None);
        }
    }
}
