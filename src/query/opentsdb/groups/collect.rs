//! Gathers the points of each series out of batches, which may come in any order.
//!
//! Rows of a series that follow each other in a batch are one piece. While they are read whole buckets are made of them, so
//! that what is held is about as large as the answer; the first and the last bucket of a piece may go on elsewhere and are kept
//! as what they come to so far or, for functions that need all values at once, as points.

use std::sync::Arc;

use ahash::AHashMap;
use datafusion::arrow::array::{Array, AsArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampNanosecondType};
use datafusion::common::Result;

use crate::model::metric::integer_of;
use crate::query::opentsdb::aggregator::Function;
use crate::query::opentsdb::answer::TagSet;
use crate::query::opentsdb::filter::{Matcher, TagFilter};

use super::column::{Number, Piece, Pieces};
use super::spec::{GroupSpec, Sampling};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// The values of a series' tags in the order of the spec; `None` where it lacks one.
pub(super) type Tags = Vec<Option<Arc<str>>>;

/// Series by their tags.
#[derive(Debug)]
pub(super) struct Collector {
    spec: Arc<GroupSpec>,
    /// By the tag's place; `None`: the table has no such tag, and nothing passes.
    matchers: Option<Vec<(usize, Arc<Matcher>)>>,
    by_tags: AHashMap<Vec<u8>, Option<usize>>,
    series: Vec<(Tags, Pieces)>,
    /// The tags of the run at hand, as `by_tags` has them.
    key: Vec<u8>,
    bytes: usize,
}

impl Collector {
    pub(super) fn new(spec: Arc<GroupSpec>) -> Self {
        let matcher = |filter: &TagFilter| {
            let tag = spec.tags.iter().position(|tag| **tag == *filter.tagk)?;
            Some((tag, filter.matcher()))
        };
        let matchers: Option<Vec<_>> = spec.filters.iter().map(matcher).collect();
        Collector { spec, matchers, by_tags: AHashMap::new(), series: Vec::new(), key: Vec::new(), bytes: 0 }
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn into_series(self) -> Vec<(Tags, Pieces)> {
        self.series
    }

    /// Takes rows: the spec's tags (dictionaries of strings), the time, then the value as a float, and as an integer where
    /// it is one if there is such a column. Rows without a value are passed over.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let tags = self.spec.tags.len();
        let columns: Vec<&DictionaryArray<Int32Type>> =
            batch.columns()[..tags].iter().map(|column| column.as_dictionary()).collect();
        let texts: Vec<&StringArray> = columns.iter().map(|column| column.values().as_string::<i32>()).collect();
        let times = batch.column(tags).as_primitive::<TimestampNanosecondType>().values();
        let floats = batch.column(tags + 1).as_primitive::<Float64Type>();
        let integers = batch.columns().get(tags + 2).map(|column| column.as_primitive::<Int64Type>());
        let spec = self.spec.clone();
        let sampling = spec.sampling.as_ref().filter(|_| spec.early);
        for (from, to) in runs(&columns, batch.num_rows()) {
            let Some(at) = self.series_at(&columns, &texts, from) else { continue };
            let pieces = &mut self.series[at].1;
            let before = pieces.bytes();
            // Time going back begins another piece: here one file ended and another began.
            for (from, to) in ascending(times, from, to) {
                match sampling {
                    Some(sampling) if floats.null_count() == 0 => {
                        push_sampled(pieces, sampling, &times[from..to], &floats.values()[from..to]);
                    }
                    Some(sampling) => {
                        let (times, values) = without_nulls(times, floats, from, to);
                        push_sampled(pieces, sampling, &times, &values);
                    }
                    None => push_points(pieces, &times[from..to], from, floats, integers),
                }
            }
            self.bytes += self.series[at].1.bytes() - before;
        }
        Ok(())
    }

    /// The series that a row is of; `None` when it is not wanted.
    fn series_at(
        &mut self,
        columns: &[&DictionaryArray<Int32Type>],
        texts: &[&StringArray],
        row: usize,
    ) -> Option<usize> {
        self.key.clear();
        let value_of = |column: usize| {
            let keys = columns[column].keys();
            let text = keys.is_valid(row).then(|| keys.value(row) as usize)?;
            // An empty tag is an absent one here.
            texts[column].is_valid(text).then(|| texts[column].value(text)).filter(|text| !text.is_empty())
        };
        for column in 0..columns.len() {
            let text = value_of(column).unwrap_or_default();
            self.key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.key.extend_from_slice(text.as_bytes());
        }
        if let Some(known) = self.by_tags.get(&self.key) {
            return *known;
        }
        let tags: Tags = (0..columns.len()).map(|column| value_of(column).map(Arc::from)).collect();
        self.bytes +=
            self.key.len() * 2 + size_of::<(Tags, Pieces)>() + tags.len() * size_of::<Option<Arc<str>>>() + 64;
        let is_wanted = self.matchers.as_ref().is_some_and(|matchers| is_wanted(&self.spec, matchers, &tags));
        let found = is_wanted.then(|| {
            self.series.push((tags, Pieces::default()));
            self.series.len() - 1
        });
        self.by_tags.insert(self.key.clone(), found);
        found
    }
}

fn is_wanted(spec: &GroupSpec, matchers: &[(usize, Arc<Matcher>)], tags: &Tags) -> bool {
    let passes =
        matchers.iter().all(|(tag, matcher)| tags[*tag].as_deref().is_some_and(|value| matcher.is_match(value)));
    if !passes {
        return false;
    }
    let is_named = |tag: usize| matchers.iter().any(|(named, _)| *named == tag);
    if spec.explicit_tags && tags.iter().enumerate().any(|(tag, value)| value.is_some() && !is_named(tag)) {
        return false;
    }
    let Some(members) = &spec.members else { return true };
    let mut pairs: Vec<(&str, &str)> =
        spec.tags.iter().zip(tags).filter_map(|(key, value)| Some((&**key, value.as_deref()?))).collect();
    pairs.sort_unstable();
    let texts = |member: &'_ TagSet| member.iter().map(|(key, value)| (&**key, &**value)).cmp(pairs.iter().copied());
    members.binary_search_by(texts).is_ok()
}

