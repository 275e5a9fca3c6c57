//! Names of indices, and which of them a pattern means.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use crate::catalog::{CatalogState, Database, Table};

use super::date_math;
use super::error::WireError;
use super::filter::matches_part;

/// A part of a request's path. What stands for a slash, a plus or a percent sign is still escaped in the router's parts.
pub(super) fn in_path(request: &HttpRequest, part: &str) -> Option<String> {
    let raw = request.match_info().get(part)?;
    Some(percent_decode_str(raw).decode_utf8_lossy().into_owned())
}

/// The names and patterns of indices in a request's path, all where there are none, with their dates. `now_ns`: what `now` is in them.
pub(super) fn expression(request: &HttpRequest, now_ns: i64) -> Result<String, WireError> {
    let Some(written) = in_path(request, "index") else { return Ok("*".to_string()) };
    let names: Result<Vec<_>, String> = written.split(',').map(|name| date_math::resolve(name, now_ns)).collect();
    names.map(|names| names.join(",")).map_err(WireError::bad_name)
}

/// Why `index` cannot be the name of an index that documents go to. `None`: it can. Upper case is no reason here.
pub(super) fn refusal(index: &str) -> Option<&'static str> {
    const FORBIDDEN: [char; 11] = ['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#'];
    if index.contains(FORBIDDEN) || index.chars().any(char::is_control) {
        return Some("must not contain the following characters ['\\','/','*','?','\"','<','>','|',' ',',','#']");
    }
    match index {
        "" => Some("must not be empty"),
        "." | ".." => Some("must not be '.' or '..'"),
        _ if index.starts_with(['_', '-', '+']) => Some("must not start with '_', '-', or '+'"),
        _ if index.len() > 255 => Some("index name is too long, must be at most 255 bytes"),
        _ => None,
    }
}

/// A part of a list as the pattern that it means: `_all` and nothing mean all.
fn as_pattern(part: &str) -> &str {
    if matches!(part, "" | "_all") { "*" } else { part }
}

/// Whether each part of a comma list is a name, and none is a pattern.
pub(super) fn are_literal(expression: &str) -> bool {
    !expression.split(',').any(|part| as_pattern(part).contains('*'))
}

/// What a comma list of names and patterns means.
pub(super) struct Resolved<'a, 'e> {
    /// By name, each once.
    pub tables: Vec<&'a Table>,
    /// Names without a star that are of no table, in the list's order.
    pub missing: Vec<&'e str>,
}

/// Tables of a database's default policy that a comma list of names and patterns means; `_all` and nothing mean all.
/// A database that is not there has no tables.
pub(super) fn resolve<'a, 'e>(
    state: &'a CatalogState,
    database: Option<&'a Database>,
    expression: &'e str,
) -> Resolved<'a, 'e> {
    let (patterns, names): (Vec<&str>, Vec<&str>) =
        expression.split(',').map(as_pattern).partition(|part| part.contains('*'));
    let named = |name| database.and_then(|owner| state.table_named(owner, &owner.default_policy, name));
    let mut missing = Vec::new();
    let mut tables: Vec<&Table> = Vec::new();
    for name in names {
        match named(name) {
            Some(table) => tables.push(table),
            None => missing.push(name),
        }
    }
    if !patterns.is_empty() {
        let all = database.into_iter().flat_map(|owner| state.tables_of(owner, &owner.default_policy));
        let is_meant = |table: &&Table| patterns.iter().any(|pattern| matches_part(pattern, &table.name.table));
        tables.extend(all.map(|table| &**table).filter(is_meant));
    }
    tables.sort_by(|a, b| a.name.table.cmp(&b.name.table));
    tables.dedup_by_key(|table| table.id);
    Resolved { tables, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_which_anything_means_all_is_of_no_names_alone() {
        assert!(are_literal("a") && are_literal("a,_b,a"));
        for list in ["", ",", "a,", ",a", "a,,b", "a,_all", "_all", "a*", "a,*"] {
            assert!(!are_literal(list), "{list}");
        }
    }

    #[test]
    fn names_that_are_patterns_paths_or_endpoints_are_refused() {
        for name in ["app", "logs-app.web-default", ".ds-x", "Upper", "tgc_1", "日志"] {
            assert_eq!(refusal(name), None, "{name}");
        }
        let long = "x".repeat(256);
        for name in ["", ".", "..", "_x", "-x", "+x", "a/b", "a b", "a*", "a\"", "a\n", "a#", "a,b", &long] {
            assert!(refusal(name).is_some(), "{name}");
        }
    }
}
