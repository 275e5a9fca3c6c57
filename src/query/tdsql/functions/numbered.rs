//! Numbers for the windows that rows themselves make: sessions, states, events, counts.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use datafusion::arrow::compute::partition;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimestampNanosecondType};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, PartitionEvaluator, Signature, SortExpr, Volatility, WindowFunctionDefinition, WindowUDF,
    WindowUDFImpl,
};

/// What makes a window of rows that follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query::tdsql) enum Numbering {
    /// Of times: those at most `gap` nanoseconds from the one before.
    Session { gap: i64 },
    /// Of values: equal ones. Null is in none.
    State,
    /// Of two conditions: from a row of the first to the next row of the second, which may be the same.
    Event,
}

/// For each row of its partition the number of its window, from 1; null in none. Rows are in the order of `order`.
pub(in crate::query::tdsql) fn numbered(
    numbering: Numbering,
    args: Vec<Expr>,
    keys: &[Expr],
    order: Vec<SortExpr>,
) -> Result<Expr> {
    let function =
        WindowUDF::from(Numbered { numbering, signature: Signature::any(args.len(), Volatility::Immutable) });
    let call = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(Arc::new(function)), args));
    call.partition_by(keys.to_vec()).order_by(order).build()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Numbered {
    numbering: Numbering,
    signature: Signature,
}

impl WindowUDFImpl for Numbered {
    fn name(&self) -> &str {
        match self.numbering {
            Numbering::Session { .. } => "td_session_number",
            Numbering::State => "td_state_number",
            Numbering::Event => "td_event_number",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator(self.numbering)))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::UInt64, true)))
    }
}

#[derive(Debug)]
struct Evaluator(Numbering);

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let numbers = match (self.0, values) {
            (Numbering::Session { gap }, [times, ..]) => sessions(times, gap),
            (Numbering::State, [states, ..]) => self::states(states)?,
            (Numbering::Event, [start, end, ..]) => events(start.as_boolean(), end.as_boolean()),
            _ => return exec_err!("a window is made of rows"),
        };
        debug_assert_eq!(numbers.len(), rows);
        Ok(Arc::new(numbers.into_iter().collect::<UInt64Array>()))
    }
}

fn sessions(times: &ArrayRef, gap: i64) -> Vec<Option<u64>> {
    let times = times.as_primitive::<TimestampNanosecondType>();
    let (mut number, mut before) = (0, None);
    let mut numbers = Vec::with_capacity(times.len());
    for time in times {
        let Some(time) = time else {
            numbers.push(None);
            continue;
        };
        if before.is_none_or(|before: i64| time.saturating_sub(before) > gap) {
            number += 1;
        }
        before = Some(time);
        numbers.push(Some(number));
    }
    numbers
}

fn states(states: &ArrayRef) -> Result<Vec<Option<u64>>> {
    let mut numbers = vec![None; states.len()];
    for (number, run) in (1..).zip(partition(std::slice::from_ref(states))?.ranges()) {
        if states.is_valid(run.start) {
            numbers[run].fill(Some(number));
        }
    }
    Ok(numbers)
}

/// Windows that are not closed are none.
fn events(start: &BooleanArray, end: &BooleanArray) -> Vec<Option<u64>> {
    let says = |column: &BooleanArray, row: usize| column.is_valid(row) && column.value(row);
    let mut numbers = vec![None; start.len()];
    let (mut number, mut opened) = (0, None);
    for row in 0..start.len() {
        let first = *match (&mut opened, says(start, row)) {
            (Some(first), _) => first,
            (none, true) => none.insert(row),
            (_, false) => continue,
        };
        if says(end, row) {
            number += 1;
            numbers[first..=row].fill(Some(number));
            opened = None;
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, TimestampNanosecondArray};

    use super::*;

    #[test]
    fn sessions_end_where_the_gap_is_too_long() {
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![0, 1, 3, 6, 7]));
        assert_eq!(sessions(&times, 2), [Some(1), Some(1), Some(1), Some(2), Some(2)]);
    }

    #[test]
    fn states_are_runs_of_equal_values() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), None, Some(1), Some(2)]));
        assert_eq!(states(&values).unwrap(), [Some(1), Some(1), None, Some(3), Some(4)]);
    }

    #[test]
    fn events_open_and_close_and_open_ones_are_dropped() {
        let start = BooleanArray::from(vec![false, true, true, false, true, true]);
        let end = BooleanArray::from(vec![true, false, true, false, true, false]);
        assert_eq!(events(&start, &end), [None, Some(1), Some(1), None, Some(2), None]);
    }
}
