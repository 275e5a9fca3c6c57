//! Functions of CnosDB's SQL that are written with those of the shared library: each call becomes an expression of the engine.
//!
//! | call | becomes |
//! |---|---|
//! | `first(time, x)`, `last(time, x)` | the value of `first_point(x, time)`, `last_point(x, time)` |
//! | `mode(x)`, `increase(time, x)` | `mode_value(false, x)`, `increase_value(x, time)` |
//! | `gauge_agg(time, x)` | `gauge_value(x, time)` |
//! | `delta(gauge_agg(time, x))` and its like | differences of the values and times of those points |
//! | `exact_count(x)` | `count(x)` |
//! | `state_at(state_agg(time, s), t)` | the last point not later than `t`, before the last of all |
//! | `duration_in(state_agg(time, s), 'state', from, interval)` | `state_duration('state', from, from + interval, s, time)` |
//! | `completeness(time, x)`, `consistency`, `timeliness`, `validity` | `completeness_value(x, time)` and so on, null as NaN |
//! | `sample(x, n)` | the values of `sample_points(n, …, x, …)` |
//! | `time_window(time, width, …)` | a struct of `date_bin`, or an unnested list of them |
//!
//! Those that make rows of their own are in [`repairs`].

use std::fmt::{self, Write};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select,
    SelectItem, Value, VisitMut, VisitorMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::query::error::QueryError;

use super::duration::Lasting;
use super::refusal::Refusal;
use super::{repairs, top_rows};

/// Windows that a row may be in.
const WINDOWS_A_ROW_MAX: i64 = 1_000;

/// Most values of a sample.
const SAMPLE_MAX: u64 = 2_000;

/// Bytes of text that all rewritten calls of a statement may come to. A call repeats its arguments, and those may be such calls.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// No less than the bytes that a call's form adds to one copy of its arguments.
const FORM_BYTES: usize = 192;

/// Most copies of an argument that a call becomes; those of `time_window` are counted.
const COPIES_MAX: usize = 4;

/// What is left of [`TEXT_BYTES_MAX`].
struct Room {
    bytes: usize,
}

impl Room {
    /// Takes what `copies` copies of a call may need, before anything of it is built.
    fn take(&mut self, call: &Expr, copies: usize) -> Result<(), QueryError> {
        let mut written = Written { left: self.bytes };
        let refuse =
            || QueryError::Plan(format!("the statement's calls come to more than {TEXT_BYTES_MAX} bytes of SQL"));
        write!(written, "{call}").map_err(|_| refuse())?;
        let once = self.bytes - written.left + FORM_BYTES;
        self.bytes = self.bytes.checked_sub(once.saturating_mul(copies)).ok_or_else(refuse)?;
        Ok(())
    }
}

/// Counts what is written to it, and fails beyond `left`.
struct Written {
    left: usize,
}

impl Write for Written {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Rewrites all calls in a statement, which may come to [`TEXT_BYTES_MAX`]. Columns without an alias keep the name that the call was written with.
/// `seed` is what samples are drawn by.
pub(super) fn rewrite<S: VisitMut>(statement: &mut S, seed: u64) -> Result<(), QueryError> {
    struct Named;
    impl VisitorMut for Named {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) = item
                    && (calls_ours(expr)
                        || call(expr).is_some_and(|(name, _)| top_rows::NAMES.contains(&name.as_str())))
                {
                    let alias = Ident::with_quote('"', expr.to_string());
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
            ControlFlow::Continue(())
        }
    }
    repairs::rewrite(statement)?;
    let _ = statement.visit(&mut Named);
    let mut room = Room { bytes: TEXT_BYTES_MAX };
    let failed = visit_expressions_mut(statement, |expr: &mut Expr| match rewritten(expr, seed, &mut room) {
        Ok(Some(new)) => {
            *expr = new;
            ControlFlow::Continue(())
        }
        Ok(None) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match failed {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn calls_ours(expr: &Expr) -> bool {
    if is_exact_count(expr) {
        return true;
    }
    let Some((name, _)) = call(expr) else { return false };
    const OURS: [&str; 13] = [
        "gauge_agg",
        "first",
        "last",
        "mode",
        "increase",
        "time_window",
        "state_at",
        "duration_in",
        "sample",
        "completeness",
        "consistency",
        "timeliness",
        "validity",
    ];
    OURS.contains(&name.as_str()) || gauge_part(&name).is_some() || repairs::function(&name).is_some()
}

/// Name, in lower case, and plain arguments of a call.
pub(super) fn call(expr: &Expr) -> Option<(String, Vec<&Expr>)> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), over: None, .. }) = expr else {
        return None;
    };
    let [part] = &name.0[..] else { return None };
    let plain = |arg: &FunctionArg| matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
    if !list.args.iter().all(plain) {
        return None;
    }
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    Some((part.as_ident()?.value.to_lowercase(), args.collect()))
}

