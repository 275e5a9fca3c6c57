//! The machinery of groups without an engine: batches in, columns out.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::Int32Type;
use proptest::prelude::*;

use super::Sampling;
use super::collect::Collector;
use super::column::{Column, Number, Pieces, filled, is_interleaved, joined, rates};
use super::spec::GroupSpec;
use crate::query::opentsdb::aggregator::Aggregator;
use crate::query::opentsdb::downsample::Downsample;
use crate::query::opentsdb::request::RateOptions;
use crate::query::opentsdb::window::Window;

const WINDOW: Window = Window { start_ms: 0, end_ms: 3_600_000 };

fn sampling(text: &str) -> Sampling {
    Sampling::new(Downsample::parse(text, false).expect("a downsampling"), Tz::UTC, (0, 3_600_000), WINDOW)
}

fn spec(downsample: Option<&str>, early: bool) -> Arc<GroupSpec> {
    Arc::new(GroupSpec {
        query: 0,
        tags: vec!["host".into()],
        filters: Vec::new(),
        explicit_tags: false,
        members: None,
        aggregator: Aggregator::named("none").expect("an aggregator"),
        sampling: downsample.map(sampling),
        rate: None,
        window: WINDOW,
        range_ms: (0, 3_600_000),
        early,
    })
}

/// Rows of (host, seconds, value); a value that is whole is an integer too.
fn batch(rows: &[(&str, i64, f64)]) -> RecordBatch {
    let hosts: DictionaryArray<Int32Type> = rows.iter().map(|(host, ..)| Some(*host)).collect();
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|(_, s, _)| s * 1_000_000_000));
    let floats = Float64Array::from_iter_values(rows.iter().map(|(.., value)| *value));
    let integers: Int64Array = rows.iter().map(|(.., value)| (value.fract() == 0.0).then_some(*value as i64)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("host", Arc::new(hosts)),
        ("time", Arc::new(times)),
        ("float", Arc::new(floats)),
        ("integer", Arc::new(integers)),
    ];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

/// The series of some batches, each as seconds and floats.
fn series(spec: &Arc<GroupSpec>, batches: &[RecordBatch]) -> Vec<(String, Vec<(i64, f64)>)> {
    let mut collector = Collector::new(spec.clone());
    batches.iter().for_each(|batch| collector.push(batch).expect("rows"));
    let mut found: Vec<_> = collector
        .into_series()
        .into_iter()
        .map(|(tags, pieces)| {
            let column = joined(vec![pieces], spec.sampling.as_ref(), spec.window);
            (tags[0].as_deref().unwrap_or_default().to_string(), points(&column))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn points(column: &Column) -> Vec<(i64, f64)> {
    (0..column.len()).map(|at| (column.times[at] / 1000, column.float(at))).collect()
}

#[test]
fn points_of_a_series_come_together_from_batches_in_any_order() {
    let batches = [batch(&[("a", 20, 3.0), ("a", 30, 4.5), ("b", 5, 9.0)]), batch(&[("a", 0, 1.0), ("a", 10, 2.0)])];
    let expected =
        [("a".to_string(), vec![(0, 1.0), (10, 2.0), (20, 3.0), (30, 4.5)]), ("b".to_string(), vec![(5, 9.0)])];
    assert_eq!(series(&spec(None, false), &batches), expected);
}

#[test]
fn a_bucket_that_lies_in_two_batches_is_made_once() {
    let batches = [
        batch(&[("a", 65, 10.0), ("a", 70, 20.0), ("a", 125, 5.0)]),
        batch(&[("a", 0, 1.0), ("a", 50, 3.0), ("a", 60, 30.0)]),
    ];
    let found = series(&spec(Some("1m-avg"), true), &batches);
    assert_eq!(found, [("a".to_string(), vec![(0, 2.0), (60, 20.0), (120, 5.0)])]);
}

#[test]
fn pieces_inside_each_other_are_noticed_when_buckets_were_made_of_them() {
    let gathered = |early: bool| -> Vec<Pieces> {
        let mut collector = Collector::new(spec(Some("1m-avg"), early));
        collector.push(&batch(&[("a", 0, 1.0), ("a", 61, 1.0), ("a", 300, 1.0)])).expect("rows");
        collector.push(&batch(&[("a", 100, 1.0)])).expect("rows");
        collector.into_series().into_iter().map(|(_, pieces)| pieces).collect()
    };
    assert!(is_interleaved(&gathered(true)));
    let late = gathered(false);
    assert!(!is_interleaved(&late));
    let spec = spec(Some("1m-count"), false);
    let column = joined(late, spec.sampling.as_ref(), WINDOW);
    assert_eq!(points(&column), [(0, 1.0), (60, 2.0), (300, 1.0)]);
}

#[test]
fn integers_stay_integers_unless_a_float_was_written_over_them() {
    let mut rows = batch(&[("a", 0, 7.0), ("a", 1, 2.0)]);
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), Some(3)]));
    let mut columns = rows.columns().to_vec();
    columns[3] = integers;
    rows = RecordBatch::try_new(rows.schema(), columns).expect("a batch");
    let mut collector = Collector::new(spec(None, false));
    collector.push(&rows).expect("rows");
    let (_, pieces) = collector.into_series().swap_remove(0);
    let column = joined(vec![pieces], None, WINDOW);
    assert_eq!((column.number(0), column.number(1)), (Number::Integer(7), Number::Float(2.0)));
}

