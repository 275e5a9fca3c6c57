//! A store that is asked again where the HTTP clients of `object_store` give up, and that never hands on half an answer.
//!
//! Owns: three things that those clients (0.13) leave to their caller.
//! - A create whose answer got lost (time-out, broken connection) is not repeated by them, because a repeated one may
//!   find its own object. Here it is: **`AlreadyExists` may mean the caller's own object**, and whoever creates must look.
//! - A body that ends before its announced end is taken for whole unless the transport noticed, and one that breaks is
//!   resumed only where there is an entity tag. Here every body is as long as announced, or an error.
//! - A listing whose first page broke on its way is not repeated.
//!
//! Does not own: throttling, 5xx answers and refused connections. The client repeats those itself, with back-off and
//! jitter; doing it again here would multiply the tries.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{BoxStream, try_unfold};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tracing::debug;

use super::wire::Tries;

/// How often and how long something is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Tries after the first one.
    pub retries_max: usize,
    /// Longest pause before the second try; it doubles with each one, to `backoff_max`.
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// No try starts later than this after the first one.
    pub time_max: Duration,
}

/// Numbers that spread the pauses of processes that failed at the same time.
#[derive(Debug)]
struct Jitter(AtomicU64);

impl Jitter {
    /// Between a half and the whole of `pause`.
    fn shorten(&self, pause: Duration) -> Duration {
        // splitmix64: any seed will do, and it needs no lock.
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = f64::from(((x ^ (x >> 31)) >> 32) as u32) / f64::from(u32::MAX);
        pause.mul_f64(0.5 + share / 2.0)
    }
}

/// What is left of the patience with one request.
struct Attempts {
    patience: Patience,
    jitter: Arc<Jitter>,
    made: usize,
    pause: Duration,
    since: Instant,
}

impl Attempts {
    /// Waits before another try. `false`: there is to be none.
    async fn pause(&mut self, what: &str, location: Option<&Path>, cause: &Error) -> bool {
        if self.made >= self.patience.retries_max || self.since.elapsed() >= self.patience.time_max {
            return false;
        }
        self.made += 1;
        let pause = self.jitter.shorten(self.pause);
        self.pause = (self.pause * 2).min(self.patience.backoff_max);
        debug!(location = location.map(Path::as_ref), error = %cause, pause_ms = pause.as_millis(), "{what} again");
        tokio::time::sleep(pause).await;
        true
    }
}

/// Passes everything on to another store, with patience.
#[derive(Debug)]
pub struct PatientStore {
    inner: Arc<dyn ObjectStore>,
    patience: Patience,
    jitter: Arc<Jitter>,
}

impl PatientStore {
    /// `jitter_seed` should differ between processes.
    pub fn new(inner: Arc<dyn ObjectStore>, patience: Patience, jitter_seed: u64) -> PatientStore {
        PatientStore { inner, patience, jitter: Arc::new(Jitter(AtomicU64::new(jitter_seed))) }
    }

    fn attempts(&self) -> Attempts {
        Attempts {
            patience: self.patience.clone(),
            jitter: self.jitter.clone(),
            made: 0,
            pause: self.patience.backoff,
            since: Instant::now(),
        }
    }

    /// `listing`, begun again by `list` when it breaks before anything of it was handed on.
    fn patient_list(
        &self,
        list: impl Fn(&Arc<dyn ObjectStore>) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, mut attempts) = (self.inner.clone(), self.attempts());
        let begin = async move {
            loop {
                let mut listing = list(&inner).fuse();
                match listing.next().await {
                    Some(Err(error)) if is_open(&error) && attempts.pause("list", None, &error).await => {}
                    first => return futures::stream::iter(first).chain(listing).boxed(),
                }
            }
        };
        futures::stream::once(begin).flatten().boxed()
    }
}

