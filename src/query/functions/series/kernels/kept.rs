//! Points that go through as they are.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{filter, is_not_null};
use datafusion::common::Result;

use super::{Given, Kernel, Progress};

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) nulls: bool,
}

impl Kernel for Kept {
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()> {
        if self.nulls || values.logical_null_count() == 0 {
            given.times.extend(times);
            given.values.push(values.clone());
            return Ok(());
        }
        let kept = is_not_null(values)?;
        given.times.extend(times.iter().zip(kept.values()).filter(|(_, kept)| *kept).map(|(time, _)| *time));
        given.values.push(filter(values, &kept)?);
        Ok(())
    }

    fn finish(&mut self, _: &mut Given) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn lags(&self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        0
    }
}
