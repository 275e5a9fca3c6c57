//! The payload of a record: the batches of one request as bytes, and back.
//!
//! Columnar, little endian, and compressed as one LZ4 block when that pays. Before compression:
//!
//! ```text
//! batch count u32, then a batch:
//!   table u64
//!   key count u32, key bytes u32, where each key ends u32…, the bytes of all keys
//!   row count u32, series of each row u32…, time of each row i64…
//!   field count u32, then a field:
//!     column u32, type u8, has nulls u8, [validity bits], values
//! values: float, integer, unsigned: 8 bytes a row; boolean: bits; string: where each ends i32…, bytes
//! ```
//!
//! Decoding believes nothing: every count is checked against the bytes that are there before memory is taken for it.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};

use super::WalError;
use crate::model::{ColumnId, FieldType, SeriesKeys, TableBatch, TableId};

/// Most bytes of one payload before compression. Keeps every length inside it far below 2^31.
pub const PLAIN_BYTES_MAX: u64 = 1 << 30;

/// A payload below this size is not worth compressing: of a line or two there is little to find, and it costs as much as parsing.
const COMPRESS_BYTES_MIN: usize = 512;
/// No LZ4 block grows by more than this factor.
const LZ4_GROWTH_MAX: u64 = 255;

const CODEC_PLAIN: u8 = 0;
const CODEC_LZ4: u8 = 1;

/// What a frame header says of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PayloadShape {
    pub(super) length: u32,
    /// CRC-32 of the payload as stored.
    pub(super) crc: u32,
    pub(super) codec: u8,
    /// Length before compression.
    pub(super) plain_length: u32,
    pub(super) rows: u32,
}

/// A request ready to be written.
#[derive(Debug)]
pub struct EncodedPayload {
    pub(super) shape: PayloadShape,
    pub(super) bytes: Vec<u8>,
}

impl EncodedPayload {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn rows(&self) -> u32 {
        self.shape.rows
    }

    /// Inverse of [`encode_payload`].
    pub fn decode(&self) -> Result<Vec<TableBatch>, DecodeError> {
        decode_payload(&self.shape, &self.bytes)
    }
}

/// Turns the batches of one request into a payload. Heavy on the CPU; any number of threads may do it at a time.
///
/// Checks that what it writes can be read back: a record that is acknowledged must never stop a replay.
pub fn encode_payload(batches: &[TableBatch]) -> Result<EncodedPayload, WalError> {
    let mut plain_length = 4;
    let mut rows = 0u64;
    for batch in batches {
        check(batch)?;
        plain_length += batch_length(batch)?;
        rows += batch.rows() as u64;
    }
    if plain_length > PLAIN_BYTES_MAX {
        return Err(WalError::TooLarge { bytes: plain_length, limit: PLAIN_BYTES_MAX });
    }

    let mut plain = Vec::with_capacity(plain_length as usize);
    put_u32(&mut plain, batches.len());
    batches.iter().for_each(|batch| put_batch(&mut plain, batch));
    assert_eq!(plain.len() as u64, plain_length, "the length was computed from the same batches");

    let (codec, bytes) = compress(plain);
    let shape = PayloadShape {
        length: bytes.len() as u32,
        crc: crc32fast::hash(&bytes),
        codec,
        plain_length: plain_length as u32,
        rows: rows as u32,
    };
    Ok(EncodedPayload { shape, bytes })
}

fn check(batch: &TableBatch) -> Result<(), WalError> {
    let broken = |what: String| Err(WalError::Unencodable { table: batch.table.0, what });
    let rows = batch.rows();
    if batch.row_series.len() != rows {
        return broken(format!("{} series for {rows} rows", batch.row_series.len()));
    }
    if let Some(&highest) = batch.row_series.iter().max().filter(|&&s| s as usize >= batch.series.len()) {
        return broken(format!("a row of series {highest}, but {} series", batch.series.len()));
    }
    for (column, array) in &batch.fields {
        if array.len() != rows {
            return broken(format!("{} values in column {} for {rows} rows", array.len(), column.0));
        }
    }
    Ok(())
}

fn batch_length(batch: &TableBatch) -> Result<u64, WalError> {
    let (key_bytes, ends) = batch.series.as_parts();
    let mut length = 8 + 8 + ends.len() * 4 + key_bytes.len() + 4 + batch.rows() * 12 + 4;
    for (column, array) in &batch.fields {
        let values = match field_type(array) {
            Some(FieldType::Float | FieldType::Integer | FieldType::Unsigned) => array.len() * 8,
            Some(FieldType::Boolean) => array.len().div_ceil(8),
            Some(FieldType::String) => array.len() * 4 + string_bytes(array.as_string()).len(),
            None => {
                let what = format!("column {} has type {}", column.0, array.data_type());
                return Err(WalError::Unencodable { table: batch.table.0, what });
            }
        };
        let validity = if array.null_count() > 0 { array.len().div_ceil(8) } else { 0 };
        length += 6 + validity + values;
    }
    Ok(length as u64)
}

