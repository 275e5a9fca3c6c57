//! Who asks, by `Authorization: Basic`, and what he may do. While authentication is off the header may be missing, but not be
//! nonsense.

use actix_web::http::header::{self, HeaderMap};

use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::auth::{self, Login, Principal};

use super::error::{Code, WireError};

/// On whose behalf a request is.
pub(super) async fn principal(core: &Core, headers: &HeaderMap) -> Result<Principal, WireError> {
    let login = read(headers)?;
    if !core.auth.is_on() {
        return Ok(Principal::Anyone);
    }
    let login = login.ok_or_else(WireError::authorization_missing)?;
    let found = core.auth.login(&core.catalog.state(), &login).await;
    found.map_err(|error| match error.kind() {
        Kind::Overloaded => WireError::new(Kind::Overloaded, error.to_string()),
        _ => WireError::access_denied(&login.name),
    })
}

/// Refuses who may not write into `database`.
pub(super) fn may_write(principal: &Principal, tenant: &str, database: &str) -> Result<(), WireError> {
    match principal.may_write_in(tenant, database) {
        true => Ok(()),
        false => Err(privileges(&format!("Write on database {database} of tenant {tenant}"))),
    }
}

/// A query reads what the one who asks may not read.
pub(super) fn unreadable(tenant: &str, database: &str) -> WireError {
    privileges(&format!("Read on database {database} of tenant {tenant}"))
}

/// Refuses who may not change the databases of `tenant`.
pub(super) fn owns(principal: &Principal, tenant: &str) -> Result<(), WireError> {
    if principal.owns(tenant) { Ok(()) } else { Err(privileges(&format!("Full on tenant {tenant}"))) }
}

/// Refuses who has no right to anything in `tenant`.
pub(super) fn belongs(principal: &Principal, tenant: &str) -> Result<(), WireError> {
    if principal.belongs(tenant) { Ok(()) } else { Err(privileges(&format!("Read on tenant {tenant}"))) }
}

/// Refuses what is about a tenant that is not there. To be asked for whoever may know.
pub(super) fn exists(core: &Core, tenant: &str) -> Result<(), WireError> {
    match core.catalog.state().tenant(tenant) {
        Some(_) => Ok(()),
        None => Err(WireError::tenant_not_found(tenant)),
    }
}

/// Refuses who may not change tenants, users and roles.
pub(super) fn administers(principal: &Principal) -> Result<(), WireError> {
    if principal.is_admin() { Ok(()) } else { Err(privileges("Maintainer for system")) }
}

/// A right is missing.
pub(super) fn privileges(what: &str) -> WireError {
    WireError::coded(Code::Privileges, format_args!("[{what}]"))
}

/// The login of the header; `None` when there is no header. Anything but a well-formed `Basic user:password` is refused.
fn read(headers: &HeaderMap) -> Result<Option<Login>, WireError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    match auth::basic(headers) {
        Some(login) => Ok(Some(login)),
        None => {
            let scheme = value.to_str().unwrap_or_default().split(' ').next().unwrap_or_default();
            let why =
                if scheme.eq_ignore_ascii_case("basic") { "no user and password" } else { "only Basic is supported" };
            Err(WireError::coded(Code::BasicAuth, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_well_formed_basic_passes() {
        assert!(read(&HeaderMap::new()).unwrap().is_none());
        for (value, fine) in [
            ("Basic cm9vdDo=", true),
            ("basic cm9vdDo=", true),
            ("Basic cm9vdA==", false),
            ("Basic !", false),
            ("Bearer x", false),
            ("Basic", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(read(&headers).is_ok(), fine, "{value}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = may_write(&Principal::Nobody, "cnosdb", "d").unwrap_err();
        let expected = "Insufficient privileges, expected [Write on database d of tenant cnosdb]";
        assert_eq!((error.code(), error.to_string().contains(expected)), (Code::Privileges, true), "{error}");
        assert!(may_write(&Principal::Anyone, "cnosdb", "d").is_ok());
    }
}
