//! Acknowledged rows that are not in segments yet.
//!
//! Owns: rows by table in order of sequence, what is being flushed, the bytes they take. Does not own: when to flush.
//! Rows come in on the log's thread only, so that their order here is the order of their sequence numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tracing::error;

use crate::model::{TableBatch, TableId};
use crate::storage::rows::{Chunk, SeriesSet};
use crate::storage::segment::{Segment, SequenceRange};

use super::wal::Sink;

/// Chunks grow to about so many rows by joining with their neighbours.
const CHUNK_ROWS: usize = 8 * 1024;
/// Chunks of about one length that are joined at once.
const JOINED: usize = 16;

/// The rows of all tables.
#[derive(Debug, Default)]
pub struct Buffer {
    tables: RwLock<HashMap<TableId, Arc<Mutex<TableBuffer>>>>,
    bytes: AtomicU64,
    /// The last sequence number whose rows are here (or went through).
    applied: AtomicU64,
}

/// Rows and the series they refer to.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub series: Arc<RwLock<SeriesSet>>,
    /// In order of sequence.
    pub chunks: Vec<Arc<Chunk>>,
}

#[derive(Debug, Default)]
struct TableBuffer {
    live: Part,
    live_bytes: u64,
    /// When the oldest row of `live` came.
    since: Option<Instant>,
    frozen: Option<Arc<Frozen>>,
}

/// Rows of one table on their way into segments. They stay visible until [`Buffer::release`].
#[derive(Debug)]
pub struct Frozen {
    pub table: TableId,
    pub part: Part,
    /// Their sequence numbers; the table has no others up to `last` that are not flushed.
    pub sequence: SequenceRange,
    pub bytes: u64,
    /// The segments made of them, once they are stored: a commit that is tried again uses them again.
    pub stored: Mutex<Option<Vec<Segment>>>,
}

/// What the flusher asks about a table.
#[derive(Debug, Clone, Copy)]
pub struct TableLoad {
    pub table: TableId,
    pub bytes: u64,
    /// Since when the oldest row waits.
    pub since: Instant,
    /// Rows are frozen already: a flush of them failed or is under way.
    pub frozen: bool,
}

impl Buffer {
    /// Bytes of rows, frozen ones included, about.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds rows written under `sequence`, the highest so far.
    pub fn apply(&self, sequence: u64, batches: Vec<TableBatch>) {
        for batch in batches {
            let table = self.table(batch.table);
            let mut table = lock(&table);
            let before = table.live_bytes;
            table.push(sequence, batch);
            let added = table.live_bytes.wrapping_sub(before);
            drop(table);
            self.bytes.fetch_add(added, Ordering::Relaxed);
        }
        self.applied.store(sequence, Ordering::Release);
    }

    /// Says that sequence numbers go on at `next`: those below are here, flushed, or were never given away.
    pub fn resume_at(&self, next: u64) {
        self.applied.store(next.saturating_sub(1), Ordering::Release);
    }

