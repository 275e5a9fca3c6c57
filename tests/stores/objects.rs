//! What the gateway relies on, asked of every kind of store through the same doors.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tidegate::model::TableName;
use tidegate::storage::layout;
use tidegate::storage::open::probe_put_if_absent;
use uuid::Uuid;

use crate::kinds::Kind;
use crate::minio::Reached;

#[test]
fn a_folder_keeps_its_promises() {
    keeps_its_promises(&Kind::folder());
}

#[test]
fn memory_keeps_its_promises() {
    keeps_its_promises(&Kind::Memory);
}

#[test]
fn minio_keeps_its_promises() {
    keeps_its_promises(&Kind::minio(Reached::Plainly));
}

#[test]
fn minio_over_tls_keeps_its_promises() {
    keeps_its_promises(&Kind::minio(Reached::OverTls));
}

#[test]
fn minio_with_the_bucket_in_the_host_name_keeps_its_promises() {
    keeps_its_promises(&Kind::minio(Reached::ByHostName));
}

#[test]
fn azure_keeps_its_promises() {
    keeps_its_promises(&Kind::azure());
}

fn keeps_its_promises(kind: &Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert!(probe_put_if_absent(&*kind.open("probed")).await.unwrap());
        one_creator_wins(&kind.open("creators")).await;
        what_is_written_is_read(&*kind.open("written")).await;
        ranges_are_exact(&*kind.open("ranges")).await;
        what_is_absent_is_said_to_be(&*kind.open("absent")).await;
        names_are_kept_apart(&*kind.open("names")).await;
        listings_are_whole(&*kind.open("listings")).await;
        if !matches!(kind, Kind::Memory) {
            prefixes_are_stores_of_their_own(kind).await;
        }
    });
}

async fn body(store: &dyn ObjectStore, key: &Path) -> Bytes {
    store.get(key).await.unwrap().bytes().await.unwrap()
}

/// Keys below `prefix`, sorted.
async fn keys(store: &dyn ObjectStore, prefix: Option<&Path>) -> Vec<String> {
    let found: Vec<_> = store.list(prefix).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    let mut found = found;
    found.sort();
    found
}

/// Of many that create an object at once exactly one is told that it did, and the object is its own.
async fn one_creator_wins(store: &Arc<dyn ObjectStore>) {
    for round in 0..5 {
        let key = layout::commit_key(round);
        let creators = (0..24).map(|creator| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                // Bodies of several sizes: a half written one would show.
                let body = format!("creator {creator}").repeat(1 + creator * 500);
                match store.put_opts(&key, body.clone().into(), PutMode::Create.into()).await {
                    Ok(_) => Some(body),
                    Err(Error::AlreadyExists { .. }) => None,
                    Err(other) => panic!("creator {creator}: {other}"),
                }
            })
        });
        let told = futures::future::join_all(creators).await;
        let winners: Vec<String> = told.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(body(&**store, &key).await, winners[0], "round {round}");
        let late = store.put_opts(&key, "late".into(), PutMode::Create.into()).await;
        assert!(matches!(late, Err(Error::AlreadyExists { .. })), "round {round}: {late:?}");
        assert_eq!(body(&**store, &key).await, winners[0], "round {round}");
    }
}

/// At once, whole, of every size, written anew or for the first time; and removed is removed.
async fn what_is_written_is_read(store: &dyn ObjectStore) {
    let mut random = StdRng::seed_from_u64(7);
    for size in [0, 1, 4096, 1_000_003, 24 * 1024 * 1024 + 5] {
        let key = Path::from(format!("objects/{size}"));
        let mut bytes = vec![0; size];
        random.fill_bytes(&mut bytes);
        let bytes = Bytes::from(bytes);
        store.put_opts(&key, bytes.clone().into(), PutMode::Create.into()).await.unwrap();
        assert!(body(store, &key).await == bytes, "{size} bytes");
        assert_eq!(store.head(&key).await.unwrap().size, size as u64);
        store.put(&key, "over it".into()).await.unwrap();
        assert_eq!(body(store, &key).await, "over it");
        store.delete(&key).await.unwrap();
        assert!(matches!(store.head(&key).await, Err(Error::NotFound { .. })), "{size} bytes");
        store.put_opts(&key, "again".into(), PutMode::Create.into()).await.unwrap();
        assert_eq!(body(store, &key).await, "again");
    }
}

async fn ranges_are_exact(store: &dyn ObjectStore) {
    let mut random = StdRng::seed_from_u64(8);
    let key = Path::from("object");
    let mut bytes = vec![0; 300_000];
    random.fill_bytes(&mut bytes);
    let bytes = Bytes::from(bytes);
    store.put(&key, bytes.clone().into()).await.unwrap();
    let whole = bytes.len() as u64;
    for _ in 0..20 {
        let from = random.random_range(0..whole);
        let to = random.random_range(from + 1..=whole);
        assert_eq!(store.get_range(&key, from..to).await.unwrap(), bytes.slice(from as usize..to as usize));
    }
    let ranges = [0..1, 10..200, 150_000..150_001, whole - 8..whole];
    let found = store.get_ranges(&key, &ranges).await.unwrap();
    for (range, found) in ranges.iter().zip(found) {
        assert_eq!(found, bytes.slice(range.start as usize..range.end as usize), "{range:?}");
    }
    // A footer is read from the end of the object; a range that goes beyond it ends there.
    let beyond = GetOptions::new().with_range(Some(GetRange::Bounded(whole - 4..whole + 100)));
    let found = store.get_opts(&key, beyond).await.unwrap();
    assert_eq!(found.range, whole - 4..whole);
    assert_eq!(found.bytes().await.unwrap(), bytes.slice(bytes.len() - 4..));
    assert!(store.get_range(&key, whole + 1..whole + 2).await.is_err());
}

