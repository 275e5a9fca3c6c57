//! Databases that are dropped later.

use super::*;
use crate::model::{RowIdentity, TableSchema};

const NOON: i64 = 1_700_049_600_000_000_000;

async fn with_table(store: &Arc<dyn ObjectStore>, writer: u128) -> Catalog {
    let catalog = open(store, writer).await;
    catalog.create_database(database("d"), IfExists::Fail).await.unwrap();
    assert!(catalog.create_table("cnosdb", "d", "t", TableSchema::new(RowIdentity::Series)).await.unwrap());
    catalog
}

#[tokio::test]
async fn a_database_that_waits_is_seen_by_nobody_and_comes_back_whole() {
    let store = memory();
    let catalog = with_table(&store, 1).await;
    assert!(catalog.drop_database_at("cnosdb", "d", NOON).await.unwrap());
    assert!(!catalog.drop_database_at("cnosdb", "none", NOON).await.unwrap());
    catalog.close().await;
    let catalog = open(&store, 2).await;
    assert_eq!(names(&catalog), ["public"]);
    assert!(catalog.state().database("cnosdb", "d").is_none());
    assert_eq!(catalog.state().tables().count(), 1, "its rows stay");
    for if_exists in [IfExists::Fail, IfExists::Keep, IfExists::Compare] {
        let error = catalog.create_database(database("d"), if_exists).await.unwrap_err();
        assert!(matches!(error, CatalogError::DatabaseDropping { .. }), "{error}");
    }
    assert_eq!(catalog.drop_due(NOON - 1).await.unwrap(), 0);
    assert!(catalog.recover_database("cnosdb", "d").await.unwrap());
    assert!(catalog.recover_database("cnosdb", "d").await.unwrap(), "one that stays is there");
    assert!(!catalog.recover_database("cnosdb", "none").await.unwrap());
    assert_eq!(names(&catalog), ["public", "d"]);
    assert_eq!(catalog.drop_due(NOON).await.unwrap(), 0, "it stays");
    let state = catalog.state();
    let owner = state.database("cnosdb", "d").unwrap();
    assert_eq!(state.tables_of(owner, &owner.default_policy).count(), 1);
}

#[tokio::test]
async fn whoever_comes_first_drops_what_is_due_and_nothing_else() {
    let store = memory();
    let catalog = with_table(&store, 1).await;
    for (name, at) in [("later", NOON + 1), ("sooner", NOON)] {
        catalog.create_database(database(name), IfExists::Fail).await.unwrap();
        catalog.drop_database_at("cnosdb", name, at).await.unwrap();
    }
    // Another time counts, the first one does not any more.
    catalog.drop_database_at("cnosdb", "d", NOON).await.unwrap();
    catalog.drop_database_at("cnosdb", "d", NOON + 2).await.unwrap();
    let other = open(&store, 2).await;
    let before = catalog.state().version.max(other.state().version);
    let dropped = catalog.drop_due(NOON).await.unwrap() + other.drop_due(NOON).await.unwrap();
    // Who did not hear of the other's commit yet may count the same one; there is one commit all the same.
    assert!((1..=2).contains(&dropped));
    other.follow(std::time::Duration::from_secs(10)).await;
    assert_eq!(other.state().version, before + 1);
    other.create_database(database("sooner"), IfExists::Fail).await.unwrap();
    assert_eq!(other.drop_due(i64::MAX).await.unwrap(), 2);
    assert_eq!(names(&other), ["public", "sooner"]);
    assert_eq!(other.state().tables().count(), 0);
}

#[tokio::test]
async fn a_mark_says_nothing_of_another_database_and_goes_with_its_own() {
    let store = memory();
    let catalog = with_table(&store, 1).await;
    catalog.drop_database_at("cnosdb", "d", NOON).await.unwrap();
    assert!(catalog.drop_database("cnosdb", "d").await.unwrap(), "one that waits can be dropped at once");
    catalog.create_database(database("d"), IfExists::Fail).await.unwrap();
    assert_eq!(names(&catalog), ["public", "d"]);
    // As a program leaves it that knows of no marks.
    let value = serde_json::json!({"ordinal": 1, "at_ns": NOON});
    let stale = Change::PutDocument { collection: "dropped_databases".into(), key: "cnosdb/d".into(), value };
    catalog.update(move |_| Ok(vec![stale.clone()])).await.unwrap();
    assert_eq!(names(&catalog), ["public", "d"]);
    assert_eq!(catalog.drop_due(i64::MAX).await.unwrap(), 0);
    // A tenant takes along what waits.
    catalog.create_tenant("t", crate::catalog::tenants::Tenant::default()).await.unwrap();
    catalog.create_database(NewDatabase { tenant: "t".into(), ..database("e") }, IfExists::Fail).await.unwrap();
    catalog.drop_database_at("t", "e", NOON).await.unwrap();
    assert!(catalog.drop_tenant("t").await.unwrap());
    catalog.create_tenant("t", crate::catalog::tenants::Tenant::default()).await.unwrap();
    assert!(!catalog.recover_database("t", "e").await.unwrap());
}
