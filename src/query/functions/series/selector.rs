//! Selectors: of each group the one row that wins, with its time and whatever stands beside it.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};

use super::held::{Beside, Booleans, Held, Nothing, Primitives, Texts};
use super::points::{point_fields, wide_point};
use super::single::{Lasting, Single};

/// Which row of a group wins. Rows whose value is null take no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The earliest; of several at one time the greatest value, but of booleans `false`.
    First,
    /// The latest; of several at one time the greatest value.
    Last,
    /// The least value; of equal ones the earliest.
    Min,
    /// The greatest value; of equal ones the earliest.
    Max,
}

impl Choice {
    fn name(self) -> &'static str {
        match self {
            Choice::First => "first_point",
            Choice::Last => "last_point",
            Choice::Min => "min_point",
            Choice::Max => "max_point",
        }
    }

    /// Whether a row wins over the one held, of which it is `time` later and `value` greater.
    fn wins(self, time: Ordering, value: impl FnOnce() -> Ordering, booleans: bool) -> bool {
        match self {
            Choice::First => time.is_lt() || time.is_eq() && if booleans { value().is_lt() } else { value().is_gt() },
            Choice::Last => time.is_gt() || time.is_eq() && value().is_gt(),
            Choice::Min => match value() {
                Ordering::Less => true,
                Ordering::Equal => time.is_lt(),
                Ordering::Greater => false,
            },
            Choice::Max => match value() {
                Ordering::Greater => true,
                Ordering::Equal => time.is_lt(),
                Ordering::Less => false,
            },
        }
    }
}

/// `first_point(value, time, …)`, `last_point`, `min_point`, `max_point`: Struct{`value`, `time`, `aux_0`, …}, null for a
/// group without values. Numbers are widened to 64 bits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SelectorFunction {
    choice: Choice,
    signature: Signature,
}

impl SelectorFunction {
    pub(super) fn new(choice: Choice) -> Self {
        SelectorFunction { choice, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn winners(&self, types: &[DataType]) -> Result<Box<dyn Winning>> {
        Ok(match types.first() {
            Some(DataType::Float64) => Box::new(Winners::<Primitives<Float64Type>>::new(self.choice, types)?),
            Some(DataType::Int64) => Box::new(Winners::<Primitives<Int64Type>>::new(self.choice, types)?),
            Some(DataType::UInt64) => Box::new(Winners::<Primitives<UInt64Type>>::new(self.choice, types)?),
            Some(DataType::Timestamp(_, None)) => {
                Box::new(Winners::<Primitives<TimestampNanosecondType>>::new(self.choice, types)?)
            }
            Some(DataType::Boolean) => Box::new(Winners::<Booleans>::new(self.choice, types)?),
            Some(DataType::Utf8) => Box::new(Winners::<Texts>::new(self.choice, types)?),
            Some(DataType::Null) => Box::new(Winners::<Nothing>::new(self.choice, types)?),
            other => return plan_err!("{} does not take {other:?}", self.name()),
        })
    }
}

fn types_of(fields: &[FieldRef]) -> Vec<DataType> {
    fields.iter().map(|field| field.data_type().clone()).collect()
}

impl AggregateUDFImpl for SelectorFunction {
    fn name(&self) -> &str {
        self.choice.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        wide_point(self.name(), types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(point_fields(&wide_point(self.name(), types)?)))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(self.winners(&types_of(args.expr_fields))?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let state = |(i, field): (usize, &FieldRef)| {
            Arc::new(Field::new(format!("{}[{i}]", args.name), field.data_type().clone(), true))
        };
        Ok(args.input_fields.iter().enumerate().map(state).collect())
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.winners(&types_of(args.expr_fields))?))
    }
}

/// The winners' types are told apart once, not for each row.
trait Winning: GroupsAccumulator + Sync {}

impl<V: Held> Winning for Winners<V> {}

impl Lasting for Box<dyn Winning> {
    fn result(&mut self) -> Result<ArrayRef> {
        let state = self.state(EmitTo::First(1))?;
        self.merge_batch(&state, &[0], 1)?;
        let result = self.evaluate(EmitTo::First(1))?;
        self.merge_batch(&state, &[0], 1)?;
        Ok(result)
    }
}

impl GroupsAccumulator for Box<dyn Winning> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.as_mut().update_batch(values, groups, filter, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.as_mut().evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.as_mut().state(emit)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.as_mut().merge_batch(values, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.as_ref().convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.as_ref().size()
    }
}

/// No row of the batch at hand has won a group.
const NO_ROW: u32 = u32::MAX;

/// The winning row of each group. Its state is the same columns again: rows that won in their part.
#[derive(Debug)]
struct Winners<V> {
    choice: Choice,
    booleans: bool,
    fields: Fields,
    seen: Vec<bool>,
    values: V,
    times: Primitives<TimestampNanosecondType>,
    beside: Vec<Beside>,
    /// The row of the batch at hand that a group has taken last.
    row: Vec<u32>,
}

impl<V: Held> Winners<V> {
    fn new(choice: Choice, types: &[DataType]) -> Result<Self> {
        let beside = types.iter().skip(2).map(|data_type| Ok(Beside::new(ScalarValue::try_from(data_type)?)));
        Ok(Winners {
            choice,
            booleans: types.first() == Some(&DataType::Boolean),
            fields: point_fields(types),
            seen: Vec::new(),
            values: V::default(),
            times: Primitives::default(),
            beside: beside.collect::<Result<_>>()?,
            row: Vec::new(),
        })
    }

