//! Small documents that protocols keep for their clients and hand back as they came.

use std::sync::Arc;

use serde_json::Value as Json;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;

/// How much a collection may hold: all of it is in memory, and in every snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub documents: usize,
    /// Of all documents as text.
    pub bytes: usize,
}

impl Catalog {
    /// Keeps `value` under `key`, in place of what was there; durable on `Ok`. What does not fit into `room` is refused.
    pub async fn remember(
        &self,
        collection: &str,
        key: &str,
        value: Json,
        room: Room,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let bytes = value.to_string().len();
        let (collection, key) = (collection.to_string(), key.to_string());
        self.update(move |state| {
            let known = state.document(&collection, &key);
            if known.is_some_and(|known| **known == value) {
                return Ok(Vec::new());
            }
            let others = || state.documents(&collection).filter(|(other, _)| *other != key);
            let held: usize = others().map(|(_, document)| document.to_string().len()).sum();
            if others().count() >= room.documents || held + bytes > room.bytes {
                return Err(CatalogError::TooManyDocuments { collection: collection.clone() });
            }
            Ok(vec![Change::PutDocument { collection: collection.clone(), key: key.clone(), value: value.clone() }])
        })
        .await
    }

    /// Forgets what is kept under `key`. `Ok(false)`: there was nothing.
    pub async fn forget(&self, collection: &str, key: &str) -> Result<bool, CatalogError> {
        let existed = self.state().document(collection, key).is_some();
        let (collection, key) = (collection.to_string(), key.to_string());
        self.update(move |state| {
            let known = state.document(&collection, &key).is_some();
            let change = || Change::DeleteDocument { collection: collection.clone(), key: key.clone() };
            Ok(known.then(change).into_iter().collect())
        })
        .await?;
        Ok(existed)
    }
}
