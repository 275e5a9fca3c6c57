//! `/api/v1/es/_bulk` and `/api/v1/es/write`: log documents into one table.
//!
//! Two generations of one endpoint. On the older path a `create` for a table that exists ends the request: what came before
//! is stored. On the newer path it is an `index`, and the answer has an item for each command.

use std::collections::HashSet;
use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use crate::ingest::documents::{DocumentRules, OnConflict, Unfit};
use crate::ingest::{BadPoints, Target};
use crate::model::{Documents, Kind};
use crate::protocol::format::documents::bulk::ACTIONS_MAX;
use crate::protocol::format::documents::log_lines::{self, Command, Line, LinesError};
use crate::protocol::format::documents::time::{read_strictly, take_time};
use crate::protocol::format::documents::{Arrays, Shape, flatten};
use crate::protocol::{Core, Gate, RequestLimits, body};

use super::authorization;
use super::error::{Code, WireError};
use super::params::Params;
use super::write::{refusal, type_name};

/// Every object becomes columns, however deep.
const SHAPE: Shape = Shape { arrays: Arrays::ByPosition, depth_max: usize::MAX };
const COLUMNS_MAX: usize = 4_096;

/// `POST /api/v1/es/_bulk`: commands and documents in pairs, or with `log_type=ndjson` documents alone.
///
/// Query: `table` (required), `tenant`, `db`, `time_column` (default `time`, then `@timestamp`), `tag_columns`. Replies 200 when all
/// documents but those without any field are stored and synced, with an item for each; what cannot be read, and a value of
/// another type than its column's, refuse the whole request with 422.
/// Spec: CnosDB REST API, Elasticsearch log endpoint.
pub(super) async fn bulk(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let started = Instant::now();
    let core = allowed(&request, &params, &gate).await?;
    let form = Form::of(&params)?;
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    let lines = form.lines(&body)?;
    let (documents, fieldless) = form.documents(core, &lines, Fieldless::Told)?;
    store(core, &params, &form, documents).await?;
    if !form.commands {
        return Ok(HttpResponse::Ok().finish());
    }
    let item = |(number, line): (usize, &Line<'_>)| {
        let result = match fieldless.binary_search(&number).is_ok() {
            true => {
                json!({"status": 400, "error": {"type": "illegal_argument_exception", "reason": "Fields can't be empty"}})
            }
            false => json!({"status": 201}),
        };
        match line.command {
            Command::Index => json!({"index": result}),
            Command::Create => json!({"create": result}),
        }
    };
    let items: Vec<Json> = lines.iter().enumerate().map(item).collect();
    let took = started.elapsed().as_millis() as u64;
    Ok(HttpResponse::Ok().json(json!({"took": took, "errors": !fieldless.is_empty(), "items": items})))
}

/// `POST /api/v1/es/write`: the same body and parameters, and `have_es_command=false` for documents alone.
///
/// Replies 200 with an empty body. A `create` for a table that exists, be it since an earlier command, is reported in a text under
/// 200: the documents before it are stored, those from it on are not.
pub(super) async fn write(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let core = allowed(&request, &params, &gate).await?;
    let form = Form::of(&params)?;
    let limits = limits.body_of(limits.write_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    let lines = form.lines(&body)?;
    let repeated = repeated_create(&lines, table_exists(core, &params, &form.table));
    let lines = &lines[..repeated.unwrap_or(lines.len())];
    let (documents, _) = form.documents(core, lines, Fieldless::Refused)?;
    store(core, &params, &form, documents).await?;
    Ok(match repeated {
        None => HttpResponse::Ok().finish(),
        Some(position) => {
            let (number, table) = (position + 1, &form.table);
            let what = format!("the table '{table}' already exists and cannot be created repeatedly");
            HttpResponse::Ok().content_type("text/plain").body(format!("The {number}th command fails because {what}\n"))
        }
    })
}

/// Refuses who may not write into the request's database.
async fn allowed<'a>(request: &HttpRequest, params: &Params, gate: &'a Gate) -> Result<&'a Core, WireError> {
    let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
    let principal = authorization::principal(core, request.headers()).await?;
    authorization::may_write(&principal, params.tenant(), params.database())?;
    authorization::exists(core, params.tenant())?;
    Ok(core)
}

/// The position of the first `create` that finds its table made already.
fn repeated_create(lines: &[Line<'_>], existed: bool) -> Option<usize> {
    lines.iter().enumerate().position(|(n, line)| line.command == Command::Create && (existed || n > 0))
}

fn table_exists(core: &Core, params: &Params, table: &str) -> bool {
    let state = core.catalog.state();
    let database = state.database(params.tenant(), params.database());
    database.is_some_and(|owner| state.table_named(owner, &owner.default_policy, table).is_some())
}

/// What becomes of a document that has only a time and tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fieldless {
    /// Its request is refused.
    Refused,
    /// It is left out and told.
    Told,
}

/// How a request's documents are to be read.
struct Form {
    table: String,
    /// Whether a command stands before each document.
    commands: bool,
    /// Names under which the time is.
    times: Vec<String>,
    tags: Vec<String>,
}

