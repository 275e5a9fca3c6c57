//! Errors as InfluxDB 3 says them: plain text, or `{"error":"…","data":…}` where clients look inside; those who are not let in get
//! nothing but a status.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde_json::{Value, json};

use crate::catalog::CatalogError;
use crate::model::{Classify, Kind};
use crate::protocol::body::BodyError;
use crate::protocol::influxdb::error::WireError;
use crate::protocol::streaming::Gone;
use crate::query::QueryError;
use crate::query::influxql::answer::StatementError;

/// An error of this door.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    form: Form,
    retry_after_seconds: Option<u32>,
}

#[derive(Debug, Clone)]
enum Form {
    Text,
    Json(Value),
    Empty,
}

impl Refusal {
    /// In plain text.
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Refusal {
        let (status, retry_after_seconds) = match kind {
            Kind::Invalid | Kind::Unsupported | Kind::Conflict => (StatusCode::BAD_REQUEST, None),
            Kind::NotFound => (StatusCode::NOT_FOUND, None),
            Kind::AlreadyExists => (StatusCode::CONFLICT, None),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
            Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
            Kind::Forbidden => (StatusCode::FORBIDDEN, None),
            Kind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
            Kind::Timeout | Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        let form = match kind {
            Kind::Unauthenticated | Kind::Forbidden => Form::Empty,
            Kind::NotFound => Form::Json(Value::Null),
            _ => Form::Text,
        };
        Refusal { status, text: text.into(), form, retry_after_seconds }
    }

    /// In JSON, with more than a sentence to say.
    pub(super) fn with_data(text: &str, data: Value) -> Refusal {
        Refusal { form: Form::Json(data), ..Refusal::new(Kind::Invalid, text) }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        match self.form {
            Form::Text => response.content_type("text/plain; charset=utf-8").body(self.text),
            Form::Json(data) => response.json(json!({"error": self.text, "data": data})),
            Form::Empty => response.finish(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl actix_web::ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}

impl From<Gone> for Refusal {
    fn from(_: Gone) -> Self {
        Refusal::new(Kind::Timeout, "the answer took too long")
    }
}

/// What is the same behind every door: who asks, and what a body may be.
impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let kind = match error.status() {
            StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
            StatusCode::FORBIDDEN => Kind::Forbidden,
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Kind::Unavailable,
            StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT => Kind::Invalid,
            _ => Kind::Internal,
        };
        Refusal::new(kind, error.text())
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        WireError::from(error).into()
    }
}

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        Refusal::new(error.kind(), error.to_string())
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Refusal::new(error.kind(), format!("query error: {error}"))
    }
}

impl From<StatementError> for Refusal {
    fn from(error: StatementError) -> Self {
        Refusal::new(error.kind(), format!("query error: {error}"))
    }
}