    /// All rows of a table not yet released, in parts whose sequence numbers ascend.
    pub fn rows_of(&self, table: TableId) -> Vec<Part> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = tables.get(&table).cloned() else { return Vec::new() };
        drop(tables);
        let table = lock(&table);
        let frozen = table.frozen.iter().map(|frozen| frozen.part.clone());
        frozen.chain([table.live.clone()]).filter(|part| !part.chunks.is_empty()).collect()
    }

    /// The earliest time of the rows that a table has, nanoseconds. Looks at each of them.
    pub fn oldest_ns(&self, table: TableId) -> Option<i64> {
        let parts = self.rows_of(table);
        let times = parts.iter().flat_map(|part| &part.chunks).flat_map(|chunk| &chunk.times);
        times.min().copied()
    }

    /// The latest, in the same way.
    pub fn newest_ns(&self, table: TableId) -> Option<i64> {
        let parts = self.rows_of(table);
        let times = parts.iter().flat_map(|part| &part.chunks).flat_map(|chunk| &chunk.times);
        times.max().copied()
    }

    /// Tables that have rows.
    pub fn loads(&self) -> Vec<TableLoad> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let mut loads = Vec::new();
        for (id, table) in tables.iter() {
            let table = lock(table);
            let frozen = table.frozen.as_ref();
            let since = table.since.or(frozen.map(|_| Instant::now()));
            if let Some(since) = since {
                let bytes = table.live_bytes + frozen.map_or(0, |f| f.bytes);
                loads.push(TableLoad { table: *id, bytes, since, frozen: frozen.is_some() });
            }
        }
        loads
    }

    /// Takes the oldest rows that a table has now for a flush: about `bytes_max` of them, or all if they are not much more. Rows
    /// frozen before and not released are handed out again.
    pub fn freeze(&self, id: TableId, bytes_max: u64) -> Option<Arc<Frozen>> {
        let table = self.table(id);
        let mut table = lock(&table);
        if let Some(frozen) = &table.frozen {
            return Some(frozen.clone());
        }
        let before = table.live_bytes;
        let rest = table.take_newer_than(bytes_max);
        let part = std::mem::replace(&mut table.live, rest);
        let first = part.chunks.first()?.sequence.first;
        let last = part.chunks.last()?.sequence.last;
        table.live_bytes = table.live.memory_bytes();
        let bytes = before.saturating_sub(table.live_bytes);
        // The series of what stays are counted once more.
        self.bytes.fetch_add((bytes + table.live_bytes).saturating_sub(before), Ordering::Relaxed);
        let sequence = SequenceRange { first, last };
        let frozen = Arc::new(Frozen { table: id, part, sequence, bytes, stored: Mutex::new(None) });
        table.since = (!table.live.chunks.is_empty()).then(Instant::now);
        table.frozen = Some(frozen.clone());
        Some(frozen)
    }

    /// Forgets frozen rows: the catalog has them, or their table is gone.
    pub fn release(&self, frozen: &Frozen) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = tables.get(&frozen.table).cloned() else { return };
        let mut guard = lock(&table);
        if guard.frozen.as_ref().is_some_and(|held| held.sequence == frozen.sequence) {
            guard.frozen = None;
            self.bytes.fetch_sub(frozen.bytes, Ordering::Relaxed);
        }
        if guard.live.chunks.is_empty() && guard.frozen.is_none() {
            drop(guard);
            // Under the write lock no one else can have looked the table up; whoever holds it from before has the Arc counted.
            if Arc::strong_count(&table) == 2 {
                tables.remove(&frozen.table);
            }
        }
    }

    /// The last sequence number whose rows are here or went through.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Every row below this sequence number is in segments (or was dropped): the log does not need it.
    pub fn unflushed_from(&self) -> u64 {
        // Read before the tables: rows that arrive meanwhile have higher numbers.
        let applied = self.applied.load(Ordering::Acquire);
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let firsts = tables.values().filter_map(|table| {
            let table = lock(table);
            let frozen = table.frozen.as_ref().map(|f| f.sequence.first);
            frozen.or(table.live.chunks.first().map(|c| c.sequence.first))
        });
        firsts.min().unwrap_or(u64::MAX).min(applied + 1)
    }

    fn table(&self, id: TableId) -> Arc<Mutex<TableBuffer>> {
        if let Some(table) = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return table.clone();
        }
        self.tables.write().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }
}

/// A poisoned buffer still holds acknowledged rows: go on with it.
fn lock(table: &Mutex<TableBuffer>) -> MutexGuard<'_, TableBuffer> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    /// Bytes held, about.
    fn memory_bytes(&self) -> u64 {
        if self.chunks.is_empty() {
            return 0;
        }
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner).memory_bytes();
        (series + self.chunks.iter().map(|chunk| chunk.memory_bytes()).sum::<usize>()) as u64
    }
}

impl TableBuffer {
    /// Splits off what follows the first `bytes_max` of live rows, if that is worth a flush of its own. Each part has its own set
    /// of series: that of a part on its way into segments is read for long, that of the other is added to.
    fn take_newer_than(&mut self, bytes_max: u64) -> Part {
        if self.live_bytes <= bytes_max.saturating_mul(3) / 2 {
            return Part::default();
        }
        let mut held = 0;
        let mut fits = |chunk: &Arc<Chunk>| {
            held += chunk.memory_bytes() as u64;
            held <= bytes_max
        };
        let chunks = &mut self.live.chunks;
        let mut kept = chunks.iter().take_while(|chunk| fits(chunk)).count().max(1).min(chunks.len());
        // A mark in the catalog says "flushed through this number": what one request wrote is never parted.
        while kept < chunks.len() && chunks[kept].sequence.first <= chunks[kept - 1].sequence.last {
            kept += 1;
        }
        let rest = chunks.split_off(kept);
        let series = self.live.series.read().unwrap_or_else(PoisonError::into_inner);
        let (used, numbers) = series.subset(rest.iter().flat_map(|chunk| chunk.series.iter().copied()));
        let renumbered = |chunk: Arc<Chunk>| {
            let mut chunk = Arc::unwrap_or_clone(chunk);
            chunk.series.iter_mut().for_each(|series| *series = numbers[*series as usize]);
            Arc::new(chunk)
        };
        Part { series: Arc::new(RwLock::new(used)), chunks: rest.into_iter().map(renumbered).collect() }
    }

