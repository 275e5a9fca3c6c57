//! Columns of a table: identity, kind, type, and the Arrow schema they make.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use super::declared::{Declaration, DeclaredForm, DeclaredType, SERIES_NAME_TAG};
use super::names::unique_name;

/// Name of the time column in every table.
pub const TIME_COLUMN: &str = "time";
/// Arrow field metadata: `time`, `tag` or `field`.
pub const META_KIND: &str = "tidegate.kind";
/// Arrow field metadata: the name the column was written with, when SQL knows it by another.
pub const META_NAME: &str = "tidegate.name";
/// Arrow and Parquet field metadata that carries the column id.
pub const META_FIELD_ID: &str = "PARQUET:field_id";

/// A table's stable id, never reused within a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub u64);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A column's stable id within its table, never reused; also its Parquet field id. `time` is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnId(pub u32);

/// The time column's id in every table.
pub const TIME_ID: ColumnId = ColumnId(0);

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    Time,
    Tag,
    Field,
}

impl ColumnKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ColumnKind::Time => "time",
            ColumnKind::Tag => "tag",
            ColumnKind::Field => "field",
        }
    }
}

/// The type of a field, fixed when it is first written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Float,
    Integer,
    Unsigned,
    Boolean,
    String,
}

impl FieldType {
    /// InfluxDB's word for it, also used in our own messages.
    pub fn as_str(self) -> &'static str {
        match self {
            FieldType::Float => "float",
            FieldType::Integer => "integer",
            FieldType::Unsigned => "unsigned",
            FieldType::Boolean => "boolean",
            FieldType::String => "string",
        }
    }

    pub fn arrow(self) -> DataType {
        match self {
            FieldType::Float => DataType::Float64,
            FieldType::Integer => DataType::Int64,
            FieldType::Unsigned => DataType::UInt64,
            FieldType::Boolean => DataType::Boolean,
            FieldType::String => DataType::Utf8,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One tag or field column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub id: ColumnId,
    /// The name as written by the client.
    pub name: String,
    /// The name in SQL and in Arrow schemas: `name`, made unique within the table (a tag and a field may share theirs).
    pub sql_name: String,
    /// The column's name inside Parquet files: `sql_name`, made unique regardless of case over all columns the table ever had.
    pub stored_name: String,
    pub kind: ColumnKind,
    /// `None` for tags, which are strings.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub field_type: Option<FieldType>,
    /// The compression that was asked for by name: shown, and without effect on segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// What it was declared as, where it was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredType>,
    /// A tag whose values are in the table's registry of named series rather than in rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_registry: bool,
}

impl Column {
    pub fn data_type(&self) -> DataType {
        match self.field_type {
            None => tag_type(),
            Some(t) => t.arrow(),
        }
    }

    /// Whether it is a field of times, whose integers are nanoseconds since 1970.
    pub fn holds_times(&self) -> bool {
        self.kind == ColumnKind::Field
            && self.field_type == Some(FieldType::Integer)
            && self.declared == Some(DeclaredType::Timestamp)
    }

    fn arrow_field(&self, name: &str) -> Field {
        let mut metadata = HashMap::from([
            (META_KIND.to_string(), self.kind.as_str().to_string()),
            (META_FIELD_ID.to_string(), self.id.0.to_string()),
        ]);
        if name != self.name {
            metadata.insert(META_NAME.to_string(), self.name.clone());
        }
        Field::new(name, self.data_type(), true).with_metadata(metadata)
    }
}

/// Tags are dictionary-encoded strings.
pub fn tag_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Time is nanoseconds, and UTC by definition. The type carries no zone because readers that know
/// zones commonly keep only microseconds for zoned times, and would lose digits.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

fn time_field() -> Field {
    Field::new(TIME_COLUMN, time_type(), false).with_metadata(HashMap::from([
        (META_KIND.to_string(), ColumnKind::Time.as_str().to_string()),
        (META_FIELD_ID.to_string(), TIME_ID.0.to_string()),
    ]))
}

/// What makes two points the same row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowIdentity {
    /// Series (the tag set) and time: a later write merges into the row, field by field.
    Series,
    /// Nothing: every point is a row of its own and none is ever merged away.
    Append,
}

/// The columns of one table. Tags and fields are in order of creation; ids only grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    pub identity: RowIdentity,
    pub columns: Vec<Column>,
    next_column: u32,
    /// Lower-cased stored names ever used, so that none is used again.
    stored_names: Vec<String>,
    /// `None`: its columns came with what was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration: Option<Declaration>,
}

