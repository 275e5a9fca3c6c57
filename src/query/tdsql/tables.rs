//! Tables of the catalog as this language sees them.

use std::sync::Arc;

use crate::catalog::{CatalogState, Database, Table};
use crate::model::{Column, DeclaredForm, DeclaredType, FieldType, NamedSeries};
use crate::query::Readable;

use super::ast::TableName;
use super::error::TdError;

/// What the time column of a table is called that no one declared.
const TIME_NAME: &str = "_ts";
/// The length that undeclared texts are said to have, in bytes and in characters.
const VARCHAR_LENGTH: u32 = 16_374;
const NCHAR_LENGTH: u32 = 4_093;

/// Databases that describe the others.
pub fn is_system(database: &str) -> bool {
    matches!(database, "information_schema" | "performance_schema")
}

/// The databases of one tenant in one version of the catalog, and the one that names without a database mean.
#[derive(Debug, Clone, Copy)]
pub struct Databases<'a> {
    pub state: &'a CatalogState,
    pub tenant: &'a str,
    pub default: Option<&'a str>,
    /// Which of them may be seen; the others are not there.
    pub visible: &'a Readable,
}

impl<'a> Databases<'a> {
    pub fn database(&self, name: &str) -> Result<&'a Arc<Database>, TdError> {
        let found = self.state.database(self.tenant, name).ok_or(TdError::Database)?;
        if self.visible.allows(name) { Ok(found) } else { Err(TdError::Target) }
    }

    /// Those that may be seen, in order of creation.
    pub(super) fn all(&self) -> Vec<&'a Arc<Database>> {
        let all = self.state.databases(self.tenant).into_iter();
        all.filter(|database| self.visible.allows(&database.name)).collect()
    }

    /// The name of the database that a table's name means.
    pub(super) fn database_of<'n>(&self, name: &'n TableName) -> Result<&'n str, TdError>
    where
        'a: 'n,
    {
        name.database.as_deref().or(self.default).ok_or(TdError::NoDatabase)
    }

    pub(super) fn table(&self, name: &TableName) -> Result<View<'a>, TdError> {
        let database = self.database(self.database_of(name)?)?;
        self.table_in(database, &name.table).ok_or_else(|| TdError::Table(name.table.clone()))
    }

    pub(super) fn table_in(&self, database: &'a Arc<Database>, name: &str) -> Option<View<'a>> {
        let policy = &*database.default_policy;
        let view = |table, series| View { database, table, series };
        if let Some(table) = self.state.table_named(database, policy, name) {
            return Some(view(table, None));
        }
        for table in self.state.tables_with_series(database, policy) {
            if let Some(series) = table.series.get(name) {
                return Some(view(table, Some(series)));
            }
        }
        // What others wrote keeps the case that they wrote.
        let undeclared = |table: &&'a Arc<Table>| {
            table.schema.declaration.is_none() && table.name.table.to_lowercase() == name.to_lowercase()
        };
        let mut like = self.state.tables_of(database, policy).filter(undeclared);
        let found = like.next()?;
        like.next().is_none().then(|| view(found, None))
    }

    /// All tables of a database, by name.
    pub(super) fn tables(&self, database: &'a Arc<Database>) -> impl Iterator<Item = View<'a>> {
        let policy = &*database.default_policy;
        self.state.tables_of(database, policy).map(move |table| View { database, table, series: None })
    }
}

/// A table, or one of its series.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) database: &'a Arc<Database>,
    pub(super) table: &'a Arc<Table>,
    /// `Some`: a sub table.
    pub(super) series: Option<&'a Arc<NamedSeries>>,
}

/// A column besides the time, by the name it has here.
#[derive(Debug, Clone, Copy)]
pub(super) struct ViewColumn<'a> {
    pub(super) column: &'a Column,
    pub(super) kind: DeclaredType,
}

impl<'a> View<'a> {
    /// Its name here.
    pub(super) fn name(&self) -> &'a str {
        self.series.map_or(&*self.table.name.table, |series| &series.name)
    }

    pub(super) fn is_super(&self) -> bool {
        self.series.is_none() && !self.is_plain()
    }

    /// A table without series of its own.
    pub(super) fn is_plain(&self) -> bool {
        match &self.table.schema.declaration {
            Some(declaration) => declaration.form == DeclaredForm::Plain,
            None => self.table.schema.tags().next().is_none(),
        }
    }

    /// Whether it was declared in this language; others can be read, and not be changed.
    pub(super) fn is_declared(&self) -> bool {
        self.table.schema.declaration.is_some()
    }

    pub(super) fn time_name(&self) -> &'a str {
        self.table.schema.declaration.as_ref().map_or(TIME_NAME, |declaration| &declaration.time_name)
    }

    /// Columns that rows carry, in order of creation, the time excepted.
    pub(super) fn columns(&self) -> impl Iterator<Item = ViewColumn<'a>> + use<'a> {
        self.table.schema.fields().map(|column| ViewColumn { column, kind: field_kind(column) })
    }

    /// Tags without the name of the series, in order of creation.
    pub(super) fn tags(&self) -> impl Iterator<Item = ViewColumn<'a>> + use<'a> {
        let name = self.table.schema.series_name_tag().map(|tag| tag.id);
        let others = self.table.schema.tags().filter(move |tag| Some(tag.id) != name);
        others.map(|column| ViewColumn { column, kind: column.declared.unwrap_or(DeclaredType::NChar(NCHAR_LENGTH)) })
    }

    pub(super) fn column(&self, name: &str) -> Option<ViewColumn<'a>> {
        self.columns().find(|column| column.column.name == name)
    }

    pub(super) fn tag(&self, name: &str) -> Option<ViewColumn<'a>> {
        self.tags().find(|tag| tag.column.name == name)
    }
}

fn field_kind(column: &Column) -> DeclaredType {
    column.declared.unwrap_or(match column.field_type {
        Some(FieldType::Float) => DeclaredType::Double,
        Some(FieldType::Integer) => DeclaredType::BigInt,
        Some(FieldType::Unsigned) => DeclaredType::UBigInt,
        Some(FieldType::Boolean) => DeclaredType::Bool,
        Some(FieldType::String) | None => DeclaredType::Varchar(VARCHAR_LENGTH),
    })
}
