//! Objects in a folder, durable: what a put returned `Ok` for survives a power loss, whole.
//!
//! Owns: how an object comes to be on disk, and when it may be called so. Does not own: reading, listing and the
//! mapping of keys to files, which are [`LocalFileSystem`]'s own.
//!
//! A put writes a staging file, syncs it, gives it its final name with a hard link (which fails when the name is
//! taken) or a rename (which replaces), and syncs the directories down to that name. So a final name never shows half
//! an object. Staging files lie in one folder, `.staging`, under names that listings hide; those that a crash left
//! behind are removed at the next opening. Two processes may share a folder: a put whose staging file another one's
//! opening removed is written again.
//!
//! Deletes are not synced: after a power loss a deleted object may be back. Nobody reads what is not referenced, and
//! what is not referenced is collected again. Emptied directories stay.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use uuid::Uuid;

use super::fs::{File, FileSystem, create_dir_durably};

/// Folder of the staging files, in the root.
const STAGING: &str = ".staging";
/// A put is tried again when what it built on vanished: staging files by another opening, directories by a person.
const TRIES_MAX: usize = 3;
/// Most directories remembered as durable; forgetting one costs a sync.
const DURABLE_DIRECTORIES_MAX: usize = 100_000;
/// Deletes under way at a time in one stream.
const DELETES_AT_ONCE: usize = 8;

/// An object store over one folder. See the module for what it promises.
#[derive(Debug)]
pub struct DurableLocal {
    reader: LocalFileSystem,
    disk: Arc<Disk>,
}

/// The blocking half: what writes.
#[derive(Debug)]
struct Disk {
    root: PathBuf,
    staging: PathBuf,
    fs: Arc<dyn FileSystem>,
    /// Directories whose whole path down from the root has been synced by us. That one exists proves nothing: another
    /// put may have made it and not synced it yet.
    durable: Mutex<HashSet<PathBuf>>,
}

/// How a finished file gets its name.
#[derive(Debug, Clone, Copy)]
enum Publish {
    /// Fails if there is such an object.
    Create,
    Overwrite,
}

impl DurableLocal {
    /// Opens the store in `folder`, which is created if missing, and removes what a crash left half-written. Blocks.
    pub fn open(folder: &FilePath, fs: Arc<dyn FileSystem>) -> io::Result<DurableLocal> {
        create_dir_durably(&*fs, folder)?;
        // Resolved first, so that the names are those that the reader uses.
        let root = std::fs::canonicalize(folder)?;
        sync_ancestors(&*fs, &root)?;
        let staging = root.join(STAGING);
        // Nothing is found through the staging folder, so it need not be durable.
        fs.create_dir_all(&staging)?;
        remove_leftovers(&*fs, &staging)?;
        let reader = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?;
        Ok(DurableLocal { reader, disk: Arc::new(Disk { root, staging, fs, durable: Mutex::default() }) })
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Disk) -> Result<T> + Send + 'static,
    {
        blocking(self.disk.clone(), work).await
    }

    fn not_implemented(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_string(), implementer: self.to_string() }
    }
}

async fn blocking<T, F>(disk: Arc<Disk>, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce(&Disk) -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(move || work(&disk)).await?
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableLocal({})", self.disk.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let publish = match options.mode {
            PutMode::Create => Publish::Create,
            PutMode::Overwrite => Publish::Overwrite,
            PutMode::Update(_) => return Err(self.not_implemented("put with PutMode::Update")),
        };
        if !options.attributes.is_empty() {
            return Err(self.not_implemented("put with attributes"));
        }
        let target = self.reader.path_to_filesystem(location)?;
        let key = location.to_string();
        self.blocking(move |disk| disk.put(&target, &payload, publish).map_err(|e| store_error(key, e))).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.not_implemented("put with attributes"));
        }
        let target = self.reader.path_to_filesystem(location)?;
        let key = location.to_string();
        let disk = self.disk.clone();
        self.blocking(move |on| {
            let (staged, file) = on.stage().map_err(|e| store_error(key.clone(), e))?;
            let parts = Parts { file, next: 0, waiting: BTreeMap::new(), failed: false };
            let parts = Arc::new(Mutex::new(parts));
            let upload = Upload { disk, key, target, staged: Some(staged), parts, count: 0 };
            Ok(Box::new(upload) as Box<dyn MultipartUpload>)
        })
        .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reader.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reader.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (reader, disk) = (self.reader.clone(), self.disk.clone());
        let delete = move |location: Result<Path>| {
            let (reader, disk) = (reader.clone(), disk.clone());
            async move {
                let location = location?;
                let target = reader.path_to_filesystem(&location)?;
                let key = location.to_string();
                blocking(disk, move |disk| disk.fs.remove_file(&target).map_err(|e| store_error(key, e))).await?;
                Ok(location)
            }
        };
        locations.map(delete).buffered(DELETES_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reader.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reader.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listing = self.reader.list_with_delimiter(prefix).await?;
        listing.common_prefixes.retain(|folder| folder.as_ref() != STAGING);
        Ok(listing)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let publish = match options.mode {
            CopyMode::Create => Publish::Create,
            CopyMode::Overwrite => Publish::Overwrite,
        };
        let source = self.reader.path_to_filesystem(from)?;
        let target = self.reader.path_to_filesystem(to)?;
        let (from, to) = (from.to_string(), to.to_string());
        self.blocking(move |disk| {
            if !source.is_file() {
                return Err(store_error(from, io::ErrorKind::NotFound.into()));
            }
            disk.copy(&source, &target, publish).map_err(|e| store_error(to, e))
        })
        .await
    }
}