/// `count` is exact here, whatever it counts.
fn is_exact_count(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(Function { name, .. }) if name.to_string().eq_ignore_ascii_case("exact_count"))
}

fn rewritten(expr: &Expr, seed: u64, room: &mut Room) -> Result<Option<Expr>, QueryError> {
    if let Expr::Function(function) = expr
        && is_exact_count(expr)
    {
        let name = ObjectName::from(vec![Ident::new("count")]);
        return Ok(Some(Expr::Function(Function { name, ..function.clone() })));
    }
    let Some((name, args)) = call(expr) else { return Ok(None) };
    if !calls_ours(expr) {
        return Ok(None);
    }
    room.take(expr, COPIES_MAX)?;
    let filter = match expr {
        Expr::Function(Function { filter: Some(filter), .. }) => format!(" FILTER (WHERE {filter})"),
        _ => String::new(),
    };
    let text = match (name.as_str(), &args[..]) {
        ("first", [time, x]) => format!("get_field(first_point({x}, {time}){filter}, 'value')"),
        ("last", [time, x]) => format!("get_field(last_point({x}, {time}){filter}, 'value')"),
        ("first" | "last", _) => return Err(QueryError::Plan(format!("{name} takes a time and a value"))),
        // Of equally frequent values the least: all are as old as each other.
        ("mode", [x]) => format!("mode_value(false, {x}, TIMESTAMP '1970-01-01T00:00:00'){filter}"),
        ("increase", [time, x]) => format!("increase_value({x}, {time}){filter}"),
        ("gauge_agg", [time, x]) => format!("gauge_value({x}, {time}){filter}"),
        ("gauge_agg", args) => {
            let what = format!("The function \"gauge_agg\" does not accept {} function arguments.", args.len());
            return Err(QueryError::Plan(what));
        }
        ("state_at", [states, at]) => {
            let (time, state, Kept::All) = states_of(states)? else {
                return Err(Refusal::Update("state_at(state_agg, time) doesn't support compact_agg".to_string()).into());
            };
            // The last state has no length.
            format!(
                "CASE WHEN ({at}) < max({time}) THEN get_field(last_point({state}, {time}) FILTER (WHERE {time} <= ({at})), 'value') END"
            )
        }
        ("duration_in", [states, wanted, bounds @ ..]) if bounds.len() <= 2 => {
            let (time, state, kept) = states_of(states)?;
            if kept == Kept::Lengths && !bounds.is_empty() {
                let what = "duration_in(state_agg, state, start_time, interval) doesn't support compact_agg";
                return Err(Refusal::Update(what.to_string()).into());
            }
            let from = bounds.first().map_or("NULL".to_string(), |from| format!("CAST({from} AS TIMESTAMP)"));
            let until =
                bounds.get(1).map_or("NULL".to_string(), |length| format!("{from} + CAST({length} AS INTERVAL)"));
            format!("state_duration({wanted}, {from}, {until}, {state}, {time}){filter}")
        }
        ("completeness" | "consistency" | "timeliness" | "validity", [time, x]) => {
            // What is null is a fault of the series.
            format!("{name}_value(coalesce(CAST({x} AS DOUBLE), CAST('NaN' AS DOUBLE)), {time}){filter}")
        }
        (name, _) if repairs::function(name).is_some() => {
            return Err(QueryError::Plan(repairs::MISPLACED.to_string()));
        }
        ("sample", [x, n]) => {
            let n = n.to_string().parse().ok().filter(|n| (1..=SAMPLE_MAX).contains(n));
            let refuse =
                || QueryError::Plan(format!("the number of values of a sample is a constant from 1 to {SAMPLE_MAX}"));
            let n = n.ok_or_else(refuse)?;
            format!("point_values(sample_points({n}, {seed}, {x}, TIMESTAMP '1970-01-01T00:00:00'){filter})")
        }
        ("time_window", [time, rest @ ..]) if matches!(rest.len(), 1..=3) => {
            time_window(time, rest, |copies| room.take(expr, copies))?
        }
        (name, [gauge]) => match gauge_part(name) {
            Some(part) => match call(gauge) {
                // What is inside is rewritten first.
                Some((name, parts)) if name == "gauge_value" && parts.len() == 2 => {
                    gauge_text(part, parts[1], parts[0], gauge)
                }
                _ => return Err(Refusal::Update(format!("Expected GaugeData, got {gauge}")).into()),
            },
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    parse(&text).map(Some)
}

/// What CnosDB keeps of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// When each began.
    All,
    /// How long each lasted, altogether.
    Lengths,
}

/// Time and state of the states that a function takes.
fn states_of(states: &Expr) -> Result<(&Expr, &Expr, Kept), QueryError> {
    match call(states) {
        Some((name, parts)) if matches!(name.as_str(), "state_agg" | "compact_state_agg") && parts.len() == 2 => {
            let kept = if name == "state_agg" { Kept::All } else { Kept::Lengths };
            Ok((parts[0], parts[1], kept))
        }
        _ => Err(Refusal::Update(format!("Expected StateAggData, got {states}")).into()),
    }
}

fn parse(text: &str) -> Result<Expr, QueryError> {
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(text).and_then(|mut parser| parser.parse_expr());
    parsed.map_err(|error| QueryError::Syntax(error.to_string()))
}

/// What is asked of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GaugePart {
    Delta,
    TimeDelta,
    Rate,
    Value { last: bool },
    Time { last: bool },
    IdeltaLeft,
    IdeltaRight,
    NumElements,
    NumChanges,
}