    fn push(&mut self, sequence: u64, batch: TableBatch) {
        let (numbers, series_bytes) = number_series(&self.live.series, &batch);
        let chunk = Chunk {
            sequence: SequenceRange { first: sequence, last: sequence },
            series: batch.row_series.iter().map(|s| numbers[*s as usize]).collect(),
            times: batch.times,
            fields: batch.fields,
        };
        self.since.get_or_insert_with(Instant::now);
        self.live_bytes += series_bytes + chunk.memory_bytes() as u64;
        self.live.chunks.push(Arc::new(chunk));
        self.join_small_chunks();
    }

    /// Joins the last chunks when there are enough of about one length (or shorter) to do it at once: each row is copied a few
    /// times, a table of many one-point writes has few chunks, and most writes join nothing.
    fn join_small_chunks(&mut self) {
        let chunks = &mut self.live.chunks;
        while let Some(run) = run_to_join(chunks) {
            let parts: Vec<Chunk> = run.iter().map(|chunk| (**chunk).clone()).collect();
            let (count, bytes): (_, usize) = (parts.len(), parts.iter().map(Chunk::memory_bytes).sum());
            let joined = match Chunk::concat(parts) {
                Ok(joined) => joined,
                Err(cause) => {
                    error!(%cause, "chunks were not joined");
                    return;
                }
            };
            self.live_bytes = (self.live_bytes + joined.memory_bytes() as u64).saturating_sub(bytes as u64);
            chunks.truncate(chunks.len() - count);
            chunks.push(Arc::new(joined));
        }
    }
}

/// The last chunks, if they are to be one: [`JOINED`] of the last one's magnitude or below, or fewer that fill a chunk.
fn run_to_join(chunks: &[Arc<Chunk>]) -> Option<&[Arc<Chunk>]> {
    let magnitude = |chunk: &Chunk| chunk.rows().max(1).ilog(JOINED);
    let last = magnitude(chunks.last()?);
    let (mut start, mut rows) = (chunks.len(), 0);
    while start > 0 && magnitude(&chunks[start - 1]) <= last {
        if rows + chunks[start - 1].rows() > CHUNK_ROWS {
            let run = &chunks[start..];
            return (run.len() > 1 && 2 * rows >= CHUNK_ROWS).then_some(run);
        }
        start -= 1;
        rows += chunks[start].rows();
    }
    let run = &chunks[start..];
    (run.len() >= JOINED).then_some(run)
}

/// The number of each series of `batch`, and the bytes that new ones take.
fn number_series(series: &RwLock<SeriesSet>, batch: &TableBatch) -> (Vec<u32>, u64) {
    {
        let known = series.read().unwrap_or_else(PoisonError::into_inner);
        let numbers: Option<Vec<u32>> = batch.series.iter().map(|key| known.find(key)).collect();
        if let Some(numbers) = numbers {
            return (numbers, 0);
        }
    }
    let mut set = series.write().unwrap_or_else(PoisonError::into_inner);
    let before = set.memory_bytes();
    let numbers = batch.series.iter().map(|key| set.number(key)).collect();
    (numbers, (set.memory_bytes() - before) as u64)
}

/// The log's end of the buffer.
#[derive(Debug)]
pub struct BufferSink(pub Arc<Buffer>);

