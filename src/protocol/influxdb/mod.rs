//! InfluxDB 1.8's HTTP API (and of 2.x the write endpoint, as 1.8 has it).
//!
//! Spec: InfluxDB 1.8 API reference; behaviour as its server's. Left out for now: SELECT, EXPLAIN, SHOW STATS and SHOW DIAGNOSTICS in InfluxQL
//! (which say so), Prometheus remote read and write, Flux.

mod accept;
mod answer;
mod bind;
pub mod continuous;
pub mod error;
pub mod headers;
mod into;
mod ping;
mod query;
mod refusal;
mod statements;
mod write;

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard};

pub use headers::VERSION;

use super::request_id;
use headers::RequestId;

/// Paths that this protocol serves on every listener.
pub const PATHS: &[&str] = &["/ping", "/status", "/query", "/write", "/api/v2/write"];

const ALLOWED_METHODS: &str = "DELETE, GET, OPTIONS, POST, PUT";
const ALLOWED_HEADERS: &str =
    "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, X-HTTP-Method-Override";
const EXPOSED_HEADERS: &str = "Date, X-InfluxDB-Version, X-InfluxDB-Build";

pub fn routes(app: &mut ServiceConfig) {
    let reads = || guard::Any(guard::Get()).or(guard::Head());
    let query_methods = || guard::Any(guard::Get()).or(guard::Post());
    app.service(web::resource("/ping").guard(reads()).to(ping::ping))
        .service(web::resource("/status").guard(reads()).to(ping::ping))
        .service(web::resource("/query").guard(query_methods()).to(query::query))
        .service(web::resource("/write").guard(guard::Post()).to(write::write))
        .service(web::resource("/api/v2/write").guard(guard::Post()).to(write::write_v2));
    for path in PATHS {
        app.service(web::resource(*path).guard(guard::Options()).to(preflight));
    }
}

/// What InfluxDB's router answers for unknown paths (404) and wrong methods (405).
pub fn router_error(status: StatusCode) -> HttpResponse {
    let text = if status == StatusCode::NOT_FOUND { "404 page not found\n" } else { "Method Not Allowed\n" };
    let mut response = HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text);
    headers::stamp_version(response.headers_mut());
    response
}

/// Answers `OPTIONS` of any path of ours.
async fn preflight(request: HttpRequest) -> HttpResponse {
    stamped(&request, HttpResponse::Ok().finish())
}

/// The headers that every answer of this protocol carries: request id, version, and for browsers CORS.
fn stamped(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    RequestId::of(request.headers(), request_id::fresh).stamp(response.headers_mut());
    headers::stamp_version(response.headers_mut());
    if let Some(origin) = request.headers().get(header::ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let fixed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS),
        ];
        for (name, value) in fixed {
            headers.insert(name, header::HeaderValue::from_static(value));
        }
    }
    response
}

/// What a request is called in log lines: never with its query string.
fn is_get(request: &HttpRequest) -> bool {
    request.method() == Method::GET
}
