//! The time since the point before.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::{Given, Kernel, Progress};

#[derive(Debug)]
pub(super) struct Elapsed {
    unit: i64,
    last: Option<i64>,
}

impl Elapsed {
    pub(super) fn new(unit: i64) -> Self {
        Elapsed { unit, last: None }
    }
}

impl Kernel for Elapsed {
    fn push(&mut self, times: &[i64], values: &ArrayRef, given: &mut Given) -> Result<()> {
        if values.data_type() == &DataType::Null {
            return Ok(());
        }
        let mut elapsed = Vec::with_capacity(times.len());
        for (row, &time) in times.iter().enumerate() {
            if values.is_null(row) {
                continue;
            }
            if let Some(last) = self.last.replace(time) {
                given.times.push(time);
                elapsed.push(time.wrapping_sub(last).wrapping_div(self.unit));
            }
        }
        given.values.push(Arc::new(Int64Array::from(elapsed)));
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
