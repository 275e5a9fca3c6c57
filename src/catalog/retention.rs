//! Retention: rows that a policy does not keep any longer.
//!
//! Rows expire in groups, as in InfluxDB: those of a shard group go together, once the group's end is longer ago than the
//! policy's duration. Until then they are there for every query. Segments that hold nothing else are dropped; of a segment
//! that holds younger rows too, the expired ones are deleted by a tombstone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;

use crate::model::{SeriesFilter, Tombstone};
use crate::storage::segment::Segment;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, RetentionPolicy, Table};

/// From 1 January of the year 1, a Monday, to 1970.
const DAYS_BEFORE_1970: i128 = 719_162;
const DAY_NS: i128 = 86_400_000_000_000;

impl RetentionPolicy {
    /// Start of the shard group that holds a time. Groups are counted from the year 1, so that weeks begin on Mondays.
    pub fn group_start_ns(&self, time_ns: i64) -> i64 {
        let width = i128::from(self.shard_duration_ns.max(1));
        let into = (i128::from(time_ns) + DAYS_BEFORE_1970 * DAY_NS).rem_euclid(width);
        i64::try_from(i128::from(time_ns) - into).unwrap_or(i64::MIN)
    }

    /// Rows with an earlier time than this have expired; `None`: the policy keeps rows forever.
    pub fn expired_before_ns(&self, now_ns: i64) -> Option<i64> {
        let ended_before = now_ns.checked_sub(self.duration_ns)?.checked_sub(1)?;
        (self.duration_ns > 0).then(|| self.group_start_ns(ended_before))
    }
}

impl CatalogState {
    /// Tables of policies that do not keep rows forever, each with the time before which its rows have expired.
    pub fn expiring_tables(&self, now_ns: i64) -> impl Iterator<Item = (&Arc<Table>, i64)> {
        self.tables().filter_map(move |table| {
            let owner = self.database(&table.name.tenant, &table.name.database)?;
            Some((table, owner.policy(&table.name.policy)?.expired_before_ns(now_ns)?))
        })
    }

    /// What makes expired rows go, and how many segments are dropped. Nothing, once it is done.
    fn expire(&self, now_ns: i64, id: &mut dyn FnMut() -> Uuid) -> (Vec<Change>, usize) {
        let (mut changes, mut dropped) = (Vec::new(), 0);
        for (table, before_ns) in self.expiring_tables(now_ns) {
            let expired = table.segments.iter().filter(|segment| segment.time_max_ns < before_ns);
            let ids: Vec<Uuid> = expired.map(|segment| segment.id).collect();
            if !ids.is_empty() {
                dropped += ids.len();
                changes.push(Change::RemoveSegments { table: table.id, ids });
            }
            if table.segments.iter().any(|segment| table.holds_expired_beside_others(segment, before_ns)) {
                let tombstone = Tombstone {
                    id: id(),
                    ordinal: table.last_tombstone() + 1,
                    time_min_ns: i64::MIN,
                    time_max_ns: before_ns - 1,
                    series: SeriesFilter::All,
                };
                // What an earlier pass deleted is part of it.
                let covered = table.tombstones.iter().filter(|old| covers(&tombstone, old));
                let ids: Vec<Uuid> = covered.map(|old| old.id).collect();
                changes.push(Change::AddTombstone { table: table.id, tombstone });
                if !ids.is_empty() {
                    changes.push(Change::DropTombstones { table: table.id, ids });
                }
            }
        }
        (changes, dropped)
    }
}

impl Table {
    /// No row of a segment is earlier than this, what has expired left out.
    pub fn oldest_left_ns(&self, segment: &Segment) -> i64 {
        let from_the_start = |tombstone: &&Tombstone| {
            tombstone.series == SeriesFilter::All && tombstone.time_min_ns <= segment.time_min_ns
        };
        let tombstones = self.tombstones_of(segment);
        let ends = tombstones.iter().filter(from_the_start).map(|tombstone| tombstone.time_max_ns.saturating_add(1));
        ends.max().unwrap_or(i64::MIN).max(segment.time_min_ns)
    }

    /// Whether a segment holds rows from before and after `before_ns`, the former of which no delete speaks of yet.
    fn holds_expired_beside_others(&self, segment: &Segment, before_ns: i64) -> bool {
        let range = segment.time_min_ns..=segment.time_max_ns;
        let is_deleted = |tombstone: &Tombstone| {
            tombstone.series == SeriesFilter::All
                && tombstone.time_min_ns <= segment.time_min_ns
                && tombstone.time_max_ns >= before_ns - 1
        };
        segment.time_min_ns < before_ns
            && range.contains(&before_ns)
            && !self.tombstones_of(segment).iter().any(is_deleted)
    }
}

/// Whether all that `old` deletes is deleted by `new`, which is recorded later and so holds for its segments too.
fn covers(new: &Tombstone, old: &Tombstone) -> bool {
    new.time_min_ns <= old.time_min_ns && new.time_max_ns >= old.time_max_ns
}

