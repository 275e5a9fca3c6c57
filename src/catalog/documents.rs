//! Documents of the catalog by collection and key, and how much each collection holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

/// What a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) documents: usize,
    /// Of all documents as text, keys not counted.
    pub(super) bytes: usize,
}

/// All documents of a state. What a collection holds is counted as documents come and go, so that asking costs nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Documents {
    by_key: BTreeMap<(Arc<str>, Arc<str>), Arc<Json>>,
    held: BTreeMap<Arc<str>, Held>,
}

impl Documents {
    /// Takes a document in place of the one that was there.
    pub(super) fn put(&mut self, collection: &str, key: &str, value: Json) {
        let collection = Arc::<str>::from(collection);
        let held = self.held.entry(collection.clone()).or_default();
        held.documents += 1;
        held.bytes += text_len(&value);
        if let Some(old) = self.by_key.insert((collection, key.into()), Arc::new(value)) {
            held.documents -= 1;
            held.bytes -= text_len(&old);
        }
    }

    pub(super) fn remove(&mut self, collection: &str, key: &str) {
        let Some(old) = self.by_key.remove(&(collection.into(), key.into())) else { return };
        let Some(held) = self.held.get_mut(collection) else { return };
        held.documents -= 1;
        held.bytes -= text_len(&old);
        if held.documents == 0 {
            self.held.remove(collection);
        }
    }

    /// Removes those of a collection whose keys begin with `prefix`.
    pub(super) fn remove_below(&mut self, collection: &str, prefix: &str) {
        let keys: Vec<String> = self.of(collection).map(|(key, _)| key.to_string()).collect();
        for key in keys.iter().filter(|key| key.starts_with(prefix)) {
            self.remove(collection, key);
        }
    }

    pub(super) fn get(&self, collection: &str, key: &str) -> Option<&Arc<Json>> {
        self.by_key.get(&(collection.into(), key.into()))
    }

    /// What a collection holds.
    pub(super) fn held(&self, collection: &str) -> Held {
        self.held.get(collection).copied().unwrap_or_default()
    }

    /// Collection, key and document of all of them, in this order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<Json>)> {
        self.by_key.iter().map(|((collection, key), value)| (&**collection, &**key, value))
    }

    /// Those of a collection by key.
    pub(super) fn of<'a>(&'a self, collection: &'a str) -> impl Iterator<Item = (&'a str, &'a Arc<Json>)> {
        let from: (Arc<str>, Arc<str>) = (collection.into(), "".into());
        let all = self.by_key.range(from..).take_while(move |((c, _), _)| &**c == collection);
        all.map(|((_, key), value)| (&**key, value))
    }

    /// Those of a collection with keys from `first` to `last`, both included, by key.
    pub(super) fn between<'a>(
        &'a self,
        collection: &str,
        first: &str,
        last: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Json>)> + use<'a> {
        let collection = Arc::<str>::from(collection);
        let (first, last) = ((collection.clone(), Arc::<str>::from(first)), (collection, Arc::<str>::from(last)));
        // Nothing lies between ends in the wrong order.
        let last = if last < first { first.clone() } else { last };
        self.by_key.range(first..=last).map(|((_, key), value)| (&**key, value))
    }
}

/// Bytes of a document as text, which is not made.
pub(super) fn text_len(value: &Json) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).expect("a document is JSON, and a counter takes all of it");
    counter.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::chain::{Document, DocumentKind};
    use crate::catalog::change::Change;
    use crate::catalog::databases::{OPTIONS, options_key};
    use crate::catalog::state::CatalogState;
    use crate::model::names::{DEFAULT_TENANT, PUBLIC_DATABASE};

    /// The sums are those of the documents that there are.
    #[track_caller]
    fn check(state: &CatalogState, collection: &str, documents: usize) {
        let bytes = state.documents(collection).map(|(_, value)| value.to_string().len()).sum();
        assert_eq!(state.documents(collection).count(), documents);
        assert_eq!(state.held(collection), Held { documents, bytes });
    }

    #[test]
    fn what_a_collection_holds_is_what_its_documents_are() {
        let mut state = CatalogState::initial();
        let mut put = |collection: &str, key: &str, value: Json| {
            let (collection, key) = (collection.to_string(), key.to_string());
            state.apply(&Change::PutDocument { collection, key, value });
        };
        put("a", "1", json!({"text": "\"ü\"\n", "number": 1.5}));
        put("a", "2", json!("two"));
        put("a", "1", json!({"text": "longer than before, and it has ".repeat(9)}));
        put("a", "2", json!(null));
        put("b", "1", json!([1, 2, 3]));
        put("b", "2", json!([]));
        let options = options_key(DEFAULT_TENANT, PUBLIC_DATABASE);
        put(OPTIONS, &options, json!({"STRICT_WRITE": "true"}));
        check(&state, "a", 2);
        check(&state, OPTIONS, 1);
        for key in ["1", "2", "3"] {
            state.apply(&Change::DeleteDocument { collection: "a".to_string(), key: key.to_string() });
        }
        state.apply(&Change::DeleteDocument { collection: "b".to_string(), key: "2".to_string() });
        let (tenant, database) = (DEFAULT_TENANT.to_string(), PUBLIC_DATABASE.to_string());
        state.apply(&Change::DropDatabase { tenant, database });
        check(&state, "a", 0);
        check(&state, "b", 1);
        check(&state, OPTIONS, 0);
        let (id, writer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let snapshot = Document { id, number: 3, writer, epoch: 1, changes: state.as_changes() };
        let bytes = snapshot.encode(DocumentKind::Snapshot);
        let read = Document::decode(DocumentKind::Snapshot, "x", 3, &bytes).expect("a snapshot");
        let read = CatalogState::from_changes(3, &read.changes);
        check(&read, "b", 1);
        assert_eq!(read.held("b"), state.held("b"));
    }
}
