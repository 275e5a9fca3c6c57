//! Deletes as they are recorded: which rows of a table are gone.
//!
//! A tombstone speaks of tags and time only, which are the same in every write of a row, and of the segments that are live
//! when it is recorded. So it holds for each old row whether or not a newer write of it exists, and for no row that is
//! written later.

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{and, not, or};
use datafusion::arrow::datatypes::{Int32Type, TimestampNanosecondType};
use datafusion::arrow::error::ArrowError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A recorded delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    pub id: Uuid,
    /// Number of the delete within its table, from 1. It holds for segments that know of a lower number only.
    pub ordinal: u64,
    /// First and last instant, both included, nanoseconds.
    pub time_min_ns: i64,
    pub time_max_ns: i64,
    pub series: SeriesFilter,
}

/// Which series. A tag that a series lacks is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesFilter {
    All,
    Equal {
        tag: String,
        value: String,
    },
    /// `pattern` in the syntax of the `regex` crate, found anywhere in the value.
    Matches {
        tag: String,
        pattern: String,
    },
    Not(Box<SeriesFilter>),
    Every(Vec<SeriesFilter>),
    Any(Vec<SeriesFilter>),
}

impl SeriesFilter {
    /// Series of both.
    pub fn and(self, other: SeriesFilter) -> SeriesFilter {
        let parts = |filter| if let SeriesFilter::Every(parts) = filter { parts } else { vec![filter] };
        SeriesFilter::Every(parts(self).into_iter().chain(parts(other)).collect())
    }

    /// Series of either.
    pub fn or(self, other: SeriesFilter) -> SeriesFilter {
        let parts = |filter| if let SeriesFilter::Any(parts) = filter { parts } else { vec![filter] };
        SeriesFilter::Any(parts(self).into_iter().chain(parts(other)).collect())
    }

    /// Lists and objects that its JSON nests.
    pub fn nesting(&self) -> usize {
        let deepest = |parts: &[SeriesFilter]| parts.iter().map(SeriesFilter::nesting).max().unwrap_or(0);
        match self {
            SeriesFilter::All => 0,
            SeriesFilter::Equal { .. } | SeriesFilter::Matches { .. } => 2,
            SeriesFilter::Not(inner) => 1 + inner.nesting(),
            SeriesFilter::Every(parts) | SeriesFilter::Any(parts) => 2 + deepest(parts),
        }
    }
}

/// Tombstones that hold for the same rows, ready to be asked. Equal when made of equal tombstones.
#[derive(Debug, Clone, Default)]
pub struct DeletedRows {
    tombstones: Vec<(Tombstone, Compiled)>,
}

#[derive(Debug, Clone)]
enum Compiled {
    All,
    Equal(String, String),
    Matches(String, regex::Regex),
    Not(Box<Compiled>),
    Every(Vec<Compiled>),
    Any(Vec<Compiled>),
}

impl DeletedRows {
    /// Fails when a pattern is none: it was checked before it was recorded.
    pub fn of(tombstones: impl IntoIterator<Item = Tombstone>) -> Result<DeletedRows, ArrowError> {
        let compile = |tombstone: Tombstone| Ok((tombstone.clone(), Compiled::of(&tombstone.series)?));
        Ok(DeletedRows { tombstones: tombstones.into_iter().map(compile).collect::<Result<_, ArrowError>>()? })
    }

    pub fn is_empty(&self) -> bool {
        self.tombstones.is_empty()
    }