impl TableSchema {
    pub fn new(identity: RowIdentity) -> Self {
        let stored_names = vec![TIME_COLUMN.to_string()];
        TableSchema { identity, columns: Vec::new(), next_column: 1, stored_names, declaration: None }
    }

    /// Appends a column and returns its id. The caller has checked that no column of this name and kind exists.
    pub fn add(&mut self, name: &str, kind: ColumnKind, field_type: Option<FieldType>) -> ColumnId {
        debug_assert!(self.find(name, kind).is_none() && (kind == ColumnKind::Tag) == field_type.is_none());
        let id = ColumnId(self.next_column);
        self.next_column += 1;
        let sql_name = unique_name(name, |n| n == TIME_COLUMN || self.columns.iter().any(|c| c.sql_name == n));
        let stored_name = unique_name(&sql_name, |n| self.stored_names.contains(&n.to_lowercase()));
        self.stored_names.push(stored_name.to_lowercase());
        self.columns.push(Column {
            id,
            name: name.to_string(),
            sql_name,
            stored_name,
            kind,
            field_type,
            codec: None,
            declared: None,
            in_registry: false,
        });
        id
    }

    /// Appends a declared field.
    pub fn declare_field(&mut self, name: &str, declared: DeclaredType) -> ColumnId {
        let id = self.add(name, ColumnKind::Field, Some(declared.stored()));
        self.columns.last_mut().expect("it was just added").declared = Some(declared);
        id
    }

    /// Appends a declared tag whose values are in the registry.
    pub fn declare_tag(&mut self, name: &str, declared: DeclaredType) -> ColumnId {
        let id = self.add(name, ColumnKind::Tag, None);
        let column = self.columns.last_mut().expect("it was just added");
        (column.declared, column.in_registry) = (Some(declared), true);
        id
    }

    /// Takes a column away. Its id and its name in files are not used again.
    pub fn remove(&mut self, id: ColumnId) {
        self.columns.retain(|column| column.id != id);
    }

    /// Gives a column another name; in files it keeps its own.
    pub fn rename_column(&mut self, id: ColumnId, name: &str) {
        let taken = |n: &str| n == TIME_COLUMN || self.columns.iter().any(|c| c.id != id && c.sql_name == n);
        let sql_name = unique_name(name, taken);
        if let Some(column) = self.columns.iter_mut().find(|c| c.id == id) {
            (column.name, column.sql_name) = (name.to_string(), sql_name);
        }
    }

    /// Adds a tag unless there is one of this name.
    pub fn add_missing_tag(&mut self, name: &str) {
        if self.find(name, ColumnKind::Tag).is_none() {
            self.add(name, ColumnKind::Tag, None);
        }
    }

    /// Adds a field unless there is one of this name, whatever its type.
    pub fn add_missing_field(&mut self, name: &str, field_type: FieldType) {
        if self.find(name, ColumnKind::Field).is_none() {
            self.add(name, ColumnKind::Field, Some(field_type));
        }
    }

    /// Removes a field; its name may be given again, to another column.
    pub fn drop_field(&mut self, name: &str) {
        self.columns.retain(|column| column.kind != ColumnKind::Field || column.name != name);
    }

    /// Gives a column another name, which no other column has; what is stored of it stays its own.
    pub fn rename(&mut self, from: &str, kind: ColumnKind, to: &str) {
        let taken = |name: &str| name == TIME_COLUMN || self.columns.iter().any(|c| c.sql_name == name);
        let sql_name = unique_name(to, taken);
        if let Some(column) = self.columns.iter_mut().find(|c| c.kind == kind && c.name == from) {
            column.name = to.to_string();
            column.sql_name = sql_name;
        }
    }

    /// Remembers the compression asked for a field.
    pub fn set_codec(&mut self, field: &str, codec: Option<String>) {
        if let Some(column) = self.columns.iter_mut().find(|c| c.kind == ColumnKind::Field && c.name == field) {
            column.codec = codec;
        }
    }

    /// Makes a field of integers one of floats; what is stored as an integer is read as a float from then on. Returns
    /// whether there was one.
    pub fn widen(&mut self, field: &str) -> bool {
        let is_it = |c: &&mut Column| c.kind == ColumnKind::Field && c.name == field;
        let Some(column) = self.columns.iter_mut().find(is_it) else { return false };
        let is_integer = matches!(column.field_type, Some(FieldType::Integer | FieldType::Unsigned));
        if is_integer {
            column.field_type = Some(FieldType::Float);
        }
        is_integer
    }

