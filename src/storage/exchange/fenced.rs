//! A store that reaches what the fence allows, and whose errors show no credentials.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::storage::open::Cloud;

use super::connection::without;
use super::{Barred, Exchange, resolved};

/// Objects are looked at one by one before they are read or written. Nothing is deleted or copied.
#[derive(Debug)]
pub(super) struct FencedStore {
    inner: Inner,
    fence: Arc<Exchange>,
    secrets: Vec<String>,
}

#[derive(Debug)]
enum Inner {
    /// Of this machine, only to be read.
    Files(Arc<LocalFileSystem>),
    Bucket(Arc<dyn ObjectStore>, (Cloud, String)),
}

impl FencedStore {
    pub(super) fn of_files(files: LocalFileSystem, fence: Arc<Exchange>) -> FencedStore {
        FencedStore { inner: Inner::Files(Arc::new(files)), fence, secrets: Vec::new() }
    }

    pub(super) fn of_bucket(
        store: Arc<dyn ObjectStore>,
        fence: Arc<Exchange>,
        bucket: (Cloud, String),
        secrets: Vec<String>,
    ) -> FencedStore {
        FencedStore { inner: Inner::Bucket(store, bucket), fence, secrets }
    }

    /// The store, if the object may be reached.
    async fn to(&self, path: &Path) -> Result<&dyn ObjectStore> {
        match &self.inner {
            Inner::Bucket(store, (cloud, bucket)) => {
                self.fence.check_key(*cloud, bucket, path).map_err(|_| refused(path))?;
                Ok(store)
            }
            Inner::Files(files) => {
                let (fence, files_too, location) = (self.fence.clone(), files.clone(), path.clone());
                let look = move || {
                    let file = files_too.path_to_filesystem(&location)?;
                    let gone = |source: std::io::Error| Error::NotFound {
                        path: location.to_string(),
                        source: Box::new(source),
                    };
                    let real = resolved(&file).map_err(gone)?;
                    let checked = if real == file { fence.check_real(&real) } else { Err(Barred::Outside) };
                    checked.map_err(|_| refused(&location))
                };
                tokio::task::spawn_blocking(look).await??;
                Ok(&**files)
            }
        }
    }

    /// An error that shows none of the credentials, nor what a store says about them.
    fn scrubbed(&self, error: Error) -> Error {
        match error {
            Error::NotFound { path, .. } => Error::NotFound { path, source: "it is not there".into() },
            Error::PermissionDenied { path, .. } | Error::Unauthenticated { path, .. } => {
                let source = "the store refuses the credentials it is given (or there are none)".into();
                Error::Unauthenticated { path, source }
            }
            Error::AlreadyExists { path, .. } => Error::AlreadyExists { path, source: "it is there".into() },
            other => {
                let text = without(&self.secrets, other.to_string());
                Error::Generic { store: "of the location", source: text.into() }
            }
        }
    }
}

impl fmt::Display for FencedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FencedStore")
    }
}

fn refused(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "it is outside of `cnosdb.copy_prefixes`".into() }
}

#[async_trait]
impl ObjectStore for FencedStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let Inner::Bucket(..) = &self.inner else { return Err(refused(path)) };
        let put = self.to(path).await?.put_opts(path, payload, options).await;
        put.map_err(|error| self.scrubbed(error))
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let Inner::Bucket(..) = &self.inner else { return Err(refused(path)) };
        let upload = self.to(path).await?.put_multipart_opts(path, options).await;
        upload.map_err(|error| self.scrubbed(error))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let got = self.to(path).await?.get_opts(path, options).await;
        got.map_err(|error| self.scrubbed(error))
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let got = self.to(path).await?.get_ranges(path, ranges).await;
        got.map_err(|error| self.scrubbed(error))
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|path| Err(refused(&path?))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let Inner::Bucket(store, (cloud, bucket)) = &self.inner else {
            return stream::iter([Err(refused(&prefix.cloned().unwrap_or_default()))]).boxed();
        };
        if let Some(prefix) = prefix
            && self.fence.check_key(*cloud, bucket, prefix) == Err(Barred::Outside)
        {
            return stream::iter([Err(refused(prefix))]).boxed();
        }
        let secrets = self.secrets.clone();
        let scrub = move |error: Error| {
            let text = without(&secrets, error.to_string());
            Error::Generic { store: "of the location", source: text.into() }
        };
        store.list(prefix).map(move |meta| meta.map_err(&scrub)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        Err(refused(&prefix.cloned().unwrap_or_default()))
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(refused(to))
    }
}
