//! Tables that describe the others: `information_schema` and `cluster_schema`, as CnosDB has them.
//!
//! `information_schema.tables` and `.columns` also carry the columns that the SQL standard has (`table_catalog`,
//! `table_schema`), for tools that look there.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;

use crate::catalog::Database;
use crate::catalog::users::User;
use crate::model::{Column, ColumnKind, FieldType, Precision};

use super::names::{Names, Readable};
use super::sql::options::DatabaseView;

/// Schemas that are there beside the databases. Nothing can be written to them, nor can they be dropped.
pub const SYSTEM_SCHEMAS: [&str; 3] = ["cluster_schema", "information_schema", "usage_schema"];

/// The system schema of this name, regardless of case.
pub(super) fn system_schema(name: &str) -> Option<&'static str> {
    SYSTEM_SCHEMAS.into_iter().find(|schema| schema.eq_ignore_ascii_case(name))
}

/// One of [`SYSTEM_SCHEMAS`].
#[derive(Debug)]
pub(super) struct SystemSchema {
    pub name: &'static str,
    pub names: Names,
}

impl SystemSchema {
    fn tables(&self) -> &'static [&'static str] {
        match self.name {
            "information_schema" => &["columns", "databases", "members", "queries", "schemata", "tables"],
            "cluster_schema" => &["tenants"],
            _ => &[],
        }
    }

    fn rows(&self, table: &str) -> Option<RecordBatch> {
        match (self.name, table.to_ascii_lowercase().as_str()) {
            ("information_schema", "databases") => Some(databases(&self.names)),
            ("information_schema", "schemata") => Some(schemata(&self.names)),
            ("information_schema", "tables") => Some(tables(&self.names)),
            ("information_schema", "columns") => Some(columns(&self.names)),
            ("information_schema", "queries") => {
                Some(text_columns(&["query_id", "query_text", "user_name", "tenant_name", "state", "duration"], vec![]))
            }
            ("information_schema", "members") => Some(members(&self.names)),
            ("cluster_schema", "tenants") => Some(tenants(&self.names)),
            _ => None,
        }
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables().iter().map(|name| name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(rows) = self.rows(name) else { return Ok(None) };
        Ok(Some(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables().iter().any(|table| table.eq_ignore_ascii_case(name))
    }
}

/// Columns of text, never null.
fn text_columns(names: &[&str], rows: Vec<Vec<String>>) -> RecordBatch {
    let columns = (0..names.len()).map(|at| text(rows.iter().map(|row| row[at].as_str())));
    batch(names.iter().copied().zip(columns).collect())
}

fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), false);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(schema), arrays).expect("all columns come from one list of rows")
}

fn databases(names: &Names) -> RecordBatch {
    let row = |database: &&Arc<Database>| {
        let mut row = vec![names.tenant.to_string(), database.name.to_string()];
        row.extend(DatabaseView::of(&names.state, database).cells());
        row
    };
    let columns: Vec<&str> = ["tenant_name", "database_name"].into_iter().chain(DatabaseView::COLUMNS).collect();
    text_columns(&columns, names.databases().iter().map(row).collect())
}

/// Tenants: one's own, and for an administrator all.
fn tenants(names: &Names) -> RecordBatch {
    let shown = match names.readable {
        Readable::AllTenants => names.state.tenants(),
        Readable::All | Readable::Only(_) => vec![names.tenant.clone()],
    };
    let row = |name: &Arc<str>| {
        let tenant = names.state.tenant(name)?;
        let options = serde_json::to_string(&tenant).expect("a text under a string key is JSON");
        Some(vec![name.to_string(), options])
    };
    text_columns(&["tenant_name", "tenant_options"], shown.iter().filter_map(row).collect())
}

/// Who has which role in the tenant, for who may see everything in it.
fn members(names: &Names) -> RecordBatch {
    let users = match names.readable {
        Readable::All | Readable::AllTenants => names.state.users(),
        Readable::Only(_) => Vec::new(),
    };
    let row = |user: &User| Some(vec![user.name.clone(), user.role_in(&names.tenant)?.to_string()]);
    text_columns(&["user_name", "role_name"], users.iter().filter_map(row).collect())
}

