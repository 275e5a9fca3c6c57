//! The one who reads the chain of commits and extends it.
//!
//! Owns: the current state, the order of commits of this process, snapshots, pruning of what snapshots made needless.
//! Does not own: what the changes mean to others.
//!
//! A change is planned by a closure over the newest state. Changes that are asked for at the same time share a commit;
//! when another writer took the number, its commit is read and every closure is asked again. A lost answer is settled
//! by reading the object under the number: the id in it says who won.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};
use uuid::Uuid;

use crate::model::Clock;
use crate::storage::layout;

use super::chain::{Document, DocumentKind};
use super::change::Change;
use super::error::CatalogError;
use super::state::CatalogState;

/// Most closures that share one commit.
const GROUP_MAX: usize = 256;
/// Requests that may wait for the committer.
const QUEUE_MAX: usize = 1024;
/// Pauses between tries of a store that does not answer; their sum is what a change waits at most, time-outs apart.
const RETRY_PAUSES_MS: [u64; 5] = [50, 100, 250, 500, 1000];
/// Commits and snapshots are removed this long after two newer snapshots made them needless.
const PRUNE_AFTER: Duration = Duration::from_secs(3600);

/// How the catalog keeps itself.
#[derive(Clone)]
pub struct CatalogOptions {
    /// A snapshot is written every so many commits.
    pub snapshot_every: u64,
    pub clock: Clock,
}

type Plan = Box<dyn FnMut(&CatalogState) -> Result<Vec<Change>, CatalogError> + Send>;

struct Request {
    plan: Plan,
    done: oneshot::Sender<Result<Arc<CatalogState>, CatalogError>>,
}

/// The catalog of one store.
#[derive(Debug)]
pub struct Catalog {
    state: Arc<RwLock<Arc<CatalogState>>>,
    requests: mpsc::Sender<Request>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

impl Catalog {
    /// Reads the newest snapshot and the commits after it, and starts the committer on the current runtime.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        writer: Uuid,
        options: CatalogOptions,
    ) -> Result<Catalog, CatalogError> {
        let mut state = read_newest_snapshot(&store).await?;
        while let Some(commit) = read_commit(&store, state.version + 1).await? {
            apply_commit(&mut state, &commit);
        }
        info!(version = state.version, tables = state.tables().count(), "catalog read");
        let state = Arc::new(RwLock::new(Arc::new(state)));
        let (requests, inbox) = mpsc::channel(QUEUE_MAX);
        let committer = Committer { store, writer, options, state: state.clone() };
        let committer = Mutex::new(Some(tokio::spawn(committer.run(inbox))));
        Ok(Catalog { state, requests, committer })
    }

    /// The newest state this process knows.
    pub fn state(&self) -> Arc<CatalogState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Asks `plan` for changes to the newest state and commits them. Returns the state that holds them.
    ///
    /// `plan` may be asked several times, and after a lost answer sees a state that already holds what it asked for
    /// before: it must then ask for nothing more. An error of `plan` changes nothing and is returned.
    /// `Err(Store)` leaves open whether the commit will show up.
    pub async fn update<F>(&self, plan: F) -> Result<Arc<CatalogState>, CatalogError>
    where
        F: FnMut(&CatalogState) -> Result<Vec<Change>, CatalogError> + Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let request = Request { plan: Box::new(plan), done };
        self.requests.send(request).await.map_err(|_| CatalogError::Closed)?;
        answer.await.map_err(|_| CatalogError::Closed)?
    }

    /// Lets commits under way end and stops the committer.
    pub async fn close(&self) {
        let committer = self.committer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(committer) = committer {
            let (done, answer) = oneshot::channel();
            // An empty change is answered after everything queued before it.
            let _ = self.requests.send(Request { plan: Box::new(|_| Ok(Vec::new())), done }).await;
            let _ = answer.await;
            committer.abort();
        }
    }
}

struct Committer {
    store: Arc<dyn ObjectStore>,
    writer: Uuid,
    options: CatalogOptions,
    state: Arc<RwLock<Arc<CatalogState>>>,
}

impl Committer {
    async fn run(self, mut inbox: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while inbox.recv_many(&mut group, GROUP_MAX).await > 0 {
            self.commit_group(std::mem::take(&mut group)).await;
        }
    }

    fn current(&self) -> Arc<CatalogState> {
        self.state.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn publish(&self, state: CatalogState) -> Arc<CatalogState> {
        let state = Arc::new(state);
        *self.state.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = state.clone();
        state
    }

    async fn commit_group(&self, mut group: Vec<Request>) {
        loop {
            let base = self.current();
            let (changes, next) = plan_group(&base, &mut group);
            if group.is_empty() {
                return;
            }
            if changes.is_empty() {
                answer_all(group, Ok(base));
                return;
            }
            let commit = Document { id: Uuid::now_v7(), number: base.version + 1, writer: self.writer, changes };
            match self.put(&commit).await {
                Ok(Put::Won) => {
                    let state = self.publish(next);
                    answer_all(group, Ok(state.clone()));
                    if state.version.is_multiple_of(self.options.snapshot_every.max(1)) {
                        self.snapshot(&state).await;
                    }
                    return;
                }
                Ok(Put::Lost(winner)) => {
                    let mut state = (*base).clone();
                    apply_commit(&mut state, &winner);
                    self.publish(state);
                }
                Err(error) => {
                    answer_all(group, Err(error));
                    return;
                }
            }
        }
    }

    /// Puts a commit under its number, whatever happens to the answers.
    async fn put(&self, commit: &Document) -> Result<Put, CatalogError> {
        let key = layout::commit_key(commit.number);
        let body = commit.encode(DocumentKind::Commit);
        let mut pauses = RETRY_PAUSES_MS.iter();
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = self.store.put_opts(&key, PutPayload::from_bytes(body.clone()), options).await;
            let cause = match put {
                Ok(_) => return Ok(Put::Won),
                Err(cause) => cause,
            };
            // "Already exists" may mean that our own, retried create came through; an error may hide a success.
            match read_commit(&self.store, commit.number).await {
                Ok(Some(found)) if found.id == commit.id => return Ok(Put::Won),
                Ok(Some(found)) => return Ok(Put::Lost(Box::new(found))),
                Ok(None) => {}
                Err(CatalogError::Store { .. }) => {}
                Err(other) => return Err(other),
            }
            match pauses.next() {
                Some(pause) => {
                    warn!(number = commit.number, error = %cause, "commit put again");
                    tokio::time::sleep(Duration::from_millis(*pause)).await;
                }
                None => return Err(cause.into()),
            }
        }
    }

