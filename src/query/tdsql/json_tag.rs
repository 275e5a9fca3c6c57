//! JSON tags as statements write them: one object of strings, numbers, booleans and nulls under names of printable ASCII.
//!
//! Spec: TDengine, JSON type; texts of refusals as its parser's.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Number, Value};

use super::error::TdError;

/// Longest text of a tag, bytes.
const TEXT_BYTES_MAX: usize = 4095;
/// Longest name of a member, bytes.
const KEY_BYTES_MAX: usize = 256;

/// The tag as it is kept: without blanks, names in order, of a name's values the first; empty when it has no members, which is
/// what null and texts without anything come to.
pub(super) fn json(text: &str) -> Result<String, TdError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TdError::value(text, "json string too long than 4095"));
    }
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("null") {
        return Ok(String::new());
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => {}
        Ok(_) => return Err(TdError::value(text, "json error invalide value")),
        Err(_) => return Err(TdError::value(text, "json parse error")),
    }
    let Members(members) = serde_json::from_str(text).map_err(|_| TdError::value(text, "json parse error"))?;
    let mut kept = BTreeMap::new();
    for (key, value) in members {
        if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(TdError::value(&key, "json key not validate"));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(TdError::value(&key, "json key too long, more than 256"));
        }
        if key.is_empty() || kept.contains_key(&key) {
            continue;
        }
        let value = match value {
            Value::Array(_) | Value::Object(_) => return Err(TdError::value(text, "invalidate json value")),
            Value::Number(number) => Value::Number(shortest(number)),
            other => other,
        };
        kept.insert(key, value);
    }
    if kept.is_empty() {
        return Ok(String::new());
    }
    Ok(Value::Object(kept.into_iter().collect()).to_string())
}

/// Numbers are doubles: `5.0` is `5`.
fn shortest(number: Number) -> Number {
    /// From here on not every whole number is a double.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(double) if double.fract() == 0.0 && double.abs() < WHOLE_MAX => Number::from(double as i64),
        _ => number,
    }
}

/// The members of an object as they were written, those of the same name too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(json(text).unwrap(), expected, "{text}");
    }

    #[track_caller]
    fn refused(text: &str, near: &str, why: &str) {
        let error = json(text).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            (0x0216, format!("syntax error near '{near}' ({why})")),
            "{text}"
        );
    }

    #[test]
    fn members_are_kept_in_order_and_the_first_of_a_name_counts() {
        check(r#" {"b": null, "a":"é", " $":true} "#, r#"{" $":true,"a":"é","b":null}"#);
        check(
            r#"{"a": null, "a": true, "":3, "b":5.0, "c":-1e2, "d":0.5, "e":1e30}"#,
            r#"{"a":null,"b":5,"c":-100,"d":0.5,"e":1e+30}"#,
        );
        check(r#"{"a":9007199254740993}"#, r#"{"a":9007199254740993}"#);
        for nothing in ["", " \t", "null", "NULL", "{}", r#"{"":1}"#] {
            check(nothing, "");
        }
    }

    #[test]
    fn lists_objects_and_names_that_cannot_be_printed_are_refused() {
        refused(r#"{"a":[1,true]}"#, r#"{"a":[1,true]}"#, "invalidate json value");
        refused(r#"{"b":1,"a":{}}"#, r#"{"b":1,"a":{}}"#, "invalidate json value");
        refused(r#"{"试试":"fff"}"#, "试试", "json key not validate");
        refused(r#"{"a\u007f":"fff"}"#, "a\u{7f}", "json key not validate");
        for whole in ["3333", "\"efwewf\"", "false", "[1,true]"] {
            refused(whole, whole, "json error invalide value");
        }
        for broken in ["{222}", r#"{"fe"}"#, "hell", r#"{"a":1} b"#] {
            refused(broken, broken, "json parse error");
        }
        json(r#"{"k":1.8e308}"#).unwrap_err();
    }

    #[test]
    fn names_and_texts_have_their_lengths() {
        let key = |length: usize| format!("{{\"{}\":5}}", "k".repeat(length));
        check(&key(256), &key(256));
        refused(&key(257), &"k".repeat(63), "json key too long, more than 256");
        let text = |length: usize| format!("{{\"k\":\"{}\"}}", "v".repeat(length - 8));
        check(&text(4095), &text(4095));
        refused(&text(4096), &text(4096)[..63], "json string too long than 4095");
    }
}
