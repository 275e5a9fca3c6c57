//! SHOW SHARDS, SHOW SHARD GROUPS, DROP SHARD.
//!
//! There are no shards here. What is listed instead are the stretches of time, as long as a policy's shards are to be, that
//! segments of the policy reach into: a group and a shard each. Its number stays the same, whatever comes and goes beside it:
//! who drops one after the other by a list means those that were on the list.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, UInt64Array};

use crate::catalog::{CatalogState, Delete, RetentionPolicy};
use crate::model::{SeriesFilter, Tombstone};
use crate::query::influxql::answer::{SeriesPiece, StatementError, texts_array};
use crate::storage::segment::Segment;

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

/// What DROP SHARD removes: all that tables of the policy hold in its stretch of time. Nothing where no shard has the number.
pub fn dropped(state: &CatalogState, tenant: &str, id: u64) -> Result<Vec<Delete>, StatementError> {
    let mut of_id = groups(state, tenant).into_iter().filter(|group| group.id == id);
    let Some(group) = of_id.next() else { return Ok(Vec::new()) };
    if let Some(other) = of_id.next() {
        let name = |group: &Group| format!("{}.{} from {}", group.database, group.policy, rfc3339(group.start_ns));
        let text = format!("two shards have the number {id}: {} and {}", name(&group), name(&other));
        return Err(StatementError::Refused(text));
    }
    let Some(database) = state.database(tenant, &group.database) else { return Ok(Vec::new()) };
    let deletes = state.tables_of(database, &group.policy).map(|table| Delete {
        table: table.id,
        time_min_ns: group.start_ns,
        time_max_ns: group.end_ns.saturating_sub(1),
        series: SeriesFilter::All,
    });
    Ok(deletes.collect())
}

/// From the names and the place in time, so that it stays; below 2^52, which any client reads as a number.
fn number(database: &str, policy: &RetentionPolicy, start_ns: i64) -> u64 {
    const PLACES: i64 = 1 << 24;
    let names = crc32fast::hash(format!("{database}\0{}", policy.name).as_bytes()) >> 4;
    let place = start_ns.div_euclid(policy.shard_duration_ns.max(1)).rem_euclid(PLACES);
    u64::from(names) * PLACES.unsigned_abs() + place.unsigned_abs()
}

/// Whether rows of the segment between these times, both included, may be left by its tombstones.
fn has_rows(segment: &Segment, tombstones: &[Tombstone], from_ns: i64, to_ns: i64) -> bool {
    let (from_ns, to_ns) = (from_ns.max(segment.time_min_ns), to_ns.min(segment.time_max_ns));
    let is_gone = |tombstone: &Tombstone| {
        tombstone.series == SeriesFilter::All && tombstone.time_min_ns <= from_ns && to_ns <= tombstone.time_max_ns
    };
    !tombstones.iter().any(is_gone)
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
                let starts = starts.take_while(|start| *start <= segment.time_max_ns);
                let tombstones = table.tombstones_of(segment);
                let has_rows = |start: &i64| has_rows(segment, &tombstones, *start, start.saturating_add(width - 1));
                starts_ns.extend(starts.filter(has_rows));
            }
            for start_ns in starts_ns {
                let end_ns = start_ns.saturating_add(width);
                groups.push(Group {
                    id: number(&database.name, policy, start_ns),
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
