//! InfluxDB 1.8's HTTP API (and of 2.x the write endpoint, as 1.8 has it).
//!
//! Spec: InfluxDB 1.8 API reference; behaviour as its server's. Left out for now: Prometheus remote read and write,
//! Flux.

mod accept;
mod answer;
mod authorization;
mod bind;
pub mod continuous;
mod credentials;
pub mod debug;
pub mod diagnostics;
pub mod error;
pub mod headers;
mod into;
mod ping;
mod query;
mod refusal;
mod statements;
mod statistics;
pub mod tracker;
mod v2;
mod v3;
mod write;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};

pub use headers::VERSION;

use super::request_id;
use crate::protocol::routes::{READS, Routes};

use headers::RequestId;

/// Paths that this protocol serves on every listener.
pub const PATHS: &[&str] = &[
    "/ping",
    "/status",
    "/query",
    "/write",
    "/api/v2/write",
    "/debug/vars",
    "/debug/requests",
    v2::PATHS[0],
    v2::PATHS[1],
    v3::PATHS[0],
    v3::PATHS[1],
    v3::PATHS[2],
];

const ALLOWED_METHODS: &str = "DELETE, GET, OPTIONS, POST, PUT";
const ALLOWED_HEADERS: &str =
    "Accept, Accept-Encoding, Authorization, Content-Length, Content-Type, X-CSRF-Token, X-HTTP-Method-Override";
const EXPOSED_HEADERS: &str = "Date, X-InfluxDB-Version, X-InfluxDB-Build";

pub fn routes(routes: &mut Routes<'_>) {
    routes
        .open(READS, "/ping", ping::ping)
        .open(READS, "/status", ping::ping)
        .checked(&[Method::GET, Method::POST], "/query", query::query)
        .checked(&[Method::POST], "/write", write::write)
        .checked(&[Method::POST], "/api/v2/write", write::write_v2);
    routes.checked(&[Method::GET], "/debug/vars", debug::vars).checked(
        &[Method::GET],
        "/debug/requests",
        debug::requests,
    );
    v2::routes(routes);
    v3::routes(routes);
    for path in PATHS {
        routes.open(&[Method::OPTIONS], path, preflight);
    }
}

/// What InfluxDB's router answers for unknown paths (404) and wrong methods (405).
pub fn router_error(status: StatusCode) -> HttpResponse {
    let text = if status == StatusCode::NOT_FOUND { "404 page not found\n" } else { "Method Not Allowed\n" };
    let mut response = HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(text);
    headers::stamp_version(response.headers_mut());
    response
}

/// What a path answers that nobody said a rule for, with authentication on.
pub fn unauthenticated() -> HttpResponse {
    credentials::unreadable().into_response(error::ErrorForm::Json)
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

/// The address that a request came from.
fn peer(request: &HttpRequest) -> Option<std::net::IpAddr> {
    crate::protocol::peer::address(request).map(|address| address.ip())
}

fn is_get(request: &HttpRequest) -> bool {
    request.method() == Method::GET
}
