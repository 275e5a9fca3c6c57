//! Tables made and dropped by name.

use std::sync::Arc;

use crate::model::{TableName, TableSchema};

use super::change::Change;
use super::databases::check_name;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, Database, Table};

impl CatalogState {
    /// The step that makes a table, after the steps of `before` that are committed with it.
    pub fn create_table_change(
        &self,
        database: &Database,
        policy: &str,
        table: &str,
        schema: TableSchema,
        before: &[Change],
    ) -> Change {
        let lower = table.to_lowercase();
        let name_made = |change: &'_ Change| match change {
            Change::CreateTable { table, .. } => Some(table.clone()),
            _ => None,
        };
        let made: Vec<String> = before.iter().filter_map(name_made).collect();
        let twin_in_request = made.iter().any(|other| *other != table && other.to_lowercase() == lower);
        let mut id = self.next_table_id();
        id.0 += made.len() as u64;
        Change::CreateTable {
            id,
            tenant: database.tenant.to_string(),
            database: database.name.to_string(),
            policy: policy.to_string(),
            table: table.to_string(),
            schema,
            folder_with_id: twin_in_request || self.has_case_twin(database, policy, table),
            folder: None,
        }
    }

    fn database_or_error(&self, tenant: &str, database: &str) -> Result<&Arc<Database>, CatalogError> {
        let not_found = || CatalogError::DatabaseNotFound { database: database.to_string() };
        self.database(tenant, database).ok_or_else(not_found)
    }
}

impl Catalog {
    /// Makes a table under a database's default policy; durable on `Ok`. `Ok(false)`: there is one of this name already.
    pub async fn create_table(
        &self,
        tenant: &str,
        database: &str,
        table: &str,
        schema: TableSchema,
    ) -> Result<bool, CatalogError> {
        check_name(table)?;
        let exists = |state: &CatalogState, owner: &Database, table: &str| {
            state.table_named(owner, &owner.default_policy, table).is_some()
                || state.external_table(owner, table).is_some()
        };
        let before = self.state();
        let existed = exists(&before, before.database_or_error(tenant, database)?, table);
        let (tenant, database, table) = (tenant.to_string(), database.to_string(), table.to_string());
        self.update(move |state| {
            let owner = state.database_or_error(&tenant, &database)?;
            if exists(state, owner, &table) {
                return Ok(Vec::new());
            }
            Ok(vec![state.create_table_change(owner, &owner.default_policy, &table, schema.clone(), &[])])
        })
        .await?;
        Ok(!existed)
    }

    /// Changes the columns of a table under a database's default policy; durable on `Ok`. `edit` is asked again when the schema
    /// changed meanwhile, and its refusal is returned.
    pub async fn change_columns<E, F>(
        &self,
        tenant: &str,
        database: &str,
        table: &str,
        mut edit: F,
    ) -> Result<Result<(), E>, CatalogError>
    where
        E: Send + 'static,
        F: FnMut(&Table, &mut TableSchema) -> Result<(), E> + Send + 'static,
    {
        let state = self.state();
        let owner = state.database_or_error(tenant, database)?;
        let name = TableName::new(tenant, database, &owner.default_policy, table);
        let known = state.table_named(owner, &owner.default_policy, table);
        let known = known.ok_or_else(|| CatalogError::TableNotFound { table: name })?;
        let id = known.id;
        if let Err(refusal) = edit(known, &mut (*known.schema).clone()) {
            return Ok(Err(refusal));
        }
        let mut done: Option<TableSchema> = None;
        self.update(move |state| {
            let Some(table) = state.table(id) else {
                return Err(CatalogError::Stale { what: "the table was dropped".to_string() });
            };
            if done.as_ref().is_some_and(|done| *done == *table.schema) {
                return Ok(Vec::new()); // an answer was lost: the commit is there already
            }
            let mut schema = (*table.schema).clone();
            if edit(table, &mut schema).is_err() {
                return Err(CatalogError::Stale { what: "the table's columns".to_string() });
            }
            done = Some(schema.clone());
            Ok(vec![Change::SetSchema { table: id, schema }])
        })
        .await?;
        Ok(Ok(()))
    }

    /// Drops a table under a database's default policy with all its rows. `Ok(false)`: there was none.
    pub async fn drop_table(&self, tenant: &str, database: &str, table: &str) -> Result<bool, CatalogError> {
        let state = self.state();
        let owner = state.database_or_error(tenant, database)?;
        let Some(id) = state.table_named(owner, &owner.default_policy, table).map(|table| table.id) else {
            return Ok(false);
        };
        self.update(move |state| Ok(state.table(id).map(|_| Change::DropTable { table: id }).into_iter().collect()))
            .await?;
        Ok(true)
    }
}
