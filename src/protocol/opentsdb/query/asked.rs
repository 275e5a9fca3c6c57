//! What a request asks, and how it wants to be answered, from its query string or its body.

use actix_web::http::StatusCode;

use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params};
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::OpentsdbError;
use crate::query::opentsdb::metric_query::{parse_metric_query, parse_tsuid_query};
use crate::query::opentsdb::request::{RawQuery, RawSubQuery, check_counts};

use super::body::{QueryBody, made};

/// How groups are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Presentation {
    /// Points as arrays instead of members of an object.
    pub(super) arrays: bool,
    /// Times in milliseconds instead of seconds.
    pub(super) milliseconds: bool,
    pub(super) tsuids: bool,
    pub(super) query: bool,
    pub(super) stats: bool,
    pub(super) summary: bool,
    pub(super) annotations: bool,
    pub(super) global_annotations: bool,
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: RawQuery,
    pub(super) presentation: Presentation,
    /// The rows that are read are to be deleted.
    pub(super) is_delete: bool,
}

impl Asked {
    pub(super) async fn of(call: &mut Call) -> Result<Asked, WireError> {
        call.allow(&[Verb::Get, Verb::Post, Verb::Delete])?;
        let is_delete = call.overridden_verb()? == Verb::Delete;
        let mut asked = match call.verb {
            Verb::Post => {
                let body = call.json("Missing message content").await?;
                // Making filters may be work, which the HTTP worker has no time for.
                let made = call.core.runtime.spawn(async move { Asked::of_body(body) }).await;
                made.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??
            }
            _ => Asked::of_params(&call.params)?,
        };
        asked.is_delete |= is_delete;
        asked.presentation.arrays = call.params.has("arrays");
        if asked.is_delete && !call.door.options.allow_delete {
            let details = "Deleting data is not enabled (tsd.http.query.allow_delete=false)";
            return Err(WireError::with_status(StatusCode::BAD_REQUEST, "Bad request").details(details));
        }
        Ok(asked)
    }

    pub(super) fn of_params(params: &Params) -> Result<Asked, WireError> {
        let start = params.required("start")?.to_string();
        let mut queries: Vec<RawSubQuery> = Vec::new();
        let over_tsuids = params.all("tsuid").map(parse_tsuid_query);
        for query in over_tsuids.chain(params.all("m").map(parse_metric_query)) {
            let query = query?;
            // Said twice it is meant once.
            if !queries.contains(&query) {
                queries.push(query);
                check_counts(queries.len(), 0)?;
            }
        }
        if queries.is_empty() {
            return Err(WireError::bad_request("Missing sub queries"));
        }
        let query =
            RawQuery { start: Some(start), end: params.get("end").map(str::to_string), queries, ..RawQuery::default() };
        Ok(Asked { query, presentation: Asked::presentation_of(params), is_delete: false })
    }

    pub(super) fn presentation_of(params: &Params) -> Presentation {
        Presentation {
            arrays: params.has("arrays"),
            milliseconds: params.has("ms"),
            tsuids: params.has("show_tsuids"),
            query: params.has("show_query"),
            stats: params.has("show_stats"),
            summary: params.has("show_summary"),
            annotations: !params.has("no_annotations"),
            global_annotations: params.has("global_annotations"),
        }
    }

    fn of_body(body: QueryBody) -> Result<Asked, WireError> {
        let queries = made(body.queries.unwrap_or_default())?;
        Ok(Asked {
            query: RawQuery {
                start: body.start.0,
                end: body.end.0,
                timezone: body.timezone.0,
                use_calendar: body.use_calendar.0,
                queries,
            },
            presentation: Presentation {
                arrays: false,
                milliseconds: body.ms_resolution.0,
                tsuids: body.show_tsuids.0,
                query: body.show_query.0,
                stats: body.show_stats.0,
                summary: body.show_summary.0,
                annotations: !body.no_annotations.0,
                global_annotations: body.global_annotations.0,
            },
            is_delete: body.delete.0,
        })
    }
}

impl From<OpentsdbError> for WireError {
    fn from(error: OpentsdbError) -> Self {
        use crate::model::Classify;
        match error {
            OpentsdbError::Query(error) => error.into(),
            error => WireError::new(error.kind(), error.to_string()),
        }
    }
}
