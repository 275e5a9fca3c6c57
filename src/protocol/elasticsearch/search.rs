//! `_count` and as much of `_search` as a person needs who asks "did my logs arrive".

use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};

use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::format::rows::{Format, RowEncoder};
use crate::protocol::params::Params;
use crate::protocol::{Core, Gate, RequestLimits, body};
use crate::query::sql::{Asker, SqlAnswer, SqlRequest};

use super::Options;
use super::caller::Caller;
use super::error::WireError;
use super::indices::{database_name, resolve};
use super::respond::ok;

/// Bytes of a search's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Documents that one search shows at most: Elasticsearch's own limit of `from` and `size`.
const HITS_MAX: u64 = 10_000;
/// Bytes of documents that one search shows at most.
const HITS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Members of a search that change nothing here.
const IGNORED: [&str; 8] = [
    "track_total_hits",
    "timeout",
    "version",
    "_source",
    "stored_fields",
    "track_scores",
    "seq_no_primary_term",
    "explain",
];

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Search {
    size: u64,
    from: u64,
    newest_first: bool,
    sorted: bool,
}

/// `GET|POST /{index}/_count`, `/_count`: documents of one index or several. Any query but `match_all` is refused.
pub(super) async fn count(
    caller: Caller,
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(WireError::starting)?;
    caller.may_read(database_name(&params, &options))?;
    let body = read_body(&request, payload, &limits).await?;
    read(&body, &params)?;
    let database = database_name(&params, &options);
    let name = request.match_info().get("index").unwrap_or("*");
    let tables = indices(core, database, name)?;
    let mut count = 0;
    for table in &tables {
        count += count_of(core, database, table).await?;
    }
    Ok(ok(&request, &json!({"count": count, "_shards": shards(tables.len())})))
}

/// `GET|POST /{index}/_search`: `match_all` of one index, with `size`, `from` and a sort on `@timestamp`; anything else is 400.
pub(super) async fn search(
    caller: Caller,
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> Result<HttpResponse, WireError> {
    let started = Instant::now();
    let core = gate.core().ok_or_else(WireError::starting)?;
    caller.may_read(database_name(&params, &options))?;
    let body = read_body(&request, payload, &limits).await?;
    let search = read(&body, &params)?;
    let database = database_name(&params, &options);
    let tables = indices(core, database, request.match_info().get("index").unwrap_or("*"))?;
    let hits = match &tables[..] {
        [] => (0, Vec::new()),
        [table] => (count_of(core, database, table).await?, hits(core, database, table, &search).await?),
        _ => return Err(WireError::not_here("searching several indices")),
    };
    let body = json!({
        "took": started.elapsed().as_millis() as u64, "timed_out": false, "_shards": shards(tables.len()),
        "hits": {"total": {"value": hits.0, "relation": "eq"}, "max_score": null, "hits": hits.1},
    });
    Ok(ok(&request, &body))
}

fn indices(core: &Core, database: &str, name: &str) -> Result<Vec<String>, WireError> {
    let state = core.catalog.state();
    Ok(resolve(&state, database, name)?.into_iter().map(|table| table.name.table.to_string()).collect())
}

fn shards(count: usize) -> Json {
    json!({"total": count, "successful": count, "skipped": 0, "failed": 0})
}

async fn read_body(request: &HttpRequest, payload: Payload, limits: &RequestLimits) -> Result<Json, WireError> {
    let body = body::read(payload, request.headers(), limits.body_of(BODY_BYTES_MAX)).await?;
    if body.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&body).map_err(|error| WireError::new(Kind::Invalid, error.to_string()))
}

/// A search out of a request's body and query string.
fn read(body: &Json, params: &Params) -> Result<Search, WireError> {
    let mut search = Search { size: 10, from: 0, newest_first: false, sorted: false };
    let Json::Object(members) = body else { return Err(WireError::not_here("a search that is no object")) };
    for (name, value) in members {
        match (name.as_str(), value) {
            ("query", Json::Object(query)) if query.is_empty() || query.keys().eq(["match_all"]) => {}
            ("size", value) => search.size = number(name, value.as_u64())?,
            ("from", value) => search.from = number(name, value.as_u64())?,
            ("sort", sort) => sort_by(sort, &mut search)?,
            (other, _) if IGNORED.contains(&other) => {}
            (other, value) => {
                let shown: String = value.to_string().chars().take(60).collect();
                return Err(WireError::not_here(&format!("[{other}] with {shown}")));
            }
        }
    }
    if let Some(query) = params.get("q").filter(|q| !matches!(*q, "" | "*" | "*:*")) {
        return Err(WireError::not_here(&format!("the query [{query}]")));
    }
    for (name, place) in [("size", &mut search.size), ("from", &mut search.from)] {
        if let Some(text) = params.get(name) {
            *place = number(name, text.parse().ok())?;
        }
    }
    if let Some(sort) = params.get("sort") {
        let (field, order) = sort.split_once(':').unwrap_or((sort, "asc"));
        sort_by(&json!({field: order}), &mut search)?;
    }
    if search.from + search.size > HITS_MAX {
        let reason = format!("Result window is too large, from + size must be less than or equal to: [{HITS_MAX}]");
        return Err(WireError::new(Kind::Invalid, reason));
    }
    Ok(search)
}