impl Sink for BufferSink {
    fn apply(&mut self, sequence: u64, batches: Vec<TableBatch>) {
        self.0.apply(sequence, batches);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Float64Array;

    use super::*;
    use crate::model::{ColumnId, SeriesKeys};

    fn batch(table: u64, times: &[i64]) -> TableBatch {
        let mut series = SeriesKeys::default();
        series.push([(1, "a")]);
        TableBatch {
            table: TableId(table),
            series,
            row_series: vec![0; times.len()],
            times: times.to_vec(),
            fields: vec![(ColumnId(2), Arc::new(Float64Array::from(vec![1.0; times.len()])))],
        }
    }

    fn times(buffer: &Buffer, table: u64) -> Vec<i64> {
        let parts = buffer.rows_of(TableId(table));
        parts.iter().flat_map(|p| p.chunks.iter().flat_map(|c| c.times.clone())).collect()
    }

    #[test]
    fn many_small_writes_make_few_chunks_in_order() {
        let buffer = Buffer::default();
        let mut rows = 0;
        for i in 0..20_000 {
            let length = match i % 1000 {
                0 => 5000,
                500..520 => 300,
                n => 1 + n % 3,
            };
            buffer.apply(i + 1, vec![batch(1, &(rows..rows + length as i64).collect::<Vec<_>>())]);
            rows += length as i64;
            let chunks = buffer.rows_of(TableId(1))[0].chunks.len();
            assert!(chunks <= 45 + rows as usize * 2 / CHUNK_ROWS, "{chunks} chunks of {rows} rows");
        }
        assert_eq!(times(&buffer, 1), (0..rows).collect::<Vec<_>>());
        let parts = buffer.rows_of(TableId(1));
        let sequences: Vec<_> = parts[0].chunks.iter().map(|c| c.sequence).collect();
        assert!(sequences.windows(2).all(|w| w[0].last + 1 == w[1].first), "{sequences:?}");
    }

    #[test]
    fn frozen_rows_stay_visible_until_released() {
        let buffer = Buffer::default();
        buffer.apply(1, vec![batch(1, &[1])]);
        let frozen = buffer.freeze(TableId(1), u64::MAX).unwrap();
        buffer.apply(2, vec![batch(1, &[2])]);
        assert_eq!(times(&buffer, 1), [1, 2]);
        assert_eq!(
            buffer.freeze(TableId(1), u64::MAX).unwrap().sequence,
            frozen.sequence,
            "the same rows are handed out again"
        );
        assert_eq!(buffer.unflushed_from(), 1);
        buffer.release(&frozen);
        assert_eq!(times(&buffer, 1), [2]);
        assert_eq!(buffer.unflushed_from(), 2);
        let frozen = buffer.freeze(TableId(1), u64::MAX).unwrap();
        buffer.release(&frozen);
        assert_eq!((buffer.bytes(), buffer.unflushed_from()), (0, 3));
        assert!(buffer.loads().is_empty() && buffer.freeze(TableId(1), u64::MAX).is_none());
    }

    #[test]
    fn what_is_much_more_than_a_flush_takes_is_taken_in_parts() {
        let buffer = Buffer::default();
        let mut row = 0;
        for sequence in 1..=60 {
            let of_hosts = |rows: std::ops::Range<i64>| {
                let mut batch = batch(1, &rows.clone().collect::<Vec<_>>());
                batch.series = SeriesKeys::default();
                for host in 0..5 {
                    batch.series.push([(1, format!("h{}", sequence / 10 + host).as_str())]);
                }
                batch.row_series = rows.map(|row| (row % 5) as u32).collect();
                batch
            };
            let (first, second) = (of_hosts(row..row + 5000), of_hosts(row + 5000..row + 10_000));
            buffer.apply(sequence, vec![first, second]);
            row += 10_000;
        }
        let host_of = |part: &Part, chunk: &Chunk, row: usize| {
            let series = part.series.read().unwrap();
            let tags = series.tag_array(ColumnId(1), chunk.series.iter().copied());
            let tags = datafusion::arrow::compute::cast(&tags, &datafusion::arrow::datatypes::DataType::Utf8).unwrap();
            datafusion::arrow::array::AsArray::as_string::<i32>(&tags).value(row).to_string()
        };
        let part_bytes = buffer.bytes() / 7;
        let (mut taken, mut flushes) = (Vec::new(), 0);
        while let Some(frozen) = buffer.freeze(TableId(1), part_bytes) {
            assert!(frozen.bytes <= part_bytes * 3 / 2, "{} of {part_bytes}", frozen.bytes);
            assert_eq!(frozen.sequence.first, buffer.unflushed_from());
            let newest = frozen.part.chunks.iter().flat_map(|chunk| &chunk.times).max().unwrap();
            assert_eq!(newest + 1, frozen.sequence.last as i64 * 10_000, "the last request's rows are all taken");
            assert_eq!(times(&buffer, 1).len() + taken.len(), 600_000, "all rows stay visible");
            for chunk in &frozen.part.chunks {
                for row in [0, 1, chunk.rows() - 1] {
                    let sequence = chunk.times[row] / 10_000 + 1;
                    let host = format!("h{}", sequence / 10 + chunk.times[row] % 5);
                    assert_eq!(host_of(&frozen.part, chunk, row), host, "time {}", chunk.times[row]);
                }
                taken.extend_from_slice(&chunk.times);
            }
            buffer.release(&frozen);
            flushes += 1;
        }
        assert_eq!(taken, (0..600_000).collect::<Vec<_>>());
        assert!((6..=9).contains(&flushes), "{flushes} flushes");
        assert_eq!((buffer.bytes(), buffer.unflushed_from()), (0, 61));
    }

    #[test]
    fn the_log_is_needed_from_the_oldest_row_of_any_table() {
        let buffer = Buffer::default();
        buffer.apply(7, vec![batch(1, &[1]), batch(2, &[1])]);
        buffer.apply(8, vec![batch(2, &[2])]);
        let one = buffer.freeze(TableId(1), u64::MAX).unwrap();
        buffer.release(&one);
        assert_eq!(buffer.unflushed_from(), 7);
        let two = buffer.freeze(TableId(2), u64::MAX).unwrap();
        buffer.release(&two);
        assert_eq!(buffer.unflushed_from(), 9);
    }
}
