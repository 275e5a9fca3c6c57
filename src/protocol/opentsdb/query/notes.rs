//! Annotations that come with groups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::catalog::{CatalogState, UidKind, Uids};
use crate::protocol::opentsdb::metadata::shown_annotation;
use crate::query::opentsdb::answer::GroupHead;
use crate::query::opentsdb::request::Query;

use super::targets::known_tsuids;

/// The annotations in the range of a request, all from one version of the catalog. Series are looked up only where some series
/// of their metric has any.
pub(super) struct Notes<'a> {
    state: &'a CatalogState,
    start_ms: i64,
    end_ms: i64,
    /// The ids of the series that have any, by metric.
    annotated: HashMap<Arc<str>, HashSet<&'a str>>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(state: &'a CatalogState, query: &Query) -> Self {
        Notes { state, start_ms: query.start_ms, end_ms: query.end_ms, annotated: HashMap::new() }
    }

    /// The global ones as JSON; empty when there are none.
    pub(super) fn global(&self) -> Arc<str> {
        match &self.of_tsuid("")[..] {
            [] => Arc::default(),
            notes => notes.iter().cloned().collect::<Json>().to_string().into(),
        }
    }

    /// Those of a group's series, one series after the other.
    pub(super) fn of(&mut self, uids: &Uids, head: &GroupHead) -> Vec<Json> {
        let annotated = self.annotated.entry(head.metric.clone()).or_insert_with(|| {
            let metric = uids.find(UidKind::Metric, &head.metric);
            metric.map(|metric| self.state.annotated(metric, self.start_ms, self.end_ms)).unwrap_or_default()
        });
        if annotated.is_empty() {
            return Vec::new();
        }
        let mut found = known_tsuids(uids, head);
        found.retain(|tsuid| annotated.contains(tsuid.as_str()));
        found.iter().flat_map(|tsuid| self.of_tsuid(tsuid)).collect()
    }

    /// Those of a series (`""`: the global ones).
    fn of_tsuid(&self, tsuid: &str) -> Vec<Json> {
        self.state.annotations(tsuid, self.start_ms, self.end_ms).iter().map(shown_annotation).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use object_store::memory::InMemory;
    use uuid::Uuid;

    use super::*;
    use crate::catalog::{Annotation, Catalog, CatalogOptions};
    use crate::query::opentsdb::answer::TagSet;

    #[tokio::test]
    async fn groups_have_the_annotations_of_one_moment_in_their_range() {
        let options = CatalogOptions { name: "test".into(), ..CatalogOptions::new(Arc::new(|| 1)) };
        let catalog = Catalog::open(Arc::new(InMemory::new()), Uuid::from_u128(1), options).await.expect("a catalog");
        let catalog = Arc::new(catalog);
        let uids = Uids::new(catalog.clone());
        let series = [("m", "a"), ("m", "b"), ("n", "a")].map(|(metric, host)| (metric, vec![("host", host)]));
        let ids: Vec<String> = uids.tsuids(&series).await.expect("ids").iter().map(ToString::to_string).collect();
        let note = |tsuid: &str, start_time| {
            let (tsuid, description) = (tsuid.to_string(), format!("at {start_time}"));
            Annotation { tsuid, start_time, description, ..Annotation::default() }
        };
        let notes = vec![note(&ids[0], 10), note(&ids[1], 20), note(&ids[1], 15), note(&ids[1], 31), note(&ids[2], 9)];
        catalog.put_annotations(notes).await.expect("room");
        let query = Query { start_ms: 10_000, end_ms: 30_000, zone: Tz::UTC, queries: Vec::new() };
        let state = catalog.state();
        let mut shown = Notes::new(&state, &query);
        let mut check = |metric: &str, hosts: &[&str], expected: &[&str]| {
            let members = hosts.iter().map(|host| -> TagSet { vec![("host".into(), (*host).into())] }).collect();
            let head = GroupHead { query: 0, metric: metric.into(), tags: Vec::new(), aggregated: Vec::new(), members };
            let found = shown.of(&uids, &head);
            let found: Vec<_> = found.iter().map(|note| note["description"].as_str().unwrap_or_default()).collect();
            assert_eq!(found, expected, "{metric} {hosts:?}");
        };
        check("m", &["b", "a"], &["at 15", "at 20", "at 10"]);
        // Whoever notes meanwhile is seen by the next request.
        catalog.put_annotations(vec![note(&ids[0], 11), note("", 12)]).await.expect("room");
        check("m", &["a", "unknown"], &["at 10"]);
        check("n", &["a"], &[]);
        check("unknown", &["a"], &[]);
        assert_eq!(&*Notes::new(&state, &query).global(), "");
        let later = catalog.state();
        let global: Json = serde_json::from_str(&Notes::new(&later, &query).global()).expect("JSON");
        assert_eq!(global[0]["description"], "at 12");
    }
}
