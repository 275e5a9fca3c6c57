//! `/api/v1/write`: line protocol, all of it or nothing.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::catalog::CatalogError;
use crate::ingest::{BadPoints, IngestError, Rejection, Rules, Target};
use crate::model::{Classify, FieldType, Kind};
use crate::protocol::body;
use crate::protocol::format::line_protocol::{Dialect, Options, parse};
use crate::protocol::{Gate, RequestLimits};

use super::authorization;
use super::error::{Code, WireError};
use super::params::Params;

pub(super) const RULES: Rules =
    Rules { bad_points: BadPoints::RefuseAll, tag_and_field_may_share_a_name: false, tag_may_be_called_time: false };

/// `POST /api/v1/write`: line protocol into one database.
///
/// Query: `tenant` (default `cnosdb`), `db` (default `public`), `precision` one of `ns us ms` in any case (default `ns`).
/// Replies 200 with an empty body when every line is stored and synced. One bad line refuses the whole body.
/// Spec: CnosDB REST API, write.
pub(super) async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
    let principal = authorization::principal(core, request.headers()).await?;
    authorization::may_write(&principal, params.tenant(), params.database())?;
    authorization::exists(core, params.tenant())?;
    let precision = params.precision()?;
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    if let Err(error) = std::str::from_utf8(&body) {
        return Err(WireError::coded(Code::Utf8, error));
    }
    let now_ns = (core.ingest.clock)();
    let parsed = parse(&body, &Options { dialect: Dialect::CNOSDB, precision, now_ns });
    if let Some(bad) = parsed.bad_lines.kept().first() {
        core.ingest.metrics.points_rejected.inc_by(parsed.points.rows() as u64 + 1);
        return Err(WireError::coded(Code::LineProtocol, bad.cnosdb()));
    }
    let target = Target { tenant: params.tenant().to_string(), database: params.database().to_string(), policy: None };
    let accepted = core.ingest.accept(&target, parsed.points, RULES).await;
    accepted.map_err(|error| refusal(error, &target))?;
    Ok(HttpResponse::Ok().finish())
}

pub(super) fn refusal(error: IngestError, target: &Target) -> WireError {
    match error {
        IngestError::Catalog(CatalogError::DatabaseNotFound { database }) => WireError::database_not_found(&database),
        IngestError::TableUndeclared { table } => WireError::table_not_found(&target.tenant, &target.database, &table),
        IngestError::ColumnUndeclared { column, .. } => WireError::column_not_found(&column),
        IngestError::Rejected { rejection, .. } => match rejection {
            Rejection::FieldType { field, stored, got, .. } => {
                WireError::column_type(&field, type_name(got), type_name(stored))
            }
            Rejection::ColumnKind { column, stored, .. } => {
                let (got, stored) = if stored.as_str() == "tag" { ("FIELD", "TAG") } else { ("TAG", "FIELD") };
                WireError::column_type(&column, got, stored)
            }
            Rejection::FieldNamedTime { .. } => WireError::column_type("time", "FIELD", "TIME"),
            Rejection::TagNamedTime { .. } => WireError::column_type("time", "TAG", "TIME"),
            Rejection::BeyondRetention { time_ns, oldest_ns } => {
                WireError::expired(time_ns, oldest_ns, &target.database)
            }
        },
        error => WireError::new(error.kind(), error.to_string()),
    }
}

/// CnosDB's names of the types.
pub(super) fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float => "DOUBLE",
        FieldType::Integer => "BIGINT",
        FieldType::Unsigned => "BIGINT UNSIGNED",
        FieldType::Boolean => "BOOLEAN",
        FieldType::String => "STRING",
    }
}
