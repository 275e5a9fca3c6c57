//! SHOW SHARDS, SHOW SHARD GROUPS.
//!
//! There are no shards here. What is listed instead are the stretches of time, as long as a policy's shards are to be, that
//! segments of the policy reach into: a group and a shard each, numbered through.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, UInt64Array};

use crate::catalog::CatalogState;
use crate::query::influxql::answer::{SeriesPiece, texts_array};

use super::{Pieces, Show};

/// Groups of one segment that are listed at most.
const GROUPS_MAX: i64 = 10_000;

struct Group {
    id: u64,
    database: Arc<str>,
    policy: String,
    start_ns: i64,
    end_ns: i64,
    expiry_ns: i64,
}

impl Show<'_> {
    /// A series for each database, also for those without any.
    pub(super) fn shards(&self) -> Pieces {
        let groups = self.groups();
        let of_database = |database: &Arc<crate::catalog::Database>| {
            let own: Vec<&Group> = groups.iter().filter(|group| group.database == database.name).collect();
            let ids = || Arc::new(UInt64Array::from_iter_values(own.iter().map(|group| group.id)));
            let arrays: Vec<ArrayRef> = vec![
                ids(),
                texts_array(own.iter().map(|group| &group.database)),
                texts_array(own.iter().map(|group| &group.policy)),
                ids(),
                texts_array(own.iter().map(|group| rfc3339(group.start_ns))),
                texts_array(own.iter().map(|group| rfc3339(group.end_ns))),
                texts_array(own.iter().map(|group| rfc3339(group.expiry_ns))),
                texts_array(own.iter().map(|_| "")),
            ];
            let columns = [
                "id",
                "database",
                "retention_policy",
                "shard_group",
                "start_time",
                "end_time",
                "expiry_time",
                "owners",
            ];
            SeriesPiece::of(Some(&database.name), &columns, arrays)
        };
        self.state.databases(&self.scope.tenant).into_iter().map(of_database).collect()
    }

    pub(super) fn shard_groups(&self) -> Pieces {
        let groups = self.groups();
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from_iter_values(groups.iter().map(|group| group.id))),
            texts_array(groups.iter().map(|group| &group.database)),
            texts_array(groups.iter().map(|group| &group.policy)),
            texts_array(groups.iter().map(|group| rfc3339(group.start_ns))),
            texts_array(groups.iter().map(|group| rfc3339(group.end_ns))),
            texts_array(groups.iter().map(|group| rfc3339(group.expiry_ns))),
        ];
        let columns = ["id", "database", "retention_policy", "start_time", "end_time", "expiry_time"];
        vec![SeriesPiece::of(Some("shard groups"), &columns, arrays)]
    }

    fn groups(&self) -> Vec<Group> {
        groups(&self.state, &self.scope.tenant)
    }
}

/// Whether SHOW SHARDS lists a shard of this number.
pub fn is_listed(state: &CatalogState, tenant: &str, id: u64) -> bool {
    groups(state, tenant).iter().any(|group| group.id == id)
}

fn groups(state: &CatalogState, tenant: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for database in state.databases(tenant) {
        for policy in &database.policies {
            let width = policy.shard_duration_ns.max(1);
            let mut starts_ns = BTreeSet::new();
            let tables = state.tables_of(database, &policy.name);
            for (table, segment) in tables.flat_map(|table| table.segments.iter().map(move |segment| (table, segment)))
            {
                let first = policy.group_start_ns(table.oldest_left_ns(segment));
                let starts = (0..GROUPS_MAX).map(|group| first.saturating_add(group.saturating_mul(width)));
                starts_ns.extend(starts.take_while(|start| *start <= segment.time_max_ns));
            }
            for start_ns in starts_ns {
                let end_ns = start_ns.saturating_add(width);
                groups.push(Group {
                    id: groups.len() as u64 + 1,
                    database: database.name.clone(),
                    policy: policy.name.clone(),
                    start_ns,
                    end_ns,
                    expiry_ns: end_ns.saturating_add(policy.duration_ns),
                });
            }
        }
    }
    groups
}

fn rfc3339(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
