//! Reading the log: its files in order, their records in order, and the verdict on what cannot be read.
//!
//! Changes nothing on disk. Memory is bounded by one record.
//!
//! A process that dies while it writes leaves a torn tail: the last group of the last file, or some of its blocks,
//! is missing or zero. Nothing in it was acknowledged. Everything else that cannot be read was durable once, so it is
//! [`WalError::Corrupt`]: damage in a file that is not the last, and damage before a point to which a later frame
//! says the file was synced.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use memchr::memmem;
use uuid::Uuid;

use super::codec::decode_payload;
use super::frame::{
    FILE_HEADER_BYTES, FORMAT_VERSION, FRAME_HEADER_BYTES, FileHeader, FrameHeader, Marker, NoFileHeader,
};
use super::{LogFile, WalError, file_name};
use crate::model::TableBatch;

/// Bytes looked at in one go while searching for frames after damage.
const SCAN_BYTES: usize = 1 << 20;

/// A record of the log: its sequence number and the batches of one request.
pub type Record = (u64, Vec<TableBatch>);

/// The records of the log folder `dir`, in order of their sequence numbers, for tools and tests.
///
/// Neither locks the folder nor changes it: a torn tail ends the iteration, a record that an earlier flush made
/// obsolete may still be there. After an error there is nothing more.
pub fn read_dir(dir: &Path) -> Result<Records, WalError> {
    Records::open(dir, None)
}

/// Iterator over the records of a log folder; see [`read_dir`].
#[derive(Debug)]
pub struct Records {
    waiting: VecDeque<Found>,
    current: Option<FileReader>,
    /// Files read to their end.
    done: Vec<LogFile>,
    torn: Option<TornTail>,
    unfinished: Option<PathBuf>,
    failed: bool,
}

/// Where the last file stops making sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub file: PathBuf,
    /// Where the records end.
    pub offset: u64,
    /// Length of what follows.
    pub bytes: u64,
}

/// What is on disk, once all of it is read.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) files: Vec<LogFile>,
    pub(super) torn: Option<TornTail>,
    /// A file whose creation was interrupted: it holds nothing.
    pub(super) unfinished: Option<PathBuf>,
}

/// A file with a sound header.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    header: FileHeader,
    disk_bytes: u64,
}

impl Records {
    /// Looks at the header of every file. With `store_id`, a file of another store is an error.
    pub(super) fn open(dir: &Path, store_id: Option<Uuid>) -> Result<Self, WalError> {
        let mut paths = list(dir)?;
        let mut unfinished = None;
        let mut waiting = VecDeque::new();
        while let Some((sequence, path)) = paths.pop_front() {
            match find(path.clone(), sequence, store_id)? {
                Some(found) => waiting.push_back(found),
                None if paths.is_empty() => unfinished = Some(path),
                None => return Err(corrupt(&path, 0, "the file header is incomplete")),
            }
        }
        Ok(Records { waiting, current: None, done: Vec::new(), torn: None, unfinished, failed: false })
    }

    pub(super) fn next_record(&mut self) -> Result<Option<Record>, WalError> {
        loop {
            if self.current.is_none() {
                let Some(found) = self.waiting.pop_front() else { return Ok(None) };
                self.current = Some(self.enter(found)?);
            }
            let current = self.current.as_mut().expect("a file was just entered");
            match current.next_frame()? {
                Some((header, payload)) => {
                    let batches = decode_payload(&header.payload, &payload)
                        .map_err(|e| current.corrupt(format!("record {} is malformed: {e}", header.sequence)))?;
                    current.advance(&header);
                    return Ok(Some((header.sequence, batches)));
                }
                None => {
                    self.torn = current.torn();
                    self.done.push(current.summary());
                    self.current = None;
                }
            }
        }
    }

    /// What was found on the way. Call it after the last record.
    pub(super) fn finish(self) -> Scanned {
        debug_assert!(self.waiting.is_empty() && self.current.is_none(), "some records were not read");
        Scanned { files: self.done, torn: self.torn, unfinished: self.unfinished }
    }