impl Form {
    fn of(params: &Params) -> Result<Form, WireError> {
        let table = params.get("table").ok_or_else(|| log_error("table param is None"))?.to_string();
        let commands = match (params.get("log_type"), params.get("have_es_command")) {
            (Some("bulk"), _) | (None, None | Some("true")) => true,
            (Some("ndjson" | "loki"), _) | (None, Some("false")) => false,
            (Some(other), _) => return Err(log_error(format!("invalid log type: {other}"))),
            (None, Some(other)) => {
                return Err(log_error(format!("have_es_command is {other:?}, expected true or false")));
            }
        };
        let times = match params.get("time_column") {
            Some(name) => vec![name.to_string()],
            None => vec!["time".to_string(), "@timestamp".to_string()],
        };
        let tags = params.get("tag_columns").unwrap_or_default().split(',').map(|tag| tag.trim().to_string());
        Ok(Form { table, commands, times, tags: tags.filter(|tag| !tag.is_empty()).collect() })
    }

    fn lines<'b>(&self, body: &'b [u8]) -> Result<Vec<Line<'b>>, WireError> {
        let lines = if self.commands { log_lines::pairs } else { log_lines::alone };
        lines(body, ACTIONS_MAX).map_err(|error| match error {
            LinesError::TooMany { .. } => WireError::new(Kind::TooLarge, error.to_string()),
            error => log_error(error),
        })
    }

    /// The documents of `lines`, and the positions of those left out, ascending.
    fn documents(
        &self,
        core: &Core,
        lines: &[Line<'_>],
        fieldless: Fieldless,
    ) -> Result<(Documents, Vec<usize>), WireError> {
        let tags: HashSet<&str> = self.tags.iter().map(String::as_str).collect();
        let times: Vec<&str> = self.times.iter().map(String::as_str).collect();
        let mut documents = Documents::new(&self.table);
        let mut left_out = Vec::new();
        for (position, line) in lines.iter().enumerate() {
            flatten(line.document, SHAPE, &mut documents).map_err(log_error)?;
            let time_ns = take_time(&mut documents, &times, read_strictly, &[])
                .map_err(|bad| log_error(format!("invalid time format: {}", bad.text)))?;
            let has_fields = documents.open_values().any(|(name, _)| !tags.contains(name));
            match (has_fields, fieldless) {
                (true, _) => {
                    documents.finish(time_ns.unwrap_or_else(|| (core.ingest.clock)()));
                }
                (false, Fieldless::Refused) => return Err(WireError::no_fields()),
                (false, Fieldless::Told) => {
                    documents.abort();
                    left_out.push(position);
                }
            }
        }
        Ok((documents, left_out))
    }
}

async fn store(core: &Core, params: &Params, form: &Form, documents: Documents) -> Result<(), WireError> {
    let target = Target { tenant: params.tenant().to_string(), database: params.database().to_string(), policy: None };
    let rules = DocumentRules {
        bad_documents: BadPoints::RefuseAll,
        on_conflict: OnConflict::Reject,
        columns_max: COLUMNS_MAX,
        tags: form.tags.clone(),
        numbers_are_floats: true,
        may_merge: true,
    };
    let tables = if documents.rows() > 0 { vec![documents] } else { Vec::new() };
    let accepted = core.ingest.accept_documents(&target, tables, &rules).await;
    let receipt = accepted.map_err(|error| refusal(error, &target))?;
    match receipt.refused.into_iter().next() {
        None => Ok(()),
        Some(refused) => Err(match refused.why {
            Unfit::Value { column, stored, value } => {
                WireError::column_type(&column, format_args!("{value:?}"), type_name(stored))
            }
            Unfit::NoTable { table } => WireError::table_not_found(params.tenant(), params.database(), &table),
            Unfit::NoColumn { column } => WireError::column_not_found(&column),
            Unfit::BeyondRetention { time_ns, oldest_ns } => WireError::expired(time_ns, oldest_ns, params.database()),
            why => log_error(why),
        }),
    }
}

fn log_error(what: impl std::fmt::Display) -> WireError {
    WireError::coded(Code::LogMessage, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_bounded_number_of_documents() {
        let form = Form { table: "t".to_string(), commands: false, times: Vec::new(), tags: Vec::new() };
        let mut body = "{}\n".repeat(ACTIONS_MAX);
        assert_eq!(form.lines(body.as_bytes()).unwrap().len(), ACTIONS_MAX);
        body.push_str("{}\n");
        assert_eq!(form.lines(body.as_bytes()).unwrap_err().status(), 413);
    }

    #[test]
    fn a_create_is_repeated_once_its_table_is_there() {
        let line = |command| Line { command, document: b"{}" };
        let (create, index) = (line(Command::Create), line(Command::Index));
        for (lines, existed, expected) in [
            (vec![create, index], false, None),
            (vec![create, index, create], false, Some(2)),
            (vec![index, create], false, Some(1)),
            (vec![index, create], true, Some(1)),
            (vec![create], true, Some(0)),
        ] {
            assert_eq!(repeated_create(&lines, existed), expected, "{lines:?}");
        }
    }
}
