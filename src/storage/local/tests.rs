//! One suite over every kind of store that we make, so that the folder behaves as the others do. What survives a power
//! loss is shown by `tests/faults/local_store.rs`.

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStoreExt, UpdateVersion};
use tempfile::TempDir;

use super::*;
use crate::storage::fs::OsFileSystem;
use crate::storage::metered::MeteredStore;

type Store = Arc<dyn ObjectStore>;

fn open(folder: &FilePath) -> DurableLocal {
    DurableLocal::open(folder, Arc::new(OsFileSystem)).unwrap()
}

/// Each kind of store, empty, by name; the folders live as long as the list.
fn stores() -> (Vec<(&'static str, Store)>, Vec<TempDir>) {
    let folders: Vec<TempDir> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let metered = MeteredStore::new(Arc::new(open(folders[2].path())), &prometheus::Registry::new()).unwrap();
    let stores: Vec<(&str, Store)> = vec![
        ("memory", Arc::new(InMemory::new())),
        ("memory below a prefix", Arc::new(PrefixStore::new(InMemory::new(), "a/b"))),
        ("folder", Arc::new(open(folders[0].path()))),
        ("folder below a prefix", Arc::new(PrefixStore::new(open(folders[1].path()), "a/b"))),
        ("metered folder", Arc::new(metered)),
    ];
    (stores, folders)
}

async fn create(store: &Store, key: &str, body: &str) -> Result<PutResult> {
    store.put_opts(&key.into(), body.to_string().into(), PutMode::Create.into()).await
}

async fn read(store: &Store, key: &str) -> String {
    String::from_utf8(store.get(&key.into()).await.unwrap().bytes().await.unwrap().to_vec()).unwrap()
}

async fn listed(store: &Store, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let mut keys: Vec<String> = store
        .list(prefix.as_ref())
        .map_ok(|meta| format!("{} {}", meta.location, meta.size))
        .try_collect()
        .await
        .unwrap();
    keys.sort();
    keys
}

#[tokio::test]
async fn a_second_create_is_refused_and_changes_nothing() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        create(&store, "x/a", "first").await.unwrap();
        let error = create(&store, "x/a", "second").await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{name}: {error}");
        assert_eq!(read(&store, "x/a").await, "first", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_creates_one_wins() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        let creates = (0..16).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { create(&store, "new/folder/a", &n.to_string()).await.map(|_| n) })
        });
        let results = futures::future::join_all(creates).await.into_iter().map(|joined| joined.unwrap());
        let (won, lost): (Vec<_>, Vec<_>) = results.partition(|result| result.is_ok());
        assert_eq!(won.len(), 1, "{name}");
        assert!(lost.iter().all(|r| matches!(r, Err(Error::AlreadyExists { .. }))), "{name}: {lost:?}");
        assert_eq!(read(&store, "new/folder/a").await, won[0].as_ref().unwrap().to_string(), "{name}");
        assert_eq!(listed(&store, None).await.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_was_put_is_read_whole_and_in_ranges() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        let key = Path::from("a");
        store.put(&key, "replaced".into()).await.unwrap();
        let payload: PutPayload = [Bytes::from("0123"), Bytes::from("456789")].into_iter().collect();
        store.put(&key, payload).await.unwrap();
        assert_eq!(read(&store, "a").await, "0123456789", "{name}");
        assert_eq!(store.head(&key).await.unwrap().size, 10, "{name}");
        assert_eq!(store.get_range(&key, 3..7).await.unwrap(), "3456", "{name}");
        assert_eq!(store.get_range(&key, 8..99).await.unwrap(), "89", "{name}");
        assert_eq!(store.get_ranges(&key, &[0..2, 9..10]).await.unwrap(), ["01", "9"], "{name}");
        let tail = GetOptions { range: Some(object_store::GetRange::Suffix(4)), ..Default::default() };
        assert_eq!(store.get_opts(&key, tail).await.unwrap().bytes().await.unwrap(), "6789", "{name}");
        store.put(&"empty".into(), PutPayload::default()).await.unwrap();
        assert_eq!(read(&store, "empty").await, "", "{name}");
        let error = store.get(&"b".into()).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn listing_shows_objects_by_whole_folders_and_nothing_else() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        assert_eq!(listed(&store, None).await, [""; 0], "{name}");
        for key in ["a/1", "a/2", "ab/3", "b/c/4", "5"] {
            create(&store, key, key).await.unwrap();
        }
        assert_eq!(listed(&store, None).await, ["5 1", "a/1 3", "a/2 3", "ab/3 4", "b/c/4 5"], "{name}");
        assert_eq!(listed(&store, Some("a")).await, ["a/1 3", "a/2 3"], "{name}");
        assert_eq!(listed(&store, Some("absent")).await, [""; 0], "{name}");
        let after: Vec<_> = store.list_with_offset(Some(&"a".into()), &"a/1".into()).try_collect().await.unwrap();
        assert_eq!(after.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["a/2"], "{name}");
        let here = store.list_with_delimiter(None).await.unwrap();
        assert_eq!(here.common_prefixes, ["a", "ab", "b"].map(Path::from), "{name}");
        assert_eq!(here.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["5"], "{name}");
    }
}

