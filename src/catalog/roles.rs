//! Roles: rights under a name, which users of the tenant have together; and what a user may do with all that he was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;
use super::users::{Privilege, User};
use crate::model::names::DEFAULT_TENANT;

/// Where roles of the default tenant are kept, by name.
const COLLECTION: &str = "roles";
/// Where those of other tenants are, by tenant and name.
const ELSEWHERE: &str = "tenant_roles";

/// Collection and key of a role. A tenant's name holds no slash.
fn place(tenant: &str, name: &str) -> (&'static str, String) {
    match tenant {
        DEFAULT_TENANT => (COLLECTION, name.to_string()),
        other => (ELSEWHERE, format!("{other}/{name}")),
    }
}

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
    /// `None`: it has its own rights alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Beyond those of `base`, by database.
    #[serde(default)]
    pub privileges: BTreeMap<String, Privilege>,
}

/// A user with all his rights, in one version of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    /// What his roles are, by tenant. A role that is gone is none.
    roles: BTreeMap<String, Role>,
}

impl Account {
    /// Somebody without a role.
    pub fn of(user: User) -> Account {
        Account { user, roles: BTreeMap::new() }
    }

    /// Whether he may do everything in a tenant.
    pub fn owns(&self, tenant: &str) -> bool {
        self.user.is_admin || self.roles.get(tenant).is_some_and(|role| role.base == Some(Base::Owner))
    }

    /// Whether he has any right at all in a tenant.
    pub fn belongs(&self, tenant: &str) -> bool {
        let has_own = || self.own(tenant).is_some_and(|own| own.values().any(|right| *right != Privilege::None));
        self.user.is_admin || self.roles.contains_key(tenant) || has_own()
    }

    pub fn may_read(&self, tenant: &str, database: &str) -> bool {
        // Whatever a role starts from, all of its tenant can be read.
        let starts_from_any = || self.roles.get(tenant).is_some_and(|role| role.base.is_some());
        self.user.is_admin || starts_from_any() || self.has(tenant, database, Privilege::allows_reading)
    }

    pub fn may_write(&self, tenant: &str, database: &str) -> bool {
        self.owns(tenant) || self.has(tenant, database, Privilege::allows_writing)
    }

    fn has(&self, tenant: &str, database: &str, right: fn(Privilege) -> bool) -> bool {
        let own = self.own(tenant).and_then(|own| own.get(database)).copied();
        let granted = self.roles.get(tenant).and_then(|role| role.privileges.get(database));
        // A role that writes reads as well.
        let granted = granted.map(|right| if *right == Privilege::Write { Privilege::All } else { *right });
        own.into_iter().chain(granted).any(right)
    }

    /// Rights that are the user's own, without a role.
    fn own(&self, tenant: &str) -> Option<&BTreeMap<String, Privilege>> {
        (tenant == DEFAULT_TENANT).then_some(&self.user.privileges)
    }
}

impl CatalogState {
    /// A role that somebody made in a tenant.
    pub fn role(&self, tenant: &str, name: &str) -> Option<Role> {
        let (collection, key) = place(tenant, name);
        self.document(collection, &key).and_then(|value| serde_json::from_value((**value).clone()).ok())
    }

    /// Those of a tenant by name.
    pub fn roles(&self, tenant: &str) -> Vec<Role> {
        let (collection, first) = place(tenant, "");
        let of_tenant = self.documents(collection).filter(|(key, _)| key.starts_with(&first));
        of_tenant.filter_map(|(_, value)| serde_json::from_value((**value).clone()).ok()).collect()
    }

    /// The role of this name, made or always there.
    fn any_role(&self, tenant: &str, name: &str) -> Option<Role> {
        let fixed = |base| Role { name: name.to_string(), base: Some(base), privileges: BTreeMap::new() };
        Base::named(name).map(fixed).or_else(|| self.role(tenant, name))
    }

    /// A user with his rights; none, before a password is changed that must be. A role that is gone gives none.
    pub fn account(&self, name: &str) -> Option<Account> {
        let user = self.user(name)?;
        if user.must_change_password {
            return Some(Account::of(user.without_rights()));
        }
        let default = user.role.iter().map(|role| (DEFAULT_TENANT, role));
        let elsewhere = user.memberships.iter().map(|(tenant, role)| (tenant.as_str(), role));
        let known = |(tenant, role): (&str, &String)| Some((tenant.to_string(), self.any_role(tenant, role)?));
        let roles = default.chain(elsewhere).filter_map(known).collect();
        Some(Account { user, roles })
    }
}

fn put(tenant: &str, role: &Role) -> Change {
    let value = serde_json::to_value(role).expect("names under string keys are JSON");
    let (collection, key) = place(tenant, &role.name);
    Change::PutDocument { collection: collection.to_string(), key, value }
}

fn delete(tenant: &str, name: &str) -> Change {
    let (collection, key) = place(tenant, name);
    Change::DeleteDocument { collection: collection.to_string(), key }
}

