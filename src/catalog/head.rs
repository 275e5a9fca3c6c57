//! Where the chain ends, as far as this process knows.
//!
//! Owns: the rule by which the answer to "who has number N" may be believed. That is not plain, because commits are
//! pruned, and **the name of a pruned commit is free again**: a process that slept through a pruning could create
//! commit N a second time and think that it won, or find nothing under N and think that the chain ends there.
//!
//! The rule. Let this process know the chain up to N-1.
//! - *Void*: an answer about N is void once commit N may have been pruned. A pruner removes N only while two snapshots
//!   of N or later exist, and never removes the newest two; so from then on there **is** a snapshot of N or later for
//!   ever. And a snapshot of N or later is only ever made by someone who knew the true commit N. Hence: no snapshot of N
//!   or later, listed **after** the answer, proves that N had not been pruned when the answer was given; whatever it
//!   said was true.
//! - Listing costs; most of the time it is needless. `sure` is a moment at which there was no snapshot of N or later
//!   (there was not even a commit N). To prune N, a pruner needs a snapshot of N or later which is older by
//!   `prune_after` than another one, both ages told by the store. So N cannot have been pruned before `sure` +
//!   `prune_after`, and answers that came within a quarter of that need no listing. The time that passed is measured
//!   by both clocks of the machine, of which the larger counts: one stands still while the machine is suspended, the
//!   other can be set back.
//! - If there is such a snapshot, nothing is wrong with the chain, we only do not know: the newest snapshot is loaded,
//!   which is further on, and the change is planned again on it. (Had the answer been true after all, the plan sees its
//!   own effects and asks for nothing more.) A commit that was put in vain lies under a number that everyone has
//!   passed; it is removed with its likes by the next pruning.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use tracing::{info, warn};

use crate::model::Clock;
use crate::storage::layout;

use super::chain::Document;
use super::error::CatalogError;
use super::objects::{Loaded, Put, apply_commit, is_snapshot_from, put_commit, read_commit, read_newest_snapshot};
use super::state::CatalogState;

/// What a look at the next number found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The state went on; there may be more.
    More,
    End,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extended {
    Won,
    /// Others were first. The state went on.
    Overtaken,
}

/// The newest state this process knows, and the way on from there.
pub(super) struct Head {
    store: Arc<dyn ObjectStore>,
    clock: Clock,
    prune_after: Duration,
    state: Arc<CatalogState>,
    /// There was no snapshot later than `state` at this moment.
    sure: Moment,
    /// A snapshot that could not be read: the chain is at least so long.
    damage: Option<(u64, CatalogError)>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    steady: Instant,
    clock_ns: i64,
}

impl Head {
    /// Reads the newest snapshot and the commits after it.
    pub(super) async fn load(
        store: Arc<dyn ObjectStore>,
        clock: Clock,
        prune_after: Duration,
    ) -> Result<Head, CatalogError> {
        let sure = Moment::now(&clock);
        let Loaded { state, damage } = read_newest_snapshot(&*store).await?;
        let mut head = Head { store, clock, prune_after, state: Arc::new(state), sure, damage };
        while head.next().await? == Found::More {}
        Ok(head)
    }

    pub(super) fn state(&self) -> &Arc<CatalogState> {
        &self.state
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Looks for the next commit and applies it.
    pub(super) async fn next(&mut self) -> Result<Found, CatalogError> {
        let number = self.state.version + 1;
        let asked = Moment::now(&self.clock);
        let found = read_commit(&*self.store, number).await;
        if self.reload_if_void(number).await? {
            return Ok(Found::More);
        }
        match found? {
            Some(commit) => {
                apply_commit(&mut self.state, &commit);
                Ok(Found::More)
            }
            None => match &self.damage {
                Some((least, error)) if self.state.version < *least => Err(error.clone()),
                _ => {
                    self.damage = None;
                    self.sure = asked;
                    Ok(Found::End)
                }
            },
        }
    }

    /// Puts `commit`, which was planned on this state and leads to `next`.
    ///
    /// `Err(Store)` leaves open whether the commit will show up.
    pub(super) async fn extend(&mut self, commit: &Document, next: CatalogState) -> Result<Extended, CatalogError> {
        let asked = Moment::now(&self.clock);
        let put = put_commit(&*self.store, commit).await;
        if self.reload_if_void(commit.number).await? {
            return Ok(Extended::Overtaken);
        }
        match put? {
            Put::Won => {
                self.state = Arc::new(next);
                self.sure = asked;
                Ok(Extended::Won)
            }
            Put::Lost(winner) => {
                apply_commit(&mut self.state, &winner);
                Ok(Extended::Overtaken)
            }
        }
    }

    /// Asked after an answer about `number`, the next one. `true`: the answer says nothing, and the state went on to
    /// that of a snapshot.
    async fn reload_if_void(&mut self, number: u64) -> Result<bool, CatalogError> {
        let asked = Moment::now(&self.clock);
        if self.sure.until(asked) <= self.prune_after / 4 {
            return Ok(false);
        }
        if !is_snapshot_from(&*self.store, number).await? {
            self.sure = asked;
            return Ok(false);
        }
        let asked = Moment::now(&self.clock);
        let Loaded { state, damage } = read_newest_snapshot(&*self.store).await?;
        if state.version < number {
            let object = layout::snapshots_prefix().to_string();
            let what = format!("none of commit {number} or later can be read, and commits that old may be gone");
            return Err(damage.map_or(CatalogError::Corrupt { object, what }, |(_, error)| error));
        }
        info!(from = self.state.version, to = state.version, "the catalog went on by a snapshot");
        self.state = Arc::new(state);
        self.sure = asked;
        if let Some((number, _)) = &damage {
            warn!(number, "a snapshot is damaged");
        }
        self.damage = damage;
        Ok(true)
    }
}

impl Moment {
    fn now(clock: &Clock) -> Moment {
        Moment { steady: Instant::now(), clock_ns: clock() }
    }

    fn until(self, later: Moment) -> Duration {
        let by_clock = u64::try_from(later.clock_ns.saturating_sub(self.clock_ns)).unwrap_or(0);
        later.steady.saturating_duration_since(self.steady).max(Duration::from_nanos(by_clock))
    }
}
