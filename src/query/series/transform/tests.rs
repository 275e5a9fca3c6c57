use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, TimestampNanosecondType};
use datafusion::common::Column;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::col;

use crate::query::functions::series::Calculation::{self, CumulativeSum, Difference, HoltWinters, Integral, Keep};
use crate::query::series::fill::tests::{context, order};
use crate::query::series::{SeriesOperation, Transform, Windows, series_plan};

/// A row: series, time, a float and an integer.
type Row = (&'static str, i64, Option<f64>, Option<i64>);
/// Series, time, results.
type Out = (String, i64, Vec<Option<f64>>);

async fn transform(
    rows: &[Row],
    calculations: &[(&str, Calculation)],
    descending: bool,
    batch_rows: usize,
) -> Vec<Out> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("h", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("v", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        ("i", Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>())),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let parts = (0..rows.num_rows()).map(|row| rows.slice(row, 1)).collect();
    let mut order = order(descending);
    let table = MemTable::try_new(rows.schema(), vec![parts]).unwrap().with_sort_order(vec![order.sort_exprs()]);
    let input = LogicalPlanBuilder::scan("m", provider_as_source(Arc::new(table)), None).unwrap().build().unwrap();
    order.keys = vec![Column::new(Some("m"), "h")];
    order.time = Column::new(Some("m"), "time");
    let column = |(i, (name, calculation)): (usize, &(&str, Calculation))| {
        (Column::new(Some("m"), *name), calculation.clone(), format!("c{i}"))
    };
    let transform = Transform { columns: calculations.iter().enumerate().map(column).collect() };
    let plan = series_plan(input, order, SeriesOperation::Transform(transform)).unwrap();
    let mut batches = Vec::new();
    for batch in context(batch_rows).execute_logical_plan(plan).await.unwrap().collect().await.unwrap() {
        assert!(batch.num_rows() <= batch_rows);
        batches.push(batch);
    }
    let mut out = Vec::new();
    for batch in &batches {
        let keys = batch.column(0).as_string::<i32>();
        let times = batch.column(1).as_primitive::<TimestampNanosecondType>();
        let results: Vec<ArrayRef> =
            batch.columns()[2..].iter().map(|column| cast(column, &DataType::Float64).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let value =
                |column: &ArrayRef| column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row));
            out.push((keys.value(row).to_string(), times.value(row), results.iter().map(value).collect()));
        }
    }
    out
}

async fn check(
    rows: &[Row],
    calculations: &[(&str, Calculation)],
    descending: bool,
    expected: &[(&str, i64, &[Option<f64>])],
) {
    let expected: Vec<Out> =
        expected.iter().map(|(key, time, values)| (key.to_string(), *time, values.to_vec())).collect();
    for batch_rows in [1, 3, 8192] {
        let out = transform(rows, calculations, descending, batch_rows).await;
        assert_eq!(out, expected, "batches of {batch_rows}");
    }
}

const ROWS: [Row; 6] = [
    ("a", 10, Some(1.0), Some(5)),
    ("a", 20, Some(4.0), None),
    ("a", 20, Some(9.0), Some(6)),
    ("a", 30, None, Some(1)),
    ("b", 10, Some(2.0), None),
    ("b", 20, Some(3.0), None),
];

#[tokio::test]
async fn each_series_starts_anew() {
    check(
        &ROWS,
        &[("v", Difference { non_negative: false })],
        false,
        &[("a", 20, &[Some(3.0)]), ("b", 20, &[Some(1.0)])],
    )
    .await;
    let mut rows = ROWS;
    rows.reverse();
    check(
        &rows,
        &[("v", Difference { non_negative: false })],
        true,
        &[("b", 10, &[Some(-1.0)]), ("a", 10, &[Some(-8.0)])],
    )
    .await;
}