    fn enter(&self, found: Found) -> Result<FileReader, WalError> {
        if let Some(before) = self.done.last().filter(|before| before.next > found.header.first_sequence) {
            let what = format!(
                "its records follow {}, but those before it go to {}",
                found.header.first_sequence, before.next
            );
            return Err(corrupt(&found.path, 0, what));
        }
        let closed_at = match self.waiting.front().map(|successor| (successor, successor.header.previous)) {
            None => None,
            Some((_, Some(previous))) if previous.first_sequence == found.header.first_sequence => {
                Some(previous.length)
            }
            Some((successor, previous)) => {
                if let Some(previous) = previous {
                    let missing = file_name(previous.first_sequence);
                    tracing::warn!(before = %successor.path.display(), missing, "write-ahead log file is missing");
                }
                Some(found.disk_bytes)
            }
        };
        FileReader::open(found, closed_at)
    }
}

impl Iterator for Records {
    type Item = Result<Record, WalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_record().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// The files of the log, oldest first. Other names in the folder are not ours to judge.
fn list(dir: &Path) -> Result<VecDeque<(u64, PathBuf)>, WalError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(WalError::io("list", dir))? {
        let path = entry.map_err(WalError::io("list", dir))?.path();
        let sequence = path.file_name().and_then(|name| sequence_in(name.to_str()?));
        files.extend(sequence.map(|s| (s, path)));
    }
    files.sort();
    Ok(files.into())
}

fn sequence_in(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(".wal")?.parse().ok()?;
    (file_name(sequence) == name).then_some(sequence)
}

