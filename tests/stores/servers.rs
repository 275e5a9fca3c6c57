//! The servers that the other tests stand on do what the tests make them do.

use std::time::Duration;

use object_store::{ObjectStoreExt, PutMode};

use crate::minio::{Minio, Reached};

#[test]
fn minio_keeps_objects_through_a_kill_and_answers_again_after_a_freeze() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for reached in [Reached::Plainly, Reached::OverTls, Reached::ByHostName] {
        let mut minio = Minio::reached(reached);
        let store = minio.store("some/prefix");
        let key = "key".into();
        runtime.block_on(store.put_opts(&key, "body".into(), PutMode::Create.into())).unwrap();
        minio.kill();
        minio.start_again();
        let body = runtime.block_on(async { store.get(&key).await.unwrap().bytes().await.unwrap() });
        assert_eq!(body, "body", "{reached:?}");
        minio.freeze();
        let soon = Duration::from_millis(300);
        let asked = runtime.block_on(async { tokio::time::timeout(soon, store.head(&key)).await });
        assert!(asked.is_err(), "{reached:?}: {asked:?}");
        minio.thaw();
        assert_eq!(runtime.block_on(store.head(&key)).unwrap().size, 4, "{reached:?}");
        minio.stop();
        minio.start_again();
        let again = runtime.block_on(store.put_opts(&key, "other".into(), PutMode::Create.into()));
        assert!(matches!(again, Err(object_store::Error::AlreadyExists { .. })), "{reached:?}: {again:?}");
    }
}
