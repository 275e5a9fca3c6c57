//! What the server's own compiler says of each of these.

use super::{CheckedSource, Dimension, Interval, Offset, select};
use crate::query::influxql::select::Select;
use crate::query::influxql::{Statement, parse};

/// 2023-11-14T22:13:20.123456789Z
const NOW: i64 = 1_700_000_000_123_456_789;

#[track_caller]
fn parsed(text: &str) -> Select {
    match parse(text).unwrap().statements.remove(0) {
        Statement::Select(select) => *select,
        other => panic!("{other} is no SELECT"),
    }
}

/// The condition, the bounds on time, and the fields of `text`; or why it makes no sense.
#[track_caller]
fn check(text: &str, expected: Result<&str, &str>) {
    let found = select(&parsed(text), NOW).map_err(|e| e.to_string()).map(|checked| {
        let condition = checked.condition.map_or("-".to_string(), |condition| condition.to_string());
        let [min, max] = [checked.range.min, checked.range.max].map(|t| t.map_or("-".to_string(), |t| t.to_string()));
        let fields: Vec<_> = checked.fields.iter().map(ToString::to_string).collect();
        format!("{condition}; {min} to {max}; {}", fields.join(", "))
    });
    assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{text:?}");
}

#[test]
fn bounds_on_time_leave_the_condition() {
    check("SELECT v FROM m WHERE time >= 10 AND t = 'x' AND 20s > time", Ok("t = 'x'; 10 to 19999999999; v"));
    check(
        "SELECT v FROM m WHERE (time > '2020-01-01' OR v > 1 + 2) AND TIME <= '2020-01-02T00:00:00.5Z'",
        Ok("v > 3; 1577836800000000001 to 1577923200500000000; v"),
    );
    check("SELECT v FROM m WHERE time = now() - 1h", Ok("-; 1699996400123456789 to 1699996400123456789; v"));
    check("SELECT v FROM m WHERE time > '2020-03-01 01:02:03.25' + 1d - 30m", Ok("-; 1583109123250000001 to -; v"));
    check("SELECT v FROM m WHERE time < 1.9 AND time > 5m * 2 / 4", Ok("-; 150000000001 to 0; v"));
    check("SELECT v FROM m WHERE time > 5 AND time > 3 AND time < 9 AND time < 11", Ok("-; 6 to 8; v"));
    check(
        "SELECT v FROM m WHERE time > '2020-07-01' AND time < '2020-07-01T00:00:00Z' TZ('America/New_York')",
        Ok("-; 1593576000000000001 to 1593561599999999999; v"),
    );
    check("SELECT v FROM m WHERE ((time > 5))", Ok("-; 6 to -; v"));
    check("SELECT v FROM m WHERE true AND (false OR v = now())", Ok("v = '2023-11-14T22:13:20.123456789Z'; - to -; v"));
    check("SELECT v FROM m WHERE v = 1 AND false", Ok("false; - to -; v"));
    check("SELECT v FROM m WHERE 1 = 1", Ok("-; - to -; v"));
    check(
        "SELECT v FROM m WHERE v > 7 / 2 AND w = 7 % 4 AND x = 'a' + 'b' AND y = 3 & 6 AND z = -(2)",
        Ok("v > 3.500 AND w = 3 AND x = 'ab' AND y = 2 AND z = -2; - to -; v"),
    );
    check("SELECT v FROM m WHERE v = '2020-01-01' - 1h", Ok("v = '2019-12-31T23:00:00Z'; - to -; v"));
}

