//! `/api/annotation` and `/api/annotation/bulk`: notes about moments.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::Annotation;
use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::{json as answer, no_content};
use crate::protocol::opentsdb::verb::Verb;
use crate::query::opentsdb::time::parse_time;

/// Annotations that one request may bring.
const BULK_MAX: usize = 10_000;

/// What a request says about an annotation; what it does not say is `None`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[serde(default)]
    start_time: Option<Value>,
    #[serde(default)]
    end_time: Option<Value>,
    tsuid: Option<String>,
    description: Option<String>,
    notes: Option<String>,
    custom: Option<BTreeMap<String, Option<String>>>,
}

impl Given {
    fn of_params(call: &Call) -> Given {
        let text = |name: &str| call.params.get(name).map(String::from);
        Given {
            start_time: text("start_time").map(Value::from),
            end_time: text("end_time").map(Value::from),
            tsuid: text("tsuid").or_else(|| text("tsuids")),
            description: text("description"),
            notes: text("notes"),
            custom: None,
        }
    }

    fn start(&self) -> Result<i64, WireError> {
        let start = number("start_time", self.start_time.as_ref())?.filter(|start| *start > 0);
        start.ok_or_else(|| WireError::bad_request("Missing start time"))
    }

    fn tsuid(&self) -> String {
        self.tsuid.as_deref().unwrap_or_default().to_ascii_uppercase()
    }

    /// Over `known`, member by member; `None` starts from nothing.
    fn over(&self, known: Option<Annotation>) -> Result<Annotation, WireError> {
        let start_time = self.start()?;
        let mut note = known.unwrap_or_default();
        (note.tsuid, note.start_time) = (self.tsuid(), start_time);
        if let Some(end) = number("end_time", self.end_time.as_ref())? {
            note.end_time = end;
        }
        if let Some(description) = &self.description {
            note.description.clone_from(description);
        }
        if let Some(notes) = &self.notes {
            note.notes.clone_from(notes);
        }
        if let Some(custom) = &self.custom {
            note.custom = custom.iter().map(|(key, value)| (key.clone(), value.clone().unwrap_or_default())).collect();
        }
        Ok(note)
    }
}

/// A time as a number or as a text of one.
fn number(name: &str, value: Option<&Value>) -> Result<Option<i64>, WireError> {
    let wrong = |_| WireError::bad_request(format!("Unable to convert '{name}' to a number"));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text.trim().parse().map(Some).map_err(wrong),
        Some(other) => other.to_string().parse().map(Some).map_err(wrong),
    }
}

/// As every answer shows it.
pub(in crate::protocol::opentsdb) fn shown(note: &Annotation) -> Value {
    let mut shown = json!({
        "tsuid": note.tsuid, "description": note.description, "notes": note.notes,
        "startTime": note.start_time, "endTime": note.end_time,
    });
    if !note.custom.is_empty() {
        shown["custom"] = json!(note.custom);
    }
    shown
}

/// `GET|POST|PUT|DELETE /api/annotation`.
///
/// `start_time` and `tsuid` (none: global) say which one. POST changes the members it has, PUT replaces the whole; both make it when there is
/// none. 304 when nothing changes, 404 when there is none to show. With `method_override` a GET does what the others do.
/// Spec: OpenTSDB HTTP API, `/api/annotation`.
pub(in crate::protocol::opentsdb) async fn annotation(mut call: Call) -> Result<HttpResponse, WireError> {
    if call.rest.first().is_some_and(|part| part.eq_ignore_ascii_case("bulk")) {
        return annotations(call).await;
    }
    let verb = call.overridden_verb()?;
    let given: Given = match call.verb {
        Verb::Post | Verb::Put => call.json("Missing message content").await?,
        Verb::Get | Verb::Delete => Given::of_params(&call),
    };
    let known = call.core.catalog.state().annotation(&given.tsuid(), given.start()?);
    match verb {
        Verb::Get => known
            .map(|note| answer(&shown(&note)))
            .ok_or_else(|| WireError::new(Kind::NotFound, "Unable to locate annotation in storage")),
        Verb::Delete => {
            let note = given.over(None)?;
            call.core.catalog.delete_annotations(vec![note]).await?;
            Ok(no_content())
        }
        Verb::Post | Verb::Put => {
            let base = if verb == Verb::Post { known.clone() } else { None };
            let note = given.over(base)?;
            if known.as_ref() == Some(&note) {
                return Ok(HttpResponse::build(StatusCode::NOT_MODIFIED).finish());
            }
            let shown = shown(&note);
            call.core.catalog.put_annotations(vec![note]).await?;
            Ok(answer(&shown))
        }
    }
}

