//! Renaming metrics and tag keys: the name of a number, and of the table or the columns that have it, in one commit.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::ColumnKind;
use crate::model::metric::{VALUE_FIELD, VALUE_INT_FIELD};

use super::change::Change;
use super::error::CatalogError;
use super::state::{CatalogState, Database, Table};
use super::uids::{UidKind, Uids, renamed_uid};

/// Tables whose columns one commit renames.
const TABLES_MAX: usize = 50_000;

/// The database whose tables are metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsHome {
    pub tenant: String,
    pub database: String,
}

/// What became of renaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    Done,
    /// There is no such name.
    Missing,
    /// The new name is one already.
    Taken,
    Kept(Kept),
}

/// Why points keep a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    #[error("its table has fields beside the metric's, which are called after it")]
    OtherFields,
    #[error("tables outside of the metrics' database have it too")]
    OtherDatabases,
    #[error("a table that was declared has it")]
    Declared,
    #[error("it is named by deletes that are not done yet; try again later")]
    Deletes,
    #[error("more than {TABLES_MAX} metrics have it")]
    TooMany,
}

impl Uids {
    /// Gives a name's number to another name, and with it the table of a metric, or the columns of a tag key in every metric. Nothing is
    /// written anew: points that are stored, in the buffer or on their way show under the new name. Values of tags are in the rows: who
    /// renames one has seen that no point has it. Whatever others rename and write meanwhile, no name has two numbers.
    pub async fn rename(
        &self,
        kind: UidKind,
        from: &str,
        to: &str,
        home: &MetricsHome,
    ) -> Result<Renamed, CatalogError> {
        let Some(uid) = self.find(kind, from) else { return Ok(Renamed::Missing) };
        let (old, new, home) = (from.to_string(), to.to_string(), home.clone());
        let refusal = Arc::new(Mutex::new(Renamed::Missing));
        let why = refusal.clone();
        let renamed = self.catalog().update(move |state| {
            let planned = renamed_uid(state, kind, uid, &old, &new).and_then(|number| match number {
                // It happened, though nobody heard of it.
                None => Ok(Vec::new()),
                Some(number) => {
                    let mut changes = in_points(state, kind, &old, &new, &home)?;
                    changes.push(number);
                    Ok(changes)
                }
            });
            planned.map_err(|refused| {
                *why.lock().unwrap_or_else(PoisonError::into_inner) = refused;
                CatalogError::Refused
            })
        });
        match renamed.await {
            Ok(_) => Ok(Renamed::Done),
            Err(CatalogError::Refused) => Ok(*refusal.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(error) => Err(error),
        }
    }
}

/// The steps that rename what points have.
fn in_points(
    state: &CatalogState,
    kind: UidKind,
    old: &str,
    new: &str,
    home: &MetricsHome,
) -> Result<Vec<Change>, Renamed> {
    match kind {
        UidKind::Metric => match state.database(&home.tenant, &home.database) {
            Some(database) => table_renamed(state, database, old, new),
            None => Ok(Vec::new()),
        },
        UidKind::Tagk => columns_renamed(state, old, new, home),
        UidKind::Tagv => Ok(Vec::new()),
    }
}

fn table_renamed(state: &CatalogState, database: &Database, old: &str, new: &str) -> Result<Vec<Change>, Renamed> {
    let named = |name: &str| state.table_named(database, &database.default_policy, name);
    if named(new).is_some() {
        return Err(Renamed::Taken);
    }
    let Some(table) = named(old) else { return Ok(Vec::new()) };
    if table.schema.fields().any(|field| field.name != VALUE_FIELD && field.name != VALUE_INT_FIELD) {
        return Err(Renamed::Kept(Kept::OtherFields));
    }
    if table.schema.declaration.is_some() {
        return Err(Renamed::Kept(Kept::Declared));
    }
    Ok(vec![Change::RenameTable { table: table.id, name: new.to_string() }])
}

fn columns_renamed(state: &CatalogState, old: &str, new: &str, home: &MetricsHome) -> Result<Vec<Change>, Renamed> {
    let mut changes = Vec::new();
    for database in state.databases(&home.tenant) {
        for table in state.tables_of(database, &database.default_policy) {
            if table.schema.find(new, ColumnKind::Tag).is_some() {
                return Err(Renamed::Taken);
            }
            if *database.name == *home.database {
                changes.extend(column_renamed(table, old, new)?);
            } else if table.schema.find(old, ColumnKind::Tag).is_some() {
                return Err(Renamed::Kept(Kept::OtherDatabases));
            }
        }
    }
    if changes.len() > TABLES_MAX { Err(Renamed::Kept(Kept::TooMany)) } else { Ok(changes) }
}

fn column_renamed(table: &Table, old: &str, new: &str) -> Result<Option<Change>, Renamed> {
    let Some(column) = table.schema.find(old, ColumnKind::Tag).map(|column| column.id) else { return Ok(None) };
    if table.schema.declaration.is_some() {
        return Err(Renamed::Kept(Kept::Declared));
    }
    // Deletes name tags.
    if !table.tombstones.is_empty() {
        return Err(Renamed::Kept(Kept::Deletes));
    }
    let mut schema = (*table.schema).clone();
    schema.rename_column(column, new);
    Ok(Some(Change::SetSchema { table: table.id, schema }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::databases::policy;
    use crate::model::declared::{Declaration, DeclaredForm};
    use crate::model::{FieldType, Precision, RowIdentity, SeriesFilter, TableId, TableSchema, Tombstone};

    fn home() -> MetricsHome {
        MetricsHome { tenant: "cnosdb".to_string(), database: "opentsdb".to_string() }
    }

    /// Metrics `cpu` and `mem` with the tag `host`, and a table of another database with `host` and `region`.
    fn world() -> CatalogState {
        let mut state = CatalogState::initial();
        for (ordinal, database) in ["opentsdb", "other"].into_iter().enumerate() {
            state.apply(&Change::CreateDatabase {
                tenant: "cnosdb".to_string(),
                database: database.to_string(),
                ordinal: ordinal as u64 + 1,
                precision: Precision::Ns,
                policies: vec![policy(Some("p"), 0, None, 1)],
                default_policy: "p".to_string(),
            });
        }
        table(&mut state, "opentsdb", "cpu", &["host", "dc"]);
        table(&mut state, "opentsdb", "mem", &["host", "dc"]);
        table(&mut state, "other", "t", &["region"]);
        state
    }

    fn table(state: &mut CatalogState, database: &str, name: &str, tags: &[&str]) -> TableId {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add(VALUE_FIELD, ColumnKind::Field, Some(FieldType::Float));
        tags.iter().for_each(|tag| schema.add_missing_tag(tag));
        let database = state.database("cnosdb", database).unwrap().clone();
        let change = state.create_table_change(&database, "p", name, schema, &[]);
        let id = state.next_table_id();
        state.apply(&change);
        id
    }

    fn edited(state: &mut CatalogState, name: &str, edit: impl Fn(&mut TableSchema)) {
        let table = state.tables().find(|table| &*table.name.table == name).unwrap().clone();
        let mut schema = (*table.schema).clone();
        edit(&mut schema);
        state.apply(&Change::SetSchema { table: table.id, schema });
    }

    #[track_caller]
    fn check(state: &CatalogState, kind: UidKind, old: &str, new: &str, expected: Result<usize, Renamed>) {
        let changes = in_points(state, kind, old, new, &home());
        assert_eq!(changes.map(|changes| changes.len()), expected, "{old} {new}");
    }

    #[test]
    fn points_show_under_the_new_name() {
        let mut state = world();
        let id = state.tables().find(|table| &*table.name.table == "cpu").unwrap().id;
        for (kind, old, new) in [(UidKind::Metric, "cpu", "load"), (UidKind::Tagk, "host", "value")] {
            for change in in_points(&state, kind, old, new, &home()).unwrap() {
                state.apply(&change);
                state.apply(&change);
            }
        }
        for state in [CatalogState::from_changes(state.version, &state.as_changes()), state] {
            let database = state.database("cnosdb", "opentsdb").unwrap();
            let names: Vec<_> = state.tables_of(database, "p").map(|table| table.name.table.to_string()).collect();
            assert_eq!(names, ["load", "mem"]);
            let table = state.table_named(database, "p", "load").unwrap();
            assert_eq!((table.id, &*table.folder_name().table), (id, "cpu"));
            let host = table.schema.find("value", ColumnKind::Tag).unwrap();
            assert_eq!((host.sql_name.as_str(), host.stored_name.as_str()), ("value_1", "host"));
            assert!(table.schema.find("host", ColumnKind::Tag).is_none());
            // A later table of the old name has a folder of its own.
            let Change::CreateTable { folder_with_id, .. } =
                state.create_table_change(database, "p", "CPU", TableSchema::new(RowIdentity::Series), &[])
            else {
                panic!("no table is made");
            };
            assert!(folder_with_id);
            check(&state, UidKind::Metric, "cpu", "x", Ok(0));
        }
    }

    #[test]
    fn what_points_keep_is_not_renamed() {
        let mut state = world();
        check(&state, UidKind::Metric, "cpu", "mem", Err(Renamed::Taken));
        check(&state, UidKind::Tagk, "host", "dc", Err(Renamed::Taken));
        check(&state, UidKind::Tagk, "host", "region", Err(Renamed::Taken));
        check(&state, UidKind::Tagk, "region", "x", Err(Renamed::Kept(Kept::OtherDatabases)));
        check(&state, UidKind::Tagk, "host", "x", Ok(2));
        check(&state, UidKind::Tagk, "rack", "x", Ok(0));
        edited(&mut state, "mem", |schema| schema.add_missing_field("more", FieldType::Float));
        check(&state, UidKind::Metric, "mem", "x", Err(Renamed::Kept(Kept::OtherFields)));
        let cpu = state.tables().find(|table| &*table.name.table == "cpu").unwrap().id;
        let id = uuid::Uuid::from_u128(1);
        let tombstone = Tombstone { id, ordinal: 1, time_min_ns: 0, time_max_ns: 1, series: SeriesFilter::All };
        state.apply(&Change::AddTombstone { table: cpu, tombstone });
        check(&state, UidKind::Tagk, "host", "x", Err(Renamed::Kept(Kept::Deletes)));
        check(&state, UidKind::Metric, "cpu", "x", Ok(1));
        edited(&mut state, "cpu", |schema| {
            let form = DeclaredForm::NamedSeries;
            schema.declaration =
                Some(Declaration { form, time_name: "ts".to_string(), created_ns: 0, comment: None, ttl_days: 0 });
        });
        check(&state, UidKind::Metric, "cpu", "x", Err(Renamed::Kept(Kept::Declared)));
        check(&state, UidKind::Tagk, "host", "x", Err(Renamed::Kept(Kept::Declared)));
    }
}
