//! A segment's rows back as chunks, for compaction.

use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{FieldRef, Int32Type, TimestampNanosecondType};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::errors::ParquetError;

use crate::model::schema::META_FIELD_ID;
use crate::model::{Column, ColumnId, ColumnKind, DeletedRows, SeriesKeys, TableSchema};
use crate::storage::segment::{SequenceRange, check_format};

use super::chunk::Chunk;
use super::series::SeriesSet;

/// Rows a chunk.
const BATCH_ROWS: usize = 64 * 1024;

/// Reads all rows of a segment of a table with `schema`, in the segment's order; their series are numbered in `series`.
/// Columns that the schema no longer has are left out, and so are rows that `deleted` says are gone.
pub fn decode_segment(
    object: Bytes,
    schema: &TableSchema,
    sequence: SequenceRange,
    deleted: &DeletedRows,
    series: &mut SeriesSet,
) -> Result<Vec<Chunk>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(object)?;
    check_format(reader.metadata().file_metadata())?;
    let reader = reader.with_batch_size(BATCH_ROWS).build()?;
    let mut chunks = Vec::new();
    for batch in reader {
        let batch = batch?;
        let batch = if deleted.is_empty() { batch } else { without_deleted(&batch, schema, deleted)? };
        chunks.push(decode_batch(&batch, schema, sequence, series)?);
    }
    Ok(chunks)
}

fn without_deleted(
    batch: &RecordBatch,
    schema: &TableSchema,
    deleted: &DeletedRows,
) -> Result<RecordBatch, ParquetError> {
    let tag = |name: &str| {
        let id = schema.find(name, ColumnKind::Tag)?.id.0.to_string();
        let is_it = |field: &FieldRef| field.metadata().get(META_FIELD_ID) == Some(&id);
        let at = batch.schema_ref().fields().iter().position(is_it)?;
        Some(batch.column(at).clone())
    };
    Ok(deleted.without(batch, batch.column(0), &tag)?)
}

fn decode_batch(
    batch: &RecordBatch,
    schema: &TableSchema,
    sequence: SequenceRange,
    series: &mut SeriesSet,
) -> Result<Chunk, ParquetError> {
    let times = batch
        .column(0)
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| ParquetError::General("the first column of a segment is its time".to_string()))?;
    let known: Vec<(usize, &Column)> = (1..batch.num_columns())
        .filter_map(|i| {
            let id = batch.schema_ref().field(i).metadata().get(META_FIELD_ID)?.parse().ok()?;
            Some((i, schema.column(ColumnId(id))?))
        })
        .collect();
    let fields = known
        .iter()
        .filter(|(_, column)| column.kind == ColumnKind::Field)
        .map(|(i, column)| (column.id, batch.column(*i).clone()))
        .collect();
    Ok(Chunk { sequence, series: row_series(batch, &known, series)?, times: times.values().to_vec(), fields })
}

