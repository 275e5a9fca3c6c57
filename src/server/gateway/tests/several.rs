//! Several gateways on one store.

use super::*;
use crate::catalog::{CatalogState, Change, Delete};
use crate::ingest::IngestError;
use crate::model::{Classify, Kind, SeriesFilter};

/// A writer beside the gateway under test, and what it collects.
async fn other_collector(store: &Arc<dyn ObjectStore>) -> OrphanCollector {
    let clock: Clock = Arc::new(|| NOW_NS);
    let options = crate::catalog::CatalogOptions::new(clock.clone());
    let catalog = Catalog::open(store.clone(), Uuid::from_u128(2), options).await.unwrap();
    let metrics = IngestMetrics::new(&Registry::new()).unwrap();
    OrphanCollector::new(Arc::new(catalog), store.clone(), Duration::ZERO, metrics, clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_whose_uploads_were_collected_meanwhile_uploads_again() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = HeldStore::over(&inner);
    let house = House::over(store.clone()).await;
    let other = other_collector(&inner).await;
    house.write("m,host=x a=1 1\nm,host=y a=2 2").await;
    // Uploaded, and about to be committed, when the writer falls asleep.
    store.hold(Holding::Puts("catalog/"));
    let collected = async {
        store.someone_waits().await;
        let collected = other.collect(far_from_now()).await.unwrap();
        store.hold(Holding::Nothing);
        collected
    };
    let (flushed, collected) = tokio::join!(house.gateway.flush(), collected);
    assert_eq!(collected, 1);
    assert!(matches!(flushed, Err(FlushError::Outdated)), "{flushed:?}");
    assert_eq!(house.count("select count(*) from m").await, 2);
    house.gateway.flush().await.unwrap();
    assert_eq!(house.count("select count(*) from m").await, 2);
    assert_eq!(house.objects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_was_collected_meanwhile_is_dropped() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = HeldStore::over(&inner);
    let house = House::over(store.clone()).await;
    let other = other_collector(&inner).await;
    for i in 0..3 {
        house.write(&format!("m,host=x a={i} {i}")).await;
        house.gateway.flush().await.unwrap();
    }
    store.hold(Holding::Puts("catalog/"));
    let collected = async {
        store.someone_waits().await;
        let collected = other.collect(far_from_now()).await.unwrap();
        store.hold(Holding::Nothing);
        collected
    };
    let (merged, collected) = tokio::join!(house.compactor.round(), collected);
    assert_eq!((merged.unwrap(), collected), (0, 1));
    assert_eq!((house.objects().await.len(), house.count("select count(*) from m").await), (3, 3));
    assert_eq!(house.compactor.round().await.unwrap(), 1);
    assert_eq!(house.count("select count(*) from m").await, 3);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_over_a_copied_log_takes_over_and_the_old_one_takes_no_writes() {
    let old = House::new().await;
    old.write("m,host=x a=1 1").await;
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&old.folder.path().join("wal"), &folder.path().join("wal"));
    let new = House::open(old.store.clone(), folder).await;
    assert_eq!(new.count("select count(*) from m").await, 1, "replayed");
    let fenced = old.gateway.flush().await;
    assert!(matches!(fenced, Err(FlushError::Publish(CatalogError::Fenced { .. }))), "{fenced:?}");
    let refused = old.accept("m,host=x a=2 2").await.unwrap_err();
    assert!(matches!(refused, IngestError::Catalog(CatalogError::Fenced { .. })), "{refused}");
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(old.gateway.core.catalog.trouble().is_some());
    new.gateway.flush().await.unwrap();
    assert_eq!((new.count("select count(*) from m").await, new.objects().await.len()), (1, 2));
    let segments: usize = new.gateway.core.catalog.state().tables().map(|t| t.segments.len()).sum();
    assert_eq!(segments, 1, "one upload of the two is an orphan");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_after_which_nothing_is_left_closes_the_writer() {
    let house = House::new().await;
    let store = house.store.clone();
    house.write("m,host=x a=1 1").await;
    house.gateway.close().await;
    let options = crate::catalog::CatalogOptions::new(Arc::new(|| NOW_NS));
    let state = Catalog::read(store, options).await.unwrap().state();
    assert_eq!((state.writers().count(), state.tables().map(|t| t.segments.len()).sum::<usize>()), (0, 1));
}

async fn open_reader(store: &Arc<dyn ObjectStore>) -> (Result<Gateway, StartError>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder);
    settings.server.role = Role::ReadOnly;
    settings.catalog.poll_ms = 10;
    (Gateway::open(&settings, surroundings(store)).await, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_a_second_create_is_not_shared() {
    let store: Arc<dyn ObjectStore> =
        Arc::new(crate::storage::open::tests::Forgetful(object_store::memory::InMemory::new()));
    let folder = tempfile::tempdir().unwrap();
    let refused = Gateway::open(&settings(&folder), surroundings(&store)).await;
    assert!(matches!(refused, Err(StartError::NoPutIfAbsent)), "{:?}", refused.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_only_reads_shows_what_is_flushed_and_touches_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (refused, _) = open_reader(&store).await;
    assert!(matches!(refused.err(), Some(StartError::NothingToRead)));
    assert_eq!(store.list(None).count().await, 0);

    let house = House::over(store.clone()).await;
    house.write("m,host=x a=1 1").await;
    house.gateway.flush().await.unwrap();
    house.write("m,host=x a=2 2").await;
    let before: Vec<_> = store.list(None).map(|meta| meta.unwrap()).collect().await;
    let (reader, folder) = open_reader(&store).await;
    let reader = reader.unwrap();
    assert_eq!(count(&reader, "select count(*) from m").await, 1, "only what is flushed");
    let refused = accept(&reader, "m,host=x a=3 3").await.unwrap_err();
    assert!(matches!(refused, IngestError::Catalog(CatalogError::ReadOnly)), "{refused}");
    assert_eq!(refused.kind(), Kind::Forbidden);
    let refused = reader.core.catalog.drop_database("cnosdb", "d").await;
    assert!(matches!(refused, Err(CatalogError::ReadOnly)), "{refused:?}");
    let after: Vec<_> = store.list(None).map(|meta| meta.unwrap()).collect().await;
    assert_eq!(after, before);
    assert!(!folder.path().join("wal").exists());

    house.gateway.flush().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while count(&reader, "select count(*) from m").await < 2 {
        assert!(Instant::now() < deadline, "what was flushed does not show");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reader.close().await;
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0, "nothing is left of spilling");
}

/// The value of `m` at its one key, as `gateway` shows it once it has caught up with the chain.
async fn only_value(gateway: &Gateway, version: u64) -> f64 {
    while gateway.core.catalog.state().version < version {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rows = select(gateway, "select a from m").await;
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    rows.iter().find(|rows| rows.num_rows() == 1).unwrap().column(0).as_primitive::<Float64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_values_that_several_writers_gave_one_key_the_one_flushed_last_wins_for_everyone() {
    let one = House::new().await;
    let two = House::open(one.store.clone(), tempfile::tempdir().unwrap()).await;
    // The first writer's sequence numbers run ahead of the second's.
    for i in 0..20 {
        one.write(&format!("m,host=x a={i} 1")).await;
    }
    let (first, second) = (one.gateway.core.catalog.clone(), two.gateway.core.catalog.clone());
    for (at, (house, merger)) in
        [(&one, &two), (&two, &one), (&one, &one), (&two, &two), (&one, &two)].iter().enumerate()
    {
        let expected = 100.0 + at as f64;
        house.write(&format!("m,host=x a={expected} 1")).await;
        house.gateway.flush().await.unwrap();
        let version = first.state().version.max(second.state().version);
        for gateway in [&one.gateway, &two.gateway] {
            assert_eq!(only_value(gateway, version).await, expected, "flush {at}");
        }
        merger.compactor.round().await.unwrap();
        let version = first.state().version.max(second.state().version);
        for gateway in [&one.gateway, &two.gateway] {
            assert_eq!(only_value(gateway, version).await, expected, "flush {at}, merged");
        }
    }
}

/// The number of a delete that no segment needs any more is given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_brings_back_nothing_that_was_deleted_under_a_number_it_knew_before() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = HeldStore::over(&inner);
    let house = House::over(store.clone()).await;
    // Windows are 100 s long: two segments in the first, one in the third.
    for lines in ["m,host=x a=1 1", "m,host=x a=2 2", "m,host=x a=3 200000000000"] {
        house.write(lines).await;
        house.gateway.flush().await.unwrap();
    }
    let catalog = &house.gateway.core.catalog;
    let table = catalog.state().tables().next().unwrap().id;
    let delete = |time_min_ns, time_max_ns| Delete { table, time_min_ns, time_max_ns, series: SeriesFilter::All };
    let state = catalog.delete_rows(vec![delete(200_000_000_000, i64::MAX)]).await.unwrap();
    let third = state.table(table).unwrap().segments.iter().max_by_key(|s| s.time_min_ns).unwrap().id;
    store.hold(Holding::Puts("data/"));
    let others = async {
        store.someone_waits().await;
        let options = crate::catalog::CatalogOptions::new(Arc::new(|| NOW_NS));
        let other = Catalog::open(inner.clone(), Uuid::from_u128(2), options).await.unwrap();
        let emptied = move |state: &CatalogState| {
            let ids = state.table(table).unwrap().tombstones.iter().map(|t| t.id).collect();
            Ok(vec![Change::RemoveSegments { table, ids: vec![third] }, Change::DropTombstones { table, ids }])
        };
        other.update(emptied).await.unwrap();
        other.delete_rows(vec![delete(i64::MIN, 100)]).await.unwrap();
        store.hold(Holding::Nothing);
    };
    let (merged, ()) = tokio::join!(house.compactor.round(), others);
    merged.unwrap();
    house.compactor.round().await.unwrap();
    assert_eq!(house.count("select count(*) from m").await, 0);
}

/// Who reads rows and then deletes their series must not delete what came after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_of_rows_that_were_seen_is_refused_once_there_are_others_in_segments() {
    let house = House::over(Arc::new(InMemory::new())).await;
    let catalog = &house.gateway.core.catalog;
    house.write("m,host=x a=1 1").await;
    house.gateway.flush().await.unwrap();
    let seen = catalog.state().tables().next().unwrap().clone();
    let delete = Delete { table: seen.id, time_min_ns: i64::MIN, time_max_ns: i64::MAX, series: SeriesFilter::All };
    house.write("m,host=x a=2 2").await;
    house.gateway.flush().await.unwrap();
    let refused = catalog.delete_seen_rows(delete.clone(), seen).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Stale { .. }), "{refused}");
    assert_eq!(house.count("select count(*) from m").await, 2);
    let seen = catalog.state().tables().next().unwrap().clone();
    house.write("m,host=x a=3 3").await;
    catalog.delete_seen_rows(delete, seen).await.unwrap();
    house.gateway.flush().await.unwrap();
    assert_eq!(house.count("select count(*) from m").await, 1);
}
