//! What sub queries are about: metrics by name, or series by their TSUIDs.

use std::sync::Arc;

use crate::catalog::{Tsuid, UidKind, Uids};
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

/// The ids of each group's series, sorted. Names that have no number yet get one.
pub(super) async fn tsuids_of(uids: &Uids, heads: &[&GroupHead]) -> Result<Vec<Vec<String>>, WireError> {
    let series: Vec<(&str, &TagSet)> =
        heads.iter().flat_map(|head| head.members.iter().map(|member| (&*head.metric, member))).collect();
    let mut all = tsuids_of_series(uids, &series).await?.into_iter();
    let of_group = |count: usize| {
        let mut tsuids: Vec<String> = all.by_ref().take(count).collect();
        tsuids.sort_unstable();
        tsuids
    };
    Ok(heads.iter().map(|head| head.members.len()).map(of_group).collect())
}

/// The ids of those of a group's series whose names all have a number: no other can have been noted anywhere.
pub(super) fn known_tsuids(uids: &Uids, head: &GroupHead) -> Vec<String> {
    let Some(metric) = uids.find(UidKind::Metric, &head.metric) else { return Vec::new() };
    let tsuid = |member: &TagSet| {
        let pair = |(key, value): &(Arc<str>, Arc<str>)| {
            Some((uids.find(UidKind::Tagk, key)?, uids.find(UidKind::Tagv, value)?))
        };
        Some(Tsuid::new(metric, member.iter().map(pair).collect::<Option<_>>()?).to_string())
    };
    head.members.iter().filter_map(tsuid).collect()
}

/// The ids of series. Names that have no number yet get one.
pub(super) async fn tsuids_of_series(uids: &Uids, series: &[(&str, &TagSet)]) -> Result<Vec<String>, WireError> {
    let named: Vec<(&str, Vec<(&str, &str)>)> = series
        .iter()
        .map(|(metric, tags)| (*metric, tags.iter().map(|(key, value)| (&**key, &**value)).collect()))
        .collect();
    Ok(uids.tsuids(&named).await?.iter().map(ToString::to_string).collect())
}