    fn grow(&mut self, groups: usize) {
        self.seen.resize(groups.max(self.seen.len()), false);
        self.values.grow(groups);
        self.times.grow(groups);
        self.beside.iter_mut().for_each(|column| column.grow(groups));
        if !self.beside.is_empty() {
            self.row.resize(groups.max(self.row.len()), NO_ROW);
        }
    }

    /// The columns of the groups emitted, value and time first.
    fn take(&mut self, emit: EmitTo) -> Result<(Vec<ArrayRef>, Vec<bool>)> {
        let seen = emit.take_needed(&mut self.seen);
        if !self.row.is_empty() {
            emit.take_needed(&mut self.row);
        }
        let mut columns = vec![self.values.take(emit, &seen), self.times.take(emit, &seen)];
        for column in &mut self.beside {
            columns.push(column.take(emit)?);
        }
        Ok((columns, seen))
    }
}

impl<V: Held> GroupsAccumulator for Winners<V> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.grow(total);
        let [value, time, beside @ ..] = values else { return Ok(()) };
        let Some(array) = value.as_any().downcast_ref::<V::Array>() else {
            return internal_err!("{} got {}", self.choice.name(), value.data_type());
        };
        let times = time.as_primitive::<TimestampNanosecondType>();
        let mut won = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            if value.is_null(row) || value.data_type() == &DataType::Null {
                continue;
            }
            if filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row)) {
                continue;
            }
            let later = || self.times.compare(group, times, row);
            let greater = || self.values.compare(group, array, row);
            if self.seen[group] && !self.choice.wins(later(), greater, self.booleans) {
                continue;
            }
            self.seen[group] = true;
            self.values.set(group, array, row);
            self.times.set(group, times, row);
            if let Some(last) = self.row.get_mut(group) {
                if *last == NO_ROW {
                    won.push(group);
                }
                *last = row as u32;
            }
        }
        for group in won {
            let row = std::mem::replace(&mut self.row[group], NO_ROW) as usize;
            for (column, array) in self.beside.iter_mut().zip(beside) {
                column.set(group, array, row)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (columns, seen) = self.take(emit)?;
        Ok(Arc::new(StructArray::try_new(self.fields.clone(), columns, Some(NullBuffer::from(seen)))?))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(self.take(emit)?.0)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(values, groups, None, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        super::points::without(values, filter)
    }

    fn size(&self) -> usize {
        self.seen.capacity()
            + self.values.size()
            + self.times.size()
            + self.row.capacity() * size_of::<u32>()
            + self.beside.iter().map(Beside::size).sum::<usize>()
    }
}
