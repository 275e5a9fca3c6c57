//! The one who follows the chain of commits and extends it: the only owner of the state.
//!
//! A change is planned by a closure over the newest state. Changes that are asked for at the same time share a commit;
//! when another writer took the number, the chain is read to its end and every closure is asked again. A lost answer is
//! settled by reading the object under the number: the id in it says who won.
//!
//! Between changes it looks for commits of others: the next number is asked for until it is not there. The state only
//! ever goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::chain::Document;
use super::change::Change;
use super::error::CatalogError;
use super::handle::Known;
use super::head::{Extended, Found, Head};
use super::options::CatalogOptions;
use super::snapshots::Snapshots;
use super::state::CatalogState;

/// Most closures that share one commit.
const GROUP_MAX: usize = 256;
/// Commits of others that are taken over before the state is shown again.
const STEPS_MAX: usize = 64;
/// A store that does not answer is asked this often at least.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

type Plan = Box<dyn FnMut(&CatalogState) -> Result<Vec<Change>, CatalogError> + Send>;

pub(super) enum Request {
    Commit(Planned),
    /// Look for commits of others now.
    Follow {
        done: oneshot::Sender<()>,
    },
}

/// Changes that somebody waits for.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) done: oneshot::Sender<Result<Arc<CatalogState>, CatalogError>>,
}

/// As whom this process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Me {
    pub(super) writer: Uuid,
    pub(super) epoch: u64,
}

pub(super) struct Committer {
    head: Head,
    me: Option<Me>,
    known: Arc<Known>,
    snapshots: Option<Snapshots>,
    options: CatalogOptions,
    /// Failed polls in a row.
    failures: u32,
    next_poll: Instant,
}

impl Committer {
    pub(super) fn new(
        head: Head,
        me: Option<Me>,
        known: Arc<Known>,
        snapshots: Option<Snapshots>,
        options: CatalogOptions,
    ) -> Committer {
        let mut new = Committer { head, me, known, snapshots, options, failures: 0, next_poll: Instant::now() };
        new.at_end();
        new
    }

