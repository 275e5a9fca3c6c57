//! What the service says about itself: version, aggregators, settings, filter types, status.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::json;

use crate::protocol::format::opentsdb::Layout;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::legacy;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::json;
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::aggregator::AGGREGATORS;

/// The version we answer as: clients choose their behaviour by it.
const VERSION: &str = "2.4.1";

/// Name, example and description of the filter types.
const FILTERS: [(&str, &str, &str); 7] = [
    ("iliteral_or", "host=iliteral_or(web01|WEB02)", "Values that equal one of the texts between bars, in any case."),
    ("iwildcard", "host=iwildcard(web*)", "Values that match the text, in any case; an asterisk stands for anything."),
    ("literal_or", "host=literal_or(web01|web02)", "Values that equal one of the texts between bars."),
    (
        "not_iliteral_or",
        "host=not_iliteral_or(web01)",
        "Values that equal none of the texts between bars, in any case.",
    ),
    ("not_literal_or", "host=not_literal_or(web01|web02)", "Values that equal none of the texts between bars."),
    ("regexp", "host=regexp(web.*)", "Values that contain a match of the regular expression."),
    ("wildcard", "host=wildcard(web*)", "Values that match the text; an asterisk stands for anything."),
];

/// Names of the aggregation functions, sorted.
fn aggregator_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = AGGREGATORS.iter().map(|known| known.name).collect();
    names.sort_unstable();
    names
}

/// `GET /api/aggregators`: names of the aggregation functions.
pub(in crate::protocol::opentsdb) fn aggregators(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    Ok(json(&aggregator_names()))
}

pub(in crate::protocol::opentsdb) fn aggregators_of_old(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    Ok(legacy::json_answer(&aggregator_names()))
}

#[derive(Serialize)]
struct Version {
    short_revision: &'static str,
    repo: &'static str,
    host: &'static str,
    version: &'static str,
    full_revision: &'static str,
    repo_status: &'static str,
    user: &'static str,
    branch: &'static str,
    timestamp: &'static str,
}

const BUILD: Version = Version {
    short_revision: env!("CARGO_PKG_VERSION"),
    repo: "tidegate",
    host: "localhost",
    version: VERSION,
    full_revision: concat!("tidegate-", env!("CARGO_PKG_VERSION")),
    repo_status: "MINT",
    user: "tidegate",
    branch: "main",
    timestamp: "0",
};

/// `GET /api/version`.
pub(in crate::protocol::opentsdb) fn version(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    Ok(json(&BUILD))
}

/// `/version`: two lines, or JSON when asked for.
pub(in crate::protocol::opentsdb) fn version_of_old(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    match call.params.has("json") {
        true => Ok(legacy::json_answer(&BUILD)),
        false => Ok(legacy::text(version_text())),
    }
}

/// The version as telnet and the 1.x path say it.
pub(in crate::protocol::opentsdb) fn version_text() -> String {
    let Version { version, full_revision, repo_status, user, host, repo, .. } = BUILD;
    format!(
        "net.opentsdb.tools {version} built at revision {full_revision} ({repo_status})\nBuilt as {repo} by {user}@{host}\n"
    )
}

/// `/api/config`: the settings under OpenTSDB's names, all texts; `/api/config/filters`: the filter types.
pub(in crate::protocol::opentsdb) fn config(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    if call.rest.first().is_some_and(|part| part.eq_ignore_ascii_case("filters")) {
        let filters = FILTERS
            .map(|(name, examples, description)| (name, json!({ "examples": examples, "description": description })));
        return Ok(json(&BTreeMap::from(filters)));
    }
    let options = &call.door.options;
    let settings = BTreeMap::from([
        ("tsd.core.auto_create_metrics", options.auto_create_metrics.to_string()),
        ("tsd.core.auto_create_tagks", true.to_string()),
        ("tsd.core.auto_create_tagvs", true.to_string()),
        ("tsd.core.timezone", "UTC".to_string()),
        ("tsd.http.query.allow_delete", options.allow_delete.to_string()),
        ("tsd.http.request.cors_domains", options.cors_domains.join(",")),
        ("tsd.http.request.enable_chunked", true.to_string()),
        ("tsd.http.request.max_chunk", call.body_bytes_max().to_string()),
        ("tsd.http.show_stack_trace", options.show_stack_trace.to_string()),
        ("tsd.mode", if call.core.flusher.is_some() { "rw" } else { "ro" }.to_string()),
        ("tsd.storage.fix_duplicates", true.to_string()),
        ("tsd.storage.max_tags", Layout::METRIC.tags_max.map(|max| max.to_string()).unwrap_or_default()),
    ]);
    Ok(json(&settings))
}

/// `/api/dropcaches`: answers as asked. Caches here hold what never changes, so there is nothing that dropping would mend.
pub(in crate::protocol::opentsdb) fn drop_caches(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Delete])?;
    Ok(json(&json!({ "status": "200", "message": "Caches dropped" })))
}

/// `/api/status`.
pub(in crate::protocol::opentsdb) fn status(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let status = if call.core.catalog.trouble().is_none() { "ok" } else { "failing" };
    Ok(json(&json!({ "status": status })))
}
