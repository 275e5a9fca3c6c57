//! `filter_path`: which parts of an answer a client wants.
//!
//! A comma list of dotted paths; `*` stands for any part of one name, `**` for any names, a leading `-` leaves out. Lists have
//! no name of their own: a path goes through them. What loses all its parts goes too.

use serde_json::{Map, Value as Json};

/// Most paths that are looked at; a client has no use for more.
const PATHS_MAX: usize = 100;
/// Most parts of a path.
const PARTS_MAX: usize = 32;

/// What to keep and what to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    keep: Vec<Vec<String>>,
    leave: Vec<Vec<String>>,
}

type Paths<'a> = Vec<&'a [String]>;

impl Filter {
    pub(super) fn parse(text: &str) -> Filter {
        let mut filter = Filter { keep: Vec::new(), leave: Vec::new() };
        for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()).take(PATHS_MAX) {
            let (list, path) = match path.strip_prefix('-') {
                Some(path) => (&mut filter.leave, path),
                None => (&mut filter.keep, path),
            };
            list.push(path.split('.').take(PARTS_MAX).map(str::to_string).collect());
        }
        filter
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keep.is_empty() && self.leave.is_empty()
    }

    /// What is left of an object; `{}` when nothing is.
    pub(super) fn apply(&self, value: &Json) -> Json {
        let mut kept = without(value, self.leave.iter().map(Vec::as_slice).collect()).unwrap_or(Json::Null);
        if !self.keep.is_empty() {
            kept = only(&kept, &self.keep.iter().map(Vec::as_slice).collect()).unwrap_or(Json::Null);
        }
        if kept.is_null() { Json::Object(Map::new()) } else { kept }
    }
}

/// The parts of `value` that one of `paths` ends at; `None` when there is none.
fn only(value: &Json, paths: &Paths<'_>) -> Option<Json> {
    match value {
        Json::Object(entries) => {
            let kept: Map<String, Json> = entries
                .iter()
                .filter_map(|(name, value)| {
                    let (ends, rest) = step(paths, name);
                    let kept = if ends { Some(value.clone()) } else { only(value, &rest) };
                    Some((name.clone(), kept?))
                })
                .collect();
            (!kept.is_empty()).then_some(Json::Object(kept))
        }
        Json::Array(items) => {
            let kept: Vec<Json> = items.iter().filter_map(|item| only(item, paths)).collect();
            (!kept.is_empty()).then_some(Json::Array(kept))
        }
        _ => None,
    }
}

/// `value` without the parts that `paths` end at; `None` when nothing is left of what had parts.
fn without(value: &Json, paths: Paths<'_>) -> Option<Json> {
    if paths.is_empty() {
        return Some(value.clone());
    }
    match value {
        Json::Object(entries) => {
            let kept: Map<String, Json> = entries
                .iter()
                .filter_map(|(name, value)| {
                    let (ends, rest) = step(&paths, name);
                    if ends { None } else { Some((name.clone(), without(value, rest)?)) }
                })
                .collect();
            (!kept.is_empty() || entries.is_empty()).then_some(Json::Object(kept))
        }
        Json::Array(items) => {
            let kept: Vec<Json> = items.iter().filter_map(|item| without(item, paths.clone())).collect();
            (!kept.is_empty() || items.is_empty()).then_some(Json::Array(kept))
        }
        other => Some(other.clone()),
    }
}

/// Whether one of `paths` ends at `name`, and what is left of the others behind it.
fn step<'a>(paths: &Paths<'a>, name: &str) -> (bool, Paths<'a>) {
    let mut ends = false;
    let mut rest: Paths<'a> = Vec::new();
    let mut add = |path: &'a [String]| {
        if !rest.contains(&path) {
            rest.push(path);
        }
    };
    for path in paths {
        match path.split_first() {
            None => {}
            Some((part, behind)) if part == "**" => {
                // Any names, this one included or none at all.
                add(path);
                match behind.split_first() {
                    None => ends = true,
                    Some((next, behind)) if matches_part(next, name) => {
                        ends |= behind.is_empty();
                        add(behind);
                    }
                    Some(_) => {}
                }
            }
            Some((part, behind)) if matches_part(part, name) => {
                ends |= behind.is_empty();
                add(behind);
            }
            Some(_) => {}
        }
    }
    rest.retain(|path| !path.is_empty());
    (ends, rest)
}

/// Whether `pattern`, in which `*` stands for any text, is `name`.
pub(super) fn matches_part(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Json {
        json!({"took": 3, "errors": true, "items": [
            {"index": {"_index": "a", "status": 201, "_shards": {"total": 1}}},
            {"create": {"_index": "b", "status": 400, "error": {"type": "t", "reason": "r", "caused_by": {"type": "c"}}}},
        ]})
    }

    #[track_caller]
    fn check(paths: &str, expected: Json) {
        assert_eq!(Filter::parse(paths).apply(&sample()), expected, "{paths}");
    }

    #[test]
    fn paths_keep_what_they_end_at() {
        check("took", json!({"took": 3}));
        check(
            "errors,items.*.status",
            json!({"errors": true, "items": [{"index": {"status": 201}}, {"create": {"status": 400}}]}),
        );
        check(
            "items.*.error.type,items.*._index",
            json!({"items": [
            {"index": {"_index": "a"}}, {"create": {"_index": "b", "error": {"type": "t"}}}]}),
        );
        check("items.index", json!({"items": [{"index": {"_index": "a", "status": 201, "_shards": {"total": 1}}}]}));
        check(
            "items.*.error",
            json!({"items": [{"create": {"error": {"type": "t", "reason": "r", "caused_by": {"type": "c"}}}}]}),
        );
        check("t*k,err*", json!({"took": 3, "errors": true}));
        check("items.*._*.tot*l", json!({"items": [{"index": {"_shards": {"total": 1}}}]}));
        check("**.type", json!({"items": [{"create": {"error": {"type": "t", "caused_by": {"type": "c"}}}}]}));
        check("items.**.caused_by.**", json!({"items": [{"create": {"error": {"caused_by": {"type": "c"}}}}]}));
    }

    #[test]
    fn what_is_not_there_leaves_nothing() {
        check("nothing", json!({}));
        check("took.deeper", json!({}));
    }

    #[test]
    fn a_minus_leaves_out() {
        check("-items", json!({"took": 3, "errors": true}));
        check(
            "-items.*.error.*,-items.index",
            json!({"took": 3, "errors": true, "items": [{"create": {"_index": "b", "status": 400}}]}),
        );
        check("items.*.error,-**.caused_by,-**.reason", json!({"items": [{"create": {"error": {"type": "t"}}}]}));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("*", "x", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*b", "a", false),
            ("ab*b", "ab", false),
            ("", "", true),
            ("**", "anything", true),
        ] {
            assert_eq!(matches_part(pattern, name), expected, "{pattern} {name}");
        }
    }
}