fn field_type(array: &ArrayRef) -> Option<FieldType> {
    match array.data_type() {
        DataType::Float64 => Some(FieldType::Float),
        DataType::Int64 => Some(FieldType::Integer),
        DataType::UInt64 => Some(FieldType::Unsigned),
        DataType::Boolean => Some(FieldType::Boolean),
        DataType::Utf8 => Some(FieldType::String),
        _ => None,
    }
}

/// Numbers on disk; never change one.
fn type_tag(field_type: FieldType) -> u8 {
    match field_type {
        FieldType::Float => 1,
        FieldType::Integer => 2,
        FieldType::Unsigned => 3,
        FieldType::Boolean => 4,
        FieldType::String => 5,
    }
}

fn put_batch(out: &mut Vec<u8>, batch: &TableBatch) {
    let (key_bytes, ends) = batch.series.as_parts();
    out.extend_from_slice(&batch.table.0.to_le_bytes());
    put_u32(out, ends.len());
    put_u32(out, key_bytes.len());
    put_all(out, ends.iter().map(|v| v.to_le_bytes()));
    out.extend_from_slice(key_bytes);
    put_u32(out, batch.rows());
    put_all(out, batch.row_series.iter().map(|v| v.to_le_bytes()));
    put_all(out, batch.times.iter().map(|v| v.to_le_bytes()));
    put_u32(out, batch.fields.len());
    for (column, array) in &batch.fields {
        put_field(out, *column, array);
    }
}

fn put_field(out: &mut Vec<u8>, column: ColumnId, array: &ArrayRef) {
    let field_type = field_type(array).expect("the length of this field was computed, so its type is known");
    out.extend_from_slice(&column.0.to_le_bytes());
    out.push(type_tag(field_type));
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    out.push(nulls.is_some() as u8);
    if let Some(nulls) = nulls {
        put_bits(out, nulls.inner());
    }
    match field_type {
        FieldType::Float => put_all(out, array.as_primitive::<Float64Type>().values().iter().map(|v| v.to_le_bytes())),
        FieldType::Integer => put_all(out, array.as_primitive::<Int64Type>().values().iter().map(|v| v.to_le_bytes())),
        FieldType::Unsigned => {
            put_all(out, array.as_primitive::<UInt64Type>().values().iter().map(|v| v.to_le_bytes()))
        }
        FieldType::Boolean => put_bits(out, array.as_boolean().values()),
        FieldType::String => {
            let strings: &StringArray = array.as_string();
            let offsets = strings.value_offsets();
            put_all(out, offsets[1..].iter().map(|end| (end - offsets[0]).to_le_bytes()));
            out.extend_from_slice(string_bytes(strings));
        }
    }
}

/// The bytes of all values; those of a null row are kept, they may not be empty.
fn string_bytes(strings: &StringArray) -> &[u8] {
    let offsets = strings.value_offsets();
    &strings.value_data()[offsets[0] as usize..offsets[strings.len()] as usize]
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&u32::try_from(value).expect("counts are below the payload's limit").to_le_bytes());
}

fn put_all<const N: usize>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = [u8; N]>) {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    for (slot, value) in out[start..].as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *slot = value;
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    out.extend_from_slice(&bits.sliced().as_slice()[..bits.len().div_ceil(8)]);
}

/// LZ4 when it saves an eighth, else the bytes as they are.
fn compress(plain: Vec<u8>) -> (u8, Vec<u8>) {
    if plain.len() >= COMPRESS_BYTES_MIN {
        let packed = lz4_flex::block::compress(&plain);
        if packed.len() <= plain.len() - plain.len() / 8 {
            return (CODEC_LZ4, packed);
        }
    }
    (CODEC_PLAIN, plain)
}

/// A payload that no encoder of ours wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(&'static str);

/// Inverse of [`encode_payload`]. Never panics, and takes no more memory than `bytes` can fill.
pub(super) fn decode_payload(shape: &PayloadShape, bytes: &[u8]) -> Result<Vec<TableBatch>, DecodeError> {
    match shape.codec {
        CODEC_PLAIN if shape.plain_length as usize == bytes.len() => decode_plain(bytes, shape.rows),
        CODEC_PLAIN => Err(DecodeError("stored length and plain length differ")),
        CODEC_LZ4 => decode_plain(&decompress(bytes, shape.plain_length)?, shape.rows),
        _ => Err(DecodeError("unknown compression")),
    }
}

