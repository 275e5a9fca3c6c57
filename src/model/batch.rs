//! Points after validation: ids instead of names, ready for the log and the buffer.

use datafusion::arrow::array::ArrayRef;

use super::schema::{ColumnId, TableId};

/// Rows of one table, checked against its schema.
#[derive(Debug, Clone)]
pub struct TableBatch {
    pub table: TableId,
    /// Distinct series of these rows; tag numbers are column ids, ascending within a key.
    pub series: SeriesKeys,
    /// A row's entry in `series`.
    pub row_series: Vec<u32>,
    /// A row's time, nanoseconds. Rows are in the order they were written.
    pub times: Vec<i64>,
    /// Values a column, as long as `times`; columns not listed are null.
    pub fields: Vec<(ColumnId, ArrayRef)>,
}

impl TableBatch {
    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// Bytes held in memory, about.
    pub fn memory_bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, array)| array.get_array_memory_size()).sum();
        self.series.memory_bytes() + self.row_series.len() * 4 + self.times.len() * 8 + fields
    }
}

/// A borrowed series key: the tags of one series, encoded.
pub type SeriesKey<'a> = &'a [u8];

/// A list of series keys in one allocation. A key is a sequence of tags, each
/// `number u32 LE, length u32 LE, value bytes`; what the number means is up to the owner of the list.
/// Equal tag lists have equal bytes, so keys are compared and hashed as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesKeys {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<u32>,
}

impl SeriesKeys {
    /// Appends a key and returns its position.
    pub fn push<'a>(&mut self, tags: impl IntoIterator<Item = (u32, &'a str)>) -> u32 {
        for (number, value) in tags {
            self.bytes.extend_from_slice(&number.to_le_bytes());
            self.bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(value.as_bytes());
        }
        self.end_key()
    }

    /// Appends an encoded key.
    pub fn push_encoded(&mut self, key: SeriesKey<'_>) -> u32 {
        self.bytes.extend_from_slice(key);
        self.end_key()
    }

    fn end_key(&mut self) -> u32 {
        self.ends.push(u32::try_from(self.bytes.len()).expect("request bodies are limited far below 4 GiB"));
        self.ends.len() as u32 - 1
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn key(&self, index: usize) -> SeriesKey<'_> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.bytes[start..self.ends[index] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = SeriesKey<'_>> {
        (0..self.len()).map(|i| self.key(i))
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }

    /// The parts that a serialiser needs: all key bytes, and where each key ends.
    pub fn as_parts(&self) -> (&[u8], &[u32]) {
        (&self.bytes, &self.ends)
    }

    /// Inverse of [`as_parts`](Self::as_parts). `None` when the parts are not a list of well-formed keys.
    pub fn from_parts(bytes: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let ascending = ends.windows(2).all(|w| w[0] <= w[1]);
        if !ascending || ends.last().copied().unwrap_or(0) as usize != bytes.len() {
            return None;
        }
        let keys = SeriesKeys { bytes, ends };
        let well_formed = keys.iter().all(is_well_formed);
        well_formed.then_some(keys)
    }
}

/// The tags of an encoded key, in its order.
pub fn tags_of(mut key: SeriesKey<'_>) -> impl Iterator<Item = (u32, &str)> {
    std::iter::from_fn(move || {
        let (tag, rest) = split_tag(key)?;
        key = rest;
        Some(tag)
    })
}

fn is_well_formed(mut key: SeriesKey<'_>) -> bool {
    while !key.is_empty() {
        match split_tag(key) {
            Some((_, rest)) => key = rest,
            None => return false,
        }
    }
    true
}

fn split_tag(key: &[u8]) -> Option<((u32, &str), &[u8])> {
    let (number, rest) = key.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some(((u32::from_le_bytes(*number), std::str::from_utf8(value).ok()?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_tags() {
        let mut keys = SeriesKeys::default();
        keys.push([(1, "a"), (3, "")]);
        keys.push([]);
        keys.push([(2, "grün")]);
        assert_eq!(tags_of(keys.key(0)).collect::<Vec<_>>(), [(1, "a"), (3, "")]);
        assert_eq!(tags_of(keys.key(1)).count(), 0);
        assert_eq!(tags_of(keys.key(2)).collect::<Vec<_>>(), [(2, "grün")]);
        let (bytes, ends) = keys.as_parts();
        assert_eq!(SeriesKeys::from_parts(bytes.to_vec(), ends.to_vec()), Some(keys));
    }

    #[test]
    fn broken_parts_are_refused() {
        let mut keys = SeriesKeys::default();
        keys.push([(1, "abc")]);
        let (bytes, ends) = keys.as_parts();
        for cut in 0..bytes.len() {
            let end = if cut == 0 { vec![] } else { vec![cut as u32] };
            assert_eq!(SeriesKeys::from_parts(bytes[..cut].to_vec(), end).is_some(), cut == 0, "cut at {cut}");
        }
        assert_eq!(SeriesKeys::from_parts(bytes.to_vec(), vec![ends[0] - 1]), None);
    }
}
