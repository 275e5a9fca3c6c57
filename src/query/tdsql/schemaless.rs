//! Writing without declarations: points of other protocols through TDengine's own doors, which make super tables, columns and
//! sub tables as they come.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ahash::AHashMap;

use crate::catalog::Change;
use crate::model::{ColumnKind, Declaration, DeclaredForm, DeclaredType, RowIdentity, SERIES_NAME_TAG, TableSchema};

use super::ast::{InsertPart, InsertRows, InsertValue, MomentBase, TableName};
pub use super::ddl::TAGS_MAX;
use super::ddl::{COLUMNS_MAX, is_full};
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
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for line in lines {
        if line.tags.len() > TAGS_MAX || line.tags.len() + line.fields.len() > COLUMNS_MAX {
            return Err(TdError::ColumnCount);
        }
        let draft = match drafts.entry(line.table()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(first) => {
                let schema = match databases.table_in(database, first.key()) {
                    Some(view) if view.is_super() && view.is_declared() => (*view.table.schema).clone(),
                    Some(_) => return Err(TdError::Target),
                    None => fresh(now_ns),
                };
                first.insert(Draft::of(schema))
            }
        };
        for (key, value) in &line.tags {
            let wanted = DeclaredType::NChar(TEXT_MIN.max(value.chars().count() as u32));
            draft.need(key, ColumnKind::Tag, wanted)?;
        }
        for (key, kind, _) in &line.fields {
            draft.need(key, ColumnKind::Field, *kind)?;
        }
    }
    let mut next_id = databases.state.next_table_id();
    let mut changes = Vec::new();
    for (table, Draft { schema, .. }) in drafts {
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
                    folder: None,
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

/// A schema that grows.
struct Draft {
    schema: TableSchema,
    /// Where in it the column of a name is, which is a tag or a field.
    places: AHashMap<String, usize>,
    tags: usize,
}

impl Draft {
    fn of(schema: TableSchema) -> Draft {
        let places = schema.columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        let tags = schema.tags().filter(|tag| tag.name != SERIES_NAME_TAG).count();
        Draft { schema, places, tags }
    }

    /// Adds a column, or widens it where it is a text.
    fn need(&mut self, name: &str, kind: ColumnKind, wanted: DeclaredType) -> Result<(), TdError> {
        if name.is_empty() || name == TIME_NAME || name == SERIES_NAME_TAG {
            return Err(TdError::Column(name.to_string()));
        }
        let Some(&at) = self.places.get(name) else { return self.add(name, kind, wanted) };
        let Some(column) = self.schema.columns.get_mut(at).filter(|column| column.kind == kind) else {
            return Err(TdError::Column(name.to_string()));
        };
        let declared = column.declared.unwrap_or(wanted);
        if declared.with_length(0) != wanted.with_length(0) {
            return Err(TdError::ValueType(format!("{name} is {declared}, got {wanted}")));
        }
        if wanted.length() > declared.length() {
            column.declared = Some(wanted);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, kind: ColumnKind, wanted: DeclaredType) -> Result<(), TdError> {
        if is_full(&self.schema) || (kind == ColumnKind::Tag && self.tags >= TAGS_MAX) {
            return Err(TdError::ColumnCount);
        }
        self.places.insert(name.to_string(), self.schema.columns.len());
        if kind == ColumnKind::Tag {
            self.schema.declare_tag(name, wanted);
            self.tags += 1;
        } else {
            self.schema.declare_field(name, wanted);
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CatalogState;
    use crate::query::Readable;

    /// A line of table `m`: its tags, and its fields.
    fn line(tags: std::ops::Range<usize>, fields: std::ops::Range<usize>) -> Line {
        let value = || InsertValue::Number("1".to_string());
        Line {
            measurement: "m".to_string(),
            tags: tags.map(|at| (format!("t{at}"), "x".to_string())).collect(),
            fields: fields.map(|at| (format!("f{at}"), DeclaredType::Double, value())).collect(),
            time_ns: 1,
            name_key: None,
        }
    }

    /// Columns of the table that the lines make, besides time and name.
    fn made(lines: &[Line]) -> Result<usize, TdError> {
        let (state, visible) = (CatalogState::initial(), Readable::All);
        let databases = Databases { state: &state, tenant: "cnosdb", default: None, visible: &visible };
        let changes = changes(&databases, "public", lines, 1)?;
        let [Change::CreateTable { schema, .. }] = &changes[..] else { panic!("{changes:?}") };
        Ok(schema.columns.len() - 1)
    }

    #[test]
    fn lines_make_as_many_columns_as_a_table_may_have() {
        let several = |count: usize, width: usize| -> Vec<Line> {
            (0..count).map(|at| line(0..0, at * width..(at + 1) * width)).collect()
        };
        assert_eq!(made(&[line(0..TAGS_MAX, 0..3), line(0..2, 1..5)]).unwrap(), TAGS_MAX + 5);
        assert_eq!(made(&several(10, 400)).unwrap(), 4000);
        // The time is a column too.
        assert_eq!(made(&[line(0..1, 0..COLUMNS_MAX - 2)]).unwrap(), COLUMNS_MAX - 1);
        for lines in [
            vec![line(0..TAGS_MAX + 1, 0..1)],
            vec![line(0..TAGS_MAX, 0..1), line(TAGS_MAX..TAGS_MAX + 1, 0..1)],
            vec![line(0..0, 0..COLUMNS_MAX + 1)],
            vec![line(0..1, 0..COLUMNS_MAX - 1)],
            several(11, 400),
        ] {
            assert!(matches!(made(&lines), Err(TdError::ColumnCount)));
        }
    }

    #[test]
    fn a_name_is_of_a_tag_or_of_a_field_and_texts_grow() {
        let mut draft = Draft::of(fresh(1));
        draft.need("a", ColumnKind::Tag, DeclaredType::NChar(16)).unwrap();
        draft.need("a", ColumnKind::Tag, DeclaredType::NChar(20)).unwrap();
        draft.need("a", ColumnKind::Tag, DeclaredType::NChar(18)).unwrap();
        draft.need("b", ColumnKind::Field, DeclaredType::Double).unwrap();
        assert_eq!(draft.schema.find("a", ColumnKind::Tag).unwrap().declared, Some(DeclaredType::NChar(20)));
        for (name, kind, wanted) in [
            ("a", ColumnKind::Field, DeclaredType::NChar(16)),
            ("b", ColumnKind::Tag, DeclaredType::Double),
            ("b", ColumnKind::Field, DeclaredType::Int),
            (TIME_NAME, ColumnKind::Field, DeclaredType::Int),
            (SERIES_NAME_TAG, ColumnKind::Tag, DeclaredType::NChar(16)),
            ("", ColumnKind::Tag, DeclaredType::NChar(16)),
        ] {
            assert!(draft.need(name, kind, wanted).is_err(), "{name}");
        }
    }
}
