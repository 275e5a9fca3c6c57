//! UPDATE of tags: rows are stored under their new tags, and then the series that they were of are deleted.
//!
//! A delete names series, and holds for all rows that are in segments when it is recorded. So it is recorded only if the rows
//! there are those that were moved: they are asked for again, and the catalog refuses the delete if rows came into segments
//! after that. Several series may become one where no two of their rows have the same time. A series that has the new tags already
//! and is not moved is written to, as an INSERT would: of rows with the same time, the moved one's fields stay.
//! An update that is refused so late, or that a crash ends, leaves rows under both, and loses none; it can be
//! sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::{AHashMap, RandomState};
use futures::StreamExt;

use crate::catalog::{CatalogError, Delete, Table};
use crate::model::batch::tags_of;
use crate::model::{FieldValues, Kind, Points, SeriesFilter, SeriesKey, TablePoints};
use crate::protocol::Core;
use crate::query::sql::{RowsToWrite, SqlAnswer, SqlRequest};

use super::changes::{accept, flush, table_id, target_of};
use super::error::WireError;
use super::sql::refusal;

/// Rows that an UPDATE of tags may move: they are held until all are known.
const MOVED_ROWS_MAX: usize = 1_000_000;
/// Series that an UPDATE of tags may empty: each is named by the delete that follows.
const MOVED_SERIES_MAX: usize = 1_000;
/// Times that the rows are compared anew because others of their table were flushed meanwhile.
const TRIES: usize = 5;

/// Tags of a series, in order of their names.
type Key = Vec<(String, String)>;

/// Gives the rows that `question` asks for other tags. Returns how many there were.
pub(super) async fn retag(
    core: &Core,
    question: &SqlRequest,
    mut rows: RowsToWrite,
    tags: &[(String, Option<String>)],
) -> Result<u64, WireError> {
    let mut batches: Vec<TablePoints> = Vec::new();
    let mut old: BTreeSet<Key> = BTreeSet::new();
    let mut count = 0;
    while let Some(points) = next(&mut rows, &question.text).await? {
        count += points.rows();
        if count > MOVED_ROWS_MAX {
            let what = format!("an update of tags may move {MOVED_ROWS_MAX} rows");
            return Err(WireError::new(Kind::TooLarge, what));
        }
        for points in points.into_tables() {
            old.extend(BySeries::of(&points).keys);
            batches.push(points);
        }
        if old.len() > MOVED_SERIES_MAX {
            let what = format!("an update of tags may move {MOVED_SERIES_MAX} series");
            return Err(WireError::new(Kind::TooLarge, what));
        }
    }
    if count == 0 {
        return Ok(0);
    }
    let (table, target) = (table_id(core, &rows)?, target_of(&rows));
    drop(rows);
    let hasher = RandomState::new();
    let mut moved = Moved::default();
    let mut sum = Sum::default();
    for points in &batches {
        moved.add(points, tags);
        sum.add(points, &old, &hasher);
    }
    drop(batches);
    if let Some(unchanged) = moved.series.keys().find(|key| old.contains(*key)) {
        return Err(WireError::new(Kind::Invalid, format!("the series {unchanged:?} exists already")));
    }
    if moved.series.keys().any(Vec::is_empty) {
        return Err(WireError::new(Kind::Invalid, "a series would have no tag any more: all would become null"));
    }
    if moved.series.len() < old.len()
        && let Some(time_ns) = moved.meeting()
    {
        let what = format!("several of the series have a row at the time {time_ns}, and they would become one");
        return Err(WireError::new(Kind::Invalid, what));
    }
    accept(core, &target, moved.points).await?;
    for _ in 0..TRIES {
        flush(core).await?;
        let Some(seen) = core.catalog.state().table(table).cloned() else { return Ok(count as u64) };
        if asked_again(core, question, &old, &hasher).await? != sum {
            break;
        }
        let delete = Delete { table, time_min_ns: i64::MIN, time_max_ns: i64::MAX, series: filter(&old, &seen) };
        match core.catalog.delete_seen_rows(delete, seen).await {
            Ok(_) => return Ok(count as u64),
            Err(CatalogError::Stale { .. }) => {}
            Err(error) => return Err(super::ddl::refusal(error)),
        }
    }
    let what = "rows were written meanwhile: those that were there before have their new tags, and nothing was deleted \
        under the old ones; the statement can be sent again";
    Err(WireError::new(Kind::Invalid, what))
}

/// The next rows, if there are more.
async fn next(rows: &mut RowsToWrite, text: &str) -> Result<Option<Points>, WireError> {
    let Some(batch) = rows.rows.next().await else { return Ok(None) };
    let points = batch.and_then(|batch| rows.points(&batch));
    points.map(Some).map_err(|error| refusal(error, text))
}

