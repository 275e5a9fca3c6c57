//! `/api/v1/opentsdb/write` and `/api/v1/opentsdb/put`: OpenTSDB's points as CnosDB takes them, all of a body or nothing.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::ingest::Target;
use crate::model::{Kind, Points};
use crate::protocol::format::opentsdb::Layout;
use crate::protocol::format::opentsdb::strict::{Strict, StrictError, Times};
use crate::protocol::{Gate, RequestLimits, body};

use super::authorization;
use super::error::{Code, WireError};
use super::params::Params;
use super::write::{RULES, refusal};

/// `POST /api/v1/opentsdb/write`: lines `metric time value key=value …`, without `put`.
///
/// Query: `tenant` (default `cnosdb`), `db` (default `public`), `precision` one of `ns us ms` in any case (default `ns`), whatever the
/// times look like. Replies 200 with an empty body when every point is stored and synced.
/// Spec: CnosDB REST API, OpenTSDB write.
pub(super) async fn lines(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    write(request, params, payload, gate, limits, Code::OpentsdbText, Strict::lines).await
}

/// `POST /api/v1/opentsdb/put`: a point or an array of points in JSON; else as [`lines`].
pub(super) async fn document(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    write(request, params, payload, gate, limits, Code::OpentsdbJson, Strict::document).await
}

async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    code: Code,
    parse: fn(&Strict, &str) -> Result<Points, StrictError>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
    let principal = authorization::principal(core, request.headers()).await?;
    authorization::may_write(&principal, params.tenant(), params.database())?;
    authorization::exists(core, params.tenant())?;
    let times = Times::In(params.precision()?);
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    let text = std::str::from_utf8(&body).map_err(|error| WireError::coded(Code::Utf8, error))?;
    let strict = Strict { layout: Layout::FLOATS, times, dots_are_underscores: false };
    let points = parse(&strict, text).map_err(|error| {
        core.ingest.metrics.points_rejected.inc();
        WireError::coded(code, error)
    })?;
    let target = Target { tenant: params.tenant().to_string(), database: params.database().to_string(), policy: None };
    let accepted = core.ingest.accept(&target, points, RULES).await;
    accepted.map_err(|error| refusal(error, &target))?;
    Ok(HttpResponse::Ok().finish())
}