#[test]
fn times_that_are_none_are_named() {
    check("SELECT v FROM m WHERE time > w", Err("invalid operation: time and *influxql.VarRef are not compatible"));
    check(
        "SELECT v FROM m WHERE time > 'noon'",
        Err("invalid operation: time and *influxql.StringLiteral are not compatible"),
    );
    check("SELECT v FROM m WHERE time > '2020-13-01'", Err("invalid timestamp string"));
    check("SELECT v FROM m WHERE time > '2020-01-01T00:00:00'", Err("invalid timestamp string"));
    check(
        "SELECT v FROM m WHERE time > true",
        Err("invalid operation: time and *influxql.BooleanLiteral are not compatible"),
    );
    check("SELECT v FROM m WHERE time > f(1)", Err("invalid operation: time and *influxql.Call are not compatible"));
    check(
        "SELECT v FROM m WHERE time > 1h + w",
        Err("invalid operation: time and *influxql.BinaryExpr are not compatible"),
    );
    check("SELECT v FROM m WHERE time != 5", Err("invalid time comparison operator: !="));
    check(
        "SELECT v FROM m WHERE time =~ /x/",
        Err("invalid operation: time and *influxql.RegexLiteral are not compatible"),
    );
    check("SELECT v FROM m WHERE time > '2600-01-01'", Err("time 2600-01-01T00:00:00Z overflows time literal"));
    check(
        "SELECT v FROM m WHERE time < '1600-01-01T12:00:00Z'",
        Err("time 1600-01-01T12:00:00Z underflows time literal"),
    );
    check("SELECT v FROM m WHERE v", Err("invalid condition expression: v"));
    check("SELECT v FROM m WHERE v = 1 AND 5", Err("invalid condition expression: 5"));
    check("SELECT v FROM m WHERE 1s + 1s", Err("invalid condition expression: 2s"));
    check("SELECT v FROM m WHERE mean(v) > 1", Err("invalid function call in condition: mean(v)"));
    check("SELECT v FROM m WHERE pow(v) > 1", Err("invalid number of arguments for pow, expected 2, got 1"));
}

#[test]
fn dimensions_are_windows_and_tags() {
    check("SELECT mean(v) FROM m GROUP BY time", Err("time() is a function and expects at least one argument"));
    check("SELECT mean(v) FROM m GROUP BY time()", Err("time dimension expected 1 or 2 arguments"));
    check("SELECT mean(v) FROM m GROUP BY time(5)", Err("time dimension must have duration argument"));
    check("SELECT mean(v) FROM m GROUP BY time(1m, 1s, 1s)", Err("time dimension expected 1 or 2 arguments"));
    check("SELECT mean(v) FROM m GROUP BY time(1m), time(2m)", Err("multiple time dimensions not allowed"));
    check("SELECT mean(v) FROM m GROUP BY floor(1m)", Err("only time() calls allowed in dimensions"));
    check("SELECT mean(v) FROM m GROUP BY t + 1", Err("only time and tag dimensions allowed"));
    check("SELECT mean(v) FROM m GROUP BY time(1m, 5)", Err("time dimension offset must be duration or now()"));
    check("SELECT mean(v) FROM m GROUP BY time(1m, later())", Err("time dimension offset function must be now()"));
    check(
        "SELECT mean(v) FROM m GROUP BY time(1m, now(1))",
        Err("time dimension offset now() function requires no arguments"),
    );
    check("SELECT mean(v) FROM m GROUP BY time(1m, 'noon')", Err("time dimension offset must be duration or now()"));
    check("SELECT mean(v) FROM m GROUP BY time(1m, '2020-01-99')", Err("invalid timestamp string"));
}

