//! Users and what they may do: one store for every protocol that knows users.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;
use crate::model::names::DEFAULT_TENANT;

/// Where users are kept, by name.
const COLLECTION: &str = "users";

/// A user of the whole installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// In the PHC string format. The catalog never sees a password.
    pub password_hash: String,
    #[serde(default)]
    pub is_admin: bool,
    /// By database of the default tenant.
    #[serde(default)]
    pub privileges: BTreeMap<String, Privilege>,
    /// What else he may do in the default tenant: [`super::roles`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// His roles in other tenants, by tenant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memberships: BTreeMap<String, String>,
    /// A note about him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Order of creation, which listings follow.
    #[serde(default)]
    pub ordinal: u64,
    /// Until he has changed his password he may do nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_change_password: bool,
}

impl User {
    /// The same, without any right.
    pub(super) fn without_rights(self) -> User {
        User { is_admin: false, privileges: BTreeMap::new(), role: None, memberships: BTreeMap::new(), ..self }
    }

    /// The role that he has in a tenant.
    pub fn role_in(&self, tenant: &str) -> Option<&str> {
        match tenant {
            DEFAULT_TENANT => self.role.as_deref(),
            other => self.memberships.get(other).map(String::as_str),
        }
    }

    /// Gives him a role in a tenant; `None` takes the one away that he has there.
    pub fn set_role_in(&mut self, tenant: &str, role: Option<String>) {
        match (tenant, role) {
            (DEFAULT_TENANT, role) => self.role = role,
            (other, Some(role)) => {
                self.memberships.insert(other.to_string(), role);
            }
            (other, None) => {
                self.memberships.remove(other);
            }
        }
    }
}

/// What a user may do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// A right was taken away; listings show that.
    None,
    Read,
    Write,
    All,
}

impl Privilege {
    pub fn allows_reading(self) -> bool {
        matches!(self, Privilege::Read | Privilege::All)
    }

    pub fn allows_writing(self) -> bool {
        matches!(self, Privilege::Write | Privilege::All)
    }
}

impl CatalogState {
    pub fn user(&self, name: &str) -> Option<User> {
        self.document(COLLECTION, name).and_then(|value| read(value))
    }

    /// In order of creation.
    pub fn users(&self) -> Vec<User> {
        let mut users: Vec<User> = self.documents(COLLECTION).filter_map(|(_, value)| read(value)).collect();
        users.sort_by_key(|user| user.ordinal);
        users
    }
}

fn read(value: &serde_json::Value) -> Option<User> {
    serde_json::from_value(value.clone()).ok()
}

fn put(user: &User) -> Change {
    let value = serde_json::to_value(user).expect("names and numbers under string keys are JSON");
    Change::PutDocument { collection: COLLECTION.to_string(), key: user.name.clone(), value }
}

impl Catalog {
    /// Creates a user with no privileges; durable on `Ok`.
    pub async fn create_user(
        &self,
        name: &str,
        password_hash: String,
        is_admin: bool,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        if name.is_empty() {
            return Err(CatalogError::UsernameRequired);
        }
        let name = name.to_string();
        self.update(move |state| {
            let (name, password_hash) = (name.clone(), password_hash.clone());
            match state.user(&name) {
                // Our own change, seen after a lost answer.
                Some(existing) if existing.password_hash == password_hash => return Ok(Vec::new()),
                Some(_) => return Err(CatalogError::UserExists),
                None => {}
            }
            let ordinal = state.users().last().map_or(0, |last| last.ordinal + 1);
            Ok(vec![put(&User {
                name,
                password_hash,
                is_admin,
                privileges: BTreeMap::new(),
                role: None,
                memberships: BTreeMap::new(),
                comment: None,
                must_change_password: false,
                ordinal,
            })])
        })
        .await
    }

    /// Changes a user; durable on `Ok`. `change` may be asked several times.
    pub async fn change_user(
        &self,
        name: &str,
        change: impl Fn(&CatalogState, &mut User) -> Result<(), CatalogError> + Send + 'static,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let name = name.to_string();
        self.update(move |state| {
            let user = state.user(&name).ok_or(CatalogError::UserNotFound)?;
            let mut changed = user.clone();
            change(state, &mut changed)?;
            Ok(if changed == user { Vec::new() } else { vec![put(&changed)] })
        })
        .await
    }

    pub async fn drop_user(&self, name: &str) -> Result<Arc<CatalogState>, CatalogError> {
        let name = name.to_string();
        if self.state().user(&name).is_none() {
            return Err(CatalogError::UserNotFound);
        }
        self.update(move |state| {
            let exists = state.user(&name).is_some();
            let drop = || Change::DeleteDocument { collection: COLLECTION.to_string(), key: name.clone() };
            Ok(exists.then(drop).into_iter().collect())
        })
        .await
    }
}

/// What users lose when a role of a tenant goes.
pub(super) fn forget_role(state: &CatalogState, tenant: &str, role: &str) -> Vec<Change> {
    without_role(state, tenant, |has| has == role)
}

/// What users lose when a tenant goes.
pub(super) fn forget_tenant(state: &CatalogState, tenant: &str) -> Vec<Change> {
    without_role(state, tenant, |_| true)
}

fn without_role(state: &CatalogState, tenant: &str, is_gone: impl Fn(&str) -> bool) -> Vec<Change> {
    let forget = |mut user: User| {
        user.role_in(tenant).is_some_and(&is_gone).then(|| {
            user.set_role_in(tenant, None);
            put(&user)
        })
    };
    state.users().into_iter().filter_map(forget).collect()
}

/// What goes when a database goes: the rights to it, which are of the default tenant.
pub(super) fn forget_database(state: &CatalogState, tenant: &str, database: &str) -> Vec<Change> {
    if tenant != DEFAULT_TENANT {
        return Vec::new();
    }
    let forget = |mut user: User| user.privileges.remove(database).map(|_| put(&user));
    state.users().into_iter().filter_map(forget).collect()
}
