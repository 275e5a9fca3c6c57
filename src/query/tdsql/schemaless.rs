//! Writing without declarations: points of other protocols through TDengine's own doors, which make super tables, columns and
//! sub tables as they come.

use std::collections::BTreeMap;

use crate::catalog::Change;
use crate::model::{ColumnKind, Declaration, DeclaredForm, DeclaredType, RowIdentity, SERIES_NAME_TAG, TableSchema};

use super::ast::{InsertPart, InsertRows, InsertValue, MomentBase, TableName};
use super::error::TdError;
use super::functions::series_name::series_name;
use super::tables::Databases;
use super::time::rfc3339;

/// What the time column of such tables is called.
const TIME_NAME: &str = "_ts";
/// The length that texts are given room for at least.
const TEXT_MIN: u32 = 16;

/// One point.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, DeclaredType, InsertValue)>,
    /// Nanoseconds.
    pub time_ns: i64,
    /// The tag whose value names the sub table; without one the name is made of measurement and tags.
    pub name_key: Option<String>,
}

impl Line {
    /// The super table's name: points are no part of names.
    fn table(&self) -> String {
        self.measurement.replace('.', "_")
    }

    fn series(&self) -> String {
        let named = self.name_key.as_ref().and_then(|key| self.tags.iter().find(|(tag, _)| tag == key));
        if let Some((_, name)) = named {
            return name.clone();
        }
        let tags: BTreeMap<&str, &String> = self.tags.iter().map(|(key, value)| (key.as_str(), value)).collect();
        series_name(&self.measurement, tags.into_iter().map(|(key, value)| (key, value.clone())))
    }
}

/// The tables and columns that lines need and the database does not have.
pub fn changes(databases: &Databases<'_>, database: &str, lines: &[Line], now_ns: i64) -> Result<Vec<Change>, TdError> {
    let database = databases.database(database)?;
    let mut schemas: BTreeMap<String, TableSchema> = BTreeMap::new();
    for line in lines {
        let table = line.table();
        if !schemas.contains_key(&table) {
            let schema = match databases.table_in(database, &table) {
                Some(view) if view.is_super() && view.is_declared() => (*view.table.schema).clone(),
                Some(_) => return Err(TdError::Target),
                None => fresh(now_ns),
            };
            schemas.insert(table.clone(), schema);
        }
        let schema = schemas.entry(table).or_insert_with(|| fresh(now_ns));
        for (key, value) in &line.tags {
            let wanted = DeclaredType::NChar(TEXT_MIN.max(value.chars().count() as u32));
            need(schema, key, ColumnKind::Tag, wanted)?;
        }
        for (key, kind, _) in &line.fields {
            need(schema, key, ColumnKind::Field, *kind)?;
        }
    }
    let mut next_id = databases.state.next_table_id();
    let mut changes = Vec::new();
    for (table, schema) in schemas {
        match databases.table_in(database, &table) {
            Some(view) if *view.table.schema == schema => {}
            Some(view) => changes.push(Change::SetSchema { table: view.table.id, schema }),
            None => {
                let policy = database.default_policy.to_string();
                changes.push(Change::CreateTable {
                    id: next_id,
                    tenant: database.tenant.to_string(),
                    database: database.name.to_string(),
                    folder_with_id: databases.state.has_case_twin(database, &policy, &table),
                    policy,
                    table,
                    schema,
                });
                next_id.0 += 1;
            }
        }
    }
    Ok(changes)
}

fn fresh(now_ns: i64) -> TableSchema {
    let mut schema = TableSchema::new(RowIdentity::Series);
    schema.declaration = Some(Declaration {
        form: DeclaredForm::NamedSeries,
        time_name: TIME_NAME.to_string(),
        created_ns: now_ns,
        comment: None,
        ttl_days: 0,
    });
    schema.add(SERIES_NAME_TAG, ColumnKind::Tag, None);
    schema
}

/// Adds a column, or widens it where it is a text.
fn need(schema: &mut TableSchema, name: &str, kind: ColumnKind, wanted: DeclaredType) -> Result<(), TdError> {
    let other = if kind == ColumnKind::Tag { ColumnKind::Field } else { ColumnKind::Tag };
    if name.is_empty() || name == TIME_NAME || name == SERIES_NAME_TAG || schema.find(name, other).is_some() {
        return Err(TdError::Column(name.to_string()));
    }
    let Some(found) = schema.find(name, kind) else {
        match kind {
            ColumnKind::Tag => schema.declare_tag(name, wanted),
            _ => schema.declare_field(name, wanted),
        };
        return Ok(());
    };
    let (id, declared) = (found.id, found.declared.unwrap_or(wanted));
    if declared.with_length(0) != wanted.with_length(0) {
        return Err(TdError::ValueType(format!("{name} is {declared}, got {wanted}")));
    }
    if wanted.length() > declared.length()
        && let Some(column) = schema.columns.iter_mut().find(|column| column.id == id)
    {
        column.declared = Some(wanted);
    }
    Ok(())
}

/// The lines as parts of an INSERT; tables and columns are there by now.
pub fn parts(database: &str, lines: &[Line]) -> Vec<InsertPart> {
    let mut parts: Vec<InsertPart> = Vec::new();
    for line in lines {
        let mut columns = vec![SERIES_NAME_TAG.to_string(), TIME_NAME.to_string()];
        columns.extend(line.tags.iter().map(|(key, _)| key.clone()));
        columns.extend(line.fields.iter().map(|(key, _, _)| key.clone()));
        let time = MomentBase::Text(rfc3339(line.time_ns, crate::model::Precision::Ns, chrono_tz::Tz::UTC));
        let mut row = vec![InsertValue::Text(line.series()), InsertValue::Moment { base: time, shifts: Vec::new() }];
        row.extend(line.tags.iter().map(|(_, value)| InsertValue::Text(value.clone())));
        row.extend(line.fields.iter().map(|(_, _, value)| value.clone()));
        let table = TableName { database: Some(database.to_string()), table: line.table() };
        match parts.last_mut() {
            Some(InsertPart { table: last, columns: Some(of), rows: InsertRows::Values(rows), .. })
                if *last == table && *of == columns =>
            {
                rows.push(row);
            }
            _ => parts.push(InsertPart {
                table,
                using: None,
                columns: Some(columns),
                rows: InsertRows::Values(vec![row]),
            }),
        }
    }
    parts
}
