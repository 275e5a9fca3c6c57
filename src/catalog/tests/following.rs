//! What a process learns of the commits of others.

use std::time::Duration;

use super::*;
use crate::storage::held::{HeldStore, Holding};

fn quick() -> CatalogOptions {
    CatalogOptions { poll: Duration::from_millis(5), ..options() }
}

#[tokio::test]
async fn a_reader_follows_and_writes_nothing() {
    let store = memory();
    let writer = open(&store, 1).await;
    writer.create_database(database("before"), IfExists::Fail).await.unwrap();
    let reader = Catalog::read(store.clone(), quick()).await.unwrap();
    assert_eq!(names(&reader), ["public", "before"]);
    writer.create_database(database("after"), IfExists::Fail).await.unwrap();
    eventually(|| names(&reader) == ["public", "before", "after"]).await;
    let refused = reader.create_database(database("own"), IfExists::Fail).await;
    assert!(matches!(refused, Err(CatalogError::ReadOnly)), "{refused:?}");
    assert!(matches!(reader.check_writable(), Err(CatalogError::ReadOnly)));
    reader.retire().await.unwrap();
    reader.close().await;
    assert_eq!(Catalog::read(store, quick()).await.unwrap().state().version, writer.state().version);
}

#[tokio::test]
async fn writers_that_share_a_store_see_each_other() {
    let store = memory();
    let one = Catalog::open(store.clone(), Uuid::from_u128(1), quick()).await.unwrap();
    let two = Catalog::open(store.clone(), Uuid::from_u128(2), quick()).await.unwrap();
    one.create_database(database("one"), IfExists::Fail).await.unwrap();
    eventually(|| names(&two) == ["public", "one"]).await;
    two.create_database(database("two"), IfExists::Fail).await.unwrap();
    eventually(|| names(&one) == ["public", "one", "two"]).await;
}

#[tokio::test]
async fn a_lone_writer_asks_rarely_and_nobody_lists() {
    let inner = memory();
    let store = HeldStore::over(&inner);
    let alone = CatalogOptions { poll_alone: Duration::from_secs(3600), snapshot_every: 1000, ..quick() };
    let catalog = Catalog::open(store.clone(), Uuid::from_u128(1), alone).await.unwrap();
    let lists = store.lists.load(Ordering::Relaxed);
    let gets = store.gets.load(Ordering::Relaxed);
    for i in 0..10 {
        catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.gets.load(Ordering::Relaxed), gets, "commits without conflicts read nothing");
    let other = open(&inner, 2).await;
    catalog.create_database(database("e"), IfExists::Fail).await.unwrap();
    let gets = store.gets.load(Ordering::Relaxed);
    eventually(|| store.gets.load(Ordering::Relaxed) > gets + 3).await;
    assert_eq!(store.lists.load(Ordering::Relaxed), lists);
    drop(other);
}

/// One thread, so that who sleeps on it stops everything, as a suspended machine does.
#[tokio::test]
async fn who_slept_catches_up_before_anything_is_asked() {
    let store = memory();
    let (writer, reader) = (open(&store, 1).await, Catalog::read(store.clone(), quick()).await.unwrap());
    writer.create_database(database("d"), IfExists::Fail).await.unwrap();
    assert_eq!(names(&reader), ["public"]);
    reader.settle(Duration::from_secs(10)).await;
    assert_eq!(names(&reader), ["public"], "nothing is late yet");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(names(&reader), ["public"]);
    reader.settle(Duration::from_secs(10)).await;
    assert_eq!(names(&reader), ["public", "d"]);
}

#[tokio::test]
async fn commits_of_others_are_there_after_a_look_and_no_look_lasts_too_long() {
    let inner = memory();
    let (writer, store) = (open(&inner, 1).await, HeldStore::over(&inner));
    let rarely = CatalogOptions { poll: Duration::from_secs(3600), ..options() };
    let reader = Catalog::read(store.clone(), rarely).await.unwrap();
    writer.create_database(database("d"), IfExists::Fail).await.unwrap();
    assert_eq!(names(&reader), ["public"]);
    reader.follow(Duration::from_secs(10)).await;
    assert_eq!(names(&reader), ["public", "d"]);
    store.hold(Holding::NoAnswer);
    writer.create_database(database("e"), IfExists::Fail).await.unwrap();
    reader.follow(Duration::from_millis(10)).await;
    assert_eq!(names(&reader), ["public", "d"]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_on() {
    let inner = memory();
    let (writer, store) = (open(&inner, 1).await, HeldStore::over(&inner));
    let options = quick();
    let metrics = options.metrics.clone();
    let reader = Catalog::read(store.clone(), options).await.unwrap();
    store.hold(Holding::NoAnswer);
    writer.create_database(database("d"), IfExists::Fail).await.unwrap();
    eventually(|| metrics.poll_failures.get() >= 2).await;
    assert_eq!(names(&reader), ["public"]);
    assert!(reader.trouble().is_none(), "it may come back");
    store.hold(Holding::Nothing);
    eventually(|| names(&reader) == ["public", "d"]).await;
    assert_eq!(metrics.version.get() as u64, writer.state().version);
}

#[tokio::test]
async fn a_damaged_commit_is_named_and_never_passed_over() {
    let inner = memory();
    let (writer, store) = (open(&inner, 1).await, HeldStore::over(&inner));
    let reader = Catalog::read(store.clone(), quick()).await.unwrap();
    let damaged = layout::commit_key(writer.state().version + 1);
    store.hold(Holding::Gets("catalog/"));
    store.someone_waits().await;
    writer.create_database(database("d"), IfExists::Fail).await.unwrap();
    let commit = inner.get(&damaged).await.unwrap().bytes().await.unwrap();
    inner.put(&damaged, PutPayload::from_static(b"damaged")).await.unwrap();
    store.hold(Holding::Nothing);
    eventually(|| reader.trouble().is_some()).await;
    let trouble = reader.trouble().unwrap().to_string();
    assert!(trouble.starts_with(damaged.as_ref()), "{trouble}");
    writer.create_database(database("e"), IfExists::Fail).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(names(&reader), ["public"]);
    inner.put(&damaged, PutPayload::from_bytes(commit)).await.unwrap();
    eventually(|| names(&reader) == ["public", "d", "e"] && reader.trouble().is_none()).await;
}