fn gauge_part(name: &str) -> Option<GaugePart> {
    Some(match name {
        "delta" => GaugePart::Delta,
        "time_delta" => GaugePart::TimeDelta,
        "rate" => GaugePart::Rate,
        "first_val" => GaugePart::Value { last: false },
        "last_val" => GaugePart::Value { last: true },
        "first_time" => GaugePart::Time { last: false },
        "last_time" => GaugePart::Time { last: true },
        "idelta_left" => GaugePart::IdeltaLeft,
        "idelta_right" => GaugePart::IdeltaRight,
        "num_elements" => GaugePart::NumElements,
        "num_changes" => GaugePart::NumChanges,
        _ => return None,
    })
}

/// `gauge`: the call that makes it of `time` and `x`.
fn gauge_text(part: GaugePart, time: &Expr, x: &Expr, gauge: &Expr) -> String {
    let point = |last: bool, field: &str| {
        let name = if last { "last_point" } else { "first_point" };
        format!("get_field({name}(CAST({x} AS DOUBLE), {time}), '{field}')")
    };
    let delta = || format!("({} - {})", point(true, "value"), point(false, "value"));
    let value_of = |point: &str| format!("get_field(get_field({gauge}, '{point}'), 'val')");
    match part {
        GaugePart::Delta => delta(),
        GaugePart::TimeDelta => format!("CAST({} - {} AS INTERVAL)", point(true, "time"), point(false, "time")),
        GaugePart::Rate => {
            let nanos = |last| format!("CAST({} AS BIGINT)", point(last, "time"));
            format!("({} / nullif(CAST({} - {} AS DOUBLE), 0.0))", delta(), nanos(true), nanos(false))
        }
        GaugePart::Value { last } => point(last, "value"),
        GaugePart::Time { last } => point(last, "time"),
        GaugePart::IdeltaLeft => format!("({} - {})", value_of("second"), value_of("first")),
        GaugePart::IdeltaRight => format!("({} - {})", value_of("last"), value_of("penultimate")),
        GaugePart::NumElements => format!("count({x})"),
        GaugePart::NumChanges => format!("changes_value({x}, {time})"),
    }
}

