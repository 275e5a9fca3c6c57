//! OpenTSDB's HTTP API and, in [`telnet`], its line protocol.
//!
//! Spec: OpenTSDB 2.4's HTTP API; behaviour as its server's. Left out: trees, the graphical interface, search plug-ins,
//! `/diediedie`. A metric is a table of the database that the settings name, see [`crate::model::metric`].

mod authorization;
mod cors;
pub mod error;
mod legacy;
mod metadata;
mod query;
mod request;
mod response;
mod router;
mod stats;
pub mod telnet;
mod verb;
mod write;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, guard};

use crate::protocol::recent_log::RecentLog;
use crate::protocol::routes::Routes;
use crate::protocol::{Gate, RequestLimits};

use router::Path;
use stats::Stats;

/// What the settings say about this protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where metrics are tables.
    pub database: String,
    /// Origins that browsers may ask from: none, `*`, or each by name.
    pub cors_domains: Vec<String>,
    /// Whether a point may make a new metric.
    pub auto_create_metrics: bool,
    /// Whether queries may delete.
    pub allow_delete: bool,
    /// Whether error objects say what caused the error.
    pub show_stack_trace: bool,
}

/// What every request of this protocol, on whatever listener, shares.
#[derive(Debug)]
pub struct Door {
    pub options: Options,
    /// What `/logs` shows.
    recent_log: Arc<RecentLog>,
    stats: Stats,
}

impl Door {
    pub fn new(options: Options, recent_log: Arc<RecentLog>) -> Self {
        Door { options, recent_log, stats: Stats::default() }
    }
}

/// Serves every path that is this protocol's wherever it is asked. Must come after the routes of all other protocols.
pub fn routes(routes: &mut Routes<'_>) {
    let ours = guard::fn_guard(|context| Path::parse(context.head().uri.path()).is_ours_everywhere());
    let verbs = &[Method::GET, Method::POST, Method::PUT, Method::DELETE];
    routes.checked_where(ours, verbs, "/{opentsdb:.*}", Path::examples(), serve);
}

/// Serves the paths that are this protocol's on its own listener only: elsewhere an index may be called `logs`.
pub fn home_routes(routes: &mut Routes<'_>) {
    routes.checked(&[Method::GET, Method::POST], "/logs", serve);
}

async fn serve(
    request: HttpRequest,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    door: Data<Door>,
) -> HttpResponse {
    router::serve(request, payload, &gate, &limits, door).await
}

/// Answers what no route claims at the listener whose home protocol this is. `is_known`: the path is one of another protocol's,
/// asked with a verb that it does not take.
pub async fn unclaimed(request: HttpRequest, door: Data<Door>, is_known: bool) -> HttpResponse {
    router::unclaimed(request, door, is_known).await
}
