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
mod write;

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

/// Paths that this protocol serves on every listener.
pub const PATHS: &[&str] = &["/api/v1/ping", "/api/v1/sql", "/api/v1/write"];

pub fn routes(app: &mut ServiceConfig) {
    let reads = guard::Any(guard::Get()).or(guard::Head());
    app.service(web::resource("/api/v1/ping").guard(reads).to(ping::ping))
        .service(web::resource("/api/v1/sql").guard(guard::Post()).to(sql::sql))
        .service(web::resource("/api/v1/write").guard(guard::Post()).to(write::write));
}
