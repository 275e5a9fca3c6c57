//! What both query endpoints read of a request: from the query string of a GET, from the JSON body of a POST.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Kind;
use crate::protocol::auth::Principal;
use crate::protocol::influxdb::credentials::{self, Door};
use crate::protocol::influxdb::{is_get, stamped};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits, body};

use super::format::QueryFormat;
use super::refusal::Refusal;

/// A question of either language.
#[derive(Debug)]
pub(super) struct Question {
    /// Empty: none is given.
    pub(super) database: String,
    pub(super) text: String,
    pub(super) format: QueryFormat,
    pub(super) params: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct JsonQuestion {
    #[serde(default, alias = "database")]
    db: Option<String>,
    #[serde(alias = "query_str")]
    q: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    params: Option<Map<String, Value>>,
}

impl Question {
    pub(super) async fn read(
        request: &HttpRequest,
        url: &Params,
        payload: Payload,
        limits: &RequestLimits,
    ) -> Result<Question, Refusal> {
        let invalid = |text: String| Refusal::new(Kind::Invalid, text);
        let asked = if is_get(request) {
            let given = |name: &str| url.get(name).map(str::to_string);
            let params = given("params").map(|text| serde_json::from_str(&text)).transpose();
            JsonQuestion {
                db: given("db"),
                q: given("q").ok_or_else(|| invalid("missing query parameters 'db' and 'q'".to_string()))?,
                format: given("format"),
                params: params.map_err(|error| invalid(format!("serde json error: {error}")))?,
            }
        } else {
            let limits = limits.body_of(limits.sql_body_bytes_max);
            let body = body::read(payload, request.headers(), limits).await?;
            serde_json::from_slice(&body).map_err(|error| invalid(format!("serde json error: {error}")))?
        };
        Ok(Question {
            database: asked.db.unwrap_or_default(),
            text: asked.q,
            format: match asked.format {
                Some(name) => QueryFormat::named(&name)?,
                None => QueryFormat::of_header(request),
            },
            params: asked.params.unwrap_or_default(),
        })
    }
}

/// What is behind the door, and who stands before it. While nobody can be let in, nobody is.
pub(super) async fn enter<'a>(
    gate: &'a Gate,
    request: &HttpRequest,
    params: &Params,
) -> Result<(&'a Core, Principal), Refusal> {
    let core = gate.core().ok_or_else(|| Refusal::new(Kind::Unavailable, "starting"))?;
    match credentials::principal(core, request, params, Door::V3).await? {
        Principal::Nobody => Err(Refusal::new(Kind::Unauthenticated, "the request was not authenticated")),
        principal => Ok((core, principal)),
    }
}

/// The answer with the headers that every answer of InfluxDB carries.
pub(super) fn answer(request: &HttpRequest, answered: Result<HttpResponse, Refusal>) -> HttpResponse {
    stamped(request, answered.unwrap_or_else(Refusal::into_response))
}