/// Where rows with the same tags lie, as far as the dictionaries' keys tell: a series may come in several runs.
fn runs(columns: &[&DictionaryArray<Int32Type>], rows: usize) -> Vec<(usize, usize)> {
    let mut starts = vec![false; rows];
    if let Some(first) = starts.first_mut() {
        *first = true;
    }
    for column in columns {
        let keys = column.keys();
        let values = keys.values();
        if keys.null_count() == 0 {
            for (start, pair) in starts.iter_mut().skip(1).zip(values.windows(2)) {
                *start |= pair[1] != pair[0];
            }
        } else {
            let key = |at: usize| keys.is_valid(at).then(|| values[at]);
            for (start, at) in starts.iter_mut().zip(0..).skip(1) {
                *start |= key(at) != key(at - 1);
            }
        }
    }
    stretches(&starts, 0)
}

/// Parts of `from..to` in which times do not go back.
fn ascending(times: &[i64], from: usize, to: usize) -> Vec<(usize, usize)> {
    if times[from..to].is_sorted() {
        return vec![(from, to)];
    }
    let starts: Vec<bool> = (from..to).map(|at| at == from || times[at] < times[at - 1]).collect();
    stretches(&starts, from)
}

/// From each start to the next; the first is one.
fn stretches(starts: &[bool], offset: usize) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, _) in starts.iter().enumerate().skip(1).filter(|(_, start)| **start) {
        found.push((offset + from, offset + at));
        from = at;
    }
    if !starts.is_empty() {
        found.push((offset + from, offset + starts.len()));
    }
    found
}

fn without_nulls(times: &[i64], floats: &PrimitiveArray<Float64Type>, from: usize, to: usize) -> (Vec<i64>, Vec<f64>) {
    (from..to).filter(|&at| floats.is_valid(at)).map(|at| (times[at], floats.value(at))).unzip()
}

fn millis(nanos: i64) -> i64 {
    nanos.div_euclid(NANOS_PER_MILLI)
}

/// Rows from `offset` on, as points.
fn push_points(
    pieces: &mut Pieces,
    times: &[i64],
    offset: usize,
    floats: &PrimitiveArray<Float64Type>,
    integers: Option<&PrimitiveArray<Int64Type>>,
) {
    let at = pieces.points.len();
    for (i, &time) in times.iter().enumerate() {
        let row = offset + i;
        if floats.is_null(row) {
            continue;
        }
        let float = floats.value(row);
        let integer = integers.filter(|integers| integers.is_valid(row)).map(|integers| integers.value(row));
        match integer_of(float, integer) {
            Some(integer) => pieces.points.push(millis(time), Number::Integer(integer)),
            None => pieces.points.push_float(millis(time), float),
        }
    }
    let tail = pieces.points.len() - at;
    add_piece(pieces, Piece { first_ms: 0, last_ms: 0, at, head: 0, done: 0, tail });
}

/// Rows in order of time, as buckets as far as they are whole.
fn push_sampled(pieces: &mut Pieces, sampling: &Sampling, times: &[i64], values: &[f64]) {
    let function: Function = sampling.function;
    let (at, rows) = (pieces.points.len(), times.len());
    let (mut head, mut done, mut tail) = (0, 0, 0);
    let mut from = 0;
    while from < rows {
        let ms = millis(times[from]);
        let Some(bucket) = sampling.buckets.at(ms) else {
            // In no bucket: never asked for again.
            from += 1;
            continue;
        };
        let end_ns = bucket.end_ms.saturating_mul(NANOS_PER_MILLI);
        let to = from + times[from..].iter().position(|&time| time >= end_ns).unwrap_or(rows - from);
        let values_here = &values[from..to];
        if from > 0 && to < rows {
            push_counted(pieces, bucket.start_ms, function.of_floats(values_here), None);
            done += 1;
        } else {
            let held = match function.partial(values_here) {
                Some(partial) => {
                    push_counted(pieces, ms, partial.value, Some(partial.count));
                    1
                }
                None => {
                    (from..to).for_each(|row| push_counted(pieces, millis(times[row]), values[row], None));
                    to - from
                }
            };
            if from == 0 {
                head = held;
            } else {
                tail = held;
            }
        }
        from = to;
    }
    add_piece(pieces, Piece { first_ms: 0, last_ms: 0, at, head, done, tail });
    if let Some(piece) = pieces.pieces.last_mut().filter(|_| rows > 0) {
        piece.first_ms = millis(times[0]);
        piece.last_ms = millis(times[rows - 1]);
    }
}

/// A point; with `Some` it stands for so many values.
fn push_counted(pieces: &mut Pieces, time_ms: i64, value: f64, count: Option<u32>) {
    if count.is_some() || !pieces.counts.is_empty() {
        pieces.counts.resize(pieces.points.len(), 1);
        pieces.counts.push(count.unwrap_or(1));
    }
    pieces.points.push_float(time_ms, value);
}

/// Adds a piece that has points; its times are those of its first and last.
fn add_piece(pieces: &mut Pieces, piece: Piece) {
    let end = piece.at + piece.head + piece.done + piece.tail;
    if end > piece.at {
        let (first_ms, last_ms) = (pieces.points.times[piece.at], pieces.points.times[end - 1]);
        pieces.pieces.push(Piece { first_ms, last_ms, ..piece });
    }
}
