//! The chain's objects in the store: reading, finding and creating them.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tracing::warn;

use crate::storage::layout;

use super::chain::{Document, DocumentKind};
use super::error::CatalogError;
use super::state::CatalogState;

/// Pauses between tries of a store that does not answer; their sum is what a change waits at most, time-outs apart.
const RETRY_PAUSES_MS: [u64; 5] = [50, 100, 250, 500, 1000];
/// Times that the snapshots are listed anew because the one to be read was pruned meanwhile.
const LISTINGS_MAX: usize = 3;

/// Who has the number of a commit.
#[derive(Debug)]
pub(super) enum Put {
    Won,
    Lost(Box<Document>),
}

/// `None`: there is no such commit, not yet or not any more.
pub(super) async fn read_commit(store: &dyn ObjectStore, number: u64) -> Result<Option<Document>, CatalogError> {
    let key = layout::commit_key(number);
    let bytes = match store.get(&key).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Document::decode(DocumentKind::Commit, key.as_ref(), number, &bytes).map(Some)
}

/// Puts a commit under its number, whatever happens to the answers.
pub(super) async fn put_commit(store: &dyn ObjectStore, commit: &Document) -> Result<Put, CatalogError> {
    let key = layout::commit_key(commit.number);
    let body = commit.encode(DocumentKind::Commit);
    let mut pauses = RETRY_PAUSES_MS.iter();
    loop {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let cause = match store.put_opts(&key, PutPayload::from_bytes(body.clone()), options).await {
            Ok(_) => return Ok(Put::Won),
            Err(cause) => cause,
        };
        // "Already exists" may mean that our own, retried create came through; an error may hide a success.
        match read_commit(store, commit.number).await {
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

/// Whether there is a snapshot of commit `number` or a later one. A LIST: not for every commit.
pub(super) async fn is_snapshot_from(store: &dyn ObjectStore, number: u64) -> Result<bool, CatalogError> {
    let offset = layout::snapshot_key(number.saturating_sub(1));
    let mut listing = store.list_with_offset(Some(&layout::snapshots_prefix()), &offset);
    while let Some(meta) = listing.try_next().await? {
        if layout::parse_snapshot_key(&meta.location).is_some_and(|found| found >= number) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What snapshots say.
pub(super) struct Loaded {
    /// The newest readable snapshot; the initial state when there is none.
    pub(super) state: CatalogState,
    /// A newer snapshot that could not be read, and why. Commits must lead at least as far.
    pub(super) damage: Option<(u64, CatalogError)>,
}

/// Reads the newest snapshot, or an older one if that is damaged.
pub(super) async fn read_newest_snapshot(store: &dyn ObjectStore) -> Result<Loaded, CatalogError> {
    let mut listings = 1;
    'listing: loop {
        let prefix = layout::snapshots_prefix();
        let keys: Vec<_> = store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await?;
        let mut numbers: Vec<u64> = keys.iter().filter_map(layout::parse_snapshot_key).collect();
        numbers.sort_unstable();
        let mut damage = None;
        for number in numbers.into_iter().rev() {
            let key = layout::snapshot_key(number);
            let found = match store.get(&key).await {
                Err(object_store::Error::NotFound { .. }) if listings < LISTINGS_MAX => {
                    listings += 1;
                    continue 'listing;
                }
                found => found?,
            };
            match Document::decode(DocumentKind::Snapshot, key.as_ref(), number, &found.bytes().await?) {
                Ok(document) => {
                    let state = CatalogState::from_changes(number, &document.changes);
                    return Ok(Loaded { state, damage });
                }
                Err(error @ CatalogError::Corrupt { .. }) => {
                    warn!(%error, "falling back to an older snapshot");
                    damage.get_or_insert((number, error));
                }
                Err(error) => return Err(error),
            }
        }
        return Ok(Loaded { state: CatalogState::initial(), damage });
    }
}

/// A commit's steps applied to a state that all commits before it led to.
pub(super) fn apply_commit(state: &mut Arc<CatalogState>, commit: &Document) {
    let state = Arc::make_mut(state);
    for change in &commit.changes {
        state.apply(change);
    }
    state.version = commit.number;
}
