//! Filters of the words in a segment's texts: they say which row groups need not be read for a word.
//!
//! ```text
//! body   pages of all row groups
//!        filters, one for each column of texts and row group that has one
//! tail   …, footer: key-value metadata `tidegate.words` says where they are
//! ```
//! A filter is a split block Bloom filter (Parquet's own form, its bits set by that library) over the distinct words of the
//! column in the row group, [`folded`]. It is cut into parts, each a filter of its own, and a
//! word's hash says which one it is in: a look-up reads one part, however large the filter is. It lies in the body, so
//! the segment's checksums cover it, and other readers, who follow the footer, step over it.
//!
//! A filter says "no" only where no text has the word, and in about one of a hundred cases "maybe" where none has it. Where
//! it would take more than a tenth of the texts' own bytes there is none: such texts are numbers and ids throughout.

use std::ops::Range;

use ahash::AHashSet;
use datafusion::arrow::array::{AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{FileMetaData, KeyValue};
use serde::{Deserialize, Serialize};

use crate::model::ColumnId;
use crate::model::schema::{META_FIELD_ID, META_KIND};
use crate::model::words::{folded, words};

const KEY: &str = "tidegate.words";
/// Bytes of a part: a small piece of what one read of a store brings anyway.
const PART_BYTES: usize = 4096;
/// Bits a word: with eight of them set in a block of 256, about 1 % of other words look as if they were there.
const WORD_BITS: usize = 11;
/// A filter takes at most one byte of so many of its texts.
const TEXT_BYTES_A_BYTE: usize = 10;
/// What any filter may take, so that short texts have one as well.
const FILTER_BYTES_FREE: usize = 1024;
/// What no filter exceeds; while it is made, its hashes take up to fourteen times as much.
const FILTER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a block of a split block Bloom filter.
const BLOCK_BYTES: usize = 32;

/// The hash of a word, the same for ever: filters in segments hold it.
///
/// FNV-1a of the folded word's UTF-8, then the finalizer of MurmurHash3, because the upper bits choose the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WordHash(u64);

impl WordHash {
    /// `word`: as it stands in a text.
    pub fn of(word: &str) -> WordHash {
        if word.is_ascii() {
            WordHash::of_bytes(word.bytes().map(|byte| byte.to_ascii_lowercase()))
        } else {
            WordHash::of_bytes(folded(word).bytes())
        }
    }

    fn of_bytes(bytes: impl Iterator<Item = u8>) -> WordHash {
        let mut hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        WordHash(hash ^ (hash >> 33))
    }

    fn part(self, parts: usize) -> usize {
        ((u128::from(self.0) * parts as u128) >> 64) as usize
    }

    fn bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }
}

/// Where a segment's filters are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordFilters {
    part_bytes: u32,
    columns: Vec<ColumnFilters>,
}

/// The filters of one column, one a row group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ColumnFilters {
    id: ColumnId,
    /// Offset in the object and length. `None`: any word may be in the row group.
    groups: Vec<Option<(u64, u32)>>,
}

impl WordFilters {
    /// What a segment's footer says. `None` when it has no filters, or such as this version cannot read.
    pub fn of(file: &FileMetaData) -> Option<WordFilters> {
        let text = file.key_value_metadata()?.iter().find(|entry| entry.key == KEY)?.value.as_ref()?;
        let filters: WordFilters = serde_json::from_str(text).ok()?;
        let length_is_odd = |(_, length): &(u64, u32)| *length == 0 || !(*length as usize).is_multiple_of(BLOCK_BYTES);
        let odd = filters.columns.iter().any(|column| column.groups.iter().flatten().any(length_is_odd));
        (!odd && filters.part_bytes > 0 && (filters.part_bytes as usize).is_multiple_of(BLOCK_BYTES)).then_some(filters)
    }

