//! Points whose value, where it is null, is that of the point before.

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use datafusion::arrow::compute::{concat, take};
use datafusion::common::Result;

use super::{Given, Kernel, Progress};

#[derive(Debug, Default)]
pub(super) struct Carried {
    /// One row: the last value that was not null.
    last: Option<ArrayRef>,
}

impl Kernel for Carried {
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()> {
        let (source, before) = match &self.last {
            Some(last) => (concat(&[last.as_ref(), values.as_ref()])?, 1),
            None => (values.clone(), 0),
        };
        let mut current = (before == 1).then_some(0);
        let positions = (0..values.len()).map(|row| {
            let at = row + before;
            if source.is_valid(at) {
                current = u32::try_from(at).ok();
            }
            current
        });
        let positions: UInt32Array = positions.collect();
        given.times.extend(times);
        given.values.push(take(&source, &positions, None)?);
        if let Some(current) = current {
            self.last = Some(take(&source, &UInt32Array::from(vec![current]), None)?);
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Given) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn lags(&self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.last.as_ref().map_or(0, |last| last.get_array_memory_size())
    }
}
