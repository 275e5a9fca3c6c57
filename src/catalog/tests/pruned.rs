//! Names of pruned commits are free again: who slept through a pruning must not fall for it.

use std::time::Duration;

use super::*;
use crate::storage::held::{HeldStore, Holding};

/// Everything that is needless is pruned at once, and no answer is believed without a look at the snapshots.
fn pruned_at_once() -> CatalogOptions {
    CatalogOptions { snapshot_every: 3, prune_after: Duration::ZERO, poll: Duration::from_millis(5), ..options() }
}

/// Commits until commit `number` is gone.
async fn commit_past(store: &Arc<dyn ObjectStore>, writer: &Catalog, number: u64) {
    for i in 0.. {
        writer.create_database(database(&format!("past{i}")), IfExists::Fail).await.unwrap();
        let found = store.head(&layout::commit_key(number)).await;
        if writer.state().version > number && matches!(found, Err(object_store::Error::NotFound { .. })) {
            return;
        }
        assert!(i < 1000, "commit {number} is never pruned");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A writer whose put of a commit waits until that number was used by another and pruned.
#[tokio::test]
async fn a_commit_under_a_pruned_number_counts_for_nothing_and_is_made_again() {
    let inner = memory();
    let store = HeldStore::over(&inner);
    let zombie = Arc::new(Catalog::open(store.clone(), Uuid::from_u128(1), pruned_at_once()).await.unwrap());
    let other = Catalog::open(inner.clone(), Uuid::from_u128(2), pruned_at_once()).await.unwrap();
    // The zombie knows of the other one, so that the next number is free.
    zombie.create_database(database("early"), IfExists::Fail).await.unwrap();
    let number = zombie.state().version + 1;
    store.hold(Holding::Puts("catalog/"));
    let late = tokio::spawn({
        let zombie = zombie.clone();
        async move { zombie.create_database(database("late"), IfExists::Fail).await }
    });
    store.someone_waits().await;
    commit_past(&inner, &other, number).await;
    let passed = other.state().version;
    store.hold(Holding::Nothing);
    let state = late.await.unwrap().unwrap();
    assert!(state.version > passed, "{} of {passed}", state.version);
    let truth = names(&Catalog::read(inner.clone(), options()).await.unwrap());
    for name in ["early", "late", "past0"] {
        assert!(truth.iter().any(|known| known == name), "{name} is not among {truth:?}");
    }
    assert_eq!(names(&zombie), truth);
}

/// A reader whose question for the next number waits until that number was pruned: it finds nothing.
#[tokio::test]
async fn a_follower_does_not_take_a_pruned_number_for_the_end() {
    let inner = memory();
    let store = HeldStore::over(&inner);
    let writer = Catalog::open(inner.clone(), Uuid::from_u128(1), pruned_at_once()).await.unwrap();
    let reader = Catalog::read(store.clone(), pruned_at_once()).await.unwrap();
    store.hold(Holding::Gets("catalog/"));
    store.someone_waits().await;
    commit_past(&inner, &writer, writer.state().version + 1).await;
    store.hold(Holding::Nothing);
    eventually(|| reader.state().version == writer.state().version).await;
    assert_eq!(names(&reader), names(&writer));
}

/// The same when a zombie has put something under that number meanwhile.
#[tokio::test]
async fn a_follower_does_not_believe_what_a_zombie_put_under_a_pruned_number() {
    let inner = memory();
    let store = HeldStore::over(&inner);
    let writer = Catalog::open(inner.clone(), Uuid::from_u128(1), pruned_at_once()).await.unwrap();
    let reader = Catalog::read(store.clone(), pruned_at_once()).await.unwrap();
    let number = writer.state().version + 1;
    store.hold(Holding::Gets("catalog/"));
    store.someone_waits().await;
    commit_past(&inner, &writer, number).await;
    let drop_all = Change::DropDatabase { tenant: "cnosdb".into(), database: "public".into() };
    let (id, zombie) = (Uuid::from_u128(9), Uuid::from_u128(9));
    let void = Document { id, number, writer: zombie, epoch: 1, changes: vec![drop_all] };
    inner.put(&layout::commit_key(number), void.encode(DocumentKind::Commit).into()).await.unwrap();
    store.hold(Holding::Nothing);
    eventually(|| reader.state().version == writer.state().version).await;
    assert_eq!(names(&reader), names(&writer));
}

#[tokio::test]
async fn a_pruning_keeps_what_a_start_needs() {
    let store = memory();
    let catalog = Catalog::open(store.clone(), Uuid::from_u128(1), pruned_at_once()).await.unwrap();
    commit_past(&store, &catalog, 20).await;
    catalog.close().await;
    let read = Catalog::read(store.clone(), options()).await.unwrap();
    assert_eq!((read.state().version, names(&read)), (catalog.state().version, names(&catalog)));
    // Of two snapshots the newer one may be damaged.
    let newest = catalog.state().version / 3 * 3;
    let mut snapshots: Vec<u64> = Vec::new();
    for number in 1..=newest {
        if store.head(&layout::snapshot_key(number)).await.is_ok() {
            snapshots.push(number);
        }
    }
    assert_eq!(snapshots.len(), 2, "{snapshots:?}");
    store.put(&layout::snapshot_key(snapshots[1]), PutPayload::from_static(b"damaged")).await.unwrap();
    let read = Catalog::read(store.clone(), options()).await.unwrap();
    assert_eq!((read.state().version, names(&read)), (catalog.state().version, names(&catalog)));
}

#[tokio::test]
async fn nothing_is_pruned_before_its_time() {
    let store = memory();
    let patient = CatalogOptions { prune_after: Duration::from_secs(3600), ..pruned_at_once() };
    let catalog = Catalog::open(store.clone(), Uuid::from_u128(1), patient).await.unwrap();
    for i in 0..20 {
        catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.unwrap();
    }
    catalog.close().await;
    for number in 1..=20 {
        assert!(store.head(&layout::commit_key(number)).await.is_ok(), "commit {number}");
    }
}
