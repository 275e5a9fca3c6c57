//! Feeds the series of the input to kernels, one series after the other.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, UInt32Array,
};
use datafusion::arrow::compute::{BatchCoalescer, take};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimestampNanosecondType};
use datafusion::common::Result;

use super::TransformOperation;
use super::join::Join;
use crate::query::functions::series::{Calculation, Given, Kernel, Progress};
use crate::query::series::exec::{Next, Run};
use crate::query::series::order::Positions;
use crate::query::series::split::{goes_on, series};

pub(super) struct TransformRun {
    calculations: Vec<(usize, Calculation, DataType)>,
    types: Vec<DataType>,
    order: Positions,
    output: SchemaRef,
    /// The rows of the input at hand, and its series still to come: the first may be begun already.
    work: Option<(RecordBatch, std::iter::Peekable<std::vec::IntoIter<Range<usize>>>)>,
    /// The series at hand.
    at: Option<Series>,
    ready: BatchCoalescer,
    ended: bool,
}

struct Series {
    /// A row of the input with what names it.
    row: RecordBatch,
    kernels: Vec<Box<dyn Kernel>>,
    join: Join,
    /// How many kernels have finished, once it has ended.
    finished: Option<usize>,
}

impl TransformRun {
    pub(super) fn new(operation: &TransformOperation, batch_rows: usize) -> Self {
        let TransformOperation { transform, order, columns, input, output } = operation;
        let calculation = |(&at, (_, calculation, _)): (&usize, &(_, Calculation, _))| {
            (at, calculation.clone(), input.field(at).data_type().clone())
        };
        let results = output.fields().iter().skip(order.keys.len() + 1);
        TransformRun {
            calculations: columns.iter().zip(&transform.columns).map(calculation).collect(),
            types: results.map(|field| field.data_type().clone()).collect(),
            order: order.clone(),
            output: output.clone(),
            work: None,
            at: None,
            ready: BatchCoalescer::new(output.clone(), batch_rows.max(1)),
            ended: false,
        }
    }

    fn begin(&self, rows: &RecordBatch, range: &Range<usize>) -> Result<Series> {
        let kernel = |(_, calculation, data_type): &(usize, Calculation, DataType)| calculation.kernel(data_type);
        Ok(Series {
            row: rows.slice(range.start, 1),
            kernels: self.calculations.iter().map(kernel).collect::<Result<_>>()?,
            join: Join::new(&self.types, self.order.time_descending),
            finished: None,
        })
    }

    /// Feeds rows of the series at hand.
    fn feed(&mut self, rows: &RecordBatch, range: Range<usize>) -> Result<()> {
        let Some(at) = &mut self.at else { return Ok(()) };
        let times = rows.column(self.order.time).as_primitive::<TimestampNanosecondType>();
        let times = &times.values()[range.clone()];
        for (i, (kernel, (column, _, _))) in at.kernels.iter_mut().zip(&self.calculations).enumerate() {
            let mut given = Given::default();
            kernel.push(times, &rows.column(*column).slice(range.start, range.len()), &mut given)?;
            at.join.add(i, given)?;
        }
        let last = times.last().copied();
        let before = if self.order.time_descending { i64::MAX } else { i64::MIN };
        let settled = at.kernels.iter().map(|kernel| if kernel.lags() { Some(before) } else { last });
        let settled: Vec<Option<i64>> = settled.collect();
        self.emit(&settled)
    }

    /// Goes on to finish the series at hand.
    fn finish_series(&mut self) -> Result<Progress> {
        let Some(at) = &mut self.at else { return Ok(Progress::Done) };
        let finished = at.finished.unwrap_or(0);
        at.finished = Some(finished);
        if let Some(kernel) = at.kernels.get_mut(finished) {
            let mut given = Given::default();
            let progress = kernel.finish(&mut given)?;
            at.join.add(finished, given)?;
            if progress == Progress::Done {
                at.finished = Some(finished + 1);
                return Ok(Progress::Done);
            }
            return Ok(Progress::Again);
        }
        let settled = vec![None; at.kernels.len()];
        self.emit(&settled)?;
        self.at = None;
        Ok(Progress::Done)
    }

    fn emit(&mut self, settled: &[Option<i64>]) -> Result<()> {
        let Some(at) = &mut self.at else { return Ok(()) };
        let (times, results) = at.join.rows(settled)?;
        if times.is_empty() {
            return Ok(());
        }
        let made = times.len();
        let same_row = UInt32Array::from(vec![0; made]);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        for &key in &self.order.keys {
            columns.push(take(at.row.column(key), &same_row, None)?);
        }
        let zone =
            at.row.column(self.order.time).as_primitive::<TimestampNanosecondType>().timezone().map(str::to_string);
        columns.push(Arc::new(TimestampNanosecondArray::from(times).with_timezone_opt(zone)));
        columns.extend(results);
        let options = RecordBatchOptions::new().with_row_count(Some(made));
        self.ready.push_batch(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?)?;
        Ok(())
    }
}

impl Run for TransformRun {
    fn push(&mut self, rows: RecordBatch) -> Result<()> {
        let ranges = series(&rows, &self.order.keys)?.into_iter().peekable();
        self.work = Some((rows, ranges));
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.ended = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Next> {
        loop {
            if let Some(rows) = self.ready.next_completed_batch() {
                return Ok(Next::Rows(rows));
            }
            let ending = self.at.as_ref().is_some_and(|at| at.finished.is_some());
            if ending || self.ended && self.at.is_some() {
                if self.finish_series()? == Progress::Again {
                    return Ok(Next::Busy);
                }
                continue;
            }
            let Some((rows, ranges)) = &mut self.work else {
                if self.ended {
                    self.ready.finish_buffered_batch()?;
                    return Ok(self.ready.next_completed_batch().map_or(Next::Nothing, Next::Rows));
                }
                return Ok(Next::Nothing);
            };
            let rows = rows.clone();
            let Some(range) = ranges.peek().cloned() else {
                self.work = None;
                continue;
            };
            if let Some(at) = &mut self.at {
                if range.start > 0 || !goes_on(&at.row, &rows, &self.order.keys)? {
                    at.finished = Some(0);
                    continue;
                }
            } else {
                self.at = Some(self.begin(&rows, &range)?);
            }
            if let Some((_, ranges)) = &mut self.work {
                ranges.next();
            }
            self.feed(&rows, range)?;
        }
    }

    fn bytes(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |(rows, _)| rows.get_array_memory_size());
        let kernels = |at: &Series| at.kernels.iter().map(|kernel| kernel.bytes()).sum::<usize>() + at.join.bytes();
        work + self.at.as_ref().map_or(0, kernels)
    }
}
