//! A disk that loses what was not synced.
//!
//! [`LossyFileSystem`] works on a real folder, so that readers see what they would see, and keeps book of what a power
//! loss could not take: a file's bytes up to its last `sync`, a directory's entries up to its last `sync_dir`.
//! [`LossyFileSystem::crash`] makes the folder look as after a power loss at that moment. It can also be told to
//! fail. Nothing is really synced, so it is fast.
//!
//! What is changed behind its back (by `std::fs`) was never synced: a crash undoes it.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate::storage::fs::{File, FileSystem, OsFileSystem};

/// A [`FileSystem`] with a power switch. Clones are the same disk. Paths outside its folder are the real disk's.
#[derive(Clone)]
pub(crate) struct LossyFileSystem {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    root: PathBuf,
    /// By number; never reused before a crash.
    inodes: Vec<Inode>,
    /// What programs see, and what survives. Keyed by path below the root.
    current: Tree,
    durable: Tree,
    /// What leads from `durable` to `current`, oldest first.
    unsynced: Vec<Change>,
    /// How often the power was cut. Files opened before are dead.
    crashes: u64,
    operations: u64,
    fault: Fault,
    /// Bytes that can still be written; `None`: any number.
    bytes_left: Option<u64>,
}

enum Fault {
    None,
    /// So many operations still succeed.
    After(u64),
    Failing,
}

type Tree = BTreeMap<PathBuf, Entry>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Directory,
    File(usize),
}

/// Names set or removed by one operation: all of them survive, or none.
#[derive(Clone)]
struct Change(Vec<(PathBuf, Option<Entry>)>);

/// A file's content, whatever its names.
#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    /// So many of `bytes` survive.
    durable_bytes: usize,
}

impl LossyFileSystem {
    /// Over `root`, an existing folder. What is in it is durable.
    pub(crate) fn new(root: &Path) -> io::Result<LossyFileSystem> {
        let root = root.canonicalize()?;
        let mut disk = Disk {
            root: root.clone(),
            inodes: Vec::new(),
            current: Tree::new(),
            durable: Tree::new(),
            unsynced: Vec::new(),
            crashes: 0,
            operations: 0,
            fault: Fault::None,
            bytes_left: None,
        };
        disk.load(&root, &mut HashMap::new())?;
        disk.durable = disk.current.clone();
        Ok(LossyFileSystem { disk: Arc::new(Mutex::new(disk)) })
    }

    /// Cuts the power: only what was synced survives. Faults are healed, files opened before are dead.
    pub(crate) fn crash(&self) -> io::Result<()> {
        self.lock().crash(None)
    }

    /// Cuts the power, but as on a real disk some of what was not synced made it: each change of names by the toss of
    /// a coin, and of each file's unsynced bytes any number of the first ones, with zeros for the rest or no rest.
    pub(crate) fn crash_with(&self, seed: u64) -> io::Result<()> {
        self.lock().crash(Some(Random(seed)))
    }

    /// Lets `operations` more succeed; then every one fails until [`LossyFileSystem::heal`]. The first to fail writes
    /// half of its bytes if it is a write; others do nothing.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.lock().fault = Fault::After(operations);
    }

    /// Lets `bytes` more be written; then the disk is full until [`LossyFileSystem::heal`].
    pub(crate) fn no_space_after(&self, bytes: u64) {
        self.lock().bytes_left = Some(bytes);
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.lock().heal();
    }

    /// Operations so far, failed ones included: what [`LossyFileSystem::fail_after`] counts.
    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    fn open(&self, inode: usize, crashes: u64, real: Box<dyn File>) -> Box<dyn File> {
        Box::new(LossyFile { disk: self.disk.clone(), inode, crashes, real })
    }
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for LossyFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LossyFileSystem({})", self.lock().root.display())
    }
}

