//! What `_search` and `_count` ask for, out of body and query string.
//!
//! Every parameter and member that Elasticsearch 8 has is of one of three kinds: it is read into [`Search`]; or it is in a list of those that
//! change nothing in an answer about documents that all match; or it is refused, with a reason that points to SQL.
//! What Elasticsearch does not know is refused as it refuses it. So an answer is never one to another question.

use actix_web::http::StatusCode;
use serde_json::Value as Json;

use crate::model::Kind;
use crate::protocol::params::Params;

use super::chosen::Chosen;
use super::error::WireError;
use super::sort::{self, SortKey};
use super::source::Source;

/// Documents that one search shows at most: Elasticsearch's own limit of `from` and `size`.
const HITS_MAX: u64 = 10_000;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    pub size: u64,
    pub from: u64,
    /// Empty: in no order.
    pub sort: Vec<SortKey>,
    pub source: Source,
    /// Whether the number of all documents is told.
    pub total: bool,
    /// As a number, as versions before 7 told it.
    pub total_as_number: bool,
    /// Whether hits have a `_version`.
    pub versions: bool,
    /// Whether hits have a `_score` although they are sorted.
    pub scores: bool,
}

/// Parameters of every request.
const COMMON_PARAMS: [&str; 7] =
    ["db", "error_trace", "filter_path", "human", "pretty", "source", "source_content_type"];
/// Parameters of `_search` and `_count` that are read: here, by [`Chosen`] and by [`Source`].
const READ_PARAMS: [&str; 5] = ["allow_no_indices", "expand_wildcards", "format", "ignore_unavailable", "q"];
/// Parameters of `_search` that are read.
const READ_SEARCH_PARAMS: [&str; 10] = [
    "_source",
    "_source_excludes",
    "_source_includes",
    "from",
    "rest_total_hits_as_int",
    "size",
    "sort",
    "track_scores",
    "track_total_hits",
    "version",
];
/// Parameters that change nothing where every document matches: how a query's text is read, and which copy is asked.
const HARMLESS_PARAMS: [&str; 7] =
    ["analyze_wildcard", "analyzer", "default_operator", "df", "ignore_throttled", "lenient", "preference"];
/// The same of `_search`: how the work is divided, cached and bounded, and how an answer without aggregations calls them.
const HARMLESS_SEARCH_PARAMS: [&str; 12] = [
    "_source_exclude_vectors",
    "allow_partial_search_results",
    "batched_reduce_size",
    "ccs_minimize_roundtrips",
    "force_synthetic_source",
    "include_named_queries_score",
    "max_concurrent_shard_requests",
    "pre_filter_shard_size",
    "request_cache",
    "stats",
    "timeout",
    "typed_keys",
];
/// Parameters that are refused with any value: what they ask for is not here.
const REFUSED_PARAMS: [&str; 2] = ["min_score", "routing"];
const REFUSED_SEARCH_PARAMS: [&str; 8] = [
    "_slice",
    "docvalue_fields",
    "scroll",
    "stored_fields",
    "suggest_field",
    "suggest_mode",
    "suggest_size",
    "suggest_text",
];
/// Members of a search's body that change nothing.
const HARMLESS_MEMBERS: [&str; 2] = ["stats", "timeout"];
/// Members that are refused with any value.
const REFUSED_MEMBERS: [&str; 24] = [
    "aggregations",
    "aggs",
    "collapse",
    "docvalue_fields",
    "ext",
    "fields",
    "highlight",
    "indices_boost",
    "knn",
    "min_score",
    "pit",
    "post_filter",
    "rank",
    "rescore",
    "retriever",
    "runtime_mappings",
    "script_fields",
    "scroll",
    "search_after",
    "slice",
    "stored_fields",
    "sub_searches",
    "suggest",
    "project_routing",
];

