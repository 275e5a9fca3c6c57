//! Times: numbers in the client's unit, or RFC 3339 with as many decimals as needed.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

use crate::model::Precision;
use crate::protocol::format::calendar::{civil, digits};

use super::numbers::push_integer;

const NANOS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// What `epoch` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Epoch(Option<Precision>);

impl Epoch {
    /// Nothing asks for text; a word that is no unit asks for nanoseconds.
    pub(in super::super) fn of(text: &str) -> Epoch {
        Epoch(match text {
            "" => None,
            "u" => Some(Precision::Us),
            "ms" => Some(Precision::Ms),
            "s" => Some(Precision::S),
            "m" => Some(Precision::M),
            "h" => Some(Precision::H),
            _ => Some(Precision::Ns),
        })
    }
}

/// How the times of one statement are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub epoch: Epoch,
    pub zone: Option<Tz>,
}

impl Times {
    /// The number to show for an instant; `None` where text is wanted. Cut towards zero.
    pub(super) fn number(self, ns: i64) -> Option<i64> {
        self.epoch.0.map(|unit| ns / unit.nanos())
    }

    /// The number to show where there is no text.
    pub(super) fn number_or_nanos(self, ns: i64) -> i64 {
        self.number(ns).unwrap_or(ns)
    }

    /// Appends a JSON value.
    pub(super) fn push_json(self, ns: i64, out: &mut Vec<u8>) {
        match self.number(ns) {
            Some(number) => push_integer(number, out),
            None => {
                out.push(b'"');
                self.push_rfc3339(ns, out);
                out.push(b'"');
            }
        }
    }

    fn push_rfc3339(self, ns: i64, out: &mut Vec<u8>) {
        let (seconds, nanos) = (ns.div_euclid(NANOS), ns.rem_euclid(NANOS));
        let offset = self.zone.map_or(0, |zone| i64::from(offset_seconds(zone, seconds)));
        let local = seconds + offset;
        let (year, month, day) = civil(local.div_euclid(DAY_SECONDS));
        let second_of_day = local.rem_euclid(DAY_SECONDS);
        digits(year, 4, out);
        let parts = [
            (b'-', month),
            (b'-', day),
            (b'T', second_of_day / 3_600),
            (b':', second_of_day / 60 % 60),
            (b':', second_of_day % 60),
        ];
        for (mark, number) in parts {
            out.push(mark);
            digits(number, 2, out);
        }
        if nanos != 0 {
            out.push(b'.');
            digits(nanos, 9, out);
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
        push_offset(offset, out);
    }
}

fn offset_seconds(zone: Tz, seconds: i64) -> i32 {
    let utc = chrono::DateTime::from_timestamp(seconds, 0).map(|utc| utc.naive_utc());
    utc.map_or(0, |utc| zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

/// Seconds of an offset are left out, as Go leaves them.
fn push_offset(offset: i64, out: &mut Vec<u8>) {
    if offset == 0 {
        return out.push(b'Z');
    }
    let minutes = offset / 60;
    out.push(if minutes < 0 { b'-' } else { b'+' });
    digits(minutes.abs() / 60, 2, out);
    out.push(b':');
    digits(minutes.abs() % 60, 2, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(zone: Option<Tz>, ns: i64) -> String {
        let mut out = Vec::new();
        Times { epoch: Epoch::default(), zone }.push_json(ns, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_has_as_many_decimals_as_needed() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_677_628_810_919_002_757, "2023-03-01T00:00:10.919002757Z"),
            (1_677_628_810_500_000_000, "2023-03-01T00:00:10.5Z"),
            (i64::MAX - 1, "2262-04-11T23:47:16.854775806Z"),
            (i64::MIN + 2, "1677-09-21T00:12:43.145224194Z"),
        ] {
            assert_eq!(text(None, ns), format!("\"{expected}\""));
        }
    }

    #[test]
    fn a_zone_shows_its_offset() {
        let at = |zone: &str, ns| text(Some(zone.parse().unwrap()), ns);
        assert_eq!(at("Europe/Berlin", 1_677_628_800_000_000_000), "\"2023-03-01T01:00:00+01:00\"");
        assert_eq!(at("America/St_Johns", 1_677_628_800_000_000_000), "\"2023-02-28T20:30:00-03:30\"");
        assert_eq!(at("Europe/London", 1_677_628_800_000_000_000), "\"2023-03-01T00:00:00Z\"");
        assert_eq!(at("UTC", 0), "\"1970-01-01T00:00:00Z\"");
    }

    #[test]
    fn numbers_are_cut_towards_zero() {
        for (unit, ns, expected) in [
            ("ns", 1, 1),
            ("n", 1, 1),
            ("parsec", 1, 1),
            ("u", -1_999, -1),
            ("ms", 1_677_628_800_999_999_999, 1_677_628_800_999),
            ("s", -1_500_000_000, -1),
            ("m", 61_000_000_000, 1),
            ("h", 7_200_000_000_000, 2),
        ] {
            let times = Times { epoch: Epoch::of(unit), zone: None };
            assert_eq!(times.number(ns), Some(expected), "{unit}");
        }
        assert_eq!(Times::default().number(1), None);
    }
}
