//! So many rows of each series, of so many series.

use std::fmt;
use std::ops::Range;

use datafusion::arrow::array::{RecordBatch, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::Result;

use super::exec::{Next, Operation, Run};
use super::split::{goes_on, series};

/// Which rows of which series pass. A series counts when it has rows here, also when none of them passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Limit {
    /// Rows left out at the beginning of each series.
    pub offset: usize,
    /// Rows of each series at most.
    pub limit: Option<usize>,
    /// Series left out at the beginning.
    pub series_offset: usize,
    /// Series at most.
    pub series_limit: Option<usize>,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = |limit: Option<usize>| limit.map_or("all".to_string(), |limit| limit.to_string());
        write!(f, "rows={} from {}", most(self.limit), self.offset)?;
        write!(f, ", series={} from {}", most(self.series_limit), self.series_offset)
    }
}

#[derive(Debug)]
pub(super) struct LimitOperation {
    pub(super) limit: Limit,
    pub(super) keys: Vec<usize>,
}

impl Operation for LimitOperation {
    fn name(&self) -> &'static str {
        "SeriesLimitExec"
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.limit, f)
    }

    fn run(&self, _: usize) -> Result<Box<dyn Run>> {
        let (limit, keys) = (self.limit, self.keys.clone());
        Ok(Box::new(LimitRun { limit, keys, last: None, rows: 0, series: 0, ready: None }))
    }
}

struct LimitRun {
    limit: Limit,
    keys: Vec<usize>,
    /// The last row seen.
    last: Option<RecordBatch>,
    /// Rows of the series at hand so far.
    rows: usize,
    /// Series before the one at hand.
    series: usize,
    ready: Option<RecordBatch>,
}

impl Run for LimitRun {
    fn push(&mut self, rows: RecordBatch) -> Result<()> {
        let limit = self.limit;
        let wanted_series =
            limit.series_offset..limit.series_limit.map_or(usize::MAX, |n| limit.series_offset.saturating_add(n));
        let wanted_end = limit.limit.map_or(usize::MAX, |n| limit.offset.saturating_add(n));
        let mut stretches: Vec<Range<usize>> = Vec::new();
        for (i, range) in series(&rows, &self.keys)?.into_iter().enumerate() {
            let new = match (&self.last, i) {
                (Some(last), 0) => !goes_on(last, &rows, &self.keys)?,
                (None, 0) => false,
                _ => true,
            };
            if new {
                self.series += 1;
                self.rows = 0;
            }
            let before = self.rows;
            self.rows += range.len();
            if !wanted_series.contains(&self.series) {
                continue;
            }
            let from = range.start + limit.offset.saturating_sub(before).min(range.len());
            let to = range.start + wanted_end.saturating_sub(before).min(range.len());
            if from >= to {
                continue;
            }
            match stretches.last_mut() {
                Some(last) if last.end == from => last.end = to,
                _ => stretches.push(from..to),
            }
        }
        self.last = Some(rows.slice(rows.num_rows() - 1, 1));
        self.ready = match stretches.as_slice() {
            [] => None,
            [one] => Some(rows.slice(one.start, one.len())),
            many => {
                let kept: Vec<u64> = many.iter().cloned().flatten().map(|row| row as u64).collect();
                Some(take_record_batch(&rows, &UInt64Array::from(kept))?)
            }
        };
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn next(&mut self) -> Result<Next> {
        Ok(self.ready.take().map_or(Next::Nothing, Next::Rows))
    }

    fn bytes(&self) -> usize {
        0
    }

    fn done(&self) -> bool {
        let Limit { offset, limit, series_offset, series_limit } = self.limit;
        let Some(last) = series_limit.map(|n| series_offset.saturating_add(n)) else {
            return limit == Some(0)
                || self.keys.is_empty() && limit.is_some_and(|n| self.rows >= offset.saturating_add(n));
        };
        self.series >= last
            || self.series + 1 == last && limit.is_some_and(|n| self.rows >= offset.saturating_add(n))
            || self.keys.is_empty() && limit.is_some_and(|n| self.rows >= offset.saturating_add(n))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;

    /// Feeds (series, number) rows in batches of `size` until no more are wanted, and gives the numbers that pass.
    fn passed(rows: &[(i64, i64)], limit: Limit, keys: &[usize], size: usize) -> Vec<i64> {
        let mut run = LimitOperation { limit, keys: keys.to_vec() }.run(8192).unwrap();
        let mut numbers = Vec::new();
        for rows in rows.chunks(size) {
            assert!(!run.done() || limit.limit.is_some() || limit.series_limit.is_some());
            if run.done() {
                break;
            }
            let column = |get: fn(&(i64, i64)) -> i64| -> ArrayRef {
                Arc::new(Int64Array::from_iter_values(rows.iter().map(get)))
            };
            run.push(RecordBatch::try_from_iter([("h", column(|row| row.0)), ("n", column(|row| row.1))]).unwrap())
                .unwrap();
            while let Next::Rows(rows) = run.next().unwrap() {
                numbers.extend(rows.column(1).as_primitive::<Int64Type>().values());
            }
        }
        numbers
    }

    #[test]
    fn rows_and_series_pass_as_counted_one_by_one() {
        let rows: Vec<(i64, i64)> = [(1, 3), (2, 1), (3, 6), (4, 2)]
            .into_iter()
            .flat_map(|(h, n)| (0..n).map(move |i| (h, h * 10 + i)))
            .collect();
        let limits = [None, Some(0), Some(1), Some(2), Some(9)];
        for offset in 0..3 {
            for (limit, series_limit) in limits.into_iter().flat_map(|a| limits.map(|b| (a, b))) {
                for series_offset in 0..3 {
                    let limit = Limit { offset, limit, series_offset, series_limit };
                    let wanted = |(h, n): (i64, i64)| {
                        let (series, row) = (h as usize - 1, (n - h * 10) as usize);
                        series >= series_offset
                            && limit.series_limit.is_none_or(|most| series < series_offset + most)
                            && row >= offset
                            && limit.limit.is_none_or(|most| row < offset + most)
                    };
                    let expected: Vec<i64> = rows.iter().filter(|row| wanted(**row)).map(|row| row.1).collect();
                    for size in [1, 2, 5, 100] {
                        assert_eq!(passed(&rows, limit, &[0], size), expected, "{limit:?}, {size}");
                    }
                }
            }
        }
        let limit = Limit { offset: 2, limit: Some(4), ..Limit::default() };
        assert_eq!(passed(&rows, limit, &[], 3), [12, 20, 30, 31]);
    }

    #[test]
    fn the_input_is_not_read_on_once_all_that_may_pass_has() {
        let rows = RecordBatch::try_from_iter([("h", Arc::new(Int64Array::from(vec![1, 1, 2])) as ArrayRef)]).unwrap();
        for (limit, series_limit, keys, done) in [
            (None, None, vec![0], false),
            (Some(1), None, vec![0], false),
            (Some(3), None, vec![], true),
            (Some(4), None, vec![], false),
            (None, Some(1), vec![0], true),
            (None, Some(2), vec![0], false),
            (Some(1), Some(2), vec![0], true),
        ] {
            let limit = Limit { limit, series_limit, ..Limit::default() };
            let mut run = LimitOperation { limit, keys }.run(8192).unwrap();
            run.push(rows.clone()).unwrap();
            assert_eq!(run.done(), done, "{limit}");
        }
    }
}
