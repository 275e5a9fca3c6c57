//! When a continuous query runs, and over which time: the rules of InfluxDB 1.8, without looking at any data.
//!
//! A query runs at the borders of its windows (or every `EVERY`) and computes the windows that have ended since the run
//! before; `FOR` lets it compute earlier ones again. Who was not there for a while computes all windows that were missed in
//! one run. All times are nanoseconds since 1970 UTC.

use super::check::fold::{Environment, fold_paren};
use super::check::{self, CheckError, Interval, Offset, time_range};
use super::continuous::CreateContinuousQuery;
use super::expr::{BinaryOp, Expr, Literal, Logic, VarRef};
use super::select::Select;
use crate::query::series::Windows;

/// A run that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The moment that it is for: the next run is due one period later.
    pub moment_ns: i64,
    /// What is to be computed; `None` when no window has ended.
    pub select: Option<Select>,
}

/// The run of `query` that is due at `now_ns`, if any, when the last one was for `last_ns`.
///
/// Errors: the SELECT makes no sense; then it never will.
pub fn due(query: &CreateContinuousQuery, last_ns: Option<i64>, now_ns: i64) -> Result<Option<Due>, CheckError> {
    let select = &*query.select;
    let Some(Interval { length, offset }) = check::select(select, now_ns)?.interval.filter(|i| i.length > 0) else {
        return Ok(None);
    };
    let offset = match offset {
        Offset::Nanoseconds(offset) => offset,
        Offset::Text(_) => 0,
    };
    let borders = |every| Windows::new(every, offset, select.zone.map(|zone| zone.rules)).map(|w| w.clock());
    let every = query.resample_every.map_or(length, |every| every.0);
    let (Some(mut windows), Some(mut periods)) = (borders(length), borders(every)) else { return Ok(None) };
    let next = match last_ns {
        Some(last) => {
            let mut next = last.saturating_add(every);
            // In a period in which the clock changes it is shorter or longer by the change.
            let change = windows.shift(last.saturating_sub(1)) - windows.shift(next.saturating_sub(1));
            if change.abs() < every {
                next = next.saturating_add(change);
            }
            next
        }
        None => now_ns,
    };
    if next > now_ns {
        return Ok(None);
    }
    let reach = query.resample_for.map_or(length.max(every), |reach| reach.0);
    // A run that comes more often than windows end computes the window under way, too.
    let ahead = length - every.min(length);
    let start = windows.start(next.saturating_add(length).saturating_sub(reach).saturating_sub(1));
    let end = windows.start(now_ns.saturating_add(ahead));
    let select = if end > start { Some(within(select, start, end, now_ns)?) } else { None };
    Ok(Some(Due { moment_ns: periods.start(now_ns), select }))
}