impl fmt::Display for PatientStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Whether the request may have been carried out, for all that is known, and the client did not repeat it.
fn is_open(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            // What never reached the store was repeated already.
            return !matches!(error.kind(), HttpErrorKind::Connect | HttpErrorKind::Request);
        }
        cause = error.source();
    }
    false
}

/// A body that is not as long as its announcement.
#[derive(Debug, thiserror::Error)]
#[error("the body of {location} has {got} bytes in place of {announced}")]
struct WrongLength {
    location: Path,
    announced: u64,
    got: u64,
}

/// A body on its way.
struct Body {
    store: Arc<dyn ObjectStore>,
    attempts: Attempts,
    options: GetOptions,
    meta: ObjectMeta,
    /// All that is asked for.
    range: Range<u64>,
    /// Where the next byte belongs.
    position: u64,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl Body {
    /// The next bytes; `None` once all are there.
    async fn next(mut self) -> Result<Option<(Bytes, Body)>> {
        loop {
            let cause = match self.stream.next().await {
                Some(Ok(bytes)) if self.position + bytes.len() as u64 <= self.range.end => {
                    self.position += bytes.len() as u64;
                    return Ok(Some((bytes, self)));
                }
                Some(Ok(bytes)) => return Err(self.wrong_length(bytes.len() as u64)),
                None if self.position == self.range.end => return Ok(None),
                None => self.wrong_length(0),
                Some(Err(cause)) => cause,
            };
            if !self.attempts.pause("get", Some(&self.meta.location), &cause).await {
                return Err(cause);
            }
            let rest = GetRange::Bounded(self.position..self.range.end);
            let options = GetOptions { range: Some(rest), if_match: self.meta.e_tag.clone(), ..self.options.clone() };
            let found = match self.store.get_opts(&self.meta.location, options).await {
                Ok(found) => found,
                // Another object has come in its place: what broke is the answer.
                Err(Error::Precondition { .. } | Error::NotFound { .. }) => return Err(cause),
                Err(error) => return Err(error),
            };
            let same = found.meta.size == self.meta.size
                && found.meta.e_tag == self.meta.e_tag
                && found.meta.last_modified == self.meta.last_modified
                && found.range == (self.position..self.range.end);
            if !same {
                return Err(cause);
            }
            self.stream = found.into_stream();
        }
    }

    fn wrong_length(&self, more: u64) -> Error {
        let (announced, got) = (self.range.end - self.range.start, self.position - self.range.start + more);
        let source = Box::new(WrongLength { location: self.meta.location.clone(), announced, got });
        Error::Generic { store: "body", source }
    }
}

/// Ranges are read through `get_opts` (the trait's own `get_ranges`), so that each is as long as it should be: joining
/// short ones panics in `object_store`.
#[async_trait]
impl ObjectStore for PatientStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        options.extensions.insert(Tries::default());
        let mut attempts = self.attempts();
        loop {
            match self.inner.put_opts(location, payload.clone(), options.clone()).await {
                Err(error)
                    if options.mode == PutMode::Create
                        && is_open(&error)
                        && attempts.pause("put", Some(location), &error).await => {}
                answer => return answer,
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        options.extensions.insert(Tries::default());
        let found = self.inner.get_opts(location, options.clone()).await?;
        if options.head {
            return Ok(found);
        }
        let GetResult { payload, meta, range, attributes } = found;
        let payload = match payload {
            GetResultPayload::Stream(stream) => {
                // A condition that was met once says nothing about the rest.
                let options = GetOptions {
                    if_none_match: None,
                    if_modified_since: None,
                    if_unmodified_since: None,
                    ..options.clone()
                };
                let body = Body {
                    store: self.inner.clone(),
                    attempts: self.attempts(),
                    options,
                    meta: meta.clone(),
                    position: range.start,
                    range: range.clone(),
                    stream,
                };
                GetResultPayload::Stream(try_unfold(body, Body::next).boxed())
            }
            file => file,
        };
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.patient_list(move |store| store.list(prefix.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.patient_list(move |store| store.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
