//! Places beside the gateway's store: files that statements read and write by their URL.
//!
//! Owns: the fence, which says what of all files and buckets may be reached. Does not own: what is in the files.
//!
//! A location is allowed if it lies below one of the prefixes of the settings, and not in what is the gateway's own (its
//! store, its log, its secrets). Folders of this machine are looked at after symbolic links are resolved, and each file
//! again when it is opened. Who may put links into such a folder between that look and the opening is trusted.

mod connection;
mod fenced;
mod find;
mod location;
mod sink;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use super::fs::OsFileSystem;
use super::open::{Cloud, StoreError, StoreOptions, StoreUrl, open_store};
use crate::model::{Classify, Kind};

pub use connection::Connection;
use fenced::FencedStore;
pub use find::{FILES_MAX, Found};
use location::Location;
pub use sink::Sink;

/// Where files may be read from and written to.
#[derive(Debug, Default)]
pub struct Exchange {
    prefixes: Vec<Location>,
    own: Own,
    options: StoreOptions,
}

/// What is the gateway's own and is never reached, whatever the prefixes say.
#[derive(Debug, Default, Clone)]
pub struct Own {
    pub store: Option<StoreUrl>,
    /// Folders with all that is in them, and files.
    pub paths: Vec<PathBuf>,
}

/// Why a location cannot be used. Texts show no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    #[error(
        "{url:?} is no location: {problem}; expected file:///folder, s3://bucket/key, gs://bucket/key or az://container/key"
    )]
    Location { url: String, problem: &'static str },
    #[error("COPY and external tables are off: `cnosdb.copy_prefixes` names no location")]
    Off,
    #[error("{url:?} is not below a location of `cnosdb.copy_prefixes`")]
    Outside { url: String },
    #[error("{url:?} is the gateway's own and cannot be read or written")]
    Own { url: String },
    #[error("there is no file to read at {url:?}")]
    Missing { url: String },
    #[error("there is a file at {url:?} already")]
    Exists { url: String },
    #[error("there are more than {FILES_MAX} files at {url:?}")]
    TooMany { url: String },
    #[error("CONNECTION: {0}")]
    Connection(String),
    #[error("{url:?} cannot be used: {message}")]
    Failed { url: String, message: String },
}

impl Classify for ExchangeError {
    fn kind(&self) -> Kind {
        match self {
            ExchangeError::Location { .. } | ExchangeError::Connection(_) => Kind::Invalid,
            ExchangeError::Off | ExchangeError::Outside { .. } | ExchangeError::Own { .. } => Kind::Forbidden,
            ExchangeError::Missing { .. } => Kind::NotFound,
            ExchangeError::Exists { .. } => Kind::Conflict,
            ExchangeError::TooMany { .. } => Kind::TooLarge,
            ExchangeError::Failed { .. } => Kind::Unavailable,
        }
    }
}

/// Why something is behind the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barred {
    Outside,
    Own,
}

impl Barred {
    fn error(self, url: &str) -> ExchangeError {
        let url = url.to_string();
        match self {
            Barred::Outside => ExchangeError::Outside { url },
            Barred::Own => ExchangeError::Own { url },
        }
    }
}

impl Exchange {
    /// `prefixes`: the setting, as absolute URLs. `options`: how buckets are reached and where credentials are found.
    pub fn new(prefixes: &[String], own: Own, options: StoreOptions) -> Result<Exchange, ExchangeError> {
        let prefixes = prefixes.iter().map(|url| Location::parse(url)).collect::<Result<_, _>>()?;
        Ok(Exchange { prefixes, own, options })
    }

    /// Refuses every location while the setting names none.
    pub fn is_on(&self) -> Result<(), ExchangeError> {
        if self.prefixes.is_empty() { Err(ExchangeError::Off) } else { Ok(()) }
    }

    /// Refuses a location that may not be reached, whether there is something or not.
    pub async fn check(self: &Arc<Self>, url: &str) -> Result<(), ExchangeError> {
        let (fence, text) = (self.clone(), url.to_string());
        let look = move || {
            let (location, url) = fence.locate(&text)?;
            match &location {
                Location::File(path) => fence.real_path(path, &url).map(|_| ()),
                Location::Object { .. } => Ok(()),
            }
        };
        tokio::task::spawn_blocking(look).await.map_err(|error| failed(url, error))?
    }

