//! Tenants: who shares a gateway without knowing of each other. Databases belong to one tenant, and so do roles; a user is a member of
//! any number of them, with a role in each ([`super::users`]).
//!
//! The default tenant is always there. Any other one is there once it was made, and where it is older than the statement that
//! makes it, as long as it has databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::names::DEFAULT_TENANT;

use super::change::Change;
use super::databases::check_name;
use super::error::CatalogError;
use super::handle::Catalog;
use super::remembered::Room;
use super::state::CatalogState;
use super::{continuous, roles, users};

/// Where tenants are kept, by name.
const COLLECTION: &str = "tenants";

const ROOM: Room = Room { documents: 1_000, bytes: 1024 * 1024 };

/// What is said about a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// A note about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl CatalogState {
    /// What is said about a tenant; `None`: there is none of this name.
    pub fn tenant(&self, name: &str) -> Option<Tenant> {
        match self.document(COLLECTION, name) {
            Some(kept) => serde_json::from_value((**kept).clone()).ok(),
            None => (name == DEFAULT_TENANT || self.has_databases(name)).then(Tenant::default),
        }
    }

    /// The names of all tenants, in order.
    pub fn tenants(&self) -> Vec<Arc<str>> {
        let made = self.documents(COLLECTION).map(|(name, _)| Arc::from(name));
        let mut names: BTreeSet<Arc<str>> = made.chain(self.tenants_with_databases()).collect();
        names.insert(DEFAULT_TENANT.into());
        names.into_iter().collect()
    }
}

fn put(name: &str, tenant: &Tenant) -> Change {
    let value = serde_json::to_value(tenant).expect("a text under a string key is JSON");
    Change::PutDocument { collection: COLLECTION.to_string(), key: name.to_string(), value }
}

fn check_room(state: &CatalogState, name: &str, tenant: &Tenant) -> Result<Change, CatalogError> {
    let change = put(name, tenant);
    if let Change::PutDocument { key, value, .. } = &change {
        let full = |_| CatalogError::TooManyDocuments { collection: COLLECTION.to_string() };
        ROOM.check(state, COLLECTION, &[(key.clone(), value.clone())]).map_err(full)?;
    }
    Ok(change)
}

impl Catalog {
    /// Makes a tenant without databases and members; durable on `Ok`.
    pub async fn create_tenant(&self, name: &str, tenant: Tenant) -> Result<Arc<CatalogState>, CatalogError> {
        check_name(name)?;
        let exists = |name: &str| CatalogError::TenantExists { tenant: name.to_string() };
        if self.state().tenant(name).is_some() {
            return Err(exists(name));
        }
        let name = name.to_string();
        self.update(move |state| match state.tenant(&name) {
            // Our own change, seen after a lost answer.
            Some(known) if known == tenant && state.document(COLLECTION, &name).is_some() => Ok(Vec::new()),
            Some(_) => Err(exists(&name)),
            None => Ok(vec![check_room(state, &name, &tenant)?]),
        })
        .await
    }

    /// Changes what is said about a tenant; durable on `Ok`.
    pub async fn change_tenant(&self, name: &str, tenant: Tenant) -> Result<Arc<CatalogState>, CatalogError> {
        let name = name.to_string();
        self.update(move |state| match state.tenant(&name) {
            None => Err(CatalogError::TenantNotFound { tenant: name.clone() }),
            Some(known) if known == tenant => Ok(Vec::new()),
            Some(_) => Ok(vec![check_room(state, &name, &tenant)?]),
        })
        .await
    }

    /// Drops a tenant with all that is in it, in one commit: databases, roles, memberships. `Ok(false)`: there was none. The default
    /// tenant cannot be dropped.
    pub async fn drop_tenant(&self, name: &str) -> Result<bool, CatalogError> {
        if name == DEFAULT_TENANT {
            let why = "it is the default tenant's";
            return Err(CatalogError::InvalidName { name: name.to_string(), why });
        }
        let existed = self.state().tenant(name).is_some();
        let name = name.to_string();
        self.update(move |state| {
            if state.tenant(&name).is_none() {
                return Ok(Vec::new());
            }
            let mut changes = users::forget_tenant(state, &name);
            changes.extend(roles::forget_tenant(state, &name));
            for database in state.all_databases(&name) {
                let (tenant, database) = (name.clone(), database.name.to_string());
                changes.extend(continuous::forget(state, &tenant, &database, None));
                changes.push(Change::DropDatabase { tenant, database });
            }
            if state.document(COLLECTION, &name).is_some() {
                changes.push(Change::DeleteDocument { collection: COLLECTION.to_string(), key: name.clone() });
            }
            Ok(changes)
        })
        .await?;
        Ok(existed)
    }
}
