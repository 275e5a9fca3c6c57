//! Tables whose rows are files outside of the store: documents that say where the files are and what is in them.

use std::sync::Arc;

use serde_json::Value as Json;

use super::change::Change;
use super::databases::check_name;
use super::error::CatalogError;
use super::handle::Catalog;
use super::remembered::Room;
use super::state::{CatalogState, Database};

/// The collection of their definitions: of a table, by `tenant/database/name`. They go with their database.
pub(super) const EXTERNAL: &str = "external_tables";

const ROOM: Room = Room { documents: 10_000, bytes: 16 * 1024 * 1024 };

/// What a database's definitions begin with.
pub(super) fn prefix(tenant: &str, database: &str) -> String {
    format!("{tenant}/{database}/")
}

impl CatalogState {
    /// The definition of a database's external table.
    pub fn external_table(&self, database: &Database, table: &str) -> Option<&Arc<Json>> {
        self.document(EXTERNAL, &format!("{}{table}", prefix(&database.tenant, &database.name)))
    }

    /// A database's external tables by name.
    pub fn external_tables(&self, database: &Database) -> impl Iterator<Item = (&str, &Arc<Json>)> {
        let prefix = prefix(&database.tenant, &database.name);
        let all = self.documents_between(EXTERNAL, &prefix, &format!("{prefix}\u{10ffff}"));
        all.filter_map(move |(key, definition)| Some((key.strip_prefix(&prefix)?, definition)))
    }

    /// Refuses steps that make a table where there is an external one: points would go where nobody sees them.
    pub(super) fn check_external(&self, changes: &[Change]) -> Result<(), CatalogError> {
        for change in changes {
            if let Change::CreateTable { tenant, database, table, .. } = change
                && self.document(EXTERNAL, &format!("{}{table}", prefix(tenant, database))).is_some()
            {
                return Err(CatalogError::ExternalTable { table: table.clone() });
            }
        }
        Ok(())
    }
}

impl Catalog {
    /// Makes an external table; durable on `Ok`. `Ok(false)`: there is a table of this name already.
    pub async fn create_external_table(
        &self,
        tenant: &str,
        database: &str,
        table: &str,
        definition: Json,
    ) -> Result<bool, CatalogError> {
        check_name(table)?;
        let (tenant, database, table) = (tenant.to_string(), database.to_string(), table.to_string());
        let key = format!("{}{table}", prefix(&tenant, &database));
        let exists = move |state: &CatalogState| {
            let not_found = || CatalogError::DatabaseNotFound { database: database.clone() };
            let owner = state.database(&tenant, &database).ok_or_else(not_found)?;
            let policies = owner.policies.iter();
            let is_table = policies.into_iter().any(|policy| state.table_named(owner, &policy.name, &table).is_some());
            Ok::<_, CatalogError>(is_table || state.external_table(owner, &table).is_some())
        };
        if exists(&self.state())? {
            return Ok(false);
        }
        let put = [(key, definition)];
        self.update(move |state| {
            if exists(state)? {
                return Ok(Vec::new());
            }
            let full = |_| CatalogError::TooManyDocuments { collection: EXTERNAL.to_string() };
            ROOM.check(state, EXTERNAL, &put).map_err(full)?;
            let [(key, value)] = &put;
            Ok(vec![Change::PutDocument { collection: EXTERNAL.to_string(), key: key.clone(), value: value.clone() }])
        })
        .await?;
        Ok(true)
    }

    /// Forgets an external table; its files stay. `Ok(false)`: there was none.
    pub async fn drop_external_table(&self, tenant: &str, database: &str, table: &str) -> Result<bool, CatalogError> {
        self.forget(EXTERNAL, &format!("{}{table}", prefix(tenant, database))).await
    }
}