impl Catalog {
    /// Drops the rows that have expired by `now_ns`, of all tables, in one commit; none when there are none. Durable, and
    /// seen by every later query, on `Ok`. Returns how many segments were dropped.
    ///
    /// Rows that are in no segment yet are untouched. Several processes may do this: who comes second finds nothing left.
    pub async fn expire(&self, now_ns: i64) -> Result<usize, CatalogError> {
        if self.state().expire(now_ns, &mut Uuid::now_v7).0.is_empty() {
            return Ok(0);
        }
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = dropped.clone();
        self.update(move |state| {
            let (changes, dropped) = state.expire(now_ns, &mut Uuid::now_v7);
            // Asked again after a lost answer there is nothing left; the number of before is right then.
            count.fetch_max(dropped, Ordering::Relaxed);
            Ok(changes)
        })
        .await?;
        Ok(dropped.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::databases::policy;
    use crate::model::{Precision, RowIdentity, TableId, TableSchema};
    use crate::storage::segment::SequenceRange;

    const HOUR_NS: i64 = 3_600_000_000_000;
    const DAY: i64 = 24 * HOUR_NS;
    /// Wednesday, 2023-11-15.
    const NOON: i64 = 1_700_049_600_000_000_000;

    #[test]
    fn groups_are_hours_days_and_weeks_from_monday() {
        let check = |width, time, start| {
            assert_eq!(
                RetentionPolicy { shard_duration_ns: width, ..RetentionPolicy::autogen() }.group_start_ns(time),
                start
            );
        };
        check(HOUR_NS, NOON + 5, NOON);
        check(DAY, NOON, NOON - 12 * HOUR_NS);
        check(7 * DAY, NOON, NOON - 12 * HOUR_NS - 2 * DAY);
        check(DAY, -1, -DAY);
        check(7 * DAY, i64::MIN, i64::MIN);
    }

    #[test]
    fn a_group_expires_when_its_end_is_longer_ago_than_the_duration() {
        let check = |duration, now, expected| {
            assert_eq!(policy(Some("p"), duration, None, 1).expired_before_ns(now), expected);
        };
        check(0, NOON, None);
        check(HOUR_NS, NOON, Some(NOON - 2 * HOUR_NS));
        check(HOUR_NS, NOON + 1, Some(NOON - HOUR_NS));
        check(7 * DAY, NOON, Some(NOON - 12 * HOUR_NS - 7 * DAY));
        check(i64::MAX, i64::MIN, None);
    }

    fn segment(id: u128, from: i64, to: i64) -> Segment {
        Segment {
            id: Uuid::from_u128(id),
            path: format!("{id}"),
            size_bytes: 1,
            rows: 1,
            window_ns: 0,
            time_min_ns: from,
            time_max_ns: to,
            sequence: SequenceRange { first: 1, last: 1 },
            published: 1,
            tombstones_applied: 0,
            level: 0,
            footer_bytes: 0,
            checks: None,
            columns: Vec::new(),
        }
    }

    /// A state with one table under a policy of one hour.
    fn state(segments: Vec<Segment>) -> CatalogState {
        let mut state = CatalogState::initial();
        state.apply(&Change::CreateDatabase {
            tenant: "cnosdb".into(),
            database: "d".into(),
            ordinal: 1,
            precision: Precision::Ns,
            policies: vec![policy(Some("p"), HOUR_NS, None, 1)],
            default_policy: "p".into(),
        });
        state.apply(&Change::CreateTable {
            id: TableId(1),
            tenant: "cnosdb".into(),
            database: "d".into(),
            policy: "p".into(),
            table: "t".into(),
            schema: TableSchema::new(RowIdentity::Series),
            folder_with_id: false,
            folder: None,
        });
        state.apply(&Change::AddSegments { table: TableId(1), segments });
        state
    }

    fn expire(state: &mut CatalogState, now_ns: i64) -> usize {
        let (changes, dropped) = state.expire(now_ns, &mut Uuid::new_v4);
        changes.iter().for_each(|change| state.apply(change));
        assert!(state.expire(now_ns, &mut Uuid::new_v4).0.is_empty(), "a second pass finds something left");
        dropped
    }

    #[test]
    fn old_segments_go_and_mixed_ones_get_a_tombstone() {
        let border = NOON - 2 * HOUR_NS;
        let old = segment(1, border - HOUR_NS, border - 1);
        let mixed = segment(2, border - 1, border);
        let young = segment(3, border, NOON);
        let mut state = state(vec![old, mixed, young]);
        assert_eq!(expire(&mut state, NOON), 1);
        let table = state.table(TableId(1)).unwrap();
        let left: Vec<u128> = table.segments.iter().map(|s| s.id.as_u128()).collect();
        assert_eq!(left, [2, 3]);
        let deleted: Vec<usize> = table.segments.iter().map(|s| table.tombstones_of(s).len()).collect();
        assert_eq!(deleted, [1, 0]);
        assert_eq!(table.tombstones[0].time_max_ns, border - 1);
        let oldest: Vec<i64> = table.segments.iter().map(|s| table.oldest_left_ns(s)).collect();
        assert_eq!(oldest, [border, border]);
        // Rows that come later with old times go with the next pass, whatever was deleted before.
        state.apply(&Change::AddSegments {
            table: TableId(1),
            segments: vec![Segment { tombstones_applied: 1, ..segment(4, border - 5, border + 5) }],
        });
        assert_eq!(expire(&mut state, NOON), 0);
        let table = state.table(TableId(1)).unwrap();
        assert_eq!(table.tombstones.iter().map(|t| t.ordinal).collect::<Vec<_>>(), [2], "the earlier one is covered");
        assert!(table.segments.iter().filter(|s| s.time_min_ns < border).all(|s| table.tombstones_of(s).len() == 1));
    }

    #[test]
    fn a_policy_without_an_end_keeps_everything() {
        let mut state = state(vec![segment(1, 0, 1)]);
        state.apply(&Change::SetPolicies {
            tenant: "cnosdb".into(),
            database: "d".into(),
            policies: vec![policy(Some("p"), 0, None, 1)],
            default_policy: "p".into(),
        });
        assert_eq!(expire(&mut state, i64::MAX), 0);
        assert_eq!(state.table(TableId(1)).unwrap().segments.len(), 1);
    }
}
