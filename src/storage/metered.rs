//! What the object store is asked, how often, how long it takes and how many bytes go over.
//!
//! Operations count as the `object_store` crate sees them: its own retries are inside one request, a listing of many
//! pages is one request, each object of a bulk delete is one. The time of a `get` ends with the answer's first byte,
//! of a `list` or `delete` with the end of the stream. What the caller gave up before an answer counts as an error.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// Upper bounds of the histogram of seconds: a local file to a remote store at the end of its patience.
const SECONDS_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What was asked.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Put,
    Get,
    GetRange,
    Head,
    List,
    Delete,
    Copy,
    /// Beginning, each part, and completion or abortion of an upload in parts.
    Multipart,
}

const OPERATIONS: [(Operation, &str); 8] = [
    (Operation::Put, "put"),
    (Operation::Get, "get"),
    (Operation::GetRange, "get_range"),
    (Operation::Head, "head"),
    (Operation::List, "list"),
    (Operation::Delete, "delete"),
    (Operation::Copy, "copy"),
    (Operation::Multipart, "multipart"),
];

/// What came of it. A lost race and an absent object are everyday answers, so they have names of their own.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Ok,
    NotFound,
    AlreadyExists,
    Error,
}

const OUTCOMES: [(Outcome, &str); 4] = [
    (Outcome::Ok, "ok"),
    (Outcome::NotFound, "not_found"),
    (Outcome::AlreadyExists, "already_exists"),
    (Outcome::Error, "error"),
];

impl Outcome {
    fn of<T>(result: &Result<T>) -> Outcome {
        match result {
            Ok(_) => Outcome::Ok,
            Err(Error::NotFound { .. }) => Outcome::NotFound,
            Err(Error::AlreadyExists { .. }) => Outcome::AlreadyExists,
            Err(_) => Outcome::Error,
        }
    }
}

/// The counters, resolved once: counting looks nothing up, and every label shows from the start.
#[derive(Debug)]
struct Metrics {
    /// By operation, then outcome, in the order of the enums.
    requests: Vec<Vec<IntCounter>>,
    seconds: Vec<Histogram>,
    bytes_read: IntCounter,
    bytes_written: IntCounter,
}

