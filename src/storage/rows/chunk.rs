//! Rows of one table in the order they were written.

use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampNanosecondArray, new_null_array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use std::sync::Arc;

use crate::model::{ColumnId, ColumnKind, TableSchema};
use crate::storage::segment::SequenceRange;

use super::series::SeriesSet;

/// Columns of equal length; series numbers refer to a [`SeriesSet`] that the owner keeps beside.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub sequence: SequenceRange,
    pub series: Vec<u32>,
    /// Nanoseconds.
    pub times: Vec<i64>,
    /// Values a field; fields not listed are null.
    pub fields: Vec<(ColumnId, ArrayRef)>,
}

impl Chunk {
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Bytes held, about.
    pub fn memory_bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, array)| array.get_array_memory_size()).sum();
        self.series.capacity() * 4 + self.times.capacity() * 8 + fields
    }

    /// The field's values; `None` when all are null.
    pub fn field(&self, id: ColumnId) -> Option<&ArrayRef> {
        self.fields.iter().find(|(field, _)| *field == id).map(|(_, array)| array)
    }

    /// The field's values as `data_type`: they may have been written before the field was widened. `None` when all are null.
    pub fn field_as(&self, id: ColumnId, data_type: &DataType) -> Option<Result<ArrayRef, ArrowError>> {
        Some(as_type(self.field(id)?, data_type))
    }

    /// All rows of `chunks` (not empty), one after the other. Where a field was widened in between, all its values are
    /// of the wider type. Each part goes once it is copied, so that about one column is held twice.
    pub fn concat(mut chunks: Vec<Chunk>) -> Result<Chunk, ArrowError> {
        let counts: Vec<usize> = chunks.iter().map(Chunk::rows).collect();
        let rows = counts.iter().sum();
        let mut all = Chunk {
            sequence: SequenceRange {
                first: chunks.iter().map(|c| c.sequence.first).min().unwrap_or(0),
                last: chunks.iter().map(|c| c.sequence.last).max().unwrap_or(0),
            },
            series: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            fields: Vec::new(),
        };
        let mut types: Vec<(ColumnId, DataType)> = Vec::new();
        for chunk in &mut chunks {
            all.series.extend(std::mem::take(&mut chunk.series));
            all.times.extend(std::mem::take(&mut chunk.times));
            for (id, array) in &chunk.fields {
                match types.iter_mut().find(|(known, _)| known == id) {
                    Some((_, known)) if *known != DataType::Float64 => *known = array.data_type().clone(),
                    Some(_) => {}
                    None => types.push((*id, array.data_type().clone())),
                }
            }
        }
        for (id, data_type) in types {
            let parts: Vec<ArrayRef> = chunks
                .iter_mut()
                .zip(&counts)
                .map(|(chunk, rows)| match chunk.take_field(id) {
                    Some(values) => as_type(&values, &data_type),
                    None => Ok(new_null_array(&data_type, *rows)),
                })
                .collect::<Result<_, _>>()?;
            let parts: Vec<_> = parts.iter().map(|p| p.as_ref()).collect();
            all.fields.push((id, concat(&parts)?));
        }
        Ok(all)
    }

    fn take_field(&mut self, id: ColumnId) -> Option<ArrayRef> {
        let place = self.fields.iter().position(|(field, _)| *field == id)?;
        Some(self.fields.swap_remove(place).1)
    }

    /// The rows as the table's SQL schema has them, columns not written yet as null.
    pub fn to_sql_batch(&self, schema: &TableSchema, series: &SeriesSet) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.columns.len() + 1);
        columns.push(Arc::new(TimestampNanosecondArray::from(self.times.clone())));
        for column in &schema.columns {
            columns.push(match column.kind {
                ColumnKind::Tag => series.tag_array(column.id, self.series.iter().copied()),
                _ => {
                    let data_type = column.data_type();
                    self.field_as(column.id, &data_type)
                        .unwrap_or_else(|| Ok(new_null_array(&data_type, self.rows())))?
                }
            });
        }
        RecordBatch::try_new(schema.sql_schema(), columns)
    }
}

fn as_type(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == data_type { Ok(array.clone()) } else { cast(array, data_type) }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray, Float64Array, Int64Array};
    use datafusion::arrow::datatypes::Float64Type;

    use super::*;
    use crate::model::{FieldType, RowIdentity};

    fn chunk(sequence: u64, times: &[i64], field: u32, values: &[f64]) -> Chunk {
        Chunk {
            sequence: SequenceRange { first: sequence, last: sequence },
            series: vec![0; times.len()],
            times: times.to_vec(),
            fields: vec![(ColumnId(field), Arc::new(Float64Array::from(values.to_vec())))],
        }
    }

    #[test]
    fn concatenation_fills_what_a_part_lacks() {
        let all = Chunk::concat(vec![chunk(4, &[1, 2], 1, &[1.0, 2.0]), chunk(5, &[3], 2, &[3.0])]).unwrap();
        assert_eq!(all.sequence, SequenceRange { first: 4, last: 5 });
        assert_eq!(all.times, [1, 2, 3]);
        let first = all.field(ColumnId(1)).unwrap().as_primitive::<Float64Type>();
        assert_eq!(first.iter().collect::<Vec<_>>(), [Some(1.0), Some(2.0), None]);
        let second = all.field(ColumnId(2)).unwrap();
        assert_eq!(second.null_count(), 2);
    }

    #[test]
    fn values_from_before_a_field_was_widened_are_read_as_the_wider_type() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        let id = schema.add("f", ColumnKind::Field, Some(FieldType::Float));
        let mut narrow = chunk(1, &[7], id.0, &[]);
        narrow.fields = vec![(id, Arc::new(Int64Array::from(vec![3])))];
        let mut series = SeriesSet::default();
        series.number(&[]);
        let batch = narrow.to_sql_batch(&schema, &series).unwrap();
        assert_eq!(batch.column(1).as_primitive::<Float64Type>().values(), &[3.0]);
        let wide = chunk(2, &[8], id.0, &[0.5]);
        for order in [[narrow.clone(), wide.clone()], [wide, narrow]] {
            let all = Chunk::concat(order.to_vec()).unwrap();
            let values = all.field(id).unwrap().as_primitive::<Float64Type>();
            assert_eq!(values.iter().flatten().sum::<f64>(), 3.5);
        }
    }

    #[test]
    fn a_batch_has_all_columns_of_the_table() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        let id = schema.add("f", ColumnKind::Field, Some(FieldType::Float));
        schema.add("late", ColumnKind::Field, Some(FieldType::String));
        schema.add("host", ColumnKind::Tag, None);
        let mut series = SeriesSet::default();
        series.number(&[]);
        let batch = chunk(1, &[7], id.0, &[0.5]).to_sql_batch(&schema, &series).unwrap();
        assert_eq!(batch.schema(), schema.sql_schema());
        assert_eq!(batch.column(2).null_count(), 1);
        assert_eq!(batch.column(3).logical_null_count(), 1);
    }
}
