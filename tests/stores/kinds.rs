//! The kinds of store that a gateway can stand on, each as a user would set it up.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use tempfile::TempDir;
use tidegate::storage::fs::OsFileSystem;
use tidegate::storage::open::{StoreError, StoreOptions, StoreUrl, open_store};

use crate::azurite::{Azurite, CONTAINER};
use crate::minio::{Minio, Reached};

/// A store that runs.
pub enum Kind {
    Folder(TempDir),
    Memory,
    Minio(Box<Minio>),
    Azure(Azurite),
}

impl Kind {
    pub fn folder() -> Kind {
        Kind::Folder(TempDir::new().unwrap())
    }

    pub fn minio(reached: Reached) -> Kind {
        Kind::Minio(Box::new(Minio::reached(reached)))
    }

    pub fn azure() -> Kind {
        Kind::Azure(Azurite::start())
    }

    /// Settings of a gateway over it: dotted names and values.
    pub fn settings(&self, prefix: &str) -> Vec<(String, String)> {
        let url = |url: String| ("storage.url".to_string(), url);
        match self {
            Kind::Folder(folder) => vec![url(format!("file://{}/{prefix}", folder.path().display()))],
            Kind::Memory => vec![url("memory:///".to_string())],
            Kind::Minio(minio) => minio.settings(prefix),
            Kind::Azure(_) => {
                vec![url(format!("az://{CONTAINER}/{prefix}")), ("storage.allow_http".to_string(), "true".to_string())]
            }
        }
    }

    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Kind::Folder(_) | Kind::Memory => Vec::new(),
            Kind::Minio(minio) => minio.credentials(),
            Kind::Azure(azurite) => azurite.environment(),
        }
    }

    /// The store as a gateway with these settings opens it.
    pub fn open(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        open(&self.settings(prefix), self.environment()).unwrap()
    }
}

/// Opens what settings say.
pub fn open(
    settings: &[(String, String)],
    environment: Vec<(String, String)>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let mut url = String::new();
    let mut options = StoreOptions { environment: environment.into_iter().collect(), ..StoreOptions::default() };
    for (name, value) in settings {
        match name.as_str() {
            "storage.url" => url.clone_from(value),
            "storage.endpoint" => options.endpoint = Some(value.clone()),
            "storage.allow_http" => options.allow_http = value == "true",
            "storage.virtual_hosted_style" => options.virtual_hosted_style = value == "true",
            "storage.ca_file" => options.ca_file = Some(PathBuf::from(value)),
            other => panic!("{other} is no setting of a store"),
        }
    }
    open_store(&StoreUrl::parse(&url)?, &options, Arc::new(OsFileSystem))
}
