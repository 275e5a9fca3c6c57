//! Sorted streams as one: stretch by stretch, not row by row.
//!
//! Inputs that share a window of time rarely share more than the ends of it. So what comes next is a stretch: all rows of
//! the input with the least key that lie before the least key of the others. A search in its batch finds how far that is, and
//! a long stretch leaves as it came, without a copy. Where keys are equal, their rows come out in one batch and are folded.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{concat_batches, interleave_record_batch, partition};
use datafusion::arrow::datatypes::{SchemaRef, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::metrics::BaselineMetrics;
use futures::{Stream, StreamExt};

use crate::query::fold::fold_sorted;

use super::keys::Keys;

/// Rows of a stretch that leaves as it came.
const LONG: usize = 1024;
/// Stretches that are copied each as a whole; of more, the rows are picked one by one.
const FEW: usize = 16;

/// How rows are merged, and what they are.
pub(super) struct Merging {
    pub schema: SchemaRef,
    /// Positions of the columns that rows are sorted by; not empty.
    pub keys: Vec<usize>,
    /// Position of the column (UInt64) that tells which of two rows of one key is newer.
    pub sequence: usize,
    /// Rows of a batch, about.
    pub batch_rows: usize,
}

/// The rows of `inputs`, each sorted by key and without two rows of one key; rows that share a key are one.
pub(super) struct MergedRows {
    merging: Merging,
    inputs: Vec<Input>,
    gathered: Gathered,
    ready: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

struct Input {
    /// `None`: it has ended.
    stream: Option<SendableRecordBatchStream>,
    /// The batch that is read, which has rows left.
    rows: Option<(RecordBatch, Keys)>,
    /// Bytes that it takes.
    bytes: usize,
    /// The first row left of it.
    at: usize,
    /// The number of the batch among those that were gathered.
    number: Option<usize>,
}

impl Input {
    fn batch(&self) -> Option<&RecordBatch> {
        self.rows.as_ref().map(|(batch, _)| batch)
    }
}

/// Stretches that become one batch.
#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    /// Bytes that they take.
    bytes: usize,
    /// Of the batch with this number, from this row on, so many rows.
    stretches: Vec<(usize, usize, usize)>,
    rows: usize,
    has_equal_keys: bool,
}

/// An input and one of its rows.
type Place = (usize, usize);

impl MergedRows {
    pub(super) fn new(
        streams: Vec<SendableRecordBatchStream>,
        merging: Merging,
        reservation: MemoryReservation,
        metrics: BaselineMetrics,
    ) -> Self {
        let input = |stream| Input { stream: Some(stream), rows: None, bytes: 0, at: 0, number: None };
        let inputs: Vec<Input> = streams.into_iter().map(input).collect();
        MergedRows { merging, inputs, gathered: Gathered::default(), ready: VecDeque::new(), reservation, metrics }
    }

    /// Sees to it that every input that goes on has rows.
    fn poll_inputs(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let (mut waits, mut has_new) = (false, false);
        for input in &mut self.inputs {
            while let (Some(stream), None) = (&mut input.stream, &input.rows) {
                match stream.poll_next_unpin(context) {
                    Poll::Ready(Some(Ok(rows))) if rows.num_rows() == 0 => {}
                    Poll::Ready(Some(Ok(rows))) => {
                        let keys = Keys::new(&rows, &self.merging.keys);
                        input.bytes = rows.get_array_memory_size();
                        (input.rows, input.at, has_new) = (Some((rows, keys)), 0, true);
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => input.stream = None,
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                }
            }
        }
        if has_new {
            let read: usize = self.inputs.iter().map(|input| input.bytes).sum();
            self.reservation.try_resize(read + self.gathered.bytes)?;
        }
        if waits { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Takes what comes next, and makes a batch of it when it is enough or all. `false`: there is nothing left.
    fn next_rows(&mut self) -> Result<bool, ArrowError> {
        let goes_on = self.step()?;
        if !goes_on || self.gathered.rows >= self.merging.batch_rows {
            self.emit()?;
        }
        Ok(goes_on || !self.ready.is_empty())
    }

    /// Takes what comes next. `false`: there is nothing left.
    fn step(&mut self) -> Result<bool, ArrowError> {
        let (mut least, mut second) = (None, None);
        for input in 0..self.inputs.len() {
            if self.inputs[input].rows.is_none() {
                continue;
            }
            match (least, second) {
                (None, _) => least = Some(input),
                (Some(first), _) if self.compare_heads(input, first)?.is_lt() => (least, second) = (Some(input), least),
                (_, None) => second = Some(input),
                (_, Some(next)) if self.compare_heads(input, next)?.is_lt() => second = Some(input),
                _ => {}
            }
        }
        match (least, second) {
            (None, _) => return Ok(false),
            (Some(last), None) => self.take(last, self.left(last))?,
            (Some(least), Some(second)) if self.compare_heads(least, second)?.is_eq() => {
                let mut equal = Vec::with_capacity(self.inputs.len());
                for input in 0..self.inputs.len() {
                    let has_rows = self.inputs[input].rows.is_some();
                    if has_rows && (input == least || self.compare_heads(input, least)?.is_eq()) {
                        equal.push(input);
                    }
                }
                equal.into_iter().for_each(|input| self.gather(input, 1));
                self.gathered.has_equal_keys = true;
            }
            (Some(least), Some(second)) => {
                let count = self.rows_before(least, second)?;
                self.take(least, count)?;
            }
        }
        Ok(true)
    }

    fn left(&self, input: usize) -> usize {
        let input = &self.inputs[input];
        input.batch().map_or(0, RecordBatch::num_rows) - input.at
    }

    /// How many rows of `least` come before the head of `other`; its head does.
    fn rows_before(&self, least: usize, other: usize) -> Result<usize, ArrowError> {
        let (start, left) = (self.inputs[least].at, self.left(least));
        let head = (other, self.inputs[other].at);
        let is_before = |row: usize| Ok::<_, ArrowError>(self.compare((least, start + row), head)?.is_lt());
        if is_before(left - 1)? {
            return Ok(left);
        }
        // First near the head, then further and further away, then in between.
        let (mut before, mut not, mut step) = (0, left - 1, 1);
        while before + step < not {
            if !is_before(before + step)? {
                not = before + step;
                break;
            }
            before += step;
            step *= 2;
        }
        while not - before > 1 {
            let middle = before + (not - before) / 2;
            if is_before(middle)? { before = middle } else { not = middle }
        }
        Ok(not)
    }

    fn compare_heads(&self, a: usize, b: usize) -> Result<Ordering, ArrowError> {
        self.compare((a, self.inputs[a].at), (b, self.inputs[b].at))
    }

    /// Compares the keys of rows of two inputs, which have rows.
    fn compare(&self, a: Place, b: Place) -> Result<Ordering, ArrowError> {
        let (Some((_, of_a)), Some((_, of_b))) = (&self.inputs[a.0].rows, &self.inputs[b.0].rows) else {
            return Err(ArrowError::ComputeError("an input without rows has no place in an order".to_string()));
        };
        of_a.compare(a.1, of_b, b.1)
    }

    /// Takes rows of an input that share their keys with no other.
    fn take(&mut self, input: usize, count: usize) -> Result<(), ArrowError> {
        if count < LONG {
            self.gather(input, count);
            return Ok(());
        }
        self.emit()?;
        if let Some(rows) = self.inputs[input].batch() {
            self.ready.push_back(rows.slice(self.inputs[input].at, count));
        }
        self.advance(input, count);
        Ok(())
    }

    fn gather(&mut self, input: usize, count: usize) {
        let Input { rows: Some((rows, _)), bytes, at, number, .. } = &mut self.inputs[input] else { return };
        let number = *number.get_or_insert_with(|| {
            self.gathered.bytes += *bytes;
            self.gathered.batches.push(rows.clone());
            self.gathered.batches.len() - 1
        });
        match self.gathered.stretches.last_mut() {
            Some((last, from, so_far)) if *last == number && *from + *so_far == *at => *so_far += count,
            _ => self.gathered.stretches.push((number, *at, count)),
        }
        self.gathered.rows += count;
        self.advance(input, count);
    }

    fn advance(&mut self, input: usize, count: usize) {
        if self.left(input) > count {
            self.inputs[input].at += count;
            return;
        }
        let stream = self.inputs[input].stream.take();
        self.inputs[input] = Input { stream, rows: None, bytes: 0, at: 0, number: None };
    }

    /// Makes a batch of what was gathered.
    fn emit(&mut self) -> Result<(), ArrowError> {
        let Gathered { batches, stretches, rows, has_equal_keys, .. } = std::mem::take(&mut self.gathered);
        self.inputs.iter_mut().for_each(|input| input.number = None);
        if rows == 0 {
            return Ok(());
        }
        let batch = if stretches.len() <= FEW {
            let slices = stretches.iter().map(|(number, from, count)| batches[*number].slice(*from, *count));
            concat_batches(&self.merging.schema, &slices.collect::<Vec<_>>())?
        } else {
            let places =
                stretches.iter().flat_map(|(number, from, count)| (*from..from + count).map(|row| (*number, row)));
            interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places.collect::<Vec<_>>())?
        };
        self.ready.push_back(if has_equal_keys { self.folded(&batch)? } else { batch });
        Ok(())
    }

    fn folded(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Merging { keys, sequence, .. } = &self.merging;
        let columns: Vec<ArrayRef> = keys.iter().map(|&key| rows.column(key).clone()).collect();
        let sequences = rows.column(*sequence).as_primitive::<UInt64Type>();
        fold_sorted(rows, keys, &partition(&columns)?.ranges(), |row| sequences.value(row as usize))
    }
}

impl Stream for MergedRows {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(rows) = this.ready.pop_front() {
                // Not its bytes: to count them would take a fifth of the merge's time.
                this.metrics.record_output(rows.num_rows());
                return Poll::Ready(Some(Ok(rows)));
            }
            if let Err(error) = ready!(this.poll_inputs(context)) {
                return Poll::Ready(Some(Err(error)));
            }
            match this.next_rows() {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

impl RecordBatchStream for MergedRows {
    fn schema(&self) -> SchemaRef {
        self.merging.schema.clone()
    }
}
