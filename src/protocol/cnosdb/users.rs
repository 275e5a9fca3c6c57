//! Statements about tenants, users and roles, carried out.

use crate::catalog::CatalogError;
use crate::catalog::roles::{Base, Role};
use crate::catalog::tenants::Tenant;
use crate::catalog::users::{Privilege, User};
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::sql::access::{AccessChange, Right, UserOptions};

use super::authorization;
use super::error::{Code, WireError};

type Done = Result<(), CatalogError>;

/// Refuses who may not make a change. A tenant's roles, and who is in it, are its owners' affair; all else is an administrator's.
pub(super) fn check(principal: &Principal, tenant: &str, change: &AccessChange) -> Result<(), WireError> {
    match change {
        // Everybody changes his own password, and may have to.
        AccessChange::AlterUser { name, options }
            if Some(name.as_str()) == principal.name() && is_password(options) =>
        {
            Ok(())
        }
        _ if principal.must_change_password() => Err(authorization::privileges("change password")),
        AccessChange::CreateRole { .. }
        | AccessChange::DropRole { .. }
        | AccessChange::Grant { .. }
        | AccessChange::Revoke { .. } => authorization::owns(principal, tenant),
        AccessChange::SetRole { tenant, .. } => authorization::owns(principal, tenant),
        AccessChange::CreateTenant { .. }
        | AccessChange::AlterTenant { .. }
        | AccessChange::DropTenant { .. }
        | AccessChange::CreateUser { .. }
        | AccessChange::AlterUser { .. }
        | AccessChange::DropUser { .. } => authorization::administers(principal),
    }
}

/// Carries out a statement of a session in `tenant`, whose roles it means; durable on `Ok`.
pub(super) async fn execute(core: &Core, tenant: &str, change: AccessChange) -> Result<(), WireError> {
    let catalog = &core.catalog;
    let done: Done = match change {
        AccessChange::CreateTenant { name, if_not_exists, comment } => {
            match catalog.create_tenant(&name, Tenant { comment }).await {
                Err(CatalogError::TenantExists { .. }) if if_not_exists => Ok(()),
                done => done.map(|_| ()),
            }
        }
        AccessChange::AlterTenant { name, comment } => {
            catalog.change_tenant(&name, Tenant { comment }).await.map(|_| ())
        }
        AccessChange::DropTenant { name, .. } if name == DEFAULT_TENANT => {
            return Err(WireError::coded(Code::Sql("010064"), format_args!("Tenant {name:?} forbid drop")));
        }
        AccessChange::DropTenant { name, if_exists } => match catalog.drop_tenant(&name).await {
            Ok(false) if !if_exists => return Err(WireError::tenant_not_found(&name)),
            done => done.map(|_| ()),
        },
        AccessChange::CreateUser { name, if_not_exists, options } => {
            if if_not_exists && catalog.state().user(&name).is_some() {
                return Ok(());
            }
            create_user(core, &name, options).await?
        }
        AccessChange::AlterUser { name, options } => alter_user(core, &name, options).await?,
        AccessChange::DropUser { name, if_exists } => match catalog.drop_user(&name).await {
            Err(CatalogError::UserNotFound) if if_exists => Ok(()),
            Err(CatalogError::UserNotFound) => return Err(WireError::user_not_found(&name)),
            done => done.map(|_| ()),
        },
        AccessChange::CreateRole { name, if_not_exists, inherits } => {
            let base = inherits.as_deref().and_then(Base::named);
            match catalog.create_role(tenant, &name, base).await {
                Err(CatalogError::RoleExists { .. }) if if_not_exists => Ok(()),
                done => done.map(|_| ()),
            }
        }
        AccessChange::DropRole { name, if_exists } => match catalog.drop_role(tenant, &name).await {
            Err(CatalogError::RoleNotFound { .. }) if if_exists => Ok(()),
            done => done.map(|_| ()),
        },
        AccessChange::Grant { right, database, role } => {
            change_right(core, tenant, &role, &database, move |had| with(had, right)).await
        }
        AccessChange::Revoke { right, database, role } => {
            change_right(core, tenant, &role, &database, move |had| without(had, right)).await
        }
        AccessChange::SetRole { tenant, user, role } => set_role(core, &tenant, &user, role).await?,
    };
    done.map_err(WireError::of_catalog)
}

/// Whether nothing but the password is changed.
fn is_password(options: &UserOptions) -> bool {
    let others = UserOptions { password: None, ..options.clone() };
    options.password.is_some() && others == UserOptions::default()
}

