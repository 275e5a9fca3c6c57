//! `/api/suggest` and `/suggest`: names that begin as the client began.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::Value;

use crate::catalog::UidKind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::legacy;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::json;
use crate::protocol::opentsdb::verb::Verb;

use super::asker;

const MAX_DEFAULT: usize = 25;

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    q: Option<String>,
    /// A number, or a text of one.
    max: Option<Value>,
}

/// What is asked.
struct Asked {
    kind: String,
    prefix: String,
    max: usize,
}

impl Asked {
    fn of_params(call: &Call) -> Result<Asked, WireError> {
        let kind = call.params.required("type")?.to_string();
        let prefix = call.params.get("q").unwrap_or_default().to_string();
        Ok(Asked { kind, prefix, max: parse_max(call.params.get("max"))? })
    }

    async fn of_body(call: &mut Call) -> Result<Asked, WireError> {
        let body: Body = call.json("Missing message content").await?;
        let kind = body.kind.filter(|kind| !kind.is_empty());
        let kind = kind.ok_or_else(|| WireError::bad_request("Missing 'type' parameter"))?;
        let max = match &body.max {
            None | Some(Value::Null) => parse_max(None)?,
            Some(Value::String(text)) => parse_max(Some(text))?,
            Some(number) => parse_max(Some(&number.to_string()))?,
        };
        Ok(Asked { kind, prefix: body.q.unwrap_or_default(), max })
    }
}

/// 0 and less mean the default, as no number at all does.
fn parse_max(text: Option<&str>) -> Result<usize, WireError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(MAX_DEFAULT) };
    let max: i32 = text.parse().map_err(|_| WireError::bad_request("Unable to parse 'max' as a number"))?;
    Ok(usize::try_from(max).ok().filter(|max| *max > 0).unwrap_or(MAX_DEFAULT))
}

/// `GET|POST /api/suggest`.
///
/// `type`: `metrics`, `tagk` or `tagv`; `q`: how names begin (default: anyhow); `max` (default 25). Replies the names, sorted by bytes.
/// Spec: OpenTSDB HTTP API, `/api/suggest`.
pub(in crate::protocol::opentsdb) async fn suggest(mut call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let asked = match call.verb {
        Verb::Post => Asked::of_body(&mut call).await?,
        _ => Asked::of_params(&call)?,
    };
    Ok(json(&names(&call, &asked).await?))
}

pub(in crate::protocol::opentsdb) async fn suggest_of_old(call: Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get])?;
    Ok(legacy::json_answer(&names(&call, &Asked::of_params(&call)?).await?))
}

async fn names(call: &Call, asked: &Asked) -> Result<Vec<String>, WireError> {
    let (queries, asker) = (&call.core.queries, asker(call));
    let (kind, mut names) = match asked.kind.as_str() {
        "metrics" => (UidKind::Metric, queries.opentsdb_metrics(&asker, &asked.prefix)),
        "tagk" => (UidKind::Tagk, queries.opentsdb_tagks(&asker, &asked.prefix)),
        "tagv" => (UidKind::Tagv, tag_values(call, &asked.prefix).await?),
        other => return Err(WireError::bad_request(format!("Invalid 'type' parameter:{other}"))),
    };
    // Names that were given a number before any point had them.
    names.extend(call.core.uids.starting_with(kind, &asked.prefix).iter().map(|name| name.to_string()));
    Ok(names.into_iter().take(asked.max).collect())
}

/// Looked for beside the other queries, not on the HTTP worker.
async fn tag_values(call: &Call, prefix: &str) -> Result<BTreeSet<String>, WireError> {
    let (queries, asker, prefix) = (call.core.queries.clone(), asker(call), prefix.to_string());
    let look = call.core.runtime.spawn(async move { queries.opentsdb_tagvs(&asker, &prefix).await });
    Ok(look.await.map_err(|error| WireError::new(crate::model::Kind::Internal, error.to_string()))??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_is_a_number_or_the_default() {
        for (text, expected) in [(None, 25), (Some(""), 25), (Some("3"), 3), (Some("0"), 25), (Some("-1"), 25)] {
            assert_eq!(parse_max(text).unwrap(), expected, "{text:?}");
        }
        assert_eq!(parse_max(Some("x")).unwrap_err().message(), "Unable to parse 'max' as a number");
    }
}