#[test]
fn calls_and_names_stand_together_by_rules() {
    check("SELECT time FROM m", Err("at least 1 non-time field must be queried"));
    check("SELECT 1 FROM m", Err("field must contain at least one variable"));
    check("SELECT 1 + 2 FROM m", Err("field must contain at least one variable"));
    check("SELECT 'a' - 'b' FROM m", Err("cannot perform a binary expression on two literals"));
    check("SELECT * + 1 FROM m", Err("unable to use wildcard in a binary expression"));
    check("SELECT v, mean(v) FROM m", Err("mixing aggregate and non-aggregate queries is not supported"));
    check(
        "SELECT v, max(v), min(v) FROM m",
        Err("mixing multiple selector functions with tags or fields is not supported"),
    );
    check("SELECT max(*), v FROM m", Err("mixing aggregate and non-aggregate queries is not supported"));
    check("SELECT max(v), w FROM m", Ok("-; - to -; max(v), w"));
    check("SELECT v FROM m GROUP BY time(1m)", Err("GROUP BY requires at least one aggregate function"));
    check("SELECT v FROM m fill(none)", Err("fill(none) must be used with a function"));
    check("SELECT v FROM m fill(linear)", Err("fill(linear) must be used with a function"));
    check(
        "SELECT distinct(v), w FROM m",
        Err("aggregate function distinct() cannot be combined with other functions or fields"),
    );
    check(
        "SELECT DISTINCT v, mean(v) FROM m",
        Err("aggregate function distinct() cannot be combined with other functions or fields"),
    );
    check("SELECT top(v, 1), max(v) FROM m", Err("selector function top() cannot be combined with other functions"));
    check("SELECT max(v), top(v, 1) FROM m", Err("selector function top() cannot be combined with other functions"));
    check("SELECT mean(v) * abs(w) FROM m", Err("mixing aggregate and non-aggregate queries is not supported"));
    check(
        "SELECT mean(v) FROM (SELECT v FROM m ORDER BY time DESC)",
        Err("subqueries must be ordered in the same direction as the query itself"),
    );
    check(
        "SELECT mean(v) FROM (SELECT v FROM m GROUP BY time(1m)) GROUP BY time(1m)",
        Err("fill(none) must be used with a function"),
    );
    check("SELECT mean(d) FROM (SELECT derivative(v) AS d FROM m) GROUP BY time(1m)", Ok("-; - to -; mean(d)"));
    check(
        "SELECT mean(d) FROM (SELECT mean(v) FROM m WHERE time > w)",
        Err("invalid operation: time and *influxql.VarRef are not compatible"),
    );
}

