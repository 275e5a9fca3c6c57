//! What sub queries are about: metrics by name, or series by their TSUIDs.

use std::sync::Arc;

use crate::catalog::{Tsuid, Uid, UidKind, Uids};
use crate::model::{Classify, Kind};
use crate::protocol::opentsdb::error::WireError;
use crate::query::opentsdb::answer::{GroupHead, TagSet};
use crate::query::opentsdb::execute::Target;
use crate::query::opentsdb::request::SubQuery;

/// The target of each sub query.
pub(super) fn targets(uids: &Uids, queries: &[SubQuery]) -> Result<Vec<Target>, WireError> {
    let of = |query: &SubQuery| match query.raw.tsuids[..] {
        [] => Ok(Target { metric: query.raw.metric.as_deref().unwrap_or_default().into(), members: None }),
        _ => of_tsuids(uids, &query.raw.tsuids),
    };
    queries.iter().map(of).collect()
}

/// Series of one metric by their ids.
pub(super) fn of_tsuids(uids: &Uids, tsuids: &[String]) -> Result<Target, WireError> {
    let mut metric: Option<Arc<str>> = None;
    let mut members: Vec<TagSet> = Vec::with_capacity(tsuids.len());
    for text in tsuids {
        let (name, mut tags) = named(uids, text)?;
        match &metric {
            Some(metric) if *metric != name => {
                return Err(WireError::bad_request("One or more of the TSUIDs did not share the same metric"));
            }
            _ => metric = Some(name),
        }
        tags.sort_unstable();
        members.push(tags);
    }
    Ok(Target { metric: metric.unwrap_or_default(), members: Some(members) })
}

/// The names in a TSUID.
pub(super) fn named(uids: &Uids, text: &str) -> Result<(Arc<str>, TagSet), WireError> {
    let wrong = |error| WireError::bad_request(format!("Invalid TSUID '{text}': {error}"));
    let tsuid: Tsuid = text.parse().map_err(wrong)?;
    uids.named(&tsuid)
        .map_err(|(kind, uid)| WireError::bad_request(format!("No such unique ID for '{}': {uid}", kind.plural())))
}

/// The ids of each group's series, sorted. Names that have no number yet get one; where they cannot, their series are left out.
pub(super) async fn tsuids_of(uids: &Uids, heads: &[&GroupHead]) -> Result<Vec<Vec<String>>, WireError> {
    let series: Vec<(&str, &TagSet)> =
        heads.iter().flat_map(|head| head.members.iter().map(|member| (&*head.metric, member))).collect();
    let mut all = tsuids_of_series(uids, &series).await?.into_iter();
    let of_group = |count: usize| {
        let mut tsuids: Vec<String> = all.by_ref().take(count).filter(|tsuid| !tsuid.is_empty()).collect();
        tsuids.sort_unstable();
        tsuids
    };
    Ok(heads.iter().map(|head| head.members.len()).map(of_group).collect())
}

/// The ids of those of a group's series whose names all have a number: no other can have been noted anywhere.
pub(super) fn known_tsuids(uids: &Uids, head: &GroupHead) -> Vec<String> {
    let Some(metric) = uids.find(UidKind::Metric, &head.metric) else { return Vec::new() };
    head.members.iter().filter_map(|tags| known_tsuid(uids, metric, tags)).collect()
}

/// The id of a series whose names all have a number.
fn known_tsuid(uids: &Uids, metric: Uid, tags: &TagSet) -> Option<String> {
    let pair =
        |(key, value): &(Arc<str>, Arc<str>)| Some((uids.find(UidKind::Tagk, key)?, uids.find(UidKind::Tagv, value)?));
    Some(Tsuid::new(metric, tags.iter().map(pair).collect::<Option<_>>()?).to_string())
}

/// The ids of series. Names that have no number yet get one. A process that does not write cannot give them any: then the ids of
/// series with such names are empty.
pub(in crate::protocol::opentsdb) async fn tsuids_of_series(
    uids: &Uids,
    series: &[(&str, &TagSet)],
) -> Result<Vec<String>, WireError> {
    let named: Vec<(&str, Vec<(&str, &str)>)> = series
        .iter()
        .map(|(metric, tags)| (*metric, tags.iter().map(|(key, value)| (&**key, &**value)).collect()))
        .collect();
    match uids.tsuids(&named).await {
        Ok(tsuids) => Ok(tsuids.iter().map(ToString::to_string).collect()),
        Err(error) if error.kind() == Kind::Forbidden => {
            let known = |(metric, tags): &(&str, &TagSet)| known_tsuid(uids, uids.find(UidKind::Metric, metric)?, tags);
            Ok(series.iter().map(|series| known(series).unwrap_or_default()).collect())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Catalog, CatalogOptions};

    #[tokio::test]
    async fn who_only_reads_shows_the_ids_that_there_are() {
        let store = Arc::new(InMemory::new());
        let options = || CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        let writer = Catalog::open(store.clone(), Uuid::from_u128(1), options()).await.expect("a catalog");
        let writer = Uids::new(Arc::new(writer));
        let tags = |host: &str| -> TagSet { vec![("host".into(), host.into())] };
        let (a, b) = (tags("a"), tags("b"));
        let made = tsuids_of_series(&writer, &[("m", &a)]).await.expect("ids");
        let reader = Uids::new(Arc::new(Catalog::read(store, options()).await.expect("a catalog")));
        let shown = tsuids_of_series(&reader, &[("m", &a), ("m", &b)]).await.expect("ids");
        assert_eq!(shown, [made[0].clone(), String::new()]);
        let (metric, members) = ("m".into(), vec![b, a]);
        let head = GroupHead { query: 0, metric, tags: Vec::new(), aggregated: Vec::new(), members };
        assert_eq!(tsuids_of(&reader, &[&head]).await.expect("ids"), [made]);
    }
}
