//! Segments: one immutable Parquet object each, of one table and one time window.
//!
//! Owns: the encoding, what a segment's catalog entry says of it. Does not own: which rows go into which segment.

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{max, max_boolean, max_string, min, min_boolean, min_string};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef, UInt64Type};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{FileMetaData, KeyValue, SortingColumn};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::ColumnId;
use crate::model::schema::{META_FIELD_ID, META_KIND};

use super::checksums::{BLOCK_BYTES, SegmentChecks, seal};
use super::words::write_filters;

/// Version of the segment format, in each file's key-value metadata.
pub const SEGMENT_FORMAT: u32 = 1;
const FORMAT_KEY: &str = "tidegate.format";
/// Longest string bound kept in the catalog.
const BOUND_BYTES_MAX: usize = 64;

/// Refuses a segment that a newer version wrote in a form this one does not know. A file without the mark is none of ours,
/// and refused as well.
pub fn check_format(file: &FileMetaData) -> Result<(), ParquetError> {
    let mark = |entries: &Vec<KeyValue>| entries.iter().find(|e| e.key == FORMAT_KEY).and_then(|e| e.value.clone());
    let found = file.key_value_metadata().and_then(mark).and_then(|text| text.parse::<u32>().ok());
    match found {
        Some(1..=SEGMENT_FORMAT) => Ok(()),
        Some(newer) => {
            let what = format!(
                "the segment has format {newer}, this version reads up to {SEGMENT_FORMAT}; use a newer tidegate"
            );
            Err(ParquetError::General(what))
        }
        None => Err(ParquetError::General(format!("the file is no segment: it lacks {FORMAT_KEY:?}"))),
    }
}

/// First and last sequence number, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRange {
    pub first: u64,
    pub last: u64,
}

/// What the catalog knows of a segment: enough to plan a query without touching the object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub id: Uuid,
    /// Object path within the store.
    pub path: String,
    pub size_bytes: u64,
    pub rows: u64,
    /// Start of the time window that the segment belongs to, nanoseconds.
    pub window_ns: i64,
    pub time_min_ns: i64,
    pub time_max_ns: i64,
    /// Sequence numbers of the rows, in the counting of the writer they came through.
    pub sequence: SequenceRange,
    /// Number of the commit that published the rows; of merged ones the highest. See [`Segment::age`].
    #[serde(default)]
    pub published: u64,
    /// Deletes of its table up to this number have nothing to say about it: they came before its rows, or were made
    /// physical when it was written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tombstones_applied: u64,
    /// How often its rows have been compacted.
    pub level: u8,
    /// Bytes from the first page index to the end of the object: one read of so much gets the whole footer, and the
    /// checksums of what comes before.
    pub footer_bytes: u64,
    /// `None`: written before segments had checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<SegmentChecks>,
    /// Statistics of each column that the file has, `time` excepted.
    pub columns: Vec<ColumnStatistics>,
}

impl Segment {
    /// Decides between rows of one key: those of the segment with the greater age are newer. A commit's number comes first, so
    /// that segments of several writers have one order, the same for every reader, and a new segment never gets
    /// between older ones; entries made before commits were noted have only their sequence.
    pub fn age(&self) -> (u64, u64) {
        (self.published, self.sequence.last)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Exact statistics of one column in one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub id: ColumnId,
    pub nulls: u64,
    /// Least and greatest value; `None` when all are null, the bound is too long to keep, or (floats) a value is NaN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(Bound, Bound)>,
}

/// A value in a column's statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Bits of the value: JSON cannot hold every float.
    Float(u64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    String(String),
}

/// What a segment says of itself in its key-value metadata.
#[derive(Debug, Clone)]
pub struct SegmentLabel<'a> {
    pub table: &'a str,
    pub table_id: u64,
    pub window_ns: i64,
    pub sequence: SequenceRange,
    /// Whether it has filters of the words of its texts.
    pub words: bool,
}

/// An encoded segment, not yet stored.
#[derive(Debug)]
pub struct EncodedSegment {
    pub bytes: Bytes,
    pub footer_bytes: u64,
    pub checks: SegmentChecks,
    pub columns: Vec<ColumnStatistics>,
    pub time_min_ns: i64,
    pub time_max_ns: i64,
}

/// Rows a row group; a reader skips whole groups.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Rows a data page; the page index lets a reader skip pages.
const PAGE_ROWS: usize = 16 * 1024;
const ZSTD_LEVEL: i32 = 1;

