//! Who may commit.

use super::*;

#[tokio::test]
async fn writers_are_known_from_their_opening_to_their_end() {
    let store = memory();
    let one = open(&store, 1).await;
    let me = Uuid::from_u128(1);
    let opened = one.state().writer(me).unwrap().clone();
    assert_eq!((opened.epoch, &*opened.name), (1, "test"));
    assert!(!one.state().is_shared(me));

    let two = open(&store, 2).await;
    assert!(two.state().is_shared(Uuid::from_u128(2)));
    one.create_database(database("d"), IfExists::Fail).await.unwrap();
    assert!(one.state().is_shared(me), "the other one is known by now");
    two.retire().await.unwrap();
    two.close().await;
    assert_eq!(two.trouble().map(|t| t.to_string()), None, "it went of its own will");
    one.create_database(database("e"), IfExists::Fail).await.unwrap();
    let writers: Vec<Uuid> = one.state().writers().map(|w| w.id).collect();
    assert_eq!(writers, [me]);
    // One that was killed stays.
    one.close().await;
    let reader = Catalog::read(store, options()).await.unwrap();
    assert!(reader.state().writer(me).is_some());
}

#[tokio::test]
async fn every_commit_carries_the_epoch_of_its_writer() {
    let store = memory();
    for opening in 1..=2 {
        let catalog = open(&store, 1).await;
        catalog.create_database(database(&format!("d{opening}")), IfExists::Fail).await.unwrap();
        catalog.close().await;
    }
    let mut epochs = Vec::new();
    for number in 1..=4 {
        let key = layout::commit_key(number);
        let bytes = store.get(&key).await.unwrap().bytes().await.unwrap();
        epochs.push(Document::decode(DocumentKind::Commit, key.as_ref(), number, &bytes).unwrap().epoch);
    }
    assert_eq!(epochs, [1, 1, 3, 3]);
}

#[tokio::test]
async fn who_was_taken_over_commits_nothing_more_and_says_so() {
    let store = memory();
    let old = open(&store, 1).await;
    old.create_database(database("before"), IfExists::Fail).await.unwrap();
    let new = open(&store, 1).await;
    assert!(old.check_writable().is_ok(), "it cannot know yet");
    for name in ["late", "later"] {
        let refused = old.create_database(database(name), IfExists::Fail).await;
        assert!(matches!(refused, Err(CatalogError::Fenced { .. })), "{refused:?}");
    }
    assert!(matches!(old.trouble(), Some(CatalogError::Fenced { by: Some(name), .. }) if name == "test"));
    assert!(matches!(old.check_writable(), Err(CatalogError::Fenced { .. })));
    new.create_database(database("after"), IfExists::Fail).await.unwrap();
    assert_eq!(names(&new), ["public", "before", "after"]);
    // Neither can it be one that was closed meanwhile, nor take back what is no longer its own.
    new.retire().await.unwrap();
    assert!(matches!(old.retire().await, Err(CatalogError::Fenced { .. })));
}

#[tokio::test]
async fn being_taken_over_is_noticed_without_a_commit() {
    let store = memory();
    let options = || CatalogOptions { poll_alone: std::time::Duration::from_millis(5), ..options() };
    let old = Catalog::open(store.clone(), Uuid::from_u128(1), options()).await.unwrap();
    let _new = Catalog::open(store.clone(), Uuid::from_u128(1), options()).await.unwrap();
    eventually(|| matches!(old.trouble(), Some(CatalogError::Fenced { .. }))).await;
}

#[tokio::test]
async fn of_several_that_open_a_writer_at_once_one_is_left() {
    let store = memory();
    let opened = futures::future::join_all((0..8).map(|_| open(&store, 1))).await;
    let mut left = 0;
    for (i, catalog) in opened.iter().enumerate() {
        left += usize::from(catalog.create_database(database(&format!("d{i}")), IfExists::Fail).await.is_ok());
    }
    assert_eq!(left, 1);
}
