//! What InfluxDB 1.8 answers of InfluxDB 2's API, so that clients of both work: a bucket is `database/retention-policy`, or a
//! database with its default policy. (`/api/v2/write` is beside `/write`, which it shares everything with.)
//!
//! Spec: InfluxDB 1.8, InfluxDB 2.x API compatibility endpoints. Left out: making and dropping buckets, Flux.

mod buckets;
mod delete;
mod predicate;

use actix_web::http::Method;

use crate::protocol::routes::Routes;

/// Paths of this door.
pub(super) const PATHS: [&str; 2] = ["/api/v2/buckets", "/api/v2/delete"];

pub(super) fn routes(routes: &mut Routes<'_>) {
    let [buckets, delete] = PATHS;
    routes.checked(&[Method::GET], buckets, buckets::list).checked(&[Method::POST], delete, delete::delete);
}
