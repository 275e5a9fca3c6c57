//! What holds for any body and any document.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::model::{Documents, Value};

use super::{Arrays, Shape, bulk, flatten, log_lines, time};

const SHAPE: Shape = Shape { arrays: Arrays::Text, depth_max: 20 };

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i32>().prop_map(|n| Json::from(f64::from(n) / 8.0)),
        "\\PC{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec(("[a-d]{1,2}", inner), 0..4)
                .prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Map<String, Json>> {
    prop::collection::vec(("[a-d]{1,2}", json()), 0..6).prop_map(|entries| entries.into_iter().collect())
}

/// The same rules, told once more over a tree.
fn expected(prefix: &str, value: &Json, out: &mut Map<String, Json>) {
    match value {
        Json::Null => {}
        Json::Object(entries) => {
            for (key, value) in entries {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                expected(&name, value, out);
            }
        }
        Json::Array(_) => {
            out.insert(prefix.to_string(), Json::from(value.to_string()));
        }
        other => {
            out.insert(prefix.to_string(), other.clone());
        }
    }
}

fn seen(documents: &Documents) -> Map<String, Json> {
    let json = |value| match value {
        Value::Boolean(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Unsigned(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
    };
    documents.open_values().map(|(name, value)| (name.to_string(), json(value))).collect()
}

proptest! {
    #[test]
    fn a_flat_document_has_every_value_of_the_tree(document in document()) {
        let document = Json::Object(document);
        let mut wanted = Map::new();
        expected("", &document, &mut wanted);
        let mut documents = Documents::new("t");
        flatten(document.to_string().as_bytes(), SHAPE, &mut documents).unwrap();
        prop_assert_eq!(seen(&documents), wanted);
    }

    #[test]
    fn items_are_as_many_as_were_sent_and_in_order(documents in prop::collection::vec(document(), 1..20), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let sources: Vec<String> = documents.into_iter().map(|d| Json::Object(d).to_string()).collect();
        let body: String =
            sources.iter().enumerate().map(|(n, s)| format!("{{\"index\":{{\"_id\":\"{n}\"}}}}{end}{s}{end}")).collect();
        let items = bulk::parse(body.as_bytes(), Some("i")).unwrap();
        prop_assert_eq!(items.len(), sources.len());
        for (n, (item, source)) in items.iter().zip(&sources).enumerate() {
            prop_assert_eq!(item.id.clone(), Some(n.to_string()));
            prop_assert_eq!(item.source, Some(source.as_bytes()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC*") {
        let mut documents = Documents::new("t");
        let _ = (bulk::parse(&body, None), log_lines::pairs(&body, 100), flatten(&body, SHAPE, &mut documents));
        let _ = (bulk::parse(text.as_bytes(), Some("i")), time::read(Value::Text(&text)));
    }

    #[test]
    fn a_time_is_read_as_it_was_printed(time_ns in -9_000_000_000_000_000_000..9_000_000_000_000_000_000_i64) {
        let printed = chrono::DateTime::from_timestamp_nanos(time_ns).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
        prop_assert_eq!(time::read(Value::Text(&printed)), Some(time_ns));
        prop_assert_eq!(time::read_rfc3339(&printed), Some(time_ns));
    }
}
