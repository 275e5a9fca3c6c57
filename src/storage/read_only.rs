//! A store that takes nothing: what only reads cannot change anything by mistake.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Reads and listings of the inner store; everything else is refused before it gets there.
#[derive(Debug)]
pub struct ReadOnlyStore(Arc<dyn ObjectStore>);

impl ReadOnlyStore {
    pub fn new(inner: Arc<dyn ObjectStore>) -> ReadOnlyStore {
        ReadOnlyStore(inner)
    }
}

impl fmt::Display for ReadOnlyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadOnlyStore({})", self.0)
    }
}

fn refused(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "this process only reads".into() }
}

#[async_trait]
impl ObjectStore for ReadOnlyStore {
    async fn put_opts(&self, path: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(refused(path))
    }

    async fn put_multipart_opts(&self, path: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(refused(path))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|path| Err(refused(&path?))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(refused(to))
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn what_is_there_can_be_read_and_nothing_can_be_changed() {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (old, new) = (Path::from("a/old"), Path::from("a/new"));
        inner.put(&old, PutPayload::from_static(b"x")).await.unwrap();
        let store = ReadOnlyStore::new(inner.clone());
        let denied = |error: Option<Error>| assert!(matches!(error, Some(Error::PermissionDenied { .. })), "{error:?}");
        denied(store.put(&new, PutPayload::from_static(b"y")).await.err());
        denied(store.put_multipart(&new).await.err());
        denied(store.delete(&old).await.err());
        denied(store.copy(&old, &new).await.err());
        denied(store.rename(&old, &new).await.err());
        assert_eq!(store.get(&old).await.unwrap().bytes().await.unwrap(), "x");
        let listed: Vec<_> = inner.list(None).map(|meta| meta.unwrap().location).collect().await;
        assert_eq!(listed, [old]);
    }
}
