//! Which bodies are taken for JSON.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;

use super::error::WireError;

/// Refuses the binary forms that Elasticsearch knows beside JSON. Everything else is read as JSON, also what says that it is
/// plain text or nothing at all.
pub(super) fn check(content_type: Option<&HeaderValue>) -> Result<(), WireError> {
    let Some(content_type) = content_type else { return Ok(()) };
    let text = content_type.to_str().unwrap_or("not text");
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if ["smile", "cbor", "yaml"].iter().any(|form| essence.ends_with(form)) || text == "not text" {
        let reason = format!("Content-Type header [{text}] is not supported");
        return Err(WireError::named(StatusCode::NOT_ACCEPTABLE, "media_type_header_exception", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_binary_forms_are_refused() {
        for (text, expected) in [
            ("application/x-ndjson", true),
            ("application/vnd.elasticsearch+x-ndjson; compatible-with=8", true),
            ("text/plain", true),
            ("application/x-www-form-urlencoded", true),
            ("application/smile", false),
            ("application/vnd.elasticsearch+cbor;compatible-with=8", false),
            ("application/yaml", false),
        ] {
            assert_eq!(check(Some(&HeaderValue::from_static(text))).is_ok(), expected, "{text}");
        }
        assert!(check(None).is_ok());
    }
}
