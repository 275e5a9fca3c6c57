//! Expectations are what InfluxDB 1.6.7 answered over the same points, where InfluxQL has the function.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::register;

/// Points (time, value, integer, truth, series), as they lie in time.
const POINTS: [(i64, f64, i64, Option<bool>, &str); 7] = [
    (10, 3.0, 3, Some(true), "a"),
    (10, 5.0, 5, Some(false), "b"),
    (10, 4.0, 4, Some(true), "c"),
    (20, 3.0, 9, Some(false), "a"),
    (20, 1.0, 9, Some(true), "b"),
    (30, 5.0, 1, None, "a"),
    (30, 7.0, 1, None, "b"),
];

fn points() -> RecordBatch {
    let texts = |make: fn(&str) -> String| StringArray::from_iter_values(POINTS.iter().map(|point| make(point.4)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(POINTS.iter().map(|point| point.0)))),
        ("v", Arc::new(Float64Array::from_iter_values(POINTS.iter().map(|point| point.1)))),
        ("i", Arc::new(Int64Array::from_iter_values(POINTS.iter().map(|point| point.2)))),
        ("u", Arc::new(UInt64Array::from_iter_values(POINTS.iter().map(|point| point.2 as u64)))),
        ("b", Arc::new(BooleanArray::from_iter(POINTS.iter().map(|point| point.3)))),
        ("h", Arc::new(texts(str::to_string))),
        ("s", Arc::new(texts(|h| format!("s{h}")))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The rows of a query over the table `m` of `rows`, spread over so many partitions row by row, cells joined by `|`.
async fn ask(query: &str, rows: &RecordBatch, partitions: usize) -> Vec<String> {
    let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(2);
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    register(&mut state).unwrap();
    let context = SessionContext::new_with_state(state);
    let mut parts = vec![Vec::new(); partitions];
    for row in 0..rows.num_rows() {
        parts[row % partitions].push(rows.slice(row, 1));
    }
    context.register_table("m", Arc::new(MemTable::try_new(rows.schema(), parts).unwrap())).unwrap();
    let answer = context.sql(query).await.unwrap().collect().await.unwrap();
    let options = FormatOptions::default().with_null("null").with_timestamp_format(Some("%s%.9f"));
    let mut lines = Vec::new();
    for batch in &answer {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// One answer over [`POINTS`], however they are spread.
async fn check(select: &str, expected: &[&str]) {
    for partitions in [1, 3] {
        let lines = ask(select, &points(), partitions).await;
        assert_eq!(lines, expected, "{select} in {partitions} partitions");
    }
}

fn point(call: &str) -> String {
    format!("select p['value'], cast(p['time'] as bigint), p['aux_0'] from (select {call} as p from m)")
}

#[tokio::test]
async fn a_selector_gives_the_value_the_time_and_the_rest_of_its_row() {
    check(&point("first_point(v, time, h)"), &["5.0|10|b"]).await;
    check(&point("last_point(v, time, h)"), &["7.0|30|b"]).await;
    check(&point("min_point(v, time, h)"), &["1.0|20|b"]).await;
    check(&point("max_point(i, time, u)"), &["9|20|9"]).await;
    check(&point("first_point(b, time, h)"), &["false|10|b"]).await;
    check(&point("last_point(b, time, h)"), &["true|20|b"]).await;
    check(&point("last_point(s, time, i)"), &["sb|30|1"]).await;
    check(&point("max_point(u, time, v) filter (where i < 9)"), &["5|10|5.0"]).await;
    check(&point("percentile_point(50, false, v, time, h)"), &["4.0|10|c"]).await;
    check(&point("percentile_point(20, false, i, time, u)"), &["1|30|1"]).await;
    check(&point("percentile_point(100.0, false, v, time, h)"), &["7.0|30|b"]).await;
}

#[tokio::test]
async fn of_no_points_nothing_is_selected() {
    check(&point("percentile_point(1, false, v, time, h)"), &["null|null|null"]).await;
    check(
        "select first_point(v, time) is null, median_value(v), mode_value(false, v, time) from m where v > 99",
        &["true|null|null"],
    )
    .await;
    check(
        "select cardinality(top_points(3, v, time)), last_point(null, time) is null from m where v > 99",
        &["0|true"],
    )
    .await;
}

#[tokio::test]
async fn groups_are_kept_apart() {
    let select = "select h, first_point(v, time)['value'], last_point(i, time, v)['aux_0'], median_value(v), \
                  percentile_point(100, false, v, time)['value'], count(v) from m group by h order by h";
    check(select, &["a|3.0|5.0|3.0|5.0|3", "b|5.0|7.0|5.0|7.0|3", "c|4.0|4.0|4.0|4.0|1"]).await;
    let select =
        "select time, top_points(1, v, time)[1]['value'], mode_value(false, b, time) from m group by time order by 1";
    check(select, &["0.000000010|5.0|true", "0.000000020|3.0|true", "0.000000030|7.0|null"]).await;
}

#[tokio::test]
async fn a_repaired_series_is_in_order_of_time_and_of_the_type_asked_for() {
    let select = |function: &str, like: &str| {
        format!(
            "select cast(p['time'] as bigint), p['value'] from (select unnest({function}('', \
             case when v = 1.0 then cast('NaN' as double) else v end, time, {like})) as p from m where h = 'b') order by 1"
        )
    };
    check(&select("filled_values", "v"), &["10|5.0", "20|6.0", "30|7.0"]).await;
    check(&select("filled_values", "i"), &["10|5", "20|6", "30|7"]).await;
    check(&select("repaired_times", "i"), &["10|5", "20|null", "30|7"]).await;
    check(&select("repaired_values", "u"), &["10|5", "20|6", "30|7"]).await;
    check("select h, changes_value(i, time) from m group by h order by 1", &["a|2", "b|2", "c|0"]).await;
    check("select changes_value(i, time) from m where v > 99", &["null"]).await;
    check("select increase_value(u, time) from m where h = 'a'", &["7"]).await;
}

#[tokio::test]
async fn a_gauge_keeps_its_first_and_last_two_points() {
    let select = "select h, g['first']['val'], g['second']['val'], cast(g['penultimate']['ts'] as bigint), g['last']['val'], g['num_elements'] \
                  from (select h, gauge_value(i, time) as g from m group by h) order by h";
    check(select, &["a|3.0|9.0|20|1.0|3", "b|5.0|9.0|20|1.0|3", "c|4.0|4.0|10|4.0|1"]).await;
    check("select gauge_value(v, time) is null from m where v > 99", &["true"]).await;
}

#[tokio::test]
async fn statistics_are_those_of_influxql() {
    check("select median_value(v), median_value(i), median_value(u) from m", &["4.0|4.0|4.0"]).await;
    check("select median_value(v), median_value(i) from m where cast(time as bigint) < 20 or h = 'b' and cast(time as bigint) = 20", &["3.5|4.5"])
        .await;
    check("select round(stddev_value(v), 12), round(stddev_value(i), 12) from m", &["1.914854215513|3.359421718944"])
        .await;
    check("select stddev_value(v) from m where h = 'c'", &["NaN"]).await;
    check(
        "select mode_value(false, v, time), mode_value(false, i, time), mode_value(false, b, time), mode_value(false, s, time) from m",
        &["5.0|9|true|sb"],
    )
    .await;
    check("select mode_value(false, v, time) from m where cast(time as bigint) < 20", &["3.0"]).await;
    let tied = "(values (10, 5), (20, 3), (30, 5), (40, 3)) as m(t, v)";
    for (descending, mode, percentile) in [(false, "5", "3|20"), (true, "3", "3|40")] {
        let time = "to_timestamp_nanos(t)";
        check(&format!("select mode_value({descending}, v, {time}) from {tied}"), &[mode]).await;
        let point = format!("percentile_point(25, {descending}, v, {time})");
        let select = "select p['value'], cast(p['time'] as bigint) from";
        check(&format!("{select} (select {point} as p from {tied})"), &[percentile]).await;
    }
}

#[tokio::test]
async fn a_state_lasts_until_the_next_one() {
    let lasted = |state: &str, bounds: &str| format!("select state_duration('{state}', {bounds}, s, time) from m");
    check(&lasted("sa", "null, null"), &["0 secs"]).await;
    check(&lasted("sb", "null, null"), &["0.000000010 secs"]).await;
    check(&lasted("sc", "null, null"), &["0.000000010 secs"]).await;
    let at = |ns: i64| format!("to_timestamp_nanos({ns})");
    check(&lasted("sb", &format!("{}, null", at(24))), &["0.000000006 secs"]).await;
    check(&lasted("sb", &format!("{}, {}", at(24), at(26))), &["0.000000002 secs"]).await;
    check(&lasted("sb", &format!("{}, {}", at(40), at(50))), &["0 secs"]).await;
    let select = "select h, state_duration('9', null, null, i, time * 10) from m group by h order by h";
    let select = select.replace("time * 10", "to_timestamp(cast(time as bigint) * 10000)");
    check(
        &select,
        &["a|1 days 3 hours 46 mins 40.000000000 secs", "b|1 days 3 hours 46 mins 40.000000000 secs", "c|0 secs"],
    )
    .await;
    check("select state_duration('x', null, null, s, time) is null from m where v > 99", &["true"]).await;
}

/// A series of seconds from a table of constants.
async fn check_quality(points: &[(i64, &str)], expected: &str) {
    let rows: Vec<String> = points.iter().map(|(at, value)| format!("({at}, cast('{value}' as double))")).collect();
    let measures = ["completeness", "consistency", "timeliness", "validity"];
    let calls = measures.map(|name| format!("{name}_value(v, to_timestamp_seconds(t))")).join(", ");
    check(&format!("select {calls} from (values {}) as x(t, v)", rows.join(", ")), &[expected]).await;
}

#[tokio::test]
async fn a_series_is_as_good_as_its_times_and_values_are() {
    // The example of the language's manual, and what it says of it.
    let manual = [
        (1, "12.34"),
        (3, "34.54"),
        (4, "1.43"),
        (6, "14.03"),
        (10, "12.30"),
        (13, "11.54"),
        (14, "112.20"),
        (16, "14.44"),
        (18, "134.02"),
        (19, "116.34"),
        (22, "1234.45"),
        (24, "10.36"),
        (26, "124.21"),
        (31, "6.34"),
        (33, "nan"),
    ];
    check_quality(&manual, "0.8235294117647058|0.8666666666666667|0.9333333333333333|0.8").await;
    check_quality(&[(1, "1"), (2, "2"), (3, "3"), (4, "4")], "1.0|1.0|1.0|1.0").await;
    // One comes too soon, one is missing, one is special.
    let faulty = [(10, "1"), (11, "1.1"), (20, "2"), (30, "3"), (50, "5"), (60, "inf"), (70, "7"), (80, "8")];
    check_quality(&faulty, "0.7777777777777778|0.875|1.0|0.78125").await;
    // One comes late after a gap, and so none is missing.
    check_quality(
        &[(10, "1"), (20, "2"), (40, "4"), (50, "5"), (60, "6"), (61, "6.1")],
        "1.0|1.0|0.8333333333333334|0.8333333333333334",
    )
    .await;
    // What was drawn between its neighbours fits.
    check_quality(&[(1, "nan"), (2, "2"), (3, "nan"), (4, "4"), (5, "nan")], "0.4|1.0|1.0|1.0").await;
    // Two at one time, all at one time, and no more than two.
    check_quality(&[(1, "1"), (1, "1")], "1.0|1.0|1.0|1.0").await;
    check_quality(&[(1, "1"), (9, "2")], "1.0|1.0|1.0|1.0").await;
}

#[tokio::test]
async fn points_may_be_reduced_to_their_values() {
    check("select point_values(top_points(3, v, time)) from m", &["[5.0, 7.0, 5.0]"]).await;
    check("select h, point_values(top_points(1, i, time)) from m group by h order by h", &["a|[9]", "b|[9]", "c|[4]"])
        .await;
    check("select point_values(top_points(3, v, time)) from m where v > 99", &["[]"]).await;
}

fn values(call: &str) -> String {
    format!("select p['value'], cast(p['time'] as bigint) from (select unnest({call}) as p from m)")
}

#[tokio::test]
async fn lists_of_points_come_in_order_of_time() {
    check(&values("top_points(3, v, time)"), &["5.0|10", "7.0|30", "5.0|30"]).await;
    check(&values("bottom_points(3, v, time)"), &["3.0|10", "1.0|20", "3.0|20"]).await;
    check(&values("top_points(0, v, time)"), &[]).await;
    check(&values("distinct_points(false, v, time)"), &["3.0|10", "4.0|10", "5.0|10", "1.0|20", "7.0|30"]).await;
    check(&values("distinct_points(true, v, time)"), &["4.0|10", "1.0|20", "3.0|20", "5.0|30", "7.0|30"]).await;
    check(&values("distinct_points(false, b, time)"), &["false|10", "true|10"]).await;
    check(&values("sample_points(20, 1, i, time)"), &["3|10", "4|10", "5|10", "9|20", "9|20", "1|30", "1|30"]).await;
}

#[tokio::test]
async fn a_window_function_goes_on_from_row_to_row() {
    let so_far = "over (order by time, h rows between unbounded preceding and current row)";
    let select = format!(
        "select h, median_value(i) {so_far}, max_point(i, time) {so_far}['value'], mode_value(false, v, time) {so_far}, \
         cardinality(top_points(2, v, time) {so_far}) from m order by time, h"
    );
    check(
        &select,
        &[
            "a|3.0|3|3.0|1",
            "b|4.0|5|3.0|2",
            "c|4.0|5|3.0|2",
            "a|4.5|9|3.0|2",
            "b|5.0|9|3.0|2",
            "a|4.5|9|5.0|2",
            "b|4.0|9|5.0|2",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_sample_is_that_large_and_another_seed_draws_another() {
    let rows = 1000;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(0..rows))),
        ("v", Arc::new(Int64Array::from_iter_values(0..rows))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let sample = async |seed: u64, partitions| {
        ask(&values(&format!("sample_points(100, {seed}, v, time)")), &rows, partitions).await
    };
    let one = sample(1, 1).await;
    assert_eq!(one.len(), 100);
    assert_eq!(one, sample(1, 1).await);
    assert_ne!(one, sample(2, 1).await);
    let spread = sample(3, 4).await;
    let low = spread.iter().filter(|line| line.len() <= "499|499".len() && line.as_str() < "5").count();
    assert_eq!(spread.len(), 100);
    assert!((20..=80).contains(&low), "{low} of 100 are from one half");
}

#[tokio::test]
async fn losers_are_dropped_on_the_way_without_changing_the_answer() {
    let rows = 200_000;
    let value = |row: i64| (row * 7919) % 100_003;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(0..rows))),
        ("v", Arc::new(Int64Array::from_iter_values((0..rows).map(value)))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut state = SessionStateBuilder::new().with_default_features().build();
    register(&mut state).unwrap();
    let context = SessionContext::new_with_state(state);
    let parts = (0..25).map(|part| rows.slice(part * 8000, 8000)).collect();
    context.register_table("m", Arc::new(MemTable::try_new(rows.schema(), vec![parts]).unwrap())).unwrap();
    let select = values("top_points(2, v, time)");
    let answer = context.sql(&select).await.unwrap().collect().await.unwrap();
    let first = (0..).find(|row| value(*row) == 100_002).unwrap();
    assert_eq!(answer[0].column(0).as_ref(), &Int64Array::from(vec![100_002, 100_002]));
    assert_eq!(answer[0].column(1).as_ref(), &Int64Array::from(vec![first, first + 100_003]));
}

#[tokio::test]
async fn numbers_of_other_widths_and_parameters_that_vary_are_told_apart() {
    check("select max_point(cast(i as smallint), time)['value'], median_value(cast(v as float)) from m", &["9|4.0"])
        .await;
    for (select, error) in [
        ("select percentile_point(v, false, v, time) from m", "the parameters of percentile_point are constants"),
        ("select first_point(v, h) from m", "the time of first_point is Utf8, not a timestamp"),
        ("select median_value(h) from m", "median_value takes numbers, not Utf8"),
        ("select window_start(time, 0, 0, '') from m", "the interval of window_start is 0, not positive"),
    ] {
        let mut state = SessionStateBuilder::new().with_default_features().build();
        register(&mut state).unwrap();
        let context = SessionContext::new_with_state(state);
        context.register_batch("m", points()).unwrap();
        let answer = async { context.sql(select).await?.collect().await };
        let text = answer.await.unwrap_err().to_string();
        assert!(text.contains(error), "{select}: {text}");
    }
}

#[tokio::test]
async fn windows_start_at_multiples_of_the_interval() {
    let select = |interval: i64, offset: i64| {
        let start = format!("window_start(time, {interval}, {offset}, '')");
        format!("select cast({start} as bigint), count(*) from m group by 1 order by 1")
    };
    check(&select(15, 0), &["0|3", "15|2", "30|2"]).await;
    check(&select(15, 10), &["10|5", "25|2"]).await;
    check(&select(15, -20), &["10|5", "25|2"]).await;
}

#[tokio::test]
async fn the_least_integer_has_no_absolute_value_but_itself() {
    let select =
        format!("select wrapping_abs(-4), wrapping_abs({}), wrapping_abs(i - 4) from m where h = 'c'", i64::MIN);
    check(&select, &[&format!("4|{}|0", i64::MIN)]).await;
}

/// Of sorted (value, time) pairs what a percentile picks.
fn rank(points: &[(i64, i64)], p: f64) -> Option<(i64, i64)> {
    let rank = (points.len() as f64 * p / 100.0 + 0.5).floor() as usize;
    points.get(rank.checked_sub(1)?).copied()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn aggregates_are_what_sorting_says(values in proptest::collection::vec(-5i64..5, 1..40), p in 0.0f64..110.0, n in 0usize..6) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("time", Arc::new(TimestampNanosecondArray::from_iter_values(0..values.len() as i64))),
            ("v", Arc::new(Int64Array::from(values.clone()))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let mut sorted: Vec<(i64, i64)> = values.iter().copied().zip(0..).collect();
        sorted.sort();
        let show = |point: Option<(i64, i64)>| point.map_or("null|null".to_string(), |(v, t)| format!("{v}|{t}"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ask = |select: String| runtime.block_on(ask(&select, &rows, 3));
        let one = |call: String| {
            ask(format!("select p['value'], cast(p['time'] as bigint) from (select {call} as p from m)"))
        };
        prop_assert_eq!(one(format!("percentile_point({p}, false, v, time)")), [show(rank(&sorted, p))]);
        prop_assert_eq!(one("min_point(v, time)".into()), [show(sorted.first().copied())]);
        let greatest = sorted.iter().copied().max_by_key(|(v, t)| (*v, -t));
        prop_assert_eq!(one("max_point(v, time)".into()), [show(greatest)]);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle].0 as f64
        } else {
            (sorted[middle - 1].0 + sorted[middle].0) as f64 / 2.0
        };
        prop_assert_eq!(ask("select median_value(v) from m".into()), [format!("{median:?}")]);
        let mut best = sorted.clone();
        best.sort_by_key(|(v, t)| (-v, *t));
        best.truncate(n);
        best.sort_by_key(|(_, t)| *t);
        let best: Vec<String> = best.into_iter().map(|point| show(Some(point))).collect();
        prop_assert_eq!(ask(self::values(&format!("top_points({n}, v, time)"))), best);
        let mut firsts = sorted.clone();
        firsts.dedup_by_key(|(v, _)| *v);
        firsts.sort_by_key(|(_, t)| *t);
        let firsts: Vec<String> = firsts.into_iter().map(|point| show(Some(point))).collect();
        prop_assert_eq!(ask(self::values("distinct_points(false, v, time)")), firsts);
    }
}
