//! A file that is being written: whole under its name, or not there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::connection::Connection;
use super::location::Location;
use super::{Exchange, ExchangeError, failed};

/// Bytes of a part of an upload: ten thousand of them are as much as a bucket takes.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts under way at once.
const PARTS_AT_ONCE: usize = 4;

/// Takes the bytes of a file in their order. What was not finished is taken back when this is dropped.
#[derive(Debug)]
pub struct Sink {
    url: String,
    to: To,
}

#[derive(Debug)]
enum To {
    File(Part),
    Object(Upload),
}

/// An object that is written: in one request if it is small, else in parts.
#[derive(Debug)]
struct Upload {
    store: Arc<dyn ObjectStore>,
    key: Path,
    buffer: BytesMut,
    parts: Option<Box<dyn MultipartUpload>>,
    under_way: JoinSet<object_store::Result<()>>,
    runtime: tokio::runtime::Handle,
}

/// A file under a name that nobody looks for.
#[derive(Debug)]
struct Part {
    file: Arc<std::fs::File>,
    part: PathBuf,
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // Gone already once it has its name.
        let _ = std::fs::remove_file(&self.part);
    }
}

impl Exchange {
    /// Begins a file at `url`: there if the URL's last part has this ending, else in the folder that the URL is, under a name
    /// of its own. A file that exists is never replaced.
    pub async fn create(
        self: &Arc<Self>,
        url: &str,
        connection: &Connection,
        ending: &str,
    ) -> Result<Sink, ExchangeError> {
        let (fence, text, connection, ending) = (self.clone(), url.to_string(), connection.clone(), ending.to_string());
        let begin = move || {
            let (mut location, _) = fence.locate(&text)?;
            let is_file = location.file_name().is_some_and(|name| name.to_ascii_lowercase().ends_with(&ending));
            if !is_file || text.ends_with('/') {
                location = location.child(&format!("{}{ending}", Uuid::new_v4()));
            }
            let url = location.to_string();
            match &location {
                Location::File(path) => {
                    connection.check_empty("a folder")?;
                    let path = fence.real_path(path, &url)?;
                    Ok((None, Some(Part::begin(&fence, path, &url)?), url))
                }
                Location::Object { key, .. } => {
                    // The folder may be allowed and the file in it be the gateway's own.
                    fence.locate(&url)?;
                    Ok((Some((fence.open(&location, &connection, &url)?, key.clone())), None, url))
                }
            }
        };
        let begun = tokio::task::spawn_blocking(begin).await.map_err(|error| failed(url, error))?;
        let (object, part, url) = begun?;
        let to = match (object, part) {
            (Some((store, key)), _) => {
                match store.head(&key).await {
                    Err(Error::NotFound { .. }) => {}
                    Ok(_) => return Err(ExchangeError::Exists { url }),
                    Err(error) => return Err(failed(&url, error)),
                }
                return Ok(Sink::into_object(store, key, &url));
            }
            (None, Some(part)) => To::File(part),
            (None, None) => return Err(failed(&url, "nothing was begun")),
        };
        Ok(Sink { url, to })
    }
}

impl Part {
    /// Blocks.
    fn begin(fence: &Exchange, path: PathBuf, url: &str) -> Result<Part, ExchangeError> {
        let refused = |error: io::Error| failed(url, error.kind());
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(url, "it has no name"));
        };
        std::fs::create_dir_all(folder).map_err(refused)?;
        // Folders that were made by others meanwhile.
        if fence.real_path(&path, url)? != path {
            return Err(ExchangeError::Outside { url: url.to_string() });
        }
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(ExchangeError::Exists { url: url.to_string() });
        }
        let part = folder.join(format!(".{}.{}.part", name.to_string_lossy(), Uuid::new_v4()));
        let file = OpenOptions::new().write(true).create_new(true).open(&part).map_err(refused)?;
        Ok(Part { file: Arc::new(file), part, path })
    }

    /// Gives the file its name, durably. Blocks.
    fn finish(&self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::hard_link(&self.part, &self.path)?;
        std::fs::remove_file(&self.part)?;
        let folder = self.path.parent().unwrap_or(FilePath::new("/"));
        std::fs::File::open(folder)?.sync_all()
    }
}

impl Sink {
    pub(super) fn into_object(store: Arc<dyn ObjectStore>, key: Path, url: &str) -> Sink {
        let upload = Upload {
            store,
            key,
            buffer: BytesMut::new(),
            parts: None,
            under_way: JoinSet::new(),
            runtime: tokio::runtime::Handle::current(),
        };
        Sink { url: url.to_string(), to: To::Object(upload) }
    }

    /// Where the file will be.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ExchangeError> {
        match &mut self.to {
            To::File(part) => {
                let file = part.file.clone();
                let written = tokio::task::spawn_blocking(move || (&*file).write_all(&bytes)).await;
                let written = written.map_err(|error| failed(&self.url, error))?;
                written.map_err(|error| failed(&self.url, error.kind()))
            }
            To::Object(upload) => upload.write(bytes).await.map_err(|error| failed(&self.url, said(&error))),
        }
    }

    /// Makes the file appear, whole; durable on `Ok`.
    pub async fn finish(mut self) -> Result<(), ExchangeError> {
        let url = self.url.clone();
        match &mut self.to {
            To::Object(upload) => match upload.finish().await {
                Err(Error::AlreadyExists { .. }) => Err(ExchangeError::Exists { url }),
                done => done.map_err(|error| failed(&url, said(&error))),
            },
            To::File(_) => {
                let finish = move || match &self.to {
                    To::File(part) => part.finish(),
                    To::Object(_) => Ok(()),
                };
                match tokio::task::spawn_blocking(finish).await.map_err(|error| failed(&url, error))? {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(ExchangeError::Exists { url }),
                    done => done.map_err(|error| failed(&url, error.kind())),
                }
            }
        }
    }
}

/// An upload's error, whose text may hold what the store says about credentials.
fn said(error: &Error) -> &'static str {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "the store refuses the credentials",
        _ => "the store does not take it",
    }
}

impl Upload {
    async fn write(&mut self, bytes: Bytes) -> object_store::Result<()> {
        self.buffer.extend_from_slice(&bytes);
        while self.buffer.len() >= PART_BYTES {
            self.wait_for(PARTS_AT_ONCE - 1).await?;
            let part = self.buffer.split_to(PART_BYTES).freeze();
            self.put_part(part).await?;
        }
        Ok(())
    }

    /// Waits until no more than so many parts are under way.
    async fn wait_for(&mut self, at_most: usize) -> object_store::Result<()> {
        while self.under_way.len() > at_most {
            if let Some(part) = self.under_way.join_next().await {
                part??;
            }
        }
        Ok(())
    }

    async fn put_part(&mut self, part: Bytes) -> object_store::Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(self.store.put_multipart(&self.key).await?),
        };
        self.under_way.spawn(parts.put_part(part.into()));
        Ok(())
    }

    async fn finish(&mut self) -> object_store::Result<()> {
        let rest = self.buffer.split().freeze();
        if self.parts.is_none() {
            let only_new = PutOptions::from(PutMode::Create);
            return self.store.put_opts(&self.key, rest.into(), only_new).await.map(|_| ());
        }
        if !rest.is_empty() {
            self.put_part(rest).await?;
        }
        self.wait_for(0).await?;
        if let Some(parts) = &mut self.parts {
            parts.complete().await?;
        }
        self.parts = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            self.under_way.abort_all();
            // They would stay, and cost, where nobody sees them.
            self.runtime.spawn(async move { parts.abort().await });
        }
    }
}