/// A search. `path`: as the client asked it, for messages.
pub(super) fn search(body: &Json, params: &Params, path: &str) -> Result<Search, WireError> {
    let mut search = Search {
        size: 10,
        from: 0,
        sort: Vec::new(),
        source: Source::all(),
        total: true,
        total_as_number: false,
        versions: false,
        scores: false,
    };
    let Json::Object(members) = body else { return Err(no_object()) };
    for (name, value) in members {
        member(name, value, &mut search)?;
    }
    let known = |name: &str| READ_SEARCH_PARAMS.contains(&name) || HARMLESS_SEARCH_PARAMS.contains(&name);
    check_params(params, path, |name, text| match name {
        _ if known(name) => Some(Ok(())),
        "search_type" => Some(match text {
            "" | "query_then_fetch" | "dfs_query_then_fetch" => Ok(()),
            other => Err(WireError::new(Kind::Invalid, format!("No search type for [{other}]"))),
        }),
        "explain" | "seq_no_primary_term" => Some(refused_unless(text == "false", name, text)),
        _ if REFUSED_SEARCH_PARAMS.contains(&name) => Some(Err(refused(name, text))),
        _ => None,
    })?;
    read_params(params, &mut search)?;
    let window = search.from + search.size;
    if window > HITS_MAX {
        let reason = format!(
            "Result window is too large, from + size must be less than or equal to: [{HITS_MAX}] but was [{window}]: \
             documents beyond are read with SQL"
        );
        return Err(WireError::new(Kind::Invalid, reason));
    }
    Ok(search)
}

/// A count: `Ok` where it is one of all documents.
pub(super) fn count(body: &Json, params: &Params, path: &str) -> Result<(), WireError> {
    let Json::Object(members) = body else { return Err(no_object()) };
    for (name, value) in members {
        match name.as_str() {
            "query" => matches_all(value)?,
            other => return Err(parsing(format!("request does not support [{other}]"))),
        }
    }
    check_params(params, path, |_, _| None)
}

fn member(name: &str, value: &Json, search: &mut Search) -> Result<(), WireError> {
    let off = || value == &Json::Bool(false) || value == "false";
    match name {
        "query" => matches_all(value)?,
        "size" => search.size = number(name, value.as_u64())?,
        "from" => search.from = number(name, value.as_u64())?,
        "sort" => search.sort = sort::parse(value)?,
        "_source" => search.source = Source::parse(value)?,
        "track_total_hits" => {
            search.total = match value {
                // A number bounds the counting, and we count all.
                Json::Number(_) => true,
                value => boolean(name, value)?,
            }
        }
        "track_scores" => search.scores = boolean(name, value)?,
        "version" => search.versions = boolean(name, value)?,
        "explain" | "profile" | "seq_no_primary_term" => refused_unless(off(), name, &value.to_string())?,
        "terminate_after" => refused_unless(value.as_u64() == Some(0), name, &value.to_string())?,
        _ if HARMLESS_MEMBERS.contains(&name) => {}
        _ if REFUSED_MEMBERS.contains(&name) => return Err(refused(name, &value.to_string())),
        _ => return Err(parsing(format!("Unknown key for a {} in [{name}].", token(value)))),
    }
    Ok(())
}

/// Holds each parameter against the lists. `of_this`: what this request says of a parameter that not every one has.
fn check_params(
    params: &Params,
    path: &str,
    of_this: impl Fn(&str, &str) -> Option<Result<(), WireError>>,
) -> Result<(), WireError> {
    for (name, text) in params.iter() {
        match name {
            _ if COMMON_PARAMS.contains(&name) || READ_PARAMS.contains(&name) || HARMLESS_PARAMS.contains(&name) => {}
            "terminate_after" => refused_unless(text == "0", name, text)?,
            _ if REFUSED_PARAMS.contains(&name) => return Err(refused(name, text)),
            _ => of_this(name, text).unwrap_or_else(|| {
                let reason = format!("request [{path}] contains unrecognized parameter: [{name}]");
                Err(WireError::new(Kind::Invalid, reason))
            })?,
        }
    }
    if let Some(query) = params.get("q").filter(|q| !matches!(*q, "" | "*" | "*:*")) {
        return Err(WireError::not_here(&format!("the query [{query}]")));
    }
    if let Some(format) = params.get("format").filter(|format| !matches!(*format, "" | "json")) {
        return Err(WireError::not_here(&format!("an answer as [{format}]")));
    }
    Chosen::check(params)
}

