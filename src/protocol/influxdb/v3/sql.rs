//! `/api/v3/query_sql`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::Value;

use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::QueryError;
use crate::query::sql::{Param, SqlAnswer, SqlRequest};

use super::query::{Question, answer, enter};
use super::refusal::Refusal;
use super::rows::{Sender, respond};

/// `GET|POST /api/v3/query_sql`: one question in SQL, its rows streamed as they are made.
///
/// `db` and `q` (required), `format` one of `json jsonl csv pretty parquet` (default: by `Accept`, else JSON), `params`: an object of
/// values for the `$name`s in `q`. A GET has them in the URL, a POST in a JSON body. Statements that change something are refused.
/// Spec: InfluxDB 3 Core HTTP API, query_sql.
pub(super) async fn query(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let answered = async {
        let (core, principal) = enter(&gate, &request, &params).await?;
        let question = Question::read(&request, &params, payload, &limits).await?;
        if question.database.is_empty() {
            return Err(Refusal::new(Kind::Invalid, "missing query parameters 'db' and 'q'"));
        }
        let state = core.catalog.state();
        if state.database(DEFAULT_TENANT, &question.database).is_none() {
            return Err(Refusal::new(
                Kind::NotFound,
                format!("query error: database not found: {}", question.database),
            ));
        }
        if !principal.may_read(&question.database) {
            return Err(Refusal::new(Kind::Forbidden, "no right to read the database"));
        }
        let asker = principal.sql_asker(DEFAULT_TENANT, &state);
        let mut asked = SqlRequest::new(DEFAULT_TENANT, &question.database, question.text, asker);
        asked.params = question.params.into_iter().map(param).collect::<Result<_, _>>()?;
        let asking = core.clone();
        respond(core, question.format, |rows| run(asking, asked, rows)).await
    };
    answer(&request, answered.await)
}

fn param((name, value): (String, Value)) -> Result<(String, Param), Refusal> {
    let param = match &value {
        Value::Null => Param::Null,
        Value::Bool(value) => Param::Boolean(*value),
        Value::String(text) => Param::String(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Param::Integer(value),
            (None, Some(value)) => Param::Unsigned(value),
            (None, None) => Param::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::Array(_) | Value::Object(_) => {
            let text = format!("parameter `{name}` is neither text, number, truth nor null");
            return Err(Refusal::new(Kind::Invalid, text));
        }
    };
    Ok((name, param))
}

async fn run(core: Core, asked: SqlRequest, sender: Sender) -> Result<Bytes, Refusal> {
    match core.queries.run(asked).await? {
        SqlAnswer::Rows(rows) => {
            let schema = rows.schema().clone();
            sender.send_all(&schema, rows.map_err(Refusal::from)).await
        }
        SqlAnswer::Ddl(_)
        | SqlAnswer::Write(_)
        | SqlAnswer::Move { .. }
        | SqlAnswer::Delete(_)
        | SqlAnswer::Copy(_) => Err(QueryError::NotSupported("a statement that changes something".to_string()).into()),
    }
}
