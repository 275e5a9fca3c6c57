//! `/api/query/exp`: expressions over metrics that are joined by their tags.
//!
//! Spec: OpenTSDB HTTP API, query/exp. The series are held whole.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::JSON;
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::OpentsdbError;
use crate::query::opentsdb::duration::Duration;
use crate::query::opentsdb::expression::{
    Budget, FillWith, Formula, Join, Policy, Table, Variable, evaluate, gathered,
};
use crate::query::opentsdb::filter::TagFilter;
use crate::query::opentsdb::request::{Counts, Query, RawQuery, RawSubQuery};

use super::body::{FilterBody, Flag, Text};
use super::numbers::{push_float, push_integer};
use super::targets::targets;
use super::{asker, now_ms};

/// Metrics and expressions of a request, and outputs.
const PARTS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
struct ExpBody {
    time: Option<Time>,
    #[serde(default)]
    filters: Vec<FiltersBody>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    expressions: Vec<Expression>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Time {
    start: Text,
    end: Text,
    aggregator: Text,
    downsampler: Option<Downsampler>,
    rate: Flag,
    timezone: Text,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Downsampler {
    interval: String,
    aggregator: String,
    fill_policy: Option<Fill>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fill {
    policy: String,
    value: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FiltersBody {
    id: String,
    #[serde(default)]
    tags: Option<Vec<FilterBody>>,
    #[serde(default)]
    explicit_tags: Flag,
}

/// Filters that metrics share.
#[derive(Debug)]
struct Filters {
    id: String,
    tags: Vec<TagFilter>,
    explicit_tags: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    id: String,
    metric: String,
    #[serde(default)]
    filter: Option<String>,
    #[serde(default)]
    aggregator: Option<String>,
    #[serde(default)]
    fill_policy: Option<Fill>,
    #[serde(default)]
    time_offset: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expression {
    id: String,
    #[serde(default)]
    expr: String,
    #[serde(default)]
    join: Option<JoinBody>,
    #[serde(default)]
    fill_policy: Option<Fill>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JoinBody {
    operator: String,
    use_query_tags: Flag,
}

#[derive(Debug, Deserialize)]
struct Output {
    id: String,
    #[serde(default)]
    alias: Option<String>,
}

/// `POST /api/query/exp`.
pub(super) async fn serve(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Post])?;
    let echo: Json = call.json("Missing message content").await?;
    let (core, asker, now_ms) = (call.core.clone(), asker(&call), now_ms(&call));
    let made = call.core.runtime.spawn(async move {
        let body: ExpBody = serde_json::from_value(echo.clone()).map_err(|error| WireError::bad_json(&error))?;
        let mut body = checked(body)?;
        let filters = filters(std::mem::take(&mut body.filters))?;
        let parts = parts(&body, &filters, now_ms)?;
        let expressions = expressions(&body, &filters)?;
        let mut variables = BTreeMap::new();
        let mut budget = Budget::default();
        for part in parts {
            let targets = targets(&core.uids, &part.query.queries)?;
            let answer = core.queries.opentsdb(&asker, &part.query, &targets).await?;
            let mut series = gathered(answer.groups, 1, &mut budget).await?.pop().unwrap_or_default();
            let times = series.iter_mut().flat_map(|one| &mut one.points).map(|(time, _)| time);
            times.for_each(|time| *time = time.saturating_add(part.offset_ms));
            variables.insert(part.id, Variable { series, fill: part.fill });
        }
        let tables = evaluate(variables, &expressions)?;
        let outputs: Vec<(&str, Option<&str>)> = match body.outputs[..] {
            [] => expressions.iter().map(|(id, ..)| (id.as_str(), None)).collect(),
            _ => body.outputs.iter().map(|output| (output.id.as_str(), output.alias.as_deref())).collect(),
        };
        let mut shown = Budget::default();
        let mut out = b"{\"outputs\":[".to_vec();
        for (i, (id, alias)) in outputs.into_iter().enumerate() {
            let unknown = || WireError::bad_request(format!("unknown output: {id}"));
            let table = tables.get(id).ok_or_else(unknown)?;
            shown.take(table.points())?;
            if i > 0 {
                out.push(b',');
            }
            push_output(id, alias, table, &mut out);
        }
        out.extend_from_slice(b"],\"query\":");
        out.extend_from_slice(echo.to_string().as_bytes());
        out.push(b'}');
        Ok::<_, WireError>(out)
    });
    let body = made.await.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??;
    Ok(HttpResponse::Ok().content_type(JSON).body(body))
}

/// The original's checks, in its words.
fn checked(body: ExpBody) -> Result<ExpBody, WireError> {
    let refused = |text: &str| Err(WireError::bad_request(text));
    if body.time.is_none() {
        return refused("missing time");
    }
    if body.metrics.is_empty() {
        return refused("missing or empty metrics");
    }
    if body.expressions.is_empty() && body.outputs.is_empty() {
        return refused("missing or empty expressions");
    }
    if body.metrics.len() + body.expressions.len() > PARTS_MAX {
        return Err(WireError::bad_request(format!("a request may have {PARTS_MAX} metrics and expressions")));
    }
    if body.outputs.len() > PARTS_MAX {
        return Err(WireError::bad_request(format!("a request may have {PARTS_MAX} outputs")));
    }
    let ids = body.metrics.iter().map(|metric| &metric.id).chain(body.expressions.iter().map(|known| &known.id));
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if id.is_empty() {
            return refused("missing id");
        }
        if !seen.insert(id) {
            return Err(WireError::bad_request(format!("duplicated id: {id}")));
        }
    }
    Ok(body)
}

/// Refuses too many before it makes any.
fn filters(bodies: Vec<FiltersBody>) -> Result<Vec<Filters>, WireError> {
    let mut counts = Counts::default();
    bodies.iter().flat_map(|body| &body.tags).flatten().for_each(|filter| counts.add_filter(filter.kind()));
    counts.check()?;
    let made = |body: FiltersBody| {
        let tags = body.tags.unwrap_or_default().into_iter().map(FilterBody::made).collect::<Result<_, _>>()?;
        Ok(Filters { id: body.id, tags, explicit_tags: body.explicit_tags.0 })
    };
    let made: Result<_, serde_json::Error> = bodies.into_iter().map(made).collect();
    made.map_err(|error| WireError::bad_json(&error))
}

/// One metric's query.
struct Part {
    id: String,
    query: Query,
    fill: Option<FillWith>,
    /// By which its times are moved to meet the others.
    offset_ms: i64,
}

fn parts(body: &ExpBody, filters: &[Filters], now_ms: i64) -> Result<Vec<Part>, WireError> {
    let time = body.time.as_ref().ok_or_else(|| WireError::bad_request("missing time"))?;
    let downsample = time.downsampler.as_ref().map(|downsampler| {
        let fill = downsampler.fill_policy.as_ref().map(|fill| format!("-{}", fill.policy)).unwrap_or_default();
        format!("{}-{}{fill}", downsampler.interval, downsampler.aggregator)
    });
    let part = |metric: &Metric| {
        let filter = match &metric.filter {
            None => None,
            Some(id) => Some(filters.iter().find(|known| known.id == *id).ok_or_else(|| {
                WireError::bad_request(format!("unrecognized filter id {id} in metric {}", metric.id))
            })?),
        };
        let raw = RawSubQuery {
            aggregator: metric.aggregator.clone().or_else(|| time.aggregator.0.clone()).unwrap_or_default(),
            metric: Some(metric.metric.clone()),
            downsample: downsample.clone(),
            rate: time.rate.0,
            filters: filter.map(|known| known.tags.clone()).unwrap_or_default(),
            explicit_tags: filter.is_some_and(|known| known.explicit_tags),
            ..RawSubQuery::default()
        };
        let query = RawQuery {
            start: time.start.0.clone(),
            end: time.end.0.clone(),
            timezone: time.timezone.0.clone(),
            use_calendar: false,
            queries: vec![raw],
        };
        let mut query = query.validate(now_ms)?;
        let offset = metric.time_offset.as_deref().filter(|text| !text.is_empty() && *text != "0");
        let offset_ms = offset.map(|text| text.parse::<Duration>().map(Duration::millis)).transpose()?.unwrap_or(0);
        query.start_ms = query.start_ms.saturating_sub(offset_ms);
        query.end_ms = query.end_ms.saturating_sub(offset_ms);
        let fill = metric.fill_policy.as_ref().map(fill_with).transpose()?;
        Ok(Part { id: metric.id.clone(), query, fill, offset_ms })
    };
    body.metrics.iter().map(part).collect()
}

fn expressions(body: &ExpBody, filters: &[Filters]) -> Result<Vec<(String, Formula, Policy)>, WireError> {
    // Tags of the filters are those of the query.
    let query_tags = || filters.iter().flat_map(|known| known.tags.iter().map(|filter| filter.tagk.clone())).collect();
    let expression = |known: &Expression| {
        if known.expr.is_empty() {
            return Err(WireError::bad_request("missing or empty expr"));
        }
        let join = known.join.as_ref();
        let policy = Policy {
            join: match join.map(|join| join.operator.as_str()) {
                Some("intersection") => Join::Intersection,
                None | Some("" | "union") => Join::Union,
                Some(other) => return Err(WireError::bad_request(format!("Unrecognized set operator: {other}"))),
            },
            tags: join.filter(|join| join.use_query_tags.0).map(|_| query_tags()),
            fill: known.fill_policy.as_ref().map(fill_with).transpose()?,
        };
        Ok((known.id.clone(), Formula::parse(&known.expr)?, policy))
    };
    body.expressions.iter().map(expression).collect()
}

fn fill_with(fill: &Fill) -> Result<FillWith, OpentsdbError> {
    Ok(match (fill.policy.to_ascii_lowercase().as_str(), fill.value) {
        ("nan" | "null", _) => FillWith::Nan,
        ("zero" | "none" | "", _) => FillWith::Zero,
        ("scalar", Some(value)) => FillWith::Number(value),
        ("scalar", None) => return Err(OpentsdbError::Refused("The scalar fill policy needs a value".to_string())),
        _ => return Err(OpentsdbError::Refused(format!("Unrecognized fill policy: {}", fill.policy))),
    })
}

/// One result: rows of a time and the series' values, and what they are of.
fn push_output(id: &str, alias: Option<&str>, table: &Table, out: &mut Vec<u8>) {
    let mut head = json!({ "id": id });
    if let Some(alias) = alias {
        head["alias"] = alias.into();
    }
    let head = head.to_string();
    out.extend_from_slice(head.trim_end_matches('}').as_bytes());
    out.extend_from_slice(b",\"dps\":[");
    for (row, time) in table.times.iter().enumerate() {
        out.extend_from_slice(if row > 0 { b",[" } else { b"[" });
        push_integer(*time, out);
        for value in table.row(row) {
            out.push(b',');
            match value.is_finite() {
                true => push_float(value, out),
                false => out.extend_from_slice(b"\"NaN\""),
            }
        }
        out.push(b']');
    }
    let tags = |column: &crate::query::opentsdb::expression::Column| -> serde_json::Map<String, Json> {
        column.tags.iter().map(|(key, value)| (key.to_string(), value.as_ref().into())).collect()
    };
    let mut meta = vec![json!({ "index": 0, "metrics": ["timestamp"] })];
    for (at, column) in table.columns.iter().enumerate() {
        let metrics: Vec<&str> = column.metrics.iter().map(|metric| &**metric).collect();
        let aggregated: Vec<&str> = column.aggregated.iter().map(|key| &**key).collect();
        meta.push(json!({
            "index": at + 1, "metrics": metrics, "commonTags": tags(column), "aggregatedTags": aggregated,
        }));
    }
    let about = json!({
        "firstTimestamp": table.times.first().copied().unwrap_or_default(),
        "lastTimestamp": table.times.last().copied().unwrap_or_default(),
        "setCount": table.times.len(),
        "series": table.columns.len(),
    });
    out.extend_from_slice(format!("],\"dpsMeta\":{about},\"meta\":{}}}", Json::Array(meta)).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_all_lists_are_counted_before_they_are_made() {
        let check = |count: usize, expected: &str| {
            // None of them can be made.
            let list = json!({ "id": "f", "tags": [{ "type": "regexp", "tagk": "h", "filter": "(" }] });
            let bodies = serde_json::from_value(vec![list; count].into()).expect("filters");
            assert_eq!(filters(bodies).expect_err("a refusal").message(), expected);
        };
        check(32, "Unable to parse the given JSON");
        check(33, "33 regular expressions are more than the 32 that a request may have");
    }
}