    /// Reads a URL and refuses it if it lies outside; links are not looked at yet. `url` comes back as it may be shown.
    fn locate(&self, text: &str) -> Result<(Location, String), ExchangeError> {
        self.is_on()?;
        let location = Location::parse(text)?;
        let url = location.to_string();
        let barred = match &location {
            Location::File(path) => {
                let prefixes: Vec<&PathBuf> = self.folders().collect();
                let real = prefixes.iter().filter_map(|prefix| std::fs::canonicalize(prefix).ok());
                let below = prefixes.iter().any(|prefix| path.starts_with(prefix))
                    || real.collect::<Vec<_>>().iter().any(|prefix| path.starts_with(prefix));
                if below { Ok(()) } else { Err(Barred::Outside) }
            }
            Location::Object { cloud, bucket, key } => self.check_key(*cloud, bucket, key),
        };
        barred.map_err(|barred| barred.error(&url))?;
        Ok((location, url))
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.prefixes.iter().filter_map(|prefix| match prefix {
            Location::File(path) => Some(path),
            Location::Object { .. } => None,
        })
    }

    /// Whether an object may be reached.
    fn check_key(&self, cloud: Cloud, bucket: &str, key: &Path) -> Result<(), Barred> {
        let below = |prefix: &Location| match prefix {
            Location::Object { cloud: of, bucket: name, key: prefix } => {
                *of == cloud && name == bucket && key.prefix_matches(prefix)
            }
            Location::File(_) => false,
        };
        if !self.prefixes.iter().any(below) {
            return Err(Barred::Outside);
        }
        match &self.own.store {
            Some(StoreUrl::Bucket { cloud: of, bucket: name, prefix })
                if *of == cloud && name == bucket && key.prefix_matches(prefix) =>
            {
                Err(Barred::Own)
            }
            _ => Ok(()),
        }
    }

    /// Whether a path without links may be reached. Blocks.
    fn check_real(&self, real: &FilePath) -> Result<(), Barred> {
        let below = |folder: &PathBuf| resolved(folder).is_ok_and(|folder| real.starts_with(folder));
        if !self.folders().any(below) {
            return Err(Barred::Outside);
        }
        let store = match &self.own.store {
            Some(StoreUrl::Folder(folder)) => Some(folder),
            _ => None,
        };
        if self.own.paths.iter().chain(store).any(below) { Err(Barred::Own) } else { Ok(()) }
    }

    /// The file that a path leads to, if it may be reached. Blocks.
    fn real_path(&self, path: &FilePath, url: &str) -> Result<PathBuf, ExchangeError> {
        let failed = |error: io::Error| failed(url, error.kind());
        let real = resolved(path).map_err(failed)?;
        self.check_real(&real).map_err(|barred| barred.error(url))?;
        Ok(real)
    }

    /// A store that reaches what this fence allows at `location` and no more. No request is made. Blocks.
    fn open(
        self: &Arc<Self>,
        location: &Location,
        connection: &Connection,
        url: &str,
    ) -> Result<Arc<dyn ObjectStore>, ExchangeError> {
        let fence = self.clone();
        match location {
            Location::File(_) => {
                connection.check_empty("a folder")?;
                let store = FencedStore::of_files(LocalFileSystem::new(), fence);
                Ok(Arc::new(store))
            }
            Location::Object { cloud, bucket, .. } => {
                let options = connection.applied_to(&self.options, *cloud)?;
                let of = StoreUrl::Bucket { cloud: *cloud, bucket: bucket.clone(), prefix: Path::default() };
                let opened = open_store(&of, &options, Arc::new(OsFileSystem));
                let store = opened.map_err(|error| refused_store(url, connection, &error))?;
                let secrets = connection.secrets();
                Ok(Arc::new(FencedStore::of_bucket(store, fence, (*cloud, bucket.clone()), secrets)))
            }
        }
    }
}

fn refused_store(url: &str, connection: &Connection, error: &StoreError) -> ExchangeError {
    ExchangeError::Failed { url: url.to_string(), message: connection.without_secrets(error.to_string()) }
}

fn failed(url: &str, message: impl ToString) -> ExchangeError {
    ExchangeError::Failed { url: url.to_string(), message: message.to_string() }
}

/// `path` with all links resolved; what does not exist yet comes after what does. A link that leads nowhere is an error.
fn resolved(path: &FilePath) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut known = path;
    loop {
        match std::fs::symlink_metadata(known) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (known.parent(), known.file_name()) else { return Err(error) };
                missing.push(name);
                known = parent;
            }
            Err(error) => return Err(error),
        }
    }
    let mut real = std::fs::canonicalize(known)?;
    real.extend(missing.into_iter().rev());
    Ok(real)
}
