//! Bodies of Elasticsearch's bulk requests: a line that says what to do, a line with a document, and so on.
//!
//! Grammar: Elasticsearch's Bulk API. More lenient in two things: the last line may end without a line break, and a `_type` is
//! accepted and ignored, as in version 7. What is in a document's line is not looked at here.

use serde_json::Value as Json;

/// What is to be done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Index,
    Create,
    Update,
    Delete,
}

impl Action {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Index => "index",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    fn from_str(name: &str) -> Option<Action> {
        [Action::Index, Action::Create, Action::Update, Action::Delete].into_iter().find(|a| a.as_str() == name)
    }
}

/// One action with its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    pub action: Action,
    pub index: String,
    pub id: Option<String>,
    /// The document's line without its end; `None` where the action takes none, and where the body ended before it.
    pub source: Option<&'a [u8]>,
}

/// Why a body as a whole is no bulk request. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    #[error("request body is required")]
    Empty,
    #[error("Validation Failed: 1: no requests added;")]
    NoActions,
    /// The actions, counted from 1, that name no index.
    #[error("Validation Failed: {}", .actions.iter().map(|n| format!("{n}: index is missing;")).collect::<String>())]
    IndexMissing { actions: Vec<usize> },
    #[error("Malformed action/metadata line [{line}], {what}")]
    Malformed { line: usize, what: String },
    #[error("Action/metadata line [{line}] contains an unknown parameter [{name}]")]
    UnknownParameter { line: usize, name: String },
    #[error("Malformed action/metadata line [{line}]: {what}")]
    Json { line: usize, what: String },
    #[error("the request has more than {max} actions; send them in smaller parts")]
    TooManyActions { max: usize },
}

/// Most actions a body: each is held with its names until it is answered.
pub const ACTIONS_MAX: usize = 1_000_000;

/// What an action's line may hold beside `_index` and `_id`; none of it changes anything here.
const IGNORED: [&str; 16] = [
    "_type",
    "routing",
    "_routing",
    "version",
    "_version",
    "version_type",
    "_version_type",
    "if_seq_no",
    "if_primary_term",
    "pipeline",
    "op_type",
    "require_alias",
    "require_data_stream",
    "dynamic_templates",
    "retry_on_conflict",
    "_source",
];

/// Most actions of which a missing index is told one by one.
const MISSING_TOLD_MAX: usize = 100;

/// The actions of a body, in order. `default_index`: for those that name none.
pub fn parse<'a>(body: &'a [u8], default_index: Option<&str>) -> Result<Vec<Item<'a>>, BulkError> {
    if body.is_empty() {
        return Err(BulkError::Empty);
    }
    let mut lines = Lines { rest: body, number: 0 };
    let mut items: Vec<Item<'a>> = Vec::new();
    let mut index_missing = Vec::new();
    // Shippers send the same line before every document.
    let mut known: Option<(&[u8], Head)> = None;
    while let Some(line) = lines.next() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let head = match &known {
            Some((bytes, head)) if *bytes == line => head.clone(),
            _ => parse_head(line, lines.number)?,
        };
        if items.len() == ACTIONS_MAX {
            return Err(BulkError::TooManyActions { max: ACTIONS_MAX });
        }
        let source = if head.action == Action::Delete { None } else { lines.next() };
        if head.action != Action::Delete && source.is_none() && items.is_empty() {
            return Err(BulkError::NoActions);
        }
        let index = match (&head.index, default_index) {
            (Some(index), _) => index.clone(),
            (None, Some(index)) => index.to_string(),
            (None, None) => {
                index_missing.push(items.len() + 1);
                String::new()
            }
        };
        items.push(Item { action: head.action, index, id: head.id.clone(), source });
        known = Some((line, head));
    }
    if items.is_empty() {
        return Err(BulkError::NoActions);
    }
    index_missing.truncate(MISSING_TOLD_MAX);
    if !index_missing.is_empty() {
        return Err(BulkError::IndexMissing { actions: index_missing });
    }
    Ok(items)
}

/// Lines without their ends; what follows the last line break is a line too, unless it is empty.
struct Lines<'a> {
    rest: &'a [u8],
    /// Of the line given last, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// An action's line.
#[derive(Debug, Clone)]
struct Head {
    action: Action,
    index: Option<String>,
    id: Option<String>,
}

fn parse_head(bytes: &[u8], line: usize) -> Result<Head, BulkError> {
    let malformed = |what: String| BulkError::Malformed { line, what };
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| BulkError::Json { line, what: error.to_string() })?;
    let Json::Object(actions) = json else {
        return Err(malformed(format!("expected START_OBJECT but found [{}]", token(&json))));
    };
    let mut actions = actions.into_iter();
    let Some((name, metadata)) = actions.next() else {
        return Err(malformed("expected FIELD_NAME but found [END_OBJECT]".to_string()));
    };
    let Some(action) = Action::from_str(&name) else {
        return Err(malformed(format!("expected field [create], [delete], [index] or [update] but found [{name}]")));
    };
    if actions.next().is_some() {
        return Err(malformed("expected [END_OBJECT] but found [FIELD_NAME]".to_string()));
    }
    let Json::Object(metadata) = metadata else {
        return Err(malformed(format!("expected [START_OBJECT] but found [{}]", token(&metadata))));
    };
    let mut head = Head { action, index: None, id: None };
    for (name, value) in metadata {
        let known = matches!(name.as_str(), "_index" | "_id") || IGNORED.contains(&name.as_str());
        let simple = !matches!(value, Json::Array(_) | Json::Object(_));
        match name.as_str() {
            "dynamic_templates" | "_source" => {}
            _ if !simple => {
                let what = format!("expected a simple value for field [{name}] but found [{}]", token(&value));
                return Err(malformed(what));
            }
            _ if !known => return Err(BulkError::UnknownParameter { line, name }),
            "_index" => head.index = text(value).filter(|index| !index.is_empty()),
            "_id" => head.id = text(value),
            _ => {}
        }
    }
    Ok(head)
}