/// The select over times from `start` to before `end`, whatever times its own condition asks for.
fn within(select: &Select, start: i64, end: i64, now_ns: i64) -> Result<Select, CheckError> {
    let environment = Environment { now: Some(now_ns), zone: select.zone, math: false };
    let (rest, _) = time_range::split(select.condition.as_ref(), &environment)?;
    let bound = |op, time: i64| {
        Expr::binary(op, Expr::Ref(VarRef::plain("time")), Expr::Literal(Literal::Time(i128::from(time))))
    };
    let bounds = [bound(BinaryOp::GreaterEq, start), bound(BinaryOp::Less, end)];
    let terms = rest.map(fold_paren).into_iter().chain(bounds).collect();
    Ok(Select { condition: Some(Expr::Logic(Logic::And, terms)), ..select.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::{Statement, parse};
    use super::*;

    fn query(text: &str) -> CreateContinuousQuery {
        match parse(text).unwrap().statements.remove(0) {
            Statement::CreateContinuousQuery(create) => create,
            other => panic!("{other}"),
        }
    }

    fn ns(moment: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(moment).unwrap().timestamp_nanos_opt().unwrap()
    }

    fn time(ns: i64) -> String {
        chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }

    /// `(moment, start, end)` of the run of `RESAMPLE … GROUP BY …` that is due on 1 January 2000 (or the day in the text).
    #[track_caller]
    fn check(resample: &str, group: &str, last: Option<&str>, now: &str, expected: Option<(&str, &str, &str)>) {
        let full = |moment: &str| if moment.contains('T') { ns(moment) } else { ns(&format!("2000-01-01T{moment}Z")) };
        let text = format!(
            "CREATE CONTINUOUS QUERY q ON d {resample} BEGIN SELECT mean(f) INTO t FROM m GROUP BY {group} END"
        );
        let due = due(&query(&text), last.map(full), full(now)).unwrap();
        let found = due.map(|due| {
            let range = due.select.map(|select| check::select(&select, full(now)).unwrap().range);
            let (start, end) = range.map_or((0, 0), |range| (range.min.unwrap(), range.max.unwrap() + 1));
            (time(due.moment_ns), time(start), time(end))
        });
        let expected = expected.map(|(moment, start, end)| (time(full(moment)), time(full(start)), time(full(end))));
        assert_eq!(found, expected, "{text} after {last:?} at {now}");
    }

    const NEVER: &str = "1970-01-01T00:00:00Z";

    #[test]
    fn at_each_border_the_window_before_it_is_computed() {
        check("", "time(1m)", Some("00:01:00"), "00:02:00", Some(("00:02:00", "00:01:00", "00:02:00")));
        check("", "time(1m)", Some("00:01:00"), "00:02:00.5", Some(("00:02:00", "00:01:00", "00:02:00")));
        check("", "time(1m)", Some("00:01:00"), "00:01:59.999", None);
        check("", "time(1m), host", Some("00:01:00"), "00:02:59", Some(("00:02:00", "00:01:00", "00:02:00")));
    }

    #[test]
    fn the_first_run_computes_the_last_whole_window() {
        check("", "time(1m)", None, "00:02:00", Some(("00:02:00", "00:01:00", "00:02:00")));
        // Between two borders there is none that ended since.
        check("", "time(1m)", None, "00:02:30", Some(("00:02:00", NEVER, NEVER)));
    }

    #[test]
    fn windows_that_were_missed_are_computed_in_one_run() {
        check("", "time(1m)", Some("00:01:00"), "00:05:10", Some(("00:05:00", "00:01:00", "00:05:00")));
        check("RESAMPLE FOR 3m", "time(1m)", Some("00:05:00"), "00:09:00", Some(("00:09:00", "00:03:00", "00:09:00")));
    }

    #[test]
    fn resampling_computes_earlier_windows_again_or_the_one_under_way() {
        check("RESAMPLE FOR 3m", "time(1m)", Some("00:05:00"), "00:06:00", Some(("00:06:00", "00:03:00", "00:06:00")));
        check(
            "RESAMPLE EVERY 20s",
            "time(1m)",
            Some("00:05:00"),
            "00:05:20",
            Some(("00:05:20", "00:05:00", "00:06:00")),
        );
        check("RESAMPLE EVERY 20s", "time(1m)", Some("00:05:00"), "00:05:19", None);
        // Less often than windows end: all windows since.
        check(
            "RESAMPLE EVERY 2m",
            "time(1m)",
            Some("00:04:00"),
            "00:06:00",
            Some(("00:06:00", "00:04:00", "00:06:00")),
        );
        let both = "RESAMPLE EVERY 2m FOR 4m";
        check(both, "time(1m)", Some("00:04:00"), "00:06:00", Some(("00:06:00", "00:02:00", "00:06:00")));
    }

    #[test]
    fn an_offset_moves_the_borders() {
        check("", "time(1h, 15m)", Some("00:15:00"), "01:14:59", None);
        check("", "time(1h, 15m)", Some("00:15:00"), "01:15:00", Some(("01:15:00", "00:15:00", "01:15:00")));
        check("", "time(1h, -15m)", Some("00:45:00"), "01:45:01", Some(("01:45:00", "00:45:00", "01:45:00")));
    }

    #[test]
    fn days_are_those_of_the_zone_also_when_its_clock_changes() {
        let zone = "time(1d) tz('Europe/Berlin')";
        let day = |from, to| Some((to, from, to));
        check("", zone, Some("2000-03-24T23:00:00Z"), "2000-03-25T22:59:59Z", None);
        let before = day("2000-03-24T23:00:00Z", "2000-03-25T23:00:00Z");
        check("", zone, Some("2000-03-24T23:00:00Z"), "2000-03-25T23:00:00Z", before);
        // The day has 23 hours.
        let short = day("2000-03-25T23:00:00Z", "2000-03-26T22:00:00Z");
        check("", zone, Some("2000-03-25T23:00:00Z"), "2000-03-26T22:00:00Z", short);
        check("", zone, Some("2000-03-25T23:00:00Z"), "2000-03-26T21:59:59Z", None);
    }

    #[test]
    fn the_rest_of_the_condition_stays() {
        let text = "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT mean(f) INTO t FROM m \
                    WHERE (host = 'a' OR f > 1) AND time > now() - 1d GROUP BY time(1m) END";
        let due = due(&query(text), None, ns("2000-01-01T00:01:00Z")).unwrap().unwrap();
        let expected = "SELECT mean(f) INTO t FROM m WHERE (host = 'a' OR f > 1) AND time >= '2000-01-01T00:00:00Z' \
                        AND time < '2000-01-01T00:01:00Z' GROUP BY time(1m)";
        assert_eq!(due.select.unwrap().to_string(), expected);
    }

    #[test]
    fn rows_as_they_are_never_run() {
        let text = "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT f INTO t FROM m END";
        assert_eq!(due(&query(text), None, ns("2000-01-01T00:01:00Z")).unwrap(), None);
    }
}
