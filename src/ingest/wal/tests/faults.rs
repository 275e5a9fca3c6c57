//! A disk that fails: nothing acknowledged is lost, nothing is acknowledged that might be.

use std::io;
use std::sync::Condvar;

use super::*;
use crate::model::{Classify, Kind};
use crate::storage::fs::File;

/// What a [`FaultyFs`] can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Write,
    Sync,
    Truncate,
    Remove,
    SyncDir,
}

/// The operating system's files, some of whose operations fail.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyFs(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    failing: Vec<(Operation, io::ErrorKind)>,
    /// Fail the operation of this number, whatever it is.
    fail_at: Option<usize>,
    done: Vec<Operation>,
    hold: Option<Arc<Hold>>,
}

/// A sync that waits until it is let go.
#[derive(Debug, Default)]
pub(super) struct Hold {
    state: Mutex<HoldState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct HoldState {
    reached: bool,
    released: bool,
}

impl Hold {
    pub(super) fn wait_until_reached(&self) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| !state.reached).unwrap());
    }

    pub(super) fn release(&self) {
        self.state.lock().unwrap().released = true;
        self.changed.notify_all();
    }

    fn reach(&self) {
        let mut state = self.state.lock().unwrap();
        state.reached = true;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.released).unwrap());
    }
}

impl FaultyFs {
    fn failing_at(number: usize) -> Self {
        FaultyFs(Arc::new(Mutex::new(Plan { fail_at: Some(number), ..Plan::default() })))
    }

    fn fail(&self, operation: Operation, kind: io::ErrorKind) {
        self.0.lock().unwrap().failing.push((operation, kind));
    }

    fn heal(&self) {
        self.0.lock().unwrap().failing.clear();
    }

    pub(super) fn count(&self, operation: Operation) -> usize {
        self.0.lock().unwrap().done.iter().filter(|done| **done == operation).count()
    }

    fn total(&self) -> usize {
        self.0.lock().unwrap().done.len()
    }

    pub(super) fn hold_next_sync(&self) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.0.lock().unwrap().hold = Some(hold.clone());
        hold
    }

    fn run(&self, operation: Operation) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        plan.done.push(operation);
        let hold = if operation == Operation::Sync { plan.hold.take() } else { None };
        let failing = plan.failing.iter().find(|(failing, _)| *failing == operation).map(|(_, kind)| *kind);
        let now = (plan.fail_at == Some(plan.done.len())).then_some(io::ErrorKind::Other);
        drop(plan);
        if let Some(hold) = hold {
            hold.reach();
        }
        failing.or(now).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl FileSystem for FaultyFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.run(Operation::Create)?;
        Ok(Box::new(FaultyFile { file: OsFileSystem.create_new(path)?, fs: self.clone() }))
    }
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        OsFileSystem.open_append(path)
    }
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.run(Operation::Truncate)?;
        OsFileSystem.truncate(path, length)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsFileSystem.create_dir_all(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFileSystem.hard_link(from, to)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFileSystem.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::Remove)?;
        OsFileSystem.remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::SyncDir)?;
        OsFileSystem.sync_dir(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn File>,
    fs: FaultyFs,
}

impl File for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.fs.run(Operation::Write) {
            self.file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write_all(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.fs.run(Operation::Sync)?;
        self.file.sync()
    }
}

fn faulty(dir: &Path) -> (FaultyFs, WalHandle) {
    let fs = FaultyFs::default();
    let wal = open_with(Arc::new(fs.clone()), WalOptions::new(dir), &mut Vec::new()).unwrap();
    (fs, wal.start(Box::new(Applied::default()), metrics()).unwrap())
}

fn append(wal: &WalHandle, number: u64) -> Result<u64, WalError> {
    block_on(wal.append(vec![samples::numbered(number)]))
}

#[test]
fn what_failed_is_gone_and_the_log_goes_on_in_a_new_file() {
    for (operation, kind, meaning) in [
        (Operation::Write, io::ErrorKind::Other, Kind::Unavailable),
        (Operation::Write, io::ErrorKind::StorageFull, Kind::Overloaded),
        (Operation::Sync, io::ErrorKind::Other, Kind::Unavailable),
        (Operation::Sync, io::ErrorKind::StorageFull, Kind::Overloaded),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (fs, wal) = faulty(dir.path());
        append(&wal, 1).unwrap();
        let length = std::fs::metadata(dir.path().join(file_name(1))).unwrap().len();
        fs.fail(operation, kind);
        assert_eq!(append(&wal, 2).unwrap_err().kind(), meaning, "{operation:?}");
        assert_eq!(append(&wal, 3).unwrap_err().kind(), meaning, "{operation:?}: a new file cannot be made either");
        assert_eq!(std::fs::metadata(dir.path().join(file_name(1))).unwrap().len(), length, "{operation:?}");
        fs.heal();
        // The number of the record that failed is not used again.
        assert_eq!(append(&wal, 4).unwrap(), 3, "{operation:?}");
        drop(wal);
        assert_eq!(log_files(dir.path()), [file_name(1), file_name(3)], "{operation:?}");
        assert_eq!(numbers(&open(dir.path()).unwrap().1), [(1, 1), (3, 4)], "{operation:?}");
    }
}