/// `None` when the creation of the file was interrupted.
fn find(path: PathBuf, sequence: u64, store_id: Option<Uuid>) -> Result<Option<Found>, WalError> {
    let mut file = File::open(&path).map_err(WalError::io("open", &path))?;
    let disk_bytes = file.metadata().map_err(WalError::io("examine", &path))?.len();
    let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
    (&mut file).take(FILE_HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(WalError::io("read", &path))?;
    let header = match FileHeader::decode(&bytes) {
        Ok(header) => header,
        Err(NoFileHeader::NewerFormat(found)) => {
            return Err(WalError::NewerFormat { file: path, found, supported: FORMAT_VERSION });
        }
        Err(NoFileHeader::Unreadable) if disk_bytes <= FILE_HEADER_BYTES as u64 => return Ok(None),
        Err(NoFileHeader::Unreadable) => return Err(corrupt(&path, 0, "the file header is unreadable")),
    };
    if let Some(expected) = store_id.filter(|&id| id != header.store_id) {
        return Err(WalError::OtherStore { file: path, found: header.store_id, expected });
    }
    if header.first_sequence != sequence {
        let what = format!("by its header, the name of this file is {}", file_name(header.first_sequence));
        return Err(corrupt(&path, 0, what));
    }
    Ok(Some(Found { path, header, disk_bytes }))
}

fn corrupt(file: &Path, offset: u64, what: impl Into<String>) -> WalError {
    WalError::Corrupt { file: file.to_path_buf(), offset, what: what.into() }
}

/// One file, read from its start.
#[derive(Debug)]
struct FileReader {
    path: PathBuf,
    header: FileHeader,
    input: BufReader<File>,
    disk_bytes: u64,
    /// Where records end, if that is known: all up to there was synced.
    closed_at: Option<u64>,
    /// Where the next frame starts.
    offset: u64,
    next_sequence: u64,
}

impl FileReader {
    fn open(found: Found, closed_at: Option<u64>) -> Result<Self, WalError> {
        let Found { path, header, disk_bytes } = found;
        if let Some(length) = closed_at.filter(|&length| length > disk_bytes) {
            return Err(corrupt(&path, disk_bytes, format!("the file ends here, but it was {length} bytes long")));
        }
        let offset = FILE_HEADER_BYTES as u64;
        let mut file = File::open(&path).map_err(WalError::io("open", &path))?;
        file.seek(SeekFrom::Start(offset)).map_err(WalError::io("read", &path))?;
        let input = BufReader::with_capacity(1 << 16, file);
        Ok(FileReader { path, input, disk_bytes, closed_at, offset, next_sequence: header.first_sequence, header })
    }

    fn end(&self) -> u64 {
        self.closed_at.unwrap_or(self.disk_bytes)
    }

    /// The next frame with its payload, whose checksum is right. `None` where the records end, be it torn or not.
    fn next_frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, WalError> {
        if self.offset == self.end() {
            return Ok(None);
        }
        match self.read_frame()? {
            Ok(frame) => Ok(Some(frame)),
            Err(what) => self.judge(what).map(|()| None),
        }
    }

    /// The inner error says in what way the frame is incomplete or damaged.
    fn read_frame(&mut self) -> Result<Result<(FrameHeader, Vec<u8>), &'static str>, WalError> {
        let remaining = self.end() - self.offset;
        if remaining < FRAME_HEADER_BYTES as u64 {
            return Ok(Err("is cut short"));
        }
        let mut bytes = [0; FRAME_HEADER_BYTES];
        self.read(&mut bytes)?;
        let Some(header) = FrameHeader::decode(&bytes, self.header.marker) else {
            return Ok(Err("has an unreadable header"));
        };
        if header.sequence != self.next_sequence || header.synced > self.offset {
            return Err(self.corrupt(format!("record {} does not belong here", header.sequence)));
        }
        if u64::from(header.payload.length) > remaining - FRAME_HEADER_BYTES as u64 {
            return Ok(Err("is cut short"));
        }
        let mut payload = vec![0; header.payload.length as usize];
        self.read(&mut payload)?;
        if crc32fast::hash(&payload) != header.payload.crc {
            return Ok(Err("does not match its checksum"));
        }
        Ok(Ok((header, payload)))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), WalError> {
        self.input.read_exact(bytes).map_err(WalError::io("read", &self.path))
    }

    fn advance(&mut self, read: &FrameHeader) {
        self.offset += FRAME_HEADER_BYTES as u64 + u64::from(read.payload.length);
        self.next_sequence = read.sequence + 1;
    }

    /// `Ok` if a frame that cannot be read here is no more than the trace of an interrupted write.
    fn judge(&self, damage: &str) -> Result<(), WalError> {
        let after = scan(&self.path, self.header.marker, self.offset + 1, self.end())?;
        if self.closed_at.is_none() && after.synced <= self.offset {
            return Ok(());
        }
        let before = self.next_sequence - self.header.first_sequence;
        Err(self.corrupt(format!(
            "record {} {damage}, with {before} readable records before it and {} after it",
            self.next_sequence, after.records
        )))
    }

    fn corrupt(&self, what: String) -> WalError {
        corrupt(&self.path, self.offset, what)
    }

    fn torn(&self) -> Option<TornTail> {
        let bytes = self.end() - self.offset;
        (bytes > 0).then(|| TornTail { file: self.path.clone(), offset: self.offset, bytes })
    }

    fn summary(&self) -> LogFile {
        LogFile {
            first: self.header.first_sequence,
            next: self.next_sequence,
            length: self.offset,
            disk_bytes: self.disk_bytes,
        }
    }
}

/// Frame headers beyond a damaged place.
#[derive(Debug, Default)]
struct After {
    records: u64,
    /// The furthest that one of them says the file was synced.
    synced: u64,
}

fn scan(path: &Path, marker: Marker, from: u64, end: u64) -> Result<After, WalError> {
    let mut file = File::open(path).map_err(WalError::io("open", path))?;
    file.seek(SeekFrom::Start(from)).map_err(WalError::io("read", path))?;
    let mut input = file.take(end.saturating_sub(from));
    let finder = memmem::Finder::new(&marker);
    let mut after = After::default();
    let mut window = Vec::new();
    loop {
        let read = (&mut input).take(SCAN_BYTES as u64).read_to_end(&mut window).map_err(WalError::io("read", path))?;
        if read == 0 {
            return Ok(after);
        }
        for at in finder.find_iter(&window) {
            if let Some(header) = FrameHeader::decode(&window[at..], marker) {
                after.records += 1;
                after.synced = after.synced.max(header.synced);
            }
        }
        // A header that straddles the edge is found whole in the next round; one that is whole now is not seen twice.
        window.drain(..window.len().saturating_sub(FRAME_HEADER_BYTES - 1));
    }
}
