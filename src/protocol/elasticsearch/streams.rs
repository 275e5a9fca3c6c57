//! `_data_stream/_stats`: how large data streams are, and how new.

use actix_web::HttpResponse;
use serde_json::{Value as Json, json};

use crate::catalog::{CatalogState, Table};
use crate::protocol::Core;

use super::asked::Asked;
use super::error::WireError;
use super::filter::matches_part;
use super::indices;
use super::remembered::Kind;
use super::respond::ok;

/// `GET /_data_stream/_stats`, `/_data_stream/{name}/_stats`: of data streams that were made, by a comma list of names and patterns.
///
/// Bytes are those of segments. `maximum_timestamp` is in milliseconds, 0 without rows; a time whose row was deleted may be told.
pub(super) async fn stats(asked: Asked) -> Result<HttpResponse, WireError> {
    let (core, database) = asked.to_read()?;
    let state = core.catalog.state();
    let owner = indices::database(&state, database);
    let names = chosen(&state, asked.request.match_info().get("name").unwrap_or("*"))?;
    let mut total = 0;
    let of_stream = |name: &&str| {
        let table = owner.and_then(|owner| state.table_named(owner, &owner.default_policy, name));
        let bytes: u64 = table.map_or(0, |table| table.segments.iter().map(|segment| segment.size_bytes).sum());
        let newest_ns = table.and_then(|table| newest_ns(core, table)).unwrap_or(0).max(0);
        total += bytes;
        json!({
            "data_stream": name, "backing_indices": 1, "store_size_bytes": bytes,
            "maximum_timestamp": newest_ns / 1_000_000,
        })
    };
    let streams: Vec<Json> = names.iter().map(of_stream).collect();
    let count = streams.len();
    let body = json!({
        "_shards": {"total": count, "successful": count, "failed": 0}, "data_stream_count": count, "backing_indices": count,
        "total_store_size_bytes": total, "data_streams": streams,
    });
    Ok(ok(&asked.request, &body))
}

/// Names of data streams, in their order. `Err`: a name without a star is of none.
fn chosen<'a>(state: &'a CatalogState, expression: &str) -> Result<Vec<&'a str>, WireError> {
    let patterns: Vec<&str> = expression.split(',').map(|name| if name == "_all" { "*" } else { name }).collect();
    let collection = Kind::DataStream.collection();
    let is_missing = |pattern: &&&str| !pattern.contains('*') && state.document(collection, pattern).is_none();
    let all = state.documents(collection).map(|(name, _)| name);
    match patterns.iter().find(is_missing) {
        Some(missing) => Err(WireError::no_such_index(missing)),
        None => Ok(all.filter(|name| patterns.iter().any(|pattern| matches_part(pattern, name))).collect()),
    }
}

fn newest_ns(core: &Core, table: &Table) -> Option<i64> {
    let stored = table.segments.iter().map(|segment| segment.time_max_ns).max();
    stored.max(core.ingest.buffer.newest_ns(table.id))
}
