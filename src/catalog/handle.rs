//! The catalog as the rest of the process sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info};
use uuid::Uuid;

use super::change::Change;
use super::committer::{Committer, Me, Planned, Request};
use super::error::CatalogError;
use super::head::Head;
use super::options::CatalogOptions;
use super::register::register;
use super::snapshots::{SnapshotTask, Snapshots};
use super::state::CatalogState;

/// Requests that may wait for the committer.
const QUEUE_MAX: usize = 1024;
/// The chain was to be looked at this long ago and was not: the process did not run.
const LATE_AFTER: Duration = Duration::from_millis(500);

/// The catalog of one store: what this process knows of the chain of commits, kept up to date, and the way to extend it.
#[derive(Debug)]
pub struct Catalog {
    known: Arc<Known>,
    /// `None`: this process only reads.
    me: Option<Me>,
    requests: mpsc::Sender<Request>,
    tasks: Mutex<Option<(JoinHandle<()>, Option<SnapshotTask>)>>,
}

/// What the committer tells the others.
#[derive(Debug)]
pub(super) struct Known {
    state: RwLock<Arc<CatalogState>>,
    trouble: RwLock<Option<CatalogError>>,
    /// This process gives up being a writer of its own will: that it is none any more is no trouble.
    retiring: AtomicBool,
    /// When the chain is looked at next, at the latest.
    next_look: Mutex<Instant>,
}

impl Known {
    pub(super) fn publish(&self, state: &Arc<CatalogState>) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state.clone();
    }

    /// The chain will be looked at again at `moment`.
    pub(super) fn will_look(&self, moment: Instant) {
        *self.next_look.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    fn is_late(&self) -> bool {
        Instant::now() > *self.next_look.lock().unwrap_or_else(PoisonError::into_inner) + LATE_AFTER
    }

    /// Logs trouble when it begins.
    pub(super) fn set_trouble(&self, trouble: Option<CatalogError>) {
        let gone = matches!(trouble, Some(CatalogError::Fenced { .. })) && self.retiring.load(Ordering::Relaxed);
        let trouble = trouble.filter(|_| !gone);
        let mut known = self.trouble.write().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &trouble) {
            (None, Some(cause)) => error!(%cause, "the catalog is not followed any more"),
            (Some(_), None) => info!("the catalog is followed again"),
            _ => {}
        }
        *known = trouble;
    }
}

