//! Who asks, by `Authorization: Basic`, and what he may do with the database that metrics are in. OpenTSDB's own server knows nobody; with
//! authentication on, every end point asks.

use actix_web::HttpRequest;

use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::auth::{self, Principal};

use super::error::WireError;
use super::request::{Params, effective};
use super::verb::Verb;

/// What an end point does with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// Nothing: it tells what the gateway is.
    Known,
    Read,
    Write,
    /// It tells what others did.
    Administer,
}

/// Who asks. Refuses who is not let in, or may not do what this end point does. While authentication is off nobody is refused.
pub(super) async fn check(
    core: &Core,
    request: &HttpRequest,
    verb: Verb,
    endpoint: &str,
    database: &str,
) -> Result<Principal, WireError> {
    if !core.auth.is_on() {
        return Ok(Principal::Anyone);
    }
    let unknown = || WireError::new(Kind::Unauthenticated, "Authentication required");
    let login = auth::basic(request.headers()).ok_or_else(unknown)?;
    let principal = core.auth.login(&core.catalog.state(), &login).await.map_err(|error| match error.kind() {
        Kind::Overloaded => WireError::new(Kind::Overloaded, error.to_string()),
        _ => unknown(),
    })?;
    let is_allowed = match asked_for(endpoint, verb, &Params::parse(request.query_string())) {
        Right::Known => principal != Principal::Nobody,
        Right::Read => principal.may_read(database),
        Right::Write => principal.may_write(database),
        Right::Administer => principal.is_admin(),
    };
    if is_allowed { Ok(principal) } else { Err(WireError::new(Kind::Forbidden, "No right to do this")) }
}

/// What a request needs. An override that cannot be is refused by who takes overrides, and passed over by the others.
fn asked_for(endpoint: &str, verb: Verb, params: &Params) -> Right {
    needed(endpoint, effective(verb, params).unwrap_or(verb))
}

/// End points that are not named here write.
fn needed(endpoint: &str, verb: Verb) -> Right {
    match (endpoint, verb) {
        ("logs", _) => Right::Administer,
        ("aggregators" | "config" | "serializers" | "stats" | "status" | "version", _) => Right::Known,
        (_, Verb::Delete) => Right::Write,
        ("query" | "q" | "search" | "suggest", _) => Right::Read,
        ("put" | "dropcaches" | "uid", _) => Right::Write,
        (_, Verb::Get) => Right::Read,
        _ => Right::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_something_needs_the_right_to_write() {
        for (endpoint, verb, expected) in [
            ("version", Verb::Post, Right::Known),
            ("logs", Verb::Get, Right::Administer),
            ("logs", Verb::Post, Right::Administer),
            ("query", Verb::Post, Right::Read),
            ("query", Verb::Delete, Right::Write),
            ("q", Verb::Get, Right::Read),
            ("put", Verb::Post, Right::Write),
            ("put", Verb::Get, Right::Write),
            ("dropcaches", Verb::Get, Right::Write),
            ("uid", Verb::Get, Right::Write),
            ("uid", Verb::Post, Right::Write),
            ("annotation", Verb::Put, Right::Write),
        ] {
            assert_eq!(needed(endpoint, verb), expected, "{endpoint} {verb}");
        }
    }

    #[test]
    fn an_override_counts_where_it_is_followed() {
        for (endpoint, verb, query, expected) in [
            ("annotation", Verb::Get, "method_override=post", Right::Write),
            ("annotation", Verb::Get, "method_override=bogus", Right::Read),
            ("query", Verb::Get, "method_override=DELETE", Right::Write),
            // The verb of any other request stays what it is.
            ("annotation", Verb::Post, "method_override=GET", Right::Write),
            ("annotation", Verb::Delete, "method_override=GET", Right::Write),
            ("query", Verb::Delete, "method_override=GET", Right::Write),
        ] {
            assert_eq!(asked_for(endpoint, verb, &Params::parse(query)), expected, "{endpoint} {verb} {query}");
        }
    }
}
