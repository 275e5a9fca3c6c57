//! What a request says about who sent it, and whether that is true.
//!
//! Spec: InfluxDB 1.8 HTTP API, authentication: `u` and `p` in the URL, else the `Authorization` header with `Basic`, `Bearer` or
//! `Token`.

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::auth::{self, AuthError, Login, Principal};
use crate::protocol::params::Params;

use super::error::WireError;

/// Whose manners a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// `Token` is not understood.
    V1,
    /// `Token` stands before `user:password`.
    V2,
    /// `Token` and `Bearer` both stand before either a login or a signed token.
    V3,
}

enum Credentials {
    Login(Login),
    Bearer(String),
}

/// On whose behalf a request is. While authentication is off credentials are not looked at; while there is no administrator
/// nobody can have any.
pub(super) async fn principal(
    core: &Core,
    request: &HttpRequest,
    params: &Params,
    door: Door,
) -> Result<Principal, WireError> {
    if !core.auth.is_on() {
        return Ok(Principal::Anyone);
    }
    let state = core.catalog.state();
    if !core.auth.has_administrator(&state) {
        return Ok(Principal::Nobody);
    }
    let found = match read(request, params, door).ok_or_else(unreadable)? {
        Credentials::Login(login) if login.name.is_empty() => {
            return Err(WireError::new(Kind::Unauthenticated, "username required"));
        }
        Credentials::Login(login) => core.auth.login(&state, &login).await,
        Credentials::Bearer(token) => core.auth.bearer(&state, &token, (core.ingest.clock)()),
    };
    found.map_err(|error| match error {
        AuthError::Denied => WireError::new(Kind::Unauthenticated, "authorization failed"),
        error => WireError::new(error.kind(), error.to_string()),
    })
}

/// There are no credentials, or none that can be understood.
pub(super) fn unreadable() -> WireError {
    WireError::new(Kind::Unauthenticated, "unable to parse authentication credentials")
}

fn read(request: &HttpRequest, params: &Params, door: Door) -> Option<Credentials> {
    let (name, password) = (params.text("u"), params.text("p"));
    if !name.is_empty() && !password.is_empty() {
        return Some(Credentials::Login(Login { name: name.to_string(), password: password.to_string() }));
    }
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    match header.split_once(' ') {
        Some((scheme, rest)) if !rest.contains(' ') => match (scheme, door) {
            ("Bearer", Door::V1 | Door::V2) => Some(Credentials::Bearer(rest.to_string())),
            ("Token", Door::V2) => Login::parse(rest).map(Credentials::Login),
            ("Token" | "Bearer", Door::V3) => {
                let login = Login::parse(rest).map(Credentials::Login);
                Some(login.unwrap_or_else(|| Credentials::Bearer(rest.to_string())))
            }
            _ => auth::basic(request.headers()).map(Credentials::Login),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(door: Door, header: &str, query: &str, expected: &str) {
        let mut request = TestRequest::default();
        if !header.is_empty() {
            request = request.insert_header((header::AUTHORIZATION, header));
        }
        let found = match read(&request.to_http_request(), &Params::parse(query), door) {
            None => "nothing".to_string(),
            Some(Credentials::Login(login)) => format!("{} with {}", login.name, login.password),
            Some(Credentials::Bearer(token)) => format!("token {token}"),
        };
        assert_eq!(found, expected, "{door:?} {header} {query}");
    }

    #[test]
    fn the_url_is_looked_at_before_the_header() {
        const BASIC: &str = "Basic YW5uOmE=";
        check(Door::V1, BASIC, "", "ann with a");
        check(Door::V1, BASIC, "u=bob&p=b", "bob with b");
        check(Door::V1, BASIC, "u=bob", "ann with a");
        check(Door::V1, BASIC, "u=bob&p=", "ann with a");
        check(Door::V1, "", "u=bob", "nothing");
        check(Door::V1, "", "", "nothing");
    }

    #[test]
    fn each_door_has_its_schemes() {
        check(Door::V1, "Bearer a.b.c", "", "token a.b.c");
        check(Door::V1, "Bearer", "", "nothing");
        check(Door::V1, "Bearer a b", "", "nothing");
        check(Door::V1, "Digest abc", "", "nothing");
        check(Door::V1, "Token ann:a", "", "nothing");
        check(Door::V2, "Token ann:a:b", "", "ann with a:b");
        check(Door::V2, "Token abc", "", "nothing");
        check(Door::V3, "Bearer ann:a", "", "ann with a");
        check(Door::V3, "Bearer a.b.c", "", "token a.b.c");
        check(Door::V3, "Token a.b.c", "", "token a.b.c");
        check(Door::V3, "Basic YW5uOmE=", "", "ann with a");
    }
}
