//! Indices, which are tables: whether they are there, their columns, making and dropping them, `_cat`.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value as Json, json};

use crate::catalog::{CatalogState, Database, Table};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Kind, RowIdentity, TableSchema};
use crate::protocol::Core;
use crate::protocol::params::Params;

use super::asked::Asked;
use super::caller::Caller;
use super::error::WireError;
use super::items::type_name;
use super::respond::{PRODUCT, acknowledged, bare, ok};
use super::{Options, names};

/// The database that a request's indices are in. Query: `db` (default: the setting `elastic.database`).
pub(super) fn database_name<'a>(params: &'a Params, options: &'a Options) -> &'a str {
    params.get("db").filter(|db| !db.is_empty()).unwrap_or(&options.database)
}

/// `GET|HEAD|PUT|DELETE /{index}`, and `GET /{index}/_mapping`, `/_mapping`.
///
/// GET replies with the columns, PUT makes an empty table (400 when there is one), DELETE drops tables where the setting
/// `elastic.allow_delete` permits it. A missing index is 404.
pub(super) async fn index(asked: Asked) -> Result<HttpResponse, WireError> {
    let request = &asked.request;
    let (core, database_name) = match *request.method() {
        Method::PUT | Method::DELETE => asked.to_write()?,
        _ => asked.to_read()?,
    };
    let name = &asked.names()?[..];
    let state = core.catalog.state();
    match *request.method() {
        Method::HEAD => {
            let found = resolve(&state, database_name, name).is_ok();
            Ok(bare(if found { StatusCode::OK } else { StatusCode::NOT_FOUND }))
        }
        Method::PUT => {
            if let Some(why) = names::refusal(name) {
                return Err(WireError::index_name(name, why));
            }
            let schema = TableSchema::new(RowIdentity::Append);
            if !core.catalog.create_table(DEFAULT_TENANT, database_name, name, schema).await? {
                let reason = format!("index [{name}] already exists");
                return Err(WireError::named(StatusCode::BAD_REQUEST, "resource_already_exists_exception", reason));
            }
            Ok(ok(request, &json!({"acknowledged": true, "shards_acknowledged": true, "index": name})))
        }
        Method::DELETE => {
            if !asked.options.allow_delete {
                return Err(WireError::not_here("deleting indices (elastic.allow_delete = false)"));
            }
            if !names::are_literal(name) {
                // As `action.destructive_requires_name` has it, which is true unless somebody changed it.
                return Err(WireError::new(Kind::Invalid, "Wildcard expressions or all indices are not allowed"));
            }
            let tables = resolve(&state, database_name, name)?;
            for table in tables {
                core.catalog.drop_table(DEFAULT_TENANT, database_name, &table.name.table).await?;
            }
            Ok(acknowledged(request))
        }
        _ => {
            let mappings: Map<String, Json> = resolve(&state, database_name, name)?
                .into_iter()
                .map(|table| (table.name.table.to_string(), json!({"mappings": mapping(&table.schema)})))
                .collect();
            Ok(ok(request, &mappings))
        }
    }
}

pub(super) fn database<'a>(state: &'a CatalogState, name: &str) -> Option<&'a Database> {
    state.database(DEFAULT_TENANT, name).map(|database| &**database)
}

/// The tables that a comma list of names and patterns means. `Err`: a name without a star is of none.
pub(super) fn resolve<'a>(
    state: &'a CatalogState,
    database_name: &str,
    name: &str,
) -> Result<Vec<&'a Table>, WireError> {
    let found = names::resolve(state, database(state, database_name), name);
    match found.missing.first() {
        None => Ok(found.tables),
        Some(missing) => Err(WireError::no_such_index(missing)),
    }
}

/// Dots that are taken as nesting: other protocols write names of thousands, and nesting goes by recursion.
const NESTED_DOTS_MAX: usize = 20;

/// Columns as Elasticsearch nests them. Where a column's name leads through another column, or deeper than
/// [`NESTED_DOTS_MAX`], it stays dotted.
fn mapping(schema: &TableSchema) -> Json {
    let mut properties = Map::new();
    properties.insert("@timestamp".to_string(), json!({"type": "date"}));
    let mut columns: Vec<_> = schema.columns.iter().collect();
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    for column in columns {
        let kind = json!({"type": column.field_type.map_or("keyword", type_name)});
        let is_shallow = column.name.split('.').nth(NESTED_DOTS_MAX + 1).is_none();
        if !(is_shallow && nest(&mut properties, &column.name, &kind)) {
            properties.insert(column.name.clone(), kind);
        }
    }
    json!({"properties": properties})
}

/// Whether `name` found its place.
fn nest(properties: &mut Map<String, Json>, name: &str, kind: &Json) -> bool {
    let Some((first, rest)) = name.split_once('.') else {
        let is_free = !properties.contains_key(name);
        if is_free {
            properties.insert(name.to_string(), kind.clone());
        }
        return is_free;
    };
    let object = properties.entry(first).or_insert_with(|| json!({"properties": {}}));
    match object.get_mut("properties").and_then(Json::as_object_mut) {
        Some(properties) => nest(properties, rest, kind),
        None => false,
    }
}