impl FileSystem for LossyFileSystem {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.create_new(path) };
        disk.operate()?;
        let real = OsFileSystem.create_new(path)?;
        let inode = disk.add_inode(Inode::default());
        disk.change(vec![(name, Some(Entry::File(inode)))]);
        Ok(self.open(inode, disk.crashes, real))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.open_append(path) };
        disk.operate()?;
        let real = OsFileSystem.open_append(path)?;
        let inode = disk.file(&name)?;
        Ok(self.open(inode, disk.crashes, real))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.truncate(path, length) };
        disk.operate()?;
        let inode = disk.file(&name)?;
        fs::OpenOptions::new().write(true).open(path)?.set_len(length)?;
        let inode = &mut disk.inodes[inode];
        inode.bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        inode.durable_bytes = inode.bytes.len();
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.create_dir_all(path) };
        disk.operate()?;
        OsFileSystem.create_dir_all(path)?;
        let mut missing: Vec<&Path> = name.ancestors().filter(|dir| !dir.as_os_str().is_empty()).collect();
        missing.retain(|dir| !disk.current.contains_key(*dir));
        for dir in missing.into_iter().rev() {
            disk.change(vec![(dir.to_path_buf(), Some(Entry::Directory))]);
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        let (Some(old), Some(new)) = (disk.name(from), disk.name(to)) else {
            return OsFileSystem.hard_link(from, to);
        };
        disk.operate()?;
        let inode = disk.file(&old)?;
        OsFileSystem.hard_link(from, to)?;
        disk.change(vec![(new, Some(Entry::File(inode)))]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        let (Some(old), Some(new)) = (disk.name(from), disk.name(to)) else { return OsFileSystem.rename(from, to) };
        disk.operate()?;
        let inode = disk.file(&old)?;
        OsFileSystem.rename(from, to)?;
        // Between two names of one file, a rename does nothing.
        if disk.current.get(&new) != Some(&Entry::File(inode)) {
            disk.change(vec![(old, None), (new, Some(Entry::File(inode)))]);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.remove_file(path) };
        disk.operate()?;
        OsFileSystem.remove_file(path)?;
        disk.change(vec![(name, None)]);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock();
        let Some(name) = disk.name(path) else { return OsFileSystem.sync_dir(path) };
        disk.operate()?;
        fs::read_dir(path)?;
        disk.sync_entries(&name);
        Ok(())
    }
}

struct LossyFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
    /// When it was opened.
    crashes: u64,
    real: Box<dyn File>,
}

impl fmt::Debug for LossyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LossyFile({})", self.inode)
    }
}

impl File for LossyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.check_alive(self.crashes)?;
        let breaks_now = matches!(disk.fault, Fault::After(0));
        let (fits, outcome) = match disk.operate() {
            Err(e) if breaks_now => (bytes.len() / 2, Err(e)),
            Err(e) => (0, Err(e)),
            Ok(()) => disk.take_space(bytes.len()),
        };
        self.real.write_all(&bytes[..fits])?;
        disk.inodes[self.inode].bytes.extend_from_slice(&bytes[..fits]);
        outcome
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.check_alive(self.crashes)?;
        disk.operate()?;
        let inode = &mut disk.inodes[self.inode];
        inode.durable_bytes = inode.bytes.len();
        Ok(())
    }
}

impl Disk {
    /// The name by which we know `path`; `None` if it lies outside.
    fn name(&self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        // The last part may be missing, or, for a new directory, several.
        let mut missing = Vec::new();
        let mut known = path.as_path();
        let known = loop {
            missing.push(known.file_name()?);
            known = known.parent()?;
            if let Ok(known) = known.canonicalize() {
                break known;
            }
        };
        let path = missing.iter().rev().fold(known, |path, part| path.join(part));
        path.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match &mut self.fault {
            Fault::None => return Ok(()),
            Fault::After(0) => self.fault = Fault::Failing,
            Fault::After(left) => {
                *left -= 1;
                return Ok(());
            }
            Fault::Failing => {}
        }
        Err(io::Error::other("the disk was told to fail"))
    }

