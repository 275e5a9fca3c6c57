//! `/health`, `/ready` and `/metrics`: the process about itself, on every listener.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use prometheus::{Registry, TextEncoder};
use serde_json::json;

use crate::protocol::Gate;
use crate::protocol::influxdb::VERSION;
use crate::protocol::routes::{READS, Routes};

use super::guard::{self, Guard};

/// Paths served here.
pub(super) const PATHS: [&str; 3] = ["/health", "/ready", "/metrics"];

pub(super) fn routes(routes: &mut Routes<'_>) {
    routes.open(READS, "/health", health).open(READS, "/ready", ready).checked(READS, "/metrics", metrics);
}

/// `GET /health`: InfluxDB 1.8's answer; 503 before the start is over, which waits for the store.
async fn health(gate: Data<Gate>) -> HttpResponse {
    let answer = |status: &str, message: &str| json!({"name": "influxdb", "message": message, "status": status, "checks": [], "version": VERSION});
    match gate.core() {
        Some(_) => HttpResponse::Ok().json(answer("pass", "ready for queries and writes")),
        None => HttpResponse::ServiceUnavailable()
            .json(answer("fail", "starting: the store is being read and the write-ahead log replayed")),
    }
}

/// `GET /ready`: 200 once writes are taken (unless the process only reads) and every acknowledged point is visible, else
/// 503; also when the catalog is not followed any more, with the reason.
async fn ready(gate: Data<Gate>) -> HttpResponse {
    match gate.core().map(|core| core.catalog.trouble()) {
        Some(None) => HttpResponse::Ok().json(json!({"status": "ready"})),
        Some(Some(trouble)) => {
            HttpResponse::ServiceUnavailable().json(json!({"status": "failing", "reason": trouble.to_string()}))
        }
        None => HttpResponse::ServiceUnavailable().json(json!({"status": "starting"})),
    }
}

/// `GET /metrics`: Prometheus' text format. With authentication on, for administrators.
async fn metrics(request: HttpRequest, registry: Data<Registry>, gate: Data<Gate>, guard: Data<Guard>) -> HttpResponse {
    if let Err(refusal) = guard::administrator(&guard, &gate, &request).await {
        return refusal;
    }
    if let Some(core) = gate.core() {
        core.ingest.metrics.buffer_bytes.set(core.ingest.buffer.bytes() as i64);
    }
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => HttpResponse::InternalServerError().body(format!("metrics could not be encoded: {error}\n")),
    }
}