/// What an error of the disk means to users of an object store; `key` is the object concerned.
fn store_error(key: String, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: key, source: source.into() },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: key, source: source.into() },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path: key, source: source.into() },
        _ => Error::Generic { store: "local", source: format!("{key}: {source}").into() },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    fn put(&self, target: &FilePath, payload: &PutPayload, publish: Publish) -> io::Result<PutResult> {
        self.retry_vanished(|| {
            let (staged, file) = self.stage()?;
            let written = write_and_sync(file, payload);
            self.publish_staged(&staged, target, publish, written)
        })?;
        Ok(PutResult { e_tag: None, version: None })
    }

    fn copy(&self, source: &FilePath, target: &FilePath, publish: Publish) -> io::Result<()> {
        // Objects are replaced, never changed: both names may share the bytes.
        self.retry_vanished(|| {
            let staged = self.staging_name();
            let linked = self.fs.hard_link(source, &staged);
            self.publish_staged(&staged, target, publish, linked)
        })
    }

    /// Runs `write`, again if something that it built on was removed meanwhile.
    fn retry_vanished(&self, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut tries = 1;
        loop {
            match write() {
                Err(e) if e.kind() == io::ErrorKind::NotFound && tries < TRIES_MAX => {
                    lock(&self.durable).clear();
                    tries += 1;
                }
                // "Not found" would be read as the object's absence.
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(io::Error::other(e)),
                done => return done,
            }
        }
    }

    /// A name in the staging folder that no one ever used: one used by an earlier process might still be linked from
    /// there by a slow put of that process. All digits after `#`: such files listings hide and keys cannot name.
    fn staging_name(&self) -> PathBuf {
        self.staging.join(format!("#{}", Uuid::new_v4().as_u128()))
    }

    fn stage(&self) -> io::Result<(PathBuf, Box<dyn File>)> {
        let name = self.staging_name();
        match self.fs.create_new(&name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.fs.create_dir_all(&self.staging)?;
                Ok((name.clone(), self.fs.create_new(&name)?))
            }
            opened => Ok((name, opened?)),
        }
    }

    /// Gives the staging file, if it was `written`, the name `target`; returns when that is durable.
    /// The staging file is gone in any case. After an error the object may be there or not, but never in part.
    fn publish_staged(
        &self,
        staged: &FilePath,
        target: &FilePath,
        publish: Publish,
        written: io::Result<()>,
    ) -> io::Result<()> {
        let published = written.and_then(|()| self.publish(staged, target, publish));
        // A rename mostly took the name away already. What cannot be removed now, the next opening removes.
        let _ = self.fs.remove_file(staged);
        published
    }

    fn publish(&self, staged: &FilePath, target: &FilePath, publish: Publish) -> io::Result<()> {
        let directory = target.parent().expect("a key names a file below the root");
        self.make_directory(directory)?;
        let named = match publish {
            Publish::Create => self.fs.hard_link(staged, target),
            Publish::Overwrite => self.fs.rename(staged, target),
        };
        match named {
            // Who is told that the object exists takes it for durable, but its writer may not have come so far.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.fs.sync_dir(directory).and(Err(e)),
            named => named.and_then(|()| self.fs.sync_dir(directory)),
        }
    }

    /// Creates `directory` and makes every name on the way down to it durable.
    fn make_directory(&self, directory: &FilePath) -> io::Result<()> {
        let below = directory.strip_prefix(&self.root).expect("keys name files below the root");
        let mut parent = self.root.clone();
        for part in below {
            let child = parent.join(part);
            if !lock(&self.durable).contains(&child) {
                // An object in the way of a folder is not the object that is asked for.
                self.fs.create_dir_all(&child).map_err(|e| match e.kind() {
                    io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
                    _ => e,
                })?;
                self.fs.sync_dir(&parent)?;
                let mut durable = lock(&self.durable);
                if durable.len() >= DURABLE_DIRECTORIES_MAX {
                    durable.clear();
                }
                durable.insert(child.clone());
            }
            parent = child;
        }
        Ok(())
    }
}