    fn take_space(&mut self, bytes: usize) -> (usize, io::Result<()>) {
        let Some(left) = &mut self.bytes_left else { return (bytes, Ok(())) };
        let fits = bytes.min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= fits as u64;
        let outcome = if fits == bytes { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
        (fits, outcome)
    }

    fn heal(&mut self) {
        self.fault = Fault::None;
        self.bytes_left = None;
    }

    fn check_alive(&self, crashes: u64) -> io::Result<()> {
        if crashes == self.crashes { Ok(()) } else { Err(io::Error::other("the file was open when the power went")) }
    }

    fn add_inode(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    /// The file called `name`. One that was made behind our back is adopted, with nothing synced.
    fn file(&mut self, name: &Path) -> io::Result<usize> {
        match self.current.get(name) {
            Some(Entry::File(inode)) => Ok(*inode),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => {
                let bytes = fs::read(self.root.join(name))?;
                let inode = self.add_inode(Inode { bytes, durable_bytes: 0 });
                self.change(vec![(name.to_path_buf(), Some(Entry::File(inode)))]);
                Ok(inode)
            }
        }
    }

    fn change(&mut self, names: Vec<(PathBuf, Option<Entry>)>) {
        let change = Change(names);
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    /// Makes the entries of `directory` durable: every change of one of its names, and each earlier change of a name
    /// that such a change has to do with.
    fn sync_entries(&mut self, directory: &Path) {
        let mut names = BTreeSet::new();
        let mut synced = vec![false; self.unsynced.len()];
        for (at, Change(change)) in self.unsynced.iter().enumerate().rev() {
            if change.iter().any(|(name, _)| name.parent() == Some(directory) || names.contains(name)) {
                names.extend(change.iter().map(|(name, _)| name.clone()));
                synced[at] = true;
            }
        }
        let mut synced = synced.into_iter();
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            let is_synced = synced.next().unwrap_or_default();
            if is_synced {
                change.apply(durable);
            }
            !is_synced
        });
    }

    fn crash(&mut self, mut random: Option<Random>) -> io::Result<()> {
        let mut tree = std::mem::take(&mut self.durable);
        for change in std::mem::take(&mut self.unsynced) {
            if random.as_mut().is_some_and(|random| random.below(2) == 1) {
                change.apply(&mut tree);
            }
        }
        // A name goes with any directory above it.
        let is_dir = |dir: &Path| dir.as_os_str().is_empty() || tree.get(dir) == Some(&Entry::Directory);
        let lost: Vec<PathBuf> = tree.keys().filter(|n| !n.ancestors().skip(1).all(is_dir)).cloned().collect();
        tree.retain(|name, _| !lost.contains(name));

        for inode in &mut self.inodes {
            let length = inode.bytes.len();
            let durable = inode.durable_bytes.min(length);
            let (kept, zeros) = match &mut random {
                None => (durable, false),
                Some(random) => (durable + random.below(length - durable + 1), random.below(2) == 1),
            };
            inode.bytes.truncate(kept);
            if zeros {
                inode.bytes.resize(length, 0);
            }
            inode.durable_bytes = inode.bytes.len();
        }
        self.heal();
        self.crashes += 1;
        self.current = tree.clone();
        self.durable = tree;
        self.rewrite()
    }

    /// Makes the real folder equal to `current`.
    fn rewrite(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        let mut written: HashMap<usize, PathBuf> = HashMap::new();
        // In order of names, so a directory comes before what is in it.
        for (name, entry) in &self.current {
            let path = self.root.join(name);
            match entry {
                Entry::Directory => fs::create_dir(path)?,
                Entry::File(inode) => match written.get(inode) {
                    Some(other) => fs::hard_link(other, path)?,
                    None => {
                        fs::write(&path, &self.inodes[*inode].bytes)?;
                        written.insert(*inode, path);
                    }
                },
            }
        }
        Ok(())
    }

    /// Takes over what is in `directory`.
    fn load(&mut self, directory: &Path, known: &mut HashMap<u64, usize>) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let name = path.strip_prefix(&self.root).map_err(io::Error::other)?.to_path_buf();
            if entry.file_type()?.is_dir() {
                self.current.insert(name, Entry::Directory);
                self.load(&path, known)?;
                continue;
            }
            let number = entry.metadata()?.ino();
            let inode = match known.get(&number) {
                Some(inode) => *inode,
                None => {
                    let bytes = fs::read(&path)?;
                    let durable_bytes = bytes.len();
                    self.add_inode(Inode { bytes, durable_bytes })
                }
            };
            known.insert(number, inode);
            self.current.insert(name, Entry::File(inode));
        }
        Ok(())
    }
}