/// What the series of `old` hold now.
async fn asked_again(
    core: &Core,
    question: &SqlRequest,
    old: &BTreeSet<Key>,
    hasher: &RandomState,
) -> Result<Sum, WireError> {
    let text = &question.text;
    let mut sum = Sum::default();
    let mut rows = match core.queries.run(question.clone()).await.map_err(|error| refusal(error, text))? {
        SqlAnswer::Move { rows, .. } => rows,
        _ => return Err(WireError::new(Kind::Internal, "an update of tags is one, and then is not")),
    };
    while let Some(points) = next(&mut rows, text).await? {
        points.tables().for_each(|points| sum.add(points, old, hasher));
    }
    Ok(sum)
}

/// Those series. Every tag of the table is spoken of: a series with more tags is another one.
fn filter(series: &BTreeSet<Key>, table: &Arc<Table>) -> SeriesFilter {
    let names: Vec<&String> = table.schema.tags().map(|tag| &tag.name).collect();
    let of = |key: &Key| {
        let value =
            |tag: &String| key.iter().find(|(name, _)| name == tag).map_or(String::new(), |(_, value)| value.clone());
        let equal = |tag: &&String| SeriesFilter::Equal { tag: (*tag).clone(), value: value(tag) };
        SeriesFilter::Every(names.iter().map(equal).collect())
    };
    SeriesFilter::Any(series.iter().map(of).collect())
}

/// The distinct series of points, and which of them each row is of.
struct BySeries {
    keys: Vec<Key>,
    rows: Vec<usize>,
}

impl BySeries {
    fn of(points: &TablePoints) -> BySeries {
        let mut known: AHashMap<SeriesKey<'_>, usize> = AHashMap::new();
        let mut keys = Vec::new();
        let mut row_of = |series: &u32| {
            let encoded = points.series.key(*series as usize);
            *known.entry(encoded).or_insert_with(|| {
                let tags = tags_of(encoded);
                let mut key: Key =
                    tags.map(|(tag, value)| (points.tag_keys[tag as usize].clone(), value.to_string())).collect();
                key.sort();
                keys.push(key);
                keys.len() - 1
            })
        };
        let rows = points.row_series.iter().map(&mut row_of).collect();
        BySeries { keys, rows }
    }
}

/// What rows hold, in whatever order they come: a sum over all that is in them, of hashes that nobody can foretell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hashes: u64,
}

impl Sum {
    /// Adds those of the points that are of `series`.
    fn add(&mut self, points: &TablePoints, series: &BTreeSet<Key>, hasher: &RandomState) {
        let by_series = BySeries::of(points);
        let keys: Vec<Option<u64>> =
            by_series.keys.iter().map(|key| series.contains(key).then(|| hasher.hash_one(key))).collect();
        for (row, key) in by_series.rows.into_iter().enumerate() {
            let Some(key) = keys[key] else { continue };
            let row_hash = hasher.hash_one((key, points.times[row]));
            self.rows += 1;
            self.hashes = self.hashes.wrapping_add(row_hash);
            for field in &points.fields {
                let Some(at) = field.position(row) else { continue };
                let cell = (row_hash, &field.name, field.field_type().as_str());
                let hash = match &field.values {
                    FieldValues::Float(values) => hasher.hash_one((cell, values[at].to_bits())),
                    FieldValues::Integer(values) => hasher.hash_one((cell, values[at])),
                    FieldValues::Unsigned(values) => hasher.hash_one((cell, values[at])),
                    FieldValues::Boolean(values) => hasher.hash_one((cell, values[at])),
                    FieldValues::String { bytes, ends } => hasher.hash_one((cell, text_at(bytes, ends, at))),
                };
                self.hashes = self.hashes.wrapping_add(hash);
            }
        }
    }
}

fn text_at<'a>(bytes: &'a [u8], ends: &[i32], at: usize) -> &'a [u8] {
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    &bytes[start..ends[at] as usize]
}

/// Points under other tags.
#[derive(Default)]
struct Moved {
    points: Points,
    /// Where each of the new series is.
    series: BTreeMap<Key, u32>,
}

impl Moved {
    /// A time that a series has more than one row at, in nanoseconds.
    fn meeting(&self) -> Option<i64> {
        let of = |points: &TablePoints| {
            let mut rows: Vec<(u32, i64)> =
                points.row_series.iter().copied().zip(points.times.iter().copied()).collect();
            rows.sort_unstable();
            rows.windows(2).find(|rows| rows[0] == rows[1]).map(|rows| rows[0].1)
        };
        self.points.tables().find_map(of)
    }

