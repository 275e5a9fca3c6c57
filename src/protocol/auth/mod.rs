//! Who asks: credentials in, a [`Principal`] out. One user store and one set of rules for every protocol.
//!
//! A door reads credentials in its own way and its own words; the ways that several share are here: [`basic`] headers, and the
//! [`tokens`] that somebody else signed. [`Authenticator`] says whether they are true, and the principal what he may do.
//! Whether a route needs credentials at all is told where it is registered ([`routes`](super::routes)).

mod hmac;
mod passwords;
mod principal;
pub mod tokens;
mod verify;

use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use passwords::HashError;
pub use principal::Principal;
pub use verify::{AuthError, Authenticator};

/// Name and password as they were sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub name: String,
    pub password: String,
}

impl Login {
    /// `name:password`. The name ends at the first colon.
    pub fn parse(text: &str) -> Option<Login> {
        let (name, password) = text.split_once(':')?;
        Some(Login { name: name.to_string(), password: password.to_string() })
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The login in a well-formed `Authorization: Basic` header (RFC 7617); the scheme's case does not matter.
pub fn basic(headers: &HeaderMap) -> Option<Login> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Login::parse(&String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_basic_header_holds_a_name_and_a_password() {
        for (value, expected) in [
            ("Basic cm9vdDphOmI=", Some(("root", "a:b"))),
            ("bASIC cm9vdDo=", Some(("root", ""))),
            ("Basic cm9vdA==", None),
            ("Basic !", None),
            ("Basic", None),
            ("Bearer cm9vdDo=", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            let found = basic(&headers);
            let found = found.as_ref().map(|login| (login.name.as_str(), login.password.as_str()));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Login::parse("ann:secret").unwrap()), r#"Login { name: "ann", .. }"#);
    }
}
