//! CnosDB's REST API.
//!
//! Spec: the CnosDB 2.4 server and its REST documentation. Left out for now: OpenTSDB and log documents, and of SQL
//! everything that changes data; they say so.

pub mod accept;
mod authorization;
mod ddl;
pub mod error;
mod params;
mod ping;
mod sql;
mod users;
mod write;

use actix_web::HttpResponse;
use actix_web::http::Method;

use crate::protocol::routes::{READS, Routes};

/// Paths that this protocol serves on every listener.
pub const PATHS: &[&str] = &["/api/v1/ping", "/api/v1/sql", "/api/v1/write"];

/// What a path answers that nobody said a rule for, with authentication on.
pub fn unauthenticated() -> HttpResponse {
    error::WireError::authorization_missing().into_response()
}

pub fn routes(routes: &mut Routes<'_>) {
    routes.open(READS, "/api/v1/ping", ping::ping).checked(&[Method::POST], "/api/v1/sql", sql::sql).checked(
        &[Method::POST],
        "/api/v1/write",
        write::write,
    );
}