/// Null is nothing; numbers are as good as their text.
fn text(value: Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// What a value begins with, in the words of Elasticsearch's parser.
fn token(value: &Json) -> &'static str {
    match value {
        Json::Null => "VALUE_NULL",
        Json::Bool(true) => "VALUE_TRUE",
        Json::Bool(false) => "VALUE_FALSE",
        Json::Number(_) => "VALUE_NUMBER",
        Json::String(_) => "VALUE_STRING",
        Json::Array(_) => "START_ARRAY",
        Json::Object(_) => "START_OBJECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items as `action index id source`.
    #[track_caller]
    fn check(body: &str, default_index: Option<&str>, expected: Result<&[&str], &str>) {
        let seen = parse(body.as_bytes(), default_index).map_err(|error| error.to_string()).map(|items| {
            let source =
                |item: &Item<'_>| item.source.map_or("-".to_string(), |s| String::from_utf8_lossy(s).to_string());
            let id = |item: &Item<'_>| item.id.clone().unwrap_or("-".to_string());
            let item = |i: &Item<'_>| format!("{} {} {} {}", i.action.as_str(), i.index, id(i), source(i));
            items.iter().map(item).collect::<Vec<_>>()
        });
        let seen = seen.as_ref().map(|items| items.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(seen.as_deref().map_err(|error| error.as_str()), expected, "{body:?}");
    }

    #[test]
    fn actions_and_documents_take_turns() {
        let body = "{\"index\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"x\":1}\n{\"delete\":{\"_id\":7}}\n{\"create\":{}}\nany thing\n";
        check(body, Some("d"), Ok(&["index a 1 {\"x\":1}", "delete d 7 -", "create d - any thing"]));
        check("{\"update\":{\"_index\":\"a\"}}\n{}", None, Ok(&["update a - {}"]));
    }

    #[test]
    fn line_ends_and_blank_lines_do_not_matter_between_items() {
        let body = "\r\n\n{\"index\":{}}\r\n{\"x\":1}\r\n \n{\"index\":{}}\n{\"x\":2}";
        check(body, Some("d"), Ok(&["index d - {\"x\":1}", "index d - {\"x\":2}"]));
        check("{\"index\":{}}\n\n{\"index\":{}}\n{}\n", Some("d"), Ok(&["index d - ", "index d - {}"]));
    }

    #[test]
    fn a_document_that_does_not_come_is_told_by_its_item() {
        check("{\"index\":{}}\n{}\n{\"index\":{}}\n", Some("d"), Ok(&["index d - {}", "index d - -"]));
        check("{\"index\":{}}\n", Some("d"), Err("Validation Failed: 1: no requests added;"));
    }

    #[test]
    fn metadata_that_changes_nothing_is_accepted() {
        let body = "{\"index\":{\"_id\":null,\"_index\":\"a\",\"_type\":\"_doc\",\"routing\":null,\"if_seq_no\":3,\"dynamic_templates\":{}}}\n{}\n";
        check(body, None, Ok(&["index a - {}"]));
    }

    #[test]
    fn a_body_has_a_bounded_number_of_actions() {
        let most = "{\"delete\":{}}\n".repeat(ACTIONS_MAX);
        assert_eq!(parse(most.as_bytes(), Some("d")).map(|items| items.len()), Ok(ACTIONS_MAX));
        let more = most + "{\"delete\":{}}";
        assert_eq!(parse(more.as_bytes(), Some("d")), Err(BulkError::TooManyActions { max: ACTIONS_MAX }));
    }

    #[test]
    fn a_body_that_is_no_bulk_request_is_refused_whole() {
        let malformed = |what: &str| format!("Malformed action/metadata line [1], {what}");
        check("", None, Err("request body is required"));
        check("\n \n", None, Err("Validation Failed: 1: no requests added;"));
        check("\"x\"\n{}\n", None, Err(&malformed("expected START_OBJECT but found [VALUE_STRING]")));
        check("{}\n{}\n", None, Err(&malformed("expected FIELD_NAME but found [END_OBJECT]")));
        let unknown = "expected field [create], [delete], [index] or [update] but found [upsert]";
        check("{\"upsert\":{}}\n{}\n", None, Err(&malformed(unknown)));
        let list = "expected a simple value for field [_index] but found [START_ARRAY]";
        check("{\"index\":{\"_index\":[]}}\n{}\n", None, Err(&malformed(list)));
        check("{\"index\":1}\n{}\n", None, Err(&malformed("expected [START_OBJECT] but found [VALUE_NUMBER]")));
        check(
            "{\"index\":{},\"create\":{}}\n{}\n",
            None,
            Err(&malformed("expected [END_OBJECT] but found [FIELD_NAME]")),
        );
        let third = "{\"index\":{\"_index\":\"a\"}}\n{}\n{\"index\":{\"colour\":1}}\n{}\n";
        check(third, None, Err("Action/metadata line [3] contains an unknown parameter [colour]"));
        check(
            "{\"index\":{\n",
            None,
            Err("Malformed action/metadata line [1]: EOF while parsing an object at line 1 column 10"),
        );
        let two = "{\"index\":{}}\n{}\n{\"create\":{\"_index\":\"\"}}\n{}\n";
        check(two, None, Err("Validation Failed: 1: index is missing;2: index is missing;"));
    }
}
