//! What the catalog knows of a segment, in the engine's words.

use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use crate::model::schema::tag_type;
use crate::model::{Column, FieldType, TableSchema};
use crate::storage::segment::{Bound, Segment};

/// Statistics of a segment's rows, columns in the order of the table's SQL schema and of the types that `schema`, a form of it,
/// reads them as. They are exact: the engine answers `count(*)` or `max(time)` from them without reading.
pub(super) fn segment_statistics(segment: &Segment, table: &TableSchema, schema: &Schema) -> Statistics {
    let time = ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: Precision::Exact(ScalarValue::TimestampNanosecond(Some(segment.time_min_ns), None)),
        max_value: Precision::Exact(ScalarValue::TimestampNanosecond(Some(segment.time_max_ns), None)),
        ..ColumnStatistics::new_unknown()
    };
    let types = schema.fields().iter().skip(1).map(|field| field.data_type());
    let columns = table.columns.iter().zip(types).map(|(column, read_as)| column_statistics(segment, column, read_as));
    Statistics {
        num_rows: Precision::Exact(segment.rows as usize),
        total_byte_size: Precision::Inexact(segment.size_bytes as usize),
        column_statistics: std::iter::once(time).chain(columns).collect(),
    }
}

fn column_statistics(segment: &Segment, column: &Column, read_as: &DataType) -> ColumnStatistics {
    let Some(known) = segment.columns.iter().find(|c| c.id == column.id) else {
        return ColumnStatistics {
            null_count: Precision::Exact(segment.rows as usize),
            ..ColumnStatistics::new_unknown()
        };
    };
    let bound = |bound: &Bound| match (scalar(bound, column.field_type), read_as) {
        (Some(Precision::Exact(ScalarValue::Int64(time_ns))), DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            Precision::Exact(ScalarValue::TimestampNanosecond(time_ns, None))
        }
        (bound, _) => bound.unwrap_or(Precision::Absent),
    };
    let (min_value, max_value) = match &known.range {
        Some((least, greatest)) => (bound(least), bound(greatest)),
        None => (Precision::Absent, Precision::Absent),
    };
    ColumnStatistics {
        null_count: Precision::Exact(known.nulls as usize),
        min_value,
        max_value,
        ..ColumnStatistics::new_unknown()
    }
}

/// A bound as a value of the column's type. `None` when the column has another type than the bound.
fn scalar(bound: &Bound, field_type: Option<FieldType>) -> Option<Precision<ScalarValue>> {
    let value = match (bound, field_type) {
        (Bound::String(text), None) => {
            let text = ScalarValue::Utf8(Some(text.clone()));
            text.cast_to(&tag_type()).ok()?
        }
        (Bound::String(text), Some(FieldType::String)) => ScalarValue::Utf8(Some(text.clone())),
        (Bound::Float(bits), Some(FieldType::Float)) => {
            let value = f64::from_bits(*bits);
            let scalar = ScalarValue::Float64(Some(value));
            // The segment does not say which zero it holds.
            return Some(if value == 0.0 { Precision::Inexact(scalar) } else { Precision::Exact(scalar) });
        }
        (Bound::Integer(value), Some(FieldType::Integer)) => ScalarValue::Int64(Some(*value)),
        (Bound::Unsigned(value), Some(FieldType::Unsigned)) => ScalarValue::UInt64(Some(*value)),
        (Bound::Boolean(value), Some(FieldType::Boolean)) => ScalarValue::Boolean(Some(*value)),
        (Bound::Integer(value), Some(FieldType::Float)) => {
            return Some(Precision::Inexact(ScalarValue::Float64(Some(*value as f64))));
        }
        _ => return None,
    };
    Some(Precision::Exact(value))
}
