//! Creating an object whose key nobody else uses, whatever becomes of the answers.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload, Result};

/// Pauses before the create is repeated because the store said "there already" and nothing is there.
const PAUSES_MS: [u64; 3] = [20, 100, 400];

/// An object under a key that only its creator knows has another size than what was put there.
#[derive(Debug, thiserror::Error)]
#[error("the object has {found} bytes in place of {put}")]
struct OtherObject {
    put: u64,
    found: u64,
}

/// Creates `location` with `body`. The key must be the caller's alone, as one with a fresh id in it is.
///
/// On `Ok` the object is there, whole. `AlreadyExists` as an answer proves nothing: it may be the caller's own object,
/// put by a try whose answer was lost, or S3's "conflict" (409), which `object_store` calls by the same name and which
/// means that nothing was stored. So the object is looked at before it is believed in. `Err` leaves open whether
/// the object is or will be there.
pub async fn create_own(store: &dyn ObjectStore, location: &Path, body: Bytes) -> Result<()> {
    let put = body.len() as u64;
    let mut pauses = PAUSES_MS.into_iter();
    loop {
        let created = store.put_opts(location, PutPayload::from_bytes(body.clone()), PutMode::Create.into()).await;
        let refused = match created {
            Ok(_) => return Ok(()),
            Err(refused @ Error::AlreadyExists { .. }) => refused,
            Err(error) => return Err(error),
        };
        match store.head(location).await {
            Ok(found) if found.size == put => return Ok(()),
            Ok(found) => {
                let source = Box::new(OtherObject { put, found: found.size });
                return Err(Error::AlreadyExists { path: location.to_string(), source });
            }
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let Some(pause) = pauses.next() else { return Err(refused) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn ones_own_object_is_found_and_anothers_is_not_taken_for_it() {
        let (store, key) = (InMemory::new(), Path::from("a"));
        create_own(&store, &key, Bytes::from_static(b"own")).await.unwrap();
        create_own(&store, &key, Bytes::from_static(b"own")).await.unwrap();
        let error = create_own(&store, &key, Bytes::from_static(b"another")).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    }
}
