//! `/api/query/last`: the newest point of each series that is asked for.
//!
//! Spec: OpenTSDB HTTP API, query/last. Departure: the points come from the rows, so that back-filled ones count too.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::{Call, Params};
use crate::protocol::opentsdb::response::json;
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::answer::{TagSet, Value};
use crate::query::opentsdb::execute::Target;
use crate::query::opentsdb::filter::TagFilter;
use crate::query::opentsdb::last::LastPoint;
use crate::query::opentsdb::metric_query::parse_metric;
use crate::query::opentsdb::request::{Counts, QUERIES_MAX};

use super::body::{Flag, Text};
use super::numbers::float_text;
use super::targets::{named, tsuids_of_series};
use super::{asker, now_ms};

const HOUR_MS: i64 = 3_600_000;
/// Tags of all sub queries of a request.
const TAGS_MAX: usize = 10_000;

/// Series that are asked for.
#[derive(Debug)]
enum Wanted {
    /// Those of a metric with these tags, and whatever others.
    Metric {
        metric: String,
        tags: BTreeMap<String, String>,
    },
    Tsuid(String),
}

#[derive(Debug, Default)]
struct LastQuery {
    wanted: Vec<Wanted>,
    resolve: bool,
    /// Hours; 0: any time.
    back_scan: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LastBody {
    queries: Option<Vec<LastSub>>,
    resolve_names: Flag,
    back_scan: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LastSub {
    metric: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    tsuids: Option<Vec<String>>,
}

/// `GET|POST /api/query/last`.
pub(super) async fn serve(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let asked = match call.verb {
        Verb::Post => of_body(call.json("Missing message content").await?)?,
        _ => call.aside(of_params).await?,
    };
    if asked.wanted.is_empty() {
        return Err(WireError::bad_request("Missing sub queries"));
    }
    if asked.wanted.len() > QUERIES_MAX {
        return Err(WireError::bad_request(format!("A request may have {QUERIES_MAX} sub queries")));
    }
    let tags = |wanted: &Wanted| if let Wanted::Metric { tags, .. } = wanted { tags.len() } else { 0 };
    if asked.wanted.iter().map(tags).sum::<usize>() > TAGS_MAX {
        return Err(WireError::bad_request(format!("A request may have {TAGS_MAX} tags")));
    }
    let core = call.core.clone();
    let (asker, now_ms) = (asker(&call), now_ms(&call));
    let points = call.core.runtime.spawn(async move {
        let since_ms = (asked.back_scan > 0).then(|| now_ms.saturating_sub(asked.back_scan.saturating_mul(HOUR_MS)));
        let mut points: Vec<LastPoint> = Vec::new();
        for wanted in &asked.wanted {
            let (target, filters) = match wanted {
                Wanted::Tsuid(text) => {
                    let (metric, mut tags) = named(&core.uids, text)?;
                    tags.sort_unstable();
                    (Target { metric, members: Some(vec![tags]) }, Vec::new())
                }
                Wanted::Metric { metric, tags } => {
                    let exact = |tags: &BTreeMap<String, String>| -> TagSet {
                        tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
                    };
                    // One series, all of whose tags are given.
                    let members = since_ms.map(|_| vec![exact(tags)]);
                    let filter = |(key, value): (&String, &String)| TagFilter::literal_or(key, value);
                    let metric = metric.as_str().into();
                    (Target { metric, members }, tags.iter().map(filter).collect())
                }
            };
            let held = points.len();
            points.extend(core.queries.opentsdb_last(&asker, &target, &filters, since_ms, held).await?);
        }
        let series: Vec<_> = points.iter().map(|point| (&*point.metric, &point.tags)).collect();
        let tsuids = tsuids_of_series(&core.uids, &series).await?;
        let shown = points.iter().zip(tsuids).map(|(point, tsuid)| shown(point, tsuid, asked.resolve));
        Ok::<_, WireError>(shown.collect::<Vec<Json>>())
    });
    let points = points.await.map_err(|error| WireError::new(crate::model::Kind::Internal, error.to_string()))??;
    Ok(json(&points))
}

fn of_params(params: &Params) -> Result<LastQuery, WireError> {
    let mut wanted = Vec::new();
    let mut counts = Counts::default();
    for text in params.all("timeseries") {
        // All tags of a request have a limit of their own.
        counts.filters = 0;
        let (metric, filters) = parse_metric(text, &mut counts)?;
        let tags = filters.into_iter().map(|filter| (filter.tagk, filter.filter)).collect();
        wanted.push(Wanted::Metric { metric, tags });
    }
    for list in params.all("tsuids") {
        wanted.extend(list.split(',').map(|tsuid| Wanted::Tsuid(tsuid.to_string())));
    }
    let back_scan = params.get("back_scan").map(hours).transpose()?.unwrap_or_default();
    checked(LastQuery { wanted, resolve: params.has("resolve"), back_scan })
}

fn of_body(body: LastBody) -> Result<LastQuery, WireError> {
    let mut wanted = Vec::new();
    for sub in body.queries.unwrap_or_default() {
        wanted.extend(sub.tsuids.unwrap_or_default().into_iter().map(Wanted::Tsuid));
        if let Some(metric) = sub.metric {
            wanted.push(Wanted::Metric { metric, tags: sub.tags.unwrap_or_default() });
        }
    }
    let back_scan = body.back_scan.0.as_deref().map(hours).transpose()?.unwrap_or_default();
    checked(LastQuery { wanted, resolve: body.resolve_names.0, back_scan })
}

fn hours(text: &str) -> Result<i64, WireError> {
    text.parse().map_err(|_| WireError::bad_request("Unable to parse back_scan parameter"))
}

/// Looking back from now means one series each, so its tags must be given.
fn checked(query: LastQuery) -> Result<LastQuery, WireError> {
    let without_tags = |wanted: &Wanted| matches!(wanted, Wanted::Metric { tags, .. } if tags.is_empty());
    if query.back_scan > 0 && query.wanted.iter().any(without_tags) {
        return Err(WireError::bad_request("Tags cannot be null or empty when getting a TSUID"));
    }
    Ok(query)
}

fn shown(point: &LastPoint, tsuid: String, resolve: bool) -> Json {
    let mut shown = Map::new();
    if resolve {
        shown.insert("metric".to_string(), point.metric.as_ref().into());
    }
    shown.insert("timestamp".to_string(), point.time_ms.into());
    let value = match point.value {
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => float_text(value),
    };
    shown.insert("value".to_string(), value.into());
    if resolve {
        let tags = point.tags.iter().map(|(key, value)| (key.to_string(), Json::from(value.as_ref())));
        shown.insert("tags".to_string(), Json::Object(tags.collect()));
    }
    shown.insert("tsuid".to_string(), tsuid.into());
    Json::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_all_series_are_counted_before_they_are_made() {
        let check = |series: &[String], expected: Result<usize, &str>| {
            let asked = of_params(&Params::parse(&format!("timeseries={}", series.join("&timeseries="))));
            let found = asked.map(|asked| asked.wanted.len());
            assert_eq!(found.as_ref().map_err(WireError::message), expected.as_ref().map_err(|text| *text));
        };
        let mut series: Vec<String> = (0..32).map(|i| format!("m{{a=regexp({i})}}")).collect();
        check(&series, Ok(32));
        // One that could not be made.
        series.push("m{a=regexp(()}".to_string());
        check(&series, Err("33 regular expressions are more than the 32 that a request may have"));
    }
}