impl Metrics {
    fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let requests = IntCounterVec::new(
            Opts::new("tidegate_object_store_requests_total", "Requests to the object store."),
            &["operation", "result"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("tidegate_object_store_request_seconds", "Time until the object store answered.")
                .buckets(SECONDS_BUCKETS.to_vec()),
            &["operation"],
        )?;
        let bytes = IntCounterVec::new(
            Opts::new("tidegate_object_store_bytes_total", "Bytes of objects that went to or came from the store."),
            &["direction"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        let by_outcome = |operation: &str| OUTCOMES.map(|(_, o)| requests.with_label_values(&[operation, o])).to_vec();
        Ok(Metrics {
            requests: OPERATIONS.iter().map(|(_, name)| by_outcome(name)).collect(),
            seconds: OPERATIONS.iter().map(|(_, name)| seconds.with_label_values(&[*name])).collect(),
            bytes_read: bytes.with_label_values(&["read"]),
            bytes_written: bytes.with_label_values(&["written"]),
        })
    }

    fn count(&self, operation: Operation, outcome: Outcome) {
        self.requests[operation as usize][outcome as usize].inc();
    }

    fn observe_since(&self, operation: Operation, start: Instant) {
        self.seconds[operation as usize].observe(start.elapsed().as_secs_f64());
    }

    async fn request<T>(self: &Arc<Self>, operation: Operation, request: impl Future<Output = Result<T>>) -> Result<T> {
        let mut pending = self.begin(operation, Outcome::Error);
        let result = request.await;
        pending.settle(&result);
        result
    }

    /// Like [`Metrics::request`], of one that writes `bytes`.
    async fn write<T>(
        self: &Arc<Self>,
        operation: Operation,
        bytes: usize,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let result = self.request(operation, request).await;
        if result.is_ok() {
            self.bytes_written.inc_by(bytes as u64);
        }
        result
    }

    fn begin(self: &Arc<Self>, operation: Operation, outcome: Outcome) -> Pending {
        Pending { metrics: self.clone(), operation, outcome, start: Instant::now() }
    }
}

/// A request under way; counted, with its outcome as it then is, when dropped.
struct Pending {
    metrics: Arc<Metrics>,
    operation: Operation,
    outcome: Outcome,
    start: Instant,
}

impl Pending {
    fn settle<T>(&mut self, result: &Result<T>) {
        self.outcome = Outcome::of(result);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.metrics.count(self.operation, self.outcome);
        self.metrics.observe_since(self.operation, self.start);
    }
}

/// Passes everything on to another store, and counts it.
#[derive(Debug)]
pub struct MeteredStore {
    inner: Arc<dyn ObjectStore>,
    metrics: Arc<Metrics>,
}

impl MeteredStore {
    /// Counts what goes to `inner` in `registry`, which must not have another one's counters yet.
    pub fn new(inner: Arc<dyn ObjectStore>, registry: &Registry) -> prometheus::Result<MeteredStore> {
        Ok(MeteredStore { inner, metrics: Arc::new(Metrics::register(registry)?) })
    }

    fn metered_list(&self, listing: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        // Not reading a listing to its end is the reader's choice.
        let mut pending = self.metrics.begin(Operation::List, Outcome::Ok);
        let listing = listing.inspect(move |item| {
            if item.is_err() {
                pending.settle(item);
            }
        });
        listing.boxed()
    }

    fn count_bytes_read(&self, payload: GetResultPayload, range: &Range<u64>) -> GetResultPayload {
        let read = self.metrics.bytes_read.clone();
        match payload {
            GetResultPayload::Stream(stream) => GetResultPayload::Stream(
                stream.inspect(move |bytes| read.inc_by(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))).boxed(),
            ),
            // Nothing tells when the caller reads the file.
            file => {
                read.inc_by(range.end - range.start);
                file
            }
        }
    }
}

impl fmt::Display for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for MeteredStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = payload.content_length();
        self.metrics.write(Operation::Put, bytes, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(location, options);
        let upload = self.metrics.request(Operation::Multipart, begun).await?;
        Ok(Box::new(MeteredUpload { inner: upload, metrics: self.metrics.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = match &options {
            options if options.head => Operation::Head,
            options if options.range.is_some() => Operation::GetRange,
            _ => Operation::Get,
        };
        let mut found = self.metrics.request(operation, self.inner.get_opts(location, options)).await?;
        if !matches!(operation, Operation::Head) {
            found.payload = self.count_bytes_read(found.payload, &found.range);
        }
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.metrics.request(Operation::GetRange, self.inner.get_ranges(location, ranges)).await?;
        self.metrics.bytes_read.inc_by(found.iter().map(|bytes| bytes.len() as u64).sum());
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (metrics, start) = (self.metrics.clone(), Instant::now());
        let deleted = self.inner.delete_stream(locations);
        let deleted = deleted.inspect(move |item| {
            metrics.count(Operation::Delete, Outcome::of(item));
            metrics.observe_since(Operation::Delete, start);
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metered_list(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metered_list(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.metrics.request(Operation::List, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.metrics.request(Operation::Copy, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.metrics.request(Operation::Copy, self.inner.rename_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct MeteredUpload {
    inner: Box<dyn MultipartUpload>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl MultipartUpload for MeteredUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (metrics, bytes) = (self.metrics.clone(), data.content_length());
        let part = self.inner.put_part(data);
        Box::pin(async move { metrics.write(Operation::Multipart, bytes, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.metrics.request(Operation::Multipart, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.metrics.request(Operation::Multipart, self.inner.abort()).await
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutMode};

    use super::*;

    fn metered(inner: impl ObjectStore) -> (MeteredStore, Registry) {
        let registry = Registry::new();
        (MeteredStore::new(Arc::new(inner), &registry).unwrap(), registry)
    }

    fn exported(registry: &Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    /// What `requests_total` shows, zeros left out.
    fn requests(registry: &Registry) -> Vec<String> {
        let text = exported(registry);
        let lines = text.lines().filter_map(|line| line.strip_prefix("tidegate_object_store_requests_total"));
        lines.filter(|line| !line.ends_with(" 0")).map(str::to_string).collect()
    }

    fn bytes(registry: &Registry, direction: &str) -> u64 {
        let text = exported(registry);
        let prefix = format!("tidegate_object_store_bytes_total{{direction=\"{direction}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn requests_are_counted_by_operation_and_result() {
        let (store, registry) = metered(InMemory::new());
        let (a, b) = (Path::from("a"), Path::from("b"));
        store.put(&a, "twelve bytes".into()).await.unwrap();
        store.put_opts(&a, "x".into(), PutMode::Create.into()).await.unwrap_err();
        store.get(&a).await.unwrap().bytes().await.unwrap();
        store.get(&b).await.unwrap_err();
        store.get_range(&a, 0..3).await.unwrap();
        store.get_ranges(&a, &[0..2, 4..6]).await.unwrap();
        store.get_range(&a, 50..60).await.unwrap_err();
        store.head(&a).await.unwrap();
        store.list(None).try_collect::<Vec<_>>().await.unwrap();
        store.list_with_offset(None, &a).try_collect::<Vec<_>>().await.unwrap();
        store.list_with_delimiter(None).await.unwrap();
        store.copy(&a, &b).await.unwrap();
        store.delete(&b).await.unwrap();
        let mut upload = store.put_multipart(&b).await.unwrap();
        upload.put_part("12345".into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(
            requests(&registry),
            [
                r#"{operation="copy",result="ok"} 1"#,
                r#"{operation="delete",result="ok"} 1"#,
                r#"{operation="get",result="not_found"} 1"#,
                r#"{operation="get",result="ok"} 1"#,
                r#"{operation="get_range",result="error"} 1"#,
                r#"{operation="get_range",result="ok"} 2"#,
                r#"{operation="head",result="ok"} 1"#,
                r#"{operation="list",result="ok"} 3"#,
                r#"{operation="multipart",result="ok"} 3"#,
                r#"{operation="put",result="already_exists"} 1"#,
                r#"{operation="put",result="ok"} 1"#,
            ]
        );
        assert_eq!(bytes(&registry, "written"), 12 + 5);
        assert_eq!(bytes(&registry, "read"), 12 + 3 + 4);
        assert!(exported(&registry).contains(r#"tidegate_object_store_request_seconds_count{operation="get"} 2"#));
    }

    #[tokio::test]
    async fn every_label_shows_before_the_first_request() {
        let (_, registry) = metered(InMemory::new());
        let text = exported(&registry);
        let lines = text.lines().filter(|line| line.starts_with("tidegate_object_store_requests_total{"));
        assert_eq!(lines.count(), OPERATIONS.len() * OUTCOMES.len());
        assert_eq!(requests(&registry), [""; 0]);
    }

    #[test]
    fn the_tables_are_in_the_order_of_the_enums() {
        assert!(OPERATIONS.iter().enumerate().all(|(at, (operation, _))| *operation as usize == at));
        assert!(OUTCOMES.iter().enumerate().all(|(at, (outcome, _))| *outcome as usize == at));
    }

    #[tokio::test]
    async fn reading_a_file_is_counted_too() {
        let folder = tempfile::tempdir().unwrap();
        let (store, registry) = metered(object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let key = Path::from("a");
        store.put(&key, "twelve bytes".into()).await.unwrap();
        store.get_opts(&key, GetOptions::new().with_range(Some(0..5))).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes(&registry, "read"), 5);
        store.delete(&Path::from("b")).await.unwrap_err();
        assert!(requests(&registry).contains(&r#"{operation="delete",result="not_found"} 1"#.to_string()));
    }

    #[tokio::test]
    async fn a_listing_counts_once_when_it_ends_or_is_left() {
        let (store, registry) = metered(InMemory::new());
        for key in ["a", "b"] {
            store.put(&key.into(), "x".into()).await.unwrap();
        }
        let mut listing = store.list(None);
        listing.next().await.unwrap().unwrap();
        let puts = r#"{operation="put",result="ok"} 2"#;
        assert_eq!(requests(&registry), [puts]);
        drop(listing);
        assert_eq!(requests(&registry), [r#"{operation="list",result="ok"} 1"#, puts]);
        let failed = Error::NotImplemented { operation: String::new(), implementer: String::new() };
        let failing = store.metered_list(futures::stream::iter([Err(failed)]).boxed());
        failing.try_collect::<Vec<_>>().await.unwrap_err();
        let listings = [r#"{operation="list",result="error"} 1"#, r#"{operation="list",result="ok"} 1"#];
        assert_eq!(requests(&registry), [listings[0], listings[1], puts]);
    }

    #[tokio::test]
    async fn a_request_given_up_counts_as_an_error() {
        let (store, registry) = metered(InMemory::new());
        let never = store.metrics.request(Operation::Put, futures::future::pending::<Result<()>>());
        assert!(futures::FutureExt::now_or_never(never).is_none());
        assert_eq!(requests(&registry), [r#"{operation="put",result="error"} 1"#]);
    }
}
