//! Errors as this protocol says them: `{"code", "desc"}`, normally under 200.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::ingest::IngestError;
use crate::model::{Classify, Kind};
use crate::protocol::body::BodyError;
use crate::protocol::streaming::Gone;
use crate::query::tdsql::TdError;

/// The code of errors that only have a text.
pub(super) const FREE_TEXT: u16 = 0xFFFF;

/// What a client is told instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct WireError {
    pub status: StatusCode,
    pub code: u16,
    pub text: String,
}

impl WireError {
    pub(super) fn new(status: StatusCode, code: u16, text: impl Into<String>) -> WireError {
        WireError { status, code, text: text.into() }
    }

    /// A parameter of the request that is wrong.
    pub(super) fn parameter(text: impl Into<String>) -> WireError {
        WireError::new(StatusCode::BAD_REQUEST, FREE_TEXT, text)
    }

    pub(super) fn unauthorized(code: u16, text: &str) -> WireError {
        WireError::new(StatusCode::UNAUTHORIZED, code, text)
    }

    pub(super) fn starting() -> WireError {
        WireError::new(StatusCode::SERVICE_UNAVAILABLE, 0x000B, "starting, try again later")
    }

    /// A statement that failed. `by_status`: whether the status says so too.
    pub(super) fn of_statement(error: &TdError, by_status: bool) -> WireError {
        let code = error.code();
        log(error, error.kind());
        WireError { status: status_of(code, error.kind(), by_status), code, text: error.to_string() }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let body = json!({"code": self.code, "desc": self.text});
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header(("Retry-After", "1"));
        }
        response.content_type("application/json; charset=utf-8").body(body.to_string())
    }
}

/// taosAdapter's table, where `httpCodeServerError` is on; else everything is 200 but what asks for another try.
fn status_of(code: u16, kind: Kind, by_status: bool) -> StatusCode {
    if kind == Kind::Overloaded {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if !by_status {
        return StatusCode::OK;
    }
    match code {
        0x0216 | 0x021B | 0x2600 | 0x060B | 0x0224 | 0x263B => StatusCode::BAD_REQUEST,
        0x0350..=0x0357 => StatusCode::UNAUTHORIZED,
        0x000B => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Faults of ours, once, where the request ends.
fn log(error: &dyn std::error::Error, kind: Kind) {
    match kind {
        Kind::Internal | Kind::Unavailable => tracing::warn!(%error, "a statement failed"),
        Kind::Invalid
        | Kind::NotFound
        | Kind::AlreadyExists
        | Kind::Conflict
        | Kind::TooLarge
        | Kind::Unsupported
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::Overloaded
        | Kind::Timeout => {}
    }
}

impl From<Gone> for WireError {
    fn from(_: Gone) -> Self {
        WireError::new(StatusCode::OK, 0x0129, "timeout")
    }
}

impl From<BodyError> for WireError {
    fn from(error: BodyError) -> Self {
        WireError::new(StatusCode::BAD_REQUEST, 0x1121, format!("invalid content length: {error}"))
    }
}

/// A write that was not taken, as the statement's error.
pub(super) fn of_write(error: IngestError) -> TdError {
    match error {
        IngestError::Catalog(error) => error.into(),
        other => TdError::Other { kind: other.kind(), text: other.to_string() },
    }
}