    /// Adds points with other values of `tags`.
    fn add(&mut self, points: &TablePoints, tags: &[(String, Option<String>)]) {
        let index = self.points.table_index(&points.name);
        let table = self.points.table_mut(index);
        let by_series = BySeries::of(points);
        let mut places = Vec::with_capacity(by_series.keys.len());
        for key in by_series.keys {
            let kept = key.into_iter().filter(|(tag, _)| !tags.iter().any(|(changed, _)| changed == tag));
            let given = tags.iter().filter_map(|(tag, value)| Some((tag.clone(), value.clone()?)));
            let mut key: Key = kept.chain(given).collect();
            key.sort();
            places.push(*self.series.entry(key).or_insert_with_key(|key| {
                let tags: Vec<(u32, &str)> =
                    key.iter().map(|(tag, value)| (table.tag_key_index(tag), value.as_str())).collect();
                table.series.push(tags)
            }));
        }
        for (row, series) in by_series.rows.into_iter().enumerate() {
            table.begin_row(places[series], points.times[row]);
            for field in &points.fields {
                let Some(at) = field.position(row) else { continue };
                let column = table.field_index(&field.name, field.field_type());
                match &field.values {
                    FieldValues::Float(values) => table.set_float(column, values[at]),
                    FieldValues::Integer(values) => table.set_integer(column, values[at]),
                    FieldValues::Unsigned(values) => table.set_unsigned(column, values[at]),
                    FieldValues::Boolean(values) => table.set_boolean(column, values[at]),
                    FieldValues::String { bytes, ends } => {
                        table.set_string(column, &String::from_utf8_lossy(text_at(bytes, ends, at)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldType;

    /// Rows of `(g, h, time, f, text)`.
    fn points(rows: &[(&str, &str, i64, f64, &str)]) -> TablePoints {
        let mut points = Points::default();
        let index = points.table_index("t");
        let table = points.table_mut(index);
        for (g, h, time, f, text) in rows {
            let tags = [(table.tag_key_index("h"), *h), (table.tag_key_index("g"), *g)];
            let series = table.series.push(tags);
            table.begin_row(series, *time);
            let (number, written) =
                (table.field_index("f", FieldType::Float), table.field_index("s", FieldType::String));
            table.set_float(number, *f);
            if !text.is_empty() {
                table.set_string(written, text);
            }
        }
        points.take_table(index)
    }

    fn key(g: &str, h: &str) -> Key {
        vec![("g".to_string(), g.to_string()), ("h".to_string(), h.to_string())]
    }

    #[test]
    fn rows_come_to_the_same_in_any_order_and_to_something_else_with_any_change() {
        let hasher = RandomState::new();
        let old = BTreeSet::from([key("a", "x"), key("b", "x")]);
        let sum = |parts: &[TablePoints]| {
            let mut sum = Sum::default();
            parts.iter().for_each(|points| sum.add(points, &old, &hasher));
            sum
        };
        let (first, second) = (("a", "x", 1, 0.5, "s"), ("b", "x", 2, 1.5, ""));
        let whole = sum(&[points(&[first, second])]);
        assert_eq!(whole.rows, 2);
        assert_eq!(sum(&[points(&[second]), points(&[("c", "x", 1, 0.5, "s"), first])]), whole);
        for other in [
            vec![first],
            vec![first, second, second],
            vec![first, ("b", "x", 3, 1.5, "")],
            vec![first, ("b", "x", 2, 2.5, "")],
            vec![first, ("b", "x", 2, 1.5, "s")],
            vec![first, ("a", "x", 2, 1.5, "")],
            vec![("a", "x", 1, 1.5, "s"), ("b", "x", 2, 0.5, "")],
        ] {
            assert_ne!(sum(&[points(&other)]), whole, "{other:?}");
        }
    }

    #[test]
    fn series_that_become_one_meet_where_they_have_the_same_time() {
        let meeting = |h: Option<&str>, rows: &[(&str, &str, i64, f64, &str)]| {
            let mut moved = Moved::default();
            let tags = [("h".to_string(), h.map(str::to_string))];
            rows.iter().for_each(|row| moved.add(&points(&[*row]), &tags));
            moved.meeting()
        };
        let (first, second, third) = (("a", "x", 1, 0.5, ""), ("a", "y", 2, 0.5, ""), ("b", "x", 1, 0.5, ""));
        assert_eq!(meeting(None, &[first, second, third]), None);
        assert_eq!(meeting(None, &[first, second, ("a", "y", 1, 1.5, "")]), Some(1));
        assert_eq!(meeting(Some("z"), &[("b", "y", 1, 1.5, ""), first, second, third]), Some(1));
    }

    #[test]
    fn moved_rows_have_their_new_tags_and_each_series_is_there_once() {
        let mut moved = Moved::default();
        let tags = [("g".to_string(), Some("m".to_string())), ("h".to_string(), None)];
        moved.add(&points(&[("a", "x", 1, 0.5, "s"), ("b", "x", 2, 1.5, ""), ("a", "x", 3, 2.5, "")]), &tags);
        moved.add(&points(&[("a", "y", 4, 3.5, "")]), &tags);
        assert_eq!(moved.series.keys().collect::<Vec<_>>(), [&vec![("g".to_string(), "m".to_string())]]);
        let table = moved.points.take_table(0);
        assert_eq!((table.series.len(), &table.row_series, &table.times), (1, &vec![0; 4], &vec![1, 2, 3, 4]));
        assert!(matches!(&table.fields[0].values, FieldValues::Float(values) if *values == [0.5, 1.5, 2.5, 3.5]));
    }
}
