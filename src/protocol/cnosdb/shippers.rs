//! What log shippers ask before they send documents to `/api/v1/es`: the same answers for everyone.

use actix_web::HttpResponse;
use serde_json::{Value as Json, json};

/// The version of Elasticsearch that CnosDB gives itself out as.
const VERSION: &str = "8.4.0";

fn answer(body: Json) -> HttpResponse {
    HttpResponse::Ok().insert_header(("X-Elastic-Product", "Elasticsearch")).json(body)
}

/// `GET|HEAD /api/v1/es`
pub(super) async fn version() -> HttpResponse {
    answer(json!({"version": {"number": VERSION}}))
}

/// `GET|HEAD /api/v1/es/_license`. CnosDB says `license_type`; shippers read `type`.
pub(super) async fn license() -> HttpResponse {
    let license = json!({
        "uid": "tidegate", "type": "oss", "license_type": "oss", "status": "active",
        "expiry_date_in_millis": 4_000_000_000_000_u64,
    });
    answer(json!({"license": license}))
}

/// Templates, policies, pipelines, nodes: an empty object, whatever is asked or sent.
pub(super) async fn nothing() -> HttpResponse {
    answer(json!({}))
}
