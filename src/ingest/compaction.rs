//! Compaction: merges small segments of one window into one, same answers.
//!
//! Owns: choosing segments, publishing the result, removing what it replaced once no query can read it any more.
//!
//! Only segments that are neighbours in the order of their ages are merged: "later wins" between the result
//! and everything else stays a question of one number.
//!
//! A damaged segment is left as it is, for whoever restores it: its neighbours are merged without it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use object_store::{ObjectStore, ObjectStoreExt};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::catalog::{Catalog, CatalogError, CatalogState, Change, Table};
use crate::model::{Clock, DeletedRows, TableId, Tombstone};
use crate::storage::checked_read::{ReadError, SegmentObject};
use crate::storage::damage::{Damage, DamagedSegments};
use crate::storage::rows::{Chunk, SeriesSet, decode_segment};
use crate::storage::segment::{Segment, SequenceRange};
use crate::storage::upload::{fresh_upload_id, uploaded_ms};

use super::flush::{FlushError, check_uploads, encode_windows, put_segment, segment_entry};
use super::metrics::IngestMetrics;

/// Values merged at a time: they are held in memory, each about twice, with eight bytes or so.
const VALUES_MAX: u64 = 40_000_000;
/// What a row takes beside its columns, counted as values: its time, its series and its place in the order of rows.
const VALUES_A_ROW: u64 = 6;
/// A window that got no segment for so long is put in order: what has come may be all, and reads of it cost less then.
const QUIET_MS: u64 = 60_000;
/// Segments that a merge takes at least there, and how many times as large as the others together its oldest may be.
const QUIET_FILES_MIN: usize = 2;
const QUIET_RATIO: u64 = 8;
/// A store that has lost an object is asked no longer whether the object is still wanted.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct CompactionOptions {
    pub interval: Duration,
    /// Segments that a merge takes at least, in a window that still gets new ones.
    pub files_min: usize,
    /// Segments of this size are left alone, and none larger is made of smaller ones.
    pub segment_bytes_max: u64,
    /// Width of a time window, nanoseconds.
    pub window_ns: i64,
    /// Replaced segments are removed after this: longer than the longest query.
    pub keep_replaced: Duration,
}

/// Compacts the tables of one store.
pub struct Compactor {
    pub catalog: Arc<Catalog>,
    pub store: Arc<dyn ObjectStore>,
    pub options: CompactionOptions,
    pub metrics: IngestMetrics,
    pub damaged: Arc<DamagedSegments>,
    pub clock: Clock,
    /// Replaced objects and since when no new query reads them.
    pub replaced: Mutex<VecDeque<(Instant, String)>>,
}

