//! Snapshots: the whole state as one object, so that a start reads few commits, and the removal of what they make
//! needless. A task of its own, one snapshot at a time: commits do not wait for it.
//!
//! The winner of every so many-th commit writes the snapshot of it, so that two processes do not write the same. What
//! fails only costs time at the next start: the next snapshot makes up for it.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;
use uuid::Uuid;

use crate::storage::layout;

use super::chain::{Document, DocumentKind};
use super::error::CatalogError;
use super::state::CatalogState;

/// A stop waits so long for a snapshot under way.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// Asks for snapshots; of several that wait the newest is written.
pub(super) struct Snapshots {
    wanted: watch::Sender<Option<Arc<CatalogState>>>,
    every: u64,
}

/// Ends when [`Snapshots`] is dropped and what it asked for is written.
#[derive(Debug)]
pub(super) struct SnapshotTask(JoinHandle<()>);

impl Snapshots {
    pub(super) fn start(
        store: Arc<dyn ObjectStore>,
        writer: Uuid,
        epoch: u64,
        every: u64,
        prune_after: Duration,
    ) -> (Snapshots, SnapshotTask) {
        let (wanted, mut states) = watch::channel(None::<Arc<CatalogState>>);
        let task = tokio::spawn(async move {
            while states.changed().await.is_ok() {
                let Some(state) = states.borrow_and_update().clone() else { continue };
                let version = state.version;
                if let Err(error) = write_snapshot(&*store, state, writer, epoch).await {
                    warn!(%error, version, "snapshot not written");
                } else if let Err(error) = prune(&*store, prune_after).await {
                    warn!(%error, "old commits were not removed");
                }
            }
        });
        (Snapshots { wanted, every: every.max(1) }, SnapshotTask(task))
    }

    /// Says that this process won the commit that led to `state`.
    pub(super) fn won(&self, state: &Arc<CatalogState>) {
        if state.version.is_multiple_of(self.every) {
            self.wanted.send_replace(Some(state.clone()));
        }
    }
}

impl SnapshotTask {
    pub(super) async fn ended(mut self) {
        if tokio::time::timeout(STOP_WAIT, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn write_snapshot(
    store: &dyn ObjectStore,
    state: Arc<CatalogState>,
    writer: Uuid,
    epoch: u64,
) -> Result<(), CatalogError> {
    let number = state.version;
    let encode = move || {
        let document = Document { id: Uuid::now_v7(), number, writer, epoch, changes: state.as_changes() };
        document.encode(DocumentKind::Snapshot)
    };
    let encoded = tokio::task::spawn_blocking(encode)
        .await
        .map_err(|error| object_store::Error::Generic { store: "snapshot", source: error.into() })?;
    store.put(&layout::snapshot_key(number), PutPayload::from_bytes(encoded)).await?;
    Ok(())
}

/// Keeps the newest two snapshots, and every one that was the newest less than `prune_after` ago; removes the others,
/// and the commits up to the oldest one kept.
///
/// Ages are differences of times that the store itself gave to its objects: no clock of ours decides, and a snapshot
/// is removed only when another one, made at least `prune_after` after its successor, is there for good.
pub(super) async fn prune(store: &dyn ObjectStore, prune_after: Duration) -> Result<(), CatalogError> {
    let listed: Vec<ObjectMeta> = store.list(Some(&layout::snapshots_prefix())).try_collect().await?;
    let numbered = |meta: ObjectMeta| Some((layout::parse_snapshot_key(&meta.location)?, meta));
    let mut snapshots: Vec<_> = listed.into_iter().filter_map(numbered).collect();
    snapshots.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let [(_, newest), older @ ..] = &snapshots[..] else { return Ok(()) };
    let long_ago = newest.last_modified - prune_after;
    let Some(kept) = older.iter().position(|(_, meta)| meta.last_modified <= long_ago) else { return Ok(()) };
    let keep_after = older[kept].0;
    for (_, meta) in &older[kept + 1..] {
        remove(store, meta).await?;
    }
    let mut commits = store.list(Some(&layout::commits_prefix()));
    while let Some(meta) = commits.try_next().await? {
        let needless = layout::parse_commit_key(&meta.location).is_some_and(|number| number <= keep_after);
        if needless && meta.last_modified <= long_ago {
            remove(store, &meta).await?;
        }
    }
    Ok(())
}

async fn remove(store: &dyn ObjectStore, meta: &ObjectMeta) -> Result<(), CatalogError> {
    match store.delete(&meta.location).await {
        // Another process prunes too.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
