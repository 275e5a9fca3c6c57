//! Group commit: callers queue up, one thread writes what has queued up, syncs once, applies, and answers.
//!
//! Where many callers write little at a time, the syncs cost more than all else. The thread therefore expects as many requests as
//! the last group had, and waits for them, but no longer than that group's sync took: a caller alone waits once, after a group
//! of several.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::codec::{EncodedPayload, encode_payload};
use super::frame::FILE_HEADER_BYTES;
use super::log::{Log, frame_bytes};
use super::metrics::WalMetrics;
use super::{Sink, Wal, WalError, WalOptions};
use crate::model::TableBatch;

/// A group is closed when it reaches this size, so that early callers do not wait for ever later ones.
const GROUP_BYTES: u64 = 16 << 20;
/// The longest wait for further callers.
const LINGER_MAX: Duration = Duration::from_micros(250);
/// No number of callers wakes the thread, which is not waiting.
const BUSY: usize = usize::MAX;

/// The log in use. Dropping it is a [`shutdown`](Self::shutdown) that blocks.
#[derive(Debug)]
pub struct WalHandle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: tokio::sync::watch::Receiver<bool>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when there is something to do for the thread.
    work: Condvar,
    budget_bytes: u64,
    queue_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Pending>,
    /// So many requests in the queue wake the thread.
    wanted: usize,
    /// Of all requests that are not written yet: their frames, and the memory they hold.
    pending_frames: u64,
    pending_memory: u64,
    disk_bytes: u64,
    last_sequence: u64,
    /// Records below this number are to be removed.
    trim: Option<u64>,
    closing: bool,
}

#[derive(Debug)]
struct Pending {
    payload: EncodedPayload,
    batches: Vec<TableBatch>,
    memory: u64,
    reply: oneshot::Sender<Result<u64, WalError>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs while the lock is held, so the state is whole in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WalHandle {
    /// Resolves to the record's sequence number once it is durable and applied.
    ///
    /// Encoding runs on the calling thread. A future that is dropped before its first poll leaves nothing; later, the
    /// record is written and applied all the same. On an error the record was not applied; see the
    /// [module](super) on what a crash may still find.
    pub async fn append(&self, batches: Vec<TableBatch>) -> Result<u64, WalError> {
        let payload = encode_payload(&batches)?;
        let answer = self.enqueue(payload, batches)?;
        answer.await.unwrap_or(Err(WalError::Closed))
    }

    fn enqueue(
        &self,
        payload: EncodedPayload,
        batches: Vec<TableBatch>,
    ) -> Result<oneshot::Receiver<Result<u64, WalError>>, WalError> {
        let shared = &self.shared;
        let record = frame_bytes(&payload);
        let limit = shared.budget_bytes.saturating_sub(FILE_HEADER_BYTES as u64);
        if record > limit {
            return Err(WalError::TooLarge { bytes: record, limit });
        }
        let batch_memory: usize = batches.iter().map(TableBatch::memory_bytes).sum();
        let memory = batch_memory as u64 + record;

        let mut state = shared.lock();
        if state.closing {
            return Err(WalError::Closed);
        }
        let used = state.disk_bytes + state.pending_frames;
        if used + record > shared.budget_bytes {
            return Err(WalError::Full { used, budget: shared.budget_bytes, record });
        }
        if state.pending_memory > 0 && state.pending_memory + memory > shared.queue_bytes {
            return Err(WalError::Busy { queued: state.pending_memory });
        }
        state.pending_frames += record;
        state.pending_memory += memory;
        let (reply, answer) = oneshot::channel();
        state.queue.push_back(Pending { payload, batches, memory, reply });
        let are_enough = state.queue.len() >= state.wanted;
        drop(state);
        if are_enough {
            shared.work.notify_one();
        }
        Ok(answer)
    }

    /// Says that no record with a sequence number below `below` is needed any more.
    ///
    /// Returns at once; the log's thread then removes the files that hold only such records. If that is all of them, a
    /// new file is begun, so that an idle log keeps nothing. What cannot be removed is tried again at the next call.
    pub fn trim(&self, below: u64) {
        let mut state = self.shared.lock();
        state.trim = state.trim.max(Some(below));
        drop(state);
        self.shared.work.notify_one();
    }

    /// Bytes on disk and waiting to be written; the budget is a limit on this.
    pub fn bytes(&self) -> u64 {
        let state = self.shared.lock();
        state.disk_bytes + state.pending_frames
    }

    /// Number of the last record that was applied or, before the first, of the last one ever written.
    pub fn last_sequence(&self) -> u64 {
        self.shared.lock().last_sequence
    }

    /// Refuses further appends, writes and answers those that wait, and returns when the folder is unlocked.
    pub async fn shutdown(&self) {
        self.close();
        // An error means that the thread is gone, which is what we wait for.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
    }
}

impl Drop for WalHandle {
    fn drop(&mut self) {
        self.close();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

pub(super) fn start(wal: Wal, sink: Box<dyn Sink>, metrics: WalMetrics) -> Result<WalHandle, WalError> {
    let Wal { log, options, lock, .. } = wal;
    let WalOptions { dir, budget_bytes, queue_bytes, .. } = options;
    let disk_bytes = log.bytes();
    let last_sequence = log.next_sequence() - 1;
    metrics.bytes.set(disk_bytes as i64);
    let state = Mutex::new(State { disk_bytes, last_sequence, wanted: BUSY, ..State::default() });
    let shared = Arc::new(Shared { state, work: Condvar::new(), budget_bytes, queue_bytes });
    let (stop, stopped) = tokio::sync::watch::channel(false);

    let writer = Writer { log, sink, metrics, shared: shared.clone() };
    let farewell = Farewell { shared: shared.clone(), stop };
    let thread = std::thread::Builder::new().name("wal".to_string()).spawn(move || {
        let _farewell = farewell;
        let _lock = lock;
        writer.run();
    });
    let thread = thread.map_err(WalError::io("start the thread that writes", &dir))?;
    Ok(WalHandle { shared, thread: Mutex::new(Some(thread)), stopped })
}

/// Runs last on the log's thread, also if that panics: nobody is left waiting for an answer.
struct Farewell {
    shared: Arc<Shared>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        let unanswered = std::mem::take(&mut state.queue);
        drop(state);
        drop(unanswered);
        self.stop.send_replace(true);
    }
}

/// The log's thread.
struct Writer {
    log: Log,
    sink: Box<dyn Sink>,
    metrics: WalMetrics,
    shared: Arc<Shared>,
}

struct Work {
    group: Vec<Pending>,
    trim: Option<u64>,
}

/// What the last group was: what the next one is expected to be.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    records: usize,
    took: Duration,
}

impl Writer {
    fn run(mut self) {
        let mut last = Last::default();
        while let Some(Work { group, trim }) = self.wait_for_work(last) {
            if !group.is_empty() {
                last = self.commit(group);
            }
            if let Some(below) = trim {
                self.trim(below);
            }
        }
    }