    /// Writes the state as a snapshot and removes what two snapshots made needless. Failures only cost time at the next start.
    async fn snapshot(&self, state: &CatalogState) {
        let document =
            Document { id: Uuid::now_v7(), number: state.version, writer: self.writer, changes: state.as_changes() };
        let body = document.encode(DocumentKind::Snapshot);
        match self.store.put(&layout::snapshot_key(state.version), PutPayload::from_bytes(body)).await {
            Ok(_) => {
                if let Err(error) = prune(&self.store, (self.options.clock)()).await {
                    warn!(%error, "old commits were not removed");
                }
            }
            Err(error) => warn!(%error, version = state.version, "snapshot not written"),
        }
    }
}

enum Put {
    Won,
    Lost(Box<Document>),
}

/// Asks every closure in turn, each on the state that the ones before it lead to. Closures that fail are answered and leave the group.
fn plan_group(base: &CatalogState, group: &mut Vec<Request>) -> (Vec<Change>, CatalogState) {
    let mut next = base.clone();
    let mut changes = Vec::new();
    let mut planned = Vec::with_capacity(group.len());
    for mut request in group.drain(..) {
        match (request.plan)(&next) {
            Ok(wanted) => {
                for change in wanted {
                    next.apply(&change);
                    changes.push(change);
                }
                planned.push(request);
            }
            Err(error) => {
                let _ = request.done.send(Err(error));
            }
        }
    }
    *group = planned;
    next.version = base.version + 1;
    (changes, next)
}

fn answer_all(group: Vec<Request>, answer: Result<Arc<CatalogState>, CatalogError>) {
    for request in group {
        let _ = request.done.send(answer.clone());
    }
}

fn apply_commit(state: &mut CatalogState, commit: &Document) {
    for change in &commit.changes {
        state.apply(change);
    }
    state.version = commit.number;
}

async fn read_commit(store: &Arc<dyn ObjectStore>, number: u64) -> Result<Option<Document>, CatalogError> {
    let key = layout::commit_key(number);
    let bytes = match store.get(&key).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Document::decode(DocumentKind::Commit, key.as_ref(), number, &bytes).map(Some)
}

/// The newest snapshot that can be read; the initial state when there is none.
async fn read_newest_snapshot(store: &Arc<dyn ObjectStore>) -> Result<CatalogState, CatalogError> {
    let mut numbers = Vec::new();
    let prefix = layout::snapshots_prefix();
    let mut listing = store.list(Some(&prefix));
    while let Some(found) = listing.next().await {
        numbers.extend(layout::parse_snapshot_key(&found?.location));
    }
    numbers.sort_unstable();
    let mut damage = None;
    for number in numbers.into_iter().rev() {
        let key = layout::snapshot_key(number);
        let bytes = store.get(&key).await?.bytes().await?;
        match Document::decode(DocumentKind::Snapshot, key.as_ref(), number, &bytes) {
            Ok(document) => return Ok(CatalogState::from_changes(number, &document.changes)),
            Err(error @ CatalogError::Corrupt { .. }) => {
                warn!(%error, "falling back to an older snapshot");
                damage = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    // Without any readable snapshot the chain must be there from its first commit on.
    match damage {
        Some(error) if read_commit(store, 1).await?.is_none() => Err(error),
        _ => Ok(CatalogState::initial()),
    }
}

/// Removes snapshots but the newest two, and commits up to the older of these, once they have been needless for a while.
async fn prune(store: &Arc<dyn ObjectStore>, now_ns: i64) -> Result<(), CatalogError> {
    let long_ago = chrono::DateTime::from_timestamp_nanos(now_ns) - PRUNE_AFTER;
    let mut snapshots = Vec::new();
    let mut listing = store.list(Some(&layout::snapshots_prefix()));
    while let Some(found) = listing.next().await {
        let meta = found?;
        snapshots.extend(layout::parse_snapshot_key(&meta.location).map(|number| (number, meta)));
    }
    drop(listing);
    snapshots.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let Some((keep_after, second)) = snapshots.get(1).cloned() else { return Ok(()) };
    if second.last_modified > long_ago {
        return Ok(());
    }
    for (_, meta) in snapshots.iter().skip(2) {
        store.delete(&meta.location).await?;
    }
    let mut listing = store.list(Some(&layout::commits_prefix()));
    while let Some(found) = listing.next().await {
        let meta = found?;
        let needless = layout::parse_commit_key(&meta.location).is_some_and(|number| number <= keep_after);
        if needless && meta.last_modified < long_ago {
            store.delete(&meta.location).await?;
        }
    }
    Ok(())
}
