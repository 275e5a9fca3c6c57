//! What clients ask before and beside bulk: who is there, is it well, may I.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value as Json, json};

use crate::protocol::Gate;

use super::Options;
use super::caller::Caller;
use super::respond::{answer, ok};

const NODE_ID: &str = "dGlkZWdhdGUtbm9kZS0wMQ";
const CLUSTER_ID: &str = "dGlkZWdhdGUtY2x1c3Rlcg";
const BUILT: &str = "2024-12-11T12:08:05.663969764Z";
/// 2100: licences that end worry clients.
const EXPIRY_MS: u64 = 4_102_444_800_000;

/// `GET|HEAD /`: the version that clients compare with their own (setting `elastic.version`).
pub(super) async fn root(_: Caller, request: HttpRequest, options: Data<Options>) -> HttpResponse {
    let (lucene, wire, index) = match options.version.split('.').next() {
        Some("7") => ("8.11.1", "6.8.0", "6.0.0-beta1"),
        Some("8") => ("9.12.0", "7.17.0", "7.0.0"),
        _ => ("10.1.0", "8.18.0", "8.0.0"),
    };
    let version = json!({
        "number": options.version, "build_flavor": "default", "build_type": "tar",
        "build_hash": "0000000000000000000000000000000000000000", "build_date": BUILT, "build_snapshot": false,
        "lucene_version": lucene, "minimum_wire_compatibility_version": wire, "minimum_index_compatibility_version": index,
    });
    let body = json!({
        "name": "tidegate", "cluster_name": "tidegate", "cluster_uuid": CLUSTER_ID, "version": version,
        "tagline": "You Know, for Search",
    });
    ok(&request, &body)
}

/// `GET /_license`: one that never ends.
pub(super) async fn license(_: Caller, request: HttpRequest) -> HttpResponse {
    let license = json!({
        "status": "active", "uid": CLUSTER_ID, "type": "basic", "issue_date": BUILT, "issue_date_in_millis": 1_733_918_885_663_u64,
        "expiry_date_in_millis": EXPIRY_MS, "max_nodes": 1000, "issued_to": "tidegate", "issuer": "elasticsearch",
        "start_date_in_millis": -1,
    });
    ok(&request, &json!({"license": license}))
}

/// `GET /_xpack`: what 7.x shippers look for before they set up their policies.
pub(super) async fn xpack(_: Caller, request: HttpRequest) -> HttpResponse {
    let license = json!({"uid": CLUSTER_ID, "type": "basic", "mode": "basic", "status": "active"});
    let features = json!({
        "ilm": {"available": true, "enabled": true}, "security": {"available": true, "enabled": false},
        "monitoring": {"available": true, "enabled": false},
    });
    ok(&request, &json!({"build": {}, "license": license, "features": features}))
}

/// `GET|HEAD /_cluster/health`: green; 503 and red before the start is over, and when the catalog is not followed any more.
pub(super) async fn health(_: Caller, request: HttpRequest, gate: Data<Gate>) -> HttpResponse {
    let well = gate.core().is_some_and(|core| core.catalog.trouble().is_none());
    let (status, colour) = if well { (StatusCode::OK, "green") } else { (StatusCode::SERVICE_UNAVAILABLE, "red") };
    let body = json!({
        "cluster_name": "tidegate", "status": colour, "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
        "active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0,
        "unassigned_shards": 0, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0,
        "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
    });
    answer(&request, status, &body)
}

/// `GET /_nodes…`: one node, at the address that the client used: who sniffs goes on dialling it.
pub(super) async fn nodes(_: Caller, request: HttpRequest, options: Data<Options>) -> HttpResponse {
    let host = request.connection_info().host().to_string();
    let node = json!({
        "name": "tidegate", "transport_address": host, "host": host, "ip": host, "version": options.version,
        "roles": ["data", "ingest", "master"], "ingest": {"processors": processors()},
        "http": {"bound_address": [host], "publish_address": host, "max_content_length_in_bytes": options.body_bytes_max},
    });
    let body = json!({
        "_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": "tidegate", "nodes": {NODE_ID: node},
    });
    ok(&request, &body)
}

/// Beats modules look for these before they send pipelines.
fn processors() -> Json {
    ["date", "geoip", "grok", "json", "rename", "set", "user_agent"].iter().map(|name| json!({"type": name})).collect()
}

/// `GET|PUT /_cluster/settings`: none, and none is taken.
pub(super) async fn settings(_: Caller, request: HttpRequest) -> HttpResponse {
    match request.method().as_str() {
        "PUT" => ok(&request, &json!({"acknowledged": true, "persistent": {}, "transient": {}})),
        _ => ok(&request, &json!({"persistent": {}, "transient": {}})),
    }
}

/// `GET /_cluster/state`, `/_cluster/stats`, `/_nodes/stats`: as much as parsers need.
pub(super) async fn state(_: Caller, request: HttpRequest) -> HttpResponse {
    let body = json!({
        "cluster_name": "tidegate", "cluster_uuid": CLUSTER_ID, "version": 1, "state_uuid": CLUSTER_ID,
        "master_node": NODE_ID, "metadata": {"cluster_uuid": CLUSTER_ID},
        "_nodes": {"total": 1, "successful": 1, "failed": 0}, "nodes": {},
    });
    ok(&request, &body)
}

/// `GET /_security/_authenticate`: whoever asks, while authentication is off.
pub(super) async fn authenticate(_: Caller, request: HttpRequest) -> HttpResponse {
    let body = json!({
        "username": "_anonymous", "roles": ["superuser"], "full_name": null, "email": null, "metadata": {}, "enabled": true,
        "authentication_realm": {"name": "__anonymous", "type": "__anonymous"},
        "lookup_realm": {"name": "__anonymous", "type": "__anonymous"}, "authentication_type": "anonymous",
    });
    ok(&request, &body)
}

/// `/_monitoring/bulk`, `/_logstash/**`: what shippers say of themselves is taken and not kept, by definition.
pub(super) async fn discarded(_: Caller, request: HttpRequest) -> HttpResponse {
    ok(&request, &json!({"took": 0, "ignored": true, "errors": false}))
}
