//! `/rest/sql`.

use std::time::Instant;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;

use crate::protocol::body;
use crate::protocol::encoding::{Compressor, Encoding, Preference, choose};
use crate::protocol::params::Params;
use crate::protocol::streaming::{self, Pieces};
use crate::protocol::{Gate, RequestLimits};
use crate::query::tdsql::Answer;

use super::answer::{RowWriter, affected, end};
use super::auth::Credentials;
use super::error::WireError;
use super::execute::{Outcome, Session};
use super::params::{SqlParams, check_request_id};
use super::{Options, stamped};

/// Bytes worth sending.
const PIECE_BYTES: usize = 64 * 1024;

/// `POST /rest/sql[/{db}]`: one statement.
///
/// The body is the statement, whatever its content type. Query: `tz`, `conn_tz`, `req_id`, `row_with_meta`, `timing`; `app`
/// and `ip` without effect. Replies 200 also for statements that fail, unless the setting says otherwise; 401 without
/// credentials, 400 for parameters and bodies that are wrong, 503 when it is to be tried again.
/// Spec: TDengine REST API; order of checks as taosAdapter's.
pub(super) async fn sql(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> HttpResponse {
    let started = Instant::now();
    let answered = async {
        check_request_id(&params)?;
        let credentials = Credentials::of(&request)?;
        let params = SqlParams::read(&params)?;
        let text = statement(&request, payload, &limits).await?;
        let core = gate.core().ok_or_else(WireError::starting)?;
        let principal = credentials.principal(core).await?;
        let database = request.match_info().get("db").filter(|name| !name.is_empty()).map(str::to_string);
        let session = Session::new(core, credentials.user, principal, database, params.session_zone);
        respond(&request, session, text, params, **options, started).await
    };
    stamped(&request, answered.await.unwrap_or_else(WireError::into_response))
}

/// `POST /rest/sql/{db}/vgid`: the virtual groups of tables, of which there is one.
pub(super) async fn groups(
    request: HttpRequest,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let answered = async {
        let credentials = Credentials::of(&request)?;
        let limits = limits.body_of(limits.body_bytes_max);
        let body = body::read(payload, request.headers(), limits).await?;
        let names: Vec<String> =
            serde_json::from_slice(&body).map_err(|error| WireError::parameter(error.to_string()))?;
        let core = gate.core().ok_or_else(WireError::starting)?;
        credentials.principal(core).await?;
        let groups = vec![1; names.len()];
        Ok(HttpResponse::Ok().content_type(JSON).body(json!({"code": 0, "vgIDs": groups}).to_string()))
    };
    stamped(&request, answered.await.unwrap_or_else(WireError::into_response))
}

const JSON: &str = "application/json; charset=utf-8";

async fn statement(request: &HttpRequest, payload: Payload, limits: &RequestLimits) -> Result<String, WireError> {
    let limits = limits.body_of(limits.body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    let refuse = |code, text: &str| Err(WireError::new(StatusCode::BAD_REQUEST, code, text));
    if body.is_empty() {
        return refuse(0x1106, "request is empty");
    }
    let text = String::from_utf8_lossy(&body);
    let text = text.trim();
    if text.is_empty() { refuse(0x1107, "no sql input") } else { Ok(text.to_string()) }
}

async fn respond(
    request: &HttpRequest,
    session: Session,
    text: String,
    params: SqlParams,
    options: Options,
    started: Instant,
) -> Result<HttpResponse, WireError> {
    let wanted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = choose(wanted, &[Encoding::Gzip], Preference::Weight);
    let mut response = HttpResponse::Ok();
    response.content_type(JSON);
    if encoding != Encoding::Identity {
        response.insert_header((header::CONTENT_ENCODING, encoding.name()));
    }
    let (runtime, patience) = (session.core.runtime.clone(), session.core.queries.longest());
    let work = |pieces| run(session, text, params, options, started, encoding, pieces);
    streaming::start(&runtime, patience, work).respond(response).await
}

/// Runs the statement and writes its answer; gives the last piece of it.
async fn run(
    session: Session,
    text: String,
    params: SqlParams,
    options: Options,
    started: Instant,
    encoding: Encoding,
    pieces: Pieces<WireError>,
) -> Result<Bytes, WireError> {
    let wire = |error| WireError::of_statement(&error, options.http_code_server_error);
    let mut compressor = Compressor::new(encoding);
    let took = || params.timing.then(|| started.elapsed().as_nanos());
    let mut out = String::new();
    match session.run(&text).await.map_err(wire)? {
        Outcome::Changed(rows) => {
            out = affected(rows, params.row_with_meta);
            end(&mut out, took());
        }
        Outcome::Rows(Answer { columns, precision, mut rows }) => {
            let mut writer = RowWriter::new(columns, precision, params.shown_zone, params.row_with_meta);
            // The first rows are waited for: until they are there, an error can still be said.
            let mut next = rows.next().await;
            writer.begin(&mut out);
            while let Some(batch) = next {
                let batch = batch.map_err(|error| wire(error.into()))?;
                let all = batch.num_rows();
                for at in (0..all).step_by(1024) {
                    writer.rows(&mut out, &batch.slice(at, 1024.min(all - at)));
                    if out.len() >= PIECE_BYTES {
                        pieces.send(compressor.write(std::mem::take(&mut out).into())).await?;
                    }
                }
                next = rows.next().await;
            }
            writer.end(&mut out);
            end(&mut out, took());
        }
    }
    let last = compressor.write(out.into());
    let rest = compressor.finish();
    Ok(if rest.is_empty() { last } else { [last, rest].concat().into() })
}
