//! `/api/uid/…`: numbers of names.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalog::{MetricsHome, Renamed, UidKind};
use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::format::opentsdb::check_name;
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::{json, json_with};
use crate::protocol::opentsdb::verb::Verb;
use crate::protocol::opentsdb::write::store;
use crate::query::Readable;
use crate::query::opentsdb::answer::TagSet;
use crate::query::opentsdb::execute::Asker;

use super::asker;
use super::ts_meta::ts_meta;
use super::uid_meta::uid_meta;

/// Names that one request may give numbers to.
const NAMES_MAX: usize = 100_000;
/// Bytes of a name: as long as a line of telnet, which names of points come in. All names with numbers are in memory.
const NAME_BYTES_MAX: usize = 1024;

/// `/api/uid/assign`, `/api/uid/rename`, `/api/uid/uidmeta`, `/api/uid/tsmeta`.
pub(in crate::protocol::opentsdb) async fn uid(mut call: Call) -> Result<HttpResponse, WireError> {
    match call.rest.first().map(|part| part.to_ascii_lowercase()).as_deref() {
        Some("assign") => assign(&mut call).await,
        Some("rename") => rename(&mut call).await,
        Some("uidmeta") => uid_meta(&mut call).await,
        Some("tsmeta") => ts_meta(&mut call).await,
        _ => Err(WireError::new(Kind::Unsupported, "Other UID endpoints have not been implemented yet")),
    }
}

#[derive(Debug, Default, Deserialize)]
struct Assigned {
    #[serde(default)]
    metric: Vec<String>,
    #[serde(default)]
    tagk: Vec<String>,
    #[serde(default)]
    tagv: Vec<String>,
}

/// `GET|POST /api/uid/assign`: gives names their numbers before any point has them.
///
/// Query: `metric`, `tagk`, `tagv`: names with commas between; a body has them as arrays. Replies 200 with the numbers; 400 when one or more
/// names had one already or cannot be names, with what is wrong with each. The others have their numbers then.
/// Spec: OpenTSDB HTTP API, `/api/uid/assign`.
async fn assign(call: &mut Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let asked: Assigned = match call.verb {
        Verb::Post => call.json("Missing message content").await?,
        _ => {
            let names = |kind: UidKind| -> Vec<String> {
                let text = call.params.get(kind.as_str()).unwrap_or_default();
                text.split(',').filter(|name| !name.is_empty()).map(String::from).collect()
            };
            Assigned { metric: names(UidKind::Metric), tagk: names(UidKind::Tagk), tagv: names(UidKind::Tagv) }
        }
    };
    let asked = [(UidKind::Metric, asked.metric), (UidKind::Tagk, asked.tagk), (UidKind::Tagv, asked.tagv)];
    let count: usize = asked.iter().map(|(_, names)| names.len()).sum();
    if count == 0 {
        return Err(WireError::bad_request("Missing values to assign UIDs"));
    }
    if count > NAMES_MAX {
        return Err(WireError::new(Kind::TooLarge, format!("{count} names are more than {NAMES_MAX}")));
    }
    let mut answer = Map::new();
    let mut status = StatusCode::OK;
    for (kind, names) in asked.iter().filter(|(_, names)| !names.is_empty()) {
        let mut wrong = Map::new();
        let mut fresh: Vec<(UidKind, &str)> = Vec::new();
        let mut known: Vec<(UidKind, &str)> = Vec::new();
        let legal = names.iter().map(String::as_str).filter(|name| check(*kind, name).is_ok());
        let unknown = unknown(call, *kind, legal).await?;
        for name in names {
            match check(*kind, name) {
                Err(why) => drop(wrong.insert(name.clone(), why.into())),
                Ok(()) if unknown.contains(name) => fresh.push((*kind, name)),
                Ok(()) => known.push((*kind, name)),
            }
        }
        for ((_, name), uid) in known.iter().zip(call.core.uids.ensure(&known).await?) {
            wrong.insert(name.to_string(), format!("Name already exists with UID: {uid}").into());
        }
        let numbers = call.core.uids.ensure(&fresh).await?;
        let numbers = fresh.iter().zip(numbers).map(|((_, name), uid)| (name.to_string(), uid.to_string().into()));
        answer.insert(kind.as_str().to_string(), numbers.collect::<Map<String, Value>>().into());
        if !wrong.is_empty() {
            status = StatusCode::BAD_REQUEST;
            answer.insert(format!("{}_errors", kind.as_str()), wrong.into());
        }
    }
    Ok(json_with(status, &answer))
}

/// Whether a name may be given a number. `Err`: why not.
fn check(kind: UidKind, name: &str) -> Result<(), String> {
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("Invalid {}: {} bytes are more than {NAME_BYTES_MAX}", kind.as_str(), name.len()));
    }
    check_name(|| kind.as_str(), name).map_err(|error| error.to_string())
}

/// Those of some names that have no number, and would have none in a server that numbers names as points come in. One look at
/// what is stored, however many names there are.
async fn unknown(call: &Call, kind: UidKind, names: impl Iterator<Item = &str>) -> Result<BTreeSet<String>, WireError> {
    let without_number = names.filter(|name| call.core.uids.find(kind, name).is_none());
    let mut unknown: BTreeSet<String> = without_number.map(String::from).collect();
    if unknown.is_empty() {
        return Ok(unknown);
    }
    match kind {
        UidKind::Metric => {
            let (state, database) = (call.core.catalog.state(), &call.door.options.database);
            unknown.retain(|name| !store::exists(&call.core, &state, database, name));
            Ok(unknown)
        }
        UidKind::Tagk => {
            let keys = call.core.queries.opentsdb_tagks(&asker(call), "");
            unknown.retain(|name| !keys.contains(name));
            Ok(unknown)
        }
        UidKind::Tagv => {
            let (queries, asker) = (call.core.queries.clone(), asker(call));
            let look = call.core.runtime.spawn(async move { queries.opentsdb_unknown_tagvs(&asker, unknown).await });
            Ok(look.await.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??)
        }
    }
}

