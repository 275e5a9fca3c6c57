//! What the 1.x paths have of their own: plain types, and errors as pages or `{"err":…}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::error::WireError;

pub(super) const HTML: &str = "text/html; charset=UTF-8";

/// JSON as the 1.x paths type it.
pub(super) fn json_answer(value: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => HttpResponse::Ok().content_type("application/json").body(body),
        Err(error) => failed(&WireError::bad_json(&error), true),
    }
}

pub(super) fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body(body)
}

pub(super) fn failed(error: &WireError, as_json: bool) -> HttpResponse {
    let mut response = HttpResponse::build(error.status());
    let (title, message) = match error.status() {
        StatusCode::NOT_FOUND => ("Page Not Found", "Page Not Found"),
        status if status.is_server_error() => ("Internal Server Error", error.message()),
        _ => ("Bad Request", error.message()),
    };
    if as_json {
        return response.content_type("application/json").body(json!({ "err": message }).to_string());
    }
    let message = escaped(message);
    response.content_type(HTML).body(format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><blockquote>{message}</blockquote></body></html>\n"
    ))
}

/// Text that a page shows as it is.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