#[test]
fn what_failed_is_gone_even_if_it_could_not_be_cut_off() {
    for operation in [Operation::Write, Operation::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let (fs, wal) = faulty(dir.path());
        append(&wal, 1).unwrap();
        let length = std::fs::metadata(dir.path().join(file_name(1))).unwrap().len();
        fs.fail(operation, io::ErrorKind::Other);
        fs.fail(Operation::Truncate, io::ErrorKind::Other);
        append(&wal, 2).unwrap_err();
        fs.heal();
        assert_eq!(append(&wal, 3).unwrap(), 3, "{operation:?}");
        assert!(std::fs::metadata(dir.path().join(file_name(1))).unwrap().len() > length, "{operation:?}");
        let on_disk: u64 =
            log_files(dir.path()).iter().map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len()).sum();
        assert_eq!(wal.bytes(), on_disk, "{operation:?}");
        drop(wal);
        for _ in 0..2 {
            assert_eq!(numbers(&open(dir.path()).unwrap().1), [(1, 1), (3, 3)], "{operation:?}");
        }
    }
}

#[test]
fn a_new_file_that_could_be_neither_made_nor_removed_is_replaced_later() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, wal) = faulty(dir.path());
    append(&wal, 1).unwrap();
    fs.fail(Operation::Sync, io::ErrorKind::Other);
    fs.fail(Operation::Remove, io::ErrorKind::Other);
    append(&wal, 2).unwrap_err();
    append(&wal, 3).unwrap_err();
    append(&wal, 4).unwrap_err();
    assert_eq!(log_files(dir.path()), [file_name(1), file_name(3)]);
    fs.heal();
    assert_eq!(append(&wal, 5).unwrap(), 3);
    drop(wal);
    assert_eq!(numbers(&open(dir.path()).unwrap().1), [(1, 1), (3, 5)]);
}

#[test]
fn a_file_that_failed_to_sync_is_never_synced_again() {
    let dir = tempfile::tempdir().unwrap();
    let (fs, wal) = faulty(dir.path());
    append(&wal, 1).unwrap();
    fs.fail(Operation::Sync, io::ErrorKind::Other);
    // No new file, so nothing but the failed sync itself.
    fs.fail(Operation::Create, io::ErrorKind::Other);
    let syncs = fs.count(Operation::Sync);
    for number in 2..6 {
        append(&wal, number).unwrap_err();
    }
    assert_eq!(fs.count(Operation::Sync) - syncs, 1);
    fs.heal();
    append(&wal, 6).unwrap();
}

#[test]
fn a_trim_that_fails_is_made_good_by_the_next() {
    for operation in [Operation::Remove, Operation::SyncDir, Operation::Create] {
        let dir = tempfile::tempdir().unwrap();
        let (fs, wal) = faulty(dir.path());
        append(&wal, 1).unwrap();
        fs.fail(operation, io::ErrorKind::Other);
        wal.trim(2);
        // Behind this append, the trim has been tried at least once.
        let _ = append(&wal, 2);
        let _ = append(&wal, 3);
        fs.heal();
        let last = append(&wal, 4).unwrap();
        wal.trim(last + 1);
        block_on(wal.shutdown());
        assert_eq!(log_files(dir.path()), [file_name(last + 1)], "{operation:?}");
    }
}

/// Runs one life of a log over `fs` and returns what was acknowledged and is not trimmed.
fn live(fs: &FaultyFs, dir: &Path, numbers: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    let options = WalOptions { file_bytes: 300, ..WalOptions::new(dir) };
    let mut acknowledged = Vec::new();
    let Ok(wal) = open_with(Arc::new(fs.clone()), options, &mut Vec::new()) else { return acknowledged };
    let wal = wal.start(Box::new(Applied::default()), metrics()).unwrap();
    for number in numbers.clone() {
        if let Ok(sequence) = append(&wal, number) {
            acknowledged.push((sequence, number));
        }
        if number - numbers.start == 5 && acknowledged.len() > 3 {
            wal.trim(acknowledged[3].0);
            acknowledged.drain(..3);
        }
    }
    acknowledged
}

#[test]
fn whichever_operation_fails_acknowledged_records_are_there_once() {
    for number in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let fs = FaultyFs::failing_at(number);
        let mut acknowledged = live(&fs, dir.path(), 0..9);
        acknowledged.extend(live(&fs, dir.path(), 100..103));

        let found = numbers(&open(dir.path()).unwrap().1);
        assert!(found.is_sorted_by_key(|(sequence, _)| *sequence), "operation {number}: {found:?}");
        assert!(found.windows(2).all(|w| w[0].0 < w[1].0), "operation {number}: {found:?}");
        for record in &acknowledged {
            assert!(found.contains(record), "operation {number}: {record:?} is not in {found:?}");
        }
        let mut seen: Vec<_> = found.iter().map(|(_, number)| *number).collect();
        seen.dedup();
        assert_eq!(seen.len(), found.len(), "operation {number}: {found:?}");
        if fs.total() < number {
            assert_eq!(acknowledged.len(), 9, "with no failure all but the trimmed are there");
            assert!(number > 30, "the scenario is too small to mean much: {number}");
            return;
        }
    }
}
