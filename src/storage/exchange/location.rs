//! URLs of places.

use std::fmt;
use std::path::PathBuf;

use object_store::path::Path;
use percent_encoding::percent_decode_str;

use crate::storage::open::{Cloud, redact};

use super::ExchangeError;

/// Longest URL, bytes.
const URL_BYTES_MAX: usize = 4096;

/// A file, a folder, an object or a prefix of objects. It has no `.` and no `..`, and nothing in it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// Absolute.
    File(PathBuf),
    Object {
        cloud: Cloud,
        bucket: String,
        key: Path,
    },
}

impl Location {
    /// Reads `file:///folder/file`, `s3://bucket/key`, `gs://` or `gcs://bucket/key`, `az://` or `azblob://container/key`.
    pub(super) fn parse(text: &str) -> Result<Location, ExchangeError> {
        let refused = |problem| ExchangeError::Location { url: redact(text), problem };
        if text.len() > URL_BYTES_MAX {
            return Err(ExchangeError::Location { url: "…".to_string(), problem: "it is too long" });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| refused("there is no scheme"))?;
        let cloud = match scheme.to_ascii_lowercase().as_str() {
            "file" => None,
            "s3" => Some(Cloud::S3),
            "gs" | "gcs" => Some(Cloud::Google),
            "az" | "azblob" => Some(Cloud::Azure),
            _ => return Err(refused("the scheme is unknown")),
        };
        if rest.contains(['?', '#']) {
            return Err(refused("it has a `?` or a `#`"));
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let parts = parts(path).map_err(refused)?;
        let Some(cloud) = cloud else {
            return match host {
                "" | "localhost" => Ok(Location::File(std::iter::once("/".to_string()).chain(parts).collect())),
                _ => Err(refused("a folder has no host: three slashes begin an absolute path")),
            };
        };
        if host.contains('@') {
            return Err(refused("credentials do not belong here"));
        }
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
            return Err(refused("the bucket is missing or has no name of a bucket"));
        }
        let key = Path::parse(parts.join("/")).map_err(|_| refused("the key is none"))?;
        Ok(Location::Object { cloud, bucket: host.to_string(), key })
    }

    /// The last part of its path.
    pub(super) fn file_name(&self) -> Option<&str> {
        match self {
            Location::File(path) => path.file_name()?.to_str(),
            Location::Object { key, .. } => key.filename(),
        }
    }

    /// What is called `name` in this folder.
    pub(super) fn child(&self, name: &str) -> Location {
        match self {
            Location::File(path) => Location::File(path.join(name)),
            Location::Object { cloud, bucket, key } => {
                Location::Object { cloud: *cloud, bucket: bucket.clone(), key: key.clone().join(name) }
            }
        }
    }
}

/// The parts of a path, decoded once. What could mean something else to whoever reads the path next is refused.
fn parts(path: &str) -> Result<Vec<String>, &'static str> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| "it is not UTF-8")?;
    if path.chars().any(|c| matches!(c, '%' | '\\') || c.is_control()) {
        return Err("it has a `%`, a backslash or a control character in a name");
    }
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_string).collect();
    if parts.iter().any(|part| matches!(part.as_str(), "." | "..")) {
        return Err("it has a `.` or `..` in its path");
    }
    Ok(parts)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => write!(f, "file://{}", path.display()),
            Location::Object { cloud, bucket, key } => write!(f, "{}://{bucket}/{key}", cloud.scheme()),
        }
    }
}
