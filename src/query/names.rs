//! The catalog as the engine's names: a tenant is a catalog, a database (or `database/policy`) a schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;

use crate::catalog::{CatalogState, Database, Table};
use crate::model::names::DEFAULT_TENANT;

use super::exchange::{External, FileRows};
use super::information_schema::{SystemSchema, system_schema};
use super::provider::{Sources, TableRows};
use super::running::{RunningQueries, RunningQuery};

/// The names one session sees: those of its own tenant, in one version of the catalog.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub tenant: Arc<str>,
    pub state: Arc<CatalogState>,
    pub readable: Readable,
    /// The role in the tenant of whoever asks.
    pub role: Option<Arc<str>>,
    pub running: RunningQueries,
}

/// Which databases of its tenant a query may read. What it may not read is not there for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Readable {
    #[default]
    All,
    /// All, and what other tenants there are.
    AllTenants,
    Only(BTreeSet<String>),
}

impl Readable {
    pub fn allows(&self, database: &str) -> bool {
        match self {
            Readable::All | Readable::AllTenants => true,
            Readable::Only(names) => names.contains(database),
        }
    }
}

impl Names {
    /// The database and policy that a schema's name means.
    pub(super) fn schema(&self, name: &str) -> Option<(&Arc<Database>, &str)> {
        self.any_schema(name).filter(|(database, _)| self.readable.allows(&database.name))
    }

    /// Whether a schema is there and may not be read.
    pub(super) fn is_forbidden(&self, name: &str) -> bool {
        self.any_schema(name).is_some_and(|(database, _)| !self.readable.allows(&database.name))
    }

    /// Databases in order of creation.
    pub(super) fn databases(&self) -> Vec<&Arc<Database>> {
        let databases = self.state.databases(&self.tenant).into_iter();
        databases.filter(|database| self.readable.allows(&database.name)).collect()
    }

    /// Queries that run now on databases that may be read. Those of the protocols without tenants alone are known.
    pub(super) fn running_queries(&self) -> Vec<RunningQuery> {
        let mut running = if *self.tenant == *DEFAULT_TENANT { self.running.list() } else { Vec::new() };
        running.retain(|query| self.readable.allows(&query.database));
        running
    }

    fn any_schema(&self, name: &str) -> Option<(&Arc<Database>, &str)> {
        if let Some(database) = self.state.database(&self.tenant, name) {
            return Some((database, &database.default_policy));
        }
        let (database, policy) = name.rsplit_once('/')?;
        let database = self.state.database(&self.tenant, database)?;
        Some((database, &database.policy(policy)?.name))
    }

    /// Names of all schemas, databases in order of creation.
    pub(super) fn schemas(&self) -> Vec<String> {
        let mut names = Vec::new();
        for database in self.databases() {
            names.push(database.name.to_string());
            let others = database.policies.iter().filter(|p| *p.name != *database.default_policy);
            names.extend(others.map(|policy| format!("{}/{}", database.name, policy.name)));
        }
        names
    }

    /// The table called `name`; failing that, the only one whose name differs just by case.
    pub(super) fn table(&self, schema: &str, name: &str) -> Option<&Arc<Table>> {
        let (database, policy) = self.schema(schema)?;
        if let Some(table) = self.state.table_named(database, policy, name) {
            return Some(table);
        }
        let wanted = name.to_lowercase();
        let mut like = self.state.tables_of(database, policy).filter(|t| t.name.table.to_lowercase() == wanted);
        like.next().filter(|_| like.next().is_none())
    }

    /// The external table called `name`; failing that, the only one whose name differs just by case. A table of
    /// the gateway's own is nearer than that.
    pub(super) fn external(&self, schema: &str, name: &str) -> Option<External> {
        let (database, policy) = self.schema(schema)?;
        if *policy != *database.default_policy {
            return None;
        }
        if let Some(definition) = self.state.external_table(database, name) {
            return External::read(definition);
        }
        if self.table(schema, name).is_some() {
            return None;
        }
        let wanted = name.to_lowercase();
        let mut like = self.state.external_tables(database).filter(|(name, _)| name.to_lowercase() == wanted);
        let (_, definition) = like.next().filter(|_| like.next().is_none())?;
        External::read(definition)
    }

    /// Whether the table called exactly `name` is external.
    pub(super) fn is_external(&self, schema: &str, name: &str) -> bool {
        let owner = self.schema(schema).filter(|(database, policy)| **policy == *database.default_policy);
        owner.is_some_and(|(database, _)| self.state.external_table(database, name).is_some())
    }

    /// Names of a schema's tables, external ones among them, in order.
    pub(super) fn tables_of(&self, schema: &str) -> Vec<String> {
        let Some((database, policy)) = self.schema(schema) else { return Vec::new() };
        let mut names: Vec<String> =
            self.state.tables_of(database, policy).map(|table| table.name.table.to_string()).collect();
        if *policy == *database.default_policy {
            let before = names.len();
            names.extend(self.state.external_tables(database).map(|(name, _)| name.to_string()));
            if names.len() > before {
                names.sort();
            }
        }
        names
    }
}

/// The engine's list of catalogs: one tenant.
#[derive(Debug)]
pub(super) struct Tenants {
    pub names: Names,
    pub sources: Sources,
}

impl CatalogProviderList for Tenants {
    /// Nothing can be added.
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.names.tenant.to_string()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        if *name != *self.names.tenant {
            return None;
        }
        Some(Arc::new(Tenant { names: self.names.clone(), sources: self.sources.clone() }))
    }
}

#[derive(Debug)]
struct Tenant {
    names: Names,
    sources: Sources,
}

impl CatalogProvider for Tenant {
    fn schema_names(&self) -> Vec<String> {
        self.names.schemas()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if self.names.schema(name).is_none()
            && let Some(name) = system_schema(name)
        {
            return Some(Arc::new(SystemSchema { name, names: self.names.clone() }));
        }
        self.names.schema(name)?;
        Some(Arc::new(Schema { name: name.to_string(), names: self.names.clone(), sources: self.sources.clone() }))
    }
}

#[derive(Debug)]
struct Schema {
    name: String,
    names: Names,
    sources: Sources,
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        self.names.tables_of(&self.name)
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(External { form, url, schema }) = self.names.external(&self.name, name) {
            return Ok(Some(Arc::new(FileRows::at(self.sources.exchange.clone(), &url, form, schema))));
        }
        let table = self.names.table(&self.name, name);
        Ok(table.map(|table| {
            Arc::new(TableRows::as_declared(table.clone(), self.sources.clone())) as Arc<dyn TableProvider>
        }))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names.table(&self.name, name).is_some() || self.names.external(&self.name, name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_shown_to_those_who_may_read_their_databases() {
        let running = RunningQueries::default();
        let _tickets = [("SELECT a", "mine"), ("SELECT b", "theirs"), ("SELECT c", "")]
            .map(|(text, database)| running.register(text, database));
        let only =
            |names: &[&str]| Readable::Only(names.iter().map(|name| (*name).to_string()).collect::<BTreeSet<_>>());
        for (tenant, readable, shown) in [
            (DEFAULT_TENANT, Readable::All, 3),
            (DEFAULT_TENANT, only(&["mine"]), 1),
            (DEFAULT_TENANT, only(&[]), 0),
            ("other", Readable::All, 0),
        ] {
            let running = running.clone();
            let names = Names { tenant: tenant.into(), state: Arc::default(), readable, role: None, running };
            assert_eq!(names.running_queries().len(), shown, "{names:?}");
        }
    }
}
