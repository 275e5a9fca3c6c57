//! The `Authorization` header while authentication is off: it may be missing, but not be nonsense.

use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{Code, WireError};

/// Accepts no header and any well-formed `Basic user:password`.
pub(super) fn check(headers: &HeaderMap) -> Result<(), WireError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(()) };
    let refuse = |why: &str| WireError::coded(Code::BasicAuth, why);
    let value = value.to_str().map_err(|_| refuse("not text"))?;
    let (scheme, credentials) = value.split_once(' ').ok_or_else(|| refuse("no credentials"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refuse("only Basic is supported"));
    }
    let plain = STANDARD.decode(credentials.trim()).map_err(|_| refuse("not base64"))?;
    let plain = String::from_utf8(plain).map_err(|_| refuse("not UTF-8"))?;
    match plain.split_once(':') {
        Some(_) => Ok(()),
        None => Err(refuse("no password")),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_well_formed_basic_passes() {
        assert!(check(&HeaderMap::new()).is_ok());
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
            assert_eq!(check(&headers).is_ok(), fine, "{value}");
        }
    }
}
