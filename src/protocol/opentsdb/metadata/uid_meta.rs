//! `/api/uid/uidmeta`: what is said of a metric, a tag key or a tag value.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::catalog::{CatalogState, Uid, UidKind};
use crate::model::Kind;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::{json as answer, no_content};
use crate::protocol::opentsdb::verb::Verb;

use super::given::{Members, Unset};

/// Hexadecimal digits of a number.
const UID_DIGITS: usize = 6;

/// `GET|POST|PUT|DELETE /api/uid/uidmeta`.
///
/// `uid` and `type` (`metric`, `tagk`, `tagv`) say of what. POST changes the members it has, PUT replaces all that can be set; both
/// reply what is said then, or 304 when the request says nothing. DELETE takes back what was said: 204. A name that nothing is said of
/// has empty members. With `method_override` a GET does what the others do.
/// Spec: OpenTSDB HTTP API, `/api/uid/uidmeta`.
pub(super) async fn uid_meta(call: &mut Call) -> Result<HttpResponse, WireError> {
    let verb = call.overridden_verb()?;
    if verb == Verb::Get {
        let (uid, kind) = (call.params.required("uid")?, call.params.required("type")?);
        let kind = kind_of(kind).ok_or_else(|| invalid_type(kind))?;
        let uid = parse_uid(kind, uid).map_err(WireError::bad_request)?;
        return show(call, kind, uid.ok_or_else(missing)?);
    }
    let members = Members::of(call).await?;
    if members.of_params {
        call.params.required("uid")?;
        call.params.required("type")?;
    }
    let named = named(&members)?;
    match verb {
        Verb::Delete => {
            let unable = |why: String| WireError::bad_request("Unable to delete UIDMeta information").details(why);
            if let (kind, Some(uid)) = named.map_err(unable)? {
                call.core.catalog.forget_name_meta(kind, uid).await?;
            }
            Ok(no_content())
        }
        Verb::Get | Verb::Post | Verb::Put => {
            let change = members.name_change()?;
            let (kind, uid) = named.map_err(WireError::bad_request)?;
            if change.is_nothing() {
                return Ok(HttpResponse::build(StatusCode::NOT_MODIFIED).finish());
            }
            let is_known = |uid: &Uid| call.core.uids.name(kind, *uid).is_some();
            let uid = uid.filter(is_known).ok_or_else(missing)?;
            let unset = if verb == Verb::Put { Unset::Goes } else { Unset::Stays };
            let change = move |known: Option<_>| change.over(known.unwrap_or_default(), unset);
            call.core.catalog.change_name_meta(kind, uid, change).await?;
            show(call, kind, uid)
        }
    }
}

/// Which name a request is about. The inner `Err`: what is missing, or wrong with it.
fn named(members: &Members) -> Result<Result<(UidKind, Option<Uid>), String>, WireError> {
    let Some(uid) = members.word("uid")? else { return Ok(Err("Missing UID".to_string())) };
    let Some(kind) = members.word("type")? else { return Ok(Err("Missing type".to_string())) };
    match kind_of(&kind) {
        Some(kind) => Ok(parse_uid(kind, &uid).map(|uid| (kind, uid))),
        None if members.of_params => Err(invalid_type(&kind)),
        None => {
            Err(WireError::bad_request("Unable to parse the given JSON")
                .details(format!("Invalid type requested: {kind}")))
        }
    }
}

fn invalid_type(kind: &str) -> WireError {
    WireError::bad_request(format!("Invalid type requested: {kind}"))
}

fn missing() -> WireError {
    WireError::new(Kind::NotFound, "Could not find the requested UID")
}

/// As requests name it, in any case.
fn kind_of(text: &str) -> Option<UidKind> {
    let is = |kind: &UidKind| [kind.as_str(), kind.plural()].iter().any(|name| name.eq_ignore_ascii_case(text));
    UidKind::ALL.into_iter().find(is)
}

/// A number of a name; `None` is no name's. `Err`: what is wrong with it.
fn parse_uid(kind: UidKind, text: &str) -> Result<Option<Uid>, String> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("contains illegal character for hexBinary: {text}"));
    }
    if text.len() != UID_DIGITS {
        let bytes = text.len().div_ceil(2);
        return Err(format!("Wrong id.length = {bytes} which is != 3 required for '{}'", kind.plural()));
    }
    Ok(text.parse().ok())
}

fn show(call: &Call, kind: UidKind, uid: Uid) -> Result<HttpResponse, WireError> {
    let name = call.core.uids.name(kind, uid).ok_or_else(missing)?;
    Ok(answer(&shown(&call.core.catalog.state(), kind, uid, &name)))
}

/// As every answer shows it.
pub(super) fn shown(state: &CatalogState, kind: UidKind, uid: Uid, name: &str) -> Value {
    let about = state.name_meta(kind, uid).unwrap_or_default();
    json!({
        "uid": uid.to_string(), "type": kind.as_str().to_ascii_uppercase(), "name": name,
        "description": about.description, "notes": about.notes, "created": about.created, "custom": about.custom,
        "displayName": about.display_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_in_any_case() {
        for (text, expected) in [
            ("metric", Some(UidKind::Metric)),
            ("METRICS", Some(UidKind::Metric)),
            ("TagK", Some(UidKind::Tagk)),
            ("tagv", Some(UidKind::Tagv)),
            ("", None),
            ("tag", None),
        ] {
            assert_eq!(kind_of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_said_to_be_none() {
        for (text, expected) in [
            ("0G0001", "contains illegal character for hexBinary: 0G0001"),
            ("01", "Wrong id.length = 1 which is != 3 required for 'metrics'"),
            ("00000001", "Wrong id.length = 4 which is != 3 required for 'metrics'"),
        ] {
            assert_eq!(parse_uid(UidKind::Metric, text), Err(expected.to_string()));
        }
        assert_eq!(parse_uid(UidKind::Metric, "000000"), Ok(None));
        assert_eq!(parse_uid(UidKind::Metric, "00000a"), Ok(Some("00000A".parse().unwrap())));
    }
}
