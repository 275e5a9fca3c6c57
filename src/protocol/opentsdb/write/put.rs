//! `/api/put`.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::protocol::format::opentsdb::Layout;
use crate::protocol::format::opentsdb::json::{self as put_json, BadPoint, BodyProblem, Options, Purpose};
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params, lossy};
use crate::protocol::opentsdb::response::{json_with, no_content};
use crate::protocol::opentsdb::verb::Verb;

use super::store;

/// How a client wants to hear what became of its points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    summary: bool,
    pub(super) details: bool,
    /// The client's patience, and that it wants to read of time-outs.
    sync_timeout: Option<Duration>,
}

impl Flags {
    pub(super) fn of(params: &Params) -> Result<Flags, WireError> {
        let sync_timeout = match params.get("sync_timeout") {
            None => 0,
            Some(text) => {
                let refuse = |_| WireError::bad_request(format!("Unable to parse sync_timeout {text:?} as a number"));
                text.parse::<i32>().map_err(refuse)?
            }
        };
        let sync_timeout = u64::try_from(sync_timeout).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        Ok(Flags { summary: params.has("summary"), details: params.has("details"), sync_timeout })
    }

    /// The answer for `good` and `bad` points, `errors` in the order of the request.
    pub(super) fn answer(self, good: usize, bad: usize, errors: Vec<BadPoint>) -> HttpResponse {
        let status = if bad == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let mut summary = json!({ "success": good, "failed": bad });
        if self.sync_timeout.is_some() {
            summary["timeouts"] = 0.into();
        }
        if self.details {
            let error = |bad: BadPoint| json!({ "datapoint": bad.datapoint, "error": bad.error });
            summary["errors"] = errors.into_iter().map(error).collect::<Vec<Value>>().into();
        }
        json_with(status, &summary)
    }

    pub(super) fn wants_summary(self) -> bool {
        self.summary || self.details
    }
}

/// `POST /api/put`: one point or an array of them.
///
/// Query: `summary`, `details`: what the answer says; `sync_timeout`: milliseconds the client waits (every answer is sent after the
/// points are on disk, with `sync` or without). Good points of a body are stored beside bad ones. Replies 204 when all were, 200 with
/// a summary where one was asked for, 400 when some were not.
/// Spec: OpenTSDB HTTP API, `/api/put`.
pub(in crate::protocol::opentsdb) async fn put(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Post])?;
    let flags = Flags::of(&call.params)?;
    let body = call.body().await?;
    let body = lossy(&body);
    let (core, options) = (&call.core, &call.door.options);
    let state = core.catalog.state();
    let may_write = |metric: &str| store::exists(core, &state, &options.database, metric);
    let may_write = if options.auto_create_metrics { None } else { Some(&may_write as _) };
    let read = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write, keep_bad: flags.details };
    let mut parsed = put_json::parse(&body, read)?;
    let rows = parsed.points.rows();
    core.ingest.metrics.points_rejected.inc_by(parsed.bad_count as u64);

    let stored = store::store(core, &options.database, parsed.points);
    let receipt = match flags.sync_timeout {
        None => stored.await?,
        Some(patience) => match tokio::time::timeout(patience, stored).await {
            Ok(receipt) => receipt?,
            Err(_) => return Err(timed_out(parsed.bad_count, rows)),
        },
    };
    let mut bad_count = parsed.bad_count;
    if let Some(rejection) = &receipt.rejected.first {
        // A table of another protocol's that has other columns than a metric.
        bad_count += receipt.rejected.points;
        parsed.bad.push(BadPoint { datapoint: Value::Null, error: rejection.to_string() });
    }
    if flags.wants_summary() {
        return Ok(flags.answer(receipt.taken, bad_count, parsed.bad));
    }
    if bad_count > 0 {
        return Err(WireError::bad_request("One or more data points had errors")
            .details("Please see the TSD logs or append \"details\" to the put request"));
    }
    Ok(no_content())
}

fn timed_out(failed: usize, waiting: usize) -> WireError {
    WireError::bad_request(format!(
        "The put call has timedout with 0 successful writes, {failed} failed writes and {waiting} timed out writes."
    ))
}

impl From<BodyProblem> for WireError {
    fn from(problem: BodyProblem) -> Self {
        let error = WireError::bad_request(problem.to_string());
        match problem {
            BodyProblem::Unreadable(at) => error.details(at.to_string()),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_of_the_clients_is_a_number_of_milliseconds() {
        let timeout = |query: &str| Flags::of(&Params::parse(query)).map(|flags| flags.sync_timeout);
        assert_eq!(timeout("sync").unwrap(), None);
        assert_eq!(timeout("sync_timeout=0").unwrap(), None);
        assert_eq!(timeout("sync_timeout=-5").unwrap(), None);
        assert_eq!(timeout("sync_timeout=250").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(timeout("sync_timeout=x").unwrap_err().status(), 400);
    }
}
