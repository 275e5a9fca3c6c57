//! `/rest/upload`: rows as CSV.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::protocol::body;
use crate::protocol::params::Params;
use crate::protocol::{Gate, RequestLimits};
use crate::query::tdsql::{Insert, InsertPart, InsertRows, InsertValue, TableName, TdError};

use super::answer::{affected, end};
use super::auth::Credentials;
use super::error::{FREE_TEXT, WireError};
use super::execute::Session;
use super::params::check_request_id;
use super::{Options, stamped};

/// `POST /rest/upload?db=&table=`: a multipart form whose part `data` is CSV without a header line (RFC 4180).
///
/// Fields go to the table's columns in their order; an empty one is null. Answers as an INSERT does.
/// Spec: taosAdapter, CSV upload.
pub(super) async fn upload(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> HttpResponse {
    let answered = async {
        check_request_id(&params)?;
        let credentials = Credentials::of(&request)?;
        let needed = |name: &str| match params.text(name) {
            "" => Err(WireError::parameter(format!("{name} required"))),
            text => Ok(text.to_string()),
        };
        let (database, table) = (needed("db")?, needed("table")?);
        let limits = limits.body_of(limits.body_bytes_max);
        let body = body::read(payload, request.headers(), limits).await?;
        let core = gate.core().ok_or_else(WireError::starting)?;
        let principal = credentials.principal(core).await?;
        let form = Params::parse_multipart(&body, boundary(&request));
        let rows = rows(form.text("data"))?;
        let name = TableName { database: Some(database.clone()), table };
        let part = InsertPart { table: name, using: None, columns: None, rows: InsertRows::Values(rows) };
        let zone = chrono_tz::Tz::UTC;
        let session = Session::new(core, credentials.user, principal, Some(database), zone);
        let written = session.insert(Insert { parts: vec![part] }).await;
        let rows = written.map_err(|error| match error {
            TdError::Syntax(_) => WireError::new(actix_web::http::StatusCode::OK, FREE_TEXT, "column count not enough"),
            error => WireError::of_statement(&error, options.http_code_server_error),
        })?;
        let mut out = affected(rows as u64, false);
        end(&mut out, None);
        Ok(HttpResponse::Ok().content_type("application/json; charset=utf-8").body(out))
    };
    stamped(&request, answered.await.unwrap_or_else(WireError::into_response))
}

fn boundary(request: &HttpRequest) -> &str {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parameters = content_type.unwrap_or_default().split(';');
    let found = parameters.map(str::trim).find_map(|parameter| parameter.strip_prefix("boundary="));
    found.unwrap_or_default().trim_matches('"')
}

fn rows(text: &str) -> Result<Vec<Vec<InsertValue>>, WireError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| WireError::parameter(error.to_string()))?;
        let value =
            |field: &str| if field.is_empty() { InsertValue::Null } else { InsertValue::Text(field.to_string()) };
        rows.push(record.iter().map(value).collect());
    }
    Ok(rows)
}