async fn what_is_absent_is_said_to_be(store: &dyn ObjectStore) {
    let key = Path::from("folder/absent");
    store.put(&Path::from("folder/object"), "x".into()).await.unwrap();
    for key in [&key, &Path::from("folder"), &Path::from("absent/absent")] {
        assert!(matches!(store.get(key).await, Err(Error::NotFound { .. })), "{key}");
        assert!(matches!(store.head(key).await, Err(Error::NotFound { .. })), "{key}");
        assert!(matches!(store.get_range(key, 0..1).await, Err(Error::NotFound { .. })), "{key}");
    }
    // Stores disagree on what removing nothing is; it must not be another error.
    let removed = store.delete(&key).await;
    assert!(matches!(removed, Ok(()) | Err(Error::NotFound { .. })), "{removed:?}");
    assert_eq!(keys(store, Some(&Path::from("absent"))).await, [""; 0]);
}

/// Names of tables as clients may write them, in the keys that segments get.
async fn names_are_kept_apart(store: &dyn ObjectStore) {
    let tables = [
        "cpu",
        "CPU",
        "Cpu",
        "with space",
        "a/b",
        "a%2Fb",
        "a%252Fb",
        "..",
        ".",
        "",
        "übergröße",
        "ubergroße",
        "日本語",
        "a+b",
        "a b",
        "a&b=c?d#e",
        "semi;colon",
        "quote'\"",
        "star*",
        "tilde~",
        "back\\slash",
        "new\nline",
        "!h",
        "!empty",
        "🚀",
        "%",
        "a:b@c",
    ];
    let long = "x".repeat(500);
    let longer = "x".repeat(501);
    let names = tables.iter().copied().chain([long.as_str(), longer.as_str()]);
    let mut written = Vec::new();
    for (number, table) in names.enumerate() {
        let name = TableName {
            tenant: "cnosdb".into(),
            database: "My DB/ä".into(),
            policy: "auto gen".into(),
            table: table.into(),
        };
        let key = layout::segment_key(&name, None, 0, Uuid::from_u128(number as u128));
        store.put_opts(&key, format!("{number}").into(), PutMode::Create.into()).await.unwrap();
        written.push(key);
    }
    for (number, key) in written.iter().enumerate() {
        assert_eq!(body(store, key).await, format!("{number}"), "{key}");
        let folder = Path::from_iter(key.parts().take(key.parts_count() - 2));
        assert!(keys(store, Some(&folder)).await.contains(&key.to_string()), "{key} is not listed under {folder}");
    }
    let mut expected: Vec<String> = written.iter().map(Path::to_string).collect();
    expected.sort();
    assert_eq!(keys(store, None).await, expected);
    for key in &written {
        store.delete(key).await.unwrap();
    }
    assert_eq!(keys(store, None).await, [""; 0]);
}

/// More than a page of them, with sizes and times.
async fn listings_are_whole(store: &dyn ObjectStore) {
    let count: u64 = 1_100;
    let puts = futures::stream::iter((0..count).map(Ok)).try_for_each_concurrent(16, |number| async move {
        store.put(&layout::commit_key(number), "x".repeat(number as usize % 5).into()).await.map(drop)
    });
    puts.await.unwrap();
    store.put(&layout::snapshot_key(7), "x".into()).await.unwrap();
    let metas: Vec<_> = store.list(Some(&layout::commits_prefix())).try_collect().await.unwrap();
    let mut numbers: Vec<u64> = metas.iter().map(|meta| layout::parse_commit_key(&meta.location).unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    for meta in &metas {
        assert_eq!(meta.size, layout::parse_commit_key(&meta.location).unwrap() % 5, "{}", meta.location);
        assert!(meta.last_modified.timestamp() > 1_600_000_000, "{meta:?}");
    }
    // A prefix is a folder, not the start of a name.
    assert_eq!(keys(store, Some(&Path::from("cata"))).await, [""; 0]);
    let all = futures::stream::iter(metas.into_iter().map(|meta| Ok(meta.location)));
    store.delete_stream(Box::pin(all)).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(keys(store, None).await, [layout::snapshot_key(7).to_string()]);
}

async fn prefixes_are_stores_of_their_own(kind: &Kind) {
    let (one, other, inner) = (kind.open("of-its-own"), kind.open("of-its"), kind.open("of-its-own/inner"));
    let key = Path::from("key");
    one.put(&key, "one".into()).await.unwrap();
    other.put_opts(&key, "other".into(), PutMode::Create.into()).await.unwrap();
    inner.put_opts(&key, "inner".into(), PutMode::Create.into()).await.unwrap();
    assert_eq!(body(&*one, &key).await, "one");
    assert_eq!(keys(&*one, None).await, ["inner/key", "key"]);
    assert_eq!(keys(&*other, None).await, ["key"]);
    assert_eq!(keys(&*inner, None).await, ["key"]);
    assert_eq!(body(&*one, &Path::from("inner/key")).await, "inner");
    other.delete(&key).await.unwrap();
    assert_eq!(keys(&*one, None).await, ["inner/key", "key"]);
}
