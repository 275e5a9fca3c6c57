//! CREATE and DROP USER, SET PASSWORD, GRANT, REVOKE.

use crate::catalog::CatalogError;
use crate::catalog::users::Privilege;
use crate::protocol::Core;
use crate::query::influxql::answer::{SeriesStream, StatementError};
use crate::query::influxql::user::{CreateUser, DropUser, Grant, Privilege as Asked, Revoke, SetPassword};

use super::{Request, done, refused};

type Answer = Result<SeriesStream, StatementError>;

/// The same name, password and role again is fine.
pub(super) async fn create(core: &Core, create: &CreateUser) -> Answer {
    if let Some(existing) = core.catalog.state().user(&create.name.0) {
        let same = existing.is_admin == create.admin
            && core.auth.is_right(&existing.password_hash, &create.password.0).await.map_err(busy)?;
        return if same { Ok(SeriesStream::empty()) } else { Err(refused(CatalogError::UserExists)) };
    }
    let hash = hash(core, &create.password.0).await?;
    done(core.catalog.create_user(&create.name.0, hash, create.admin).await)
}

pub(super) async fn drop(core: &Core, drop: &DropUser) -> Answer {
    done(core.catalog.drop_user(&drop.name.0).await)
}

pub(super) async fn set_password(core: &Core, set: &SetPassword) -> Answer {
    let hash = hash(core, &set.password.0).await?;
    let change = move |_: &_, user: &mut crate::catalog::users::User| {
        user.password_hash.clone_from(&hash);
        Ok(())
    };
    done(core.catalog.change_user(&set.name.0, change).await)
}

async fn hash(core: &Core, password: &str) -> Result<String, StatementError> {
    core.auth.hash(password).await.map_err(busy)
}

fn busy(error: impl ToString) -> StatementError {
    StatementError::Refused(error.to_string())
}

/// A right takes the place of the one before it. Without a database the user becomes an administrator.
pub(super) async fn grant(core: &Core, request: &Request, grant: &Grant) -> Answer {
    let Some(database) = &grant.database else { return set_admin(core, &grant.user.0, true).await };
    let given = stored(grant.privilege);
    set_privilege(core, request, &grant.user.0, &database.0, move |_| given).await
}

/// What is left of a right stays. Without a database the user is no administrator any more.
pub(super) async fn revoke(core: &Core, request: &Request, revoke: &Revoke) -> Answer {
    let Some(database) = &revoke.database else { return set_admin(core, &revoke.user.0, false).await };
    let taken = stored(revoke.privilege);
    set_privilege(core, request, &revoke.user.0, &database.0, move |had| without(had, taken)).await
}

fn stored(privilege: Asked) -> Privilege {
    match privilege {
        Asked::Read => Privilege::Read,
        Asked::Write => Privilege::Write,
        Asked::All => Privilege::All,
    }
}

fn without(had: Privilege, taken: Privilege) -> Privilege {
    match (had, taken) {
        (Privilege::All, Privilege::Read) => Privilege::Write,
        (Privilege::All, Privilege::Write) => Privilege::Read,
        (had, taken) if taken == Privilege::All || had == taken => Privilege::None,
        (had, _) => had,
    }
}

async fn set_admin(core: &Core, user: &str, is_admin: bool) -> Answer {
    let change = move |_: &_, user: &mut crate::catalog::users::User| {
        user.is_admin = is_admin;
        Ok(())
    };
    done(core.catalog.change_user(user, change).await)
}

async fn set_privilege(
    core: &Core,
    request: &Request,
    user: &str,
    database: &str,
    next: impl Fn(Privilege) -> Privilege + Send + 'static,
) -> Answer {
    let (tenant, database) = (request.tenant, database.to_string());
    let change = move |state: &crate::catalog::CatalogState, user: &mut crate::catalog::users::User| {
        if state.database(tenant, &database).is_none() {
            return Err(CatalogError::DatabaseNotFound { database: database.clone() });
        }
        let had = user.privileges.get(&database).copied().unwrap_or(Privilege::None);
        user.privileges.insert(database.clone(), next(had));
        Ok(())
    };
    done(core.catalog.change_user(user, change).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_right_stays() {
        use Privilege::{All, None, Read, Write};
        for (had, taken, left) in [
            (All, Read, Write),
            (All, Write, Read),
            (All, All, None),
            (Read, Read, None),
            (Read, All, None),
            (Write, Read, Write),
            (Read, Write, Read),
            (None, Read, None),
        ] {
            assert_eq!(without(had, taken), left, "{had:?} without {taken:?}");
        }
    }
}