    /// Written names of the tags that must be looked at, each once.
    pub fn tags(&self) -> Vec<&str> {
        let mut tags = Vec::new();
        for (_, series) in &self.tombstones {
            series.tags(&mut tags);
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// For each row whether it is still there. `tag` gives a tag's column by its written name: a dictionary of strings;
    /// `None` when no row has it.
    pub fn kept(&self, times: &ArrayRef, tag: &dyn Fn(&str) -> Option<ArrayRef>) -> Result<BooleanArray, ArrowError> {
        let unlike = || ArrowError::SchemaError("time is a timestamp in nanoseconds".to_string());
        let instants = times.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(unlike)?.values();
        let mut kept = BooleanArray::from(vec![true; instants.len()]);
        for (tombstone, series) in &self.tombstones {
            let range = tombstone.time_min_ns..=tombstone.time_max_ns;
            let in_time: BooleanArray = instants.iter().map(|instant| Some(range.contains(instant))).collect();
            if in_time.true_count() == 0 {
                continue;
            }
            let deleted = and(&in_time, &series.verdicts(instants.len(), tag)?)?;
            kept = and(&kept, &not(&deleted)?)?;
        }
        Ok(kept)
    }

    /// The rows of a batch that are still there.
    pub fn without(
        &self,
        rows: &RecordBatch,
        times: &ArrayRef,
        tag: &dyn Fn(&str) -> Option<ArrayRef>,
    ) -> Result<RecordBatch, ArrowError> {
        datafusion::arrow::compute::filter_record_batch(rows, &self.kept(times, tag)?)
    }
}

impl PartialEq for DeletedRows {
    fn eq(&self, other: &Self) -> bool {
        self.tombstones.iter().map(|(t, _)| t).eq(other.tombstones.iter().map(|(t, _)| t))
    }
}

impl Eq for DeletedRows {}

impl std::hash::Hash for DeletedRows {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.tombstones.iter().for_each(|(tombstone, _)| tombstone.id.hash(state));
    }
}

impl Compiled {
    fn of(filter: &SeriesFilter) -> Result<Compiled, ArrowError> {
        let all = |filters: &[SeriesFilter]| filters.iter().map(Compiled::of).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            SeriesFilter::All => Compiled::All,
            SeriesFilter::Equal { tag, value } => Compiled::Equal(tag.clone(), value.clone()),
            SeriesFilter::Matches { tag, pattern } => {
                let wrong = |error: regex::Error| ArrowError::ParseError(error.to_string());
                Compiled::Matches(tag.clone(), regex::Regex::new(pattern).map_err(wrong)?)
            }
            SeriesFilter::Not(inner) => Compiled::Not(Box::new(Compiled::of(inner)?)),
            SeriesFilter::Every(filters) => Compiled::Every(all(filters)?),
            SeriesFilter::Any(filters) => Compiled::Any(all(filters)?),
        })
    }

    fn tags<'a>(&'a self, tags: &mut Vec<&'a str>) {
        match self {
            Compiled::All => {}
            Compiled::Equal(tag, _) | Compiled::Matches(tag, _) => tags.push(tag),
            Compiled::Not(inner) => inner.tags(tags),
            Compiled::Every(inner) | Compiled::Any(inner) => inner.iter().for_each(|inner| inner.tags(tags)),
        }
    }

    fn verdicts(&self, rows: usize, tag: &dyn Fn(&str) -> Option<ArrayRef>) -> Result<BooleanArray, ArrowError> {
        let all = |verdict| BooleanArray::from(vec![verdict; rows]);
        match self {
            Compiled::All => Ok(all(true)),
            Compiled::Equal(name, value) => by_value(tag(name), rows, |text| text == value),
            Compiled::Matches(name, regex) => by_value(tag(name), rows, |text| regex.is_match(text)),
            Compiled::Not(inner) => not(&inner.verdicts(rows, tag)?),
            Compiled::Every(inner) => {
                inner.iter().try_fold(all(true), |sum, part| and(&sum, &part.verdicts(rows, tag)?))
            }
            Compiled::Any(inner) => inner.iter().try_fold(all(false), |sum, part| or(&sum, &part.verdicts(rows, tag)?)),
        }
    }
}

/// What `each` says of each row's tag; it is asked once a value.
fn by_value(column: Option<ArrayRef>, rows: usize, each: impl Fn(&str) -> bool) -> Result<BooleanArray, ArrowError> {
    let missing = each("");
    let Some(column) = column else { return Ok(BooleanArray::from(vec![missing; rows])) };
    let unlike = || ArrowError::SchemaError("a tag is a dictionary of strings".to_string());
    let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or_else(unlike)?;
    let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(unlike)?;
    let verdicts: Vec<bool> = texts.iter().map(|text| text.map_or(missing, &each)).collect();
    Ok(dictionary.keys().iter().map(|key| Some(key.map_or(missing, |key| verdicts[key as usize]))).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{DictionaryArray, TimestampNanosecondArray};

    use super::*;

    fn equal(tag: &str, value: &str) -> SeriesFilter {
        SeriesFilter::Equal { tag: tag.to_string(), value: value.to_string() }
    }

    fn tombstone(series: SeriesFilter, time_min_ns: i64, time_max_ns: i64) -> Tombstone {
        Tombstone { id: Uuid::nil(), ordinal: 1, time_min_ns, time_max_ns, series }
    }

    /// Rows at 0, 1, 2, 3 with host a, b, none, a.
    #[track_caller]
    fn check(tombstones: Vec<Tombstone>, kept: [bool; 4]) {
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(0..4));
        let hosts: DictionaryArray<Int32Type> = [Some("a"), Some("b"), None, Some("a")].into_iter().collect();
        let hosts: ArrayRef = Arc::new(hosts);
        let tag = |name: &str| (name == "host").then(|| hosts.clone());
        let deleted = DeletedRows::of(tombstones).unwrap();
        assert_eq!(deleted.kept(&times, &tag).unwrap(), BooleanArray::from(kept.to_vec()));
    }

    #[test]
    fn a_delete_takes_the_rows_of_its_series_in_its_time() {
        check(vec![], [true; 4]);
        check(vec![tombstone(SeriesFilter::All, 1, 2)], [true, false, false, true]);
        check(vec![tombstone(equal("host", "a"), 1, 9)], [true, true, true, false]);
        check(vec![tombstone(equal("host", ""), 0, 9)], [true, true, false, true]);
        check(vec![tombstone(equal("none", ""), 0, 9)], [false; 4]);
        check(vec![tombstone(SeriesFilter::Not(Box::new(equal("host", "a"))), 0, 9)], [true, false, false, true]);
        let pattern = SeriesFilter::Matches { tag: "host".to_string(), pattern: "^[ab]$".to_string() };
        check(vec![tombstone(pattern.clone(), 0, 9)], [false, false, true, false]);
        let both = SeriesFilter::Every(vec![pattern, equal("host", "b")]);
        check(vec![tombstone(both, 0, 9)], [true, false, true, true]);
        let either = SeriesFilter::Any(vec![equal("host", "b"), equal("host", "")]);
        check(vec![tombstone(either, 0, 9)], [true, false, false, true]);
    }

    #[test]
    fn several_deletes_add_up() {
        check(
            vec![tombstone(SeriesFilter::All, 0, 0), tombstone(equal("host", "b"), 0, 9)],
            [false, false, true, true],
        );
    }
}
