//! `/influxdb/v1/write`: line protocol as taosAdapter takes it.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::model::{Classify, Kind, Precision};
use crate::protocol::body;
use crate::protocol::params::Params;
use crate::protocol::{Gate, RequestLimits};

use super::auth::Credentials;
use super::execute::Session;
use super::line_protocol::parse;
use super::stamped;

/// Seconds that a client is asked to wait where it is to try again.
const RETRY_AFTER_SECS: &str = "120";

/// `POST /influxdb/v1/write`: lines into one database, which must exist.
///
/// Query: `db` (required), `precision` (ns by default), `u` and `p` (else Basic), `ttl`, `req_id`, `table_name_key`.
/// Replies 204; 400, 401 and 500 with a body of this door's own form.
/// Spec: taosAdapter, InfluxDB line protocol.
pub(super) async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let written = write_lines(&request, &params, payload, &gate, &limits).await;
    stamped(&request, written.map_or_else(|refusal| refusal, |()| HttpResponse::NoContent().finish()))
}

fn bad_parameter(code: &str, op: &str, text: &str) -> HttpResponse {
    let body = json!({"code": code, "message": text, "op": op, "err": text, "line": 0});
    HttpResponse::BadRequest().json(body)
}

fn failed(code: u16, text: &str) -> HttpResponse {
    HttpResponse::InternalServerError()
        .json(json!({"code": "internal error", "message": format!("[0x{code:x}] {text}")}))
}

async fn write_lines(
    request: &HttpRequest,
    params: &Params,
    payload: Payload,
    gate: &Gate,
    limits: &RequestLimits,
) -> Result<(), HttpResponse> {
    let credentials = match Credentials::new(params.text("u"), params.text("p")) {
        Some(credentials) => Ok(credentials),
        None => Credentials::of(request),
    };
    let nobody = |_| {
        HttpResponse::build(StatusCode::UNAUTHORIZED)
            .json(json!({"code": "forbidden", "message": "no auth info found"}))
    };
    // Where everybody must say who he is, that comes before all else.
    if gate.core().is_some_and(|core| core.auth.is_on()) && credentials.is_err() {
        return credentials.map(|_| ()).map_err(nobody);
    }
    for name in ["req_id", "ttl"] {
        if params.get(name).is_some_and(|text| text.parse::<i64>().is_err()) {
            return Err(bad_parameter("illegal param", &format!("parse {name}"), &format!("{name} must be numeric")));
        }
    }
    let database = params.text("db");
    if database.is_empty() {
        return Err(bad_parameter("not found", "get db query", "db required"));
    }
    let precision = match params.text("precision") {
        "" | "ns" | "n" => Precision::Ns,
        "u" | "us" => Precision::Us,
        "ms" => Precision::Ms,
        "s" => Precision::S,
        "m" => Precision::M,
        "h" => Precision::H,
        other => return Err(failed(0xFFFF, &format!("unknown precision {other}"))),
    };
    let credentials = credentials.map_err(nobody)?;
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await;
    let body = body.map_err(|error| failed(0xFFFF, &error.to_string()))?;
    let Some(core) = gate.core() else { return Err(later("starting")) };
    let principal = credentials.principal(core).await.map_err(|error| match error.status {
        StatusCode::SERVICE_UNAVAILABLE => later(&error.text),
        _ => failed(error.code, &error.text),
    })?;
    let now_ns = precision.floor((core.ingest.clock)());
    let name_key = params.get("table_name_key").filter(|key| !key.is_empty());
    let lines = parse(&String::from_utf8_lossy(&body), precision, now_ns, name_key);
    let lines = lines.map_err(|error| failed(0x3002, &error.to_string()))?;
    if lines.is_empty() {
        return Ok(());
    }
    let ttl_days = params.text("ttl").parse().unwrap_or(0);
    let zone = chrono_tz::Tz::UTC;
    let session = Session::new(core, credentials.user, principal, Some(database.to_string()), zone);
    match session.write_lines(database, lines, ttl_days).await {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), Kind::Overloaded | Kind::Unavailable) => Err(later(&error.to_string())),
        Err(error) => Err(failed(error.code(), &error.to_string())),
    }
}

fn later(text: &str) -> HttpResponse {
    HttpResponse::ServiceUnavailable()
        .insert_header(("Retry-After", RETRY_AFTER_SECS))
        .json(json!({"code": "service unavailable", "message": text}))
}
