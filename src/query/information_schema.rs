//! Tables that describe the others: `information_schema` and `cluster_schema`, as CnosDB has them.
//!
//! `information_schema.tables` and `.columns` also carry the columns that the SQL standard has (`table_catalog`,
//! `table_schema`), for tools that look there.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;
use serde::Serialize;

use crate::catalog::Database;
use crate::catalog::roles::Base;
use crate::catalog::users::{Privilege, User};
use crate::model::{Column, ColumnKind, FieldType, Precision};

use super::names::{Names, Readable};
use super::running::RunningQuery;
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
            "information_schema" => &[
                "columns",
                "database_privileges",
                "databases",
                "enabled_roles",
                "members",
                "queries",
                "roles",
                "schemata",
                "tables",
            ],
            "cluster_schema" => &["tenants", "users"],
            _ => &[],
        }
    }

    fn rows(&self, table: &str) -> Option<RecordBatch> {
        match (self.name, table.to_ascii_lowercase().as_str()) {
            ("information_schema", "databases") => Some(databases(&self.names)),
            ("information_schema", "schemata") => Some(schemata(&self.names)),
            ("information_schema", "tables") => Some(tables(&self.names)),
            ("information_schema", "columns") => Some(columns(&self.names)),
            ("information_schema", "queries") => Some(queries(&self.names)),
            ("information_schema", "members") => Some(members(&self.names)),
            ("information_schema", "roles") => Some(roles(&self.names)),
            ("information_schema", "enabled_roles") => Some(enabled_roles(&self.names)),
            ("information_schema", "database_privileges") => Some(database_privileges(&self.names)),
            ("cluster_schema", "tenants") => Some(tenants(&self.names)),
            ("cluster_schema", "users") => Some(users(&self.names)),
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
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), *name == "inherit_role");
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

/// The roles of the tenant, for who may see everything in it.
fn roles(names: &Names) -> RecordBatch {
    let base = |base: Base| if base == Base::Owner { "owner" } else { "member" };
    let mut rows = Vec::new();
    if !matches!(names.readable, Readable::Only(_)) {
        rows.extend([Base::Owner, Base::Member].map(|role| (base(role).to_string(), "system", None)));
        let made = names.state.roles(&names.tenant).into_iter();
        rows.extend(made.map(|role| (role.name, "custom", role.base.map(base))));
    }
    let name = text(rows.iter().map(|(name, ..)| name.as_str()));
    let kind = text(rows.iter().map(|(_, kind, _)| *kind));
    let inherits: StringArray = rows.iter().map(|(.., base)| *base).collect();
    batch(vec![("role_name", name), ("role_type", kind), ("inherit_role", Arc::new(inherits))])
}

/// The role of whoever asks.
fn enabled_roles(names: &Names) -> RecordBatch {
    text_columns(&["role_name"], names.role.iter().map(|role| vec![role.to_string()]).collect())
}

/// What rights to databases the tenant's roles were given: all of them for who may see everything in it, else one's own.
fn database_privileges(names: &Names) -> RecordBatch {
    let sees_all = !matches!(names.readable, Readable::Only(_));
    let mut rows = Vec::new();
    for role in names.state.roles(&names.tenant) {
        if !sees_all && names.role.as_deref() != Some(role.name.as_str()) {
            continue;
        }
        for (database, right) in &role.privileges {
            let right = match right {
                Privilege::None => continue,
                Privilege::Read => "Read",
                Privilege::Write => "Write",
                Privilege::All => "All",
            };
            rows.push([&*names.tenant, database, right, &role.name].map(str::to_string).to_vec());
        }
    }
    text_columns(&["tenant_name", "database_name", "privilege_type", "role_name"], rows)
}

/// Users of all tenants, for an administrator. No part of a password is shown.
fn users(names: &Names) -> RecordBatch {
    let users = match names.readable {
        Readable::AllTenants => names.state.users(),
        Readable::All | Readable::Only(_) => Vec::new(),
    };
    #[derive(Serialize)]
    struct Options<'a> {
        hash_password: &'static str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        must_change_password: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<&'a str>,
    }
    let options = |user: &User| {
        let (must_change_password, comment) = (user.must_change_password, user.comment.as_deref());
        let options = Options { hash_password: "*****", must_change_password, comment };
        serde_json::to_string(&options).expect("texts and a truth value are JSON")
    };
    let name = text(users.iter().map(|user| user.name.as_str()));
    let is_admin = Arc::new(BooleanArray::from_iter(users.iter().map(|user| Some(user.is_admin))));
    let shown: Vec<String> = users.iter().map(options).collect();
    batch(vec![("user_name", name), ("is_admin", is_admin), ("user_options", text(shown.iter().map(String::as_str)))])
}

/// What runs now.
fn queries(names: &Names) -> RecordBatch {
    let running = names.running_queries();
    let ids: Vec<String> = running.iter().map(|query| query.id.to_string()).collect();
    let all = |cell: fn(&RunningQuery) -> &str| text(running.iter().map(cell));
    let numbers =
        |number: fn(&RunningQuery) -> u64| Arc::new(UInt64Array::from_iter_values(running.iter().map(number)));
    let durations = Float64Array::from_iter_values(running.iter().map(|query| query.elapsed.as_secs_f64()));
    batch(vec![
        ("query_id", text(ids.iter().map(String::as_str))),
        ("query_type", all(|_| "batch")),
        ("query_text", all(|query| &query.text)),
        ("user_id", all(|_| "")),
        ("user_name", all(|query| &query.user)),
        ("tenant_id", all(|_| "")),
        ("tenant_name", text(running.iter().map(|_| &*names.tenant))),
        ("database_name", all(|query| &query.database)),
        ("state", all(state_name)),
        ("duration", Arc::new(durations)),
        ("processed_count", numbers(|_| 0)),
        ("error_count", numbers(|_| 0)),
    ])
}

/// CnosDB's name of what a query is at.
pub(super) fn state_name(query: &RunningQuery) -> &'static str {
    if query.is_killed { "CANCELED" } else { "SCHEDULING" }
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