#[tokio::test]
async fn deleted_objects_are_gone_and_may_come_again() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        for key in ["x/a", "x/b", "x/c"] {
            create(&store, key, key).await.unwrap();
        }
        let locations = futures::stream::iter(["x/a", "x/c"].map(|key| Ok(Path::from(key)))).boxed();
        let deleted: Vec<Path> = store.delete_stream(locations).try_collect().await.unwrap();
        assert_eq!(deleted, ["x/a", "x/c"].map(Path::from), "{name}");
        assert_eq!(listed(&store, None).await, ["x/b 3"], "{name}");
        // Some stores say that there was nothing; none says anything worse.
        assert!(matches!(store.delete(&"x/a".into()).await, Ok(()) | Err(Error::NotFound { .. })), "{name}");
        create(&store, "x/a", "again").await.unwrap();
        assert_eq!(read(&store, "x/a").await, "again", "{name}");
    }
}

#[tokio::test]
async fn copies_and_renames_carry_the_whole_object() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        let [a, b, c] = ["a", "x/b", "y/c"].map(Path::from);
        create(&store, "a", "one").await.unwrap();
        store.copy(&a, &b).await.unwrap();
        store.put(&a, "two".into()).await.unwrap();
        assert_eq!(read(&store, "x/b").await, "one", "{name}: a copy does not follow its source");
        let error = store.copy_if_not_exists(&a, &b).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{name}: {error}");
        store.copy(&a, &b).await.unwrap();
        store.copy(&b, &b).await.unwrap();
        store.rename(&b, &c).await.unwrap();
        assert_eq!(listed(&store, None).await, ["a 3", "y/c 3"], "{name}");
        assert_eq!(read(&store, "y/c").await, "two", "{name}");
        let error = store.copy(&b, &c).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn parts_make_one_object_when_complete() {
    let (stores, _folders) = stores();
    for (name, store) in stores {
        let key = Path::from("x/a");
        let mut upload = store.put_multipart(&key).await.unwrap();
        let parts = ["first ", "second ", "third"].map(|part| upload.put_part(part.into()));
        // Under way at the same time, and begun in another order than asked for.
        futures::future::try_join_all(parts.into_iter().rev()).await.unwrap();
        assert_eq!(listed(&store, None).await, [""; 0], "{name}");
        upload.complete().await.unwrap();
        assert_eq!(read(&store, "x/a").await, "first second third", "{name}");
        let mut aborted = store.put_multipart(&key).await.unwrap();
        aborted.put_part("other".into()).await.unwrap();
        aborted.abort().await.unwrap();
        assert_eq!(read(&store, "x/a").await, "first second third", "{name}");
    }
}

fn staged(folder: &FilePath) -> usize {
    std::fs::read_dir(folder.join(STAGING)).unwrap().count()
}

#[tokio::test]
async fn an_upload_with_a_missing_part_is_not_completed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut upload = store.put_multipart(&"a".into()).await.unwrap();
    drop(upload.put_part("never written".into()));
    upload.put_part("early".into()).await.unwrap();
    let error = upload.complete().await.unwrap_err();
    assert!(error.to_string().contains("0 of 2 parts"), "{error}");
    assert!(upload.complete().await.is_err());
    assert!(matches!(store.head(&"a".into()).await, Err(Error::NotFound { .. })));
    assert_eq!(staged(folder.path()), 0);
}