/// The series number of each row. Rows are sorted by series, so the tags are looked at again only where they change.
fn row_series(
    batch: &RecordBatch,
    known: &[(usize, &Column)],
    series: &mut SeriesSet,
) -> Result<Vec<u32>, ParquetError> {
    let mut tags = Vec::new();
    for (i, column) in known.iter().filter(|(_, column)| column.kind == ColumnKind::Tag) {
        let array = batch
            .column(*i)
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(|| ParquetError::General(format!("tag {:?} is not dictionary-encoded", column.name)))?;
        let values = array
            .values()
            .as_string_opt::<i32>()
            .ok_or_else(|| ParquetError::General(format!("tag {:?} is not a string", column.name)))?;
        tags.push((column.id, array.keys(), values));
    }
    tags.sort_by_key(|(id, ..)| *id);
    let code = |keys: &datafusion::arrow::array::Int32Array, row: usize| keys.is_valid(row).then(|| keys.value(row));
    let mut numbers: Vec<u32> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let same = row > 0 && tags.iter().all(|(_, keys, _)| code(keys, row) == code(keys, row - 1));
        let number =
            match numbers.last() {
                Some(&number) if same => number,
                _ => {
                    let mut key = SeriesKeys::default();
                    key.push(tags.iter().filter_map(|(id, keys, values)| {
                        code(keys, row).map(|code| (id.0, values.value(code as usize)))
                    }));
                    series.number(key.key(0))
                }
            };
        numbers.push(number);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};

    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::KeyValue;
    use datafusion::parquet::file::properties::WriterProperties;
    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use prometheus::Registry;

    use super::*;
    use crate::model::{FieldType, RowIdentity};
    use crate::storage::checked_read::SegmentObject;
    use crate::storage::damage::DamagedSegments;
    use crate::storage::rows::sort_into_windows;
    use crate::storage::segment::{Bound, EncodedSegment, Segment, SegmentLabel, encode_segment};

    /// Two tags (one missing in a row), every field type with nulls, times on both sides of the epoch.
    fn example() -> (TableSchema, Chunk, SeriesSet) {
        let mut schema = TableSchema::new(RowIdentity::Series);
        let host = schema.add("host", ColumnKind::Tag, None);
        let dc = schema.add("dc", ColumnKind::Tag, None);
        let mut field = |name: &str, field_type| schema.add(name, ColumnKind::Field, Some(field_type));
        let fields: Vec<(ColumnId, ArrayRef)> = vec![
            (field("f", FieldType::Float), Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)]))),
            (field("host", FieldType::String), Arc::new(StringArray::from(vec![None, Some("é"), Some("")]))),
            (field("i", FieldType::Integer), Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
            (field("u", FieldType::Unsigned), Arc::new(UInt64Array::from(vec![None, Some(u64::MAX), None]))),
            (field("b", FieldType::Boolean), Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ];
        let mut series = SeriesSet::default();
        let mut keys = SeriesKeys::default();
        keys.push([(host.0, "b")]);
        keys.push([(host.0, "a"), (dc.0, "x")]);
        let numbers: Vec<u32> = keys.iter().map(|key| series.number(key)).collect();
        let sequence = SequenceRange { first: 3, last: 9 };
        let chunk =
            Chunk { sequence, series: vec![numbers[0], numbers[1], numbers[0]], times: vec![30, 20, -10], fields };
        (schema, chunk, series)
    }

    fn fixture(name: &str) -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/segment").join(name)
    }

    /// Files that a released version wrote must stay readable. These are from before checksums.
    #[test]
    fn version_1_of_segments_is_readable() {
        let (schema, chunk, series) = example();
        let windows = sort_into_windows(&chunk, &series, &schema, i64::MAX).unwrap();
        for (number, window) in windows.iter().enumerate() {
            let file = fixture(&format!("{number}.parquet"));
            let bytes = Bytes::from(std::fs::read(&file).unwrap());
            let mut again = SeriesSet::default();
            let chunks = decode_segment(bytes, &schema, chunk.sequence, &DeletedRows::default(), &mut again).unwrap();
            let rows = chunks[0].to_sql_batch(&schema, &again).unwrap();
            assert_eq!(rows.columns(), window.rows.columns(), "{}", file.display());
        }
        assert_eq!(windows.len(), 2, "before and after the epoch");
    }

    /// The same with checksums, each beside its catalog entry. `UPDATE_FIXTURES=1` writes what is not there yet.
    #[tokio::test]
    async fn version_1_of_segments_with_checksums_is_readable_and_checked() {
        let (schema, chunk, series) = example();
        let windows = sort_into_windows(&chunk, &series, &schema, i64::MAX).unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (number, window) in windows.iter().enumerate() {
            let (file, entry) =
                (fixture(&format!("checked-{number}.parquet")), fixture(&format!("checked-{number}.json")));
            if std::env::var_os("UPDATE_FIXTURES").is_some() && !file.exists() {
                let label = SegmentLabel {
                    table: "t",
                    table_id: 1,
                    window_ns: window.window_ns,
                    sequence: chunk.sequence,
                    words: false,
                };
                let encoded = encode_segment(&window.rows, &label).unwrap();
                let segment = entry_of(&encoded, window.rows.num_rows() as u64, chunk.sequence);
                std::fs::write(&file, &encoded.bytes).unwrap();
                std::fs::write(&entry, serde_json::to_vec(&segment).unwrap()).unwrap();
            }
            let segment: Segment = serde_json::from_slice(&std::fs::read(&entry).unwrap()).unwrap();
            assert!(segment.checks.is_some());
            let whole = std::fs::read(&file).unwrap();
            let damaged = Arc::new(DamagedSegments::new(&Registry::new()).unwrap());
            let object = SegmentObject::new(store.clone(), Arc::new(segment), damaged).unwrap();
            object.check_whole(&Bytes::from(whole.clone())).unwrap();
            let mut again = SeriesSet::default();
            let chunks =
                decode_segment(whole.clone().into(), &schema, chunk.sequence, &DeletedRows::default(), &mut again)
                    .unwrap();
            let rows = chunks[0].to_sql_batch(&schema, &again).unwrap();
            assert_eq!(rows.columns(), window.rows.columns(), "{}", file.display());
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x10;
                object.check_whole(&flipped.into()).unwrap_err();
            }
        }
    }

    fn entry_of(encoded: &EncodedSegment, rows: u64, sequence: SequenceRange) -> Segment {
        Segment {
            id: uuid::Uuid::nil(),
            path: "data/fixture.parquet".to_string(),
            size_bytes: encoded.bytes.len() as u64,
            rows,
            window_ns: 0,
            time_min_ns: encoded.time_min_ns,
            time_max_ns: encoded.time_max_ns,
            sequence,
            published: 0,
            tombstones_applied: 0,
            level: 0,
            footer_bytes: encoded.footer_bytes,
            checks: Some(encoded.checks),
            columns: encoded.columns.clone(),
        }
    }

    #[test]
    fn files_of_a_newer_format_and_files_that_are_not_ours_are_refused() {
        let (schema, chunk, series) = example();
        let rows = &sort_into_windows(&chunk, &series, &schema, i64::MAX).unwrap()[0].rows;
        for (mark, expected) in [(Some("2"), "format 2, this version reads up to 1"), (None, "is no segment")] {
            let entry = mark.map(|mark| KeyValue::new("tidegate.format".to_string(), mark.to_string()));
            let properties = WriterProperties::builder().set_key_value_metadata(entry.map(|e| vec![e])).build();
            let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
            writer.write(rows).unwrap();
            let bytes = Bytes::from(writer.into_inner().unwrap());
            let error =
                decode_segment(bytes, &schema, chunk.sequence, &DeletedRows::default(), &mut SeriesSet::default())
                    .unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        let host = schema.add("host", ColumnKind::Tag, None);
        let dc = schema.add("dc", ColumnKind::Tag, None);
        let f = schema.add("f", ColumnKind::Field, Some(FieldType::Float));
        let s = schema.add("host", ColumnKind::Field, Some(FieldType::String));
        schema.add("never", ColumnKind::Field, Some(FieldType::Boolean));
        let mut series = SeriesSet::default();
        let mut keys = SeriesKeys::default();
        keys.push([(host.0, "b")]);
        keys.push([(host.0, "a"), (dc.0, "x")]);
        let numbers: Vec<u32> = keys.iter().map(|key| series.number(key)).collect();
        let sequence = SequenceRange { first: 3, last: 9 };
        let chunk = Chunk {
            sequence,
            series: vec![numbers[0], numbers[1], numbers[0]],
            times: vec![30, 20, 10],
            fields: vec![
                (f, Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)]))),
                (s, Arc::new(StringArray::from(vec![None, Some("é"), None]))),
            ],
        };
        let windows = sort_into_windows(&chunk, &series, &schema, 1000).unwrap();
        let label = SegmentLabel { table: "t", table_id: 1, window_ns: 0, sequence, words: false };
        let encoded = encode_segment(&windows[0].rows, &label).unwrap();
        assert_eq!((encoded.time_min_ns, encoded.time_max_ns), (10, 30));
        let ids: Vec<_> = encoded.columns.iter().map(|c| (c.id, c.nulls)).collect();
        assert_eq!(ids, [(host, 0), (dc, 2), (f, 1), (s, 2)], "a column without values is left out");
        let a_and_b = (Bound::String("a".into()), Bound::String("b".into()));
        assert_eq!(encoded.columns[0].range, Some(a_and_b));
        assert_eq!(encoded.columns[2].range, Some((Bound::Float((-0.0f64).to_bits()), Bound::Float(1.5f64.to_bits()))));

        let mut again = SeriesSet::default();
        let chunks = decode_segment(encoded.bytes, &schema, sequence, &DeletedRows::default(), &mut again).unwrap();
        let rows = chunks[0].to_sql_batch(&schema, &again).unwrap();
        assert_eq!(rows.columns(), windows[0].rows.columns());
    }
}
