//! Small documents that protocols keep for their clients and hand back as they came.

use std::sync::Arc;

use serde_json::Value as Json;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;

impl Catalog {
    /// Keeps `value` under `key`, in place of what was there; durable on `Ok`. A collection holds `max` at most.
    pub async fn remember(
        &self,
        collection: &str,
        key: &str,
        value: Json,
        max: usize,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (collection, key) = (collection.to_string(), key.to_string());
        self.update(move |state| {
            let known = state.document(&collection, &key);
            if known.is_some_and(|known| **known == value) {
                return Ok(Vec::new());
            }
            if known.is_none() && state.documents(&collection).count() >= max {
                return Err(CatalogError::TooManyDocuments { collection: collection.clone(), max });
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
