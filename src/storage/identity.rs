//! Which store this is: one small object, written once.
//!
//! The write-ahead log carries the same id, so that it is never replayed into another store.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::layout;
use crate::model::{Classify, Kind};

/// Version of the whole store's form; a store of a newer one is refused.
pub const STORE_FORMAT: u32 = 1;
/// Far more than the object ever has.
const IDENTITY_BYTES_MAX: u64 = 64 * 1024;
/// The object may vanish or appear between a read and a write; more often than this it does not.
const TRIES_MAX: usize = 5;

/// What `tidegate.json` says. Members that a later version adds are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    pub format: u32,
    pub store_id: Uuid,
    /// RFC 3339, UTC; for people only.
    pub created: String,
}

/// Why a store's identity cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "{} says that the store has format {found}, this version reads up to {known}; use a newer tidegate",
        layout::identity_key()
    )]
    NewerFormat { found: u64, known: u32 },
    #[error("{object} in the store is damaged: {what}; restore it from a copy, or point `storage.url` elsewhere")]
    Damaged { object: String, what: String },
    /// Reading takes "not found" for an answer, so it comes from the create.
    #[error("{object} cannot be created: storage.url names a bucket that does not exist: {source}")]
    NoBucket { object: String, source: object_store::Error },
    #[error("{object} cannot be read or created: {source}")]
    Store { object: String, source: object_store::Error },
}

impl Classify for IdentityError {
    fn kind(&self) -> Kind {
        match self {
            IdentityError::NewerFormat { .. } => Kind::Unsupported,
            IdentityError::Damaged { .. } => Kind::Internal,
            IdentityError::NoBucket { .. } => Kind::NotFound,
            IdentityError::Store { .. } => Kind::Unavailable,
        }
    }
}

/// Reads the identity of `store`; a store that has none becomes the store `new_id`, created `now`.
///
/// Of several that start at the same time on an empty store one wins, and all return the winner's identity.
pub async fn read_or_create(
    store: &dyn ObjectStore,
    new_id: Uuid,
    now: DateTime<Utc>,
) -> Result<StoreIdentity, IdentityError> {
    let mut refused = None;
    for _ in 0..TRIES_MAX {
        if let Some(body) = read(store).await? {
            return decode(&body);
        }
        let created = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let identity = StoreIdentity { format: STORE_FORMAT, store_id: new_id, created };
        match store.put_opts(&layout::identity_key(), encode(&identity), PutMode::Create.into()).await {
            Ok(_) => return Ok(identity),
            // Another one's, or our own after a lost answer: reading tells.
            Err(e @ object_store::Error::AlreadyExists { .. }) => refused = Some(e),
            Err(e) => return Err(store_error(e)),
        }
    }
    Err(store_error(refused.expect("the loop is left early unless a create was refused")))
}

/// Reads the identity of `store`; `None`: no one has written here yet.
pub async fn read_existing(store: &dyn ObjectStore) -> Result<Option<StoreIdentity>, IdentityError> {
    read(store).await?.map(|body| decode(&body)).transpose()
}

async fn read(store: &dyn ObjectStore) -> Result<Option<Bytes>, IdentityError> {
    let found = match store.get(&layout::identity_key()).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(e) => return Err(store_error(e)),
    };
    if found.meta.size > IDENTITY_BYTES_MAX {
        return Err(damaged(format!("it has {} bytes", found.meta.size)));
    }
    found.bytes().await.map(Some).map_err(store_error)
}

/// The object as it is stored: a flipped digit of the id would make it another store's.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    identity: StoreIdentity,
    /// Hex digits; earlier versions did not write it.
    #[serde(default)]
    crc32: Option<String>,
}

fn checksum(identity: &StoreIdentity) -> String {
    let StoreIdentity { format, store_id, created } = identity;
    format!("{:08x}", crc32fast::hash(format!("{format} {store_id} {created}").as_bytes()))
}

fn encode(identity: &StoreIdentity) -> PutPayload {
    let sealed = Sealed { crc32: Some(checksum(identity)), identity: identity.clone() };
    let mut json = serde_json::to_vec(&sealed).expect("a number and some strings are always JSON");
    json.push(b'\n');
    json.into()
}

