//! The store in a folder, on a disk that fails at any step and then loses what was not synced.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tidegate::storage::fs::FileSystem;
use tidegate::storage::local::DurableLocal;

use crate::lossy_fs::LossyFileSystem;

/// The disk's folder is a level above the store's, so that the store's own folder can be lost too.
struct Machine {
    folder: tempfile::TempDir,
    fs: LossyFileSystem,
}

impl Machine {
    fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let fs = LossyFileSystem::new(folder.path()).unwrap();
        Machine { folder, fs }
    }

    fn store_folder(&self) -> PathBuf {
        self.folder.path().join("tidegate/store")
    }

    fn open(&self) -> std::io::Result<Arc<DurableLocal>> {
        DurableLocal::open(&self.store_folder(), Arc::new(self.fs.clone())).map(Arc::new)
    }

    /// Opens after a crash and reads everything.
    async fn contents(&self) -> BTreeMap<Path, String> {
        let store = self.open().unwrap();
        let mut contents = BTreeMap::new();
        for meta in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let body = store.get(&meta.location).await.unwrap().bytes().await.unwrap();
            contents.insert(meta.location, String::from_utf8(body.to_vec()).unwrap());
        }
        let staged = std::fs::read_dir(self.store_folder().join(".staging")).unwrap().count();
        assert_eq!(staged, 0, "staging files stay behind");
        contents
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create(&'static str),
    Overwrite(&'static str),
    InParts(&'static str),
    Copy(&'static str, &'static str),
    Delete(&'static str),
}

const STEPS: [Step; 12] = [
    Step::Create("tidegate.json"),
    Step::Create("catalog/1"),
    Step::Create("data/t/d/a"),
    Step::Overwrite("snapshots/1"),
    Step::Create("catalog/1"),
    Step::Overwrite("snapshots/1"),
    Step::InParts("data/t/e/b"),
    Step::Copy("data/t/e/b", "data/u/c"),
    Step::Delete("data/t/d/a"),
    Step::Create("data/t/d/a"),
    Step::InParts("data/t/d/a"),
    Step::Copy("data/t/d/a", "data/u/c"),
];

/// The body that step `number` writes: longer than a part, and like no other.
fn body(number: usize) -> String {
    format!("<{}>", format!("step {number} ").repeat(50))
}

async fn run(store: &DurableLocal, number: usize, step: Step) -> object_store::Result<()> {
    let body = body(number);
    match step {
        Step::Create(key) => store.put_opts(&key.into(), body.into(), PutMode::Create.into()).await.map(|_| ()),
        Step::Overwrite(key) => store.put(&key.into(), body.into()).await.map(|_| ()),
        Step::InParts(key) => {
            let mut upload = store.put_multipart(&key.into()).await?;
            for part in body.as_bytes().chunks(100) {
                upload.put_part(PutPayload::from(part.to_vec())).await?;
            }
            upload.complete().await.map(|_| ())
        }
        Step::Copy(from, to) => store.copy(&from.into(), &to.into()).await,
        Step::Delete(key) => store.delete(&key.into()).await,
    }
}

/// What a key may hold after a crash; `None`: nothing.
type Allowed = BTreeMap<Path, Vec<Option<String>>>;

/// Runs the steps until one fails otherwise than by a lost race. Returns whether none did.
async fn run_all(store: &DurableLocal, allowed: &mut Allowed) -> bool {
    for (number, step) in STEPS.into_iter().enumerate() {
        let (key, value) = match step {
            Step::Create(key) | Step::Overwrite(key) | Step::InParts(key) => (key, Some(body(number))),
            Step::Copy(from, to) => (to, allowed[&Path::from(from)].last().cloned().flatten()),
            Step::Delete(key) => (key, None),
        };
        let values = allowed.entry(key.into()).or_insert_with(|| vec![None]);
        match run(store, number, step).await {
            // A delete is not synced: what was there may be back.
            Ok(()) if matches!(step, Step::Delete(_)) => values.push(value),
            Ok(()) => *values = vec![value],
            Err(Error::AlreadyExists { .. }) => {}
            Err(_) => {
                values.push(value);
                return false;
            }
        }
    }
    true
}

/// Lets the disk fail after `operations`, then cuts the power. Returns whether all steps were done before.
async fn check(operations: u64, seed: Option<u64>) -> bool {
    let machine = Machine::new();
    let mut allowed = Allowed::new();
    machine.fs.fail_after(operations);
    let done = match machine.open() {
        Ok(store) => run_all(&store, &mut allowed).await,
        Err(_) => false,
    };
    match seed {
        None => machine.fs.crash().unwrap(),
        Some(seed) => machine.fs.crash_with(seed).unwrap(),
    }
    let mut found = machine.contents().await;
    for (key, values) in allowed {
        let value = found.remove(&key);
        assert!(values.contains(&value), "failed after {operations}, seed {seed:?}: {key} holds {value:?}");
    }
    assert!(found.is_empty(), "failed after {operations}, seed {seed:?}: nobody wrote {found:?}");
    done
}

#[tokio::test]
async fn what_was_put_survives_a_failure_at_any_step() {
    for seed in [None, Some(1), Some(2), Some(3), Some(4)] {
        let mut operations = 0;
        while !check(operations, seed).await {
            operations += 1;
        }
        assert!(operations > 60, "only {operations} operations: nothing was synced");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn puts_that_share_new_directories_survive() {
    for round in 0..40 {
        let machine = Machine::new();
        let store = machine.open().unwrap();
        machine.fs.fail_after(round * 3);
        let puts = (0..16).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = Path::from(format!("a/b{}/c/{n}", n % 2));
                let put = store.put_opts(&key, body(n).into(), PutMode::Create.into()).await;
                put.is_ok().then_some((key, body(n)))
            })
        });
        let acknowledged = futures::future::join_all(puts).await.into_iter().filter_map(Result::unwrap);
        let acknowledged: Vec<_> = acknowledged.collect();
        machine.fs.crash().unwrap();
        let found = machine.contents().await;
        for (key, body) in acknowledged {
            assert_eq!(found.get(&key), Some(&body), "round {round}: {key}");
        }
    }
}

#[tokio::test]
async fn who_is_told_already_exists_may_rely_on_it() {
    // The first create fails at each step in turn: at one of them the name is there, but not synced.
    let mut refused = 0;
    for operations in 0..20 {
        let machine = Machine::new();
        let store = machine.open().unwrap();
        let key = Path::from("catalog/1");
        machine.fs.fail_after(operations);
        let create = |body: &'static str| store.put_opts(&key, body.into(), PutMode::Create.into());
        let first = create("first").await;
        machine.fs.heal();
        if matches!(create("second").await, Err(Error::AlreadyExists { .. })) && first.is_err() {
            refused += 1;
            machine.fs.crash().unwrap();
            assert_eq!(machine.contents().await.get(&key).map(String::as_str), Some("first"));
        }
    }
    assert!(refused > 0, "no first create failed after the name was there");
}

#[tokio::test]
async fn folders_that_a_stopped_process_did_not_sync_are_synced() {
    let machine = Machine::new();
    machine.fs.create_dir_all(&machine.store_folder().join("data/t")).unwrap();
    let store = machine.open().unwrap();
    store.put(&"data/t/a".into(), "x".into()).await.unwrap();
    machine.fs.crash().unwrap();
    assert_eq!(machine.contents().await.len(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_the_put_and_keeps_nothing_of_it() {
    let machine = Machine::new();
    let store = machine.open().unwrap();
    machine.fs.no_space_after(100);
    let key = Path::from("a");
    store.put(&key, body(1).into()).await.unwrap_err();
    let mut upload = store.put_multipart(&key).await.unwrap();
    upload.put_part(body(1).into()).await.unwrap_err();
    upload.complete().await.unwrap_err();
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    assert_eq!(std::fs::read_dir(machine.store_folder().join(".staging")).unwrap().count(), 0);
    machine.fs.heal();
    store.put(&key, "small".into()).await.unwrap();
}
