//! `/api/search/lookup`: series by metric and tags. The other searches need a plug-in that a server may have; here it has none.

use std::time::Instant;

use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::query::tsuids_of_series;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response;
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::lookup::{FoundSeries, LookupError, WantedTag};

use super::asker;

const LIMIT_DEFAULT: usize = 25;
/// Series that one answer may hold.
const LIMIT_MAX: usize = 1_000_000;
/// Tags that a look-up may name.
const TAGS_MAX: usize = 1_000;

/// A tag as it was asked for; what is open is `*` or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    key: Option<String>,
    value: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    metric: Option<String>,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    limit: Option<i64>,
    start_index: Option<i64>,
}

/// `GET|POST /api/search/KIND`.
///
/// Of the lookup: `m=METRIC{KEY=VALUE,…}`, either side open (`*`, or nothing), `limit` (default 25); or a body with the same. A body
/// counts before the query string, whatever the verb. Replies the series, each with its TSUID; 404 when a name was never written.
/// Spec: OpenTSDB HTTP API, `/api/search/lookup`.
pub(in crate::protocol::opentsdb) async fn search(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    match call.rest.first().map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("lookup") => lookup(&mut call).await,
        Some("tsmeta" | "tsmeta_summary" | "tsuids" | "uidmeta" | "annotation") => {
            Err(WireError::bad_request("Searching is not enabled")
                .details("Searching has not been enabled on this TSD"))
        }
        _ => Err(WireError::bad_request("Invalid search query type supplied")),
    }
}

async fn lookup(call: &mut Call) -> Result<HttpResponse, WireError> {
    let started = Instant::now();
    let body = call.body().await?;
    let asked: Asked = match body.is_empty() {
        false => serde_json::from_slice(&body).map_err(|error| WireError::bad_json(&error))?,
        true => of_params(call)?,
    };
    let limit = asked.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let limit = limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
    let tags = asked.tags.unwrap_or_default();
    if tags.len() > TAGS_MAX {
        return Err(WireError::bad_request(format!("{} tags are more than {TAGS_MAX}", tags.len())));
    }
    let metric = asked.metric.filter(|metric| !metric.is_empty() && metric != "*");
    let found = found(call, metric.clone(), &tags, limit).await?;
    let series: Vec<_> = found.iter().map(|series| (&*series.metric, &series.tags)).collect();
    let tsuids = tsuids_of_series(&call.core.uids, &series).await?;
    let results: Vec<Value> = found.iter().zip(tsuids).map(|(series, tsuid)| shown(series, &tsuid)).collect();
    let mut answer = json!({
        "type": "LOOKUP",
        "tags": tags,
        "limit": limit,
        "time": started.elapsed().as_millis() as f64,
        "startIndex": asked.start_index.unwrap_or_default(),
        "totalResults": results.len(),
        "results": results,
    });
    if let Some(metric) = metric {
        answer["metric"] = metric.into();
    }
    Ok(response::json(&answer))
}

fn of_params(call: &Call) -> Result<Asked, WireError> {
    let (metric, tags) = parse_lookup(call.params.required("m")?)?;
    let number = |name: &str| match call.params.get(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| WireError::bad_request(format!("Unable to convert '{name}' to a valid number"))),
    };
    Ok(Asked { metric, tags: Some(tags), limit: number("limit")?, start_index: number("start_index")? })
}

/// `METRIC`, `METRIC{KEY=VALUE,…}` or `{KEY=VALUE,…}`.
fn parse_lookup(text: &str) -> Result<(Option<String>, Vec<Tag>), WireError> {
    let Some((metric, tags)) = text.split_once('{') else { return Ok((Some(text.to_string()), Vec::new())) };
    let missing = || WireError::bad_request(format!("Missing '}}' at the end of: {text}"));
    let tags = tags.strip_suffix('}').ok_or_else(missing)?;
    let part = |text: &str| (!text.is_empty()).then(|| text.to_string());
    let tag = |word: &str| {
        let wrong = || WireError::bad_request(format!("invalid tag: {word}"));
        let (key, value) = word.split_once('=').filter(|(_, value)| !value.contains('=')).ok_or_else(wrong)?;
        if key.is_empty() && value.is_empty() { Err(wrong()) } else { Ok(Tag { key: part(key), value: part(value) }) }
    };
    let tags = tags.split(',').filter(|word| !word.is_empty()).map(tag).collect::<Result<Vec<_>, _>>()?;
    Ok((part(metric), tags))
}

/// Looked for beside the other queries, not on the HTTP worker.
async fn found(call: &Call, metric: Option<String>, tags: &[Tag], limit: usize) -> Result<Vec<FoundSeries>, WireError> {
    let open = |part: &Option<String>| part.clone().filter(|text| text != "*" && !text.is_empty());
    let wanted: Vec<WantedTag> =
        tags.iter().map(|tag| WantedTag { key: open(&tag.key), value: open(&tag.value) }).collect();
    let (queries, asker) = (call.core.queries.clone(), asker(call));
    let look = async move { queries.opentsdb_series(&asker, metric.as_deref(), &wanted, limit).await };
    let look = call.core.runtime.spawn(look).await;
    match look.map_err(|error| WireError::new(Kind::Internal, error.to_string()))? {
        Ok(found) => Ok(found),
        Err(LookupError::NoSuchName { kind, name }) => {
            let known = known_by_number(call, kind, &name);
            let unknown = WireError::new(Kind::NotFound, "Unable to resolve one or more UIDs");
            if known { Ok(Vec::new()) } else { Err(unknown.details(format!("No such name for '{kind}': '{name}'"))) }
        }
        Err(LookupError::Query(error)) => Err(error.into()),
    }
}

fn known_by_number(call: &Call, kind: &str, name: &str) -> bool {
    let kind = crate::catalog::UidKind::ALL.into_iter().find(|known| known.plural() == kind);
    kind.is_some_and(|kind| call.core.uids.find(kind, name).is_some())
}

fn shown(series: &FoundSeries, tsuid: &str) -> Value {
    let tags = series.tags.iter().map(|(key, value)| (key.to_string(), Value::from(&**value)));
    json!({ "tsuid": tsuid, "metric": &*series.metric, "tags": tags.collect::<serde_json::Map<_, _>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, metric: Option<&str>, tags: &[(Option<&str>, Option<&str>)]) {
        let own = |part: &Option<&str>| part.map(String::from);
        let tags = tags.iter().map(|(key, value)| Tag { key: own(key), value: own(value) }).collect();
        assert_eq!(parse_lookup(text).unwrap(), (metric.map(String::from), tags), "{text}");
    }

    #[test]
    fn either_side_of_a_tag_and_the_metric_may_be_open() {
        check("m", Some("m"), &[]);
        check("m{}", Some("m"), &[]);
        check("m{a=b,c=*}", Some("m"), &[(Some("a"), Some("b")), (Some("c"), Some("*"))]);
        check("{a=,=b}", None, &[(Some("a"), None), (None, Some("b"))]);
        for wrong in ["m{a=b", "m{a}", "m{=}", "m{a=b=c}"] {
            assert!(parse_lookup(wrong).is_err(), "{wrong}");
        }
    }
}
