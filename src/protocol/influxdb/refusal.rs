//! Refused writes in InfluxDB's sentences, which collectors know word by word.

use actix_web::http::StatusCode;

use crate::catalog::CatalogError;
use crate::ingest::validate::Rejected;
use crate::ingest::{IngestError, Rejection};
use crate::model::{Classify, Kind};
use crate::protocol::format::line_protocol::BadLines;

use super::error::WireError;

impl From<CatalogError> for WireError {
    fn from(error: CatalogError) -> Self {
        match &error {
            // The real server answers 500 here, and clients have learnt it.
            CatalogError::PolicyNotFound { policy } => WireError::with_status(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("retention policy not found: {policy}"),
            ),
            _ => WireError::new(error.kind(), error.to_string()),
        }
    }
}

impl From<IngestError> for WireError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Catalog(error) => error.into(),
            error => WireError::new(error.kind(), error.to_string()),
        }
    }
}

/// The 400 for points that were refused while others of the request were stored; `None` if none were.
/// What the store refuses is told rather than what could not be parsed; the number counts the former only.
pub(super) fn partial_write(bad_lines: &BadLines, rejected: &Rejected, parsed: usize) -> Option<WireError> {
    if let Some(first) = &rejected.first {
        let text = format!("partial write: {} dropped={}", sentence(first), rejected.points);
        return Some(WireError::new(Kind::Invalid, text));
    }
    if bad_lines.is_empty() {
        return None;
    }
    let mut lines: Vec<String> = bad_lines.kept().iter().map(ToString::to_string).collect();
    if bad_lines.not_kept() > 0 {
        lines.push(format!("and {} more lines", bad_lines.not_kept()));
    }
    let text = lines.join("\n");
    Some(WireError::new(Kind::Invalid, if parsed == 0 { text } else { format!("partial write: {text} dropped=0") }))
}

pub(super) fn sentence(rejection: &Rejection) -> String {
    match rejection {
        Rejection::FieldType { table, field, stored, got } => format!(
            "field type conflict: input field \"{field}\" on measurement \"{table}\" is type {got}, already exists as type {stored}"
        ),
        Rejection::FieldNamedTime { table } => {
            format!("invalid field name: input field \"time\" on measurement \"{table}\" is invalid")
        }
        Rejection::TagNamedTime { table } => {
            format!("invalid tag key: input tag \"time\" on measurement \"{table}\" is invalid")
        }
        Rejection::ColumnKind { .. } => rejection.to_string(),
        Rejection::BeyondRetention { .. } => "points beyond retention policy".to_string(),
    }
}