/// A stretch of time whose annotations go.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stretch {
    start_time: Option<Value>,
    end_time: Option<Value>,
    #[serde(default)]
    global: bool,
    tsuids: Option<Vec<String>>,
}

/// `POST|PUT|DELETE /api/annotation/bulk`, also `/api/annotations`: many at once; DELETE takes those of a stretch of time, `global` ones or those of `tsuids`.
pub(in crate::protocol::opentsdb) async fn annotations(mut call: Call) -> Result<HttpResponse, WireError> {
    let verb = call.overridden_verb()?;
    match verb {
        Verb::Delete => return delete_stretch(&mut call).await,
        Verb::Get => return Err(WireError::verb_not_permitted(Verb::Get)),
        Verb::Post | Verb::Put => {}
    }
    let given: Vec<Given> = call.json("Missing message content").await?;
    if given.len() > BULK_MAX {
        return Err(WireError::new(Kind::TooLarge, format!("{} annotations are more than {BULK_MAX}", given.len())));
    }
    let state = call.core.catalog.state();
    let mut notes = Vec::with_capacity(given.len());
    for given in &given {
        let known = if verb == Verb::Post { state.annotation(&given.tsuid(), given.start()?) } else { None };
        notes.push(given.over(known)?);
    }
    let shown: Vec<Value> = notes.iter().map(shown).collect();
    call.core.catalog.put_annotations(notes).await?;
    Ok(answer(&shown))
}

async fn delete_stretch(call: &mut Call) -> Result<HttpResponse, WireError> {
    let body = call.body().await?;
    let asked: Stretch = match body.is_empty() {
        false => serde_json::from_slice(&body).map_err(|error| WireError::bad_json(&error))?,
        true => Stretch {
            start_time: call.params.get("start_time").map(Value::from),
            end_time: call.params.get("end_time").map(Value::from),
            global: call.params.has("global"),
            tsuids: call.params.get("tsuids").map(|text| text.split(',').map(String::from).collect()),
        },
    };
    let now_ms = (call.core.ingest.clock)() / 1_000_000;
    let time = |value: Option<&Value>| -> Result<Option<i64>, WireError> {
        let text = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        if text.is_empty() {
            return Ok(None);
        }
        parse_time(&text, None, now_ms).map(Some).map_err(|error| WireError::bad_request(error.to_string()))
    };
    let start = time(asked.start_time.as_ref())?;
    let start_ms = start.ok_or_else(|| WireError::bad_request("Missing the start time value"))?;
    let end_ms = time(asked.end_time.as_ref())?.unwrap_or(now_ms);
    if !asked.global && asked.tsuids.as_ref().is_none_or(Vec::is_empty) {
        return Err(WireError::bad_request("Missing the TSUIDs or global annotations flag"));
    }
    let state = call.core.catalog.state();
    let mut found = Vec::new();
    if asked.global {
        found = state.annotations("", start_ms, end_ms);
    } else {
        for tsuid in asked.tsuids.iter().flatten() {
            found.extend(state.annotations(&tsuid.to_ascii_uppercase(), start_ms, end_ms));
        }
    }
    let deleted = found.len();
    call.core.catalog.delete_annotations(found).await?;
    Ok(answer(&json!({
        "tsuids": asked.tsuids, "global": asked.global, "startTime": start_ms, "endTime": end_ms,
        "totalDeleted": deleted,
    })))
}