/// Encodes `rows` (schema: [`TableSchema::stored_schema`](crate::model::TableSchema::stored_schema), sorted by all tags, then time, nulls last; not empty) as
/// Parquet. Columns without any value are left out. CPU-heavy: not for an async thread.
pub fn encode_segment(rows: &RecordBatch, label: &SegmentLabel<'_>) -> Result<EncodedSegment, ParquetError> {
    let rows = without_empty_columns(rows)?;
    let schema = rows.schema();
    let properties = writer_properties(&schema, label)?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    writer.write(&rows)?;
    if label.words {
        write_filters(&mut writer, &rows)?;
    }
    let metadata = writer.finish()?;
    let body_bytes = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
        .flat_map(|column| [column.column_index_offset(), column.offset_index_offset()])
        .flatten()
        .min()
        .ok_or_else(|| ParquetError::General("a segment has page indexes".to_string()))? as usize;
    let sealed = seal(std::mem::take(writer.inner_mut()), body_bytes);
    let (bytes, checks) = sealed.ok_or_else(|| ParquetError::General("a segment has a footer".to_string()))?;
    let time = rows.column(0).as_primitive::<datafusion::arrow::datatypes::TimestampNanosecondType>();
    let (time_min_ns, time_max_ns) = (min(time), max(time));
    let columns = (1..rows.num_columns()).filter_map(|i| statistics(&schema, i, rows.column(i))).collect();
    Ok(EncodedSegment {
        footer_bytes: (bytes.len() - body_bytes) as u64,
        bytes,
        checks,
        columns,
        time_min_ns: time_min_ns.ok_or_else(|| ParquetError::General("a segment has rows".to_string()))?,
        time_max_ns: time_max_ns.ok_or_else(|| ParquetError::General("a segment has rows".to_string()))?,
    })
}

fn without_empty_columns(rows: &RecordBatch) -> Result<RecordBatch, ParquetError> {
    let kept: Vec<usize> =
        (0..rows.num_columns()).filter(|&i| i == 0 || rows.column(i).logical_null_count() < rows.num_rows()).collect();
    Ok(rows.project(&kept)?)
}

fn writer_properties(schema: &SchemaRef, label: &SegmentLabel<'_>) -> Result<WriterProperties, ParquetError> {
    let is_tag = |i: &usize| schema.field(*i).metadata().get(META_KIND).is_some_and(|kind| kind == "tag");
    let sort_key: Vec<usize> = (1..schema.fields().len()).filter(is_tag).chain([0]).collect();
    let names: Vec<&str> = sort_key.iter().map(|&i| schema.field(i).name().as_str()).collect();
    let sorting = sort_key
        .iter()
        .map(|&i| SortingColumn { column_idx: i as i32, descending: false, nulls_first: false })
        .collect();
    let note = |key: &str, value: String| KeyValue::new(format!("tidegate.{key}"), value);
    let time = schema.field(0).name().as_str();
    Ok(WriterProperties::builder()
        .set_created_by(format!("tidegate {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting))
        .set_column_dictionary_enabled(time.into(), false)
        .set_column_encoding(time.into(), Encoding::DELTA_BINARY_PACKED)
        .set_key_value_metadata(Some(vec![
            KeyValue::new(FORMAT_KEY.to_string(), SEGMENT_FORMAT.to_string()),
            note("table", label.table.to_string()),
            note("table_id", label.table_id.to_string()),
            note("window_ns", label.window_ns.to_string()),
            note("sequence", format!("{}-{}", label.sequence.first, label.sequence.last)),
            note("crc32_block_bytes", BLOCK_BYTES.to_string()),
            note("sort_key", serde_json::to_string(&names).map_err(|e| ParquetError::External(Box::new(e)))?),
        ]))
        .build())
}

fn statistics(schema: &SchemaRef, index: usize, array: &ArrayRef) -> Option<ColumnStatistics> {
    let id = ColumnId(schema.field(index).metadata().get(META_FIELD_ID)?.parse().ok()?);
    Some(ColumnStatistics { id, nulls: array.logical_null_count() as u64, range: range(array) })
}

fn range(array: &ArrayRef) -> Option<(Bound, Bound)> {
    match array.data_type() {
        DataType::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            if array.iter().flatten().any(f64::is_nan) {
                return None;
            }
            // Both zeros are equal to a reader, whichever of them is stored.
            let least = min(array).map(|v| if v == 0.0 { -0.0 } else { v })?;
            let greatest = max(array).map(|v| if v == 0.0 { 0.0 } else { v })?;
            Some((Bound::Float(least.to_bits()), Bound::Float(greatest.to_bits())))
        }
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            Some((Bound::Integer(min(array)?), Bound::Integer(max(array)?)))
        }
        DataType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            Some((Bound::Unsigned(min(array)?), Bound::Unsigned(max(array)?)))
        }
        DataType::Boolean => {
            let array = array.as_boolean();
            Some((Bound::Boolean(min_boolean(array)?), Bound::Boolean(max_boolean(array)?)))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            string_range(min_string(array), max_string(array))
        }
        DataType::Dictionary(_, _) => {
            let array = array.as_dictionary::<Int32Type>();
            let values = array.values().as_string_opt::<i32>()?;
            let mut used = vec![false; values.len()];
            array.keys().iter().flatten().for_each(|key| used[key as usize] = true);
            let used = || used.iter().enumerate().filter(|(_, used)| **used).map(|(key, _)| values.value(key));
            string_range(used().min(), used().max())
        }
        _ => None,
    }
}

fn string_range(least: Option<&str>, greatest: Option<&str>) -> Option<(Bound, Bound)> {
    let bound =
        |value: Option<&str>| value.filter(|v| v.len() <= BOUND_BYTES_MAX).map(|v| Bound::String(v.to_string()));
    Some((bound(least)?, bound(greatest)?))
}
