//! `/api/uid/tsmeta`: what is said of a series.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::catalog::{CatalogState, Tsuid, UidKind};
use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::query::tsuids_of_series;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::{JSON, json as answer, no_content};
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::answer::TagSet;
use crate::query::opentsdb::lookup::{LookupError, WantedTag};

use super::asker;
use super::given::{Members, Unset};
use super::uid::are_known;
use super::uid_meta;

/// Series that one answer may show, and its bytes.
const SERIES_MAX: usize = 10_000;
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Tags that a request may name.
const TAGS_MAX: usize = 1_000;

/// `GET|POST|PUT|DELETE /api/uid/tsmeta`.
///
/// `tsuid`, or `m=METRIC{KEY=VALUE,…}`, says of which series: a GET by `m` shows all of the metric that have these tags, the others mean the
/// one that has no other tags, and POST or PUT with `create=true` one that has no points too. POST changes the members it has, PUT
/// replaces all that can be set; both reply what is said then, or 304 when the request says nothing. DELETE takes back what was said:
/// 204. A series that has points always has meta data, with empty members when nothing is said. With `method_override` a GET does
/// what the others do.
/// Spec: OpenTSDB HTTP API, `/api/uid/tsmeta`.
pub(super) async fn ts_meta(call: &mut Call) -> Result<HttpResponse, WireError> {
    match call.overridden_verb()? {
        Verb::Get if call.params.has("tsuid") => show_one(call).await,
        Verb::Get => show_many(call).await,
        Verb::Post => change(call, Unset::Stays).await,
        Verb::Put => change(call, Unset::Goes).await,
        Verb::Delete => delete(call).await,
    }
}

async fn show_one(call: &Call) -> Result<HttpResponse, WireError> {
    let missing = || WireError::new(Kind::NotFound, "Could not find Timeseries meta data");
    let tsuid: Tsuid = call.params.get("tsuid").unwrap_or_default().parse().map_err(|_| missing())?;
    let state = call.core.catalog.state();
    let shown = shown(call, &state, &tsuid).ok_or_else(missing)?;
    if state.series_meta(&tsuid).is_none() && !has_points(call, &tsuid).await? {
        return Err(missing());
    }
    Ok(answer(&shown))
}