#[tokio::test]
async fn points_of_one_time_are_one_row_and_further_ones_the_next() {
    let calculations = [("v", Difference { non_negative: false }), ("v", CumulativeSum), ("i", CumulativeSum)];
    check(
        &ROWS,
        &calculations,
        false,
        &[
            ("a", 10, &[None, Some(1.0), Some(5.0)]),
            ("a", 20, &[Some(3.0), Some(5.0), Some(11.0)]),
            ("a", 20, &[None, Some(14.0), None]),
            ("a", 30, &[None, None, Some(12.0)]),
            ("b", 10, &[None, Some(2.0), None]),
            ("b", 20, &[Some(1.0), Some(5.0), None]),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_kept_stands_beside_what_is_calculated() {
    let rows = [ROWS[0], ROWS[1], ROWS[3]];
    check(
        &rows,
        &[("i", Keep { nulls: true }), ("v", CumulativeSum)],
        false,
        &[("a", 10, &[Some(5.0), Some(1.0)]), ("a", 20, &[None, Some(5.0)]), ("a", 30, &[Some(1.0), None])],
    )
    .await;
    check(
        &rows[..2],
        &[("i", Keep { nulls: false }), ("v", Difference { non_negative: true })],
        false,
        &[("a", 10, &[Some(5.0), None]), ("a", 20, &[None, Some(3.0)])],
    )
    .await;
}

#[tokio::test]
async fn points_that_come_late_find_their_rows() {
    let rows = [
        ("a", 10, Some(1.0), Some(0)),
        ("a", 20, Some(3.0), Some(1)),
        ("a", 40, Some(5.0), Some(2)),
        ("b", 10, Some(0.0), None),
    ];
    let windows = Windows::new(20, 0, None);
    let integral = Integral { unit: 10, windows, whole: 0, descending: false };
    check(
        &rows,
        &[("v", integral), ("i", Keep { nulls: false })],
        false,
        &[
            ("a", 0, &[Some(2.0), None]),
            ("a", 10, &[None, Some(0.0)]),
            ("a", 20, &[Some(8.0), Some(1.0)]),
            ("a", 40, &[None, Some(2.0)]),
            ("b", 0, &[Some(0.0), None]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_forecast_goes_on_behind_the_last_row() {
    let rows: Vec<Row> = (1..6).map(|i| ("a", i * 10, Some(i as f64), None)).collect();
    let out =
        transform(&rows, &[("v", HoltWinters { forecasts: 2, season: 0, fit: false, interval: 10 })], false, 10).await;
    assert_eq!(out.iter().map(|row| row.1).collect::<Vec<_>>(), [60, 70]);
}

#[tokio::test]
async fn a_plan_says_what_it_calculates_and_reads_no_more() {
    let rows = RecordBatch::try_from_iter([
        ("h", Arc::new(StringArray::from(vec!["a"])) as ArrayRef),
        ("time", Arc::new(TimestampNanosecondArray::from(vec![1]))),
        ("v", Arc::new(Float64Array::from(vec![1.0]))),
        ("unused", Arc::new(Float64Array::from(vec![1.0]))),
    ])
    .unwrap();
    let table = provider_as_source(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap()));
    let input = LogicalPlanBuilder::scan("m", table, None).unwrap().build().unwrap();
    let mut order = order(false);
    order.keys = vec![Column::new(Some("m"), "h")];
    order.time = Column::new(Some("m"), "time");
    let columns = vec![(Column::new(Some("m"), "v"), CumulativeSum, "sum".to_string())];
    let plan = series_plan(input, order, SeriesOperation::Transform(Transform { columns })).unwrap();
    let plan = LogicalPlanBuilder::new(plan).filter(col("h").eq(datafusion::prelude::lit("a"))).unwrap();
    let plan = plan.project(vec![col("sum")]).unwrap().build().unwrap();
    let state = context(10).state();
    let logical = state.optimize(&plan).unwrap().to_string();
    assert!(logical.contains("TableScan: m projection=[h, time, v]"), "{logical}");
    let filter = logical.find("Filter: m.h").expect("a filter over what names a series");
    assert!(filter > logical.find("Transform:").unwrap(), "{logical}");
    let physical = state.create_physical_plan(&plan).await.unwrap();
    let text = datafusion::physical_plan::displayable(physical.as_ref()).indent(true).to_string();
    assert!(text.contains("TransformExec: cumulative_sum of v as sum"), "{text}");
}
