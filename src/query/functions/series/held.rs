//! The winning value of each group, by type.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, NullArray, PrimitiveArray, StringArray,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::EmitTo;

/// One value a group, groups numbered from 0.
pub(super) trait Held: Default + Debug + Send + Sync + 'static {
    /// What values come in; nulls in it are never asked for.
    type Array: Array + 'static;

    fn grow(&mut self, groups: usize);
    /// The value in row `row` beside the one held for `group`.
    fn compare(&self, group: usize, array: &Self::Array, row: usize) -> Ordering;
    fn set(&mut self, group: usize, array: &Self::Array, row: usize);
    /// The values of the groups emitted, null where `seen` says so.
    fn take(&mut self, emit: EmitTo, seen: &[bool]) -> ArrayRef;
    fn size(&self) -> usize;
}

#[derive(Debug)]
pub(super) struct Primitives<T: ArrowPrimitiveType>(Vec<T::Native>);

impl<T: ArrowPrimitiveType> Default for Primitives<T> {
    fn default() -> Self {
        Primitives(Vec::new())
    }
}

impl<T: ArrowPrimitiveType + Debug + Send + Sync> Held for Primitives<T>
where
    T::Native: PartialOrd,
{
    type Array = PrimitiveArray<T>;

    fn grow(&mut self, groups: usize) {
        self.0.resize(groups.max(self.0.len()), T::Native::default());
    }

    fn compare(&self, group: usize, array: &Self::Array, row: usize) -> Ordering {
        array.value(row).partial_cmp(&self.0[group]).unwrap_or(Ordering::Equal)
    }

    fn set(&mut self, group: usize, array: &Self::Array, row: usize) {
        self.0[group] = array.value(row);
    }

    fn take(&mut self, emit: EmitTo, seen: &[bool]) -> ArrayRef {
        let values = emit.take_needed(&mut self.0);
        Arc::new(PrimitiveArray::<T>::from_iter(
            values.into_iter().zip(seen).map(|(value, seen)| seen.then_some(value)),
        ))
    }

    fn size(&self) -> usize {
        self.0.capacity() * size_of::<T::Native>()
    }
}

#[derive(Debug, Default)]
pub(super) struct Booleans(Vec<bool>);

impl Held for Booleans {
    type Array = BooleanArray;

    fn grow(&mut self, groups: usize) {
        self.0.resize(groups.max(self.0.len()), false);
    }

    fn compare(&self, group: usize, array: &Self::Array, row: usize) -> Ordering {
        array.value(row).cmp(&self.0[group])
    }

    fn set(&mut self, group: usize, array: &Self::Array, row: usize) {
        self.0[group] = array.value(row);
    }

    fn take(&mut self, emit: EmitTo, seen: &[bool]) -> ArrayRef {
        let values = emit.take_needed(&mut self.0);
        Arc::new(BooleanArray::from_iter(values.into_iter().zip(seen).map(|(value, seen)| seen.then_some(value))))
    }

    fn size(&self) -> usize {
        self.0.capacity()
    }
}

#[derive(Debug, Default)]
pub(super) struct Texts {
    values: Vec<String>,
    bytes: usize,
}

impl Held for Texts {
    type Array = StringArray;

    fn grow(&mut self, groups: usize) {
        self.values.resize(groups.max(self.values.len()), String::new());
    }

    fn compare(&self, group: usize, array: &Self::Array, row: usize) -> Ordering {
        array.value(row).cmp(self.values[group].as_str())
    }

    fn set(&mut self, group: usize, array: &Self::Array, row: usize) {
        let held = &mut self.values[group];
        self.bytes -= held.capacity();
        held.clear();
        held.push_str(array.value(row));
        self.bytes += held.capacity();
    }

    fn take(&mut self, emit: EmitTo, seen: &[bool]) -> ArrayRef {
        let values = emit.take_needed(&mut self.values);
        self.bytes -= values.iter().map(String::capacity).sum::<usize>();
        Arc::new(StringArray::from_iter(values.iter().zip(seen).map(|(value, seen)| seen.then_some(value))))
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<String>() + self.bytes
    }
}

/// Values of no type: there are none.
#[derive(Debug, Default)]
pub(super) struct Nothing(usize);

impl Held for Nothing {
    type Array = NullArray;

    fn grow(&mut self, groups: usize) {
        self.0 = groups.max(self.0);
    }

    fn compare(&self, _: usize, _: &Self::Array, _: usize) -> Ordering {
        Ordering::Equal
    }

    fn set(&mut self, _: usize, _: &Self::Array, _: usize) {}

    fn take(&mut self, _: EmitTo, seen: &[bool]) -> ArrayRef {
        self.0 -= seen.len();
        Arc::new(NullArray::new(seen.len()))
    }

    fn size(&self) -> usize {
        0
    }
}

/// Any values of the rows that won, copied when they win.
#[derive(Debug)]
pub(super) struct Beside {
    none: ScalarValue,
    values: Vec<ScalarValue>,
    bytes: usize,
}

impl Beside {
    pub(super) fn new(none: ScalarValue) -> Self {
        Beside { none, values: Vec::new(), bytes: 0 }
    }

    pub(super) fn grow(&mut self, groups: usize) {
        self.values.resize(groups.max(self.values.len()), self.none.clone());
    }

    pub(super) fn set(&mut self, group: usize, array: &ArrayRef, row: usize) -> Result<()> {
        let mut value = ScalarValue::try_from_array(array, row)?;
        value.compact();
        self.bytes = self.bytes + heap(&value) - heap(&self.values[group]);
        self.values[group] = value;
        Ok(())
    }

    pub(super) fn take(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let values = emit.take_needed(&mut self.values);
        self.bytes -= values.iter().map(heap).sum::<usize>();
        ScalarValue::iter_to_array(values)
    }

    pub(super) fn size(&self) -> usize {
        self.values.capacity() * size_of::<ScalarValue>() + self.bytes
    }
}

fn heap(value: &ScalarValue) -> usize {
    value.size() - size_of::<ScalarValue>()
}
