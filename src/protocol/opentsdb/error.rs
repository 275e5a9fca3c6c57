//! The only place this protocol turns our errors into its words: a status and `{"error":{"code","message","details"?,"trace"?}}`.
//! Paths of the 1.x forms say the same message in a page or in `{"err":…}`, see `legacy`.
//!
//! Spec: OpenTSDB HTTP API, errors.

use std::fmt;

use actix_web::http::StatusCode;
use serde_json::json;

use crate::catalog::CatalogError;
use crate::ingest::IngestError;
use crate::model::{Classify, Kind};
use crate::protocol::body::BodyError;
use crate::query::QueryError;

use super::verb::Verb;

/// An error as OpenTSDB says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    status: StatusCode,
    message: String,
    details: Option<String>,
    /// What led to it, one cause a line; shown only when the settings say so.
    trace: Option<String>,
    retry_after_seconds: Option<u32>,
    /// An answer without a body, after which the connection is closed.
    is_bare: bool,
}

impl WireError {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (status, retry_after_seconds) = match kind {
            Kind::Invalid | Kind::Conflict | Kind::AlreadyExists => (StatusCode::BAD_REQUEST, None),
            Kind::NotFound => (StatusCode::NOT_FOUND, None),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Kind::Unsupported => (StatusCode::NOT_IMPLEMENTED, None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
            Kind::Forbidden => (StatusCode::FORBIDDEN, None),
            Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Kind::Timeout => (StatusCode::REQUEST_TIMEOUT, None),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        WireError { status, message: message.into(), details: None, trace: None, retry_after_seconds, is_bare: false }
    }

    /// For the errors whose status OpenTSDB does not choose by their meaning.
    pub fn with_status(status: StatusCode, message: impl Into<String>) -> Self {
        WireError { status, ..WireError::new(Kind::Internal, message) }
    }

    /// What most wrong requests get.
    pub fn bad_request(message: impl Into<String>) -> Self {
        WireError::new(Kind::Invalid, message)
    }

    pub fn details(self, details: impl Into<String>) -> Self {
        WireError { details: Some(details.into()), ..self }
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        WireError::bad_request(format!("Missing parameter <code>{name}</code>"))
    }

    pub(super) fn not_found() -> Self {
        WireError::new(Kind::NotFound, "Endpoint not found")
    }

    pub(super) fn verb_not_permitted(verb: Verb) -> Self {
        let details = format!("The HTTP method [{verb}] is not permitted for this endpoint");
        WireError::with_status(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed").details(details)
    }

    pub(super) fn options_not_permitted() -> Self {
        WireError::with_status(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
            .details("The HTTP method [OPTIONS] is not permitted")
    }

    /// A verb that the server does not know at all.
    pub(super) fn unknown_verb() -> Self {
        WireError { is_bare: true, ..WireError::with_status(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed") }
    }

    /// The request's text is not the JSON that was expected.
    pub(super) fn bad_json(error: &serde_json::Error) -> Self {
        WireError::bad_request("Unable to parse the given JSON").details(error.to_string())
    }

    fn caused_by(self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut trace = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            trace.push_str("\nCaused by: ");
            trace.push_str(&error.to_string());
            cause = error.source();
        }
        WireError { trace: Some(trace), ..self }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn is_bare(&self) -> bool {
        self.is_bare
    }

    pub(super) fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// The error object.
    pub fn body(&self, with_trace: bool) -> String {
        let mut error = json!({ "code": self.status.as_u16(), "message": self.message });
        if let Some(details) = self.details.as_deref().filter(|details| !details.is_empty()) {
            error["details"] = details.into();
        }
        if with_trace {
            error["trace"] = self.trace.as_deref().unwrap_or(&self.message).into();
        }
        json!({ "error": error }).to_string()
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WireError {}

impl From<BodyError> for WireError {
    fn from(error: BodyError) -> Self {
        let answer = match &error {
            BodyError::TooLarge { .. } | BodyError::TimedOut { .. } => WireError::new(error.kind(), error.to_string()),
            BodyError::UnknownEncoding(_) | BodyError::Corrupt { .. } | BodyError::Disconnected(_) => {
                WireError::bad_request(error.to_string())
            }
        };
        answer.caused_by(&error)
    }
}

impl From<IngestError> for WireError {
    fn from(error: IngestError) -> Self {
        WireError::new(error.kind(), error.to_string()).caused_by(&error)
    }
}

impl From<CatalogError> for WireError {
    fn from(error: CatalogError) -> Self {
        WireError::new(error.kind(), error.to_string()).caused_by(&error)
    }
}

impl From<QueryError> for WireError {
    fn from(error: QueryError) -> Self {
        WireError::new(error.kind(), error.to_string()).caused_by(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        for (kind, status) in [
            (Kind::Invalid, 400),
            (Kind::NotFound, 404),
            (Kind::AlreadyExists, 400),
            (Kind::Conflict, 400),
            (Kind::TooLarge, 413),
            (Kind::Unsupported, 501),
            (Kind::Unauthenticated, 401),
            (Kind::Forbidden, 403),
            (Kind::Overloaded, 503),
            (Kind::Timeout, 408),
            (Kind::Unavailable, 503),
            (Kind::Internal, 500),
        ] {
            assert_eq!(WireError::new(kind, "words").status().as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn members_that_are_empty_are_left_out() {
        let error = WireError::bad_request("a \"b\"");
        assert_eq!(error.body(false), r#"{"error":{"code":400,"message":"a \"b\""}}"#);
        assert_eq!(error.clone().details("").body(false), error.body(false));
        let detailed = error.details("more");
        assert_eq!(detailed.body(false), r#"{"error":{"code":400,"details":"more","message":"a \"b\""}}"#);
    }

    #[test]
    fn causes_are_shown_on_demand() {
        let error = WireError::from(IngestError::Catalog(CatalogError::ReadOnly));
        assert!(!error.body(false).contains("trace"));
        assert!(error.body(true).contains(r#""trace":"this gateway only reads"#), "{}", error.body(true));
    }
}
