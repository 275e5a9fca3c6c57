//! Which tables are due for a flush.
//!
//! A table is due with enough bytes or when its oldest row waited long enough. Small tables wait longer, and go together: a
//! table that is due takes those along that soon will be. Only so many of them go at a time: ten thousand must not make ten
//! thousand objects a minute. What they wait beyond their age costs memory and log, so that neither may run short: then
//! waiting ends.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::model::TableId;

use super::buffer::TableLoad;

/// In how many parts the small tables of one `small_age` are taken, if they are many.
const PARTS: u32 = 6;

/// When tables are flushed.
#[derive(Debug, Clone)]
pub struct DueOptions {
    /// A table is due with so many bytes of rows.
    pub table_bytes: u64,
    /// A table is due when its oldest row waited so long.
    pub age: Duration,
    /// A table with fewer bytes waits for `small_age` instead.
    pub small_bytes: u64,
    pub small_age: Duration,
    /// So many small tables are due within `small_age`, those first that waited longest.
    pub small_tables_max: usize,
    /// The buffer's budget; above half of it the largest tables are due whatever their age.
    pub buffer_bytes_max: u64,
    /// The log's budget; above half of it small tables, which keep its oldest files, are due as others are.
    pub log_bytes_max: u64,
}

/// What is held now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub buffer_bytes: u64,
    pub log_bytes: u64,
}

/// Chooses, again and again.
#[derive(Debug)]
pub(super) struct Due {
    options: DueOptions,
    /// When more small tables may go, where some had to stay.
    small_from: Option<Instant>,
}

impl Due {
    pub(super) fn new(options: DueOptions) -> Due {
        Due { options, small_from: None }
    }

    /// The tables that are due, the largest first.
    pub(super) fn tables(&mut self, mut loads: Vec<TableLoad>, held: Held, now: Instant) -> Vec<TableId> {
        loads.sort_by_key(|load| Reverse(load.bytes));
        let log_runs_short = held.log_bytes > self.options.log_bytes_max / 2;
        let (mut left, mut due, mut small) = (held.buffer_bytes, Vec::new(), Vec::new());
        for load in loads {
            let buffer_runs_short = left > self.options.buffer_bytes_max / 2;
            let waited = now.saturating_duration_since(load.since);
            let is_small = load.bytes < self.options.small_bytes && !log_runs_short;
            let is_old = waited >= self.options.age && !is_small;
            if buffer_runs_short || load.frozen || load.bytes >= self.options.table_bytes || is_old {
                left = left.saturating_sub(load.bytes);
                due.push(load.table);
            } else if is_small {
                small.push((waited, load.table));
            }
        }
        due.extend(self.small_tables(small, now));
        due
    }

    /// Those of the small ones that go now, the one that waited longest first.
    fn small_tables(&mut self, mut small: Vec<(Duration, TableId)>, now: Instant) -> Vec<TableId> {
        let (age, span) = (self.options.small_age, self.options.small_age / PARTS);
        let one_is_due = small.iter().any(|(waited, _)| *waited >= age);
        if !one_is_due || self.small_from.is_some_and(|from| now < from) {
            return Vec::new();
        }
        small.retain(|(waited, _)| *waited >= age - span);
        small.sort_by_key(|(waited, _)| Reverse(*waited));
        let part = self.options.small_tables_max.div_ceil(PARTS as usize);
        self.small_from = (small.len() > part).then(|| now + span);
        small.into_iter().map(|(_, table)| table).take(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: DueOptions = DueOptions {
        table_bytes: 1_000,
        age: Duration::from_secs(10),
        small_bytes: 100,
        small_age: Duration::from_secs(60),
        small_tables_max: 12,
        buffer_bytes_max: 1_000_000,
        log_bytes_max: 1_000_000,
    };
    const NOTHING: Held = Held { buffer_bytes: 0, log_bytes: 0 };

    struct Clock(Instant);

    impl Clock {
        /// Tables that have so many bytes and have waited so many seconds, numbered from 0.
        fn loads(&self, tables: &[(u64, u64)]) -> Vec<TableLoad> {
            let load = |(at, (bytes, waited)): (usize, &(u64, u64))| TableLoad {
                table: TableId(at as u64),
                bytes: *bytes,
                since: self.0 - Duration::from_secs(*waited),
                frozen: false,
            };
            tables.iter().enumerate().map(load).collect()
        }
    }

    #[track_caller]
    fn check(tables: &[(u64, u64)], held: Held, expected: &[u64]) {
        let clock = Clock(Instant::now() + Duration::from_secs(3_600));
        let due = Due::new(OPTIONS).tables(clock.loads(tables), held, clock.0);
        assert_eq!(due.iter().map(|table| table.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn size_or_age_makes_a_table_due() {
        check(&[(999, 9), (1_000, 0), (500, 10), (99, 59)], NOTHING, &[1, 2]);
    }

    #[test]
    fn small_tables_go_together() {
        check(&[(99, 49), (99, 50), (50, 60)], NOTHING, &[2, 1]);
    }

    #[test]
    fn a_buffer_over_half_gives_the_largest_away() {
        let held = Held { buffer_bytes: 500_700, ..NOTHING };
        check(&[(300, 0), (500, 0), (90, 0), (400, 0)], held, &[1, 3]);
    }

    #[test]
    fn a_log_over_half_ends_the_waiting_of_small_tables() {
        let held = Held { log_bytes: 500_001, ..NOTHING };
        check(&[(50, 9), (50, 10), (60, 11)], held, &[2, 1]);
    }

    #[test]
    fn frozen_rows_are_due_at_once() {
        let clock = Clock(Instant::now());
        let mut loads = clock.loads(&[(1, 0), (1, 0)]);
        loads[1].frozen = true;
        assert_eq!(Due::new(OPTIONS).tables(loads, NOTHING, clock.0), [TableId(1)]);
    }

    #[test]
    fn many_small_tables_take_turns_the_oldest_first() {
        let start = Instant::now() + Duration::from_secs(3_600);
        let mut due = Due::new(OPTIONS);
        let mut waiting: Vec<(u64, u64)> = (0..30).map(|at| (50, 60 + at)).collect();
        let mut taken = Vec::new();
        for second in 0..=60 {
            let clock = Clock(start + Duration::from_secs(second));
            let found = due.tables(clock.loads(&waiting), NOTHING, clock.0);
            for table in found {
                waiting[table.0 as usize].1 = 0; // it is written to again, and young
                taken.push((second, table.0));
            }
        }
        let expected: Vec<(u64, u64)> = (0..=60)
            .step_by(10)
            .zip((0..30).rev().step_by(2))
            .flat_map(|(second, at)| [(second, at), (second, at - 1)])
            .collect();
        assert_eq!(taken, expected);
    }
}
