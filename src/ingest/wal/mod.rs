//! The write-ahead log: what makes an accepted request durable before it is acknowledged.
//!
//! A folder of files named `<20 digits>.wal`, the digits being the sequence number of the first record. A record is the
//! batches of one request. One thread writes: it takes all requests that wait, appends them, syncs once, hands them to
//! the [`Sink`] in order of their sequence numbers and wakes the callers. Requests that arrive meanwhile are the next
//! group.
//!
//! Owns: sequence numbers, the format of the files, recovery, the log's budget. Does not own: what a record means, and
//! when it is obsolete: the owner says so with [`WalHandle::trim`].
//!
//! - A record whose append succeeded survives a power loss and is replayed until it is trimmed.
//! - A record whose append **failed** was not handed to the sink. It is gone as soon as another append succeeds;
//!   before that, a crash or restart may still find it and replay it.
//! - Sequence numbers start at 1, only grow, and are not reused within a process; gaps are possible after a failure.
//! - A trim removes whole files, so a replay also sees records below the last trim point.
//! - Damage to a record that was once durable stops the start with [`WalError::Corrupt`]; only what an interrupted
//!   write left at the end of the last file is cut off.

mod codec;
mod error;
mod frame;
mod log;
mod metrics;
mod reader;
mod writer;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

pub use codec::{DecodeError, EncodedPayload, PLAIN_BYTES_MAX, encode_payload};
pub use error::WalError;
pub use metrics::WalMetrics;
pub use reader::{Record, Records, TornTail, read_dir};
pub use writer::WalHandle;

use crate::model::TableBatch;
use crate::storage::fs::{FileSystem, create_dir_durably};
use log::Log;

/// Name of the file whose lock keeps a second process out of the folder.
const LOCK_FILE: &str = "lock";

#[derive(Debug, Clone)]
pub struct WalOptions {
    pub dir: PathBuf,
    /// A file that reaches this length is followed by a new one. One group of requests is never split, so a file can
    /// be longer by a group.
    pub file_bytes: u64,
    /// Most bytes on disk and waiting to be written. At the limit, appends fail with [`WalError::Full`].
    pub budget_bytes: u64,
    /// Most bytes of memory in requests that wait for the writer; one request is let in whatever its size. At the
    /// limit, appends fail with [`WalError::Busy`].
    pub queue_bytes: u64,
}

impl WalOptions {
    /// Default limits: files of 64 MiB, 4 GiB in all, 256 MiB waiting.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        WalOptions { dir: dir.into(), file_bytes: 64 << 20, budget_bytes: 4 << 30, queue_bytes: 256 << 20 }
    }
}

/// Where durable records go.
pub trait Sink: Send + 'static {
    /// Takes over a record. Called on the log's thread, in order of `sequence`, after the record is durable and before
    /// its caller hears of it. While it runs nothing is written.
    fn apply(&mut self, sequence: u64, batches: Vec<TableBatch>);
}

/// Takes the records that [`Wal::open`] finds.
pub type Replay<'a> = dyn FnMut(u64, Vec<TableBatch>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub files: usize,
    pub records: u64,
    pub rows: u64,
    /// The cut-off remains of a write that was interrupted.
    pub torn: Option<TornTail>,
}

/// A log that is recovered, locked, and not yet written.
#[derive(Debug)]
pub struct Wal {
    log: Log,
    options: WalOptions,
    recovery: Recovery,
    /// Held for as long as the log is in use.
    lock: std::fs::File,
}

/// A log's folder, locked: no other process has it.
#[derive(Debug)]
pub struct WalFolder {
    /// Held for as long as the log is in use.
    lock: std::fs::File,
}

impl WalFolder {
    /// Locks `dir`, creating it if need be. Refuses a log that belongs to another store than `store_id`.
    pub fn claim(fs: &dyn FileSystem, dir: &Path, store_id: Uuid) -> Result<WalFolder, WalError> {
        create_dir_durably(fs, dir).map_err(WalError::io("create", dir))?;
        let lock = lock(dir)?;
        Records::open(dir, Some(store_id))?;
        Ok(WalFolder { lock })
    }
}

impl Wal {
    /// [`Wal::recover`] of a folder that is claimed just now.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        options: WalOptions,
        store_id: Uuid,
        next_sequence_at_least: u64,
        replay: &mut Replay<'_>,
    ) -> Result<Self, WalError> {
        let folder = WalFolder::claim(&*fs, &options.dir, store_id)?;
        Wal::recover(fs, options, folder, store_id, next_sequence_at_least, replay)
    }

    /// Hands every record in the folder to `replay`, in order. `folder` is the claimed `options.dir`.
    ///
    /// Sequence numbers go on after the highest that was found, but not below `next_sequence_at_least`. On an error,
    /// `replay` may have seen some of the records; no record on disk was changed.
    pub fn recover(
        fs: Arc<dyn FileSystem>,
        options: WalOptions,
        folder: WalFolder,
        store_id: Uuid,
        next_sequence_at_least: u64,
        replay: &mut Replay<'_>,
    ) -> Result<Self, WalError> {
        let dir = &options.dir;
        let mut recovery = Recovery::default();
        let mut records = Records::open(dir, Some(store_id))?;
        while let Some((sequence, batches)) = records.next_record()? {
            recovery.records += 1;
            recovery.rows += batches.iter().map(|b| b.rows() as u64).sum::<u64>();
            replay(sequence, batches).map_err(|e| WalError::Replay { sequence, source: Arc::from(e) })?;
        }
        let scanned = records.finish();
        recovery.files = scanned.files.len();
        recovery.torn = scanned.torn.clone();
        if let Some(TornTail { file, offset, bytes }) = &recovery.torn {
            tracing::warn!(file = %file.display(), offset, bytes, "cutting off the last write, which cannot be read: it was interrupted before it was acknowledged, or is damaged");
        }
        let log = Log::resume(fs, dir.clone(), store_id, options.file_bytes, scanned, next_sequence_at_least)?;
        Ok(Wal { log, options, recovery, lock: folder.lock })
    }

    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The number that the next record will get.
    pub fn next_sequence(&self) -> u64 {
        self.log.next_sequence()
    }

    /// Starts the thread that writes. It hands to `sink` only what is appended from now on.
    pub fn start(self, sink: Box<dyn Sink>, metrics: WalMetrics) -> Result<WalHandle, WalError> {
        writer::start(self, sink, metrics)
    }
}

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LogFile {
    /// Sequence number of the first record, and the file's name.
    first: u64,
    /// The number after the last record's; `first` when there is none.
    next: u64,
    /// Where its records end.
    length: u64,
    /// What it takes on disk: more than `length` if its end could not be cut.
    disk_bytes: u64,
}

impl LogFile {
    fn is_empty(&self) -> bool {
        self.next == self.first
    }
}

fn file_name(first_sequence: u64) -> String {
    format!("{first_sequence:020}.wal")
}

fn lock(dir: &Path) -> Result<std::fs::File, WalError> {
    let path = dir.join(LOCK_FILE);
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(WalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(WalError::Locked { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(WalError::io("lock", &path)(error)),
    }
}
