//! Groups as rows: a row is a stretch of one group's points, and the first of a group says which series it is of.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;

use super::collect::Tags;
use super::column::Number;

/// Points of a batch, about.
const POINTS: usize = 8192;
/// Rows of a batch.
const ROWS: usize = 1024;

/// The columns of the operator's rows.
pub(in crate::query::opentsdb) mod columns {
    /// The sub query's place in the request.
    pub(in crate::query::opentsdb) const QUERY: usize = 0;
    /// Series of a group, each as the values of its tags in the order asked for, null where it lacks one. Null in rows that
    /// go on with the group of the row before.
    pub(in crate::query::opentsdb) const MEMBERS: usize = 1;
    /// In a row of its own before all others: values that filters name and no series read has.
    pub(in crate::query::opentsdb) const UNSEEN: usize = 2;
    /// Milliseconds since 1970.
    pub(in crate::query::opentsdb) const TIMES: usize = 3;
    /// As many as times; null where the value is an integer.
    pub(in crate::query::opentsdb) const FLOATS: usize = 4;
    /// As many as times; null where the value is a float.
    pub(in crate::query::opentsdb) const INTEGERS: usize = 5;
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// What every batch of the operator looks like, see [`columns`].
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = vec![
        Field::new("query", DataType::UInt32, false),
        Field::new("members", list(list(DataType::Utf8)), true),
        Field::new("unseen", list(DataType::Utf8), true),
        Field::new("times", list(DataType::Int64), false),
        Field::new("floats", list(DataType::Float64), false),
        Field::new("integers", list(DataType::Int64), false),
    ];
    Arc::new(Schema::new(fields))
});

/// Rows that are being filled.
#[derive(Debug)]
pub(super) struct Rows {
    query: u32,
    queries: UInt32Builder,
    members: ListBuilder<ListBuilder<StringBuilder>>,
    unseen: ListBuilder<StringBuilder>,
    times: ListBuilder<Int64Builder>,
    floats: ListBuilder<Float64Builder>,
    integers: ListBuilder<Int64Builder>,
    rows: usize,
    points: usize,
}

impl Rows {
    pub(super) fn new(query: u32) -> Self {
        Rows {
            query,
            queries: UInt32Builder::new(),
            members: ListBuilder::new(ListBuilder::new(StringBuilder::new())),
            unseen: ListBuilder::new(StringBuilder::new()),
            times: ListBuilder::new(Int64Builder::new()),
            floats: ListBuilder::new(Float64Builder::new()),
            integers: ListBuilder::new(Int64Builder::new()),
            rows: 0,
            points: 0,
        }
    }

    /// Begins a row: of the group of these series, or of the one before.
    pub(super) fn begin<'a>(&mut self, members: Option<impl IntoIterator<Item = &'a Tags>>) {
        self.queries.append_value(self.query);
        self.unseen.append_null();
        match members {
            None => self.members.append_null(),
            Some(members) => {
                for tags in members {
                    tags.iter().for_each(|value| self.members.values().values().append_option(value.as_deref()));
                    self.members.values().append(true);
                }
                self.members.append(true);
            }
        }
        self.rows += 1;
    }

    pub(super) fn point(&mut self, time: i64, value: Number) {
        self.points += 1;
        self.times.values().append_value(time);
        match value {
            Number::Float(value) => {
                self.floats.values().append_value(value);
                self.integers.values().append_null();
            }
            Number::Integer(value) => {
                self.floats.values().append_null();
                self.integers.values().append_value(value);
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.times.append(true);
        self.floats.append(true);
        self.integers.append(true);
    }

    /// A row that only says what was not seen.
    pub(super) fn unseen<'a>(&mut self, values: impl IntoIterator<Item = &'a str>) {
        self.queries.append_value(self.query);
        self.members.append_null();
        values.into_iter().for_each(|value| self.unseen.values().append_value(value));
        self.unseen.append(true);
        self.end();
        self.rows += 1;
    }

    /// Whether it is time to send; between rows.
    pub(super) fn is_full(&self) -> bool {
        self.points >= POINTS || self.rows >= ROWS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows so far; it goes on with none.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.points) = (0, 0);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.queries.finish()),
            Arc::new(self.members.finish()),
            Arc::new(self.unseen.finish()),
            Arc::new(self.times.finish()),
            Arc::new(self.floats.finish()),
            Arc::new(self.integers.finish()),
        ];
        RecordBatch::try_new(SCHEMA.clone(), arrays)
    }
}