impl Catalog {
    /// Makes a role in a tenant; durable on `Ok`.
    pub async fn create_role(
        &self,
        tenant: &str,
        name: &str,
        base: impl Into<Option<Base>>,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        if self.state().any_role(tenant, name).is_some() {
            return Err(CatalogError::RoleExists { role: name.to_string() });
        }
        let role = Role { name: name.to_string(), base: base.into(), privileges: BTreeMap::new() };
        let tenant = tenant.to_string();
        self.update(move |state| match state.role(&tenant, &role.name) {
            _ if state.tenant(&tenant).is_none() => Err(CatalogError::TenantNotFound { tenant: tenant.clone() }),
            // Our own change, seen after a lost answer.
            Some(existing) if existing == role => Ok(Vec::new()),
            Some(_) => Err(CatalogError::RoleExists { role: role.name.clone() }),
            None => Ok(vec![put(&tenant, &role)]),
        })
        .await
    }

    /// Changes a role; durable on `Ok`. `change` may be asked several times.
    pub async fn change_role(
        &self,
        tenant: &str,
        name: &str,
        change: impl Fn(&CatalogState, &mut Role) -> Result<(), CatalogError> + Send + 'static,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, name) = (tenant.to_string(), name.to_string());
        self.update(move |state| {
            let role = state.role(&tenant, &name).ok_or_else(|| CatalogError::RoleNotFound { role: name.clone() })?;
            let mut changed = role.clone();
            change(state, &mut changed)?;
            Ok(if changed == role { Vec::new() } else { vec![put(&tenant, &changed)] })
        })
        .await
    }

    /// Removes a role; users who had it have none then.
    pub async fn drop_role(&self, tenant: &str, name: &str) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, name) = (tenant.to_string(), name.to_string());
        if self.state().role(&tenant, &name).is_none() {
            return Err(CatalogError::RoleNotFound { role: name });
        }
        self.update(move |state| {
            let exists = state.role(&tenant, &name).is_some();
            let mut changes: Vec<Change> = exists.then(|| delete(&tenant, &name)).into_iter().collect();
            changes.extend(super::users::forget_role(state, &tenant, &name));
            Ok(changes)
        })
        .await
    }
}

/// What goes when a database goes: the rights to it.
pub(super) fn forget_database(state: &CatalogState, tenant: &str, database: &str) -> Vec<Change> {
    let forget = |mut role: Role| role.privileges.remove(database).map(|_| put(tenant, &role));
    state.roles(tenant).into_iter().filter_map(forget).collect()
}

/// What goes when a tenant goes: its roles.
pub(super) fn forget_tenant(state: &CatalogState, tenant: &str) -> Vec<Change> {
    state.roles(tenant).iter().map(|role| delete(tenant, &role.name)).collect()
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
        let found = ["r", "x"]
            .map(|database| [account.may_read(DEFAULT_TENANT, database), account.may_write(DEFAULT_TENANT, database)]);
        assert_eq!(found.concat(), expected, "{role:?}");
        assert!(account.belongs(DEFAULT_TENANT) && !account.belongs("other"));
    }

    #[test]
    fn a_role_adds_to_what_a_user_has() {
        let mut state = CatalogState::initial();
        check(&state, None, [true, false, false, false]);
        check(&state, Some("member"), [true, false, true, false]);
        check(&state, Some("owner"), [true, true, true, true]);
        check(&state, Some("gone"), [true, false, false, false]);
        let privileges = [("x".to_string(), Privilege::Write)].into();
        state.apply(&put(DEFAULT_TENANT, &Role { name: "writers".to_string(), base: Some(Base::Member), privileges }));
        // What goes in another tenant is not this one's.
        assert!(forget_database(&state, "other", "x").is_empty());
        check(&state, Some("writers"), [true, false, true, true]);
        for change in forget_database(&state, DEFAULT_TENANT, "x") {
            state.apply(&change);
        }
        check(&state, Some("writers"), [true, false, true, false]);
    }

    #[test]
    fn somebody_without_any_right_does_not_belong() {
        let mut state = CatalogState::initial();
        let value = serde_json::json!({"name": "ann", "password_hash": "", "privileges": {"r": "none"}});
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        assert!(!state.account("ann").unwrap().belongs(DEFAULT_TENANT));
    }
    #[test]
    fn a_role_in_one_tenant_gives_nothing_in_another() {
        let mut state = CatalogState::initial();
        let privileges = [("x".to_string(), Privilege::Write)].into();
        state.apply(&put("t", &Role { name: "writers".to_string(), base: Some(Base::Member), privileges }));
        let value = serde_json::json!({
            "name": "ann", "password_hash": "", "privileges": {"r": "all"}, "memberships": {"t": "writers", "u": "owner", "v": "writers"},
        });
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        let account = state.account("ann").unwrap();
        // Belongs, reads r, writes r, writes x, owns.
        for (tenant, expected) in [
            (DEFAULT_TENANT, [true, true, true, false, false]),
            ("t", [true, true, false, true, false]),
            ("u", [true, true, true, true, true]),
            // There is no such role there.
            ("v", [false; 5]),
            ("w", [false; 5]),
        ] {
            let seen = [
                account.belongs(tenant),
                account.may_read(tenant, "r"),
                account.may_write(tenant, "r"),
                account.may_write(tenant, "x"),
                account.owns(tenant),
            ];
            assert_eq!(seen, expected, "{tenant}");
        }
        for change in crate::catalog::users::forget_role(&state, "t", "writers") {
            state.apply(&change);
        }
        assert!(!state.account("ann").unwrap().belongs("t"));
        assert!(state.account("ann").unwrap().user.memberships.contains_key("v"));
    }
}
