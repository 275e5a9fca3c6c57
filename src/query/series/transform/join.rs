//! Points of several calculations become rows by their times.

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;

use crate::query::functions::series::Given;

/// Rows: times, and a column for each calculation.
pub(super) type Rows = (Vec<i64>, Vec<ArrayRef>);

/// Points that wait for those of the other calculations, by calculation.
#[derive(Debug)]
pub(super) struct Join {
    waiting: Vec<Waiting>,
    descending: bool,
}

#[derive(Debug)]
struct Waiting {
    times: Vec<i64>,
    values: ArrayRef,
}

impl Join {
    /// The types are those of the calculations' results.
    pub(super) fn new(types: &[DataType], descending: bool) -> Self {
        let waiting = |data_type| Waiting { times: Vec::new(), values: new_empty_array(data_type) };
        Join { waiting: types.iter().map(waiting).collect(), descending }
    }

    pub(super) fn add(&mut self, calculation: usize, given: Given) -> Result<(), ArrowError> {
        let waiting = &mut self.waiting[calculation];
        waiting.times.extend(given.times);
        let mut values: Vec<&dyn Array> = vec![waiting.values.as_ref()];
        values.extend(given.values.iter().map(AsRef::as_ref));
        values.retain(|values| !values.is_empty());
        waiting.values = match (values.as_slice(), given.values.as_slice()) {
            ([], _) => return Ok(()),
            ([_], [only]) if waiting.values.is_empty() => only.clone(),
            _ => concat(&values)?,
        };
        Ok(())
    }

    /// The rows that are complete: those before the time up to which each calculation has given all its points
    /// (`None`: all of them).
    pub(super) fn rows(&mut self, settled: &[Option<i64>]) -> Result<Rows, ArrowError> {
        let key = |time: i64| if self.descending { !time } else { time };
        let mut at = vec![0; self.waiting.len()];
        let mut times = Vec::new();
        let mut taken: Vec<Vec<Option<u32>>> = vec![Vec::new(); self.waiting.len()];
        loop {
            let next = self.waiting.iter().zip(&at).filter_map(|(waiting, at)| waiting.times.get(*at));
            let Some(&time) = next.min_by_key(|time| key(**time)) else { break };
            let open = |(waiting, (at, settled)): (&Waiting, (&usize, &Option<i64>))| {
                *at == waiting.times.len() && settled.is_some_and(|settled| key(settled) <= key(time))
            };
            if self.waiting.iter().zip(at.iter().zip(settled)).any(open) {
                break;
            }
            times.push(time);
            for ((waiting, at), taken) in self.waiting.iter().zip(&mut at).zip(&mut taken) {
                let here = waiting.times.get(*at) == Some(&time);
                taken.push(here.then_some(*at as u32));
                *at += usize::from(here);
            }
        }
        let mut columns = Vec::with_capacity(taken.len());
        for ((waiting, at), taken) in self.waiting.iter_mut().zip(at).zip(taken) {
            let whole = at == times.len();
            columns.push(if whole {
                waiting.values.slice(0, at)
            } else {
                take(&waiting.values, &UInt32Array::from(taken), None)?
            });
            waiting.values = waiting.values.slice(at, waiting.values.len() - at);
            waiting.times.drain(..at);
        }
        Ok((times, columns))
    }

    pub(super) fn bytes(&self) -> usize {
        let bytes =
            |waiting: &Waiting| waiting.times.capacity() * size_of::<i64>() + waiting.values.get_array_memory_size();
        self.waiting.iter().map(bytes).sum()
    }
}