fn decompress(bytes: &[u8], plain_length: u32) -> Result<Vec<u8>, DecodeError> {
    let claimed = u64::from(plain_length);
    if claimed > PLAIN_BYTES_MAX || claimed > bytes.len() as u64 * LZ4_GROWTH_MAX {
        return Err(DecodeError("plain length is beyond what the stored bytes can hold"));
    }
    let mut plain = vec![0; plain_length as usize];
    match lz4_flex::block::decompress_into(bytes, &mut plain) {
        Ok(length) if length == plain.len() => Ok(plain),
        Ok(_) => Err(DecodeError("compressed bytes end early")),
        Err(_) => Err(DecodeError("compressed bytes are malformed")),
    }
}

fn decode_plain(bytes: &[u8], rows: u32) -> Result<Vec<TableBatch>, DecodeError> {
    let mut input = Input(bytes);
    let mut batches = Vec::new();
    for _ in 0..input.u32()? {
        batches.push(take_batch(&mut input)?);
    }
    if !input.0.is_empty() {
        return Err(DecodeError("bytes are left over"));
    }
    if batches.iter().map(|b| b.rows() as u64).sum::<u64>() != u64::from(rows) {
        return Err(DecodeError("number of rows differs from the header's"));
    }
    Ok(batches)
}

fn take_batch(input: &mut Input<'_>) -> Result<TableBatch, DecodeError> {
    let table = TableId(u64::from_le_bytes(input.array()?));
    let key_count = input.u32()?;
    let key_bytes = input.u32()?;
    let ends = input.chunks(key_count)?.iter().map(|c| u32::from_le_bytes(*c)).collect();
    let key_bytes = input.take(key_bytes)?.to_vec();
    let series = SeriesKeys::from_parts(key_bytes, ends).ok_or(DecodeError("malformed series keys"))?;

    let rows = input.u32()?;
    let row_series: Vec<_> = input.chunks(rows)?.iter().map(|c| u32::from_le_bytes(*c)).collect();
    if row_series.iter().any(|&s| s as usize >= series.len()) {
        return Err(DecodeError("a row of a series that is not there"));
    }
    let times = input.chunks(rows)?.iter().map(|c| i64::from_le_bytes(*c)).collect();

    let mut fields = Vec::new();
    for _ in 0..input.u32()? {
        fields.push(take_field(input, rows)?);
    }
    Ok(TableBatch { table, series, row_series, times, fields })
}

fn take_field(input: &mut Input<'_>, rows: usize) -> Result<(ColumnId, ArrayRef), DecodeError> {
    let column = ColumnId(u32::from_le_bytes(input.array()?));
    let [tag, has_nulls] = input.array()?;
    let nulls = match has_nulls {
        0 => None,
        1 => Some(NullBuffer::new(take_bits(input, rows)?)),
        _ => return Err(DecodeError("malformed validity")),
    };
    let array: ArrayRef = match tag {
        1 => {
            let values: ScalarBuffer<f64> = input.chunks(rows)?.iter().map(|c| f64::from_le_bytes(*c)).collect();
            Arc::new(Float64Array::new(values, nulls))
        }
        2 => {
            let values: ScalarBuffer<i64> = input.chunks(rows)?.iter().map(|c| i64::from_le_bytes(*c)).collect();
            Arc::new(Int64Array::new(values, nulls))
        }
        3 => {
            let values: ScalarBuffer<u64> = input.chunks(rows)?.iter().map(|c| u64::from_le_bytes(*c)).collect();
            Arc::new(UInt64Array::new(values, nulls))
        }
        4 => Arc::new(BooleanArray::new(take_bits(input, rows)?, nulls)),
        5 => Arc::new(take_strings(input, rows, nulls)?),
        _ => return Err(DecodeError("unknown field type")),
    };
    Ok((column, array))
}

fn take_bits(input: &mut Input<'_>, rows: usize) -> Result<BooleanBuffer, DecodeError> {
    Ok(BooleanBuffer::new(Buffer::from(input.take(rows.div_ceil(8))?), 0, rows))
}

fn take_strings(input: &mut Input<'_>, rows: usize, nulls: Option<NullBuffer>) -> Result<StringArray, DecodeError> {
    let ends = input.chunks(rows)?;
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(0);
    let mut last = 0;
    for end in ends {
        let end = i32::from_le_bytes(*end);
        if end < last {
            return Err(DecodeError("strings end before they start"));
        }
        offsets.push(end);
        last = end;
    }
    let bytes = Buffer::from(input.take(last as usize)?);
    StringArray::try_new(OffsetBuffer::new(offsets.into()), bytes, nulls).map_err(|_| DecodeError("malformed strings"))
}

