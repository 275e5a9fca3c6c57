use std::collections::BTreeMap;

use object_store::memory::InMemory;
use uuid::Uuid;

use super::*;
use crate::catalog::{CatalogOptions, MetricsHome};

async fn open(store: &Arc<InMemory>) -> Uids {
    let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1_700_000_000_000_000_000)) };
    Uids::new(Arc::new(Catalog::open(store.clone(), Uuid::from_u128(1), options).await.unwrap()))
}

fn texts_of(uids: &[Uid]) -> Vec<String> {
    uids.iter().map(Uid::to_string).collect()
}

fn home() -> MetricsHome {
    MetricsHome { tenant: "cnosdb".to_string(), database: "opentsdb".to_string() }
}

#[tokio::test]
async fn names_get_numbers_in_their_order_once_and_in_one_commit() {
    let store = Arc::new(InMemory::new());
    let uids = open(&store).await;
    let before = uids.catalog.state().version;
    let wanted = [(UidKind::Metric, "b"), (UidKind::Metric, "a"), (UidKind::Tagv, "b"), (UidKind::Metric, "b")];
    let first = uids.ensure(&wanted).await.unwrap();
    assert_eq!(texts_of(&first), ["000002", "000001", "000001", "000002"]);
    assert_eq!(uids.catalog.state().version, before + 1);
    assert_eq!(uids.ensure(&wanted).await.unwrap(), first);
    assert_eq!(uids.catalog.state().version, before + 1);
    let more = uids.ensure(&[(UidKind::Metric, "0"), (UidKind::Metric, "a")]).await.unwrap();
    assert_eq!(texts_of(&more), ["000003", "000001"]);
    uids.catalog.close().await;
    let again = open(&store).await;
    assert_eq!(again.find(UidKind::Metric, "0").map(|uid| uid.to_string()).as_deref(), Some("000003"));
    assert_eq!(again.find(UidKind::Tagk, "b"), None);
    assert_eq!(again.name(UidKind::Metric, "000002".parse().unwrap()).as_deref(), Some("b"));
    assert_eq!(again.starting_with(UidKind::Metric, "").len(), 3);
    assert_eq!(again.starting_with(UidKind::Metric, "a"), [Arc::from("a")]);
}

#[tokio::test]
async fn many_names_fill_several_documents_and_none_is_written_anew() {
    let uids = open(&Arc::new(InMemory::new())).await;
    let names: Vec<String> = (0..2_500).map(|n| format!("host{n:05}")).collect();
    let wanted: Vec<_> = names.iter().map(|name| (UidKind::Tagv, name.as_str())).collect();
    let numbers = uids.ensure(&wanted).await.unwrap();
    assert_eq!(
        (numbers[0], numbers[999], numbers[1_000], numbers[2_499]),
        (Uid(1), Uid(1_000), Uid(1_001), Uid(2_500))
    );
    let documents = |uids: &Uids| -> BTreeMap<String, Arc<Value>> {
        uids.catalog.state().documents(COLLECTION).map(|(key, value)| (key.to_string(), value.clone())).collect()
    };
    let before = documents(&uids);
    assert_eq!(before.len(), 3);
    assert_eq!(uids.ensure(&[(UidKind::Tagv, "new")]).await.unwrap(), [Uid(2_501)]);
    let after = documents(&uids);
    let changed: Vec<_> =
        after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key).collect();
    assert_eq!(changed, ["tagv/00002"]);
}

#[tokio::test]
async fn a_renamed_name_keeps_its_number() {
    let uids = open(&Arc::new(InMemory::new())).await;
    uids.ensure(&[(UidKind::Tagk, "host"), (UidKind::Tagk, "dc")]).await.unwrap();
    let rename = async |from: &str, to: &str| uids.rename(UidKind::Tagk, from, to, &home()).await.unwrap();
    assert_eq!(rename("host", "server").await, Renamed::Done);
    assert_eq!(rename("host", "other").await, Renamed::Missing);
    assert_eq!(rename("server", "dc").await, Renamed::Taken);
    assert_eq!((uids.find(UidKind::Tagk, "server"), uids.find(UidKind::Tagk, "host")), (Some(Uid(2)), None));
    assert_eq!(uids.name(UidKind::Tagk, Uid(2)).as_deref(), Some("server"));
}

#[tokio::test]
async fn names_that_changed_places_are_all_found_by_who_looks_late() {
    let store = Arc::new(InMemory::new());
    let uids = open(&store).await;
    uids.ensure(&[(UidKind::Tagk, "a"), (UidKind::Tagk, "b")]).await.unwrap();
    let late = Uids::new(uids.catalog.clone());
    assert_eq!(late.find(UidKind::Tagk, "b"), Some(Uid(2)));
    assert_eq!(uids.rename(UidKind::Tagk, "b", "c", &home()).await.unwrap(), Renamed::Done);
    assert_eq!(uids.rename(UidKind::Tagk, "a", "b", &home()).await.unwrap(), Renamed::Done);
    let found = ["a", "b", "c"].map(|name| late.find(UidKind::Tagk, name));
    assert_eq!(found, [None, Some(Uid(1)), Some(Uid(2))]);
}

#[tokio::test]
async fn of_two_that_want_one_name_one_gets_it() {
    let uids = open(&Arc::new(InMemory::new())).await;
    uids.ensure(&[(UidKind::Tagk, "a"), (UidKind::Tagk, "b")]).await.unwrap();
    let home = home();
    let (first, second) =
        tokio::join!(uids.rename(UidKind::Tagk, "a", "c", &home), uids.rename(UidKind::Tagk, "b", "c", &home));
    let mut became = [first.unwrap(), second.unwrap()];
    became.sort_by_key(|became| *became != Renamed::Done);
    assert_eq!(became, [Renamed::Done, Renamed::Taken]);
    assert_eq!(uids.count(UidKind::Tagk), 2);
}

#[tokio::test]
async fn a_series_is_known_by_its_names_and_by_its_numbers() {
    let uids = open(&Arc::new(InMemory::new())).await;
    let made = uids.tsuids(&[("m", vec![("z", "1"), ("a", "2")]), ("m", vec![("z", "2")])]).await.unwrap();
    assert_eq!(made[0].to_string(), "000001000001000002000002000001");
    assert_eq!(made[1].to_string(), "000001000002000002");
    let (metric, tags) = uids.named(&made[0].to_string().to_lowercase().parse().unwrap()).unwrap();
    assert_eq!((&*metric, tags), ("m", vec![("a".into(), "2".into()), ("z".into(), "1".into())]));
    assert_eq!(uids.named(&"000009".parse().unwrap()), Err((UidKind::Metric, Uid(9))));
}

#[test]
fn what_is_no_tsuid_is_refused() {
    for text in ["", "00000", "000000", "0000010", "000001000001", "00000G", "00000é", "+00001"] {
        assert_eq!(text.parse::<Tsuid>(), Err(NotAUid), "{text}");
    }
}
