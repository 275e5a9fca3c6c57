//! Expectations are what InfluxDB 1.6.7 answered over the same points.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use crate::query::series::{Fill, FillRule, SeriesOperation, SeriesOrder, SeriesQueryPlanner, Windows, series_plan};

/// A row: series, window, a float and an integer.
type Row = (&'static str, i64, Option<f64>, Option<i64>);

pub(in crate::query::series) fn context(batch_rows: usize) -> SessionContext {
    let config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(2);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    SessionContext::new_with_state(builder.with_query_planner(Arc::new(SeriesQueryPlanner)).build())
}

pub(in crate::query::series) fn order(descending: bool) -> SeriesOrder {
    SeriesOrder {
        keys: vec![Column::from_name("h")],
        time: Column::from_name("time"),
        keys_descending: descending,
        time_descending: descending,
        then: Vec::new(),
    }
}

async fn fill(rows: &[Row], fill: Fill, descending: bool, batch_rows: usize) -> Vec<Row> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("h", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("v", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("i", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let parts = (0..rows.num_rows()).map(|row| rows.slice(row, 1)).collect();
    let table = provider_as_source(Arc::new(MemTable::try_new(rows.schema(), vec![parts]).unwrap()));
    let input = LogicalPlanBuilder::scan("m", table, None).unwrap().build().unwrap();
    let mut order = order(descending);
    order.keys = vec![Column::new(Some("m"), "h")];
    order.time = Column::new(Some("m"), "time");
    let plan = series_plan(input, order, SeriesOperation::Fill(fill)).unwrap();
    let context = context(batch_rows);
    let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    let mut filled = Vec::new();
    for batch in &batches {
        assert!(batch.num_rows() <= batch_rows);
        let keys = batch.column(0).as_string::<i32>();
        let times = batch.column(1).as_primitive::<TimestampNanosecondType>();
        let floats = batch.column(2).as_primitive::<Float64Type>().iter();
        let integers = batch.column(3).as_primitive::<Int64Type>().iter();
        for (row, (v, i)) in floats.zip(integers).enumerate() {
            let key = if keys.value(row) == "a" { "a" } else { "b" };
            filled.push((key, times.value(row), v, i));
        }
    }
    filled
}

fn rule(rule: &FillRule) -> Vec<(Column, FillRule)> {
    let integer = match rule {
        FillRule::Value(ScalarValue::Float64(Some(value))) => FillRule::number(*value, &DataType::Int64),
        other => other.clone(),
    };
    vec![(Column::new(Some("m"), "v"), rule.clone()), (Column::new(Some("m"), "i"), integer)]
}

/// Fills windows of 10 from 0 to 49.
async fn check(rows: &[Row], kind: FillRule, descending: bool, expected: &[Row]) {
    let (from, to) = if descending { (49, 0) } else { (0, 49) };
    let windows = Windows::new(10, 0, None).unwrap();
    for batch_rows in [1, 2, 7, 8192] {
        let fill_to =
            Fill { windows: windows.clone(), from: Some(from), to: Some(to), rows_max: None, rules: rule(&kind) };
        let filled = fill(rows, fill_to, descending, batch_rows).await;
        assert_eq!(filled, expected, "{kind}, descending {descending}, batches of {batch_rows}");
    }
}

const TWO: [Row; 3] = [("a", 10, Some(1.0), None), ("a", 40, Some(4.0), Some(9)), ("b", 20, None, Some(3))];

#[tokio::test]
async fn windows_without_rows_are_null() {
    check(
        &TWO,
        FillRule::Null,
        false,
        &[
            ("a", 0, None, None),
            ("a", 10, Some(1.0), None),
            ("a", 20, None, None),
            ("a", 30, None, None),
            ("a", 40, Some(4.0), Some(9)),
            ("b", 0, None, None),
            ("b", 10, None, None),
            ("b", 20, None, Some(3)),
            ("b", 30, None, None),
            ("b", 40, None, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_number_fills_only_columns_that_the_series_has() {
    check(
        &TWO,
        FillRule::number(-3.5, &DataType::Float64),
        false,
        &[
            ("a", 0, Some(-3.5), Some(-3)),
            ("a", 10, Some(1.0), Some(-3)),
            ("a", 20, Some(-3.5), Some(-3)),
            ("a", 30, Some(-3.5), Some(-3)),
            ("a", 40, Some(4.0), Some(9)),
            ("b", 0, None, Some(-3)),
            ("b", 10, None, Some(-3)),
            ("b", 20, None, Some(3)),
            ("b", 30, None, Some(-3)),
            ("b", 40, None, Some(-3)),
        ],
    )
    .await;
}

#[tokio::test]
async fn previous_is_previous_in_order_of_output() {
    let rows = &TWO[..2];
    check(
        rows,
        FillRule::Previous,
        false,
        &[
            ("a", 0, None, None),
            ("a", 10, Some(1.0), None),
            ("a", 20, Some(1.0), None),
            ("a", 30, Some(1.0), None),
            ("a", 40, Some(4.0), Some(9)),
        ],
    )
    .await;
    check(
        rows,
        FillRule::Previous,
        true,
        &[
            ("a", 40, Some(4.0), Some(9)),
            ("a", 30, Some(4.0), Some(9)),
            ("a", 20, Some(4.0), Some(9)),
            ("a", 10, Some(1.0), Some(9)),
            ("a", 0, Some(1.0), Some(9)),
        ],
    )
    .await;
}

#[tokio::test]
async fn linear_lies_between_two_values() {
    let rows = [("a", 0, None, Some(5)), ("a", 10, Some(1.0), None), ("a", 40, Some(3.25), Some(-4))];
    check(
        &rows,
        FillRule::Linear,
        false,
        &[
            ("a", 0, None, Some(5)),
            ("a", 10, Some(1.0), Some(2)),
            ("a", 20, Some(1.75), Some(0)),
            ("a", 30, Some(2.5), Some(-1)),
            ("a", 40, Some(3.25), Some(-4)),
        ],
    )
    .await;
    check(
        &rows[1..],
        FillRule::Linear,
        true,
        &[
            ("a", 40, Some(3.25), Some(-4)),
            ("a", 30, Some(2.5), None),
            ("a", 20, Some(1.75), None),
            ("a", 10, Some(1.0), None),
            ("a", 0, None, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn without_a_bound_each_column_is_filled_where_it_has_values() {
    let rows = [("a", 10, Some(1.0), None), ("a", 30, None, Some(2)), ("a", 50, Some(5.0), None)];
    let open = |from, to| Fill {
        windows: Windows::new(10, 0, None).unwrap(),
        from,
        to,
        rows_max: None,
        rules: rule(&FillRule::number(0.0, &DataType::Float64)),
    };
    let ascending = [
        ("a", 10, Some(1.0), None),
        ("a", 20, Some(0.0), None),
        ("a", 30, Some(0.0), Some(2)),
        ("a", 40, Some(0.0), Some(0)),
        ("a", 50, Some(5.0), Some(0)),
        ("a", 60, Some(0.0), Some(0)),
    ];
    assert_eq!(fill(&rows, open(None, Some(65)), false, 4).await, ascending);
    let mut descending = ascending;
    descending[0].3 = None;
    descending[2].3 = Some(2);
    descending[1].3 = None;
    descending.reverse();
    assert_eq!(fill(&rows, open(Some(65), None), true, 4).await, descending);
}

#[tokio::test]
async fn where_clocks_go_forward_an_offset_makes_a_row_too_many() {
    const HOUR: i64 = 3600 * 1_000_000_000;
    // Hours since 2023-03-24T00:00Z; clocks go forward 49 hours later.
    let at = |hour: i64| (19440 * 24 + hour) * HOUR;
    let rows: Vec<Row> = [5, 29, 53, 76].into_iter().map(|hour| ("a", at(hour), None, Some(1))).collect();
    let spec = Fill {
        windows: Windows::new(24 * HOUR, 6 * HOUR, Some(chrono_tz::Europe::Berlin)).unwrap(),
        from: Some(at(24)),
        to: Some(at(96) - 1),
        rows_max: None,
        rules: rule(&FillRule::number(0.0, &DataType::Float64)),
    };
    let filled = fill(&rows, spec, false, 100).await;
    let hours: Vec<(i64, Option<i64>)> = filled.iter().map(|row| (row.1 / HOUR - 19440 * 24, row.3)).collect();
    assert_eq!(hours, [(5, Some(1)), (29, Some(1)), (52, Some(0)), (53, Some(1)), (76, Some(1))]);
}

#[tokio::test]
async fn a_plan_says_how_it_fills_and_sorts_only_what_is_not_sorted() {
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(vec![
        datafusion::arrow::datatypes::Field::new("h", DataType::Utf8, true),
        datafusion::arrow::datatypes::Field::new(
            "time",
            DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Nanosecond, None),
            false,
        ),
        datafusion::arrow::datatypes::Field::new("v", DataType::Float64, true),
        datafusion::arrow::datatypes::Field::new("unused", DataType::Float64, true),
    ]));
    let sorted =
        vec![datafusion::prelude::col("h").sort(true, false), datafusion::prelude::col("time").sort(true, false)];
    let table = MemTable::try_new(schema, vec![vec![]]).unwrap().with_sort_order(vec![sorted]);
    let input = LogicalPlanBuilder::scan("m", provider_as_source(Arc::new(table)), None).unwrap().build().unwrap();
    let mut order = order(false);
    order.keys = vec![Column::new(Some("m"), "h")];
    order.time = Column::new(Some("m"), "time");
    let fill = Fill {
        windows: Windows::new(10, 3, Some(chrono_tz::Europe::Berlin)).unwrap(),
        from: Some(0),
        to: None,
        rows_max: Some(7),
        rules: vec![(Column::new(Some("m"), "v"), FillRule::Previous)],
    };
    let plan = series_plan(input, order, SeriesOperation::Fill(fill)).unwrap();
    let plan = LogicalPlanBuilder::new(plan).project(vec![datafusion::prelude::col("v")]).unwrap().build().unwrap();
    let context = context(10);
    let state = context.state();
    let logical = state.optimize(&plan).unwrap();
    assert!(logical.to_string().contains("TableScan: m projection=[h, time, v]"), "{logical}");
    let physical = state.create_physical_plan(&plan).await.unwrap();
    let text = datafusion::physical_plan::displayable(physical.as_ref()).indent(true).to_string();
    assert!(text.contains("FillExec: window=10ns+3ns in Europe/Berlin, from=0, to=data, rows=7, v=previous"), "{text}");
    assert!(!text.contains("SortExec"), "{text}");
    assert_eq!(collect(physical, context.task_ctx()).await.unwrap().len(), 0);
}

/// The same, value by value: a column of one series in the windows `0..windows`.
fn plainly(values: &[Option<i64>], rule: &FillRule, descending: bool) -> Vec<Option<i64>> {
    let order: Vec<usize> = if descending { (0..values.len()).rev().collect() } else { (0..values.len()).collect() };
    let has = values.iter().any(Option::is_some);
    let filled = order.iter().enumerate().map(|(place, &window)| {
        let before = order[..place].iter().rev().find(|window| values[**window].is_some());
        let after = order[place..].iter().find(|window| values[**window].is_some());
        values[window].or_else(|| match rule {
            FillRule::Value(ScalarValue::Int64(value)) if has => *value,
            FillRule::Previous => values[*before?],
            FillRule::Next => values[*after?],
            FillRule::Linear => {
                let (from, to) = (values[*before?]? as f64, values[*after?]? as f64);
                let slope = (to - from) / (*after? as f64 - *before? as f64);
                Some((slope * (window as f64 - *before? as f64) + from) as i64)
            }
            _ => None,
        })
    });
    filled.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn windows_are_filled_as_one_by_one(
        series in proptest::collection::vec(proptest::collection::vec(proptest::option::of(-9i64..9), 6), 1..3),
        descending: bool,
        batch_rows in 1usize..9,
        kind in 0usize..5,
        rows_max in proptest::option::of(0usize..8),
    ) {
        let number = FillRule::number(7.0, &DataType::Int64);
        let kinds = [FillRule::Null, number, FillRule::Previous, FillRule::Linear, FillRule::Next];
        let kind = kinds[kind].clone();
        let mut rows: Vec<Row> = Vec::new();
        let mut expected: Vec<Row> = Vec::new();
        let mut names = vec!["a", "b"];
        names.truncate(series.len());
        let mut all: Vec<(&'static str, &Vec<Option<i64>>)> = names.into_iter().zip(&series).collect();
        if descending {
            all.reverse();
        }
        for (name, values) in all {
            let at = |window: usize| window as i64 * 10;
            // Every second window without a value has a row all the same.
            let present = |window: &usize| values[*window].is_some() || window.is_multiple_of(2);
            rows.extend((0..6).filter(present).map(|window| (name, at(window), None, values[window])));
            let filled = plainly(values, &kind, descending);
            expected.extend(filled.into_iter().enumerate().take(rows_max.unwrap_or(usize::MAX)).map(|(place, value)| {
                (name, at(if descending { 5 - place } else { place }), None, value)
            }));
        }
        let (from, to) = if descending { (59, 0) } else { (0, 59) };
        let spec = Fill {
            windows: Windows::new(10, 0, None).unwrap(),
            from: Some(from),
            to: Some(to),
            rows_max,
            rules: vec![(Column::new(Some("m"), "i"), kind)],
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(fill(&rows, spec, descending, batch_rows)), expected);
    }
}