/// Bytes yet to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(DecodeError("bytes are missing"))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError("bytes are missing"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn chunks<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], DecodeError> {
        let length = count.checked_mul(N).ok_or(DecodeError("bytes are missing"))?;
        Ok(self.take(length)?.as_chunks().0)
    }

    /// A count or a length.
    fn u32(&mut self) -> Result<usize, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn every_type_comes_back_with_its_nulls() {
        for batches in samples::requests() {
            let encoded = encode_payload(&batches).unwrap();
            samples::assert_same(&encoded.decode().unwrap(), &batches);
            assert_eq!(encoded.rows() as usize, batches.iter().map(TableBatch::rows).sum::<usize>());
        }
    }

    #[test]
    fn slices_of_arrays_come_back_as_what_they_show() {
        let mut batch = samples::all_types(40);
        batch.row_series = batch.row_series[3..20].to_vec();
        batch.times = batch.times[3..20].to_vec();
        batch.fields.iter_mut().for_each(|(_, array)| *array = array.slice(3, 17));
        let batches = vec![batch];
        samples::assert_same(&encode_payload(&batches).unwrap().decode().unwrap(), &batches);
    }

    #[test]
    fn only_what_shrinks_is_compressed() {
        let codec = |batch: TableBatch| encode_payload(&[batch]).unwrap().shape.codec;
        assert_eq!(codec(samples::all_types(1000)), CODEC_LZ4);
        assert_eq!(codec(samples::numbered(7)), CODEC_PLAIN);
    }

    #[test]
    fn batches_that_contradict_themselves_are_refused() {
        type Breakage = fn(&mut TableBatch);
        let check = |breakage: Breakage, expected: &str| {
            let mut batch = samples::all_types(4);
            breakage(&mut batch);
            let error = encode_payload(&[batch]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|b| b.row_series.truncate(2), "2 series for 4 rows");
        check(|b| b.row_series[1] = 9, "a row of series 9");
        check(|b| b.fields[0].1 = b.fields[0].1.slice(0, 3), "3 values in column");
        check(|b| b.fields[0].1 = datafusion::arrow::array::new_null_array(&DataType::Int8, 4), "has type Int8");
    }

    fn plain(bytes: Vec<u8>, rows: u32) -> Result<Vec<TableBatch>, DecodeError> {
        decode_plain(&bytes, rows)
    }

    fn plain_bytes(batches: &[TableBatch]) -> (Vec<u8>, u32) {
        let mut out = Vec::new();
        put_u32(&mut out, batches.len());
        batches.iter().for_each(|b| put_batch(&mut out, b));
        (out, batches.iter().map(|b| b.rows() as u32).sum())
    }

    #[test]
    fn cut_payloads_are_refused_at_every_length() {
        let (bytes, rows) = plain_bytes(&[samples::all_types(5), samples::numbered(1)]);
        assert!(plain(bytes.clone(), rows).is_ok());
        for length in 0..bytes.len() {
            assert!(plain(bytes[..length].to_vec(), rows).is_err(), "cut at {length}");
        }
        assert_eq!(plain([bytes.clone(), vec![0]].concat(), rows).unwrap_err(), DecodeError("bytes are left over"));
        assert!(plain(bytes, rows + 1).is_err());
    }

    #[test]
    fn hostile_bytes_neither_panic_nor_take_memory() {
        let (bytes, rows) = plain_bytes(&[samples::all_types(5), samples::numbered(1)]);
        for at in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut hostile = bytes.clone();
                hostile[at] = value;
                let _ = plain(hostile, rows);
            }
            let mut hostile = bytes.clone();
            let end = (at + 4).min(bytes.len());
            hostile[at..end].fill(0xff);
            let _ = plain(hostile, rows);
        }
    }

    #[test]
    fn a_claimed_length_is_believed_only_if_the_bytes_can_hold_it() {
        let encoded = encode_payload(&[samples::all_types(1000)]).unwrap();
        for plain_length in [0, 1, encoded.shape.plain_length - 1, encoded.shape.plain_length + 1, u32::MAX] {
            let shape = PayloadShape { plain_length, ..encoded.shape };
            assert!(decode_payload(&shape, &encoded.bytes).is_err(), "{plain_length}");
        }
        let unknown = PayloadShape { codec: 9, ..encoded.shape };
        assert_eq!(decode_payload(&unknown, &encoded.bytes).unwrap_err(), DecodeError("unknown compression"));
    }
}
