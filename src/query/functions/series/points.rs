//! Points of a group: a value, perhaps a time, perhaps columns beside them; how they are typed and collected.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, UInt32Array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{concat_batches, nullif, prep_null_mask_filter, take_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::EmitTo;

/// How a point's columns are called, in order: `value`, `time`, `aux_0`, `aux_1`, ….
pub(super) fn point_fields(types: &[DataType]) -> Fields {
    let name = |i: usize| match i {
        0 => "value".to_string(),
        1 => "time".to_string(),
        more => format!("aux_{}", more - 2),
    };
    types.iter().enumerate().map(|(i, data_type)| Field::new(name(i), data_type.clone(), true)).collect()
}

/// The type in which a value is worked on: 64 bits for numbers.
pub(super) fn wide(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        number if number.is_signed_integer() => DataType::Int64,
        number if number.is_unsigned_integer() => DataType::UInt64,
        number if number.is_floating() || number.is_decimal() => DataType::Float64,
        text if text.is_string() => DataType::Utf8,
        DataType::Dictionary(_, value) => wide(value)?,
        DataType::Boolean => DataType::Boolean,
        DataType::Null => DataType::Null,
        DataType::Timestamp(_, _) => time_type(),
        _ => return None,
    })
}

pub(super) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

/// The types of `(value, time, …)` that `function` works on.
pub(super) fn wide_point(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let [value, time, beside @ ..] = types else { return plan_err!("{function} takes a value and its time") };
    let Some(value) = wide(value) else { return plan_err!("{function} does not take values of type {value}") };
    if !matches!(time, DataType::Timestamp(_, _) | DataType::Null) {
        return plan_err!("the time of {function} is {time}, not a timestamp");
    }
    Ok([value, time_type()].into_iter().chain(beside.iter().cloned()).collect())
}

/// `columns`, whose first is the value, with null for the value of rows that `filter` leaves out.
pub(super) fn without(columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
    let mut columns = columns.to_vec();
    if let (Some(filter), Some(value)) = (filter, columns.first_mut()) {
        let out = datafusion::arrow::compute::not(&prep_null_mask_filter(filter))?;
        *value = nullif(value, &out)?;
    }
    Ok(columns)
}

/// Rows with a value, each of a group, in order of arrival.
#[derive(Debug)]
pub(super) struct Points {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// The group of each row of all batches.
    groups: Vec<usize>,
    group_count: usize,
    bytes: usize,
}

impl Points {
    pub(super) fn new(fields: Fields) -> Self {
        let schema = Arc::new(Schema::new(fields));
        Points { schema, batches: Vec::new(), groups: Vec::new(), group_count: 0, bytes: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<usize>()
    }

    pub(super) fn grow(&mut self, groups: usize) {
        self.group_count = self.group_count.max(groups);
    }

    /// Adds the rows that have a value, of those that `filter` lets through.
    pub(super) fn add(&mut self, columns: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>) -> Result<()> {
        let Some(value) = columns.first() else { return Ok(()) };
        if value.data_type() == &DataType::Null {
            return Ok(());
        }
        let kept = |row: &u32| {
            let row = *row as usize;
            value.is_valid(row) && filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
        };
        let rows = RecordBatch::try_new(self.schema.clone(), columns.to_vec())?;
        let all = value.null_count() == 0 && filter.is_none();
        if all {
            return self.push(rows, groups.iter().copied());
        }
        let kept: Vec<u32> = (0..groups.len() as u32).filter(kept).collect();
        let rows = take_record_batch(&rows, &UInt32Array::from(kept.clone()))?;
        self.push(rows, kept.iter().map(|row| groups[*row as usize]))
    }

    /// Adds rows that were collected before: lists of points, one for each of `groups`.
    pub(super) fn add_lists(&mut self, lists: &[ArrayRef], groups: &[usize]) -> Result<()> {
        let Some(lists) = lists.first() else { return Ok(()) };
        let lists = lists.as_list::<i32>();
        let offsets = lists.offsets();
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return Ok(()) };
        let points = lists.values().slice(*first as usize, (last - first) as usize);
        let rows = RecordBatch::try_new(self.schema.clone(), points.as_struct().columns().to_vec())?;
        let group_of = |(list, &group)| std::iter::repeat_n(group, lists.value_length(list) as usize);
        let groups: Vec<usize> = groups.iter().enumerate().flat_map(group_of).collect();
        self.push(rows, groups.into_iter())
    }

    fn push(&mut self, rows: RecordBatch, groups: impl Iterator<Item = usize>) -> Result<()> {
        if rows.num_rows() > 0 {
            self.bytes += rows.get_array_memory_size();
            self.batches.push(rows);
            self.groups.extend(groups);
        }
        Ok(())
    }

