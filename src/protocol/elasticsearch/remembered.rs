//! Templates, policies, pipelines and data streams: kept for whoever asks for them again, and without effect here.
//!
//! Shippers install them before their first document and do not start without. An index needs none: its columns come from its
//! documents, and how long they live is the database's policy.

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json, json};

use crate::catalog::{CatalogState, Room};
use crate::protocol::{Core, Gate, RequestLimits, body};

use super::Options;
use super::caller::Caller;
use super::error::WireError;
use super::filter::matches_part;
use super::respond::{acknowledged, answer, bare, ok};

/// Bytes of one thing; the largest templates of Beats have about one MiB.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Things of one kind.
const ROOM: Room = Room { documents: 500, bytes: 16 * 1024 * 1024 };

/// A kind of thing that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IndexTemplate,
    ComponentTemplate,
    LegacyTemplate,
    LifecyclePolicy,
    Pipeline,
    DataStream,
    Script,
    Alias,
}

impl Kind {
    /// Where the catalog keeps them.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Kind::IndexTemplate => "elasticsearch/index_template",
            Kind::ComponentTemplate => "elasticsearch/component_template",
            Kind::LegacyTemplate => "elasticsearch/template",
            Kind::LifecyclePolicy => "elasticsearch/ilm_policy",
            Kind::Pipeline => "elasticsearch/pipeline",
            Kind::DataStream => "elasticsearch/data_stream",
            Kind::Script => "elasticsearch/script",
            Kind::Alias => "elasticsearch/alias",
        }
    }

    /// What there is not one of called `name`. `None`: that is told by an empty answer.
    fn missing(self, name: &str) -> Option<WireError> {
        let not_found =
            |reason: String| WireError::named(StatusCode::NOT_FOUND, "resource_not_found_exception", reason);
        match self {
            Kind::IndexTemplate => Some(not_found(format!("index template matching [{name}] not found"))),
            Kind::ComponentTemplate => Some(not_found(format!("component template matching [{name}] not found"))),
            Kind::LifecyclePolicy => Some(not_found(format!("Lifecycle policy not found: {name}"))),
            Kind::DataStream => Some(WireError::no_such_index(name)),
            Kind::Script => Some(not_found(format!("stored script [{name}] does not exist"))),
            Kind::LegacyTemplate | Kind::Pipeline | Kind::Alias => None,
        }
    }

    /// All found, as one answer.
    fn listed(self, found: Vec<(&str, &Json)>) -> Json {
        let by_name = |value: fn(&Json) -> Json| -> Json {
            found.iter().map(|(name, body)| (name.to_string(), value(body))).collect::<Map<_, _>>().into()
        };
        let list =
            |value: fn(&str, &Json) -> Json| -> Json { found.iter().map(|(name, body)| value(name, body)).collect() };
        match self {
            Kind::IndexTemplate => {
                json!({"index_templates": list(|name, body| json!({"name": name, "index_template": body}))})
            }
            Kind::ComponentTemplate => {
                json!({"component_templates": list(|name, body| json!({"name": name, "component_template": body}))})
            }
            Kind::LifecyclePolicy => by_name(|body| {
                let policy = body.get("policy").cloned().unwrap_or_else(|| json!({}));
                json!({"version": 1, "modified_date": "2024-01-01T00:00:00.000Z", "policy": policy})
            }),
            Kind::DataStream => json!({"data_streams": list(|name, _| data_stream(name))}),
            Kind::Script => list(|name, body| json!({"_id": name, "found": true, "script": body.get("script")}))
                .get(0)
                .cloned()
                .unwrap_or_else(|| json!({})),
            Kind::LegacyTemplate | Kind::Pipeline => by_name(Json::clone),
            Kind::Alias => json!({}),
        }
    }
}

fn data_stream(name: &str) -> Json {
    let index = json!({"index_name": format!(".ds-{name}-000001"), "index_uuid": "dGlkZWdhdGUtc3RyZWFtLTE"});
    json!({
        "name": name, "timestamp_field": {"name": "@timestamp"}, "indices": [index], "generation": 1, "status": "GREEN",
        "template": name,
    })
}

/// `GET|HEAD|PUT|POST|DELETE` of things of one kind, by the name in the path; without a name, of all.
///
/// GET also takes patterns with stars. PUT replies `{"acknowledged":true}` once it is durable.
pub(super) async fn remembered(
    kind: Kind,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
    options: Data<Options>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(WireError::starting)?;
    let name = request.match_info().get("name").unwrap_or("*").to_string();
    match *request.method() {
        Method::GET | Method::HEAD => caller.may_read(&options.database)?,
        _ => caller.may_write(&options.database)?,
    }
    match *request.method() {
        Method::HEAD => {
            let found = find(&core.catalog.state(), kind, &name).is_some();
            Ok(bare(if found { StatusCode::OK } else { StatusCode::NOT_FOUND }))
        }
        Method::GET => match (find(&core.catalog.state(), kind, &name), kind.missing(&name)) {
            (Some(found), _) => Ok(ok(&request, &found)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(answer(&request, StatusCode::NOT_FOUND, &json!({}))),
        },
        Method::DELETE => {
            if core.catalog.forget(kind.collection(), &name).await? {
                return Ok(acknowledged(&request));
            }
            Err(kind.missing(&name).unwrap_or_else(|| {
                WireError::named(StatusCode::NOT_FOUND, "resource_not_found_exception", format!("[{name}] is missing"))
            }))
        }
        _ => {
            put(core, kind, &name, payload, &request, &limits).await?;
            Ok(acknowledged(&request))
        }
    }
}

/// What `name`, which may have stars, means. A list of all is never missing.
fn find(state: &CatalogState, kind: Kind, name: &str) -> Option<Json> {
    let all = state.documents(kind.collection());
    let found: Vec<(&str, &Json)> =
        all.filter(|(key, _)| matches_part(name, key)).map(|(key, body)| (key, &**body)).collect();
    (!found.is_empty() || name.contains('*')).then(|| kind.listed(found))
}

async fn put(
    core: &Core,
    kind: Kind,
    name: &str,
    payload: Payload,
    request: &HttpRequest,
    limits: &RequestLimits,
) -> Result<(), WireError> {
    let body = body::read(payload, request.headers(), limits.body_of(BYTES_MAX)).await?;
    let value = match &body[..] {
        [] => json!({}),
        bytes => serde_json::from_slice(bytes).map_err(|error| {
            WireError::named(StatusCode::BAD_REQUEST, "x_content_parse_exception", error.to_string())
        })?,
    };
    if !value.is_object() {
        return Err(WireError::named(StatusCode::BAD_REQUEST, "x_content_parse_exception", "expected an object"));
    }
    core.catalog.remember(kind.collection(), name, value, ROOM).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_listed_in_its_own_form() {
        let body = json!({"index_patterns": ["a-*"], "policy": {"phases": {}}});
        let listed = |kind: Kind| kind.listed(vec![("a", &body)]);
        assert_eq!(listed(Kind::IndexTemplate)["index_templates"][0]["index_template"], body);
        assert_eq!(listed(Kind::ComponentTemplate)["component_templates"][0]["name"], "a");
        assert_eq!(listed(Kind::LegacyTemplate)["a"], body);
        assert_eq!(listed(Kind::LifecyclePolicy)["a"]["policy"], json!({"phases": {}}));
        assert_eq!(listed(Kind::DataStream)["data_streams"][0]["timestamp_field"]["name"], "@timestamp");
    }
}