/// Whether all names of a series have a number or points.
pub(super) async fn are_known(call: &Call, metric: &str, tags: &TagSet) -> Result<bool, WireError> {
    // Fields of other tables are metrics too.
    let has_field = || call.core.queries.opentsdb_metrics(&asker(call), metric).contains(metric);
    Ok((is_known(call, UidKind::Metric, metric).await? || has_field())
        && unknown(call, UidKind::Tagk, tags.iter().map(|(key, _)| &**key)).await?.is_empty()
        && unknown(call, UidKind::Tagv, tags.iter().map(|(_, value)| &**value)).await?.is_empty())
}

async fn is_known(call: &Call, kind: UidKind, name: &str) -> Result<bool, WireError> {
    Ok(unknown(call, kind, std::iter::once(name)).await?.is_empty())
}

/// `POST|GET /api/uid/rename`: a name's number gets another name, and all points with it.
///
/// `metric`, `tagk` or `tagv`: the name; `name`: the new one. Replies `{"result":"true"}`, or 400 with `"false"` and why. Values of tags that
/// points have are in their rows, and stay; so do names that what other protocols wrote has too.
/// Spec: OpenTSDB HTTP API, `/api/uid/rename`.
async fn rename(call: &mut Call) -> Result<HttpResponse, WireError> {
    call.allow(&[Verb::Get, Verb::Post])?;
    let members: BTreeMap<String, String> = match call.verb {
        Verb::Post => call.json("Missing message content").await?,
        _ => {
            let given = ["metric", "tagk", "tagv", "name"].into_iter();
            given.filter_map(|name| Some((name.to_string(), call.params.get(name)?.to_string()))).collect()
        }
    };
    let given = |name: &str| members.get(name).filter(|value| !value.is_empty());
    let missing = || WireError::bad_request("Missing necessary values to rename UID");
    let new = given("name").ok_or_else(missing)?;
    let kinds = UidKind::ALL.into_iter().filter_map(|kind| Some((kind, given(kind.as_str())?)));
    let (kind, old) = match kinds.collect::<Vec<_>>()[..] {
        [one] => one,
        [] => return Err(missing()),
        _ => return Err(WireError::bad_request("Specify exactly one of metric, tagk or tagv")),
    };
    let refuse = |why: String| Ok(json_with(StatusCode::BAD_REQUEST, &json!({ "result": "false", "error": why })));
    if let Err(why) = check(kind, new) {
        return refuse(why);
    }
    let missing = || refuse(format!("Name(\"{old}\") does not exist"));
    let taken = || refuse(format!("An UID with name {new} for {} already exists", kind.as_str()));
    if !is_known(call, kind, old).await? {
        return missing();
    }
    // Fields of other tables are metrics too.
    let fields = call.core.queries.opentsdb_metrics(&everything(call), new);
    if is_known(call, kind, new).await? || (kind == UidKind::Metric && fields.contains(new)) {
        return taken();
    }
    if let Some(whose) = kept_by(call, kind, old).await? {
        return refuse(format!("Name(\"{old}\") is {whose}, which keep their names"));
    }
    // Points may have a name that nobody asked the number of.
    call.core.uids.ensure(&[(kind, old)]).await?;
    let home = MetricsHome { tenant: DEFAULT_TENANT.to_string(), database: call.door.options.database.clone() };
    match call.core.uids.rename(kind, old, new, &home).await? {
        Renamed::Done => Ok(json(&json!({ "result": "true" }))),
        Renamed::Missing => missing(),
        Renamed::Taken => taken(),
        Renamed::Kept(why) => refuse(format!("Name(\"{old}\") stays: {why}")),
    }
}

/// What has a name that is neither a table's nor a column's, so that it cannot be renamed.
async fn kept_by(call: &Call, kind: UidKind, name: &str) -> Result<Option<&'static str>, WireError> {
    let asker = everything(call);
    Ok(match kind {
        UidKind::Metric => {
            let state = call.core.catalog.state();
            let database = state.database(DEFAULT_TENANT, &call.door.options.database);
            let table = database.and_then(|home| state.table_named(home, &home.default_policy, name));
            let is_field = table.is_none() && call.core.queries.opentsdb_metrics(&asker, name).contains(name);
            is_field.then_some("one of the fields of other tables")
        }
        UidKind::Tagk => None,
        UidKind::Tagv => {
            let (queries, name) = (call.core.queries.clone(), name.to_string());
            let look = async move { queries.opentsdb_unknown_tagvs(&asker, BTreeSet::from([name])).await };
            let look = call.core.runtime.spawn(look).await;
            let unknown = look.map_err(|error| WireError::new(Kind::Internal, error.to_string()))??;
            unknown.is_empty().then_some("one of the tag values of stored points")
        }
    })
}

/// Someone who sees every name: whether one is taken does not hang on who asks.
fn everything(call: &Call) -> Asker {
    Asker { readable: Readable::All, ..asker(call) }
}
