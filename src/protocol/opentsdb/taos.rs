//! `/opentsdb/v1/put/json/{db}` and `/opentsdb/v1/put/telnet/{db}`: OpenTSDB's points as TDengine's adapter takes them.
//!
//! Spec: taosAdapter, OpenTSDB. A metric is the table of its name with underscores for dots, its number the field `_value`.

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::catalog::databases::{IfExists, NewDatabase};
use crate::ingest::{BadPoints, Rules, Target};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Classify, Kind, Points, Precision};
use crate::protocol::auth::{self, AuthError, Login, Principal};
use crate::protocol::format::opentsdb::Layout;
use crate::protocol::format::opentsdb::strict::{Strict, StrictError, Times};
use crate::protocol::params::Params;
use crate::protocol::routes::Routes;
use crate::protocol::{Core, Gate, RequestLimits, body};

const JSON: &str = "/opentsdb/v1/put/json/{db}";
const TELNET: &str = "/opentsdb/v1/put/telnet/{db}";
/// The account that there is out of the box.
const ROOT: (&str, &str) = ("root", "taosdata");
const RULES: Rules = Rules { bad_points: BadPoints::RefuseAll, tag_and_field_may_share_a_name: false };

pub(super) fn routes(routes: &mut Routes<'_>) {
    routes.checked(&[Method::POST], JSON, documents).checked(&[Method::POST], TELNET, lines);
}

/// An error as the adapter says it: its code is its status.
struct Refusal(StatusCode, String);

impl Refusal {
    fn failed(text: impl ToString) -> Self {
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, text.to_string())
    }

    fn into_response(self) -> HttpResponse {
        let Refusal(status, text) = self;
        HttpResponse::build(status).json(json!({ "code": status.as_u16(), "message": text }))
    }
}

/// `POST /opentsdb/v1/put/json/{db}`: a point or an array of points.
///
/// Query: `req_id` and `ttl`, numbers, are checked and not used; `app` and `table_name_key` are not looked at. Times of ten digits are seconds, of
/// thirteen milliseconds. Replies 204; any error is `{"code","message"}`, 500 for all that is wrong with points.
async fn documents(
    request: HttpRequest,
    path: Path<String>,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    answer(write(&request, &path, &params, payload, &gate, &limits, Strict::document).await)
}

/// `POST /opentsdb/v1/put/telnet/{db}`: lines, with or without `put`; else as [`documents`].
async fn lines(
    request: HttpRequest,
    path: Path<String>,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    answer(write(&request, &path, &params, payload, &gate, &limits, Strict::lines).await)
}

fn answer(written: Result<(), Refusal>) -> HttpResponse {
    written.map_or_else(Refusal::into_response, |()| HttpResponse::NoContent().finish())
}

async fn write(
    request: &HttpRequest,
    database: &str,
    params: &Params,
    payload: Payload,
    gate: &Gate,
    limits: &RequestLimits,
    parse: fn(&Strict, &str) -> Result<Points, StrictError>,
) -> Result<(), Refusal> {
    for name in ["req_id", "ttl"] {
        if let Some(text) = params.get(name).filter(|text| text.parse::<i64>().is_err()) {
            let text = format!("illegal param, {name} must be numeric {text:?}");
            return Err(Refusal(StatusCode::BAD_REQUEST, text));
        }
    }
    let unauthorized = |text: &str| Refusal(StatusCode::UNAUTHORIZED, text.to_string());
    let given = request.headers().get(header::AUTHORIZATION).ok_or_else(|| unauthorized("auth needed"))?;
    let is_basic = given.to_str().is_ok_and(|text| text.to_ascii_lowercase().starts_with("basic "));
    let login =
        auth::basic(request.headers()).filter(|_| is_basic).ok_or_else(|| unauthorized("unsupported auth type"))?;
    let starting = || Refusal(StatusCode::SERVICE_UNAVAILABLE, "starting".to_string());
    let core = gate.core().ok_or_else(starting)?;
    let principal = principal(core, &login).await?;
    if !principal.may_write(database) {
        return Err(Refusal::failed("Permission denied or target object not exist"));
    }
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await.map_err(|error| {
        let status =
            if error.kind() == Kind::TooLarge { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        Refusal(status, error.to_string())
    })?;
    let text = std::str::from_utf8(&body).map_err(Refusal::failed)?;
    let strict = Strict {
        layout: Layout { value: "_value", ..Layout::FLOATS },
        times: Times::ByDigits((core.ingest.clock)()),
        dots_are_underscores: true,
    };
    let points = parse(&strict, text).map_err(Refusal::failed)?;
    if points.rows() == 0 {
        return Ok(());
    }
    make_database(core, database).await?;
    let target = Target { tenant: DEFAULT_TENANT.to_string(), database: database.to_string(), policy: None };
    match core.ingest.accept(&target, points, RULES).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            Kind::Overloaded | Kind::Unavailable => Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            _ => Refusal::failed(error),
        }),
    }
}

/// A name that is no database yet becomes one.
async fn make_database(core: &Core, database: &str) -> Result<(), Refusal> {
    if core.catalog.state().database(DEFAULT_TENANT, database).is_some() {
        return Ok(());
    }
    let new = NewDatabase {
        tenant: DEFAULT_TENANT.to_string(),
        name: database.to_string(),
        precision: Precision::Ns,
        policy: None,
    };
    core.catalog.create_database(new, IfExists::Keep).await.map(|_| ()).map_err(Refusal::failed)
}

/// Who asks. While authentication is off: the account that there always is, or one that was created since, who may do everything.
async fn principal(core: &Core, login: &Login) -> Result<Principal, Refusal> {
    let refused = |error: AuthError| match error.kind() {
        Kind::Overloaded => Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        _ => Refusal::failed("Authentication failure"),
    };
    let state = core.catalog.state();
    if core.auth.is_on() {
        return core.auth.login(&state, login).await.map_err(refused);
    }
    let is_right = match state.user(&login.name) {
        Some(user) => core.auth.is_right(&user.password_hash, &login.password).await.map_err(refused)?,
        // The password that everybody knows is no secret to compare in constant time.
        None => (login.name.as_str(), login.password.as_str()) == ROOT,
    };
    if is_right { Ok(Principal::Anyone) } else { Err(Refusal::failed("Authentication failure")) }
}