async fn create_user(core: &Core, name: &str, options: UserOptions) -> Result<Done, WireError> {
    if options.must_change_password == Some(true) {
        // Nobody gets in before all is said.
        return match core.catalog.create_user(name, String::new(), false).await {
            Err(CatalogError::UserExists) => Err(WireError::user_exists(name)),
            Err(error) => Ok(Err(error)),
            Ok(_) => alter_user(core, name, options).await,
        };
    }
    let hash = hash(core, options.password.as_deref()).await?;
    let created = core.catalog.create_user(name, hash, options.is_admin.unwrap_or(false)).await;
    match (created, options.comment) {
        (Ok(_), Some(comment)) => Ok(set_comment(core, name, comment).await),
        (Err(CatalogError::UserExists), _) => Err(WireError::user_exists(name)),
        (created, _) => Ok(created.map(|_| ())),
    }
}

async fn set_comment(core: &Core, name: &str, comment: String) -> Done {
    let change = move |_: &_, user: &mut User| {
        user.comment = Some(comment.clone());
        Ok(())
    };
    core.catalog.change_user(name, change).await.map(|_| ())
}

async fn alter_user(core: &Core, name: &str, options: UserOptions) -> Result<Done, WireError> {
    let hash = match &options.password {
        Some(password) => Some(hash(core, Some(password)).await?),
        None => None,
    };
    let change = move |_: &_, user: &mut User| {
        if let Some(hash) = &hash {
            user.password_hash.clone_from(hash);
            user.must_change_password = false;
        }
        user.must_change_password = options.must_change_password.unwrap_or(user.must_change_password);
        user.is_admin = options.is_admin.unwrap_or(user.is_admin);
        user.comment = options.comment.clone().or(user.comment.take());
        Ok(())
    };
    match core.catalog.change_user(name, change).await {
        Err(CatalogError::UserNotFound) => Err(WireError::user_not_found(name)),
        done => Ok(done.map(|_| ())),
    }
}

/// The hash that is kept of a password. Without one it is a text that no password has: nobody gets in until one is set.
async fn hash(core: &Core, password: Option<&str>) -> Result<String, WireError> {
    let Some(password) = password else { return Ok(String::new()) };
    let hash = core.auth.hash(password).await;
    hash.map_err(|error| WireError::new(crate::model::Kind::Overloaded, error.to_string()))
}

async fn set_role(core: &Core, tenant: &str, user: &str, role: Option<String>) -> Result<Done, WireError> {
    let of = tenant.to_string();
    let change = move |state: &crate::catalog::CatalogState, user: &mut User| {
        if state.tenant(&of).is_none() {
            return Err(CatalogError::TenantNotFound { tenant: of.clone() });
        }
        if let Some(role) = &role
            && Base::named(role).is_none()
            && state.role(&of, role).is_none()
        {
            return Err(CatalogError::RoleNotFound { role: role.clone() });
        }
        user.set_role_in(&of, role.clone());
        Ok(())
    };
    match core.catalog.change_user(user, change).await {
        Err(CatalogError::UserNotFound) => Err(WireError::user_not_found(user)),
        done => Ok(done.map(|_| ())),
    }
}

async fn change_right(
    core: &Core,
    tenant: &str,
    role: &str,
    database: &str,
    next: impl Fn(Privilege) -> Privilege + Send + 'static,
) -> Done {
    let (of, database) = (tenant.to_string(), database.to_string());
    let change = move |state: &crate::catalog::CatalogState, role: &mut Role| {
        if state.database(&of, &database).is_none() {
            return Err(CatalogError::DatabaseNotFound { database: database.clone() });
        }
        let had = role.privileges.get(&database).copied().unwrap_or(Privilege::None);
        role.privileges.insert(database.clone(), next(had));
        Ok(())
    };
    core.catalog.change_role(tenant, role, change).await.map(|_| ())
}

/// Writing includes reading there.
fn with(had: Privilege, given: Right) -> Privilege {
    match (had, given) {
        (_, Right::All) | (Privilege::All, _) => Privilege::All,
        (_, Right::Write) | (Privilege::Write, _) => Privilege::Write,
        (Privilege::Read | Privilege::None, Right::Read) => Privilege::Read,
    }
}

fn without(had: Privilege, taken: Right) -> Privilege {
    match (had, taken) {
        (_, Right::All | Right::Read) => Privilege::None,
        (Privilege::All | Privilege::Write, Right::Write) => Privilege::Read,
        (had, Right::Write) => had,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_a_role_include_each_other() {
        use Privilege::{All, None, Read, Write};
        for (had, right, given, taken) in [
            (None, Right::Read, Read, None),
            (None, Right::Write, Write, None),
            (Read, Right::Write, Write, Read),
            (Write, Right::Read, Write, None),
            (Write, Right::Write, Write, Read),
            (Write, Right::All, All, None),
            (Read, Right::Read, Read, None),
            (All, Right::Read, All, None),
            (All, Right::Write, All, Read),
            (All, Right::All, All, None),
        ] {
            assert_eq!((with(had, right), without(had, right)), (given, taken), "{had:?} {right:?}");
        }
    }
}
