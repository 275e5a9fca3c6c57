//! On whose behalf a request is, and what he may do.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::CatalogState;
use crate::catalog::roles::Account;
use crate::model::names::DEFAULT_TENANT;
use crate::query::Readable;
use crate::query::sql::Asker;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Authentication is off: everybody may do everything.
    Anyone,
    /// Authentication is on, but there is no administrator who could let anybody in.
    Nobody,
    /// Somebody who proved who he is.
    User(Arc<Account>),
}

impl Principal {
    /// Name of the user; `None` when nobody in particular asks.
    pub fn name(&self) -> Option<&str> {
        match self {
            Principal::User(account) => Some(&account.user.name),
            Principal::Anyone | Principal::Nobody => None,
        }
    }

    /// Whether nothing is allowed but to change the password.
    pub fn must_change_password(&self) -> bool {
        self.account().is_some_and(|account| account.user.must_change_password)
    }

    /// Whether everything is allowed.
    pub fn is_admin(&self) -> bool {
        match self {
            Principal::Anyone => true,
            Principal::Nobody => false,
            Principal::User(account) => account.user.is_admin,
        }
    }

    /// Whether everything in `tenant` is allowed.
    pub fn owns(&self, tenant: &str) -> bool {
        self.is_admin() || self.account().is_some_and(|account| account.owns(tenant))
    }

    /// Whether there is anything at all in `tenant` that is allowed.
    pub fn belongs(&self, tenant: &str) -> bool {
        self.is_admin() || self.account().is_some_and(|account| account.belongs(tenant))
    }

    /// Whether `database` of the default tenant may be read.
    pub fn may_read(&self, database: &str) -> bool {
        self.is_admin() || self.account().is_some_and(|account| account.may_read(DEFAULT_TENANT, database))
    }

    /// Whether `database` of the default tenant may be written into.
    pub fn may_write(&self, database: &str) -> bool {
        self.may_write_in(DEFAULT_TENANT, database)
    }

    /// Whether `database` of `tenant` may be written into.
    pub fn may_write_in(&self, tenant: &str, database: &str) -> bool {
        self.is_admin() || self.account().is_some_and(|account| account.may_write(tenant, database))
    }

    /// For whom a query in SQL runs: what of `tenant` he may read, of the databases that there are now.
    pub fn sql_asker(&self, tenant: &str, state: &CatalogState) -> Asker {
        let account = match self {
            Principal::Anyone => return Asker::root(),
            Principal::Nobody => return Asker { readable: Readable::Only(BTreeSet::new()), ..Asker::root() },
            Principal::User(account) => account,
        };
        let names = state.databases(tenant).into_iter().map(|database| database.name.to_string());
        let may_read = |name: &String| account.may_read(tenant, name);
        let readable = match (self.is_admin(), self.owns(tenant)) {
            (true, _) => Readable::AllTenants,
            (false, true) => Readable::All,
            (false, false) => Readable::Only(names.filter(may_read).collect()),
        };
        let role = account.user.role_in(tenant).map(str::to_string);
        Asker { user: account.user.name.clone(), role, readable }
    }

    fn account(&self) -> Option<&Account> {
        match self {
            Principal::User(account) => Some(account),
            Principal::Anyone | Principal::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::users::{Privilege, User};

    #[test]
    fn rights_are_by_database_and_an_administrator_has_them_all() {
        let user = |is_admin| {
            let privileges =
                [("r", Privilege::Read), ("w", Privilege::Write), ("a", Privilege::All), ("n", Privilege::None)];
            Principal::User(Arc::new(Account::of(User {
                name: "ann".to_string(),
                password_hash: String::new(),
                is_admin,
                privileges: privileges.map(|(name, privilege)| (name.to_string(), privilege)).into(),
                role: None,
                memberships: Default::default(),
                comment: None,
                must_change_password: false,
                ordinal: 0,
            })))
        };
        for (database, read, write) in
            [("r", true, false), ("w", false, true), ("a", true, true), ("n", false, false), ("x", false, false)]
        {
            let ann = user(false);
            assert_eq!((ann.may_read(database), ann.may_write(database)), (read, write), "{database}");
            for all in [user(true), Principal::Anyone] {
                assert!(all.may_read(database) && all.may_write(database));
            }
            assert!(!Principal::Nobody.may_read(database) && !Principal::Nobody.may_write(database));
        }
    }
}
