//! Bearer tokens: JSON Web Tokens that somebody who shares our secret signed with it (RFC 7519; HMAC with SHA-256, SHA-384 or SHA-512).
//!
//! Complaints are those of the library that InfluxDB reads them with, because clients see them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::hmac::{self, Function};

/// Why a token lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("token contains an invalid number of segments")]
    Segments,
    #[error("illegal base64 data in the token")]
    Base64,
    #[error("the token is not JSON")]
    Json,
    #[error("unexpected signing method: {0}")]
    Method(String),
    #[error("signature is invalid")]
    Signature,
    #[error("Token is expired")]
    Expired,
    #[error("Token is not valid yet")]
    NotYet,
    #[error("token expiration required")]
    NoExpiry,
    #[error("username in token must be a string")]
    NoUser,
    #[error("token must contain a username")]
    EmptyUser,
    #[error("user not found")]
    UnknownUser,
    /// There is no secret that tokens could be signed with.
    #[error("bearer auth disabled")]
    Disabled,
}

/// The user's name in a token that is signed with `secret` and valid at `now_secs` (seconds since 1970): claims `username` and
/// `exp`, and `nbf` if it is there.
pub(super) fn user_name(token: &str, secret: &[u8], now_secs: i64) -> Result<String, TokenError> {
    let segments: Vec<&str> = token.splitn(4, '.').collect();
    let [head, claims, signature] = segments[..] else { return Err(TokenError::Segments) };
    let (header, payload) = (json(head)?, json(claims)?);
    let function = match header["alg"].as_str().unwrap_or_default() {
        "HS256" => Function::Sha256,
        "HS384" => Function::Sha384,
        "HS512" => Function::Sha512,
        other => return Err(TokenError::Method(other.to_string())),
    };
    let signature = bytes(signature)?;
    if !hmac::verify(function, secret, &[head.as_bytes(), b".", claims.as_bytes()], &signature) {
        return Err(TokenError::Signature);
    }
    let instant = |claim: &str| payload[claim].as_f64();
    if instant("exp").is_some_and(|expiry| expiry > 0.0 && now_secs as f64 > expiry) {
        return Err(TokenError::Expired);
    }
    if instant("nbf").is_some_and(|start| (now_secs as f64) < start) {
        return Err(TokenError::NotYet);
    }
    if !instant("exp").is_some_and(|expiry| expiry > 0.0) {
        return Err(TokenError::NoExpiry);
    }
    match payload["username"].as_str() {
        None => Err(TokenError::NoUser),
        Some("") => Err(TokenError::EmptyUser),
        Some(name) => Ok(name.to_string()),
    }
}

fn bytes(segment: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(segment.trim_end_matches('=')).map_err(|_| TokenError::Base64)
}

fn json(segment: &str) -> Result<Value, TokenError> {
    serde_json::from_slice(&bytes(segment)?).map_err(|_| TokenError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    fn token(head: &str, claims: &str, secret: &[u8]) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let function = if head.contains("384") { Function::Sha384 } else { Function::Sha256 };
        let signature = hmac::tag(function, secret, &[text.as_bytes()]);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_token_names_its_user_if_it_is_ours_and_valid() {
        for (head, claims, secret, expected) in [
            (HEAD, r#"{"username":"ann","exp":200}"#, "s", Ok("ann")),
            (r#"{"alg":"HS384"}"#, r#"{"username":"ann","exp":200,"nbf":100}"#, "s", Ok("ann")),
            (HEAD, r#"{"username":"ann","exp":200}"#, "other", Err(TokenError::Signature)),
            (HEAD, r#"{"username":"ann","exp":99}"#, "s", Err(TokenError::Expired)),
            (HEAD, r#"{"username":"ann","exp":99}"#, "other", Err(TokenError::Signature)),
            (HEAD, r#"{"username":"ann"}"#, "s", Err(TokenError::NoExpiry)),
            (HEAD, r#"{"username":"ann","exp":"200"}"#, "s", Err(TokenError::NoExpiry)),
            (HEAD, r#"{"username":7,"exp":200}"#, "s", Err(TokenError::NoUser)),
            (HEAD, r#"{"username":"","exp":200}"#, "s", Err(TokenError::EmptyUser)),
            (HEAD, r#"{"username":"ann","exp":200,"nbf":150}"#, "s", Err(TokenError::NotYet)),
            (r#"{"alg":"none"}"#, r#"{"username":"ann","exp":200}"#, "s", Err(TokenError::Method("none".into()))),
            (HEAD, "7", "s", Err(TokenError::NoExpiry)),
            (HEAD, "{", "s", Err(TokenError::Json)),
        ] {
            let found = user_name(&token(head, claims, secret.as_bytes()), b"s", 100);
            assert_eq!(found.as_deref().map_err(Clone::clone), expected, "{head} {claims}");
        }
    }

    #[test]
    fn what_is_no_token_is_told() {
        for (text, expected) in [
            ("abc", TokenError::Segments),
            ("a.b", TokenError::Segments),
            ("e30.e30.x.y", TokenError::Segments),
            ("!.e30.x", TokenError::Base64),
            ("e30.e30.", TokenError::Method(String::new())),
        ] {
            assert_eq!(user_name(text, b"s", 0), Err(expected), "{text}");
        }
        // A signature that was left out.
        let whole = token(HEAD, r#"{"username":"ann","exp":200}"#, b"s");
        let (unsigned, _) = whole.rsplit_once('.').unwrap();
        assert_eq!(user_name(&format!("{unsigned}."), b"s", 100), Err(TokenError::Signature));
    }
}
