//! Tag sets of one table, numbered in order of appearance.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;
use datafusion::arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};

use crate::model::ColumnId;
use crate::model::batch::{SeriesKey, tags_of};

/// Series by number. Only grows.
#[derive(Debug, Default)]
pub struct SeriesSet {
    numbers: AHashMap<Box<[u8]>, u32>,
    tags: BTreeMap<ColumnId, TagValues>,
    memory_bytes: usize,
}

/// One tag's distinct values, and each series' value.
#[derive(Debug, Default)]
struct TagValues {
    values: Vec<Box<str>>,
    codes: AHashMap<Box<str>, i32>,
    /// By series number; shorter than the set when the last series lack the tag.
    of_series: Vec<Option<i32>>,
}

impl SeriesSet {
    /// Number of the series with this key (column ids ascending), added when new.
    pub fn number(&mut self, key: SeriesKey<'_>) -> u32 {
        if let Some(&number) = self.numbers.get(key) {
            return number;
        }
        let number = self.numbers.len() as u32;
        self.memory_bytes += key.len() + 48;
        for (column, value) in tags_of(key) {
            let tag = self.tags.entry(ColumnId(column)).or_default();
            let code = match tag.codes.get(value) {
                Some(&code) => code,
                None => {
                    let code = tag.values.len() as i32;
                    tag.values.push(value.into());
                    tag.codes.insert(value.into(), code);
                    self.memory_bytes += 2 * value.len() + 64;
                    code
                }
            };
            tag.of_series.resize(number as usize, None);
            tag.of_series.push(Some(code));
            self.memory_bytes += 8;
        }
        self.numbers.insert(key.into(), number);
        number
    }

    /// Number of the series with this key.
    pub fn find(&self, key: SeriesKey<'_>) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// A set of some of the series, and their numbers in it by their numbers here (those of others mean nothing).
    pub fn subset(&self, numbers: impl Iterator<Item = u32>) -> (SeriesSet, Vec<u32>) {
        let mut is_used = vec![false; self.len()];
        numbers.for_each(|number| is_used[number as usize] = true);
        let (mut subset, mut renumbered) = (SeriesSet::default(), vec![0; self.len()]);
        for (key, number) in self.numbers.iter().filter(|(_, number)| is_used[**number as usize]) {
            renumbered[*number as usize] = subset.number(key);
        }
        (subset, renumbered)
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Bytes held, about.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// The values of tag `column` for rows of the given series.
    pub fn tag_array(&self, column: ColumnId, rows: impl ExactSizeIterator<Item = u32>) -> ArrayRef {
        let empty = TagValues::default();
        let tag = self.tags.get(&column).unwrap_or(&empty);
        let keys: Int32Array = rows.map(|series| tag.code(series)).collect();
        let values = StringArray::from_iter_values(tag.values.iter());
        // Keys are positions in `values` by construction; the check costs little beside the gathering.
        Arc::new(DictionaryArray::new(keys, Arc::new(values)))
    }

    /// A rank for each series number: ranks sort as the values of `columns` do, nulls last. Series equal in all of
    /// them share a rank.
    pub fn ranks(&self, columns: &[ColumnId]) -> Vec<u32> {
        // A row of the table below is one series: the place of each tag's value among the tag's sorted values.
        let places: Vec<Vec<u32>> =
            columns.iter().filter_map(|column| self.tags.get(column)).map(|tag| tag.places(self.len())).collect();
        let compare = |a: &u32, b: &u32| {
            places
                .iter()
                .map(|p| p[*a as usize].cmp(&p[*b as usize]))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by(compare);
        let mut ranks = vec![0; self.len()];
        let mut rank = 0;
        for (i, series) in order.iter().enumerate() {
            if i > 0 && compare(&order[i - 1], series).is_ne() {
                rank += 1;
            }
            ranks[*series as usize] = rank;
        }
        ranks
    }
}

impl TagValues {
    fn code(&self, series: u32) -> Option<i32> {
        self.of_series.get(series as usize).copied().flatten()
    }

    /// By series number: the place of its value in sorted order, `u32::MAX` without one.
    fn places(&self, series: usize) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_unstable_by(|a, b| self.values[*a].cmp(&self.values[*b]));
        let mut place_of_code = vec![0; self.values.len()];
        for (place, code) in order.into_iter().enumerate() {
            place_of_code[code] = place as u32;
        }
        (0..series as u32).map(|s| self.code(s).map_or(u32::MAX, |code| place_of_code[code as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::*;
    use crate::model::SeriesKeys;

    fn set(keys: &[&[(u32, &str)]]) -> SeriesSet {
        let mut set = SeriesSet::default();
        for key in keys {
            let mut encoded = SeriesKeys::default();
            encoded.push(key.iter().copied());
            set.number(encoded.key(0));
        }
        set
    }

    #[test]
    fn equal_keys_have_one_number() {
        let set = set(&[&[(1, "a")], &[(1, "b")], &[(1, "a")], &[]]);
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn ranks_sort_by_tags_with_nulls_last() {
        let set =
            set(&[&[(1, "b")], &[(2, "x")], &[(1, "a"), (2, "y")], &[(1, "a"), (2, "x")], &[], &[(1, ""), (2, "x")]]);
        assert_eq!(set.ranks(&[ColumnId(1), ColumnId(2)]), [3, 4, 2, 1, 5, 0]);
        assert_eq!(set.ranks(&[ColumnId(2)]), [2, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn a_tag_array_has_each_rows_value() {
        let set = set(&[&[(1, "b")], &[(2, "x")], &[(1, "")]]);
        let array = set.tag_array(ColumnId(1), [2, 0, 1, 0].into_iter());
        let array = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        assert_eq!(array.into_iter().collect::<Vec<_>>(), [Some(""), Some("b"), None, Some("b")]);
        assert_eq!(set.tag_array(ColumnId(9), [0, 1].into_iter()).logical_null_count(), 2);
    }
}
