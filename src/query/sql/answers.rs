//! Answers that come from the catalog alone.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use crate::model::{Column, ColumnKind, FieldType};
use crate::query::error::QueryError;
use crate::query::names::Names;

use super::FullName;

/// `SHOW DATABASES`: `database_name`.
pub(super) fn databases(names: &Names) -> RecordBatch {
    let databases = names.databases();
    text_columns([("database_name", databases.iter().map(|d| d.name.to_string()).collect())])
}

/// `SHOW TABLES`: `table_name`.
pub(super) fn tables(names: &Names, database: &str) -> Result<RecordBatch, QueryError> {
    super::is_readable(names, &names.tenant, database)?;
    Ok(text_columns([("table_name", names.tables_of(database))]))
}

/// `DESCRIBE TABLE`: `column_name`, `data_type`, `column_type`, `compression_codec`; time, then tags, then fields.
pub(super) fn columns(names: &Names, name: &FullName) -> Result<RecordBatch, QueryError> {
    super::exists(names, name)?;
    let Some(table) = names.table(&name.database, &name.table) else {
        return Err(QueryError::internal("a table is there and is not"));
    };
    let mut rows = vec![("time".to_string(), "TIMESTAMP(NANOSECOND)", "TIME")];
    rows.extend(table.schema.tags().map(describe));
    rows.extend(table.schema.fields().map(describe));
    Ok(text_columns([
        ("column_name", rows.iter().map(|r| r.0.clone()).collect()),
        ("data_type", rows.iter().map(|r| r.1.to_string()).collect()),
        ("column_type", rows.iter().map(|r| r.2.to_string()).collect()),
        ("compression_codec", rows.iter().map(|_| "DEFAULT".to_string()).collect()),
    ]))
}

fn describe(column: &Column) -> (String, &'static str, &'static str) {
    let data_type = match column.field_type {
        None | Some(FieldType::String) => "STRING",
        Some(FieldType::Float) => "DOUBLE",
        Some(FieldType::Integer) => "BIGINT",
        Some(FieldType::Unsigned) => "BIGINT UNSIGNED",
        Some(FieldType::Boolean) => "BOOLEAN",
    };
    let kind = match column.kind {
        ColumnKind::Time => "TIME",
        ColumnKind::Tag => "TAG",
        ColumnKind::Field => "FIELD",
    };
    (column.sql_name.clone(), data_type, kind)
}

fn text_columns<const N: usize>(columns: [(&str, Vec<String>); N]) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
    let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as ArrayRef).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("all columns come from one list of rows")
}

/// A plan that answers with these rows, so that they leave by the same way as all others.
pub(super) fn plan(rows: RecordBatch) -> Result<LogicalPlan, QueryError> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    Ok(LogicalPlanBuilder::scan("answer", provider_as_source(Arc::new(table)), None)?.build()?)
}
