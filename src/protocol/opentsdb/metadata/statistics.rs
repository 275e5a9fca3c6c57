//! `/api/stats` and `/stats`, `/logs`, and the list of trees.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::legacy;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::json as answer;
use crate::protocol::opentsdb::stats::{HOST, seconds};
use crate::protocol::opentsdb::verb::Verb;

/// `GET|POST /api/stats`: what this process counts; below it what a server says about its own parts: there are none here.
pub(in crate::protocol::opentsdb) fn stats(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    Ok(match call.rest.first().map(|part| part.to_ascii_lowercase()).as_deref() {
        Some("query") => answer(&json!({ "running": [], "completed": [] })),
        Some("threads" | "region_clients") => answer(&json!([])),
        Some("jvm") => answer(&json!({})),
        _ => answer(&list(call)),
    })
}

/// `/stats`: lines, or JSON when asked for.
pub(in crate::protocol::opentsdb) fn stats_of_old(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    match call.params.has("json") {
        true => Ok(legacy::json_answer(&list(call))),
        false => Ok(legacy::text(call.door.stats.lines(&call.core))),
    }
}

/// `GET|POST /logs`: the last lines that this process logged, the newest first; with `json` as an array. Each is the second since 1970,
/// the level, the thread, where it comes from and what is said, with tabs between. Levels are not changed here.
pub(in crate::protocol::opentsdb) fn logs_of_old(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let lines = call.door.recent_log.newest_first();
    let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
    if call.params.has("json") {
        return Ok(legacy::json_answer(&lines));
    }
    if call.params.has("level") {
        return Err(WireError::bad_request("The log level is the setting log.level, which only a start reads"));
    }
    Ok(legacy::text(lines.iter().flat_map(|line| [line, "\n"]).collect()))
}

fn list(call: &Call) -> Vec<Value> {
    let timestamp = seconds(&call.core);
    let shown = |stat: crate::protocol::opentsdb::stats::Stat| {
        let tags = stat.tag.into_iter().chain([("host", HOST)]);
        let tags: Map<String, Value> = tags.map(|(key, value)| (key.to_string(), value.into())).collect();
        json!({ "metric": stat.metric, "timestamp": timestamp, "value": stat.value.to_string(), "tags": tags })
    };
    call.door.stats.all(&call.core).into_iter().map(shown).collect()
}

/// `/api/tree`: there are no trees, and none can be made.
pub(in crate::protocol::opentsdb) fn trees(call: &Call) -> Result<HttpResponse, WireError> {
    match (call.verb, call.rest.is_empty()) {
        (Verb::Get, true) if !call.params.has("method_override") => Ok(answer(&json!([]))),
        _ => Err(WireError::new(Kind::Unsupported, "Trees are not served")),
    }
}