#[tokio::test]
async fn an_upload_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut upload = open(folder.path()).put_multipart(&"a".into()).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    assert_eq!(staged(folder.path()), 1);
    drop(upload);
    assert_eq!(staged(folder.path()), 0);
}

#[tokio::test]
async fn staging_files_are_hidden_and_removed_at_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(open(folder.path()));
    let mut upload = store.put_multipart(&"x/a".into()).await.unwrap();
    upload.put_part("half".into()).await.unwrap();
    assert_eq!(staged(folder.path()), 1);
    assert_eq!(listed(&store, None).await, [""; 0]);
    assert_eq!(store.list_with_delimiter(None).await.unwrap().common_prefixes, []);
    let leftover = std::fs::read_dir(folder.path().join(STAGING)).unwrap().next().unwrap().unwrap().file_name();
    let key = Path::parse(format!("{STAGING}/{}", leftover.to_str().unwrap())).unwrap();
    assert!(store.get(&key).await.is_err(), "no key names a staging file");

    let again: Store = Arc::new(open(folder.path()));
    assert_eq!(staged(folder.path()), 0);
    create(&again, "x/a", "whole").await.unwrap();
    assert!(upload.complete().await.is_err(), "its file is gone");
    assert_eq!(read(&again, "x/a").await, "whole");
}

#[tokio::test]
async fn other_files_in_the_staging_folder_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(open(folder.path()));
    for key in ["notes", "1", "#", "#1a"] {
        let key = Path::parse(format!("{STAGING}/{key}")).unwrap();
        store.put(&key, "x".into()).await.unwrap();
    }
    open(folder.path());
    assert_eq!(staged(folder.path()), 4);
}

#[tokio::test]
async fn keys_map_to_the_files_that_the_library_would_use() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store: Store = Arc::new(open(ours.path()));
    let reference: Store = Arc::new(LocalFileSystem::new_with_prefix(theirs.path()).unwrap());
    for raw in ["a b/c", "größe/温度", "a%2Fb", "a%b", "100%", "a#b", "#x/1", "a~b!c", "..a/b..", "a\\b", "+&=;:@,?*"]
    {
        let key = Path::parse(raw).unwrap();
        for store in [&store, &reference] {
            store.put(&key, raw.to_string().into()).await.unwrap();
        }
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), raw);
    }
    assert_eq!(listed(&store, None).await, listed(&reference, None).await);
    let staging = ours.path().join(STAGING);
    std::fs::remove_dir(staging).unwrap();
    let files = |folder: &FilePath| {
        let folder = LocalFileSystem::new_with_prefix(folder).unwrap();
        futures::executor::block_on(folder.list_with_delimiter(None)).unwrap().common_prefixes
    };
    assert_eq!(files(ours.path()), files(theirs.path()));
    assert!(store.put(&Path::parse("a#1").unwrap(), "x".into()).await.is_err());
}

#[tokio::test]
async fn a_put_goes_through_when_folders_were_removed_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(open(folder.path()));
    create(&store, "x/y/a", "1").await.unwrap();
    std::fs::remove_dir_all(folder.path().join("x")).unwrap();
    std::fs::remove_dir_all(folder.path().join(STAGING)).unwrap();
    create(&store, "x/y/a", "2").await.unwrap();
    assert_eq!(read(&store, "x/y/a").await, "2");
}

#[tokio::test]
async fn what_a_folder_cannot_do_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let update = PutMode::Update(UpdateVersion { e_tag: None, version: None });
    let error = store.put_opts(&"a".into(), "x".into(), update.into()).await.unwrap_err();
    assert!(matches!(error, Error::NotImplemented { .. }), "{error}");
    store.put(&"a".into(), "x".into()).await.unwrap();
    let error = store.put(&"a/b".into(), "x".into()).await.unwrap_err();
    assert!(matches!(error, Error::Generic { .. }), "{error}");
    let file = folder.path().join("a");
    assert!(DurableLocal::open(&file, Arc::new(OsFileSystem)).is_err());
}