fn number(name: &str, value: Option<u64>) -> Result<u64, WireError> {
    let refuse = || WireError::new(Kind::Invalid, format!("[{name}] must be a number from 0 to {HITS_MAX}"));
    value.filter(|value| *value <= HITS_MAX).ok_or_else(refuse)
}

/// `"@timestamp"`, `{"@timestamp":"desc"}`, `{"@timestamp":{"order":"desc"}}`, or a list of one of them.
fn sort_by(sort: &Json, search: &mut Search) -> Result<(), WireError> {
    let refuse = || WireError::not_here("sorting by anything but @timestamp");
    let (field, order) = match sort {
        Json::Array(parts) => match &parts[..] {
            [] => return Ok(()),
            // What follows decides between equal times only.
            [first, ..] => return sort_by(first, search),
        },
        Json::String(field) => (field.as_str(), "asc"),
        Json::Object(fields) => match fields.iter().next() {
            Some((field, Json::String(order))) => (field.as_str(), order.as_str()),
            Some((field, Json::Object(options))) => {
                (field.as_str(), options.get("order").and_then(Json::as_str).unwrap_or("asc"))
            }
            _ => return Err(refuse()),
        },
        _ => return Err(refuse()),
    };
    match (field, order) {
        ("_doc" | "_score", _) => Ok(()),
        ("@timestamp" | "time", "asc" | "desc") => {
            search.sorted = true;
            search.newest_first = order == "desc";
            Ok(())
        }
        _ => Err(refuse()),
    }
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
    let order = match (search.sorted, search.newest_first) {
        (_, true) => "ORDER BY time DESC",
        (true, false) => "ORDER BY time",
        (false, false) => "",
    };
    let (size, from) = (search.size, search.from);
    let sql = format!("SELECT * FROM {} {order} LIMIT {size} OFFSET {from}", quoted(table));
    let rows = ask(core, database, sql).await?;
    let hit = |(number, mut row): (usize, Map<String, Json>)| {
        let time = row.remove("time").unwrap_or_default();
        let mut hit = json!({
            "_index": table, "_id": format!("{}-{}", time.as_str().unwrap_or_default(), from + number as u64), "_score": null,
        });
        if search.sorted {
            hit["sort"] = json!([time]);
        }
        row.insert("@timestamp".to_string(), Json::from(format!("{}Z", time.as_str().unwrap_or_default())));
        hit["_source"] = Json::Object(row);
        hit
    };
    Ok(rows.into_iter().enumerate().map(hit).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: Json, query: &str, expected: Result<(u64, u64, bool), &str>) {
        let seen =
            read(&body, &Params::parse(query)).map(|s| (s.size, s.from, s.newest_first)).map_err(|e| e.to_string());
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{body} {query}"),
            (Err(seen), Err(expected)) => assert!(seen.contains(expected), "{seen}"),
            (seen, _) => panic!("{body} {query}: {seen:?}"),
        }
    }

    #[test]
    fn everything_is_found_by_size_and_time() {
        check(json!({}), "", Ok((10, 0, false)));
        check(
            json!({"query": {"match_all": {}}, "size": 3, "from": 2, "track_total_hits": true}),
            "",
            Ok((3, 2, false)),
        );
        check(json!({"sort": [{"@timestamp": {"order": "desc"}}, "_doc"]}), "", Ok((10, 0, true)));
        check(json!({"sort": {"@timestamp": "desc"}}), "size=5", Ok((5, 0, true)));
        check(json!({}), "q=*&sort=@timestamp:desc", Ok((10, 0, true)));
    }

    #[test]
    fn what_is_no_such_search_points_to_sql() {
        check(json!({"query": {"match": {"a": 1}}}), "", Err("queried with SQL"));
        check(json!({"aggs": {}}), "", Err("[aggs] with {}"));
        check(json!({"sort": "name"}), "", Err("sorting by anything but @timestamp"));
        check(json!({}), "q=error", Err("the query [error]"));
        check(json!({"size": 10_000, "from": 1}), "", Err("Result window is too large"));
        check(json!({"size": -1}), "", Err("[size] must be a number"));
    }
}
