//! `/api/v1/ping`: health, for anyone.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;

use crate::protocol::Gate;

/// `GET|HEAD /api/v1/ping`: 200 `{"version","status":"healthy"}`; 503 with `"status":"starting"` until the log is replayed.
pub(super) async fn ping(gate: Data<Gate>) -> HttpResponse {
    let answer = |status| Health { version: env!("CARGO_PKG_VERSION"), status };
    match gate.core() {
        Some(_) => HttpResponse::Ok().json(answer("healthy")),
        None => HttpResponse::ServiceUnavailable().json(answer("starting")),
    }
}

/// Its members come in this order, which clients of the product have come to look for.
#[derive(Serialize)]
struct Health {
    version: &'static str,
    status: &'static str,
}
