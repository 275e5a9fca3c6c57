//! The files at a location.

use std::path::Path as FilePath;
use std::sync::Arc;

use chrono::DateTime;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::connection::Connection;
use super::location::Location;
use super::{Exchange, ExchangeError, failed};

/// Files that one location may have.
pub const FILES_MAX: usize = 10_000;
/// How deep folders are looked through.
const DEPTH_MAX: usize = 16;
/// Entries of folders that are looked at for one location.
const ENTRIES_MAX: usize = 100_000;

/// Files, in the order of their names, and the store that they can be read from.
#[derive(Debug, Clone)]
pub struct Found {
    pub store: Arc<dyn ObjectStore>,
    pub files: Vec<ObjectMeta>,
}

impl Exchange {
    /// The file at `url`, or those below it whose names have one of these endings and begin with neither `.` nor `_`.
    pub async fn find(
        self: &Arc<Self>,
        url: &str,
        connection: &Connection,
        endings: &'static [&'static str],
    ) -> Result<Found, ExchangeError> {
        let (fence, text, connection) = (self.clone(), url.to_string(), connection.clone());
        let look = move || {
            let (location, url) = fence.locate(&text)?;
            let store = fence.open(&location, &connection, &url)?;
            let files = match &location {
                Location::File(path) => Some(files_at(&fence, path, &url, endings)?),
                Location::Object { .. } => None,
            };
            Ok::<_, ExchangeError>((location, url, store, files))
        };
        let looked = tokio::task::spawn_blocking(look).await.map_err(|error| failed(url, error))?;
        let (location, url, store, files) = looked?;
        let mut files = match (files, &location) {
            (Some(files), _) => files,
            (None, Location::Object { key, .. }) => objects_at(&*store, key, &url, endings).await?,
            (None, Location::File(_)) => Vec::new(),
        };
        if files.is_empty() {
            return Err(ExchangeError::Missing { url });
        }
        if let Location::Object { cloud, bucket, .. } = &location {
            for file in &files {
                self.check_key(*cloud, bucket, &file.location).map_err(|barred| barred.error(&url))?;
            }
        }
        files.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(Found { store, files })
    }
}

fn is_wanted(name: &str, endings: &[&str]) -> bool {
    !name.starts_with(['.', '_']) && endings.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

/// Regular files; links are followed as far as the fence lets them. Blocks.
fn files_at(fence: &Exchange, path: &FilePath, url: &str, endings: &[&str]) -> Result<Vec<ObjectMeta>, ExchangeError> {
    let mut found = Vec::new();
    let mut entries = 0;
    let mut folders = vec![(path.to_path_buf(), 0)];
    while let Some((path, depth)) = folders.pop() {
        let real = fence.real_path(&path, url)?;
        let about = match std::fs::metadata(&real) {
            Ok(about) => about,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(url, error.kind())),
        };
        if about.is_file() {
            let location = Path::from_absolute_path(&real).map_err(|error| failed(url, error))?;
            let modified = about.modified().map(DateTime::from).unwrap_or_default();
            found.push(ObjectMeta { location, last_modified: modified, size: about.len(), e_tag: None, version: None });
            if found.len() > FILES_MAX {
                return Err(ExchangeError::TooMany { url: url.to_string() });
            }
        } else if about.is_dir() {
            if depth == DEPTH_MAX {
                return Err(failed(url, "its folders are too deep"));
            }
            let inside = std::fs::read_dir(&real).map_err(|error| failed(url, error.kind()))?;
            for entry in inside {
                let entry = entry.map_err(|error| failed(url, error.kind()))?;
                entries += 1;
                if entries > ENTRIES_MAX {
                    return Err(ExchangeError::TooMany { url: url.to_string() });
                }
                let Some(name) = entry.file_name().to_str().map(str::to_string) else { continue };
                let is_folder = std::fs::metadata(entry.path()).is_ok_and(|about| about.is_dir());
                if is_wanted(&name, endings) || (is_folder && !name.starts_with(['.', '_'])) {
                    folders.push((real.join(name), depth + 1));
                }
            }
        }
    }
    Ok(found)
}

/// The object `key`, or those below it.
async fn objects_at(
    store: &dyn ObjectStore,
    key: &Path,
    url: &str,
    endings: &[&str],
) -> Result<Vec<ObjectMeta>, ExchangeError> {
    if !key.is_root() {
        match store.head(key).await {
            Ok(file) => return Ok(vec![file]),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(url, error)),
        }
    }
    let mut found = Vec::new();
    let mut listed = store.list((!key.is_root()).then_some(key));
    let mut entries = 0;
    while let Some(file) = listed.next().await {
        let file = file.map_err(|error| failed(url, error))?;
        entries += 1;
        if found.len() > FILES_MAX || entries > ENTRIES_MAX {
            return Err(ExchangeError::TooMany { url: url.to_string() });
        }
        if file.location.filename().is_some_and(|name| is_wanted(name, endings)) {
            found.push(file);
        }
    }
    Ok(found)
}
