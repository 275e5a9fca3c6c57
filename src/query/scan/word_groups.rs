//! Asks the filters of words of segments before a scan is planned.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, stream};
use tracing::debug;

use crate::model::RowIdentity;
use crate::query::words::{Groups, LookUp, RowGroups, Wanted, WordGroups};
use crate::storage::segment::Segment;
use crate::storage::words::{WordFilters, may_hold};

use super::{Scan, key_columns};

/// Segments whose filters are read at once.
const SEGMENTS_AT_ONCE: usize = 8;

impl Scan<'_> {
    /// The row groups that may hold the words that the filters ask for. Where rows are merged that would not do: leaving
    /// out the newest value of a row would let an older one answer.
    pub(in crate::query) async fn groups_with_words(&self, known: &WordGroups) -> Result<RowGroups> {
        let mut found = RowGroups::default();
        if self.table.identity != RowIdentity::Append {
            return Ok(found);
        }
        let Some(wanted) = Wanted::of(self.filters, self.table) else { return Ok(found) };
        let over_keys = self.filters_over(&key_columns(self.table));
        let segments = self.prune(self.prune(self.snapshot.segments().to_vec(), &over_keys)?, self.filters)?;
        let look_ups = wanted.look_ups();
        let mut looking = Vec::with_capacity(segments.len());
        for segment in segments {
            let look_ups = &look_ups;
            looking.push(async move {
                let answers = self.look_up(&segment, look_ups, known).await;
                (segment, answers)
            });
        }
        let mut looking = stream::iter(looking).buffer_unordered(SEGMENTS_AT_ONCE);
        while let Some((segment, answers)) = looking.next().await {
            if let Some(groups) = wanted.groups(&answers) {
                known.count(&groups);
                found.add(&segment, groups);
            }
        }
        Ok(found)
    }

    /// What is known of words in a segment, and what its filters say of the others.
    async fn look_up(&self, segment: &Arc<Segment>, words: &[LookUp], known: &WordGroups) -> HashMap<LookUp, Groups> {
        let mut answers: HashMap<LookUp, Groups> = HashMap::with_capacity(words.len());
        let mut unknown = Vec::new();
        for word in words {
            match known.get(segment, *word) {
                Some(groups) => {
                    answers.insert(*word, groups);
                }
                None => unknown.push(*word),
            }
        }
        if unknown.is_empty() {
            return answers;
        }
        match self.ask_filters(segment, &unknown).await {
            Ok(found) => {
                for (word, groups) in unknown.into_iter().zip(found) {
                    known.keep(segment, word, groups.clone());
                    answers.insert(word, groups);
                }
            }
            // The rows can be read all the same; if not, that says why. Damage is reported by who found it.
            Err(error) => debug!(path = segment.path, %error, "filters of words were not read"),
        }
        answers
    }

    /// One answer a word.
    async fn ask_filters(&self, segment: &Arc<Segment>, words: &[LookUp]) -> Result<Vec<Groups>> {
        let metrics = ExecutionPlanMetricsSet::new();
        let mut reader = self.readers.create_reader(0, self.file(segment)?, None, &metrics)?;
        let footer = reader.get_metadata(None).await?;
        let groups = footer.num_row_groups();
        let filters = WordFilters::of(footer.file_metadata());
        let mut ranges: Vec<Range<u64>> = Vec::new();
        // For each word the places of its look-ups in `ranges`, a row group each.
        let mut places: Vec<Option<Vec<Option<usize>>>> = Vec::with_capacity(words.len());
        for (column, word) in words {
            let of_word = filters.as_ref().and_then(|filters| filters.places(*column, *word));
            places.push(of_word.filter(|of_word| of_word.len() == groups).map(|of_word| {
                let noted = of_word.into_iter().map(|range| {
                    ranges.push(range?);
                    Some(ranges.len() - 1)
                });
                noted.collect()
            }));
        }
        let parts = if ranges.is_empty() { Vec::new() } else { reader.get_byte_ranges(ranges).await? };
        let answer = |((column, word), places): (&LookUp, Option<Vec<Option<usize>>>)| -> Groups {
            if segment.columns.iter().all(|known| known.id != *column) {
                return Some(vec![false; groups].into());
            }
            let may =
                |place: Option<usize>| place.and_then(|at| parts.get(at)).is_none_or(|part| may_hold(part, *word));
            Some(places?.into_iter().map(may).collect())
        };
        Ok(words.iter().zip(places).map(answer).collect())
    }
}
