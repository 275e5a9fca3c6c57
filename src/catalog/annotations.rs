//! Annotations: notes about a moment or a stretch of time, of one series or of all.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::remembered::{Full, Room};
use super::state::CatalogState;
use super::uids::Uid;

const COLLECTION: &str = "opentsdb.annotations";
/// All annotations of a store: each is in every version of the catalog.
const ROOM: Room = Room { documents: 100_000, bytes: 64 << 20 };

/// A note. It is known by its series and the time it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Annotation {
    /// Upper-case hexadecimal digits; empty: it is about no series, but global.
    #[serde(default)]
    pub tsuid: String,
    /// As it was given: seconds, or milliseconds where that many digits were.
    pub start_time: i64,
    /// In the unit of `start_time`; 0: it has no end.
    #[serde(default)]
    pub end_time: i64,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub notes: String,
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

impl Annotation {
    pub fn start_ms(&self) -> i64 {
        millis(self.start_time)
    }

    fn key(&self) -> String {
        key(&self.tsuid, self.start_ms())
    }
}

/// Times are seconds unless they have more than ten digits.
fn millis(time: i64) -> i64 {
    if time > i64::from(u32::MAX) { time } else { time.saturating_mul(1_000) }
}

/// Keys of a series sort by time.
fn key(tsuid: &str, start_ms: i64) -> String {
    format!("{tsuid}/{}", moment(start_ms))
}

/// Sorts like the time.
fn moment(start_ms: i64) -> String {
    format!("{:020}", start_ms.max(0))
}

impl CatalogState {
    /// The annotation of a series (`""`: global) that begins at `start_time`.
    pub fn annotation(&self, tsuid: &str, start_time: i64) -> Option<Annotation> {
        self.document(COLLECTION, &key(tsuid, millis(start_time))).and_then(|value| read(value))
    }

    /// The series of a metric that have annotations which begin in a stretch of time, both ends included.
    pub fn annotated(&self, metric: Uid, from_ms: i64, to_ms: i64) -> HashSet<&str> {
        let (metric, from, to) = (metric.to_string(), moment(from_ms), moment(to_ms));
        // Behind a metric's digits come those of tags or a slash, all of them before `g`.
        let keys = self.documents_between(COLLECTION, &metric, &format!("{metric}g")).map(|(key, _)| key);
        let at = keys.filter_map(|key| key.rsplit_once('/'));
        at.filter(|(_, at)| (from.as_str()..=to.as_str()).contains(at)).map(|(tsuid, _)| tsuid).collect()
    }

    /// Annotations of a series (`""`: the global ones) that begin in a stretch of time, both ends included, in order.
    pub fn annotations(&self, tsuid: &str, from_ms: i64, to_ms: i64) -> Vec<Annotation> {
        let found = self.documents_between(COLLECTION, &key(tsuid, from_ms), &key(tsuid, to_ms));
        found.filter_map(|(_, value)| read(value)).collect()
    }
}

fn read(value: &serde_json::Value) -> Option<Annotation> {
    serde_json::from_value(value.clone()).ok()
}

impl Catalog {
    /// Stores annotations in place of those with the same series and start; durable on `Ok`.
    pub async fn put_annotations(&self, annotations: Vec<Annotation>) -> Result<(), CatalogError> {
        self.put_annotations_within(ROOM, annotations).await
    }

    async fn put_annotations_within(&self, room: Room, annotations: Vec<Annotation>) -> Result<(), CatalogError> {
        let changes: Vec<(String, serde_json::Value)> = annotations
            .iter()
            .map(|note| (note.key(), serde_json::to_value(note).expect("texts and numbers under string keys are JSON")))
            .collect();
        self.update(move |state| {
            room.check(state, COLLECTION, &changes).map_err(|full| match full {
                Full::Documents => CatalogError::TooManyAnnotations { max: room.documents },
                Full::Bytes => CatalogError::AnnotationsTooLarge { max: room.bytes },
            })?;
            let is_new = |(key, value): &&(String, serde_json::Value)| {
                state.document(COLLECTION, key).is_none_or(|known| **known != *value)
            };
            let put = |(key, value): &(String, serde_json::Value)| Change::PutDocument {
                collection: COLLECTION.to_string(),
                key: key.clone(),
                value: value.clone(),
            };
            Ok(changes.iter().filter(is_new).map(put).collect())
        })
        .await
        .map(|_| ())
    }