fn read_params(params: &Params, search: &mut Search) -> Result<(), WireError> {
    for (name, place) in [("size", &mut search.size), ("from", &mut search.from)] {
        if let Some(text) = params.get(name) {
            *place = number(name, text.parse().ok())?;
        }
    }
    for (name, place) in [
        ("rest_total_hits_as_int", &mut search.total_as_number),
        ("track_scores", &mut search.scores),
        ("version", &mut search.versions),
    ] {
        if let Some(text) = params.get(name) {
            *place = flag(name, text)?;
        }
    }
    if let Some(text) = params.get("track_total_hits") {
        search.total = text.parse::<u64>().is_ok() || flag("track_total_hits", text)?;
    }
    if let Some(list) = params.get("sort") {
        search.sort = sort::parse_list(list)?;
    }
    if let Some(source) = Source::of_params(params) {
        search.source = source;
    }
    Ok(())
}

/// `match_all`, also with the boost that clients send and that changes nothing; or no query at all.
fn matches_all(query: &Json) -> Result<(), WireError> {
    let is_all = |query: &serde_json::Map<String, Json>| {
        query.iter().all(|(name, body)| {
            let body = body.as_object();
            name == "match_all"
                && body
                    .is_some_and(|body| body.iter().all(|(name, boost)| name == "boost" && boost.as_f64() == Some(1.0)))
        })
    };
    match query {
        Json::Object(query) if is_all(query) => Ok(()),
        query => Err(refused("query", &query.to_string())),
    }
}

fn number(name: &str, value: Option<u64>) -> Result<u64, WireError> {
    let refuse = || WireError::new(Kind::Invalid, format!("[{name}] must be a number from 0 to {HITS_MAX}"));
    value.filter(|value| *value <= HITS_MAX).ok_or_else(refuse)
}

fn boolean(name: &str, value: &Json) -> Result<bool, WireError> {
    match value {
        Json::Bool(value) => Ok(*value),
        Json::String(text) => flag(name, text),
        other => Err(not_boolean(name, &other.to_string())),
    }
}

/// A parameter alone, without a value, means true.
fn flag(name: &str, text: &str) -> Result<bool, WireError> {
    match text {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => Err(not_boolean(name, other)),
    }
}

fn not_boolean(name: &str, text: &str) -> WireError {
    let reason = format!("Failed to parse value [{}] of [{name}] as only [true] or [false] are allowed.", shown(text));
    WireError::new(Kind::Invalid, reason)
}

fn refused_unless(harmless: bool, name: &str, value: &str) -> Result<(), WireError> {
    if harmless { Ok(()) } else { Err(refused(name, value)) }
}

fn refused(name: &str, value: &str) -> WireError {
    WireError::not_here(&format!("[{name}] with {}", shown(value)))
}

fn shown(value: &str) -> String {
    value.chars().take(60).collect()
}

fn no_object() -> WireError {
    parsing("Expected [START_OBJECT]: a search is an object".to_string())
}

fn parsing(reason: String) -> WireError {
    WireError::named(StatusCode::BAD_REQUEST, "parsing_exception", reason)
}

