//! What no exact route claims: unknown paths and wrong methods, answered as the listener's own protocol does.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::config::Listener;
use crate::protocol::{cnosdb, influxdb, opentsdb};

use super::health;

/// Answers for listener `home`; what is known by path but not by method is 405, the rest 404.
pub(super) async fn answer(
    request: HttpRequest,
    home: web::Data<Listener>,
    door: web::Data<opentsdb::Door>,
) -> HttpResponse {
    let path = request.path();
    let known = influxdb::PATHS.iter().chain(cnosdb::PATHS).chain(&health::PATHS).any(|p| *p == path);
    let status = if known { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
    match **home {
        Listener::Influxdb => influxdb::router_error(status),
        Listener::Cnosdb => HttpResponse::new(status),
        Listener::Opentsdb => opentsdb::unclaimed(request, door, known).await,
        Listener::Tdengine => HttpResponse::build(status).content_type("text/plain").body(reason(status)),
        Listener::Elasticsearch => elasticsearch(status, &request),
    }
}

fn reason(status: StatusCode) -> &'static str {
    if status == StatusCode::NOT_FOUND { "404 page not found" } else { "405 method not allowed" }
}

fn elasticsearch(status: StatusCode, request: &HttpRequest) -> HttpResponse {
    let (path, method) = (request.path(), request.method());
    if status == StatusCode::NOT_FOUND {
        let error = format!("no handler found for uri [{path}] and method [{method}]");
        return HttpResponse::BadRequest().json(json!({"error": error, "status": 400}));
    }
    let error = format!("Incorrect HTTP method for uri [{path}] and method [{method}]");
    HttpResponse::build(status).json(json!({"error": error, "status": status.as_u16()}))
}
