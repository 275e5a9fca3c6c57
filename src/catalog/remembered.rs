//! Small documents that protocols keep for their clients and hand back as they came.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::change::Change;
use super::documents::{Held, text_len};
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

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Documents,
    Bytes,
}

impl Room {
    /// Whether a collection can hold these documents beside what it has under other keys. What it has already always fits.
    pub(super) fn check(self, state: &CatalogState, collection: &str, puts: &[(String, Json)]) -> Result<(), Full> {
        let by_key: BTreeMap<&str, &Json> = puts.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let is_known = |(key, value): (&&str, &&Json)| state.document(collection, key).is_some_and(|k| **k == **value);
        if by_key.iter().all(is_known) {
            return Ok(());
        }
        let Held { mut documents, mut bytes } = state.held(collection);
        for (key, value) in by_key {
            documents += 1;
            bytes += text_len(value);
            if let Some(old) = state.document(collection, key) {
                documents -= 1;
                bytes -= text_len(old);
            }
        }
        match (documents > self.documents, bytes > self.bytes) {
            (true, _) => Err(Full::Documents),
            (false, true) => Err(Full::Bytes),
            (false, false) => Ok(()),
        }
    }
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
        let collection = collection.to_string();
        let put = [(key.to_string(), value)];
        self.update(move |state| {
            let [(key, value)] = &put;
            let known = state.document(&collection, key);
            if known.is_some_and(|known| **known == *value) {
                return Ok(Vec::new());
            }
            let full = |_| CatalogError::TooManyDocuments { collection: collection.clone() };
            room.check(state, &collection, &put).map_err(full)?;
            Ok(vec![Change::PutDocument { collection: collection.clone(), key: key.clone(), value: value.clone() }])
        })
        .await
    }

    /// Keeps under `key` what `change` makes of what is kept there, whoever else changes it at the same time; durable on `Ok`. What
    /// does not fit into `room` is refused. `change` may be asked several times, also about what it made itself.
    pub(super) async fn remember_changed(
        &self,
        collection: &str,
        key: &str,
        room: Room,
        change: impl Fn(Option<&Json>) -> Json + Send + 'static,
    ) -> Result<(), CatalogError> {
        let (collection, key) = (collection.to_string(), key.to_string());
        self.update(move |state| {
            let known = state.document(&collection, &key).map(|known| &**known);
            let value = change(known);
            if known == Some(&value) {
                return Ok(Vec::new());
            }
            let put = [(key.clone(), value)];
            let full = |_| CatalogError::TooManyDocuments { collection: collection.clone() };
            room.check(state, &collection, &put).map_err(full)?;
            let [(key, value)] = put;
            Ok(vec![Change::PutDocument { collection: collection.clone(), key, value }])
        })
        .await
        .map(|_| ())
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
