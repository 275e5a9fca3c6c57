//! What keeps an index of Elasticsearch in shape and finds nothing to do here: refresh, flush, mappings and settings.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json, json};

use crate::model::{FieldType, Kind, TableSchema};
use crate::protocol::{RequestLimits, body};

use super::asked::Asked;
use super::error::WireError;
use super::items::type_name;
use super::respond::{acknowledged, ok};

/// Bytes of a mapping or of settings.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// `POST|GET /_refresh`, `/_flush`, `/{index}/_refresh`, `/{index}/_flush`: rows are durable and visible before they are
/// acknowledged, so nothing is left to do. Who may read or write may ask. 404 for an index that is not there.
pub(super) async fn refreshed(asked: Asked) -> Result<HttpResponse, WireError> {
    let (core, _) = asked.to_read().or_else(|_| asked.to_write())?;
    let shards = asked.tables(&core.catalog.state())?.len();
    Ok(ok(&asked.request, &json!({"_shards": {"total": shards, "successful": shards, "failed": 0}})))
}

/// `PUT|POST /{index}/_mapping`: columns come from documents, so a mapping changes nothing. It is acknowledged, and not kept, unless it
/// contradicts a column: 400 as for any mapping of Elasticsearch that would change a field's type.
pub(super) async fn put_mapping(
    asked: Asked,
    payload: Payload,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let (core, _) = asked.to_write()?;
    let mapping = object(&asked.request, payload, &limits).await?;
    check_root(&mapping)?;
    let state = core.catalog.state();
    let columns = Columns::of(asked.tables(&state)?.into_iter().map(|table| &*table.schema));
    columns.check(&mapping, &mut String::new())?;
    Ok(acknowledged(&asked.request))
}

/// `PUT /_settings`, `/{index}/_settings`: how Elasticsearch keeps an index is nothing to us. Acknowledged, and not kept, but for what would
/// forbid something that goes on being allowed.
pub(super) async fn put_settings(
    asked: Asked,
    payload: Payload,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let (core, _) = asked.to_write()?;
    let settings = object(&asked.request, payload, &limits).await?;
    asked.tables(&core.catalog.state())?;
    check_settings(&settings, &asked.names()?)?;
    Ok(acknowledged(&asked.request))
}

/// `GET /_settings`, `/{index}/_settings`: what every index here has.
pub(super) async fn settings(asked: Asked) -> Result<HttpResponse, WireError> {
    let (core, _) = asked.to_read()?;
    let state = core.catalog.state();
    let tables = asked.tables(&state)?;
    let of_table = |table: &crate::catalog::Table| {
        let (name, id) = (table.name.table.to_string(), format!("{:022}", table.id.0));
        let index = json!({"number_of_shards": "1", "number_of_replicas": "0", "provided_name": name, "uuid": id});
        (name, json!({"settings": {"index": index}}))
    };
    Ok(ok(&asked.request, &tables.into_iter().map(of_table).collect::<Map<_, _>>()))
}

/// A request's body, which must be a JSON object.
async fn object(
    request: &HttpRequest,
    payload: Payload,
    limits: &RequestLimits,
) -> Result<Map<String, Json>, WireError> {
    let body = body::read(payload, request.headers(), limits.body_of(BYTES_MAX)).await?;
    let bad = |kind, reason: String| WireError::named(StatusCode::BAD_REQUEST, kind, reason);
    if body.trim_ascii().is_empty() {
        return Err(bad("parse_exception", "request body is required".to_string()));
    }
    serde_json::from_slice(&body).map_err(|error| bad("x_content_parse_exception", error.to_string()))
}

/// What a mapping may hold beside `properties`; none of it changes anything here.
const ROOT_MEMBERS: [&str; 13] = [
    "properties",
    "_data_stream_timestamp",
    "_field_names",
    "_meta",
    "_routing",
    "_size",
    "_source",
    "date_detection",
    "dynamic",
    "dynamic_date_formats",
    "dynamic_templates",
    "numeric_detection",
    "runtime",
];

fn check_root(mapping: &Map<String, Json>) -> Result<(), WireError> {
    match mapping.iter().find(|(name, _)| !ROOT_MEMBERS.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, value)) => {
            let value: String = value.to_string().chars().take(60).collect();
            let reason = format!("Root mapping definition has unsupported parameters:  [{name} : {value}]");
            Err(WireError::named(StatusCode::BAD_REQUEST, "mapper_parsing_exception", reason))
        }
    }
}

/// The name of the time.
const TIME: &str = "@timestamp";

/// The types of the columns of some tables.
struct Columns<'a> {
    /// By their names, of each table's first column of a name; `None` for the time.
    types: HashMap<&'a str, Vec<Option<FieldType>>>,
    /// Bytes of the longest name.
    longest: usize,
}