/// The series of a metric that have some tags, whether points or somebody said so.
async fn show_many(call: &Call) -> Result<HttpResponse, WireError> {
    let (metric, tags) = parse_series(call.params.required("m")?)?;
    are_known(call, &metric, &tags).await?.then_some(()).ok_or_else(|| unknown_name("one of the UIDs"))?;
    let mut tsuids: BTreeSet<Tsuid> = with_points(call, &metric, &tags).await?.into_iter().collect();
    let state = call.core.catalog.state();
    if let Some(uid) = call.core.uids.find(UidKind::Metric, &metric) {
        let is_meant = |tsuid: &Tsuid| {
            let names = call.core.uids.named(tsuid);
            names.is_ok_and(|(_, has)| {
                tags.iter().all(|(key, value)| has.iter().any(|(k, v)| **k == **key && **v == **value))
            })
        };
        tsuids.extend(state.described_series(uid).filter(is_meant));
    }
    if tsuids.len() > SERIES_MAX {
        return Err(WireError::new(Kind::TooLarge, format!("'{metric}' has more than {SERIES_MAX} such series")));
    }
    let mut body = String::from("[");
    for shown in tsuids.iter().filter_map(|tsuid| shown(call, &state, tsuid)) {
        if body.len() > 1 {
            body.push(',');
        }
        body.push_str(&shown.to_string());
        if body.len() > ANSWER_BYTES_MAX {
            return Err(WireError::new(Kind::TooLarge, format!("The answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    body.push(']');
    Ok(HttpResponse::Ok().content_type(JSON).body(body))
}

async fn change(call: &mut Call, unset: Unset) -> Result<HttpResponse, WireError> {
    let members = Members::of(call).await?;
    let change = members.series_change()?;
    let nothing = || Ok(HttpResponse::build(StatusCode::NOT_MODIFIED).finish());
    let tsuid = match members.word("tsuid")? {
        Some(_) if change.is_nothing() => return nothing(),
        Some(text) => {
            let tsuid = parse_tsuid(&text).map_err(WireError::bad_request)?;
            call.core.uids.named(&tsuid).map_err(|_| unknown_name("one or more UIDs"))?;
            if !exists(call, &tsuid).await? {
                return Err(WireError::bad_request("Requested TSMeta did not exist"));
            }
            tsuid
        }
        None => {
            let (metric, tags) = parse_series(call.params.required("m")?)?;
            are_known(call, &metric, &tags).await?.then_some(()).ok_or_else(|| unknown_name("one or more UIDs"))?;
            let pairs = tags.iter().map(|(key, value)| (&**key, &**value)).collect();
            let tsuid = call.core.uids.tsuids(&[(&metric, pairs)]).await?.remove(0);
            match exists(call, &tsuid).await? {
                true if change.is_nothing() => return nothing(),
                false if call.params.get("create") != Some("true") => {
                    let message = "Could not find TSMeta, specify \"create=true\" to create a new one.";
                    return Err(WireError::bad_request(message));
                }
                _ => tsuid,
            }
        }
    };
    let change = move |known: Option<_>| change.over(known.unwrap_or_default(), unset);
    call.core.catalog.change_series_meta(&tsuid, change).await?;
    let shown = shown(call, &call.core.catalog.state(), &tsuid);
    shown.map(|shown| answer(&shown)).ok_or_else(|| unknown_name("one or more UIDs"))
}

async fn delete(call: &mut Call) -> Result<HttpResponse, WireError> {
    let members = Members::of(call).await?;
    let unable = |why: String| WireError::bad_request("Unable to delete TSMeta information").details(why);
    let text = members.word("tsuid")?.ok_or_else(|| unable("Missing UID".to_string()))?;
    call.core.catalog.forget_series_meta(&parse_tsuid(&text).map_err(unable)?).await?;
    Ok(no_content())
}

fn unknown_name(what: &str) -> WireError {
    WireError::new(Kind::NotFound, format!("Unable to find {what}"))
}

/// A TSUID with tags. `Err`: what is wrong with it.
fn parse_tsuid(text: &str) -> Result<Tsuid, String> {
    const METRIC_DIGITS: usize = 6;
    const TAG_DIGITS: usize = 12;
    if text.len() <= METRIC_DIGITS {
        return Err("TSUID is too short, may be missing tags".to_string());
    }
    if !(text.len() - METRIC_DIGITS).is_multiple_of(TAG_DIGITS) {
        return Err("The TSUID appears to be malformed, improper tag width".to_string());
    }
    text.parse().map_err(|error| format!("Invalid TSUID '{text}': {error}"))
}

/// `METRIC` or `METRIC{KEY=VALUE,…}`, nothing left open. The tags are sorted by key.
fn parse_series(text: &str) -> Result<(String, TagSet), WireError> {
    let Some((metric, tags)) = text.split_once('{') else { return Ok((text.to_string(), TagSet::new())) };
    let unclosed = || WireError::bad_request(format!("Missing '}}' at the end of: {text}"));
    let tags = tags.strip_suffix('}').ok_or_else(unclosed)?;
    let mut parsed = TagSet::new();
    for tag in tags.split(',').filter(|_| !tags.is_empty()) {
        let refuse = |why: String| WireError::bad_request(format!("When parsing tag '{tag}': {why}"));
        let halves = tag.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let (key, value) =
            halves.filter(|(_, value)| !value.contains('=')).ok_or_else(|| refuse(format!("invalid tag: {tag}")))?;
        match parsed.iter().find(|(known, _)| **known == *key) {
            Some((_, known)) if **known != *value => return Err(refuse(format!("duplicate tag: {tag}"))),
            Some(_) => {}
            None if parsed.len() == TAGS_MAX => return Err(refuse(format!("more than {TAGS_MAX} tags"))),
            None => parsed.push((Arc::from(key), Arc::from(value))),
        }
    }
    parsed.sort_unstable();
    Ok((metric.to_string(), parsed))
}

/// Whether a series has meta data: something was said, or it has points.
async fn exists(call: &Call, tsuid: &Tsuid) -> Result<bool, WireError> {
    Ok(call.core.catalog.state().series_meta(tsuid).is_some() || has_points(call, tsuid).await?)
}

/// Looked for beside the other queries, not on the HTTP worker.
async fn has_points(call: &Call, tsuid: &Tsuid) -> Result<bool, WireError> {
    let Ok((metric, tags)) = call.core.uids.named(tsuid) else { return Ok(false) };
    let (queries, asker) = (call.core.queries.clone(), asker(call));
    let look = call.core.runtime.spawn(async move { queries.opentsdb_has_series(&asker, &metric, &tags).await });
    Ok(look.await.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??)
}

/// The series of a metric that have points and these tags; one more than an answer may show, at most.
async fn with_points(call: &Call, metric: &str, tags: &TagSet) -> Result<Vec<Tsuid>, WireError> {
    let tag =
        |(key, value): &(Arc<str>, Arc<str>)| WantedTag { key: Some(key.to_string()), value: Some(value.to_string()) };
    let (wanted, name): (Vec<WantedTag>, String) = (tags.iter().map(tag).collect(), metric.to_string());
    let (queries, asker) = (call.core.queries.clone(), asker(call));
    let look = async move { queries.opentsdb_series(&asker, Some(&name), &wanted, SERIES_MAX + 1).await };
    let look = call.core.runtime.spawn(look).await;
    let found = match look.map_err(|error| WireError::new(Kind::Internal, error.to_string()))? {
        Ok(found) => found,
        // Known for its number alone.
        Err(LookupError::NoSuchName { .. }) => return Ok(Vec::new()),
        Err(LookupError::Query(error)) => return Err(error.into()),
    };
    let series: Vec<_> = found.iter().map(|series| (&*series.metric, &series.tags)).collect();
    let tsuids = tsuids_of_series(&call.core.uids, &series).await?;
    // A process that does not write has no ids for names that nobody asked for before.
    Ok(tsuids.iter().filter_map(|tsuid| tsuid.parse().ok()).collect())
}

/// As every answer shows a series; `None` when a number in its TSUID stands for no name.
fn shown(call: &Call, state: &CatalogState, tsuid: &Tsuid) -> Option<Value> {
    let (metric, tags) = call.core.uids.named(tsuid).ok()?;
    let mut metas = Vec::with_capacity(2 * tags.len());
    for ((key, value), (key_name, value_name)) in tsuid.tags.iter().zip(&tags) {
        metas.push(uid_meta::shown(state, UidKind::Tagk, *key, key_name));
        metas.push(uid_meta::shown(state, UidKind::Tagv, *value, value_name));
    }
    let meta = state.series_meta(tsuid).unwrap_or_default();
    let bound = |bound: Option<f64>| bound.map_or_else(|| Value::from("NaN"), Value::from);
    let mut shown = json!({
        "tsuid": tsuid.to_string(), "metric": uid_meta::shown(state, UidKind::Metric, tsuid.metric, &metric), "tags": metas,
        "description": meta.about.description, "notes": meta.about.notes, "created": meta.about.created,
        "units": meta.units, "retention": meta.retention, "max": bound(meta.max), "min": bound(meta.min),
        "displayName": meta.about.display_name, "dataType": meta.data_type, "lastReceived": 0, "totalDatapoints": 0,
    });
    if let Some(custom) = meta.about.custom {
        shown["custom"] = json!(custom);
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_its_metric_and_tags() {
        let check = |text: &str, metric: &str, expected: &[(&str, &str)]| {
            let tags = expected.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value))).collect();
            assert_eq!(parse_series(text).unwrap(), (metric.to_string(), tags), "{text}");
        };
        check("m", "m", &[]);
        check("m{}", "m", &[]);
        check("m{b=2,a=1,b=2}", "m", &[("a", "1"), ("b", "2")]);
        for (wrong, message) in [
            ("m{a=1", "Missing '}' at the end of: m{a=1"),
            ("m{a}", "When parsing tag 'a': invalid tag: a"),
            ("m{a=}", "When parsing tag 'a=': invalid tag: a="),
            ("m{a=1=2}", "When parsing tag 'a=1=2': invalid tag: a=1=2"),
            ("m{a=1,a=2}", "When parsing tag 'a=2': duplicate tag: a=2"),
            ("m{a=1,}", "When parsing tag '': invalid tag: "),
        ] {
            assert_eq!(parse_series(wrong).unwrap_err().message(), message);
        }
        let many: Vec<String> = (0..=TAGS_MAX).map(|n| format!("k{n}=v")).collect();
        assert!(parse_series(&format!("m{{{}}}", many.join(","))).is_err());
    }

    #[test]
    fn a_tsuid_has_tags() {
        assert!(parse_tsuid("00000100000a000001").is_ok());
        for (wrong, message) in [
            ("000001", "TSUID is too short, may be missing tags"),
            ("000001000001", "The TSUID appears to be malformed, improper tag width"),
            ("00000100000x000001", "Invalid TSUID '00000100000x000001': not made of numbers of six hexadecimal digits"),
        ] {
            assert_eq!(parse_tsuid(wrong), Err(message.to_string()));
        }
    }
}
