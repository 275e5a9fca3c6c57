//! `/_bulk` and `/{index}/_bulk`: many documents in one request.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::protocol::format::documents::bulk;
use crate::protocol::params::Params;
use crate::protocol::{Gate, RequestLimits, body};

use super::caller::Caller;
use super::error::WireError;
use super::indices::database_name;
use super::items::BulkAnswer;
use super::respond::ok;
use super::take::{Destination, take};
use super::{Options, date_math, media_type, names};

/// `POST|PUT /_bulk`, `/{index}/_bulk`, `/{index}/{type}/_bulk`: NDJSON of actions and documents.
///
/// Query: `db`, `table` (where an action names no index and the path neither), `time_column`, `tag_columns`; what Elasticsearch
/// has beside `filter_path` and `pretty` changes nothing. Replies 200 as soon as the body can be read, with an item for each
/// action: 201 stored, synced and visible, 400 never to be stored. Other statuses mean that nothing was stored.
/// Spec: Elasticsearch 8 Bulk API.
pub(super) async fn bulk(
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
    caller.may_write(database_name(&params, &options))?;
    media_type::check(request.headers().get(header::CONTENT_TYPE))?;
    let in_path = names::in_path(&request, "index");
    let default_index = in_path.as_deref().or_else(|| params.get("table").filter(|t| !t.is_empty()));
    let now_ns = (core.ingest.clock)();
    let default_index = default_index.map(|index| checked_name(index, now_ns)).transpose()?;
    let body = body::read(payload, request.headers(), limits.body_of(options.body_bytes_max)).await?;
    let actions = bulk::parse(&body, default_index.as_deref())?;
    let items = take(core, actions, &Destination::of(&params, &options)).await?;
    let errors = items.iter().any(|item| item.outcome.is_err());
    Ok(ok(&request, &BulkAnswer { took: started.elapsed().as_millis() as u64, errors, items }))
}

/// The name of an index with its dates. Actions that name none have it each, so it is checked once, and short.
fn checked_name(index: &str, now_ns: i64) -> Result<Cow<'_, str>, WireError> {
    let resolved = date_math::resolve(index, now_ns).map_err(WireError::bad_name)?;
    match names::refusal(&resolved) {
        None => Ok(resolved),
        Some(why) => Err(WireError::index_name(index, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_get_a_name_whose_dates_are_there_and_that_an_index_can_have() {
        let name = |index| checked_name(index, 1_711_107_045_000_000_000).ok();
        assert_eq!(name("logs").as_deref(), Some("logs"));
        assert_eq!(name("<logs-{now/d}>").as_deref(), Some("logs-2024.03.22"));
        let long = format!("<logs-{{now{{{}}}}}>", "uuuu".repeat(100));
        for index in ["a,b", "<logs-{now/d>", "<logs-{now/d}*>", &long] {
            assert_eq!(name(index), None, "{index}");
        }
    }
}