fn schemata(names: &Names) -> RecordBatch {
    let row = |schema: String| vec![names.tenant.to_string(), schema];
    text_columns(&["catalog_name", "schema_name"], names.schemas().into_iter().map(row).collect())
}

fn tables(names: &Names) -> RecordBatch {
    let mut rows = Vec::new();
    for schema in names.schemas() {
        for table in names.tables_of(&schema) {
            let tenant = names.tenant.to_string();
            let engine = if names.is_external(&schema, &table) { "EXTERNAL" } else { "TSKV" };
            let cells = [&tenant, &schema, &table, "TABLE", engine, "{}", &tenant, &schema];
            rows.push(cells.map(str::to_string).to_vec());
        }
    }
    let columns = [
        "table_tenant",
        "table_database",
        "table_name",
        "table_type",
        "table_engine",
        "table_options",
        "table_catalog",
        "table_schema",
    ];
    text_columns(&columns, rows)
}

fn columns(names: &Names) -> RecordBatch {
    struct Row {
        database: String,
        table: String,
        name: String,
        kind: ColumnKind,
        position: u64,
        data_type: String,
        codec: String,
    }
    let mut rows = Vec::new();
    for schema in names.schemas() {
        for table in names.tables_of(&schema) {
            let row = |name: &str, kind, data_type: &str, codec: Option<&String>, position| Row {
                database: schema.clone(),
                table: table.clone(),
                name: name.to_string(),
                kind,
                position,
                data_type: String::from(data_type),
                codec: codec.map_or("DEFAULT", |c| c).to_string(),
            };
            if names.is_external(&schema, &table) {
                let external = names.external(&schema, &table);
                let columns = external.iter().flat_map(|external| external.columns()).enumerate();
                rows.extend(columns.map(|(at, (name, of))| row(name, ColumnKind::Field, &of, None, at as u64)));
                continue;
            }
            let Some(known) = names.table(&schema, &table) else { continue };
            let precision = names.schema(&schema).map_or_else(Default::default, |(owner, _)| owner.precision);
            rows.push(row("time", ColumnKind::Time, time_type_name(precision), None, 0));
            for (position, column) in known.schema.columns.iter().enumerate() {
                let position = position as u64 + 1;
                let data_type = type_name(column, precision);
                rows.push(row(&column.sql_name, column.kind, data_type, column.codec.as_ref(), position));
            }
        }
    }
    let all = |cell: fn(&Row) -> &str| text(rows.iter().map(cell));
    let tenant = || text(rows.iter().map(|_| &*names.tenant));
    batch(vec![
        ("tenant_name", tenant()),
        ("database_name", all(|row| &row.database)),
        ("table_name", all(|row| &row.table)),
        ("column_name", all(|row| &row.name)),
        ("column_type", all(|row| kind_name(row.kind))),
        ("ordinal_position", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.position)))),
        ("column_default", all(|_| "NULL")),
        ("is_nullable", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.kind != ColumnKind::Time))))),
        ("data_type", all(|row| &row.data_type)),
        ("compression_codec", all(|row| &row.codec)),
        ("table_catalog", tenant()),
        ("table_schema", all(|row| &row.database)),
    ])
}

/// CnosDB's name of the type of times that are cut to `precision`.
pub(super) fn time_type_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Us => "TIMESTAMP(MICROSECOND)",
        Precision::Ms => "TIMESTAMP(MILLISECOND)",
        _ => "TIMESTAMP(NANOSECOND)",
    }
}

/// CnosDB's name of a column's type, in a database of this precision.
pub(super) fn type_name(column: &Column, precision: Precision) -> &'static str {
    if column.holds_times() {
        return time_type_name(precision);
    }
    match column.field_type {
        None | Some(FieldType::String) => "STRING",
        Some(FieldType::Float) => "DOUBLE",
        Some(FieldType::Integer) => "BIGINT",
        Some(FieldType::Unsigned) => "BIGINT UNSIGNED",
        Some(FieldType::Boolean) => "BOOLEAN",
    }
}

/// CnosDB's name of a column's kind.
pub(super) fn kind_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Time => "TIME",
        ColumnKind::Tag => "TAG",
        ColumnKind::Field => "FIELD",
    }
}
