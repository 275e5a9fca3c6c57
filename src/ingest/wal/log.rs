//! The files of the log as their one writer sees them: append a group, rotate, trim, recover from errors.
//!
//! After a failed write or sync nobody knows what the file's end holds, and a second sync that succeeds would prove
//! nothing. So the file is never written again: it is cut back to what was synced, and the next group goes into a new
//! file whose header says where its predecessor ends. That holds even if the cut fails. While no new file can be made,
//! every append fails, and every append tries again.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::codec::EncodedPayload;
use super::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FileHeader, FrameHeader, Marker, Predecessor};
use super::metrics::WalMetrics;
use super::reader::Scanned;
use super::{LogFile, WalError, file_name};
use crate::storage::fs::{File, FileSystem};

/// Frames are gathered up to this size to be written in one call; larger payloads are written from where they are.
const WRITE_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Log {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    store_id: Uuid,
    /// A file that a group would take beyond this length is followed by a new one.
    file_bytes: u64,
    /// Files that are not written any more, oldest first.
    closed: VecDeque<LogFile>,
    /// `None` after an error, until a new file is made.
    active: Option<ActiveFile>,
    next_sequence: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct ActiveFile {
    info: LogFile,
    marker: Marker,
    file: Box<dyn File>,
}

impl Log {
    /// Takes over the files that recovery found: cuts a torn tail, removes files without records, and starts a new one.
    pub(super) fn resume(
        fs: Arc<dyn FileSystem>,
        dir: PathBuf,
        store_id: Uuid,
        file_bytes: u64,
        scanned: Scanned,
        next_sequence_at_least: u64,
    ) -> Result<Self, WalError> {
        let found = scanned.files.last().map_or(1, |last| last.next);
        let next_sequence = next_sequence_at_least.max(found);
        let closed = scanned.files.into();
        let buffer = Vec::new();
        let mut log = Log { fs, dir, store_id, file_bytes, closed, active: None, next_sequence, buffer };
        if let Some(torn) = scanned.torn {
            log.fs.truncate(&torn.file, torn.offset).map_err(WalError::io("cut the torn tail of", &torn.file))?;
            if let Some(last) = log.closed.back_mut() {
                last.disk_bytes = torn.offset;
            }
        }
        if let Some(path) = scanned.unfinished {
            log.remove(&path)?;
        }
        while let Some(last) = log.closed.back().filter(|last| last.is_empty()).copied() {
            log.remove(&log.path(last.first))?;
            log.closed.pop_back();
        }
        log.rotate()?;
        Ok(log)
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// What the files take on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.closed.iter().chain(self.active.as_ref().map(|a| &a.info)).map(|file| file.disk_bytes).sum()
    }

    /// Writes the payloads as one group with one sync and returns the first of their sequence numbers.
    ///
    /// On an error none of them counts as written, and their sequence numbers are not used again.
    pub(super) fn append<'a>(
        &mut self,
        group: impl ExactSizeIterator<Item = &'a EncodedPayload> + Clone,
        metrics: &WalMetrics,
    ) -> Result<u64, WalError> {
        let bytes: u64 = group.clone().map(frame_bytes).sum();
        let has_room = |file: &LogFile| file.is_empty() || file.length + bytes <= self.file_bytes;
        if !self.active.as_ref().is_some_and(|active| has_room(&active.info)) {
            self.rotate()?;
        }
        let active = self.active.as_mut().expect("a rotation leaves an active file");
        let path = self.dir.join(file_name(active.info.first));
        let first = self.next_sequence;
        self.next_sequence += group.len() as u64;

        let written = active.write(group, first, &mut self.buffer).map_err(WalError::io("write", &path));
        let synced = written.and_then(|()| {
            let started = Instant::now();
            active.file.sync().map_err(WalError::io("sync", &path))?;
            metrics.fsync_seconds.observe(started.elapsed().as_secs_f64());
            Ok(())
        });
        if let Err(error) = synced {
            self.abandon_active();
            return Err(error);
        }
        active.info.next = self.next_sequence;
        active.info.length += bytes;
        active.info.disk_bytes = active.info.length;
        Ok(first)
    }

    /// Removes the files all of whose records are below `below`. Tries again what failed the last time.
    pub(super) fn trim(&mut self, below: u64) -> Result<(), WalError> {
        self.remove_closed(below)?;
        if self.active.as_ref().is_some_and(|active| !active.info.is_empty() && active.info.next <= below) {
            self.rotate()?;
            self.remove_closed(below)?;
        }
        Ok(())
    }

    fn remove_closed(&mut self, below: u64) -> Result<(), WalError> {
        while let Some(oldest) = self.closed.front().filter(|oldest| oldest.next <= below) {
            self.remove(&self.path(oldest.first))?;
            self.closed.pop_front();
        }
        Ok(())
    }

    /// Each removal is durable before the next: the files that are left are always the newest.
    fn remove(&self, path: &Path) -> Result<(), WalError> {
        match self.fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(WalError::io("remove", path)(error)),
            _ => self.fs.sync_dir(&self.dir).map_err(WalError::io("sync", &self.dir)),
        }
    }

    /// Makes a new file the active one. On an error nothing has changed.
    fn rotate(&mut self) -> Result<(), WalError> {
        let path = self.path(self.next_sequence);
        let before = self.active.as_ref().map(|active| &active.info).or(self.closed.back());
        debug_assert!(before.is_none_or(|before| before.first < self.next_sequence), "a file in use is not replaced");
        let header = FileHeader {
            store_id: self.store_id,
            first_sequence: self.next_sequence,
            marker: random_marker(),
            previous: before.map(|file| Predecessor { first_sequence: file.first, length: file.length }),
        };
        let file = self.create(&path, &header).map_err(|error| {
            let _ = self.fs.remove_file(&path);
            WalError::io("create", &path)(error)
        })?;
        let length = FILE_HEADER_BYTES as u64;
        let info = LogFile { first: self.next_sequence, next: self.next_sequence, length, disk_bytes: length };
        let old = self.active.replace(ActiveFile { info, marker: header.marker, file });
        self.closed.extend(old.map(|old| old.info));
        Ok(())
    }

    /// On `Ok` the file, its header and its name are durable.
    fn create(&self, path: &Path, header: &FileHeader) -> io::Result<Box<dyn File>> {
        let mut file = match self.fs.create_new(path) {
            // Left by an attempt that failed and could not clean up.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.fs.remove_file(path)?;
                self.fs.create_new(path)?
            }
            other => other?,
        };
        file.write_all(&header.encode())?;
        file.sync()?;
        self.fs.sync_dir(&self.dir)?;
        Ok(file)
    }

    /// Gives up the active file, whose end is unknown, with the records that were synced.
    fn abandon_active(&mut self) {
        let Some(ActiveFile { mut info, file, .. }) = self.active.take() else { return };
        drop(file);
        let path = self.path(info.first);
        if let Err(error) = self.fs.truncate(&path, info.length) {
            tracing::warn!(file = %path.display(), length = info.length, %error, "cannot cut write-ahead log file");
            info.disk_bytes = std::fs::metadata(&path).map_or(info.length, |metadata| metadata.len());
        }
        self.closed.push_back(info);
    }

    fn path(&self, first_sequence: u64) -> PathBuf {
        self.dir.join(file_name(first_sequence))
    }
}

impl ActiveFile {
    fn write<'a>(
        &mut self,
        group: impl Iterator<Item = &'a EncodedPayload>,
        first_sequence: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        buffer.clear();
        for (sequence, payload) in (first_sequence..).zip(group) {
            let header = FrameHeader { sequence, synced: self.info.length, payload: payload.shape };
            buffer.extend_from_slice(&header.encode(self.marker));
            if buffer.len() + payload.bytes.len() <= WRITE_BYTES {
                buffer.extend_from_slice(&payload.bytes);
            } else {
                self.file.write_all(buffer)?;
                buffer.clear();
                self.file.write_all(&payload.bytes)?;
            }
        }
        if buffer.is_empty() { Ok(()) } else { self.file.write_all(buffer) }
    }
}

pub(super) fn frame_bytes(payload: &EncodedPayload) -> u64 {
    (FRAME_HEADER_BYTES + payload.bytes.len()) as u64
}

fn random_marker() -> Marker {
    *Uuid::new_v4().as_bytes().first_chunk().expect("an id has sixteen bytes")
}
