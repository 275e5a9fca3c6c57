//! `/-/ping`.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::protocol::Gate;

/// `GET /-/ping`: 200 without a body; 503 until the log is replayed. `action=query` asks the same.
/// Spec: taosAdapter, health checks.
pub(super) async fn ping(gate: Data<Gate>) -> HttpResponse {
    match gate.core() {
        Some(_) => HttpResponse::Ok().finish(),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}
