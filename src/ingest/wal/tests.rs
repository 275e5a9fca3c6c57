//! The log as its owner sees it, over real files.

mod commit;
mod faults;
mod fixture;
mod recovery;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use prometheus::Registry;
use uuid::Uuid;

use super::*;
use crate::storage::fs::OsFileSystem;

const STORE: Uuid = Uuid::from_u128(0x5151);

/// A sink that remembers, and can be asked while it is in use.
#[derive(Debug, Clone, Default)]
struct Applied(Arc<Mutex<Vec<(u64, u64)>>>);

impl Sink for Applied {
    fn apply(&mut self, sequence: u64, batches: Vec<TableBatch>) {
        self.0.lock().unwrap().push((sequence, samples::number_of(&batches)));
    }
}

impl Applied {
    fn get(&self) -> Vec<(u64, u64)> {
        self.0.lock().unwrap().clone()
    }
}

fn metrics() -> WalMetrics {
    WalMetrics::new(&Registry::new()).unwrap()
}

fn open_with(fs: Arc<dyn FileSystem>, options: WalOptions, records: &mut Vec<Record>) -> Result<Wal, WalError> {
    Wal::open(fs, options, STORE, 0, &mut |sequence, batches| {
        records.push((sequence, batches));
        Ok(())
    })
}

fn open(dir: &Path) -> Result<(Wal, Vec<Record>), WalError> {
    let mut records = Vec::new();
    let wal = open_with(Arc::new(OsFileSystem), WalOptions::new(dir), &mut records)?;
    Ok((wal, records))
}

fn start(options: WalOptions) -> WalHandle {
    let wal = open_with(Arc::new(OsFileSystem), options, &mut Vec::new()).unwrap();
    wal.start(Box::new(Applied::default()), metrics()).unwrap()
}

/// Appends `numbers`, each on its own.
fn append_all(wal: &WalHandle, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    numbers.into_iter().map(|n| block_on(wal.append(vec![samples::numbered(n)])).unwrap()).collect()
}

/// A folder with one file that holds the numbers `1..=count`, each its own group, as sequence numbers `1..=count`.
fn write_numbers(dir: &Path, count: u64) -> PathBuf {
    append_all(&start(WalOptions::new(dir)), 1..=count);
    dir.join(file_name(1))
}

/// Sequence and number of each record.
fn numbers(records: &[Record]) -> Vec<(u64, u64)> {
    records.iter().map(|(sequence, batches)| (*sequence, samples::number_of(batches))).collect()
}

fn pairs(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, u64)> {
    range.map(|n| (n, n)).collect()
}

fn log_files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != LOCK_FILE).collect();
    names.sort();
    names
}
