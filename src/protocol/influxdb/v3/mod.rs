//! InfluxDB 3's way to the same data: writes, and queries in SQL and InfluxQL whose rows come as JSON, lines of JSON, CSV, a drawn
//! table or Parquet.
//!
//! Spec: InfluxDB 3 Core HTTP API. Left out: its configuration endpoints and Flight. Other than there a statement that cannot be
//! planned is 400 and not 500, everything is synced before it is answered (`no_sync` changes nothing), and names of databases follow
//! this gateway's rules.

mod format;
mod influxql;
mod query;
mod refusal;
mod rows;
mod sql;
mod write;

use actix_web::http::Method;

use crate::protocol::routes::Routes;

/// Paths of this door.
pub(super) const PATHS: [&str; 3] = ["/api/v3/write_lp", "/api/v3/query_sql", "/api/v3/query_influxql"];

pub(super) fn routes(routes: &mut Routes<'_>) {
    let [write, sql, influxql] = PATHS;
    routes
        .checked(&[Method::POST], write, write::write)
        .checked(&[Method::GET, Method::POST], sql, sql::query)
        .checked(&[Method::GET, Method::POST], influxql, influxql::query);
}