    /// Works until the last handle is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut requests = Vec::new();
        loop {
            tokio::select! {
                taken = inbox.recv_many(&mut requests, GROUP_MAX) => match taken {
                    0 => return,
                    _ => self.serve(std::mem::take(&mut requests)).await,
                },
                () = tokio::time::sleep_until(self.next_poll) => self.poll().await,
            }
        }
    }

    async fn serve(&mut self, requests: Vec<Request>) {
        let (mut group, mut followers) = (Vec::new(), Vec::new());
        for request in requests {
            match request {
                Request::Commit(planned) => group.push(planned),
                Request::Follow { done } => followers.push(done),
            }
        }
        if !followers.is_empty() {
            self.poll().await;
        }
        for done in followers {
            let _ = done.send(());
        }
        if !group.is_empty() {
            self.commit_group(group).await;
        }
    }

    async fn commit_group(&mut self, mut group: Vec<Planned>) {
        loop {
            let me = match self.check_me() {
                Ok(me) => me,
                Err(error) => return answer_all(group, Err(error)),
            };
            let base = self.head.state().clone();
            let (changes, next) = plan_group(&base, &mut group);
            if group.is_empty() {
                return;
            }
            if changes.is_empty() {
                return answer_all(group, Ok(base));
            }
            let commit =
                Document { id: Uuid::now_v7(), number: base.version + 1, writer: me.writer, epoch: me.epoch, changes };
            drop(base);
            match self.head.extend(&commit, next).await {
                Ok(Extended::Won) => {
                    self.at_end();
                    let state = self.head.state().clone();
                    if let Some(snapshots) = &self.snapshots {
                        snapshots.won(&state);
                    }
                    return answer_all(group, Ok(state));
                }
                Ok(Extended::Overtaken) => {
                    self.options.metrics.conflicts.inc();
                    // Whoever won has perhaps won more than this one.
                    if let Err(error) = self.follow().await {
                        self.failed(&error);
                        return answer_all(group, Err(error));
                    }
                }
                Err(error) => {
                    self.note_damage(&error);
                    return answer_all(group, Err(error));
                }
            }
        }
    }

    /// This process, if it may commit on the newest state: no one opened the same writer since.
    fn check_me(&self) -> Result<Me, CatalogError> {
        let me = self.me.ok_or(CatalogError::ReadOnly)?;
        match self.head.state().writer(me.writer) {
            Some(open) if open.epoch == me.epoch => Ok(me),
            other => Err(CatalogError::Fenced { writer: me.writer, by: other.map(|w| w.name.to_string()) }),
        }
    }

    async fn poll(&mut self) {
        self.options.metrics.polls.inc();
        match self.follow().await {
            Ok(()) if self.failures > 0 => {
                info!(failures = self.failures, "the chain of commits is read again");
                self.failures = 0;
            }
            Ok(()) => {}
            Err(error) => self.failed(&error),
        }
    }

    /// Reads the chain to its end. What was read is shown even if it goes no further.
    async fn follow(&mut self) -> Result<(), CatalogError> {
        let mut steps = 0;
        loop {
            match self.head.next().await {
                Ok(Found::More) => {
                    steps += 1;
                    if steps % STEPS_MAX == 0 {
                        self.show();
                    }
                }
                Ok(Found::End) => {
                    self.at_end();
                    return Ok(());
                }
                Err(error) => {
                    self.show();
                    return Err(error);
                }
            }
        }
    }

    fn show(&self) {
        self.known.publish(self.head.state());
        self.options.metrics.version.set(i64::try_from(self.head.state().version).unwrap_or(i64::MAX));
    }

    /// The chain was just seen to end with the state.
    fn at_end(&mut self) {
        self.show();
        self.options.metrics.followed_at.set((self.options.clock)() as f64 / 1e9);
        self.known.set_trouble(match self.check_me() {
            Err(fenced @ CatalogError::Fenced { .. }) => Some(fenced),
            _ => None,
        });
        let alone = self.me.is_some_and(|me| !self.head.state().is_shared(me.writer));
        self.look_after(if alone { self.options.poll_alone } else { self.options.poll });
    }

    fn failed(&mut self, error: &CatalogError) {
        self.note_damage(error);
        self.options.metrics.poll_failures.inc();
        if self.failures == 0 {
            warn!(%error, "commits of others cannot be read; trying on");
        }
        self.failures = self.failures.saturating_add(1);
        let pause =
            self.options.poll.saturating_mul(1 << self.failures.min(10)).min(BACKOFF_MAX.max(self.options.poll));
        // Processes that lost the store together should not come back in step: each has an id of its own.
        let share = self.me.map_or(0, |me| u32::from(me.writer.as_bytes()[15]));
        self.look_after(pause - pause * share / 1024);
    }

    fn look_after(&mut self, pause: Duration) {
        self.next_poll = Instant::now() + pause;
        self.known.will_look(self.next_poll);
    }

    /// A commit that cannot be read is never passed over: nothing goes on until it can.
    fn note_damage(&self, error: &CatalogError) {
        if matches!(error, CatalogError::Corrupt { .. } | CatalogError::NewerFormat { .. }) {
            self.known.set_trouble(Some(error.clone()));
        }
    }
}

/// Asks every closure in turn, each on the state that the ones before it lead to. Closures that fail are answered and leave the group.
fn plan_group(base: &CatalogState, group: &mut Vec<Planned>) -> (Vec<Change>, CatalogState) {
    let mut next = base.clone();
    let mut changes = Vec::new();
    let mut planned = Vec::with_capacity(group.len());
    for mut request in group.drain(..) {
        match (request.plan)(&next) {
            Ok(wanted) if wanted.iter().any(Change::nests_too_deep) => {
                let _ = request.done.send(Err(CatalogError::TooDeep));
            }
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

fn answer_all(group: Vec<Planned>, answer: Result<Arc<CatalogState>, CatalogError>) {
    for request in group {
        let _ = request.done.send(answer.clone());
    }
}