impl Change {
    fn apply(&self, tree: &mut Tree) {
        for (name, entry) in &self.0 {
            match entry {
                Some(entry) => tree.insert(name.clone(), *entry),
                None => tree.remove(name),
            };
        }
    }
}

/// A small generator of numbers (SplitMix64): the same seed crashes in the same way for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        fs: LossyFileSystem,
    }

    impl Fixture {
        fn new() -> Fixture {
            let folder = tempfile::tempdir().unwrap();
            let fs = LossyFileSystem::new(folder.path()).unwrap();
            Fixture { folder, fs }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// Creates a file with `synced` and then `unsynced` bytes in it.
        fn write(&self, name: &str, synced: &[u8], unsynced: &[u8]) -> Box<dyn File> {
            let mut file = self.fs.create_new(&self.path(name)).unwrap();
            file.write_all(synced).unwrap();
            file.sync().unwrap();
            file.write_all(unsynced).unwrap();
            file
        }

        fn sync_dir(&self, name: &str) {
            self.fs.sync_dir(&self.path(name)).unwrap();
        }

        /// Every file with its content, sorted.
        fn files(&self) -> Vec<(String, String)> {
            let mut found = Vec::new();
            let mut folders = vec![self.folder.path().to_path_buf()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else {
                        let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
                        found.push((name, String::from_utf8(fs::read(path).unwrap()).unwrap()));
                    }
                }
            }
            found.sort();
            found
        }

        fn check(&self, expected: &[(&str, &str)]) {
            let expected: Vec<_> = expected.iter().map(|(n, c)| (n.to_string(), c.to_string())).collect();
            assert_eq!(self.files(), expected);
        }
    }

    #[test]
    fn unsynced_bytes_and_names_are_lost() {
        let disk = Fixture::new();
        disk.write("a", b"kept", b"lost");
        disk.sync_dir("");
        disk.write("b", b"no name", b"");
        disk.check(&[("a", "keptlost"), ("b", "no name")]);
        disk.fs.crash().unwrap();
        disk.check(&[("a", "kept")]);
    }

    #[test]
    fn a_file_goes_with_its_directory() {
        let disk = Fixture::new();
        disk.fs.create_dir_all(&disk.path("d/e")).unwrap();
        disk.write("d/e/f", b"x", b"");
        disk.sync_dir("d/e");
        disk.sync_dir("d");
        disk.fs.create_dir_all(&disk.path("g")).unwrap();
        disk.fs.crash().unwrap();
        disk.check(&[]);
        assert!(!disk.path("d").exists() && !disk.path("g").exists());
    }

    #[test]
    fn unsynced_removals_and_renames_are_undone() {
        let disk = Fixture::new();
        disk.write("a", b"a", b"");
        disk.write("b", b"b", b"");
        disk.sync_dir("");
        disk.fs.remove_file(&disk.path("a")).unwrap();
        disk.fs.rename(&disk.path("b"), &disk.path("c")).unwrap();
        disk.check(&[("c", "b")]);
        disk.fs.crash().unwrap();
        disk.check(&[("a", "a"), ("b", "b")]);
        disk.fs.rename(&disk.path("b"), &disk.path("a")).unwrap();
        disk.sync_dir("");
        disk.fs.crash().unwrap();
        disk.check(&[("a", "b")]);
    }

    #[test]
    fn a_rename_between_directories_is_one_change() {
        let disk = Fixture::new();
        for dir in ["from", "to"] {
            disk.fs.create_dir_all(&disk.path(dir)).unwrap();
        }
        disk.sync_dir("");
        disk.write("from/x", b"x", b"");
        disk.fs.rename(&disk.path("from/x"), &disk.path("to/x")).unwrap();
        disk.sync_dir("to");
        disk.fs.crash().unwrap();
        disk.check(&[("to/x", "x")]);
    }

    #[test]
    fn two_names_are_one_file() {
        let disk = Fixture::new();
        let mut file = disk.write("a", b"1", b"");
        disk.fs.hard_link(&disk.path("a"), &disk.path("b")).unwrap();
        let taken = disk.fs.hard_link(&disk.path("a"), &disk.path("b")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        disk.sync_dir("");
        disk.fs.remove_file(&disk.path("a")).unwrap();
        disk.sync_dir("");
        file.write_all(b"2").unwrap();
        file.sync().unwrap();
        disk.fs.crash().unwrap();
        disk.check(&[("b", "12")]);
    }

    #[test]
    fn appending_and_cutting_go_on_after_a_crash() {
        let disk = Fixture::new();
        disk.write("a", b"12345", b"");
        disk.sync_dir("");
        disk.fs.crash().unwrap();
        disk.fs.truncate(&disk.path("a"), 2).unwrap();
        let mut file = disk.fs.open_append(&disk.path("a")).unwrap();
        file.write_all(b"67").unwrap();
        disk.check(&[("a", "1267")]);
        disk.fs.crash().unwrap();
        disk.check(&[("a", "12")]);
        assert!(file.write_all(b"x").is_err(), "a file opened before the crash is dead");
        let again = LossyFileSystem::new(disk.folder.path()).unwrap();
        again.crash().unwrap();
        disk.check(&[("a", "12")]);
    }

    #[test]
    fn what_was_not_synced_may_survive_in_part() {
        let (mut torn, mut zeros, mut whole, mut nameless) = (false, false, false, false);
        for seed in 0..64 {
            let disk = Fixture::new();
            disk.write("a", b"kept", b"tail");
            disk.sync_dir("");
            disk.write("b", b"", b"");
            disk.fs.crash_with(seed).unwrap();
            let files = disk.files();
            let content = &files[0].1;
            let tail = content.strip_prefix("kept").unwrap();
            assert!("tail".starts_with(tail.trim_end_matches('\0')), "{content:?}");
            whole |= tail == "tail";
            torn |= tail == "ta";
            zeros |= tail == "ta\0\0";
            nameless |= files.len() == 1;
        }
        assert!(torn && zeros && whole && nameless);
    }

    #[test]
    fn it_fails_when_told_to() {
        let disk = Fixture::new();
        let mut file = disk.fs.create_new(&disk.path("a")).unwrap();
        let before = disk.fs.operations();
        disk.fs.fail_after(1);
        file.write_all(b"whole").unwrap();
        assert!(file.write_all(b"half").is_err());
        assert!(file.write_all(b"none").is_err());
        assert!(disk.fs.sync_dir(disk.folder.path()).is_err());
        disk.check(&[("a", "wholeha")]);
        assert_eq!(disk.fs.operations() - before, 4);
        disk.fs.heal();
        disk.fs.no_space_after(3);
        assert_eq!(file.write_all(b"1234").unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.check(&[("a", "wholeha123")]);
        disk.fs.heal();
        file.write_all(b"!").unwrap();
        disk.check(&[("a", "wholeha123!")]);
    }
}
