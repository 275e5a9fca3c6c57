//! What can go wrong with the log, and what it means to a caller.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{Classify, Kind};

/// Clones share their cause: one failed write answers every request of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    #[error("write-ahead log is full: {used} of {budget} bytes in use, a record of {record} bytes does not fit now")]
    Full { used: u64, budget: u64, record: u64 },
    #[error("too many writes wait for the write-ahead log: {queued} bytes")]
    Busy { queued: u64 },
    #[error("a request of {bytes} bytes can never fit into the write-ahead log, at most {limit} do")]
    TooLarge { bytes: u64, limit: u64 },
    /// The batches contradict themselves: a fault of whoever built them. Nothing was written.
    #[error("batch of table {table} cannot be logged: {what}")]
    Unencodable { table: u64, what: String },
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: Arc<io::Error> },
    #[error("write-ahead log is closed")]
    Closed,
    #[error("write-ahead log folder `{}` is in use by another process", dir.display())]
    Locked { dir: PathBuf },
    #[error(
        "write-ahead log file `{}` belongs to store {found}, not to store {expected}; point the gateway at the log \
         folder or at the bucket that belongs to the other",
        file.display()
    )]
    OtherStore { file: PathBuf, found: Uuid, expected: Uuid },
    #[error(
        "write-ahead log file `{}` has format version {found}, this program reads up to {supported}; start the \
         program that wrote it",
        file.display()
    )]
    NewerFormat { file: PathBuf, found: u32, supported: u32 },
    /// Bytes that were once durable are not what was written.
    #[error(
        "write-ahead log file `{}` is damaged at byte {offset}: {what}; restore the file from a copy, or move it out \
         of the folder to accept losing those of its records that were not flushed yet",
        file.display()
    )]
    Corrupt { file: PathBuf, offset: u64, what: String },
    #[error("cannot replay record {sequence} of the write-ahead log: {source}")]
    Replay { sequence: u64, source: Arc<dyn std::error::Error + Send + Sync> },
}

impl WalError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
        move |source| WalError::Io { what, path: path.to_path_buf(), source: Arc::new(source) }
    }
}

impl Classify for WalError {
    fn kind(&self) -> Kind {
        match self {
            WalError::Full { .. } | WalError::Busy { .. } => Kind::Overloaded,
            WalError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Overloaded,
                _ => Kind::Unavailable,
            },
            WalError::TooLarge { .. } => Kind::TooLarge,
            WalError::Closed => Kind::Unavailable,
            WalError::Locked { .. } | WalError::OtherStore { .. } => Kind::Conflict,
            WalError::NewerFormat { .. } => Kind::Unsupported,
            WalError::Unencodable { .. } | WalError::Corrupt { .. } | WalError::Replay { .. } => Kind::Internal,
        }
    }
}
