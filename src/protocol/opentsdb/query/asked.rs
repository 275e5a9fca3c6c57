//! What a request asks, and how it wants to be answered, from its query string or its body.

use std::collections::HashSet;

use actix_web::http::StatusCode;

use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params};
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::OpentsdbError;
use crate::query::opentsdb::metric_query::{parse_metric_query, parse_tsuid_query};
use crate::query::opentsdb::request::{Counts, RawQuery, RawSubQuery};

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
                call.aside(move |_| Asked::of_body(body)).await?
            }
            _ => call.aside(Asked::of_params).await?,
        };
        asked.is_delete |= is_delete;
        asked.presentation.arrays = call.params.has("arrays");
        if asked.is_delete && !call.door.options.allow_delete {
            let details = "Deleting data is not enabled (tsd.http.query.allow_delete=false)";
            return Err(WireError::with_status(StatusCode::BAD_REQUEST, "Bad request").details(details));
        }
        Ok(asked)
    }

    /// Makes filters, so it is for [`Call::aside`].
    pub(super) fn of_params(params: &Params) -> Result<Asked, WireError> {
        let start = params.required("start")?.to_string();
        let mut queries: Vec<RawSubQuery> = Vec::new();
        let mut counts = Counts::default();
        // Said twice it is meant once, and in the same words made once.
        let mut said = HashSet::new();
        let over_tsuids = params.all("tsuid").map(parse_tsuid_query);
        let over_metrics = params.all("m").filter(|text| said.insert(*text));
        for query in over_tsuids.chain(over_metrics.map(|text| parse_metric_query(text, &mut counts))) {
            let query = query?;
            if !queries.contains(&query) {
                queries.push(query);
                Counts { queries: queries.len(), ..Counts::default() }.check()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_all_sub_queries_are_counted_before_they_are_made() {
        let check = |queries: &[String], expected: Result<usize, &str>| {
            let asked = Asked::of_params(&Params::parse(&format!("start=1&m={}", queries.join("&m="))));
            let found = asked.map(|asked| asked.query.queries.len());
            assert_eq!(found.as_ref().map_err(WireError::message), expected.as_ref().map_err(|text| *text));
        };
        let mut queries: Vec<String> = (0..32).map(|i| format!("sum:m{{a=regexp({i})}}")).collect();
        queries.extend(queries.clone());
        check(&queries, Ok(32));
        // One that could not be made.
        queries.push("sum:m{a=regexp(()}".to_string());
        check(&queries, Err("33 regular expressions are more than the 32 that a request may have"));
    }
}
