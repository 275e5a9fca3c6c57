//! Answers that come from the catalog alone.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::MemTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use crate::model::Column;
use crate::query::error::QueryError;
use crate::query::information_schema::{kind_name, state_name, time_type_name, type_name};
use crate::query::names::Names;
use crate::query::running::RunningQuery;

use super::FullName;
use super::options::DatabaseView;

/// `SHOW DATABASES`: `database_name`, those of the system too, in order of their names.
pub(super) fn databases(names: &Names) -> RecordBatch {
    let databases = names.databases();
    let system = ["cluster_schema", "usage_schema"].map(str::to_string);
    let mut all: Vec<String> = databases.iter().map(|d| d.name.to_string()).chain(system).collect();
    all.sort();
    all.dedup();
    text_columns([("database_name", all)])
}

/// `DESCRIBE DATABASE`: one row of its options.
pub(super) fn database(names: &Names, name: &str) -> Result<RecordBatch, QueryError> {
    super::is_readable(names, &names.tenant, name)?;
    let Some(database) = names.state.database(&names.tenant, name) else {
        return Err(QueryError::internal("a database is there and is not"));
    };
    let cells = DatabaseView::of(&names.state, database).cells();
    Ok(text_rows(&DatabaseView::COLUMNS, vec![cells]))
}

/// `SHOW QUERIES`: what runs now on databases that may be read.
pub(super) fn queries(names: &Names) -> RecordBatch {
    let row = |query: RunningQuery| {
        let duration = format!("{:.3}", query.elapsed.as_secs_f64());
        vec![
            query.id.to_string(),
            query.user.to_string(),
            query.text.to_string(),
            state_name(&query).to_string(),
            duration,
        ]
    };
    let head = ["query_id", "user_name", "query_text", "state", "duration"];
    text_rows(&head, names.running_queries().into_iter().map(row).collect())
}

/// `SHOW TABLES`: `table_name`.
pub(super) fn tables(names: &Names, database: &str) -> Result<RecordBatch, QueryError> {
    super::is_readable(names, &names.tenant, database)?;
    Ok(text_columns([("table_name", names.tables_of(database))]))
}

/// `DESCRIBE TABLE`: `column_name`, `data_type`, `column_type`, `compression_codec`; in the order of `SELECT *`.
pub(super) fn columns(names: &Names, name: &FullName) -> Result<RecordBatch, QueryError> {
    super::exists(names, name)?;
    const HEAD: [&str; 4] = ["column_name", "data_type", "column_type", "compression_codec"];
    if let Some(external) = names.external(&name.database, &name.table) {
        let row = |(name, of): (&str, String)| vec![name.to_string(), of, "FIELD".to_string(), "DEFAULT".to_string()];
        return Ok(text_rows(&HEAD, external.columns().map(row).collect()));
    }
    let Some(table) = names.table(&name.database, &name.table) else {
        return Err(QueryError::internal("a table is there and is not"));
    };
    let precision = names.schema(&name.database).map_or_else(Default::default, |(owner, _)| owner.precision);
    let describe = |column: &Column| {
        let codec = column.codec.as_deref().unwrap_or("DEFAULT");
        [&column.sql_name, type_name(column, precision), kind_name(column.kind), codec].map(str::to_string).to_vec()
    };
    let mut rows = vec![["time", time_type_name(precision), "TIME", "DEFAULT"].map(str::to_string).to_vec()];
    rows.extend(table.schema.columns.iter().map(describe));
    Ok(text_rows(&HEAD, rows))
}

fn text_rows(names: &[&str], rows: Vec<Vec<String>>) -> RecordBatch {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let column = |at: usize| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[at]))) as ArrayRef;
    let arrays = (0..names.len()).map(column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("all columns come from one list of rows")
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