impl<'a> Columns<'a> {
    fn of(schemas: impl Iterator<Item = &'a TableSchema>) -> Columns<'a> {
        let mut types: HashMap<&str, Vec<Option<FieldType>>> = HashMap::new();
        for schema in schemas {
            let mut seen = HashSet::from([TIME]);
            let columns = schema.columns.iter().filter(|column| seen.insert(&column.name));
            let typed = columns.map(|column| (&column.name[..], Some(column.field_type.unwrap_or(FieldType::String))));
            for (name, stored) in std::iter::once((TIME, None)).chain(typed) {
                let known = types.entry(name).or_default();
                if !known.contains(&stored) {
                    known.push(stored);
                }
            }
        }
        let longest = types.keys().map(|name| name.len()).max().unwrap_or_default();
        Columns { types, longest }
    }

    /// Refuses a field whose type is not that of the columns that are there. `path`: that of `object` with a dot behind, or
    /// nothing; it is left as it came unless something is refused. Depth is bounded by the JSON parser.
    fn check(&self, object: &Map<String, Json>, path: &mut String) -> Result<(), WireError> {
        let properties = object.get("properties").and_then(Json::as_object);
        let start = path.len();
        for (name, field) in properties.into_iter().flatten() {
            let Some(field) = field.as_object() else { continue };
            if start + name.len() > self.longest {
                // No column, nor is anything below it.
                continue;
            }
            path.push_str(name);
            if let Some(declared) = field.get("type").and_then(Json::as_str)
                && let Some(types) = self.types.get(&path[..])
                && let Some(stored) = types.iter().find(|stored| !fits(**stored, declared))
            {
                let stored = stored.map_or("date", type_name);
                let reason = format!("mapper [{path}] cannot be changed from type [{stored}] to [{declared}]");
                return Err(WireError::new(Kind::Invalid, reason));
            }
            path.push('.');
            self.check(field, path)?;
            path.truncate(start);
        }
        Ok(())
    }
}

/// Whether values of Elasticsearch's type `declared` are kept in such a column as they are.
fn fits(stored: Option<FieldType>, declared: &str) -> bool {
    const TIMES: [&str; 2] = ["date", "date_nanos"];
    const NUMBERS: [&str; 9] =
        ["long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long"];
    match stored {
        None => TIMES.contains(&declared),
        Some(FieldType::Boolean) => declared == "boolean",
        Some(FieldType::Float | FieldType::Integer | FieldType::Unsigned) => {
            NUMBERS.contains(&declared) || TIMES.contains(&declared)
        }
        Some(FieldType::String) => declared != "boolean" && !NUMBERS.contains(&declared),
    }
}

/// `index`: as the client named it, for messages.
fn check_settings(settings: &Map<String, Json>, index: &str) -> Result<(), WireError> {
    let settings = settings.get("settings").and_then(Json::as_object).unwrap_or(settings);
    let mut is_empty = true;
    each_leaf(settings, &mut String::new(), &mut |name, value| {
        is_empty = false;
        check_setting(name.strip_prefix("index.").unwrap_or(name), value, index)
    })?;
    if is_empty {
        let reason = "Validation Failed: 1: no settings to update;";
        return Err(WireError::named(StatusCode::BAD_REQUEST, "action_request_validation_exception", reason));
    }
    Ok(())
}

/// `name`: without the `index.` before it.
fn check_setting(name: &str, value: &Json, index: &str) -> Result<(), WireError> {
    if name == "number_of_shards" {
        let reason = format!("final {index} setting [index.number_of_shards], not updateable");
        return Err(WireError::new(Kind::Invalid, reason));
    }
    let is_on = value == &Json::Bool(true) || value == "true";
    if name.starts_with("blocks.") && is_on {
        return Err(WireError::not_here(&format!("[index.{name}] with {value}")));
    }
    Ok(())
}

/// Shows each value with its name, whose parts have dots between them whether they were nested or not, up to the first that is refused.
/// `path`: of `settings`, with a dot behind, or nothing; it is left as it came unless something is refused. Depth is bounded by the
/// JSON parser.
fn each_leaf(
    settings: &Map<String, Json>,
    path: &mut String,
    check: &mut impl FnMut(&str, &Json) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = path.len();
    for (name, value) in settings {
        path.push_str(name);
        match value {
            Json::Object(nested) => {
                path.push('.');
                each_leaf(nested, path, check)?;
            }
            value => check(path, value)?,
        }
        path.truncate(start);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::model::RowIdentity;

    use super::*;

    fn map(value: Json) -> Map<String, Json> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_mapping_that_contradicts_a_column_is_refused() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        schema.add_missing_field("n", FieldType::Integer);
        schema.add_missing_field("host.name", FieldType::String);
        schema.add_missing_field("ok", FieldType::Boolean);
        let check = |properties: Json, expected: Option<&str>| {
            let seen =
                Columns::of([&schema].into_iter()).check(&map(json!({"properties": properties})), &mut String::new());
            let reason = expected.map(|expected| format!("illegal_argument_exception: mapper {expected}"));
            assert_eq!(seen.err().map(|error| error.to_string()), reason);
        };
        check(json!({"n": {"type": "double"}, "host": {"properties": {"name": {"type": "text"}}}}), None);
        check(
            json!({"host.name": {"type": "ip"}, "@timestamp": {"type": "date_nanos"}, "new": {"type": "long"}}),
            None,
        );
        check(json!({"n": {"type": "keyword"}}), Some("[n] cannot be changed from type [long] to [keyword]"));
        check(json!({"ok": {"type": "long"}}), Some("[ok] cannot be changed from type [boolean] to [long]"));
        check(
            json!({"host": {"type": "object", "properties": {"name": {"type": "long"}}}}),
            Some("[host.name] cannot be changed from type [keyword] to [long]"),
        );
        check(
            json!({"@timestamp": {"type": "long"}}),
            Some("[@timestamp] cannot be changed from type [date] to [long]"),
        );
    }

    #[test]
    fn a_mapping_is_held_against_the_columns_of_each_table() {
        let mut schemas = [TableSchema::new(RowIdentity::Append), TableSchema::new(RowIdentity::Append)];
        schemas[0].add_missing_field("a.b", FieldType::Integer);
        schemas[1].add_missing_field("a.b", FieldType::String);
        schemas[1].add_missing_field("a.c", FieldType::Boolean);
        // The first column of a name speaks for it.
        schemas[1].add_missing_tag("a.c");
        let check = |body: Json, expected: bool| {
            let mut path = String::new();
            let seen = Columns::of(schemas.iter()).check(&map(body.clone()), &mut path);
            assert_eq!(seen.is_ok(), expected, "{body}");
            assert!(seen.is_err() || path.is_empty());
        };
        let nested = |name: &str, of: &str| json!({"properties": {"0": {"properties": {"a.b": {"type": "long"}}}, "a": {"properties": {name: {"type": of}}}}});
        check(nested("b", "date"), true);
        check(nested("b", "long"), false);
        check(nested("b", "keyword"), false);
        check(nested("c", "boolean"), true);
        check(nested("c", "keyword"), false);
        // Nothing below a name that is longer than any column's is looked at, however much there is.
        let leaves: Map<String, Json> = (0..10_000).map(|n| (n.to_string(), json!({"type": "long"}))).collect();
        check(json!({"properties": {"n".repeat(100_000): {"properties": leaves}}}), true);
    }

    #[test]
    fn values_are_shown_under_their_whole_names_up_to_the_first_refusal() {
        let settings = map(json!({"a": {"b": 1, "c": {}, "d.e": {"f": 2}}, "g": 3, "h": {"i": 4}, "j": 5}));
        let mut seen = Vec::new();
        let outcome = each_leaf(&settings, &mut String::new(), &mut |name, value| {
            seen.push(format!("{name}={value}"));
            if value == 4 { Err(WireError::not_here(name)) } else { Ok(()) }
        });
        assert!(outcome.is_err());
        assert_eq!(seen, ["a.b=1", "a.d.e.f=2", "g=3", "h.i=4"]);
    }

    #[test]
    fn a_mapping_of_another_form_is_refused() {
        assert!(check_root(&map(json!({"properties": {}, "dynamic": false, "runtime": {}}))).is_ok());
        let error = check_root(&map(json!({"doc": {"properties": {}}}))).unwrap_err().to_string();
        assert!(
            error.starts_with("mapper_parsing_exception: Root mapping definition has unsupported parameters:  [doc")
        );
    }

    #[test]
    fn settings_are_taken_but_for_those_that_would_forbid_something() {
        for settings in [
            json!({"index": {"refresh_interval": "-1", "number_of_replicas": 0}}),
            json!({"refresh_interval": null}),
            json!({"settings": {"index.blocks.write": false}}),
        ] {
            assert!(check_settings(&map(settings.clone()), "a").is_ok(), "{settings}");
        }
        for (settings, expected) in [
            (json!({}), "no settings to update"),
            (json!({"index": {}}), "no settings to update"),
            (json!({"index.number_of_shards": 2}), "final a setting [index.number_of_shards], not updateable"),
            (json!({"index": {"blocks": {"write": true}}}), "[index.blocks.write] with true is not supported here"),
            (json!({"blocks.read_only": "true"}), "is not supported here"),
        ] {
            let error = check_settings(&map(settings.clone()), "a").unwrap_err().to_string();
            assert!(error.contains(expected), "{settings}: {error}");
        }
    }
}