/// What Elasticsearch's parser calls the beginning of a value.
fn token(value: &Json) -> &'static str {
    match value {
        Json::Null => "VALUE_NULL",
        Json::Bool(_) => "VALUE_BOOLEAN",
        Json::Number(_) => "VALUE_NUMBER",
        Json::String(_) => "VALUE_STRING",
        Json::Array(_) => "START_ARRAY",
        Json::Object(_) => "START_OBJECT",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Json, query: &str) -> Result<Search, WireError> {
        search(body, &Params::parse(query), "/app/_search")
    }

    #[track_caller]
    fn check(body: Json, query: &str, expected: Result<(u64, u64, usize), &str>) {
        let seen = read(&body, query).map(|s| (s.size, s.from, s.sort.len())).map_err(|e| e.to_string());
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{body} {query}"),
            (Err(seen), Err(expected)) => assert!(seen.contains(expected), "{seen}"),
            (seen, _) => panic!("{body} {query}: {seen:?}"),
        }
    }

    #[test]
    fn everything_is_found_by_size_and_time() {
        check(json!({}), "", Ok((10, 0, 0)));
        check(json!({"query": {"match_all": {"boost": 1.0}}, "size": 3, "from": 2}), "", Ok((3, 2, 0)));
        check(json!({"sort": [{"@timestamp": {"order": "desc"}}, "_doc"]}), "", Ok((10, 0, 2)));
        check(json!({"size": 7, "sort": {"@timestamp": "desc"}}), "size=5", Ok((5, 0, 1)));
        check(json!({}), "q=*&sort=@timestamp:desc", Ok((10, 0, 1)));
    }

    #[test]
    fn what_changes_nothing_is_taken() {
        let body =
            json!({"timeout": "60s", "track_total_hits": 100, "explain": false, "terminate_after": 0, "stats": ["a"]});
        let query = "typed_keys=true&max_concurrent_shard_requests=5&ignore_unavailable=false&expand_wildcards=open&\
            allow_no_indices=true&ignore_throttled=true&search_type=query_then_fetch&batched_reduce_size=512&\
            ccs_minimize_roundtrips=true&preference=_local&request_cache=true&pretty&human&error_trace&filter_path=took&db=x";
        let seen = read(&body, query).unwrap();
        assert!(seen.total && !seen.versions && !seen.scores && !seen.total_as_number);
        assert!(
            count(&json!({"query": {"match_all": {}}}), &Params::parse("q=*&preference=x&df=a"), "/_count").is_ok()
        );
    }

    #[test]
    fn what_an_answer_is_to_hold_is_read() {
        let body = json!({"track_total_hits": false, "version": true, "track_scores": "true", "_source": false});
        let seen = read(&body, "rest_total_hits_as_int").unwrap();
        assert!(!seen.total && seen.versions && seen.scores && seen.total_as_number && !seen.source.shown);
        let seen = read(&body, "track_total_hits=5&version=false&track_scores=false&_source=a").unwrap();
        assert!(seen.total && !seen.versions && !seen.scores && seen.source.shown);
    }

    #[test]
    fn what_is_no_such_search_points_to_sql() {
        const SQL: &str = "queried with SQL";
        for member in REFUSED_MEMBERS.iter().chain(&["explain", "profile", "seq_no_primary_term", "terminate_after"]) {
            check(json!({*member: [1]}), "", Err(SQL));
        }
        for param in REFUSED_SEARCH_PARAMS.iter().chain(&REFUSED_PARAMS).chain(&["terminate_after", "explain"]) {
            check(json!({}), &format!("{param}=1m"), Err(SQL));
            check(json!({}), &format!("{param}=1m"), Err(param));
        }
        check(json!({"query": {"match": {"a": 1}}}), "", Err(SQL));
        check(json!({"query": {"match_all": {"boost": 2}}}), "", Err(SQL));
        check(json!({"aggs": {}}), "", Err("[aggs] with {}"));
        check(json!({}), "q=error", Err("the query [error]"));
        check(json!({}), "format=yaml", Err("[yaml]"));
        check(json!({"size": 10_000, "from": 1}), "", Err("Result window is too large"));
        check(json!({"size": 10_000, "from": 1}), "", Err("with SQL"));
        check(json!({"size": -1}), "", Err("[size] must be a number"));
    }

    #[test]
    fn what_nobody_knows_is_refused_as_by_the_original() {
        check(json!({}), "colour=red", Err("request [/app/_search] contains unrecognized parameter: [colour]"));
        check(json!({"colour": {}}), "", Err("parsing_exception: Unknown key for a START_OBJECT in [colour]."));
        check(json!({}), "search_type=scan", Err("No search type for [scan]"));
        check(json!({"version": "perhaps"}), "", Err("only [true] or [false]"));
        check(json!([]), "", Err("parsing_exception"));
        let counted = |body: Json, query: &str| count(&body, &Params::parse(query), "/_count").unwrap_err().to_string();
        assert_eq!(counted(json!({"size": 0}), ""), "parsing_exception: request does not support [size]");
        assert!(counted(json!({}), "size=0").ends_with("request [/_count] contains unrecognized parameter: [size]"));
        assert!(counted(json!({}), "routing=a").contains("queried with SQL"));
        assert!(counted(json!({}), "terminate_after=1").contains("queried with SQL"));
    }
}
