//! One group: an accumulator over many groups serves a question without groups too.

use std::fmt;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// An accumulator whose group 0 can be looked at without being given away.
pub(super) trait Lasting: GroupsAccumulator + Sync {
    /// The result of group 0, which there is; it goes on from there.
    fn result(&mut self) -> Result<ArrayRef>;
}

/// Feeds all rows to group 0 of an accumulator over groups.
pub(super) struct Single<G>(pub(super) G);

impl<G> fmt::Debug for Single<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Single")
    }
}

impl<G: Lasting> Accumulator for Single<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values.first().map_or(0, |column| column.len())];
        self.0.update_batch(values, &groups, None, 1)
    }

    /// A window function asks after each row.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        // An accumulator that has seen no batch has no group yet.
        self.0.merge_batch(&[], &[], 1)?;
        ScalarValue::try_from_array(&self.0.result()?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.merge_batch(&[], &[], 1)?;
        self.0.state(EmitTo::First(1))?.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; states.first().map_or(0, |column| column.len())];
        self.0.merge_batch(states, &groups, 1)
    }
}
