//! Meta data: what people say about a metric, a tag key, a tag value or a series, beside what points say.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use super::handle::Catalog;
use super::remembered::Room;
use super::state::CatalogState;
use super::uids::{Tsuid, Uid, UidKind};

const NAMES: &str = "opentsdb.uidmeta";
const SERIES: &str = "opentsdb.tsmeta";
/// All meta data of names, and as much of series: each is in every version of the catalog.
const ROOM: Room = Room { documents: 100_000, bytes: 64 << 20 };

/// What is said of a name, and of a series too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NameMeta {
    pub display_name: String,
    pub description: String,
    pub notes: String,
    /// Seconds since 1970; 0: nobody said.
    pub created: i64,
    pub custom: Option<BTreeMap<String, String>>,
}

/// What is said of a series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SeriesMeta {
    #[serde(flatten)]
    pub about: NameMeta,
    #[serde(default)]
    pub units: String,
    #[serde(default)]
    pub data_type: String,
    /// Days, as people count them here: no row is removed because of it.
    #[serde(default)]
    pub retention: i32,
    /// Finite; `None`: no number.
    #[serde(default)]
    pub max: Option<f64>,
    #[serde(default)]
    pub min: Option<f64>,
}

fn name_key(kind: UidKind, uid: Uid) -> String {
    format!("{}/{uid}", kind.as_str())
}

fn read<T: DeserializeOwned>(value: &serde_json::Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn written(meta: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(meta).expect("texts and numbers under string keys are JSON")
}

impl CatalogState {
    pub fn name_meta(&self, kind: UidKind, uid: Uid) -> Option<NameMeta> {
        self.document(NAMES, &name_key(kind, uid)).and_then(|value| read(value))
    }

    pub fn series_meta(&self, tsuid: &Tsuid) -> Option<SeriesMeta> {
        self.document(SERIES, &tsuid.to_string()).and_then(|value| read(value))
    }

    /// The series of a metric that something is said of, in the order of their TSUIDs.
    pub fn described_series(&self, metric: Uid) -> impl Iterator<Item = Tsuid> {
        let metric = metric.to_string();
        // Behind a metric's digits come those of tags, all of them before `g`.
        let of_metric = self.documents_between(SERIES, &metric, &format!("{metric}g"));
        of_metric.filter_map(|(key, _)| key.parse().ok())
    }
}

impl Catalog {
    /// Says of a name what `change` makes of what is said of it now, whoever else changes it at the same time; durable on `Ok`. `change`
    /// may be asked several times, also about what it made itself.
    pub async fn change_name_meta(
        &self,
        kind: UidKind,
        uid: Uid,
        change: impl Fn(Option<NameMeta>) -> NameMeta + Send + 'static,
    ) -> Result<(), CatalogError> {
        let change = move |known: Option<&serde_json::Value>| written(&change(known.and_then(read)));
        self.remember_changed(NAMES, &name_key(kind, uid), ROOM, change).await
    }

    /// The same of a series.
    pub async fn change_series_meta(
        &self,
        tsuid: &Tsuid,
        change: impl Fn(Option<SeriesMeta>) -> SeriesMeta + Send + 'static,
    ) -> Result<(), CatalogError> {
        let change = move |known: Option<&serde_json::Value>| written(&change(known.and_then(read)));
        self.remember_changed(SERIES, &tsuid.to_string(), ROOM, change).await
    }

    /// Takes back what was said of a name. `Ok(false)`: it was nothing.
    pub async fn forget_name_meta(&self, kind: UidKind, uid: Uid) -> Result<bool, CatalogError> {
        self.forget(NAMES, &name_key(kind, uid)).await
    }

    /// The same of a series.
    pub async fn forget_series_meta(&self, tsuid: &Tsuid) -> Result<bool, CatalogError> {
        self.forget(SERIES, &tsuid.to_string()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::CatalogOptions;

    async fn catalog() -> Catalog {
        let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        Catalog::open(Arc::new(InMemory::new()), Uuid::from_u128(1), options).await.unwrap()
    }

    #[tokio::test]
    async fn changes_made_at_once_are_all_there() {
        let catalog = catalog().await;
        let uid: Uid = "00000A".parse().unwrap();
        let add = |key: &'static str| {
            catalog.change_name_meta(UidKind::Tagk, uid, move |known| {
                let mut meta = known.unwrap_or_default();
                meta.custom.get_or_insert_default().insert(key.to_string(), String::new());
                meta
            })
        };
        let (a, b, c) = tokio::join!(add("a"), add("b"), add("c"));
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        let custom = catalog.state().name_meta(UidKind::Tagk, uid).unwrap().custom.unwrap();
        assert_eq!(custom.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(catalog.state().name_meta(UidKind::Tagv, uid), None);
        assert!(catalog.forget_name_meta(UidKind::Tagk, uid).await.unwrap());
        assert!(!catalog.forget_name_meta(UidKind::Tagk, uid).await.unwrap());
        assert_eq!(catalog.state().name_meta(UidKind::Tagk, uid), None);
    }

    #[tokio::test]
    async fn series_are_found_by_their_metric() {
        let catalog = catalog().await;
        let meta = SeriesMeta { max: Some(1.5), retention: 3, units: "ms".to_string(), ..SeriesMeta::default() };
        let texts = ["00000A000001000001", "00000A0000010000FF", "00000B000001000001"];
        let tsuids = texts.map(|text| text.parse::<Tsuid>().unwrap());
        for tsuid in &tsuids {
            let meta = meta.clone();
            catalog.change_series_meta(tsuid, move |_| meta.clone()).await.unwrap();
        }
        let state = catalog.state();
        assert_eq!(state.series_meta(&tsuids[1]), Some(meta));
        assert_eq!(state.described_series("00000A".parse().unwrap()).collect::<Vec<_>>(), tsuids[..2]);
        assert_eq!(state.described_series("00000C".parse().unwrap()).count(), 0);
        catalog.forget_series_meta(&tsuids[0]).await.unwrap();
        assert_eq!(catalog.state().described_series("00000A".parse().unwrap()).count(), 1);
    }
}