/// The windows that a time is in: from a multiple of the slide after the start (the epoch, unless given), as wide as said.
/// `take_room` is asked for so many copies of the arguments.
fn time_window(
    time: &Expr,
    rest: &[&Expr],
    take_room: impl FnOnce(usize) -> Result<(), QueryError>,
) -> Result<String, QueryError> {
    let refuse = |what: &str| QueryError::Plan(format!("time_window: {what}"));
    let width = length_ns(rest[0]).ok_or_else(|| refuse("the width is no constant length of time"))?;
    let slide = rest.get(1).map_or(Some(width), |slide| length_ns(slide));
    let slide = slide.ok_or_else(|| refuse("the slide is no constant length of time"))?;
    if slide > width {
        return Err(refuse("the slide is longer than the window"));
    }
    let count = (width - 1) / slide + 1;
    if count > WINDOWS_A_ROW_MAX {
        return Err(refuse(&format!("a row would be in {count} windows, {WINDOWS_A_ROW_MAX} at most")));
    }
    // Two a window, in one list or in two, and what tells which list.
    take_room(4 * count as usize + 1)?;
    let interval = |ns: i64| format!("INTERVAL '{ns} nanoseconds'");
    let start = rest.get(2).map_or(String::new(), |start| format!(", {start}"));
    let bin = format!("date_bin({}, CAST({time} AS TIMESTAMP){start})", interval(slide));
    let window = |back: i64| {
        let start = if back == 0 { bin.clone() } else { format!("({bin} - {})", interval(back * slide)) };
        format!("named_struct('start', {start}, 'end', {start} + {})", interval(width))
    };
    if slide == width {
        return Ok(window(0));
    }
    let list = |count: i64| {
        let windows: Vec<String> = (0..count).rev().map(window).collect();
        format!("make_array({})", windows.join(", "))
    };
    if width % slide == 0 {
        return Ok(format!("unnest({})", list(count)));
    }
    // The earliest window is over before the time where the slides do not fill it.
    let reach = width - (count - 1) * slide;
    Ok(format!(
        "unnest(CASE WHEN {time} < {bin} + {} THEN {} ELSE {} END)",
        interval(reach),
        list(count),
        list(count - 1)
    ))
}