impl Catalog {
    /// Reads the chain, registers as `writer`, and starts to follow on the current runtime. Whoever opened the same
    /// writer before commits nothing more.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        writer: Uuid,
        options: CatalogOptions,
    ) -> Result<Catalog, CatalogError> {
        let mut head = Head::load(store, options.clock.clone(), options.prune_after).await?;
        let me = register(&mut head, writer, &options).await?;
        Ok(Catalog::start(head, Some(me), options))
    }

    /// Reads the chain and starts to follow it; writes nothing, now or later.
    pub async fn read(store: Arc<dyn ObjectStore>, options: CatalogOptions) -> Result<Catalog, CatalogError> {
        let head = Head::load(store, options.clock.clone(), options.prune_after).await?;
        Ok(Catalog::start(head, None, options))
    }

    fn start(head: Head, me: Option<Me>, options: CatalogOptions) -> Catalog {
        let state = head.state().clone();
        info!(
            version = state.version,
            tables = state.tables().count(),
            writers = state.writers().count(),
            "catalog read"
        );
        let known = Arc::new(Known {
            state: RwLock::new(state.clone()),
            trouble: RwLock::default(),
            retiring: AtomicBool::new(false),
            next_look: Mutex::new(Instant::now()),
        });
        let (snapshots, snapshot_task) = me
            .map(|me| {
                let store = head.store().clone();
                let (snapshots, task) =
                    Snapshots::start(store, me.writer, me.epoch, options.snapshot_every, options.prune_after);
                snapshots.won(&state);
                (snapshots, task)
            })
            .unzip();
        let (requests, inbox) = mpsc::channel(QUEUE_MAX);
        let committer = Committer::new(head, me, known.clone(), snapshots, options);
        let committer = tokio::spawn(committer.run(inbox));
        Catalog { known, me, requests, tasks: Mutex::new(Some((committer, snapshot_task))) }
    }

    /// The writer that this process is, and the epoch of its opening; `None` when it only reads.
    pub(super) fn me(&self) -> Option<(Uuid, u64)> {
        self.me.map(|me| (me.writer, me.epoch))
    }

    /// The newest state this process knows.
    pub fn state(&self) -> Arc<CatalogState> {
        self.known.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for commits of others now. Returns when the state holds what there was, or when `patience` is over: then the
    /// state is what it was.
    pub async fn follow(&self, patience: Duration) {
        let (done, answer) = oneshot::channel();
        let asked = async {
            if self.requests.send(Request::Follow { done }).await.is_ok() {
                let _ = answer.await;
            }
        };
        let _ = tokio::time::timeout(patience, asked).await;
    }

    /// Returns at once as long as the state is as new as polling makes it. After a pause of the whole process (a suspended
    /// machine) it is not, and may name objects that are gone: then looks for commits of others, for `patience` at most.
    pub async fn settle(&self, patience: Duration) {
        if self.known.is_late() {
            self.follow(patience).await;
        }
    }

    /// Why the state is not kept up to date any more: this writer was taken over, or a commit cannot be read. A store
    /// that does not answer is no such trouble.
    pub fn trouble(&self) -> Option<CatalogError> {
        self.known.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this process may write, as far as it knows. Errors: [`CatalogError::ReadOnly`], [`CatalogError::Fenced`].
    pub fn check_writable(&self) -> Result<(), CatalogError> {
        match (self.me, self.trouble()) {
            (None, _) => Err(CatalogError::ReadOnly),
            (Some(_), Some(error @ CatalogError::Fenced { .. })) => Err(error),
            (Some(_), _) => Ok(()),
        }
    }

    /// Asks `plan` for changes to the newest state and commits them. Returns the state that holds them.
    ///
    /// `plan` may be asked several times, and sometimes sees a state that already holds what it asked for before (an
    /// answer was lost, or came too late to be believed): it must then ask for nothing more. An error of `plan` changes
    /// nothing and is returned.
    /// `Err(Store)` leaves open whether the commit will show up.
    pub async fn update<F>(&self, mut plan: F) -> Result<Arc<CatalogState>, CatalogError>
    where
        F: FnMut(&CatalogState) -> Result<Vec<Change>, CatalogError> + Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let checked = move |state: &CatalogState| {
            let changes = plan(state)?;
            state.check_external(&changes)?;
            state.check_dropping(&changes)?;
            Ok(changes)
        };
        let request = Request::Commit(Planned { plan: Box::new(checked), done });
        self.requests.send(request).await.map_err(|_| CatalogError::Closed)?;
        answer.await.map_err(|_| CatalogError::Closed)?
    }

    /// Says that this writer has nothing left to publish, so that others know whether they are alone. Nothing can be
    /// committed afterwards.
    pub async fn retire(&self) -> Result<(), CatalogError> {
        let Some(Me { writer, epoch }) = self.me else { return Ok(()) };
        let still_open = move |state: &CatalogState| state.writer(writer).is_some_and(|open| open.epoch == epoch);
        let close = move |state: &CatalogState| {
            Ok(still_open(state).then_some(Change::CloseWriter { writer, epoch }).into_iter().collect())
        };
        self.known.retiring.store(true, Ordering::Relaxed);
        self.update(close).await.map(|_| ())
    }

    /// Lets commits under way end and stops following.
    pub async fn close(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((committer, snapshots)) = tasks {
            let (done, answer) = oneshot::channel();
            // An empty change is answered after everything queued before it.
            let nothing = Planned { plan: Box::new(|_| Ok(Vec::new())), done };
            let _ = self.requests.send(Request::Commit(nothing)).await;
            let _ = answer.await;
            committer.abort();
            let _ = committer.await;
            if let Some(snapshots) = snapshots {
                snapshots.ended().await;
            }
        }
    }
}