#[test]
fn functions_know_their_arguments() {
    check("SELECT nosuch(v) FROM m", Err("undefined function nosuch()"));
    check("SELECT mean() FROM m", Err("invalid number of arguments for mean, expected 1, got 0"));
    check("SELECT mean(v, w) FROM m", Err("invalid number of arguments for mean, expected 1, got 2"));
    check("SELECT mean(1) FROM m", Err("expected field argument in mean()"));
    check("SELECT mean(max(v)) FROM m", Err("expected field argument in mean()"));
    check("SELECT mean(*) + 1 FROM m", Err("unsupported expression with wildcard: mean()"));
    check("SELECT mean(/x/) + mean(/y/) FROM m", Err("unsupported expression with regex field: mean()"));
    check("SELECT count(distinct(v)) FROM m", Ok("-; - to -; count(distinct(v))"));
    check("SELECT count(distinct(v + 1)) FROM m", Err("expected field argument in distinct()"));
    check("SELECT distinct() FROM m", Err("distinct function requires at least one argument"));
    check("SELECT distinct(v, w) FROM m", Err("distinct function can only have one argument"));
    check("SELECT percentile(v) FROM m", Err("invalid number of arguments for percentile, expected 2, got 1"));
    check("SELECT percentile(v, 'x') FROM m", Err("expected float argument in percentile()"));
    check("SELECT sample(v, 0) FROM m", Err("sample window must be greater than 1, got 0"));
    check("SELECT sample(v, 1.5) FROM m", Err("expected integer argument in sample()"));
    check("SELECT top(v) FROM m", Err("invalid number of arguments for top, expected at least 2, got 1"));
    check("SELECT top(v, w) FROM m", Err("expected integer as last argument in top(), found w"));
    check("SELECT top(v, 0) FROM m", Err("limit (0) in top function must be at least 1"));
    check(
        "SELECT top(v, 3) FROM m LIMIT 2",
        Err("limit (3) in top function can not be larger than the LIMIT (2) in the select statement"),
    );
    check("SELECT bottom(max(v), 3) FROM m", Err("expected first argument to be a field in bottom(), found max(v)"));
    check("SELECT bottom(v, 5, 3) FROM m", Err("only fields or tags are allowed in bottom(), found 5"));
    check("SELECT derivative(v, 0s) FROM m", Err("duration argument must be positive, got 0s"));
    check(
        "SELECT derivative(v, 1) FROM m",
        Err("second argument to derivative must be a duration, got *influxql.IntegerLiteral"),
    );
    check("SELECT derivative(mean(v)) FROM m", Err("derivative aggregate requires a GROUP BY interval"));
    check(
        "SELECT derivative(v) FROM m GROUP BY time(1m)",
        Err("aggregate function required inside the call to derivative"),
    );
    check("SELECT difference(v, w) FROM m", Err("invalid number of arguments for difference, expected 1, got 2"));
    check(
        "SELECT elapsed(v, 'x') FROM m",
        Err("second argument to elapsed must be a duration, got *influxql.StringLiteral"),
    );
    check("SELECT integral(v, 5) FROM m", Err("second argument must be a duration"));
    check("SELECT moving_average(v, 1) FROM m", Err("moving_average window must be greater than 1, got 1"));
    check(
        "SELECT moving_average(v, 2.5) FROM m",
        Err("second argument for moving_average must be an integer, got *influxql.NumberLiteral"),
    );
    check("SELECT cumulative_sum() FROM m", Err("invalid number of arguments for cumulative_sum, expected 1, got 0"));
    check("SELECT holt_winters(v, 1, 1) FROM m", Err("must use aggregate function with holt_winters"));
    check("SELECT holt_winters(mean(v), 0, 1) FROM m", Err("second arg to holt_winters must be greater than 0, got 0"));
    check("SELECT holt_winters(mean(v), 1, -1) FROM m", Err("third arg to holt_winters cannot be negative, got -1"));
    check(
        "SELECT holt_winters_with_fit(mean(v), 'x', 1) FROM m",
        Err("expected integer argument as second arg in holt_winters_with_fit"),
    );
    check("SELECT holt_winters(mean(v), 1, 1) FROM m", Err("holt_winters aggregate requires a GROUP BY interval"));
    check(
        "SELECT exponential_moving_average(v) FROM m",
        Err(
            "invalid number of arguments for exponential_moving_average, expected at least 2 but no more than 4, got 1",
        ),
    );
    check(
        "SELECT exponential_moving_average(v, 0) FROM m",
        Err("exponential_moving_average period must be greater than or equal to 1"),
    );
    check(
        "SELECT relative_strength_index(v, 2, -2) FROM m",
        Err("relative_strength_index hold period must be greater than or equal to 0"),
    );
    check(
        "SELECT triple_exponential_derivative(v, 2, 0) FROM m",
        Err("triple_exponential_derivative hold period must be greater than or equal to 1"),
    );
    check(
        "SELECT double_exponential_moving_average(v, 2, 1, 'none') FROM m",
        Err("double_exponential_moving_average warmup type must be one of: 'exponential' 'simple'"),
    );
    check(
        "SELECT chande_momentum_oscillator(v, 2, 1, 'none') FROM m",
        Ok("-; - to -; chande_momentum_oscillator(v, 2, 1, 'none')"),
    );
    check(
        "SELECT chande_momentum_oscillator(v, 2, 1, 5) FROM m",
        Err("chande_momentum_oscillator warmup type must be a string"),
    );
    check(
        "SELECT kaufmans_efficiency_ratio(v, 2, 1, 'none') FROM m",
        Err("invalid number of arguments for kaufmans_efficiency_ratio, expected at least 2 but no more than 3, got 4"),
    );
    check(
        "SELECT kaufmans_adaptive_moving_average(v, 'x') FROM m",
        Err("kaufmans_adaptive_moving_average period must be an integer"),
    );
    check("SELECT pow(v) FROM m", Err("invalid number of arguments for pow, expected 2, got 1"));
    check("SELECT abs(v, w) FROM m", Err("invalid number of arguments for abs, expected 1, got 2"));
}

