//! `_count` and as much of `_search` as a person needs who asks "did my logs arrive".

use std::collections::HashMap;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::{Data, Payload};
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};

use crate::model::names::DEFAULT_TENANT;
use crate::model::{Kind, Value};
use crate::protocol::format::documents::time::read as read_time;
use crate::protocol::format::rows::{Format, RowEncoder};
use crate::protocol::{Core, RequestLimits, body};
use crate::query::sql::{Asker, SqlAnswer, SqlRequest};

use super::asked::Asked;
use super::error::WireError;
use super::request::{self, Search};
use super::respond::ok;
use super::sort::SortKey;

/// Bytes of a search's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of documents that one search shows at most.
const HITS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// `GET|POST /{index}/_count`, `/_count`: documents of one index or several. Any query but `match_all` is refused.
pub(super) async fn count(
    asked: Asked,
    payload: Payload,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let (core, database) = asked.to_read()?;
    let body = read_body(&asked, payload, &limits).await?;
    request::count(&body, &asked.params, asked.request.path())?;
    let tables = tables(&asked, core)?;
    let mut count = 0;
    for table in &tables {
        count += count_of(core, database, table).await?;
    }
    Ok(ok(&asked.request, &json!({"count": count, "_shards": shards(tables.len())})))
}

/// `GET|POST /{index}/_search`: `match_all` of one index, with `size`, `from`, a sort on `@timestamp` and
/// `_source`; anything else is 400.
pub(super) async fn search(
    asked: Asked,
    payload: Payload,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let started = Instant::now();
    let (core, database) = asked.to_read()?;
    let body = read_body(&asked, payload, &limits).await?;
    let search = request::search(&body, &asked.params, asked.request.path())?;
    let tables = tables(&asked, core)?;
    let (total, found) = match &tables[..] {
        [] => (Some(0), Vec::new()),
        [table] => {
            let total = if search.total { Some(count_of(core, database, table).await?) } else { None };
            (total, hits(core, database, table, &search).await?)
        }
        _ => return Err(WireError::not_here("searching several indices")),
    };
    // Hits are assigned, as `json!` would copy them.
    let mut hits = json!({"max_score": found.first().map(|hit| &hit["_score"])});
    hits["hits"] = Json::Array(found);
    if let Some(total) = total.filter(|_| search.total) {
        hits["total"] = if search.total_as_number { json!(total) } else { json!({"value": total, "relation": "eq"}) };
    }
    let took = started.elapsed().as_millis() as u64;
    let mut body = json!({"took": took, "timed_out": false, "_shards": shards(tables.len())});
    body["hits"] = hits;
    Ok(ok(&asked.request, &body))
}

/// Names of the tables that a request means.
fn tables(asked: &Asked, core: &Core) -> Result<Vec<String>, WireError> {
    let state = core.catalog.state();
    let tables = asked.tables(&state)?;
    Ok(tables.into_iter().map(|table| table.name.table.to_string()).collect())
}

fn shards(count: usize) -> Json {
    json!({"total": count, "successful": count, "skipped": 0, "failed": 0})
}

/// The body, or the parameter `source` that stands for one.
async fn read_body(asked: &Asked, payload: Payload, limits: &RequestLimits) -> Result<Json, WireError> {
    let body = body::read(payload, asked.request.headers(), limits.body_of(BODY_BYTES_MAX)).await?;
    let text = match (body.trim_ascii(), asked.params.get("source")) {
        ([], source) => source.unwrap_or_default().as_bytes(),
        (body, None) => body,
        (_, Some(_)) => return Err(WireError::new(Kind::Invalid, "[source] is given beside a body")),
    };
    if text.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(text).map_err(|error| WireError::new(Kind::Invalid, error.to_string()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn count_of(core: &Core, database: &str, table: &str) -> Result<u64, WireError> {
    let rows = ask(core, database, format!("SELECT count(*) AS n FROM {}", quoted(table))).await?;
    let count = rows.first().and_then(|row| row.get("n")).and_then(Json::as_u64);
    count.ok_or_else(|| WireError::new(Kind::Internal, "a count has no number"))
}

async fn hits(core: &Core, database: &str, table: &str, search: &Search) -> Result<Vec<Json>, WireError> {
    let order = search.sort.iter().find_map(|key| match key {
        SortKey::Time { newest_first: true, .. } => Some("ORDER BY time DESC"),
        SortKey::Time { newest_first: false, .. } => Some("ORDER BY time"),
        SortKey::Doc | SortKey::Score => None,
    });
    let (columns, order) = (if search.source.shown { "*" } else { "time" }, order.unwrap_or_default());
    let (size, from) = (search.size, search.from);
    let sql = format!("SELECT {columns} FROM {} {order} LIMIT {size} OFFSET {from}", quoted(table));
    let rows = ask(core, database, sql).await?;
    let mut shown = HashMap::new();
    Ok((from..).zip(rows).map(|(place, row)| hit(table, place, row, search, &mut shown)).collect())
}

/// One document. `place`: how many are before it; `shown`: columns that were decided upon before.
fn hit(
    table: &str,
    place: u64,
    mut row: Map<String, Json>,
    search: &Search,
    shown: &mut HashMap<String, bool>,
) -> Json {
    let time = row.remove("time").unwrap_or_default();
    let time = time.as_str().unwrap_or_default();
    let mut hit = json!({"_index": table, "_id": format!("{time}-{place}"), "_score": null});
    if search.sort.is_empty() || search.scores {
        hit["_score"] = json!(1.0);
    }
    if search.versions {
        hit["_version"] = json!(1);
    }
    if !search.sort.is_empty() {
        let time_ns = read_time(Value::Text(time)).unwrap_or_default();
        hit["sort"] = search.sort.iter().map(|key| key.value(time_ns, place)).collect();
    }
    if search.source.shown {
        row.insert("@timestamp".to_string(), Json::from(format!("{time}Z")));
        row.retain(|name, _| match shown.get(name) {
            Some(shown) => *shown,
            None => *shown.entry(name.clone()).or_insert(search.source.shows(name)),
        });
        hit["_source"] = Json::Object(row);
    }
    hit
}

/// All rows of a question, on the threads that questions run on.
async fn ask(core: &Core, database: &str, text: String) -> Result<Vec<Map<String, Json>>, WireError> {
    // Whether the database may be read was asked before.
    let question = SqlRequest::new(DEFAULT_TENANT, database, text, Asker::root());
    let queries = core.queries.clone();
    let asked = core.runtime.spawn(async move {
        let SqlAnswer::Rows(mut rows) = queries.run(question).await? else { return Ok(Vec::new()) };
        let mut encoder = RowEncoder::new(Format::NdJson, 0);
        let mut lines = Vec::new();
        encoder.begin(rows.schema(), &mut lines);
        while let Some(batch) = rows.next().await {
            let too_many = |error: String| WireError::new(Kind::Internal, error);
            encoder.batch(&batch?, &mut lines).map_err(|error| too_many(error.to_string()))?;
            if lines.len() > HITS_BYTES_MAX {
                return Err(WireError::new(Kind::Invalid, "the documents are too large to be shown, ask for fewer"));
            }
        }
        let objects = serde_json::Deserializer::from_slice(&lines).into_iter::<Map<String, Json>>();
        objects.collect::<Result<Vec<_>, _>>().map_err(|error| WireError::new(Kind::Internal, error.to_string()))
    });
    asked.await.map_err(|error| WireError::new(Kind::Internal, error.to_string()))?
}
