//! A store that is ill: requests are refused, carried out without an answer or too late, bodies end early.
//!
//! [`SickStore`] stands before a healthy store. Its [`Plan`] says which requests fail; how each failure looks is what
//! the S3 client makes of it once its own tries are used up. Ranges are read as the S3 client does: joined, each by a
//! request of its own.
//!
//! Left out: an object that was written and is then "not found". Stores have been consistent for years, and the chain of
//! commits relies on it.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A put that must not overwrite.
    Create,
    Overwrite,
    Get,
    Head,
    List,
    Delete,
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sickness {
    /// "Slow down"; nothing has happened.
    Throttled,
    /// The connection breaks; nothing has happened.
    Broken,
    /// It is carried out, and its answer lost.
    AnswerLost,
    /// It takes longer than anyone waits, and is carried out several requests later.
    Late,
    /// "Conflict" (409), which a create is told in place of "try again": nothing is there.
    Conflict,
    /// It is carried out, and the client's own second try finds it there.
    OwnObject,
    /// The body breaks off.
    BrokenBody,
    /// The body ends early as if that were its end.
    ShortBody,
    /// The second half of the listing does not come.
    HalfListed,
    /// It is carried out, and the client's own second try finds nothing any more.
    GoneAlready,
}

impl Sickness {
    pub const ALL: [Sickness; 10] = [
        Sickness::Throttled,
        Sickness::AnswerLost,
        Sickness::Conflict,
        Sickness::Late,
        Sickness::OwnObject,
        Sickness::Broken,
        Sickness::ShortBody,
        Sickness::BrokenBody,
        Sickness::HalfListed,
        Sickness::GoneAlready,
    ];

    /// Those that can befall such a request.
    pub fn of(asked: Asked) -> Vec<Sickness> {
        Sickness::ALL.into_iter().filter(|sickness| sickness.befalls(asked)).collect()
    }

    fn befalls(self, asked: Asked) -> bool {
        match self {
            Sickness::Throttled | Sickness::Broken => true,
            Sickness::AnswerLost => matches!(asked, Asked::Create | Asked::Overwrite | Asked::Delete),
            Sickness::Late => matches!(asked, Asked::Create | Asked::Overwrite),
            Sickness::Conflict | Sickness::OwnObject => asked == Asked::Create,
            Sickness::BrokenBody | Sickness::ShortBody => asked == Asked::Get,
            Sickness::HalfListed => asked == Asked::List,
            Sickness::GoneAlready => asked == Asked::Delete,
        }
    }

    /// What the asker is told.
    fn error(self, location: &str) -> Error {
        let path = location.to_string();
        match self {
            Sickness::Throttled => {
                generic("503 Service Unavailable: SlowDown: Please reduce your request rate.".into())
            }
            Sickness::Broken | Sickness::BrokenBody | Sickness::HalfListed => {
                generic(Box::new(HttpError::new(HttpErrorKind::Interrupted, io::Error::other("connection reset"))))
            }
            Sickness::AnswerLost | Sickness::Late | Sickness::ShortBody => {
                generic(Box::new(HttpError::new(HttpErrorKind::Timeout, io::Error::other("operation timed out"))))
            }
            Sickness::Conflict => Error::AlreadyExists { path, source: "409 ConditionalRequestConflict".into() },
            Sickness::OwnObject => Error::AlreadyExists { path, source: "412 Precondition Failed".into() },
            Sickness::GoneAlready => Error::NotFound { path, source: "404 Not Found".into() },
        }
    }
}

fn generic(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "S3", source }
}

/// Which requests fail, counted from when the store falls ill.
#[derive(Debug, Clone, Copy)]
pub enum Plan {
    Healthy,
    /// Request `n`, counted from 1, and so many requests of any kind after it, which nobody answers. A sickness that
    /// cannot befall the request is a throttling.
    Nth {
        n: usize,
        sickness: Sickness,
        then: usize,
    },
    /// Each request with this probability, sometimes followed by a few that nobody answers. The same requests fare the
    /// same under a seed, whatever others come in between.
    Random {
        seed: u64,
        probability: f64,
    },
}

/// Requests later that a late one is carried out.
const LATE_BY: usize = 4;
/// One failure in so many begins an outage of up to so many requests.
const OUTAGE_ONE_IN: u64 = 6;
const OUTAGE_MAX: u64 = 8;

#[derive(Debug)]
struct Late {
    at: usize,
    location: Path,
    payload: PutPayload,
    options: PutOptions,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    trace: Vec<Asked>,
    /// Requests by kind and folder, for `Plan::Random`.
    alike: HashMap<(Asked, String), u64>,
    out: usize,
    failures: usize,
    late: Vec<Late>,
}

/// See the module. Clones are the same store.
#[derive(Debug, Clone)]
pub struct SickStore {
    inner: Arc<dyn ObjectStore>,
    state: Arc<Mutex<State>>,
}

impl SickStore {
    /// Over `inner`; healthy as yet.
    pub fn new(inner: Arc<dyn ObjectStore>) -> SickStore {
        let state = State {
            plan: Plan::Healthy,
            trace: Vec::new(),
            alike: HashMap::new(),
            out: 0,
            failures: 0,
            late: Vec::new(),
        };
        SickStore { inner, state: Arc::new(Mutex::new(state)) }
    }

    /// Counts anew.
    pub fn fall_ill(&self, plan: Plan) {
        let mut state = self.lock();
        state.plan = plan;
        state.trace.clear();
        state.alike.clear();
        state.out = 0;
        state.failures = 0;
    }

