//! Batches to test with.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};

use crate::model::{ColumnId, SeriesKeys, TableBatch, TableId};

/// A field of every type, without nulls and with, in a few series.
pub(super) fn all_types(rows: usize) -> TableBatch {
    let mut series = SeriesKeys::default();
    series.push([(1, "host-a"), (2, "grün")]);
    series.push([(1, "host-b"), (2, "")]);
    series.push([]);
    let fields: [(u32, ArrayRef); 10] = [
        (3, Arc::new((0..rows).map(|i| Some(i as f64 * 0.5)).collect::<Float64Array>())),
        (4, Arc::new((0..rows).map(|i| (i % 2 == 0).then_some(f64::MIN_POSITIVE)).collect::<Float64Array>())),
        (5, Arc::new((0..rows).map(|i| Some(i64::MIN + i as i64)).collect::<Int64Array>())),
        (6, Arc::new((0..rows).map(|i| (i % 3 != 0).then_some(-1)).collect::<Int64Array>())),
        (7, Arc::new((0..rows).map(|i| Some(u64::MAX - i as u64)).collect::<UInt64Array>())),
        (8, Arc::new((0..rows).map(|_| None).collect::<UInt64Array>())),
        (9, Arc::new((0..rows).map(|i| Some(i % 5 == 0)).collect::<BooleanArray>())),
        (10, Arc::new((0..rows).map(|i| (i % 4 != 1).then_some(i % 3 == 0)).collect::<BooleanArray>())),
        (11, Arc::new((0..rows).map(|i| Some("é".repeat(i % 7))).collect::<StringArray>())),
        (12, Arc::new((0..rows).map(|i| (i % 2 == 1).then_some("some text")).collect::<StringArray>())),
    ];
    TableBatch {
        table: TableId(42),
        series,
        row_series: (0..rows).map(|i| (i % 3) as u32).collect(),
        times: (0..rows).map(|i| 1_700_000_000_000_000_000 + i as i64).collect(),
        fields: fields.into_iter().map(|(id, array)| (ColumnId(id), array)).collect(),
    }
}

/// One small row that carries `number`.
pub(super) fn numbered(number: u64) -> TableBatch {
    let mut series = SeriesKeys::default();
    series.push([]);
    let field: ArrayRef = Arc::new(UInt64Array::from(vec![number]));
    TableBatch {
        table: TableId(1),
        series,
        row_series: vec![0],
        times: vec![i64::MIN + 2],
        fields: vec![(ColumnId(1), field)],
    }
}

/// The number that [`numbered`] put in.
pub(super) fn number_of(batches: &[TableBatch]) -> u64 {
    let [batch] = batches else { panic!("{} batches", batches.len()) };
    let array = batch.fields[0].1.as_any().downcast_ref::<UInt64Array>().expect("a numbered batch");
    array.value(0)
}

/// Requests of different shapes.
pub(super) fn requests() -> Vec<Vec<TableBatch>> {
    let without_fields = TableBatch { fields: Vec::new(), ..numbered(1) };
    vec![
        vec![numbered(7)],
        vec![all_types(1)],
        vec![all_types(8), numbered(u64::MAX), all_types(9)],
        vec![all_types(1000)],
        vec![without_fields],
        vec![all_types(0)],
        vec![],
    ]
}

pub(super) fn assert_same(got: &[TableBatch], expected: &[TableBatch]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got.table, expected.table);
        assert_eq!(got.series, expected.series);
        assert_eq!(got.row_series, expected.row_series);
        assert_eq!(got.times, expected.times);
        assert_eq!(got.fields, expected.fields);
    }
}