    /// Takes the rows of the groups emitted, in order of group, and of arrival within a group.
    pub(super) fn take(&mut self, emit: EmitTo) -> Result<Grouped> {
        let count = match emit {
            EmitTo::All => self.group_count,
            EmitTo::First(n) => n.min(self.group_count),
        };
        let rows = concat_batches(&self.schema, &self.batches)?;
        let groups = std::mem::take(&mut self.groups);
        (self.batches, self.bytes) = (Vec::new(), 0);
        self.group_count -= count;
        let mut ends = vec![0u32; count];
        let (mut later, mut later_groups) = (Vec::new(), Vec::new());
        for (row, group) in groups.iter().enumerate() {
            if *group < count {
                ends[*group] += 1;
            } else {
                later.push(row as u32);
                later_groups.push(group - count);
            }
        }
        let mut next = Vec::with_capacity(count);
        let mut start = 0;
        for end in &mut ends {
            next.push(start);
            start += *end;
            *end = start;
        }
        let mut order = vec![0; start as usize];
        for (row, group) in groups.iter().enumerate().filter(|(_, group)| **group < count) {
            order[next[*group] as usize] = row as u32;
            next[*group] += 1;
        }
        if !later.is_empty() {
            let rows = take_record_batch(&rows, &UInt32Array::from(later))?;
            self.push(rows, later_groups.into_iter())?;
        }
        Ok(Grouped { rows, order, ends })
    }

    /// Goes on with the rows of the only group, which came from a [`Points::take`].
    pub(super) fn keep(&mut self, grouped: Grouped) -> Result<()> {
        self.group_count = grouped.ends.len();
        let groups = std::iter::repeat_n(0, grouped.rows.num_rows());
        self.push(grouped.rows, groups)
    }

    /// Goes on with only the rows `kept`, which came from a [`Points::take`] of all groups.
    pub(super) fn put_back(&mut self, grouped: &Grouped, kept: Grouped) -> Result<()> {
        let Grouped { order, ends, .. } = kept;
        let rows = take_record_batch(&grouped.rows, &UInt32Array::from(order))?;
        let mut start = 0;
        let mut groups = Vec::with_capacity(rows.num_rows());
        for (group, end) in ends.iter().enumerate() {
            groups.extend(std::iter::repeat_n(group, (end - start) as usize));
            start = *end;
        }
        self.group_count = ends.len();
        self.push(rows, groups.into_iter())
    }
}

/// Rows by group: `order` holds row numbers, those of group `g` end at `ends[g]`.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) rows: RecordBatch,
    pub(super) order: Vec<u32>,
    pub(super) ends: Vec<u32>,
}

impl Grouped {
    pub(super) fn column(&self, i: usize) -> &ArrayRef {
        self.rows.column(i)
    }

    pub(super) fn groups(&self) -> usize {
        self.ends.len()
    }

    /// The row numbers of each group.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[u32]> {
        let start = |group: usize| if group == 0 { 0 } else { self.ends[group - 1] };
        (0..self.ends.len()).map(move |group| &self.order[start(group) as usize..self.ends[group] as usize])
    }

    /// A part of each group's rows, in the order that `choose` gives.
    pub(super) fn choose(&self, mut choose: impl FnMut(&[u32]) -> Vec<u32>) -> Grouped {
        let mut order = Vec::new();
        let mut ends = Vec::with_capacity(self.ends.len());
        for run in self.runs() {
            order.extend(choose(run));
            ends.push(order.len() as u32);
        }
        Grouped { rows: self.rows.clone(), order, ends }
    }

    /// A list of points for each group.
    pub(super) fn lists(&self) -> Result<ArrayRef> {
        let rows = take_record_batch(&self.rows, &UInt32Array::from(self.order.clone()))?;
        let points = StructArray::try_new(rows.schema().fields().clone(), rows.columns().to_vec(), None)?;
        let mut start = 0;
        let lengths: Vec<usize> =
            self.ends.iter().map(|end| (end - std::mem::replace(&mut start, *end)) as usize).collect();
        let item = list_item(rows.schema().fields());
        Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), Arc::new(points), None)?))
    }

    /// A point for each group, of which there is at most one row; null when there is none.
    pub(super) fn singles(&self) -> Result<ArrayRef> {
        let rows: Vec<Option<u32>> = self.runs().map(|run| run.first().copied()).collect();
        let seen = NullBuffer::from_iter(rows.iter().map(Option::is_some));
        let rows = take_record_batch(&self.rows, &UInt32Array::from(rows))?;
        if rows.num_rows() != self.groups() {
            return internal_err!("a point for each group");
        }
        Ok(Arc::new(StructArray::try_new(rows.schema().fields().clone(), rows.columns().to_vec(), Some(seen))?))
    }
}

/// The field of a list's items.
pub(super) fn list_item(fields: &Fields) -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true))
}

/// Lists of at most one point: what the rows of a batch are as states.
pub(super) fn single_lists(fields: &Fields, columns: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<ArrayRef> {
    let columns = without(columns, filter)?;
    let Some(value) = columns.first() else { return internal_err!("a point has a value") };
    let options = RecordBatchOptions::new().with_row_count(Some(value.len()));
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields.clone())), columns.clone(), &options)?;
    let valid = |row: usize| value.data_type() != &DataType::Null && value.is_valid(row);
    let order: Vec<u32> = (0..value.len()).filter(|row| valid(*row)).map(|row| row as u32).collect();
    let mut end = 0;
    let ends = (0..value.len()).map(|row| {
        end += u32::from(valid(row));
        end
    });
    Grouped { rows, ends: ends.collect(), order }.lists()
}
