//! Answers: their type, packing, and the wrapping that JSONP asks for.

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde::Serialize;

use crate::protocol::encoding::{Compressor, Encoding};

use super::cors::Origin;
use super::error::WireError;
use super::request::answer_encoding;
use super::{Door, legacy};

/// The type of every answer of the API, empty ones too.
pub(super) const JSON: &str = "application/json; charset=UTF-8";
/// Smaller answers are not packed.
const PACKED_BYTES_MIN: usize = 256;

/// In what a path speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Below `/api`.
    Api,
    /// The 1.x paths. `json`: the request has that flag.
    Legacy { json: bool },
}

/// An answer of the API.
pub(super) fn json(value: &impl Serialize) -> HttpResponse {
    json_with(StatusCode::OK, value)
}

pub(super) fn json_with(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => HttpResponse::build(status).content_type(JSON).body(body),
        Err(error) => failed(&WireError::bad_json(&error), false),
    }
}

/// 204, which carries a type all the same.
pub(super) fn no_content() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::CONTENT_TYPE, JSON)).finish()
}

fn failed(error: &WireError, with_trace: bool) -> HttpResponse {
    let mut response = HttpResponse::build(error.status());
    if let Some(seconds) = error.retry_after_seconds() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    if error.is_bare() {
        return response.force_close().finish();
    }
    response.content_type(JSON).body(error.body(with_trace))
}

/// What is sent: errors in the path's form, JSONP, packing, and the headers for browsers.
pub(super) fn finish(
    request: &HttpRequest,
    door: &Door,
    form: Form,
    origin: &Origin,
    answer: Result<HttpResponse, WireError>,
) -> HttpResponse {
    let mut response = match (answer, form) {
        (Ok(response), _) => response,
        (Err(error), Form::Legacy { json }) if !error.is_bare() => legacy::failed(&error, json),
        (Err(error), _) => failed(&error, door.options.show_stack_trace),
    };
    origin.stamp(response.headers_mut());
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tidegate\""));
    }
    let function = if form == Form::Api { jsonp(request) } else { None };
    let encoding = answer_encoding(request);
    if function.is_none() && encoding == Encoding::Identity {
        return response;
    }
    let (head, body) = response.into_parts();
    let (mut head, body) = match body.try_into_bytes() {
        Ok(whole) => (head, whole),
        // Made piece by piece: whoever makes it wraps and packs it.
        Err(pieces) => return head.set_body(pieces),
    };
    if body.is_empty() {
        return head.set_body(body).map_into_boxed_body();
    }
    let body = match function {
        Some(function) => Bytes::from([function.as_bytes(), b"(", &body, b")"].concat()),
        None => body,
    };
    if encoding == Encoding::Identity || body.len() < PACKED_BYTES_MIN {
        return head.set_body(body).map_into_boxed_body();
    }
    head.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    head.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let mut packer = Compressor::new(encoding);
    let packed = [packer.write(body), packer.finish()].concat();
    head.set_body(packed).map_into_boxed_body()
}

/// The function that a GET wants its answer wrapped in.
pub(super) fn jsonp(request: &HttpRequest) -> Option<String> {
    let is_get = request.method() == actix_web::http::Method::GET;
    let function = super::request::Params::parse(request.query_string()).get("jsonp").map(str::to_string);
    function.filter(|function| is_get && !function.is_empty())
}