    /// `None` when the log is closing and all is done.
    fn wait_for_work(&self, last: Last) -> Option<Work> {
        let idle = |state: &mut State| state.queue.is_empty() && state.trim.is_none() && !state.closing;
        let mut state = self.shared.lock();
        state.wanted = 1;
        let state = self.shared.work.wait_while(state, idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if (1..last.records).contains(&state.queue.len()) {
            state.wanted = last.records;
            let few = |state: &mut State| state.queue.len() < state.wanted && !state.closing;
            let lingered = self.shared.work.wait_timeout_while(state, last.took.min(LINGER_MAX), few);
            state = lingered.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = BUSY;
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.queue.front().map(|pending| frame_bytes(&pending.payload))
            && (group.is_empty() || bytes + next <= GROUP_BYTES)
        {
            bytes += next;
            group.extend(state.queue.pop_front());
        }
        let trim = state.trim.take();
        (!group.is_empty() || trim.is_some()).then_some(Work { group, trim })
    }

    fn commit(&mut self, group: Vec<Pending>) -> Last {
        let frames: u64 = group.iter().map(|pending| frame_bytes(&pending.payload)).sum();
        let memory: u64 = group.iter().map(|pending| pending.memory).sum();
        let records = group.len() as u64;
        let started = Instant::now();
        let written = self.log.append(group.iter().map(|pending| &pending.payload), &self.metrics);
        let last = Last { records: group.len(), took: started.elapsed() };
        self.account(frames, memory);
        match written {
            Ok(first) => {
                self.metrics.records.inc_by(records);
                self.metrics.appended_bytes.inc_by(frames);
                self.metrics.group_records.observe(records as f64);
                for (sequence, Pending { batches, reply, .. }) in (first..).zip(group) {
                    self.sink.apply(sequence, batches);
                    self.shared.lock().last_sequence = sequence;
                    // The caller may have stopped waiting.
                    let _ = reply.send(Ok(sequence));
                }
            }
            Err(error) => {
                tracing::error!(%error, records, "cannot write to the write-ahead log");
                self.metrics.failed_records.inc_by(records);
                for pending in group {
                    let _ = pending.reply.send(Err(error.clone()));
                }
            }
        }
        last
    }

    fn trim(&mut self, below: u64) {
        if let Err(error) = self.log.trim(below) {
            tracing::warn!(%error, below, "cannot trim the write-ahead log");
        }
        self.account(0, 0);
    }

    /// `frames` and `memory` bytes do not wait any more.
    fn account(&self, frames: u64, memory: u64) {
        let disk_bytes = self.log.bytes();
        self.metrics.bytes.set(disk_bytes as i64);
        let mut state = self.shared.lock();
        state.pending_frames -= frames;
        state.pending_memory -= memory;
        state.disk_bytes = disk_bytes;
    }
}