/// A constant length of time: an interval, or text such as `'10s'`; nanoseconds. `None`: it is none, or has months.
pub(super) fn length_ns(expr: &Expr) -> Option<i64> {
    let text = |value: &Expr| match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
            Value::Number(digits, _) => Some(digits.clone()),
            _ => None,
        },
        _ => None,
    };
    let (text, unit) = match expr {
        Expr::Nested(inner) => return length_ns(inner),
        Expr::Cast { expr, data_type: SqlType::Interval { .. }, .. } => return length_ns(expr),
        Expr::Interval(interval) => {
            (text(&interval.value)?, interval.leading_field.as_ref().map(|f| f.to_string().to_lowercase()))
        }
        other => (text(other)?, None),
    };
    let text = text + &unit.unwrap_or_default();
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    match Lasting::parse(&compact)? {
        Lasting::For(ns) => Some(ns),
        Lasting::ForEver => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse_text;
    use super::*;
    use datafusion::sql::parser::Statement as EngineStatement;

    fn rewritten(text: &str) -> Result<String, String> {
        let Ok(EngineStatement::Statement(mut statement)) = parse_text(text) else { panic!("{text}") };
        rewrite(statement.as_mut(), 7).map(|()| statement.to_string()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        assert_eq!(rewritten(text).as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn calls_become_those_of_the_library() {
        check(
            "SELECT first(time, f) FROM t",
            Ok(r#"SELECT get_field(first_point(f, time), 'value') AS "first(time, f)" FROM t"#),
        );
        check(
            "SELECT MODE(f) + 1 AS m FROM t",
            Ok("SELECT mode_value(false, f, TIMESTAMP '1970-01-01T00:00:00') + 1 AS m FROM t"),
        );
        check("SELECT increase(time, f ORDER BY time) AS i FROM t", Ok("SELECT increase_value(f, time) AS i FROM t"));
        let expected = "SELECT (get_field(last_point(CAST(f AS DOUBLE), time), 'value') - get_field(first_point(CAST(f AS DOUBLE), time), 'value')) AS d FROM t";
        check("SELECT delta(gauge_agg(time, f)) AS d FROM t", Ok(expected));
        let expected = "SELECT state_duration('on', NULL, NULL, s, time) AS d FROM t";
        check("SELECT duration_in(compact_state_agg(time, s), 'on') AS d FROM t", Ok(expected));
        let refused = "duration_in(state_agg, state, start_time, interval) doesn't support compact_agg";
        check("SELECT duration_in(compact_state_agg(time, s), 'on', time) AS d FROM t", Err(refused));
        let refused = "state_at(state_agg, time) doesn't support compact_agg";
        check("SELECT state_at(compact_state_agg(time, s), time) AS d FROM t", Err(refused));
        check("SELECT gauge_agg(time, f ORDER BY time) AS g FROM t", Ok("SELECT gauge_value(f, time) AS g FROM t"));
        check("SELECT exact_count(*) FROM t", Ok(r#"SELECT count(*) AS "exact_count(*)" FROM t"#));
        let expected = "SELECT (get_field(get_field(gauge_value(f, time), 'second'), 'val') - get_field(get_field(gauge_value(f, time), 'first'), 'val')) AS d FROM t";
        check("SELECT idelta_left(gauge_agg(time, f)) AS d FROM t", Ok(expected));
        let expected = "SELECT state_duration('on', CAST('2024-01-01' AS TIMESTAMP), CAST('2024-01-01' AS TIMESTAMP) + CAST(INTERVAL '1 day' AS INTERVAL), s, time) AS d FROM t";
        let text = "SELECT duration_in(state_agg(time, s), 'on', '2024-01-01', INTERVAL '1 day') AS d FROM t";
        check(text, Ok(expected));
        check("SELECT duration_in(s, 'on') FROM t", Err("Expected StateAggData, got s"));
        let expected = "SELECT point_values(sample_points(5, 7, f, TIMESTAMP '1970-01-01T00:00:00')) AS x FROM t";
        check("SELECT sample(f, 5) AS x FROM t", Ok(expected));
        for n in ["0", "2001", "-1", "f", "'5'"] {
            let refused = "the number of values of a sample is a constant from 1 to 2000";
            check(&format!("SELECT sample(f, {n}) FROM t"), Err(refused));
        }
        let expected = "SELECT validity_value(coalesce(CAST(f AS DOUBLE), CAST('NaN' AS DOUBLE)), time) AS v FROM t";
        check("SELECT validity(time, f) AS v FROM t", Ok(expected));
        // Planned as they are.
        let expected = r#"SELECT topk(f, 2) AS "topk(f, 2)", g FROM t"#;
        check("SELECT topk(f, 2), g FROM t", Ok(expected));
        check("SELECT max(f) FROM t", Ok("SELECT max(f) FROM t"));
        check("SELECT first(time) FROM t", Err("first takes a time and a value"));
        check("SELECT delta(f) FROM t", Err("Expected GaugeData, got f"));
    }

    #[test]
    fn a_time_is_in_one_window_or_in_several() {
        let bin = |ns: i64| format!("date_bin(INTERVAL '{ns} nanoseconds', CAST(time AS TIMESTAMP))");
        let (ten, five) = (bin(10_000_000_000), bin(5_000_000_000));
        let one = format!(
            "SELECT named_struct('start', {ten}, 'end', {ten} + INTERVAL '10000000000 nanoseconds') AS w FROM t"
        );
        check("SELECT time_window(time, interval '10 seconds') AS w FROM t", Ok(&one));
        check("SELECT time_window(time, cast('10 seconds' as interval)) AS w FROM t", Ok(&one));
        check("SELECT time_window(time, '10s') AS w FROM t", Ok(&one));
        let text = rewritten("SELECT time_window(time, '10s', interval '5' second) AS w FROM t").unwrap();
        let back = format!("({five} - INTERVAL '5000000000 nanoseconds')");
        assert!(text.starts_with(&format!("SELECT unnest(make_array(named_struct('start', {back}, 'end',")), "{text}");
        let text = rewritten("SELECT time_window(time, '10ms', '6ms') AS w FROM t").unwrap();
        assert!(text.contains("INTERVAL '4000000 nanoseconds' THEN make_array("), "{text}");
        check(
            "SELECT time_window(time, '1s', '2s') AS w FROM t",
            Err("time_window: the slide is longer than the window"),
        );
        check("SELECT time_window(time, f) AS w FROM t", Err("time_window: the width is no constant length of time"));
        // Lengths that are together longer than there is time.
        let long = rewritten("SELECT time_window(time, '290y', '200y') AS w FROM t").unwrap();
        assert!(long.starts_with("SELECT unnest(CASE WHEN time <"), "{long}");
    }

    #[test]
    fn calls_come_to_a_bounded_text() {
        let refused = Err("the statement's calls come to more than 4194304 bytes of SQL".to_string());
        let windows = |time: &str| format!("time_window({time}, '1000s', '1s')");
        assert!(rewritten(&format!("SELECT {} AS w FROM t", windows("time"))).is_ok());
        let nested = format!("SELECT {} AS w FROM t", windows(&windows("time")));
        assert_eq!(rewritten(&nested), refused);
        let many = vec![windows("time"); 20].join(", ");
        assert_eq!(rewritten(&format!("SELECT {many} FROM t")), refused);
        let many = vec!["rate(gauge_agg(time, f))"; 6_000].join(", ");
        assert_eq!(rewritten(&format!("SELECT {many} FROM t")), refused);
    }
}
