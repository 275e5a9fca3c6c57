//! The few file operations that durability hangs on, behind a trait so that a test can lose what was not synced.
//!
//! Owns: what "on disk" means. A file's bytes are durable after [`File::sync`]; a name (a created, linked, renamed or
//! removed entry, a new directory) is durable after [`FileSystem::sync_dir`] of the directory that holds it.
//! Reading is not part of it: readers use `std::fs`.

use std::fmt::Debug;
use std::io;
use std::path::Path;

/// Operations that change a disk. All of them block.
pub trait FileSystem: Debug + Send + Sync + 'static {
    /// Creates `path` for writing; `AlreadyExists` if there is such a file.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens an existing file for writing at its end.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Cuts an existing file to `length` bytes and syncs it.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;
    /// Creates the directory `path` and its missing parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Gives the file at `from` the second name `to`; `AlreadyExists` if `to` is taken.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file, replacing what is at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Makes the entries of directory `path` durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file open for writing.
pub trait File: Debug + Send + 'static {
    /// Appends all of `bytes`. After an error, how much was written is unknown.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was written durable (fdatasync: content and length).
    fn sync(&mut self) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(std::fs::OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(std::fs::OpenOptions::new().append(true).open(path)?))
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }
}

impl File for std::fs::File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Creates directory `path` durably: its entry and that of every directory above it are synced, also of those that
/// exist (an earlier process may have died between making and syncing them).
pub fn create_dir_durably(fs: &dyn FileSystem, path: &Path) -> io::Result<()> {
    fs.create_dir_all(path)?;
    for dir in path.ancestors().skip(1) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        match fs.sync_dir(dir) {
            // What we may not open we did not make either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}
