//! `/api/query` and what is below it, and the 1.x `/q`.
//!
//! Spec: OpenTSDB 2.4 HTTP API, query. Left out: pictures and meta data of plots under `/q`.
//!
//! | file | what it is for |
//! |---|---|
//! | [`asked`], [`body`] | requests, from the query string or a body |
//! | [`run`], [`notes`] | running one and sending what comes, with annotations |
//! | [`last`], [`gexp`], [`exp`] | the end points below |
//! | [`writer`], [`ascii`], [`numbers`] | what is sent |

mod ascii;
mod asked;
mod body;
mod exp;
mod gexp;
mod last;
mod notes;
mod numbers;
mod run;
mod targets;
mod writer;

use actix_web::HttpResponse;

use crate::model::names::DEFAULT_TENANT;
use crate::query::opentsdb::execute::Asker;

use super::error::WireError;
use super::request::Call;
use asked::Asked;
use run::Shape;

pub(super) use targets::tsuids_of_series;

/// `/api/query`, `/api/query/last`, `/api/query/exp`, `/api/query/gexp`.
pub(super) async fn serve(mut call: Call) -> Result<HttpResponse, WireError> {
    match call.rest.first().map(|part| part.to_ascii_lowercase()).as_deref() {
        Some("last") => last::serve(call).await,
        Some("gexp") => gexp::serve(call).await,
        Some("exp") => exp::serve(call).await,
        _ => {
            let asked = Asked::of(&mut call).await?;
            run::respond(&call, asked, Shape::Json).await
        }
    }
}

/// `/q`: as `GET /api/query`, with `ascii` a line a point. The other forms are for a page that is not here.
pub(super) async fn serve_of_old(call: Call) -> Result<HttpResponse, WireError> {
    let asked = call.aside(Asked::of_params).await?;
    if !call.params.has("ascii") {
        return Err(WireError::bad_request("Only plain text is served here, ask for it with &ascii"));
    }
    run::respond(&call, asked, Shape::Ascii).await
}

/// Whose names a request uses, and of them those that it may.
pub(super) fn asker(call: &Call) -> Asker {
    Asker {
        tenant: DEFAULT_TENANT.to_string(),
        database: call.door.options.database.clone(),
        readable: call.principal.sql_asker(DEFAULT_TENANT, &call.core.catalog.state()).readable,
    }
}

/// The instant that `now` means, milliseconds since 1970.
fn now_ms(call: &Call) -> i64 {
    (call.core.ingest.clock)().div_euclid(1_000_000)
}
