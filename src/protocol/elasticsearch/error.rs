//! The only place this protocol turns our errors into its bytes:
//! `{"error":{"root_cause":[{"type","reason"}],"type","reason"},"status":N}`.
//!
//! Shippers act on the status: 429 and 5xx are sent again, 413 in smaller parts, other 4xx never. 409 means "stored before" to
//! them and is never said.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::json;

use crate::catalog::CatalogError;
use crate::ingest::IngestError;
use crate::model::{Classify, Kind};
use crate::protocol::body::BodyError;
use crate::protocol::format::documents::bulk::BulkError;
use crate::protocol::streaming::Gone;
use crate::query::QueryError;

use super::respond::PRODUCT;

/// An error as Elasticsearch says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    status: StatusCode,
    /// Elasticsearch's name of the exception.
    kind: &'static str,
    reason: String,
    retry_after_secs: Option<u32>,
}

impl WireError {
    /// Error `reason` of a kind that has no words of its own.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let (status, name, retry_after_secs) = match kind {
            Kind::Invalid | Kind::Conflict | Kind::Unsupported => {
                (StatusCode::BAD_REQUEST, "illegal_argument_exception", None)
            }
            Kind::NotFound => (StatusCode::NOT_FOUND, "resource_not_found_exception", None),
            Kind::AlreadyExists => (StatusCode::BAD_REQUEST, "resource_already_exists_exception", None),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception", None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "security_exception", None),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "security_exception", None),
            Kind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception", Some(1)),
            Kind::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout_exception", None),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception", Some(5)),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "exception", None),
        };
        WireError { status, kind: name, reason: reason.into(), retry_after_secs }
    }

    /// An error that Elasticsearch has a name for.
    pub(super) fn named(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        WireError { status, kind, reason: reason.into(), retry_after_secs: None }
    }

    /// A name that no index can have, and why.
    pub(super) fn index_name(index: &str, why: &str) -> Self {
        let reason = format!("Invalid index name [{index}], {why}");
        WireError::named(StatusCode::BAD_REQUEST, "invalid_index_name_exception", reason)
    }

    /// A name with a date in it that cannot be read.
    pub(super) fn bad_name(reason: String) -> Self {
        WireError::named(StatusCode::BAD_REQUEST, "parse_exception", reason)
    }

    pub(super) fn no_such_index(index: &str) -> Self {
        WireError::named(StatusCode::NOT_FOUND, "index_not_found_exception", format!("no such index [{index}]"))
    }

    pub(super) fn unauthenticated(reason: impl Into<String>) -> Self {
        WireError::new(Kind::Unauthenticated, reason)
    }

    /// Before the log is replayed.
    pub(super) fn starting() -> Self {
        WireError::new(Kind::Unavailable, "starting: the write-ahead log is replayed")
    }

    /// What an append-only store leaves to SQL.
    pub(super) fn not_here(what: &str) -> Self {
        let reason = format!("{what} is not supported here: documents are only appended, and queried with SQL");
        WireError::new(Kind::Unsupported, reason)
    }

    fn respond(&self) -> HttpResponse {
        let cause = json!({"type": self.kind, "reason": self.reason});
        let error = json!({"root_cause": [cause], "type": self.kind, "reason": self.reason});
        let mut response = HttpResponse::build(self.status);
        response.insert_header(PRODUCT);
        if let Some(seconds) = self.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, r#"Basic realm="security", charset="UTF-8""#));
        }
        response.json(json!({"error": error, "status": self.status.as_u16()}))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.reason)
    }
}

impl std::error::Error for WireError {}

impl actix_web::ResponseError for WireError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.respond()
    }
}

impl From<BodyError> for WireError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::UnknownEncoding(_) | BodyError::Corrupt { .. } => {
                WireError::named(StatusCode::BAD_REQUEST, "illegal_argument_exception", error.to_string())
            }
            other => WireError::new(other.kind(), other.to_string()),
        }
    }
}

impl From<BulkError> for WireError {
    fn from(error: BulkError) -> Self {
        let kind = match error {
            BulkError::Empty => "parse_exception",
            BulkError::NoActions | BulkError::IndexMissing { .. } => "action_request_validation_exception",
            BulkError::Malformed { .. } | BulkError::UnknownParameter { .. } => "illegal_argument_exception",
            BulkError::Json { .. } => "x_content_parse_exception",
            BulkError::TooManyActions { .. } => return WireError::new(Kind::TooLarge, error.to_string()),
        };
        WireError::named(StatusCode::BAD_REQUEST, kind, error.to_string())
    }
}

impl From<CatalogError> for WireError {
    fn from(error: CatalogError) -> Self {
        WireError::new(error.kind(), error.to_string())
    }
}

impl From<IngestError> for WireError {
    fn from(error: IngestError) -> Self {
        WireError::new(error.kind(), error.to_string())
    }
}

impl From<QueryError> for WireError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::TableNotFound { table, .. } => WireError::no_such_index(&table),
            error => WireError::new(error.kind(), error.to_string()),
        }
    }
}

impl From<Gone> for WireError {
    fn from(_: Gone) -> Self {
        WireError::new(Kind::Timeout, "the answer took too long")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn every_error_names_the_product_and_its_cause() {
        for (kind, status, retry_after) in [
            (Kind::Invalid, 400, None),
            (Kind::Overloaded, 429, Some("1")),
            (Kind::Unavailable, 503, Some("5")),
            (Kind::TooLarge, 413, None),
            (Kind::Conflict, 400, None),
        ] {
            let response = WireError::new(kind, "why").error_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().get("x-elastic-product").unwrap(), "Elasticsearch");
            assert_eq!(response.headers().get("retry-after").map(|v| v.to_str().unwrap()), retry_after);
            let body = to_bytes(response.into_body()).await.unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&body["status"], &body["error"]["root_cause"][0]["reason"]), (&json!(status), &json!("why")));
        }
    }

    #[test]
    fn a_client_that_must_send_in_smaller_parts_is_told_413() {
        let error = IngestError::TooManyCells { cells: 2, max: 1 };
        assert_eq!(WireError::from(error).status_code(), 413);
        assert_eq!(WireError::from(BulkError::TooManyActions { max: 1 }).status_code(), 413);
        assert_eq!(WireError::from(BulkError::Empty).kind, "parse_exception");
    }
}