fn write_and_sync(mut file: Box<dyn File>, payload: &PutPayload) -> io::Result<()> {
    for bytes in payload {
        file.write_all(bytes)?;
    }
    file.sync()
}

/// Makes the way to `folder` durable. An earlier process may have made directories on it and been stopped before they
/// were synced. What we may not open, or the file system cannot sync, someone else made.
fn sync_ancestors(fs: &dyn FileSystem, folder: &FilePath) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    for ancestor in folder.ancestors().skip(1) {
        match fs.sync_dir(ancestor) {
            Err(e) if !matches!(e.kind(), PermissionDenied | InvalidInput | Unsupported) => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the staging files in `staging`; other files are not ours.
fn remove_leftovers(fs: &dyn FileSystem, staging: &FilePath) -> io::Result<()> {
    for entry in std::fs::read_dir(staging)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix('#').unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        match fs.remove_file(&path) {
            // Another process opens the same folder.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

/// An object that is written in parts. Like a put that overwrites, once complete.
#[derive(Debug)]
struct Upload {
    disk: Arc<Disk>,
    key: String,
    target: PathBuf,
    /// `None` once completed or aborted.
    staged: Option<PathBuf>,
    parts: Arc<Mutex<Parts>>,
    /// Parts asked for so far.
    count: usize,
}

/// Parts may come in any order, but a file grows at its end.
#[derive(Debug)]
struct Parts {
    file: Box<dyn File>,
    /// The part to be written next.
    next: usize,
    /// Later parts that came early. As many as the caller has under way at a time.
    waiting: BTreeMap<usize, PutPayload>,
    failed: bool,
}

impl Parts {
    fn write(&mut self, number: usize, payload: PutPayload) -> io::Result<()> {
        self.waiting.insert(number, payload);
        while let Some(payload) = self.waiting.remove(&self.next) {
            // How much of a failed part is in the file is unknown: nothing may follow it.
            if self.failed {
                return Err(io::Error::other("an earlier part could not be written"));
            }
            self.failed = true;
            for bytes in &payload {
                self.file.write_all(bytes)?;
            }
            self.failed = false;
            self.next += 1;
        }
        Ok(())
    }

    fn finish(&mut self, count: usize) -> io::Result<()> {
        if self.failed || self.next != count {
            return Err(io::Error::other(format!("{} of {count} parts have been written", self.next)));
        }
        self.file.sync()
    }
}

impl Upload {
    fn take_staged(&mut self) -> Result<PathBuf> {
        let ended = || Error::Generic { store: "local", source: format!("{}: the upload has ended", self.key).into() };
        self.staged.take().ok_or_else(ended)
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let number = self.count;
        self.count += 1;
        let (disk, parts, key) = (self.disk.clone(), self.parts.clone(), self.key.clone());
        Box::pin(blocking(disk, move |_| lock(&parts).write(number, data).map_err(|e| store_error(key, e))))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.take_staged()?;
        let (parts, count) = (self.parts.clone(), self.count);
        let (key, target) = (self.key.clone(), self.target.clone());
        blocking(self.disk.clone(), move |disk| {
            let written = lock(&parts).finish(count);
            let published = disk.publish_staged(&staged, &target, Publish::Overwrite, written);
            // A staging file that vanished is no absent object.
            let published = published.map_err(io::Error::other);
            published.map_err(|e| store_error(key, e)).map(|()| PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.take_staged()?;
        let key = self.key.clone();
        blocking(self.disk.clone(), move |disk| disk.fs.remove_file(&staged).map_err(|e| store_error(key, e))).await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            // One short call, and rarely. The next opening removes what stays.
            let _ = self.disk.fs.remove_file(&staged);
        }
    }
}

#[cfg(test)]
mod tests;
