//! Which table and field a metric is.
//!
//! A metric is a table of the metrics' database with a field `value`. Where there is none, a name such as
//! `cpu.usage_user` means the field `usage_user` of the table `cpu`, in the metrics' database or any other one: databases are
//! looked through in the order of their creation, each under its default policy, and a name is cut at its last dot
//! first. `db.cpu.usage_user` says which database is meant, where no table answers to the name as it is.

use std::sync::Arc;

use crate::catalog::{CatalogState, Database, Table};
use crate::model::metric::{VALUE_FIELD, VALUE_INT_FIELD};
use crate::model::{ColumnKind, FieldType};
use crate::query::Readable;

/// Where a metric's numbers are.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub table: Arc<Table>,
    pub numbers: Numbers,
}

/// Columns by their names in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numbers {
    /// A float, and beside it an integer that counts where it says the same.
    Metric { value: String, integer: String },
    /// A field of a numeric type.
    Field { column: String, field_type: FieldType },
}

impl Source {
    /// Whether the table holds nothing but these numbers: rows of it are points of this metric and of no other.
    pub(super) fn is_whole(&self) -> bool {
        let is_ours = |column: &str| match &self.numbers {
            Numbers::Metric { value, integer } => column == value || column == integer,
            Numbers::Field { column: ours, .. } => column == ours,
        };
        self.table.schema.fields().all(|field| is_ours(&field.sql_name))
    }
}

impl Numbers {
    /// The column that has a value wherever there is a number.
    pub(super) fn column(&self) -> &str {
        match self {
            Numbers::Metric { value, .. } => value,
            Numbers::Field { column, .. } => column,
        }
    }
}

/// The names of a tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metrics<'a> {
    pub state: &'a CatalogState,
    pub tenant: &'a str,
    /// Where metrics are tables.
    pub database: &'a str,
    /// Databases that may be looked into.
    pub readable: &'a Readable,
}

impl<'a> Metrics<'a> {
    pub(super) fn find(self, metric: &str) -> Option<Source> {
        let databases = self.databases();
        let exact = databases.iter().find_map(|database| {
            let table = self.table(database, metric)?;
            Some(Source { table: table.clone(), numbers: numbers(table, VALUE_FIELD)? })
        });
        exact.or_else(|| databases.iter().find_map(|database| self.field_in(database, metric))).or_else(|| {
            let (name, rest) = metric.split_once('.')?;
            let database = self.state.database(self.tenant, name).filter(|found| self.readable.allows(&found.name))?;
            let table = self.table(database, rest);
            let exact =
                table.and_then(|table| Some(Source { table: table.clone(), numbers: numbers(table, VALUE_FIELD)? }));
            exact.or_else(|| self.field_in(database, rest))
        })
    }

    /// The metrics' database first.
    pub(super) fn databases(self) -> Vec<&'a Arc<Database>> {
        let mut databases = self.state.databases(self.tenant);
        databases.retain(|database| self.readable.allows(&database.name));
        databases.sort_by_key(|database| *database.name != *self.database);
        databases
    }

    fn table(self, database: &'a Database, name: &str) -> Option<&'a Arc<Table>> {
        self.state.table_named(database, &database.default_policy, name)
    }

    fn field_in(self, database: &'a Database, metric: &str) -> Option<Source> {
        let dots = metric.rmatch_indices('.');
        dots.map(|(at, _)| (&metric[..at], &metric[at + 1..])).find_map(|(table, field)| {
            let table = self.table(database, table)?;
            Some(Source { table: table.clone(), numbers: numbers(table, field)? })
        })
    }

    /// Whether any metric has a tag of that key.
    pub(super) fn knows_tagk(self, tagk: &str) -> bool {
        self.metrics().any(|table| table.schema.find(tagk, ColumnKind::Tag).is_some())
    }

    /// The tables that are metrics.
    pub(super) fn metrics(self) -> impl Iterator<Item = &'a Arc<Table>> {
        let database = self.state.database(self.tenant, self.database);
        database.into_iter().flat_map(move |database| self.state.tables_of(database, &database.default_policy))
    }
}

/// The numbers of a field; `None` when it is missing or holds texts.
pub(super) fn numbers(table: &Table, field: &str) -> Option<Numbers> {
    let column = table.schema.find(field, ColumnKind::Field)?;
    let field_type = column.field_type?;
    if field_type == FieldType::String {
        return None;
    }
    if (field, field_type) == (VALUE_FIELD, FieldType::Float)
        && let Some(integer) = table.schema.find(VALUE_INT_FIELD, ColumnKind::Field)
        && integer.field_type == Some(FieldType::Integer)
    {
        return Some(Numbers::Metric { value: column.sql_name.clone(), integer: integer.sql_name.clone() });
    }
    Some(Numbers::Field { column: column.sql_name.clone(), field_type })
}