/// `GET /_cat/indices[/{index}]`: a line an index, or with `format=json` (or such an `Accept`) an object.
pub(super) async fn cat_indices(asked: Asked) -> Result<HttpResponse, WireError> {
    let (core, database_name) = asked.to_read()?;
    let state = core.catalog.state();
    let tables = resolve(&state, database_name, &asked.names()?)?;
    let columns = [
        "health",
        "status",
        "index",
        "uuid",
        "pri",
        "rep",
        "docs.count",
        "docs.deleted",
        "store.size",
        "pri.store.size",
    ];
    let rows = tables.iter().map(|table| {
        let bytes: u64 = table.segments.iter().map(|segment| segment.size_bytes).sum();
        let size = format!("{bytes}b");
        let (id, rows) = (format!("{:022}", table.id.0), rows_of(core, table).to_string());
        ["green", "open", &table.name.table, &id, "1", "0", &rows, "0", &size, &size].map(str::to_string).to_vec()
    });
    Ok(cat(&asked.request, &asked.params, &columns, rows.collect()))
}

/// Rows of an append table; of another one, those that have been written.
fn rows_of(core: &Core, table: &Table) -> u64 {
    let stored: u64 = table.segments.iter().map(|segment| segment.rows).sum();
    let parts = core.ingest.buffer.rows_of(table.id);
    let live: usize = parts.iter().flat_map(|part| &part.chunks).map(|chunk| chunk.rows()).sum();
    stored + live as u64
}

/// `GET /_cat/health`, `/_cat/nodes`, `/_cat/templates`, `/_cat/aliases`: little, in the form asked for.
pub(super) async fn cat_other(_: Caller, request: HttpRequest, params: Params) -> HttpResponse {
    let (columns, row): (&[&str], &[&str]) = match request.path().split('/').nth(2) {
        Some("health") => (&["cluster", "status", "node.total", "node.data"], &["tidegate", "green", "1", "1"]),
        Some("nodes") => (&["name", "node.role", "master"], &["tidegate", "dim", "*"]),
        _ => (&[], &[]),
    };
    let rows = if row.is_empty() { vec![] } else { vec![row.iter().map(|cell| cell.to_string()).collect()] };
    cat(&request, &params, columns, rows)
}

/// Rows as aligned text, with a header line for `v`, or as objects. `h` chooses columns.
fn cat(request: &HttpRequest, params: &Params, columns: &[&str], rows: Vec<Vec<String>>) -> HttpResponse {
    let chosen: Vec<usize> = match params.get("h").filter(|h| !h.is_empty()) {
        None => (0..columns.len()).collect(),
        Some(list) => list.split(',').filter_map(|name| columns.iter().position(|c| *c == name.trim())).collect(),
    };
    let accepts_json = || {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        accept.contains("json")
    };
    if params.get("format").map_or_else(accepts_json, |format| format == "json") {
        let object = |row: &Vec<String>| -> Json {
            chosen.iter().map(|c| (columns[*c].to_string(), Json::from(row[*c].clone()))).collect::<Map<_, _>>().into()
        };
        return ok(request, &rows.iter().map(object).collect::<Vec<_>>());
    }
    let header = matches!(params.get("v"), Some("" | "true")).then(|| columns.iter().map(|c| c.to_string()).collect());
    let lines: Vec<Vec<String>> = header.into_iter().chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = chosen.iter().map(|c| width(*c)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = chosen.iter().zip(&widths).map(|(c, width)| format!("{:<width$}", line[*c])).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    HttpResponse::Ok().insert_header(PRODUCT).content_type("text/plain; charset=UTF-8").body(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FieldType;

    #[test]
    fn columns_are_nested_where_their_names_allow() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        schema.add_missing_field("host.name", FieldType::String);
        schema.add_missing_field("host.cpu.load", FieldType::Float);
        schema.add_missing_field("n", FieldType::Integer);
        schema.add_missing_field("n.m", FieldType::Boolean);
        let cpu = json!({"properties": {"load": {"type": "double"}}});
        let expected = json!({"properties": {
            "@timestamp": {"type": "date"},
            "host": {"properties": {"name": {"type": "keyword"}, "cpu": cpu}},
            "n": {"type": "long"},
            "n.m": {"type": "boolean"},
        }});
        assert_eq!(mapping(&schema), expected);
    }

    #[test]
    fn names_of_very_many_dots_are_not_nested() {
        let mut schema = TableSchema::new(RowIdentity::Append);
        let (deepest, deeper) = (vec!["a"; NESTED_DOTS_MAX + 1].join("."), vec!["b"; NESTED_DOTS_MAX + 2].join("."));
        schema.add_missing_field(&deepest, FieldType::Float);
        schema.add_missing_field(&deeper, FieldType::Float);
        let mapping = mapping(&schema);
        assert_eq!(mapping["properties"][&deeper], json!({"type": "double"}));
        assert!(mapping["properties"].get(&deepest).is_none() && mapping["properties"]["a"].is_object());
    }
}