fn decode(body: &[u8]) -> Result<StoreIdentity, IdentityError> {
    // The format first: a newer one may look different in every other member.
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let Format { format } = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    if format > u64::from(STORE_FORMAT) {
        return Err(IdentityError::NewerFormat { found: format, known: STORE_FORMAT });
    }
    if format == 0 {
        return Err(damaged("format 0 does not exist".to_string()));
    }
    let Sealed { identity, crc32 } = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    match crc32 {
        Some(crc32) if crc32 != checksum(&identity) => Err(damaged("the checksum does not match".to_string())),
        _ => Ok(identity),
    }
}

fn damaged(what: String) -> IdentityError {
    IdentityError::Damaged { object: layout::identity_key().to_string(), what }
}

fn store_error(source: object_store::Error) -> IdentityError {
    let object = layout::identity_key().to_string();
    match source {
        object_store::Error::NotFound { .. } => IdentityError::NoBucket { object, source },
        source => IdentityError::Store { object, source },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    async fn store_with(body: &str) -> InMemory {
        let store = InMemory::new();
        store.put(&layout::identity_key(), body.to_string().into()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn the_first_start_creates_what_later_ones_read() {
        let store = InMemory::new();
        let first = read_or_create(&store, Uuid::from_u128(1), at(0)).await.unwrap();
        let created = "1970-01-01T00:00:00Z".to_string();
        assert_eq!(first, StoreIdentity { format: 1, store_id: Uuid::from_u128(1), created });
        assert_eq!(read_or_create(&store, Uuid::from_u128(2), at(9)).await.unwrap(), first);
        let body = store.get(&layout::identity_key()).await.unwrap().bytes().await.unwrap();
        let text = r#"{"format":1,"store_id":"00000000-0000-0000-0000-000000000001","created":"1970-01-01T00:00:00Z","crc32":"fd65b2df"}"#;
        assert_eq!(body, format!("{text}\n"));
    }

    #[tokio::test]
    async fn a_flipped_byte_is_noticed_or_means_the_same() {
        let store = InMemory::new();
        let identity = read_or_create(&store, Uuid::from_u128(0x1f), at(0)).await.unwrap();
        let body = store.get(&layout::identity_key()).await.unwrap().bytes().await.unwrap();
        let mut noticed = 0;
        for at_byte in 0..body.len() {
            for bit in 0..8 {
                let mut damaged = body.to_vec();
                damaged[at_byte] ^= 1 << bit;
                match decode(&damaged) {
                    Ok(read) => assert_eq!(read, identity, "byte {at_byte}, bit {bit}"),
                    Err(error) => {
                        noticed += 1;
                        let text = error.to_string();
                        assert!(text.contains("tidegate.json"), "byte {at_byte}, bit {bit}: {text}");
                    }
                }
            }
        }
        assert!(noticed > body.len() * 6, "{noticed} of {}", body.len() * 8);
    }

    #[tokio::test]
    async fn all_that_start_at_once_agree() {
        let store = Arc::new(InMemory::new());
        let starts = (1..=16).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { read_or_create(&store, Uuid::from_u128(n), at(0)).await.unwrap().store_id })
        });
        let ids: Vec<Uuid> = futures::future::join_all(starts).await.into_iter().map(Result::unwrap).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[tokio::test]
    async fn other_bodies_are_refused_with_the_reason() {
        let id = Uuid::from_u128(1);
        let known = format!(r#"{{"format":1,"store_id":"{id}","created":"then","added":"later"}}"#);
        assert_eq!(read_or_create(&store_with(&known).await, Uuid::nil(), at(0)).await.unwrap().store_id, id);
        for (body, kind, expected) in [
            (r#"{"format":2,"id":7}"#, Kind::Unsupported, "format 2, this version reads up to 1"),
            (r#"{"format":1}"#, Kind::Internal, "store_id"),
            (r#"{"format":0}"#, Kind::Internal, "format 0"),
            ("", Kind::Internal, "tidegate.json in the store is damaged"),
            (&" ".repeat(70_000), Kind::Internal, "70000 bytes"),
        ] {
            let error = read_or_create(&store_with(body).await, id, at(0)).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{body}: {error}");
            assert_eq!(error.kind(), kind, "{body}");
        }
    }
}
