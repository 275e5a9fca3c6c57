//! Roles: rights under a name, which users of the tenant have together; and what a user may do with all that he was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;
use super::users::{Privilege, User};

/// Where roles are kept, by name.
const COLLECTION: &str = "roles";

/// What a role starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Everything that is in the tenant.
    Owner,
    /// Reading all that is in it.
    Member,
}

impl Base {
    /// The role of this name that is always there.
    pub fn named(name: &str) -> Option<Base> {
        match name {
            "owner" => Some(Base::Owner),
            "member" => Some(Base::Member),
            _ => None,
        }
    }
}

/// A role that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub base: Base,
    /// Beyond those of `base`, by database.
    #[serde(default)]
    pub privileges: BTreeMap<String, Privilege>,
}

/// A user with all his rights, in one version of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    base: Option<Base>,
    /// Of his role.
    granted: BTreeMap<String, Privilege>,
}

impl Account {
    /// Somebody without a role.
    pub fn of(user: User) -> Account {
        Account { user, base: None, granted: BTreeMap::new() }
    }

    /// Whether he may do everything in the tenant.
    pub fn owns(&self) -> bool {
        self.user.is_admin || self.base == Some(Base::Owner)
    }

    /// Whether he has any right at all.
    pub fn belongs(&self) -> bool {
        let has = |rights: &BTreeMap<String, Privilege>| rights.values().any(|right| *right != Privilege::None);
        self.user.is_admin || self.base.is_some() || has(&self.user.privileges)
    }

    pub fn may_read(&self, database: &str) -> bool {
        self.owns() || self.base.is_some() || self.has(database, Privilege::allows_reading)
    }

    pub fn may_write(&self, database: &str) -> bool {
        self.owns() || self.has(database, Privilege::allows_writing)
    }

    fn has(&self, database: &str, right: fn(Privilege) -> bool) -> bool {
        let rights = [self.user.privileges.get(database), self.granted.get(database)];
        rights.into_iter().flatten().any(|privilege| right(*privilege))
    }
}

impl CatalogState {
    pub fn role(&self, name: &str) -> Option<Role> {
        self.document(COLLECTION, name).and_then(|value| serde_json::from_value((**value).clone()).ok())
    }

    /// By name.
    pub fn roles(&self) -> Vec<Role> {
        self.documents(COLLECTION).filter_map(|(_, value)| serde_json::from_value((**value).clone()).ok()).collect()
    }

    /// A user with his rights. A role that is gone gives none.
    pub fn account(&self, name: &str) -> Option<Account> {
        let mut account = Account::of(self.user(name)?);
        if let Some(role) = account.user.role.as_deref() {
            account.base = Base::named(role);
            if let Some(role) = self.role(role) {
                account.base = Some(role.base);
                account.granted = role.privileges;
            }
        }
        Some(account)
    }
}

fn put(role: &Role) -> Change {
    let value = serde_json::to_value(role).expect("names under string keys are JSON");
    Change::PutDocument { collection: COLLECTION.to_string(), key: role.name.clone(), value }
}

impl Catalog {
    /// Makes a role; durable on `Ok`.
    pub async fn create_role(&self, name: &str, base: Base) -> Result<Arc<CatalogState>, CatalogError> {
        if Base::named(name).is_some() || self.state().role(name).is_some() {
            return Err(CatalogError::RoleExists { role: name.to_string() });
        }
        let role = Role { name: name.to_string(), base, privileges: BTreeMap::new() };
        self.update(move |state| match state.role(&role.name) {
            // Our own change, seen after a lost answer.
            Some(existing) if existing == role => Ok(Vec::new()),
            Some(_) => Err(CatalogError::RoleExists { role: role.name.clone() }),
            None => Ok(vec![put(&role)]),
        })
        .await
    }

    /// Changes a role; durable on `Ok`. `change` may be asked several times.
    pub async fn change_role(
        &self,
        name: &str,
        change: impl Fn(&CatalogState, &mut Role) -> Result<(), CatalogError> + Send + 'static,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let name = name.to_string();
        self.update(move |state| {
            let role = state.role(&name).ok_or_else(|| CatalogError::RoleNotFound { role: name.clone() })?;
            let mut changed = role.clone();
            change(state, &mut changed)?;
            Ok(if changed == role { Vec::new() } else { vec![put(&changed)] })
        })
        .await
    }

    /// Removes a role; users who had it have none then.
    pub async fn drop_role(&self, name: &str) -> Result<Arc<CatalogState>, CatalogError> {
        let name = name.to_string();
        if self.state().role(&name).is_none() {
            return Err(CatalogError::RoleNotFound { role: name });
        }
        self.update(move |state| {
            let exists = state.role(&name).is_some();
            let drop = || Change::DeleteDocument { collection: COLLECTION.to_string(), key: name.clone() };
            let mut changes: Vec<Change> = exists.then(drop).into_iter().collect();
            changes.extend(super::users::forget_role(state, &name));
            Ok(changes)
        })
        .await
    }
}

/// What goes when a database goes: the rights to it.
pub(super) fn forget_database(state: &CatalogState, database: &str) -> Vec<Change> {
    let forget = |mut role: Role| role.privileges.remove(database).map(|_| put(&role));
    state.roles().into_iter().filter_map(forget).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a user with this role, and READ of `r`, may do with `r` and `x`: read r, write r, read x, write x.
    #[track_caller]
    fn check(state: &CatalogState, role: Option<&str>, expected: [bool; 4]) {
        let mut state = state.clone();
        let value = serde_json::json!({"name": "ann", "password_hash": "", "role": role, "privileges": {"r": "read"}});
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        let account = state.account("ann").unwrap();
        let found = ["r", "x"].map(|database| [account.may_read(database), account.may_write(database)]);
        assert_eq!(found.concat(), expected, "{role:?}");
        assert!(account.belongs());
    }

    #[test]
    fn a_role_adds_to_what_a_user_has() {
        let mut state = CatalogState::initial();
        check(&state, None, [true, false, false, false]);
        check(&state, Some("member"), [true, false, true, false]);
        check(&state, Some("owner"), [true, true, true, true]);
        check(&state, Some("gone"), [true, false, false, false]);
        let privileges = [("x".to_string(), Privilege::Write)].into();
        state.apply(&put(&Role { name: "writers".to_string(), base: Base::Member, privileges }));
        check(&state, Some("writers"), [true, false, true, true]);
        for change in forget_database(&state, "x") {
            state.apply(&change);
        }
        check(&state, Some("writers"), [true, false, true, false]);
    }

    #[test]
    fn somebody_without_any_right_does_not_belong() {
        let mut state = CatalogState::initial();
        let value = serde_json::json!({"name": "ann", "password_hash": "", "privileges": {"r": "none"}});
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        assert!(!state.account("ann").unwrap().belongs());
    }
}
