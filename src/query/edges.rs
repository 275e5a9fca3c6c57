//! The first or the last row of each series of a segment: where they stand, so that nothing else of it need be read.
//!
//! A segment is sorted by series, then by time. Where its series begin is found by one look through its tags, and kept:
//! segments never change. A question for the newest (or oldest) row of each series then reads one row a series of each
//! segment, and the rows that are not in segments; which of them is the newest is for the rest of the plan to say.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use futures::{Stream, TryStreamExt};
use uuid::Uuid;

use crate::storage::segment::Segment;

use super::series::{goes_on, series_ranges};

/// Segments with more series than a row in so many are read whole: little would be saved.
const ROWS_A_SERIES_MIN: u64 = 8;

/// Which row of each series is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The earliest; the time (nanoseconds) before which there is none that counts.
    First(i64),
    /// The latest; the time after which there is none that counts.
    Last(i64),
}

impl Edge {
    /// Whether all rows of a segment count, so that its edges are those of its rows that do.
    pub(super) fn is_open_for(self, segment: &Segment) -> bool {
        match self {
            Edge::First(from_ns) => segment.time_min_ns >= from_ns,
            Edge::Last(to_ns) => segment.time_max_ns <= to_ns,
        }
    }
}

/// Where the series of segments begin, by segment; the least used go when they take too much.
#[derive(Debug, Clone)]
pub(super) struct SeriesStarts(moka::sync::Cache<Uuid, Starts>);

/// Row numbers, ascending, the first one 0. `None`: too many to be of use.
type Starts = Option<Arc<[u32]>>;

impl SeriesStarts {
    pub(super) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Uuid, starts: &Starts| {
            let bytes = starts.as_ref().map_or(0, |starts| size_of_val(&**starts)) + size_of::<Uuid>();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        SeriesStarts(moka::sync::Cache::builder().max_capacity(bytes_max).weigher(weigh).build())
    }

    pub(super) fn get(&self, segment: &Segment) -> Option<Starts> {
        self.0.get(&segment.id)
    }

    /// Finds out where the series of a segment begin. `tags`: the tags of all its rows, as they stand.
    pub(super) async fn find(
        &self,
        segment: &Segment,
        tags: impl Stream<Item = Result<RecordBatch>> + Unpin,
    ) -> Result<Starts> {
        let found = starts(segment.rows, tags).await?;
        self.0.insert(segment.id, found.clone());
        Ok(found)
    }
}

async fn starts(rows: u64, mut tags: impl Stream<Item = Result<RecordBatch>> + Unpin) -> Result<Starts> {
    if u32::try_from(rows).is_err() {
        return Ok(None);
    }
    let most = usize::try_from(rows / ROWS_A_SERIES_MIN).unwrap_or(usize::MAX);
    let mut found: Vec<u32> = Vec::new();
    let mut before: Option<RecordBatch> = None;
    let mut seen = 0;
    while let Some(batch) = tags.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let keys: Vec<usize> = (0..batch.num_columns()).collect();
        let goes_on = before.as_ref().map_or(Ok(false), |before| goes_on(before, &batch, &keys))?;
        let ranges = series_ranges(&batch, &keys)?;
        found.extend(ranges.iter().skip(usize::from(goes_on)).map(|range| seen + range.start as u32));
        if found.len() > most {
            return Ok(None);
        }
        seen += batch.num_rows() as u32;
        before = Some(batch.slice(batch.num_rows() - 1, 1));
    }
    Ok((u64::from(seen) == rows && !found.is_empty()).then(|| found.into()))
}

/// The rows to be read of segments, for those of which they are known.
#[derive(Debug, Default)]
pub(super) struct EdgeRows(HashMap<Uuid, RowSelection>);

impl EdgeRows {
    pub(super) fn add(&mut self, segment: &Segment, edge: Edge, starts: &[u32]) {
        let rows = segment.rows as usize;
        let ends = starts.iter().skip(1).map(|start| *start as usize).chain([rows]);
        let wanted = starts.iter().zip(ends).map(|(start, end)| match edge {
            Edge::First(_) => *start as usize..*start as usize + 1,
            Edge::Last(_) => end - 1..end,
        });
        self.0.insert(segment.id, RowSelection::from_consecutive_ranges(wanted, rows));
    }

    /// What a segment's file carries so that only these rows are read.
    pub(super) fn selection(&self, segment: &Segment) -> Option<ParquetRowSelection> {
        self.0.get(&segment.id).cloned().map(ParquetRowSelection::new)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, DictionaryArray, RecordBatchOptions};
    use datafusion::arrow::datatypes::{Int32Type, Schema};
    use futures::stream;

    use super::*;

    type Tags<'a> = (Option<&'a str>, Option<&'a str>);

    /// Where series begin in rows of two tags that come in batches of `size`.
    async fn found(rows: &[Tags<'_>], size: usize) -> Option<Vec<u32>> {
        let batches = rows.chunks(size).map(|rows| {
            let one = |tags: DictionaryArray<Int32Type>| -> ArrayRef { Arc::new(tags) };
            let (a, b) = (rows.iter().map(|row| row.0).collect(), rows.iter().map(|row| row.1).collect());
            Ok(RecordBatch::try_from_iter_with_nullable([("a", one(a), true), ("b", one(b), true)])?)
        });
        let batches: Vec<_> = batches.collect();
        starts(rows.len() as u64, stream::iter(batches)).await.unwrap().map(|found| found.to_vec())
    }

    #[tokio::test]
    async fn series_begin_where_a_tag_changes() {
        let mut rows = vec![(Some("x"), None); 20];
        rows.extend([(Some("x"), Some("y")); 30]);
        rows.extend([(None, Some("y")); 14]);
        for size in [1, 2, 7, 20, 100] {
            assert_eq!(found(&rows, size).await, Some(vec![0, 20, 50]), "{size}");
        }
        let many: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let many: Vec<Tags<'_>> = many.iter().map(|text| (Some(text.as_str()), None)).collect();
        assert_eq!(found(&many, 3).await, None, "each row a series");
    }

    #[tokio::test]
    async fn without_tags_there_is_one_series_and_rows_that_are_missing_are_noticed() {
        let options = RecordBatchOptions::new().with_row_count(Some(10));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        let batches = || stream::iter([Ok(batch.clone()), Ok(batch.clone())]);
        assert_eq!(starts(20, batches()).await.unwrap().as_deref(), Some(&[0][..]));
        assert_eq!(starts(21, batches()).await.unwrap(), None);
    }
}
