//! For tests: a store in which requests for some objects wait, or fail, as those of a process do that sleeps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

/// What happens to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    Nothing,
    /// Puts of keys that begin so wait before they reach the store.
    Puts(&'static str),
    /// The same for gets.
    Gets(&'static str),
    /// Gets fail.
    NoAnswer,
}

/// One process's view of a store that others use too.
#[derive(Debug)]
pub struct HeldStore {
    inner: Arc<dyn ObjectStore>,
    holding: watch::Sender<Holding>,
    waiting: watch::Sender<usize>,
    /// Listings asked for.
    pub lists: AtomicUsize,
    /// Objects asked for.
    pub gets: AtomicUsize,
}

impl HeldStore {
    pub fn over(inner: &Arc<dyn ObjectStore>) -> Arc<HeldStore> {
        let (holding, waiting) = (watch::channel(Holding::Nothing).0, watch::channel(0).0);
        let (lists, gets) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(HeldStore { inner: inner.clone(), holding, waiting, lists, gets })
    }

    pub fn hold(&self, holding: Holding) {
        self.holding.send_replace(holding);
    }

    /// Returns when a request waits.
    pub async fn someone_waits(&self) {
        self.so_many_wait(1).await;
    }

    /// Returns when so many requests wait at once.
    pub async fn so_many_wait(&self, requests: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= requests).await.expect("the sender is here");
    }

    async fn pass(&self, path: &Path, holds: fn(Holding) -> Option<&'static str>) {
        let is_held = |holding: &Holding| holds(*holding).is_some_and(|prefix| path.as_ref().starts_with(prefix));
        if !is_held(&self.holding.borrow()) {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.holding.subscribe().wait_for(|holding| !is_held(holding)).await.expect("the sender is here");
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

impl fmt::Display for HeldStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldStore")
    }
}

#[async_trait::async_trait]
impl ObjectStore for HeldStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let puts = |holding| if let Holding::Puts(prefix) = holding { Some(prefix) } else { None };
        self.pass(path, puts).await;
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        let gets = |holding| if let Holding::Gets(prefix) = holding { Some(prefix) } else { None };
        self.pass(path, gets).await;
        if *self.holding.borrow() == Holding::NoAnswer {
            return Err(Error::Generic { store: "held", source: "no answer".into() });
        }
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