#[test]
fn of_points_within_a_millisecond_the_last_counts() {
    let mut column = Column::default();
    for (time, value) in [(1, 1.0), (1, 2.0), (2, 3.0)] {
        column.push_float(time, value);
    }
    let piece = super::column::Piece { first_ms: 1, last_ms: 2, at: 0, head: 0, done: 0, tail: 3 };
    let joined = joined(vec![Pieces { points: column, pieces: vec![piece], ..Pieces::default() }], None, WINDOW);
    assert_eq!((joined.len(), joined.float(0), joined.float(1)), (2, 2.0, 3.0));
}

#[test]
fn a_fill_gives_every_bucket_of_the_window_a_value() {
    let window = Window { start_ms: 0, end_ms: 240_000 };
    let mut column = Column::default();
    column.push_float(60_000, 5.0);
    let found = points(&filled(column.clone(), &sampling("1m-sum-zero"), window));
    assert_eq!(found, [(0, 0.0), (60, 5.0), (120, 0.0), (180, 0.0)]);
    let nan = filled(column.clone(), &sampling("1m-sum-nan"), window);
    assert!(nan.float(0).is_nan() && nan.float(1) == 5.0 && nan.len() == 4);
    assert_eq!(filled(column.clone(), &sampling("1m-sum"), window).len(), 1);
    assert_eq!(filled(column, &sampling("0all-sum-zero"), window).len(), 1);
}

#[test]
fn rates_follow_the_counters_rules() {
    let mut column = Column::default();
    for (i, value) in [100, 250, 50, 75, 40, 90].into_iter().enumerate() {
        column.push(1_356_998_400_000 + i as i64 * 10_000, Number::Integer(value));
    }
    let check = |options: RateOptions, expected: &[f64]| {
        let found = rates(&column, &options);
        let found: Vec<f64> = (1..found.len()).map(|at| found.float(at)).collect();
        assert_eq!(found, expected, "{options:?}");
    };
    let none = RateOptions::default();
    check(none, &[15.0, -20.0, 2.5, -3.5, 5.0]);
    let counter = RateOptions { counter: true, counter_max: 300, ..none };
    check(counter, &[15.0, 10.0, 2.5, 26.5, 5.0]);
    check(RateOptions { reset_value: 8, ..counter }, &[15.0, 0.0, 2.5, 0.0, 5.0]);
    check(RateOptions { drop_resets: true, ..counter }, &[15.0, 2.5, 5.0]);
    // They mean nothing unless values are a counter's.
    check(RateOptions { counter: false, ..counter }, &[15.0, -20.0, 2.5, -3.5, 5.0]);
}

proptest! {
    /// Buckets made early are those that would be made of all points at once, however rows are cut into batches.
    #[test]
    fn cutting_rows_into_batches_changes_nothing(
        steps in prop::collection::vec((1_i64..40, -100_i64..100), 1..60),
        cuts in prop::collection::vec(0_usize..60, 0..6),
        function in prop::sample::select(vec!["sum", "avg", "dev", "p90", "first", "last", "diff", "count", "median"]),
        interval in prop::sample::select(vec!["7s", "1m", "45s"]),
    ) {
        let mut at = 0;
        let rows: Vec<(&str, i64, f64)> = steps.iter().map(|(step, value)| { at += step; ("a", at, *value as f64) }).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < rows.len()).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut batches: Vec<RecordBatch> = cuts.windows(2).map(|two| batch(&rows[two[0]..two[1]])).collect();
        batches.reverse();
        let downsample = format!("{interval}-{function}");
        let early = series(&spec(Some(&downsample), true), &batches);
        let late = series(&spec(Some(&downsample), false), &[batch(&rows)]);
        prop_assert_eq!(early, late);
    }
}