    /// From now on everything is answered; what was late has happened. Returns how many requests failed.
    pub async fn recover(&self) -> usize {
        let (failures, late) = {
            let mut state = self.lock();
            state.plan = Plan::Healthy;
            state.out = 0;
            (state.failures, std::mem::take(&mut state.late))
        };
        self.carry_out(late).await;
        failures
    }

    /// What was asked since it fell ill.
    pub fn trace(&self) -> Vec<Asked> {
        self.lock().trace.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request. `Some`: how it fails.
    async fn request(&self, asked: Asked, location: &str) -> Option<Sickness> {
        let (due, sickness) = {
            let mut state = self.lock();
            state.trace.push(asked);
            let now = state.trace.len();
            let (due, later) = std::mem::take(&mut state.late).into_iter().partition(|late| late.at <= now);
            state.late = later;
            (due, state.sickness(asked, location))
        };
        self.carry_out(due).await;
        sickness
    }

    async fn carry_out(&self, late: Vec<Late>) {
        for put in late {
            // Nobody waits for the answer.
            let _ = self.inner.put_opts(&put.location, put.payload, put.options).await;
        }
    }

    async fn delete_one(&self, location: Path) -> Result<Path> {
        let delete = || self.inner.delete(&location);
        match self.request(Asked::Delete, location.as_ref()).await {
            None => {}
            Some(sickness @ (Sickness::AnswerLost | Sickness::GoneAlready)) => {
                delete().await?;
                return Err(sickness.error(location.as_ref()));
            }
            Some(sickness) => return Err(sickness.error(location.as_ref())),
        }
        delete().await?;
        Ok(location.clone())
    }

    async fn list_some(
        &self,
        prefix: Option<Path>,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.unwrap_or_default();
        match self.request(Asked::List, prefix.as_ref()).await {
            None => listing,
            Some(Sickness::HalfListed) => {
                let all: Vec<_> = listing.collect().await;
                let half = all.len() / 2;
                let error = Err(Sickness::HalfListed.error(prefix.as_ref()));
                futures::stream::iter(all.into_iter().take(half).chain([error])).boxed()
            }
            Some(sickness) => futures::stream::iter([Err(sickness.error(prefix.as_ref()))]).boxed(),
        }
    }
}

impl State {
    fn sickness(&mut self, asked: Asked, location: &str) -> Option<Sickness> {
        let sickness = if self.out > 0 {
            self.out -= 1;
            Some(Sickness::Throttled)
        } else {
            match self.plan {
                Plan::Healthy => None,
                Plan::Nth { n, sickness, then } => (n == self.trace.len()).then(|| {
                    self.out = then;
                    // The order of some requests is not the same every time.
                    if sickness.befalls(asked) { sickness } else { Sickness::Throttled }
                }),
                Plan::Random { seed, probability } => self.roll(seed, probability, asked, location),
            }
        };
        self.failures += usize::from(sickness.is_some());
        sickness
    }

    fn roll(&mut self, seed: u64, probability: f64, asked: Asked, location: &str) -> Option<Sickness> {
        // File names differ from run to run, folders do not.
        let folder = location.rsplit_once('/').map_or("", |(folder, _)| folder).to_string();
        let before = self.alike.entry((asked, folder.clone())).or_default();
        *before += 1;
        let mut hasher = DefaultHasher::new();
        (seed, asked, folder, *before).hash(&mut hasher);
        let roll = hasher.finish();
        if (roll % 10_000) as f64 >= probability * 10_000.0 {
            return None;
        }
        let roll = roll / 10_000;
        if roll.is_multiple_of(OUTAGE_ONE_IN) {
            self.out = (roll / 64 % OUTAGE_MAX) as usize;
        }
        let possible = Sickness::of(asked);
        Some(possible[(roll / 8) as usize % possible.len()])
    }
}

impl fmt::Display for SickStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SickStore")
    }
}

#[async_trait]
impl ObjectStore for SickStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let asked = if options.mode == PutMode::Create { Asked::Create } else { Asked::Overwrite };
        let sickness = self.request(asked, location.as_ref()).await;
        let put = |payload, options| self.inner.put_opts(location, payload, options);
        match sickness {
            None => return put(payload, options).await,
            Some(Sickness::AnswerLost | Sickness::OwnObject) => {
                put(payload, options).await?;
            }
            Some(Sickness::Late) => {
                let mut state = self.lock();
                let at = state.trace.len() + LATE_BY;
                state.late.push(Late { at, location: location.clone(), payload, options });
            }
            Some(_) => {}
        }
        Err(sickness.expect("the healthy case has returned").error(location.as_ref()))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        panic!("nobody uploads in parts")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let asked = if options.head { Asked::Head } else { Asked::Get };
        let sickness = self.request(asked, location.as_ref()).await;
        let ends_early = match sickness {
            None => None,
            Some(sickness @ (Sickness::BrokenBody | Sickness::ShortBody)) => Some(sickness),
            Some(sickness) => return Err(sickness.error(location.as_ref())),
        };
        let found = self.inner.get_opts(location, options).await?;
        let Some(sickness) = ends_early else { return Ok(found) };
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = found.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let end = (sickness == Sickness::BrokenBody).then(|| Err(sickness.error(location.as_ref())));
        let stream = futures::stream::iter([Ok(half)].into_iter().chain(end)).boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move { store.delete_one(location?).await }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let listing = store.inner.list(prefix.as_ref());
            store.list_some(prefix, listing).await
        };
        futures::stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        panic!("nobody lists one folder")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        panic!("nobody copies")
    }
}