    /// The tag that names a row's series, in a table whose series have names.
    pub fn series_name_tag(&self) -> Option<&Column> {
        let named = self.declaration.as_ref().is_some_and(|d| d.form == DeclaredForm::NamedSeries);
        if named { self.find(SERIES_NAME_TAG, ColumnKind::Tag) } else { None }
    }

    /// Tags whose values are in the registry.
    pub fn registered_tags(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.in_registry)
    }

    /// The column that clients call `name`.
    pub fn find(&self, name: &str, kind: ColumnKind) -> Option<&Column> {
        self.columns.iter().find(|c| c.kind == kind && c.name == name)
    }

    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|c| c.id == id)
    }

    pub fn tags(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.kind == ColumnKind::Tag)
    }

    pub fn fields(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.kind == ColumnKind::Field)
    }

    /// Schema of the table in SQL: `time`, then tags and fields in order of creation.
    pub fn sql_schema(&self) -> SchemaRef {
        let rest = self.columns.iter().map(|c| c.arrow_field(&c.sql_name));
        Arc::new(Schema::new(std::iter::once(time_field()).chain(rest).collect::<Vec<_>>()))
    }

    /// The same, with columns that were declared as times as times, not as the integers that are stored.
    pub fn declared_schema(&self) -> SchemaRef {
        let field = |c: &Column| {
            let field = c.arrow_field(&c.sql_name);
            if c.holds_times() { field.with_data_type(time_type()) } else { field }
        };
        Arc::new(Schema::new(std::iter::once(time_field()).chain(self.columns.iter().map(field)).collect::<Vec<_>>()))
    }

    /// Schema of a segment that holds every column: same order, stored names.
    pub fn stored_schema(&self) -> SchemaRef {
        let rest = self.columns.iter().map(|c| c.arrow_field(&c.stored_name));
        Arc::new(Schema::new(std::iter::once(time_field()).chain(rest).collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_a_field_of_one_name_are_told_apart_in_sql() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add("t", ColumnKind::Field, Some(FieldType::Float));
        schema.add("t", ColumnKind::Tag, None);
        assert_eq!(schema.find("t", ColumnKind::Field).unwrap().sql_name, "t");
        assert_eq!(schema.find("t", ColumnKind::Tag).unwrap().sql_name, "t_1");
        assert_eq!(schema.sql_schema().field(2).metadata()[META_NAME], "t");
    }

    #[test]
    fn fields_declared_as_times_are_times_where_declarations_count() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.declare_field("at", DeclaredType::Timestamp);
        schema.declare_field("n", DeclaredType::BigInt);
        schema.add("i", ColumnKind::Field, Some(FieldType::Integer));
        let types = |schema: SchemaRef| -> Vec<DataType> {
            schema.fields().iter().skip(1).map(|field| field.data_type().clone()).collect()
        };
        assert_eq!(types(schema.sql_schema()), vec![DataType::Int64; 3]);
        assert_eq!(types(schema.declared_schema()), [time_type(), DataType::Int64, DataType::Int64]);
        assert_eq!(types(schema.stored_schema()), vec![DataType::Int64; 3]);
    }

    #[test]
    fn names_that_differ_by_case_differ_in_files() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add("Host", ColumnKind::Tag, None);
        schema.add("host", ColumnKind::Tag, None);
        schema.add("Time", ColumnKind::Tag, None);
        let stored: Vec<_> = schema.columns.iter().map(|c| (c.sql_name.as_str(), c.stored_name.as_str())).collect();
        assert_eq!(stored, [("Host", "Host"), ("host", "host_1"), ("Time", "Time_1")]);
    }

    #[test]
    fn only_fields_of_integers_are_widened() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        schema.add_missing_field("i", FieldType::Integer);
        schema.add_missing_field("s", FieldType::String);
        schema.add_missing_tag("t");
        assert_eq!(["i", "i", "s", "t", "none"].map(|name| schema.widen(name)), [true, false, false, false, false]);
        assert_eq!(schema.find("i", ColumnKind::Field).unwrap().field_type, Some(FieldType::Float));
    }

    #[test]
    fn ids_grow_and_time_is_zero() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        assert_eq!(schema.add("a", ColumnKind::Field, Some(FieldType::Integer)), ColumnId(1));
        assert_eq!(schema.add("b", ColumnKind::Field, Some(FieldType::Boolean)), ColumnId(2));
        assert_eq!(schema.sql_schema().field(0).metadata()[META_FIELD_ID], "0");
    }
}
