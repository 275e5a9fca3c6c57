//! Which points of a group are kept: a percentile, the best, one of each value, some at random.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

use ahash::RandomState;
use datafusion::arrow::array::{ArrayRef, AsArray, UInt64Array};
use datafusion::arrow::datatypes::{TimestampNanosecondType, UInt64Type};
use datafusion::common::Result;
use datafusion::common::hash_utils::create_hashes_with_hasher;

use super::points::Grouped;
use super::sorting::comparator;

/// Compares rows by value.
type ByValue<'a> = Box<dyn Fn(u32, u32) -> Ordering + 'a>;

/// The comparison by value and the times of points.
fn columns(grouped: &Grouped) -> Result<(ByValue<'_>, impl Fn(u32) -> i64 + '_)> {
    let times = grouped.column(1).as_primitive::<TimestampNanosecondType>();
    Ok((comparator(grouped.column(0))?, |row: u32| times.value(row as usize)))
}

/// The point of rank `floor(n * p / 100 + 0.5)` among `n`, counted from 1, by value, then by time.
pub(super) fn percentile(grouped: &Grouped, p: f64, descending: bool) -> Result<Grouped> {
    let (compare, time) = columns(grouped)?;
    let by_time = |a: u32, b: u32| if descending { time(b).cmp(&time(a)) } else { time(a).cmp(&time(b)) };
    Ok(grouped.choose(|run| {
        let rank = (run.len() as f64 * p / 100.0 + 0.5).floor();
        if !(rank >= 1.0 && rank <= run.len() as f64) {
            return Vec::new();
        }
        let mut run = run.to_vec();
        let by = |a: &u32, b: &u32| compare(*a, *b).then_with(|| by_time(*a, *b));
        vec![*run.select_nth_unstable_by(rank as usize - 1, by).1]
    }))
}

/// The first point of each value, or the last when going backwards, by time and value.
pub(super) fn distinct(grouped: &Grouped, descending: bool) -> Result<Grouped> {
    let (compare, time) = columns(grouped)?;
    let by_time = |a: u32, b: u32| if descending { time(b).cmp(&time(a)) } else { time(a).cmp(&time(b)) };
    Ok(grouped.choose(|run| {
        let mut run = run.to_vec();
        run.sort_by(|a, b| compare(*a, *b).then_with(|| by_time(*a, *b)));
        run.dedup_by(|a, b| compare(*a, *b).is_eq());
        run.sort_by_key(|row| time(*row));
        run
    }))
}

/// The `n` greatest or least, of equal ones the earliest; by time, and at one time the best first.
pub(super) fn best(grouped: &Grouped, n: usize, greatest: bool) -> Result<Grouped> {
    let (compare, time) = columns(grouped)?;
    let by = |a: &u32, b: &u32| {
        let value = compare(*a, *b);
        let value = if greatest { value.reverse() } else { value };
        value.then_with(|| time(*a).cmp(&time(*b)))
    };
    Ok(grouped.choose(|run| {
        let mut run = run.to_vec();
        if n < run.len() {
            if n > 0 {
                run.select_nth_unstable_by(n - 1, |a, b| by(a, b).then(a.cmp(b)));
            }
            run.truncate(n);
        }
        run.sort_by(|a, b| time(*a).cmp(&time(*b)).then_with(|| by(a, b)));
        run
    }))
}

/// The `n` points with the least numbers drawn, by time.
pub(super) fn sample(grouped: &Grouped, n: usize) -> Result<Grouped> {
    let (compare, time) = columns(grouped)?;
    let drawn = grouped.column(grouped.rows.num_columns() - 1).as_primitive::<UInt64Type>();
    Ok(grouped.choose(|run| {
        let mut run = run.to_vec();
        run.sort_by_key(|row| drawn.value(*row as usize));
        run.truncate(n);
        run.sort_by(|a, b| time(*a).cmp(&time(*b)).then_with(|| compare(*a, *b)));
        run
    }))
}

/// The points without the last column.
pub(super) fn without_draws(grouped: Grouped) -> Result<Grouped> {
    let columns: Vec<usize> = (0..grouped.rows.num_columns() - 1).collect();
    Ok(Grouped { rows: grouped.rows.project(&columns)?, ..grouped })
}

/// Numbers drawn at random, one a point: the same seed and points draw the same. The point has a part in it, because the
/// accumulators of one query all start with one seed.
#[derive(Debug)]
pub(super) struct Draws {
    random: RandomState,
    /// Points so far.
    count: AtomicU64,
}

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Draws { random: RandomState::with_seeds(seed, 0, 0, 0), count: AtomicU64::new(0) }
    }

    pub(super) fn draw(&self, points: &[ArrayRef]) -> Result<ArrayRef> {
        let rows = points.first().map_or(0, |column| column.len());
        let first = self.count.fetch_add(rows as u64, Atomic::Relaxed);
        let mut drawn = vec![0; rows];
        create_hashes_with_hasher(points, &self.random, &mut drawn)?;
        let numbered = drawn.into_iter().zip(first..).map(|point| self.random.hash_one(point));
        Ok(Arc::new(UInt64Array::from_iter_values(numbered)))
    }
}
