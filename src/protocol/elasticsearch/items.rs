//! What became of each action, in the words of a bulk response.

use actix_web::http::StatusCode;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::ingest::documents::Unfit;
use crate::model::FieldType;
use crate::protocol::format::documents::DocumentError;
use crate::protocol::format::documents::bulk::Action;
use crate::protocol::format::documents::time::BadTime;

/// Characters of a value that a reason shows.
const PREVIEW_CHARS: usize = 60;

/// One action's result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub action: Action,
    pub index: String,
    pub id: String,
    pub outcome: Result<Stored, Failure>,
}

/// A document that is durable and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its place in the request: documents have no numbers of their own.
    pub number: usize,
}

/// Why a document was not stored. It never can be: the status is 400.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<Cause>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub reason: String,
}

const PARSING: &str = "document_parsing_exception";
const ARGUMENT: &str = "illegal_argument_exception";

impl Failure {
    fn new(kind: &'static str, reason: impl Into<String>) -> Self {
        Failure { kind, reason: reason.into(), caused_by: None }
    }

    fn caused_by(self, reason: String) -> Self {
        Failure { caused_by: Some(Cause { kind: ARGUMENT, reason }), ..self }
    }

    /// Updates and deletes.
    pub(super) fn append_only(action: Action) -> Self {
        Failure::new(ARGUMENT, format!("[{}] is not supported: documents are only appended", action.as_str()))
    }

    /// The body ended where the document should be.
    pub(super) fn no_source() -> Self {
        Failure::new(ARGUMENT, "the action has no document: the request ends with it")
    }

    /// A name with a date in it that cannot be read.
    pub(super) fn bad_name(reason: String) -> Self {
        Failure::new("parse_exception", reason)
    }

    pub(super) fn index_name(index: &str, why: &str) -> Self {
        Failure::new("invalid_index_name_exception", format!("Invalid index name [{index}], {why}"))
    }

    pub(super) fn document(error: &DocumentError) -> Self {
        Failure::new(PARSING, format!("failed to parse: {error}"))
    }

    pub(super) fn time(bad: &BadTime, id: &str) -> Self {
        let format = "strict_date_optional_time||epoch_millis";
        let why = format!("failed to parse date field [{}] with format [{format}]", preview(&bad.text));
        Failure::new(PARSING, failed_field(&bad.field, "date", id, &bad.text)).caused_by(why)
    }

    pub(super) fn unfit(why: &Unfit, id: &str) -> Self {
        match why {
            Unfit::Value { column, stored, value } => {
                Failure::new(PARSING, failed_field(column, type_name(*stored), id, value))
                    .caused_by(format!("For input string: {:?}", preview(value)))
            }
            Unfit::TooManyColumns { adding, max } => Failure::new(
                ARGUMENT,
                format!("Limit of total fields [{max}] has been exceeded while adding new fields [{adding}]"),
            ),
            Unfit::NoTable { .. } => Failure::new("index_not_found_exception", why.to_string()),
            Unfit::NoColumn { .. } => Failure::new("strict_dynamic_mapping_exception", why.to_string()),
            Unfit::BeyondRetention { .. } | Unfit::Merges { .. } => Failure::new(ARGUMENT, why.to_string()),
        }
    }
}

fn failed_field(field: &str, kind: &str, id: &str, value: &str) -> String {
    let value = preview(value);
    format!(
        "failed to parse field [{field}] of type [{kind}] in document with id '{id}'. Preview of field's value: '{value}'"
    )
}

fn preview(value: &str) -> String {
    value.chars().take(PREVIEW_CHARS).collect()
}

/// Elasticsearch's name of a type.
pub(super) fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float => "double",
        FieldType::Integer => "long",
        FieldType::Unsigned => "unsigned_long",
        FieldType::Boolean => "boolean",
        FieldType::String => "keyword",
    }
}

impl Item {
    pub(super) fn status(&self) -> StatusCode {
        if self.outcome.is_ok() { StatusCode::CREATED } else { StatusCode::BAD_REQUEST }
    }

    /// The members of an item, which are also those of the answer to a single document.
    pub(super) fn body(&self) -> impl Serialize + '_ {
        Body(self)
    }
}

/// `{"index":{…}}`
impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.action.as_str(), &Body(self))?;
        map.end()
    }
}

struct Body<'a>(&'a Item);

#[derive(Serialize)]
struct Shards {
    total: u32,
    successful: u32,
    failed: u32,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let item = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_index", &item.index)?;
        map.serialize_entry("_id", &item.id)?;
        if let Ok(stored) = &item.outcome {
            map.serialize_entry("_version", &1)?;
            map.serialize_entry("result", "created")?;
            map.serialize_entry("_shards", &Shards { total: 1, successful: 1, failed: 0 })?;
            map.serialize_entry("_seq_no", &stored.number)?;
            map.serialize_entry("_primary_term", &1)?;
        }
        map.serialize_entry("status", &item.status().as_u16())?;
        if let Err(failure) = &item.outcome {
            map.serialize_entry("error", failure)?;
        }
        map.end()
    }
}

/// The answer to a bulk request: `items` are as many as actions, in their order.
#[derive(Debug, Serialize)]
pub(super) struct BulkAnswer {
    /// Milliseconds.
    pub took: u64,
    pub errors: bool,
    pub items: Vec<Item>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(action: Action, outcome: Result<Stored, Failure>) -> Item {
        Item { action, index: "app".to_string(), id: "a1".to_string(), outcome }
    }

    #[test]
    fn a_stored_document_is_created() {
        let seen = serde_json::to_value(item(Action::Create, Ok(Stored { number: 3 }))).unwrap();
        let shards = json!({"total": 1, "successful": 1, "failed": 0});
        let expected = json!({"create": {"_index": "app", "_id": "a1", "_version": 1, "result": "created", "_shards": shards,
            "_seq_no": 3, "_primary_term": 1, "status": 201}});
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_failure_names_field_type_and_value() {
        let why = Unfit::Value { column: "n".to_string(), stored: FieldType::Integer, value: "x".repeat(100) };
        let seen = serde_json::to_value(item(Action::Index, Err(Failure::unfit(&why, "a1")))).unwrap();
        let short = "x".repeat(60);
        let expected = json!({"index": {"_index": "app", "_id": "a1", "status": 400, "error": {
            "type": "document_parsing_exception",
            "reason": format!("failed to parse field [n] of type [long] in document with id 'a1'. Preview of field's value: '{short}'"),
            "caused_by": {"type": "illegal_argument_exception", "reason": format!("For input string: \"{short}\"")}}}});
        assert_eq!(seen, expected);
        let full = Failure::unfit(&Unfit::TooManyColumns { adding: 2, max: 9 }, "a1");
        assert_eq!(full.reason, "Limit of total fields [9] has been exceeded while adding new fields [2]");
    }
}
