//! A store that does not answer: the *n*-th put is refused, or carried out and its answer lost, for n = 1, 2, 3 …, alone or
//! at the start of an outage. Whatever is tried again, each acknowledged batch is there exactly once, and what no commit
//! speaks of is never served.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;
use tidegate::ingest::compaction::{CompactionOptions, Compactor};
use tidegate::ingest::orphans::OrphanCollector;
use tidegate::storage::fs::OsFileSystem;
use tidegate::storage::layout;

use super::ledger::{Settle, WINDOW_SECS, Writer};
use super::machine::{Background, Running, send, settings};

/// Times that something is tried again before the test gives up.
const TRIES: usize = 60;
/// Requests that an outage swallows: more than the catalog tries to settle one commit with.
const OUTAGE: u64 = 14;
/// Scenarios at a time: they mostly wait.
const AT_ONCE: usize = 8;

/// How a put fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Refused,
    AnswerLost,
}

/// Which put fails, how, and how many requests of any kind fail after it.
#[derive(Debug, Clone, Copy)]
struct Fault {
    put: u64,
    failure: Failure,
    then: u64,
}

/// A store in memory that has one fault.
#[derive(Debug)]
struct FaultyStore {
    inner: InMemory,
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    puts: u64,
    /// So many requests still fail.
    out: u64,
}

impl FaultyStore {
    fn new(fault: Option<Fault>) -> FaultyStore {
        FaultyStore { inner: InMemory::new(), fault, state: Mutex::default() }
    }

    fn puts(&self) -> u64 {
        self.state.lock().unwrap().puts
    }

    fn request(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.out == 0 {
            return Ok(());
        }
        state.out -= 1;
        Err(no_answer())
    }

    /// `Some`: this is the put that fails.
    fn failure(&self) -> Option<Failure> {
        let mut state = self.state.lock().unwrap();
        state.puts += 1;
        let fault = self.fault.filter(|fault| fault.put == state.puts)?;
        state.out = fault.then;
        Some(fault.failure)
    }
}

fn no_answer() -> Error {
    Error::Generic { store: "faulty", source: "no answer".into() }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({:?})", self.fault)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.request()?;
        match self.failure() {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Failure::Refused) => Err(no_answer()),
            Some(Failure::AnswerLost) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(no_answer())
            }
        }
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.request()?;
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.request()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.request()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.request() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.request() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.request()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.request()?;
        self.inner.copy_opts(from, to, options).await
    }
}

#[test]
fn a_put_that_fails_is_made_up_for() {
    check_every_put(|put| Fault { put, failure: Failure::Refused, then: 0 });
}

#[test]
fn a_put_whose_answer_is_lost_is_not_made_twice() {
    check_every_put(|put| Fault { put, failure: Failure::AnswerLost, then: 0 });
}

#[test]
fn a_put_whose_answer_is_lost_in_an_outage_is_not_made_twice() {
    check_every_put(|put| Fault { put, failure: Failure::AnswerLost, then: OUTAGE });
}

fn check_every_put(fault: impl Fn(u64) -> Fault) {
    let puts = scenario(None);
    assert!(puts > 30, "only {puts} puts: hardly anything was stored");
    let faults: Vec<Fault> = (1..=puts).map(fault).collect();
    for some in faults.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            for fault in some {
                scope.spawn(|| scenario(Some(*fault)));
            }
        });
    }
}

/// Writes, flushes, merges, restarts, and compares all the while. Returns how many puts there were.
fn scenario(fault: Option<Fault>) -> u64 {
    let context = format!("{fault:?}");
    let (folder, temp) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Arc::new(FaultyStore::new(fault));
    let open = || {
        let settings = settings(folder.path(), temp.path(), Background::Quiet);
        retried(&context, || Running::open(&settings, Arc::new(OsFileSystem), Some(store.clone())))
    };
    let mut writers = Writer::several(1, 7);
    let running = open();
    retried(&context, || running.prepare());
    write_and_flush(&running, &mut writers, &context);
    check(&running, &store, &mut writers, Settle::No, &context);
    write_and_flush(&running, &mut writers, &context);
    merge(&running, store.clone(), &context);
    running.cut_off();
    let running = open();
    check(&running, &store, &mut writers, Settle::Yes, &format!("{context}, after a restart"));
    write_and_flush(&running, &mut writers, &context);
    remove_orphans(&running, store.clone(), &context);
    check(&running, &store, &mut writers, Settle::No, &format!("{context}, without orphans"));
    running.cut_off();
    store.puts()
}

/// One batch stays in the log and the buffer.
fn write_and_flush(running: &Running, writers: &mut Vec<Writer>, context: &str) {
    let writer = Arc::new(Mutex::new(writers.pop().expect("there is one writer")));
    retried(context, || running.run(send(&running.gateway, &writer)));
    retried(context, || running.run(running.gateway.flush()));
    retried(context, || running.run(send(&running.gateway, &writer)));
    writers.push(Arc::into_inner(writer).expect("no one writes any more").into_inner().unwrap());
}

/// Questions are no part of this: the outage is over.
fn check(running: &Running, store: &FaultyStore, writers: &mut [Writer], settle: Settle, context: &str) {
    store.state.lock().unwrap().out = 0;
    running.check(writers, settle, context);
}

/// Tries until it works; in the meantime the store comes back.
#[track_caller]
fn retried<T, E: fmt::Display>(context: &str, mut attempt: impl FnMut() -> std::result::Result<T, E>) -> T {
    let mut failures = Vec::new();
    for _ in 0..TRIES {
        match attempt() {
            Ok(done) => return done,
            Err(error) => failures.push(error.to_string()),
        }
    }
    panic!("{context}: in vain: {failures:?}");
}

fn merge(running: &Running, store: Arc<dyn ObjectStore>, context: &str) {
    let core = &running.gateway.core;
    let compactor = Compactor {
        catalog: core.catalog.clone(),
        store,
        options: CompactionOptions {
            interval: Duration::MAX,
            files_min: 2,
            segment_bytes_max: 1 << 30,
            window_ns: WINDOW_SECS as i64 * 1_000_000_000,
            keep_replaced: Duration::MAX,
        },
        metrics: core.ingest.metrics.clone(),
        replaced: Mutex::new(VecDeque::new()),
    };
    retried(context, || running.run(compactor.round()));
    let merged = core.catalog.state().tables().flat_map(|t| t.segments.clone()).filter(|s| s.level > 0).count();
    assert!(merged > 0, "{context}: nothing was merged");
}

/// Afterwards all objects are live.
fn remove_orphans(running: &Running, store: Arc<dyn ObjectStore>, context: &str) {
    let core = &running.gateway.core;
    let collector = OrphanCollector::new(
        core.catalog.clone(),
        store.clone(),
        Duration::ZERO,
        core.ingest.metrics.clone(),
        core.ingest.clock.clone(),
    );
    retried(context, || running.run(collector.collect(i64::MAX)));
    let prefix = layout::segments_prefix();
    let objects = retried(context, || running.run(store.list(Some(&prefix)).try_collect::<Vec<_>>())).len();
    let live: usize = core.catalog.state().tables().map(|table| table.segments.len()).sum();
    assert_eq!(objects, live, "{context}: objects, and those that the catalog speaks of");
}