impl Compactor {
    /// Compacts what is worth it, over and over, until the task is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.options.interval).await;
            self.remove_replaced(Instant::now()).await;
            if let Err(error) = self.round().await {
                warn!(%error, "compaction failed, will be tried again");
            }
        }
    }

    /// One pass over all tables. Returns how many merges were published.
    pub async fn round(&self) -> Result<usize, FlushError> {
        let state = self.catalog.state();
        let live: HashSet<&str> = state.tables().flat_map(|t| t.segments.iter().map(|s| s.path.as_str())).collect();
        self.damaged.retain(|path| live.contains(path));
        let mut merges = 0;
        let now_ms = u64::try_from((self.clock)() / 1_000_000).unwrap_or(0);
        for table in state.tables() {
            let leave = |segment: &Segment| self.damaged.is_recent(&segment.path);
            for inputs in choose(&table.segments, &self.options, now_ms, leave) {
                merges += usize::from(self.merge_or_leave(table, &inputs).await?);
            }
            // Segments that were merged meanwhile are refused and come again if they must.
            let outdated = |s: &&Arc<Segment>| !table.tombstones_of(s).is_empty() && !self.damaged.is_recent(&s.path);
            for segment in table.segments.iter().filter(outdated) {
                merges += usize::from(self.merge_or_leave(table, std::slice::from_ref(segment)).await?);
            }
            if !table.tombstones.is_empty() {
                self.drop_spent_tombstones(table.id).await?;
            }
        }
        Ok(merges)
    }

    /// Merges what can be merged. What is wrong with these inputs alone does not keep others from their turn.
    async fn merge_or_leave(&self, table: &Arc<Table>, inputs: &[Arc<Segment>]) -> Result<bool, FlushError> {
        match self.merge(table, inputs).await {
            // Named in the log already. The next round goes around it.
            Err(FlushError::Damaged(_)) => Ok(false),
            Err(error @ (FlushError::Encode(_) | FlushError::Sort(_) | FlushError::Task(_))) => {
                warn!(%error, table = %table.name, "segments were not merged");
                Ok(false)
            }
            done => done,
        }
    }

    async fn drop_spent_tombstones(&self, id: TableId) -> Result<(), FlushError> {
        let plan = move |state: &CatalogState| {
            let ids = state.table(id).map(|table| table.spent_tombstones()).unwrap_or_default();
            Ok(if ids.is_empty() { Vec::new() } else { vec![Change::DropTombstones { table: id, ids }] })
        };
        self.catalog.update(plan).await?;
        Ok(())
    }

    /// Merges `inputs`, all of one window. `false`: they changed meanwhile.
    async fn merge(&self, table: &Arc<Table>, inputs: &[Arc<Segment>]) -> Result<bool, FlushError> {
        let live = || {
            let state = self.catalog.state();
            state.table(table.id).is_some_and(|t| inputs.iter().all(|i| t.segments.iter().any(|s| s.id == i.id)))
        };
        if !live() {
            return Ok(false);
        }
        let mut objects = Vec::with_capacity(inputs.len());
        for segment in inputs {
            let object = SegmentObject::new(self.store.clone(), segment.clone(), self.damaged.clone())?;
            let bytes = match object.whole().await {
                Err(ReadError::Missing) => {
                    // Merged away by another writer, perhaps, and collected since.
                    self.catalog.follow(FOLLOWS_WITHIN).await;
                    if !live() {
                        return Ok(false);
                    }
                    return Err(object.damaged(Damage::Missing).into());
                }
                read => read?,
            };
            objects.push((object, bytes));
        }
        let sequence = SequenceRange {
            first: inputs.iter().map(|s| s.sequence.first).min().unwrap_or(0),
            last: inputs.iter().map(|s| s.sequence.last).max().unwrap_or(0),
        };
        let (of, window_ns) = (table.clone(), self.options.window_ns);
        let deleted = inputs.iter().map(|segment| DeletedRows::of(table.tombstones_of(segment)));
        let deleted = deleted.collect::<Result<Vec<_>, _>>()?;
        let encoded = tokio::task::spawn_blocking(move || {
            let mut series = SeriesSet::default();
            let mut chunks = Vec::new();
            for ((object, bytes), deleted) in objects.into_iter().zip(&deleted) {
                object.check_whole(&bytes)?;
                chunks.extend(decode_segment(bytes, &of.schema, sequence, deleted, &mut series)?);
            }
            let chunk = Chunk::concat(chunks)?;
            if chunk.rows() == 0 {
                return Ok(Vec::new()); // all of them were deleted
            }
            encode_windows(&chunk, &series, &of, window_ns)
        })
        .await??;
        let published = inputs.iter().map(|s| s.published).max().unwrap_or(0);
        let level = inputs.iter().map(|s| s.level).max().unwrap_or(0).saturating_add(1);
        let mut outputs = Vec::with_capacity(encoded.len());
        for (window_ns, rows, encoded) in encoded {
            let id = fresh_upload_id(self.catalog.state().horizon_ms);
            let entry = segment_entry(id, table, window_ns, rows, sequence, level, &encoded);
            let segment = Segment { published, tombstones_applied: table.last_tombstone(), ..entry };
            put_segment(&*self.store, &segment, encoded).await?;
            outputs.push(segment);
        }
        let bytes: u64 = outputs.iter().map(|s| s.size_bytes).sum();
        if !self.publish(table, inputs, outputs).await? {
            return Ok(false);
        }
        self.metrics.compactions.inc();
        self.metrics.compacted_bytes.inc_by(bytes);
        debug!(table = %table.name, inputs = inputs.len(), bytes, "compacted");
        let now = Instant::now();
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.extend(inputs.iter().map(|s| (now, s.path.clone())));
        Ok(true)
    }

    async fn publish(&self, table: &Table, inputs: &[Arc<Segment>], outputs: Vec<Segment>) -> Result<bool, FlushError> {
        let known: HashSet<Uuid> = table.tombstones.iter().map(|tombstone| tombstone.id).collect();
        let applied = table.last_tombstone();
        let (table, ids): (_, Vec<_>) = (table.id, inputs.iter().map(|s| s.id).collect());
        let new: Vec<_> = outputs.iter().map(|s| s.id).collect();
        let published = self
            .catalog
            .update(move |state| {
                let live = |id| state.table(table).is_some_and(|t| t.segments.iter().any(|s| s.id == id));
                if !new.is_empty() && new.iter().all(|id| live(*id)) {
                    return Ok(Vec::new()); // an answer was lost: the commit is there already
                }
                if !ids.iter().all(|id| live(*id)) {
                    return Err(CatalogError::Stale { what: "segments to be merged are gone".to_string() });
                }
                // The number of a delete that is spent by now may have been given to another one, which the merge does not know.
                let is_unknown = |t: &Arc<Tombstone>| t.ordinal <= applied && !known.contains(&t.id);
                if state.table(table).is_some_and(|table| table.tombstones.iter().any(is_unknown)) {
                    return Err(CatalogError::Stale { what: "rows were deleted meanwhile".to_string() });
                }
                check_uploads(state, &outputs)?;
                Ok(vec![
                    Change::RemoveSegments { table, ids: ids.clone() },
                    Change::AddSegments { table, segments: outputs.clone() },
                ])
            })
            .await;
        match published {
            Ok(_) => Ok(true),
            Err(CatalogError::Stale { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes replaced objects that no query can read any more.
    pub async fn remove_replaced(&self, now: Instant) {
        loop {
            let next = {
                let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
                match replaced.front() {
                    Some((since, _)) if now.saturating_duration_since(*since) >= self.options.keep_replaced => {
                        replaced.pop_front()
                    }
                    _ => None,
                }
            };
            let Some((_, path)) = next else { return };
            // What cannot be removed now is an orphan, and collected as such.
            if let Ok(path) = object_store::path::Path::parse(&path)
                && let Err(error) = self.store.delete(&path).await
            {
                debug!(%error, %path, "replaced segment not removed");
            }
        }
    }
}

/// Runs of segments worth merging: neighbours by age within a window, small, and none much larger than the others
/// together (else a large one would be written again for every few small ones). Those to `leave` are in none. `now_ms`:
/// milliseconds since 1970.
pub fn choose(
    segments: &[Arc<Segment>],
    options: &CompactionOptions,
    now_ms: u64,
    leave: impl Fn(&Segment) -> bool,
) -> Vec<Vec<Arc<Segment>>> {
    let mut windows: BTreeMap<i64, Vec<Arc<Segment>>> = BTreeMap::new();
    for segment in segments {
        windows.entry(segment.window_ns).or_default().push(segment.clone());
    }
    let mut runs = Vec::new();
    for (_, mut window) in windows {
        window.sort_by_key(|s| s.age());
        let newest_ms = window.iter().map(|s| uploaded_ms(s.id)).max().unwrap_or(0);
        let worth = match now_ms.saturating_sub(newest_ms) >= QUIET_MS {
            true => Worth { files_min: QUIET_FILES_MIN.min(options.files_min), ratio: QUIET_RATIO },
            false => Worth { files_min: options.files_min, ratio: 1 },
        };
        let mut run: Vec<Arc<Segment>> = Vec::new();
        for segment in window {
            let bytes: u64 = run.iter().map(|s| s.size_bytes).sum();
            let held: u64 = run.iter().map(|s| values(s)).sum();
            let fits = bytes + segment.size_bytes <= options.segment_bytes_max && held + values(&segment) <= VALUES_MAX;
            if !fits {
                worth.push(&mut runs, std::mem::take(&mut run));
            }
            let small = segment.size_bytes < options.segment_bytes_max / 2 && values(&segment) < VALUES_MAX / 2;
            if small && !leave(&segment) {
                run.push(segment);
            } else {
                worth.push(&mut runs, std::mem::take(&mut run));
            }
        }
        worth.push(&mut runs, run);
    }
    runs
}

/// How much of [`VALUES_MAX`] a segment is.
fn values(segment: &Segment) -> u64 {
    segment.rows.saturating_mul(segment.columns.len() as u64 + VALUES_A_ROW)
}

/// What a run must be.
struct Worth {
    files_min: usize,
    ratio: u64,
}

impl Worth {
    fn push(&self, runs: &mut Vec<Vec<Arc<Segment>>>, mut run: Vec<Arc<Segment>>) {
        // The oldest are the most merged and so the largest: leave them out until the younger ones have caught up.
        while run.len() >= self.files_min.max(2) {
            let rest: u64 = run[1..].iter().map(|s| s.size_bytes).sum();
            if run[0].size_bytes <= rest.saturating_mul(self.ratio) {
                runs.push(run);
                return;
            }
            run.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::{NoContext, Timestamp, Uuid};

    use super::*;
    use crate::model::ColumnId;
    use crate::storage::segment::ColumnStatistics;

    fn segment(sequence: u64, window_ns: i64, size_bytes: u64) -> Arc<Segment> {
        Arc::new(Segment {
            id: Uuid::from_u128(u128::from(sequence)),
            path: String::new(),
            size_bytes,
            rows: size_bytes,
            window_ns,
            time_min_ns: 0,
            time_max_ns: 0,
            published: 0,
            sequence: SequenceRange { first: sequence, last: sequence },
            tombstones_applied: 0,
            level: 0,
            footer_bytes: 0,
            checks: None,
            columns: Vec::new(),
        })
    }

    fn options() -> CompactionOptions {
        CompactionOptions {
            interval: Duration::ZERO,
            files_min: 3,
            segment_bytes_max: 100,
            window_ns: 10,
            keep_replaced: Duration::ZERO,
        }
    }

    fn chosen(segments: &[(u64, i64, u64)]) -> Vec<Vec<u64>> {
        let options = options();
        let segments: Vec<_> = segments.iter().map(|(s, w, b)| segment(*s, *w, *b)).collect();
        choose(&segments, &options, 0, |_| false)
            .iter()
            .map(|run| run.iter().map(|s| s.sequence.last).collect())
            .collect()
    }

    #[test]
    fn runs_are_neighbours_of_one_window() {
        assert_eq!(chosen(&[(3, 0, 5), (1, 0, 5), (2, 10, 5), (4, 0, 5)]), [[1, 3, 4]]);
        assert_eq!(chosen(&[(1, 0, 5), (2, 0, 5)]), Vec::<Vec<u64>>::new());
        // A large segment in between separates its neighbours.
        assert_eq!(chosen(&[(1, 0, 5), (2, 0, 5), (3, 0, 80), (4, 0, 5), (5, 0, 5), (6, 0, 5)]), [[4, 5, 6]]);
    }

    #[test]
    fn segments_of_several_writers_are_neighbours_in_order_of_their_commits() {
        let published =
            |commit, sequence| Arc::new(Segment { published: commit, ..(*segment(sequence, 0, 5)).clone() });
        let segments = [published(3, 7), published(1, 900), published(2, 6)];
        let options = CompactionOptions { files_min: 3, ..options() };
        let runs = choose(&segments, &options, 0, |_| false);
        assert_eq!(runs[0].iter().map(|s| s.sequence.last).collect::<Vec<_>>(), [900, 6, 7]);
    }

    #[test]
    fn segments_to_be_left_alone_are_in_no_run_and_separate_their_neighbours() {
        let options = CompactionOptions { files_min: 2, ..options() };
        let segments: Vec<_> = (1..=6).map(|sequence| segment(sequence, 0, 5)).collect();
        let runs = choose(&segments, &options, 0, |segment| segment.sequence.last == 3);
        let runs: Vec<Vec<u64>> = runs.iter().map(|run| run.iter().map(|s| s.sequence.last).collect()).collect();
        assert_eq!(runs, [vec![1, 2], vec![4, 5, 6]]);
    }

    #[test]
    fn a_window_that_gets_nothing_more_is_put_in_order() {
        let uploaded = |sequence, size, ms: u64| {
            let id = Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, 0));
            Arc::new(Segment { id, ..(*segment(sequence, 0, size)).clone() })
        };
        let lengths = |sizes: &[u64], now_ms| -> Vec<usize> {
            let segments = sizes.iter().enumerate().map(|(i, size)| uploaded(i as u64, *size, 1_000_000));
            choose(&segments.collect::<Vec<_>>(), &options(), now_ms, |_| false).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(&[5, 5], 1_000_000 + QUIET_MS - 1), Vec::<usize>::new());
        assert_eq!(lengths(&[5, 5], 1_000_000 + QUIET_MS), [2]);
        assert_eq!(lengths(&[40, 5], 1_000_000 + QUIET_MS), [2]);
        assert_eq!(lengths(&[41, 5], 1_000_000 + QUIET_MS), Vec::<usize>::new());
        assert_eq!(lengths(&[5], 1_000_000 + QUIET_MS), Vec::<usize>::new());
        // The clock of another machine is behind.
        assert_eq!(lengths(&[5, 5], 0), Vec::<usize>::new());
    }

    #[test]
    fn no_more_is_merged_than_memory_is_meant_for() {
        let options = CompactionOptions { segment_bytes_max: u64::MAX, ..options() };
        let wide = |sequence, columns: u32| {
            let column = |id| ColumnStatistics { id: ColumnId(id), nulls: 0, range: None };
            let columns = (0..columns).map(column).collect();
            Arc::new(Segment { rows: 1_000_000, columns, ..(*segment(sequence, 0, 5)).clone() })
        };
        let lengths = |columns| -> Vec<usize> {
            let segments: Vec<_> = (1..=10).map(|sequence| wide(sequence, columns)).collect();
            choose(&segments, &options, 0, |_| false).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(2), [5, 5]);
        assert_eq!(lengths(6), [3, 3, 3]);
        // Two of these would be all that is merged at a time.
        assert_eq!(lengths(14), Vec::<usize>::new());
    }

    #[test]
    fn a_merged_segment_waits_until_the_others_have_caught_up() {
        assert_eq!(chosen(&[(1, 0, 40), (2, 0, 5), (3, 0, 5)]), Vec::<Vec<u64>>::new());
        assert_eq!(chosen(&[(1, 0, 40), (2, 0, 5), (3, 0, 5), (4, 0, 5)]), [[2, 3, 4]]);
        assert_eq!(chosen(&[(1, 0, 40), (2, 0, 20), (3, 0, 20), (4, 0, 10)]), [[1, 2, 3, 4]]);
    }
}
