//! Walks over the windows of one series after the other and makes batches of the rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, PrimitiveArray, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{SchemaRef, TimestampNanosecondType};
use datafusion::common::Result;

use super::column::FilledColumn;
use super::{FillOperation, FillRule, Work};
use crate::query::series::exec::{Next, Run};
use crate::query::series::order::Positions;
use crate::query::series::split::{WholeSeries, series};
use crate::query::series::windows::{Clock, Walk};

pub(super) struct FillRun {
    clock: Clock,
    /// The first and the last window, where there are bounds.
    from: Option<i64>,
    to: Option<i64>,
    /// Rows of each series at most.
    rows_max: usize,
    order: Positions,
    /// The columns that are filled, by position.
    columns: Vec<(usize, FilledColumn)>,
    output: SchemaRef,
    batch_rows: usize,
    whole: WholeSeries,
    work: Option<Work>,
    at: Option<Place>,
    /// Of the batch in the making: times, and a row of the series for its keys.
    times: Vec<i64>,
    keys: Vec<u32>,
}

/// Where in a series the walk is.
struct Place {
    walk: Walk,
    first: u32,
    row: u32,
    end: u32,
    /// Rows made of the series so far.
    made: usize,
}

impl FillRun {
    pub(super) fn new(operation: &FillOperation, batch_rows: usize) -> Self {
        let FillOperation { fill, order, rules, input, output } = operation;
        let mut clock = fill.windows.clock();
        let filled = |(at, rule): (usize, &FillRule)| {
            let key = order.keys.contains(&at) || order.time == at;
            (!key).then(|| (at, FilledColumn::new(rule.clone())))
        };
        FillRun {
            from: fill.from.map(|time| clock.start(time)),
            to: fill.to.map(|time| clock.start(time)),
            clock,
            rows_max: fill.rows_max.unwrap_or(usize::MAX),
            order: order.clone(),
            columns: rules.iter().enumerate().filter_map(filled).collect(),
            output: output.clone(),
            batch_rows: batch_rows.max(1),
            whole: WholeSeries::new(input.clone(), order.keys.clone()),
            work: None,
            at: None,
            times: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn start(&mut self, rows: Option<RecordBatch>) -> Result<()> {
        if let Some(rows) = rows {
            let series = series(&rows, &self.order.keys)?.into_iter();
            self.work = Some(Work { rows, series });
        }
        Ok(())
    }

    /// Goes to the next series of the work; `false` when there is none.
    fn next_series(&mut self) -> bool {
        let Some(work) = &mut self.work else { return false };
        let Some(range) = work.series.next() else { return false };
        for (at, column) in &mut self.columns {
            column.begin(work.rows.column(*at), &range);
        }
        let times = work.rows.column(self.order.time).as_primitive::<TimestampNanosecondType>();
        let first = self.from.unwrap_or_else(|| self.clock.start(times.value(range.start)));
        let (row, end) = (range.start as u32, range.end as u32);
        self.at = Some(Place { walk: self.clock.clone().walk(first), first: row, row, end, made: 0 });
        true
    }

    /// Adds rows of the series at hand until the batch is full; `false` when the series ended before.
    fn add_rows(&mut self) -> bool {
        let (Some(work), Some(place)) = (&self.work, &mut self.at) else { return false };
        let times = work.rows.column(self.order.time).as_primitive::<TimestampNanosecondType>();
        let descending = self.order.time_descending;
        let open = (self.from.is_some(), self.to.is_some());
        while self.times.len() < self.batch_rows {
            if place.made >= self.rows_max {
                return false;
            }
            let window = place.walk.start();
            let row = (place.row < place.end).then(|| times.value(place.row as usize));
            let made = match (row, window) {
                (Some(time), Some(window)) => {
                    if descending {
                        time < window
                    } else {
                        time > window
                    }
                }
                (Some(_), None) => false,
                (None, Some(window)) => {
                    if !self.to.is_some_and(|to| if descending { window >= to } else { window <= to }) {
                        return false;
                    }
                    true
                }
                (None, None) => return false,
            };
            let time = if made { window } else { row };
            let Some(time) = time else { return false };
            for (at, column) in &mut self.columns {
                column.add(work.rows.column(*at), place.row, !made, time, open);
            }
            self.times.push(time);
            self.keys.push(place.first);
            place.made += 1;
            place.row += u32::from(!made);
            if descending { place.walk.backward() } else { place.walk.forward() }
        }
        true
    }

    fn batch(&mut self) -> Result<Next> {
        let times = std::mem::take(&mut self.times);
        let keys = UInt32Array::from(std::mem::take(&mut self.keys));
        let Some(work) = self.work.as_ref().filter(|_| !times.is_empty()) else { return Ok(Next::Nothing) };
        let made = times.len();
        let input_times = work.rows.column(self.order.time).as_primitive::<TimestampNanosecondType>().values();
        let times: ArrayRef = Arc::new(with_type(PrimitiveArray::new(times.into(), None), work, self.order.time));
        let mut columns: Vec<Option<ArrayRef>> = vec![None; work.rows.num_columns()];
        columns[self.order.time] = Some(times);
        for &key in &self.order.keys {
            columns[key] = Some(take(work.rows.column(key), &keys, None)?);
        }
        let interval = self.clock.interval();
        for (at, column) in &mut self.columns {
            columns[*at] = Some(column.finish(work.rows.column(*at), input_times, interval)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(made));
        let columns = columns.into_iter().flatten().collect();
        Ok(Next::Rows(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?))
    }
}

/// Times with the zone of the input's type.
fn with_type(times: TimestampNanosecondArray, work: &Work, time: usize) -> TimestampNanosecondArray {
    let input = work.rows.column(time).as_primitive::<TimestampNanosecondType>();
    times.with_timezone_opt(input.timezone().map(str::to_string))
}

impl Run for FillRun {
    fn push(&mut self, rows: RecordBatch) -> Result<()> {
        let whole = self.whole.push(rows)?;
        self.start(whole)
    }

    fn finish(&mut self) -> Result<()> {
        let whole = self.whole.finish()?;
        self.start(whole)
    }

    fn next(&mut self) -> Result<Next> {
        loop {
            if self.add_rows() {
                return self.batch();
            }
            self.at = None;
            if !self.next_series() {
                let rows = self.batch();
                self.work = None;
                return rows;
            }
        }
    }

    fn bytes(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |work| work.rows.get_array_memory_size());
        self.whole.bytes() + work
    }
}
