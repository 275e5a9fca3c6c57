//! `sort`: by time, and what the values are called that hits are sorted by.

use chrono::DateTime;
use serde_json::{Value as Json, json};

use super::error::WireError;

/// Most things that hits are sorted by: each hit tells a value of each.
const KEYS_MAX: usize = 16;

/// Something that hits are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SortKey {
    Time {
        newest_first: bool,
        form: TimeForm,
    },
    /// The order in which documents are found.
    Doc,
    /// All documents score the same.
    Score,
}

/// How a time is told among the values that a hit is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// A number: milliseconds since 1970.
    Millis,
    /// The same as text.
    MillisText,
    /// RFC 3339 in UTC with milliseconds.
    Text,
}

impl SortKey {
    /// The value of a hit. `place`: how many hits are before it.
    pub(super) fn value(self, time_ns: i64, place: u64) -> Json {
        let millis = time_ns.div_euclid(1_000_000);
        match self {
            SortKey::Doc => json!(place),
            SortKey::Score => json!(1.0),
            SortKey::Time { form: TimeForm::Millis, .. } => json!(millis),
            SortKey::Time { form: TimeForm::MillisText, .. } => json!(millis.to_string()),
            SortKey::Time { form: TimeForm::Text, .. } => {
                json!(DateTime::from_timestamp_nanos(time_ns).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
            }
        }
    }
}

/// `"@timestamp"`, `{"@timestamp":"desc"}`, `{"@timestamp":{"order":"desc"}}`, or a list of them, which may also name `_doc` and
/// `_score`.
pub(super) fn parse(sort: &Json) -> Result<Vec<SortKey>, WireError> {
    let parts = match sort {
        Json::Array(parts) => &parts[..],
        one => std::slice::from_ref(one),
    };
    let mut keys = Vec::new();
    for part in parts {
        match part {
            Json::String(field) => keys.push(key(field, &Json::Null)?),
            Json::Object(fields) => {
                for (field, options) in fields {
                    keys.push(key(field, options)?);
                }
            }
            _ => return Err(refused()),
        }
    }
    checked(keys)
}

/// The query string's form: a comma list of `@timestamp` and `@timestamp:desc`.
pub(super) fn parse_list(list: &str) -> Result<Vec<SortKey>, WireError> {
    let keys = list.split(',').filter(|part| !part.is_empty()).map(|part| match part.rsplit_once(':') {
        Some((field, order)) => key(field, &json!(order)),
        None => key(part, &Json::Null),
    });
    checked(keys.collect::<Result<_, _>>()?)
}

/// Refuses more than [`KEYS_MAX`]. By relevance alone is unsorted.
fn checked(keys: Vec<SortKey>) -> Result<Vec<SortKey>, WireError> {
    if keys.len() > KEYS_MAX {
        return Err(WireError::not_here(&format!("sorting by more than {KEYS_MAX} keys")));
    }
    Ok(if keys == [SortKey::Score] { Vec::new() } else { keys })
}

fn key(field: &str, options: &Json) -> Result<SortKey, WireError> {
    let mut order = "";
    let mut form = TimeForm::Millis;
    match options {
        Json::Null => {}
        Json::String(text) => order = text,
        Json::Object(options) => {
            for (name, option) in options {
                match (name.as_str(), option.as_str()) {
                    ("order", Some(text)) => order = text,
                    ("format", Some("epoch_millis")) => form = TimeForm::MillisText,
                    ("format", Some("strict_date_optional_time" | "date_optional_time")) => form = TimeForm::Text,
                    // Every document has one time.
                    ("missing" | "mode" | "unmapped_type", _) => {}
                    _ => return Err(WireError::not_here(&format!("sorting with [{name}] as {option}"))),
                }
            }
        }
        _ => return Err(refused()),
    }
    let newest_first = match order.to_ascii_lowercase().as_str() {
        "" | "asc" => false,
        "desc" => true,
        _ => return Err(refused()),
    };
    match field {
        "_doc" => Ok(SortKey::Doc),
        "_score" => Ok(SortKey::Score),
        "@timestamp" | "time" => Ok(SortKey::Time { newest_first, form }),
        _ => Err(refused()),
    }
}

fn refused() -> WireError {
    WireError::not_here("sorting by anything but @timestamp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(newest_first: bool, form: TimeForm) -> SortKey {
        SortKey::Time { newest_first, form }
    }

    #[test]
    fn orders_are_read_in_all_their_forms() {
        let (oldest, newest) = (time(false, TimeForm::Millis), time(true, TimeForm::Millis));
        for (sort, expected) in [
            (json!([]), vec![]),
            (json!("_score"), vec![]),
            (json!(["_doc"]), vec![SortKey::Doc]),
            (json!("@timestamp"), vec![oldest]),
            (json!({"@timestamp": "desc"}), vec![newest]),
            (json!([{"time": {"order": "DESC", "unmapped_type": "date", "missing": "_last"}}]), vec![newest]),
            (
                json!([{"@timestamp": {"format": "epoch_millis"}}, "_score"]),
                vec![time(false, TimeForm::MillisText), SortKey::Score],
            ),
        ] {
            assert_eq!(parse(&sort).unwrap(), expected, "{sort}");
        }
        assert_eq!(parse_list("@timestamp:desc,_doc").unwrap(), [newest, SortKey::Doc]);
    }

    #[test]
    fn another_order_is_refused_also_behind_the_time() {
        for sort in [
            json!("name"),
            json!(["@timestamp", "name"]),
            json!({"@timestamp": "sideways"}),
            json!({"@timestamp": {"format": "yyyy"}}),
            json!({"@timestamp": {"nested": {"path": "a"}}}),
            json!(7),
        ] {
            let error = parse(&sort).unwrap_err().to_string();
            assert!(error.contains("queried with SQL"), "{sort}: {error}");
        }
        assert!(parse_list("name:desc").is_err());
    }

    #[test]
    fn hits_are_sorted_by_a_bounded_number_of_keys() {
        let both = |count: usize| (parse(&json!(vec!["_doc"; count])), parse_list(&vec!["_doc"; count].join(",")));
        let most = Ok(vec![SortKey::Doc; KEYS_MAX]);
        assert_eq!(both(KEYS_MAX), (most.clone(), most));
        assert!(matches!(both(KEYS_MAX + 1), (Err(_), Err(_))));
    }

    #[test]
    fn values_are_milliseconds_unless_another_form_is_asked_for() {
        let value = |form| time(true, form).value(1_714_557_600_123_456_789, 4);
        assert_eq!(value(TimeForm::Millis), json!(1_714_557_600_123_i64));
        assert_eq!(value(TimeForm::MillisText), json!("1714557600123"));
        assert_eq!(value(TimeForm::Text), json!("2024-05-01T10:00:00.123Z"));
        assert_eq!(time(false, TimeForm::Millis).value(-1, 0), json!(-1));
        assert_eq!((SortKey::Doc.value(1, 4), SortKey::Score.value(1, 4)), (json!(4), json!(1.0)));
    }
}