    /// The bytes to be read for a look-up of `word`, a range a row group that has a filter. `None`: the column has none.
    pub fn places(&self, column: ColumnId, word: WordHash) -> Option<Vec<Option<Range<u64>>>> {
        let column = self.columns.iter().find(|known| known.id == column)?;
        let part_bytes = self.part_bytes;
        let place = |(offset, length): (u64, u32)| {
            let part = word.part(length.div_ceil(part_bytes) as usize) as u64 * u64::from(part_bytes);
            let end = (part + u64::from(part_bytes)).min(u64::from(length));
            offset.saturating_add(part)..offset.saturating_add(end)
        };
        Some(column.groups.iter().map(|group| group.map(place)).collect())
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> u64 {
        self.columns.iter().flat_map(|column| &column.groups).flatten().map(|(_, length)| u64::from(*length)).sum()
    }
}

/// Whether the row group that `part` of a filter was read for may hold the word. `part`: the bytes of one of
/// [`WordFilters::places`].
pub fn may_hold(part: &[u8], word: WordHash) -> bool {
    part.len() < BLOCK_BYTES || Sbbf::new(part).check(&word.bytes()[..])
}

/// Writes the filters of all fields of texts behind the row groups that `writer` has finished, which hold `rows` and nothing
/// else.
pub(super) fn write_filters(writer: &mut ArrowWriter<Vec<u8>>, rows: &RecordBatch) -> Result<(), ParquetError> {
    writer.flush()?;
    let mut groups = Vec::with_capacity(writer.flushed_row_groups().len());
    let mut start = 0;
    for group in writer.flushed_row_groups() {
        let end = (start + group.num_rows() as usize).min(rows.num_rows());
        groups.push(start..end);
        start = end;
    }
    let mut columns = Vec::new();
    for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let is_field = field.metadata().get(META_KIND).is_some_and(|kind| kind == "field");
        let id = field.metadata().get(META_FIELD_ID).and_then(|id| id.parse().ok());
        let (true, Some(id), DataType::Utf8) = (is_field, id, field.data_type()) else { continue };
        let texts = array.as_string::<i32>();
        let mut places = Vec::with_capacity(groups.len());
        for rows in &groups {
            let filter = filter_of(&texts.slice(rows.start, rows.len()));
            places.push(match filter {
                Some(bytes) => {
                    let offset = writer.bytes_written() as u64;
                    writer.write_all(&bytes)?;
                    Some((offset, bytes.len() as u32))
                }
                None => None,
            });
        }
        if places.iter().any(Option::is_some) {
            columns.push(ColumnFilters { id: ColumnId(id), groups: places });
        }
    }
    if !columns.is_empty() {
        let filters = WordFilters { part_bytes: PART_BYTES as u32, columns };
        let text = serde_json::to_string(&filters).map_err(|error| ParquetError::External(Box::new(error)))?;
        writer.append_key_value_metadata(KeyValue::new(KEY.to_string(), text));
    }
    Ok(())
}

/// The filter of the words of `texts`; `None` when it would be too large.
fn filter_of(texts: &StringArray) -> Option<Vec<u8>> {
    let offsets = texts.value_offsets();
    let text_bytes = (offsets.last()? - offsets.first()?) as usize;
    let bytes_max = (text_bytes / TEXT_BYTES_A_BYTE).clamp(FILTER_BYTES_FREE, FILTER_BYTES_MAX);
    let words_max = bytes_max * 8 / WORD_BITS;
    let mut hashes: AHashSet<WordHash> = AHashSet::new();
    for text in texts.iter().flatten() {
        hashes.extend(words(text).map(WordHash::of));
        if hashes.len() > words_max {
            return None;
        }
    }
    let bytes = (hashes.len() * WORD_BITS).div_ceil(8);
    let (parts, part_bytes) = match bytes.div_ceil(PART_BYTES) {
        0 | 1 => (1, bytes.next_power_of_two().max(BLOCK_BYTES)),
        parts => (parts, PART_BYTES),
    };
    let mut filters: Vec<Sbbf> = (0..parts).map(|_| Sbbf::new_with_num_of_bytes(part_bytes)).collect();
    for hash in hashes {
        filters[hash.part(parts)].insert(&hash.bytes()[..]);
    }
    let mut all = Vec::with_capacity(parts * part_bytes);
    filters.iter().try_for_each(|filter| filter.write_bitset(&mut all)).ok()?;
    Some(all)
}

#[cfg(test)]
mod tests;
