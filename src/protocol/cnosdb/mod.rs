//! CnosDB's REST API.
//!
//! Spec: the CnosDB 2.4 server and its REST documentation. Left out for now: of SQL streams; they say so.

pub mod accept;
mod authorization;
mod changes;
mod copies;
mod ddl;
pub mod error;
mod logs;
mod opentsdb;
mod params;
mod ping;
mod retag;
mod shippers;
mod sql;
mod users;
mod write;

use actix_web::HttpResponse;
use actix_web::http::Method;

use crate::protocol::routes::{READS, Routes};

/// Paths that this protocol serves on every listener.
pub const PATHS: &[&str] = &[
    "/api/v1/es",
    "/api/v1/es/_bulk",
    "/api/v1/es/_license",
    "/api/v1/es/write",
    "/api/v1/opentsdb/put",
    "/api/v1/opentsdb/write",
    "/api/v1/ping",
    "/api/v1/sql",
    "/api/v1/write",
];

/// What shippers send to what is the same for everyone.
const ANY: &[Method] = &[Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];

/// What a path answers that nobody said a rule for, with authentication on.
pub fn unauthenticated() -> HttpResponse {
    error::WireError::authorization_missing().into_response()
}

pub fn routes(routes: &mut Routes<'_>) {
    routes
        .open(READS, "/api/v1/ping", ping::ping)
        .checked(&[Method::POST], "/api/v1/sql", sql::sql)
        .checked(&[Method::POST], "/api/v1/write", write::write)
        .checked(&[Method::POST], "/api/v1/opentsdb/write", opentsdb::lines)
        .checked(&[Method::POST], "/api/v1/opentsdb/put", opentsdb::document)
        .checked(&[Method::POST], "/api/v1/es/_bulk", logs::bulk)
        .checked(&[Method::POST], "/api/v1/es/write", logs::write)
        .open(READS, "/api/v1/es", shippers::version)
        .open(READS, "/api/v1/es/_license", shippers::license);
    for path in ["_ingest", "_nodes", "_ilm/policy", "_index_template"] {
        routes.open(ANY, &format!("/api/v1/es/{path}"), shippers::nothing);
        routes.open(ANY, &format!("/api/v1/es/{path}/{{part:.*}}"), shippers::nothing);
    }
}
