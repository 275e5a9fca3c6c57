//! `_source`: which members of a document a search shows.
//!
//! Elasticsearch's rules: a name stands for what is below it too, and `*` for any text, dots included. Documents are flat here, so
//! a name is a column's with its dots, however the client nested it.

use actix_web::http::StatusCode;
use serde_json::Value as Json;

use crate::protocol::params::Params;

use super::error::WireError;
use super::filter::matches_part;

/// What is shown of each document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Whether hits have a `_source` at all.
    pub shown: bool,
    /// Empty: everything.
    includes: Vec<String>,
    excludes: Vec<String>,
}

impl Source {
    pub(super) fn all() -> Source {
        Source { shown: true, includes: Vec::new(), excludes: Vec::new() }
    }

    /// The member of a body: a boolean, a name, a list of names, or an object with `includes` and `excludes`.
    pub(super) fn parse(value: &Json) -> Result<Source, WireError> {
        let mut source = Source::all();
        match value {
            Json::Bool(shown) => source.shown = *shown,
            Json::String(_) | Json::Array(_) => source.includes = names(value)?,
            Json::Object(parts) => {
                for (part, value) in parts {
                    match part.as_str() {
                        "includes" | "include" => source.includes = names(value)?,
                        "excludes" | "exclude" => source.excludes = names(value)?,
                        other => return Err(unreadable(format!("Unknown key in [{other}] of [_source]"))),
                    }
                }
            }
            _ => return Err(unreadable("[_source] must be a boolean, a name, a list of names or an object")),
        }
        Ok(source)
    }

    /// Query: `_source` (a boolean or a comma list of names), `_source_includes`, `_source_excludes`. They stand in the place of what
    /// the body says.
    pub(super) fn of_params(params: &Params) -> Option<Source> {
        let list = |text: &str| text.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect();
        let given = ["_source", "_source_includes", "_source_excludes"].map(|name| params.get(name));
        if given.iter().all(Option::is_none) {
            return None;
        }
        let mut source = Source::all();
        match given[0] {
            None | Some("true") => {}
            Some("false") => source.shown = false,
            Some(names) => source.includes = list(names),
        }
        if let Some(names) = given[1] {
            source.includes = list(names);
        }
        if let Some(names) = given[2] {
            source.excludes = list(names);
        }
        Some(source)
    }

    /// Whether the member of a document called `name` is shown.
    pub(super) fn shows(&self, name: &str) -> bool {
        let covers = |pattern: &String| matches_part(pattern, name) || matches_part(&format!("{pattern}.*"), name);
        (self.includes.is_empty() || self.includes.iter().any(covers)) && !self.excludes.iter().any(covers)
    }
}

fn names(value: &Json) -> Result<Vec<String>, WireError> {
    let listed = match value {
        Json::Array(names) => names.iter().map(|name| name.as_str().map(str::to_string)).collect(),
        one => one.as_str().map(|name| vec![name.to_string()]),
    };
    listed.ok_or_else(|| unreadable("names in [_source] must be text"))
}

fn unreadable(reason: impl Into<String>) -> WireError {
    WireError::named(StatusCode::BAD_REQUEST, "parsing_exception", reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAMES: [&str; 5] = ["@timestamp", "host.name", "host.cpu.load", "hostname", "n"];

    #[track_caller]
    fn check(source: Source, expected: &[&str]) {
        let seen: Vec<&str> = NAMES.into_iter().filter(|name| source.shows(name)).collect();
        assert_eq!(seen, expected, "{source:?}");
    }

    #[test]
    fn names_stand_for_what_is_below_them_and_stars_for_any_text() {
        let of = |value: Json| Source::parse(&value).unwrap();
        check(of(json!(true)), &NAMES);
        check(of(json!([])), &NAMES);
        check(of(json!("n")), &["n"]);
        check(of(json!("host")), &["host.name", "host.cpu.load"]);
        check(of(json!("host*")), &["host.name", "host.cpu.load", "hostname"]);
        check(of(json!(["*.load", "n"])), &["host.cpu.load", "n"]);
        check(of(json!({"includes": ["host"], "excludes": "host.cpu"})), &["host.name"]);
        check(of(json!({"exclude": ["host", "@*"]})), &["hostname", "n"]);
        check(of(json!("none")), &[]);
        assert!(!of(json!(false)).shown && of(json!("n")).shown);
    }

    #[test]
    fn the_query_string_says_the_same() {
        let of = |query: &str| Source::of_params(&Params::parse(query));
        assert_eq!(of("size=1"), None);
        assert!(!of("_source=false").unwrap().shown);
        check(of("_source=true").unwrap(), &NAMES);
        check(of("_source=n,host").unwrap(), &["host.name", "host.cpu.load", "n"]);
        check(of("_source_includes=host.*&_source_excludes=*.load").unwrap(), &["host.name"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for value in [json!(null), json!(1), json!([1]), json!({"only": ["n"]}), json!({"includes": {"n": true}})] {
            assert!(Source::parse(&value).is_err(), "{value}");
        }
    }
}
