//! Roll-ups and histograms: as a server says that neither was configured for.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::protocol::format::opentsdb::Layout;
use crate::protocol::format::opentsdb::json::{self as put_json, Options, Purpose};
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, lossy};
use crate::protocol::opentsdb::verb::Verb;

use super::put::Flags;

/// `POST /api/rollup`: read and checked like points of `/api/put`, and then each of them is refused.
pub(in crate::protocol::opentsdb) async fn rollup(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Post])?;
    let flags = Flags::of(&call.params)?;
    let body = call.body().await?;
    let body = lossy(&body);
    let read = Options { layout: Layout::METRIC, purpose: Purpose::Rollup, may_write: None, keep_bad: flags.details };
    let parsed = put_json::parse(&body, read)?;
    if flags.wants_summary() {
        return Ok(flags.answer(0, parsed.bad_count, parsed.bad));
    }
    Err(WireError::bad_request("One or more data points had errors")
        .details("Please see the TSD logs or append \"details\" to the put request"))
}

/// `POST /api/histogram`.
pub(in crate::protocol::opentsdb) fn histogram(call: &Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Post])?;
    Err(WireError::with_status(
        StatusCode::SERVICE_UNAVAILABLE,
        "Histogram storage has not been enabled. Check the 'tsd.core.histograms.config' configuration.",
    ))
}
