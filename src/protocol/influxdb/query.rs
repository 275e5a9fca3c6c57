//! `/query`: InfluxQL. For now the statements about databases; every other one is recognised and refused by name.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::catalog::databases::{IfExists, NewDatabase, policy};
use crate::catalog::{CatalogError, RetentionPolicy};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Kind, Precision};
use crate::protocol::body;
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::influxql::database::{CreateDatabase, PolicySpec};
use crate::query::influxql::{self, Statement};

use super::error::{ErrorForm, WireError};
use super::response::{Answer, Message, Series, StatementResult};
use super::{is_get, stamped};

const HOUR_NS: i64 = 3_600_000_000_000;

/// `GET|POST /query`: InfluxQL statements, each with a result of its own.
///
/// `q` (required), `pretty`: from the URL, and on POST from a form body, whose values win. Statements that fail are
/// members of a 200; text that is no InfluxQL is 400 and nothing of it runs.
/// Spec: InfluxDB 1.8 HTTP API, query endpoint.
pub(super) async fn query(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let pretty = params.text("pretty") == "true";
    let answered = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let form = read_form(&request, payload, &limits).await?;
        let text = form.get("q").or(params.get("q")).unwrap_or_default().trim();
        if text.is_empty() {
            return Err(WireError::new(Kind::Invalid, "missing required parameter \"q\""));
        }
        let parsed = influxql::parse(text)
            .map_err(|error| WireError::new(Kind::Invalid, format!("error parsing query: {error}")))?;
        Ok(run(core, &parsed.statements, is_get(&request)).await)
    };
    let response = match answered.await {
        Ok(answer) => HttpResponse::Ok().content_type("application/json").body(answer.to_json(pretty)),
        Err(error) => error.into_response(ErrorForm::Json),
    };
    stamped(&request, response)
}

async fn read_form(request: &HttpRequest, payload: Payload, limits: &RequestLimits) -> Result<Params, WireError> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim().to_ascii_lowercase();
    let is_multipart = media_type == "multipart/form-data";
    if is_get(request) || !(is_multipart || media_type == "application/x-www-form-urlencoded") {
        return Ok(Params::default());
    }
    let limits = limits.body_of(limits.body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    if !is_multipart {
        return Ok(Params::parse(&String::from_utf8_lossy(&body)));
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="));
    let boundary = boundary.map(|boundary| boundary.trim_matches('"')).unwrap_or_default();
    Ok(Params::parse_multipart(&body, boundary))
}

/// Runs statements in order; after the first that fails the others are told that they were not run.
async fn run(core: &Core, statements: &[Statement], read_only: bool) -> Answer {
    let mut answer = Answer::default();
    let mut failed = false;
    for (statement_id, statement) in statements.iter().enumerate() {
        let mut result = StatementResult { statement_id, ..StatementResult::default() };
        if failed {
            result.error = Some("not executed".to_string());
        } else {
            match execute(core, statement).await {
                Ok(series) => {
                    result.series = series;
                    result.messages = warning(statement, read_only).into_iter().collect();
                }
                Err(error) => {
                    result.error = Some(error);
                    failed = true;
                }
            }
        }
        answer.results.push(result);
    }
    answer
}

/// Statements that change something work with GET too, but should be sent with POST.
fn warning(statement: &Statement, read_only: bool) -> Option<Message> {
    let changes = match statement {
        Statement::CreateDatabase(_) | Statement::DropDatabase(_) => true,
        Statement::ShowDatabases => false,
    };
    (read_only && changes).then(|| Message {
        level: "warning",
        text: format!("deprecated use of '{statement}' in a read only context, please use a POST request instead"),
    })
}

async fn execute(core: &Core, statement: &Statement) -> Result<Vec<Series>, String> {
    match statement {
        Statement::CreateDatabase(create) => {
            let new = NewDatabase {
                tenant: DEFAULT_TENANT.to_string(),
                name: create.name.0.clone(),
                precision: Precision::Ns,
                policy: first_policy(create)?,
            };
            core.catalog.create_database(new, IfExists::Compare).await.map_err(statement_error)?;
            Ok(Vec::new())
        }
        Statement::DropDatabase(drop) => {
            core.catalog.drop_database(DEFAULT_TENANT, &drop.name.0).await.map_err(statement_error)?;
            Ok(Vec::new())
        }
        Statement::ShowDatabases => {
            let state = core.catalog.state();
            let names = state.databases(DEFAULT_TENANT);
            let values = names.iter().map(|database| vec![database.name.to_string().into()]).collect();
            Ok(vec![Series { name: "databases".to_string(), columns: vec!["name".to_string()], values }])
        }
    }
}

/// What the WITH clause asks for. A zero shard duration and an empty name count as absent.
fn first_policy(create: &CreateDatabase) -> Result<Option<RetentionPolicy>, String> {
    let Some(PolicySpec { duration, replication, shard_duration, name }) = &create.policy else { return Ok(None) };
    let duration_ns = duration.as_ref().map_or(0, |d| d.0);
    if duration_ns != 0 && duration_ns < HOUR_NS {
        return Err("retention policy duration must be at least 1h0m0s".to_string());
    }
    let shard_ns = shard_duration.as_ref().map(|d| d.0);
    let name = name.as_ref().map(|n| n.0.as_str()).filter(|n| !n.is_empty());
    let policy = policy(name, duration_ns, shard_ns, replication.unwrap_or(1) as u32);
    if duration_ns != 0 && policy.shard_duration_ns > duration_ns {
        return Err("retention policy duration must be greater than the shard duration".to_string());
    }
    Ok(Some(policy))
}

fn statement_error(error: CatalogError) -> String {
    match error {
        CatalogError::InvalidName { name, .. } if name.len() > 255 => "name too long".to_string(),
        CatalogError::InvalidName { .. } => "invalid name".to_string(),
        error => error.to_string(),
    }
}