#[test]
fn constants_in_fields_are_folded() {
    check(
        "SELECT v * (2 + 3), w / (7 / 2), x + pow(2, 10), y - abs(-3), z + 10 % 4 FROM m",
        Ok("-; - to -; v * 5, w / 3.500, x + 1024.000, y - 3, z + 2"),
    );
}

#[test]
fn windows_have_a_length_and_an_offset() {
    let check = |time: &str, expected: Option<(i64, i64)>| {
        let checked = select(&parsed(&format!("SELECT mean(v) FROM m GROUP BY {time}")), NOW).unwrap();
        let expected = expected.map(|(length, offset)| Interval { length, offset: Offset::Nanoseconds(offset) });
        assert_eq!(checked.interval, expected, "{time}");
    };
    check("t", None);
    check("time(0s)", None);
    check("time(0s, 5s)", None);
    check("time(10ns)", Some((10, 0)));
    check("time(10ns, 3ns)", Some((10, 3)));
    check("time(10ns, -13ns)", Some((10, -3)));
    check("time(4ns + 6ns, 1ns * 25)", Some((10, 5)));
    check("time(10ns, now())", Some((10, 9)));
    check("time(-10ns)", Some((-10, 0)));
    // Weeks are counted from year 1 here, which began on a Monday.
    check("time(1w, '1970-01-05' + 0s)", Some((604_800_000_000_000, 0)));
}

#[test]
fn a_time_in_quotes_is_no_offset_that_runs() {
    check("SELECT mean(v) FROM m GROUP BY time(1m, '2020-01-01')", Err("invalid time dimension offset: '2020-01-01'"));
}

#[test]
fn other_dimensions_are_kept_in_order() {
    let checked = select(&parsed("SELECT mean(v) FROM m GROUP BY b, *, time(1m), /x/, a::tag"), NOW).unwrap();
    let shape: Vec<_> = checked
        .dimensions
        .iter()
        .map(|dimension| match dimension {
            Dimension::Tag(tag) => tag.to_string(),
            Dimension::All => "*".to_string(),
            Dimension::Matching(regex) => regex.to_string(),
        })
        .collect();
    assert_eq!(shape, ["b", "*", "/x/", "a::tag"]);
}

#[test]
fn the_fields_are_summed_up() {
    let calls = |text: &str| select(&parsed(text), NOW).unwrap().calls;
    let raw = calls("SELECT v, abs(w) FROM m");
    assert_eq!((raw.count, raw.only_selectors, raw.has_references), (0, true, true));
    let selector = calls("SELECT max(v), t FROM m");
    assert_eq!((selector.count, selector.only_selectors, selector.has_references), (1, true, true));
    let aggregates = calls("SELECT mean(v) / sum(v), abs(max(w)) FROM m");
    assert_eq!((aggregates.count, aggregates.only_selectors, aggregates.has_references), (3, false, false));
    let top = calls("SELECT top(v, t, 2) FROM m");
    assert_eq!((top.count, top.top_bottom, top.has_references), (1, Some("top"), true));
    let over = calls("SELECT derivative(mean(v)), moving_average(max(v), 5) FROM m GROUP BY time(1m)");
    assert_eq!((over.count, over.extra_windows), (4, 5));
}

#[test]
fn time_is_taken_out_of_the_fields_and_may_be_renamed() {
    let checked = select(&parsed("SELECT v, time AS at, DISTINCT w FROM (SELECT DISTINCT w FROM m)"), NOW);
    assert!(checked.is_err());
    let checked = select(&parsed("SELECT v, time AS at FROM (SELECT DISTINCT w FROM m WHERE time < 5)"), NOW).unwrap();
    assert_eq!((checked.fields.len(), checked.time_name.0.as_str()), (1, "at"));
    let [CheckedSource::Subquery(inner)] = checked.sources.as_slice() else { panic!("one subquery") };
    assert_eq!(inner.fields[0].to_string(), "distinct(w)");
    assert_eq!((checked.range.max, inner.range.max), (None, Some(4)));
}