    /// Takes annotations away; those that are not there are gone already.
    pub async fn delete_annotations(&self, annotations: Vec<Annotation>) -> Result<(), CatalogError> {
        let keys: Vec<String> = annotations.iter().map(Annotation::key).collect();
        self.update(move |state| {
            let known = keys.iter().filter(|key| state.document(COLLECTION, key).is_some());
            let delete = |key: &String| Change::DeleteDocument { collection: COLLECTION.to_string(), key: key.clone() };
            Ok(known.map(delete).collect())
        })
        .await
        .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::CatalogOptions;

    fn note(tsuid: &str, start_time: i64) -> Annotation {
        Annotation {
            tsuid: tsuid.to_string(),
            start_time,
            description: format!("at {start_time}"),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn annotations_are_found_by_series_and_time() {
        let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        let catalog = Catalog::open(Arc::new(InMemory::new()), Uuid::from_u128(1), options).await.unwrap();
        let notes = vec![note("", 9), note("", 10), note("", 1_356_998_400_500), note("0A", 10), note("0AB", 10)];
        catalog.put_annotations(notes.clone()).await.unwrap();
        let state = catalog.state();
        assert_eq!(state.annotation("", 10), Some(notes[1].clone()));
        assert_eq!(state.annotation("0A", 9), None);
        assert_eq!(state.annotations("", 9_000, 10_000), notes[..2]);
        assert_eq!(state.annotations("", 9_001, i64::MAX), notes[1..3]);
        assert_eq!(state.annotations("0A", 0, i64::MAX), notes[3..4]);
        // Once more changes nothing.
        catalog.put_annotations(notes.clone()).await.unwrap();
        assert_eq!(catalog.state().version, state.version);
        catalog.delete_annotations(vec![note("", 10), note("", 11)]).await.unwrap();
        assert_eq!(catalog.state().annotations("", 0, 10_000), notes[..1]);
    }

    #[tokio::test]
    async fn the_annotated_series_of_a_metric_are_found_by_time() {
        let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        let catalog = Catalog::open(Arc::new(InMemory::new()), Uuid::from_u128(1), options).await.unwrap();
        let (a, b, other) = ("00000A000001000001", "00000A0000010000FF", "00000B000001000001");
        let notes = vec![note("", 10), note("00000A", 10), note(a, 10), note(a, 11), note(b, 12), note(other, 11)];
        catalog.put_annotations(notes).await.unwrap();
        let state = catalog.state();
        let check = |metric: &str, from_ms: i64, to_ms: i64, expected: &[&str]| {
            let found = state.annotated(metric.parse().unwrap(), from_ms, to_ms);
            assert_eq!(found, expected.iter().copied().collect(), "{metric} {from_ms} {to_ms}");
        };
        check("00000A", i64::MIN, i64::MAX, &["00000A", a, b]);
        check("00000A", 11_000, 11_999, &[a]);
        check("00000A", 12_000, 12_000, &[b]);
        check("00000A", 12_001, 20_000, &[]);
        check("00000A", 20_000, 0, &[]);
        check("00000B", 11_000, 11_000, &[other]);
        check("00000C", 0, i64::MAX, &[]);
    }

    #[tokio::test]
    async fn annotations_have_so_much_room() {
        let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        let catalog = Catalog::open(Arc::new(InMemory::new()), Uuid::from_u128(1), options).await.unwrap();
        let room = Room { documents: 2, bytes: 400 };
        let put = async |notes: &[Annotation]| catalog.put_annotations_within(room, notes.to_vec()).await;
        let long = |start_time| Annotation { notes: "n".repeat(300), ..note("", start_time) };
        put(&[note("", 1), note("", 2)]).await.unwrap();
        assert!(matches!(put(&[note("", 3)]).await, Err(CatalogError::TooManyAnnotations { max: 2 })));
        assert!(matches!(put(&[long(2)]).await, Err(CatalogError::AnnotationsTooLarge { max: 400 })));
        // In place of another, and what is there.
        put(&[Annotation { notes: "n".to_string(), ..note("", 2) }]).await.unwrap();
        put(&[note("", 1)]).await.unwrap();
        assert_eq!(catalog.state().annotations("", 0, i64::MAX).len(), 2);
    }
}
