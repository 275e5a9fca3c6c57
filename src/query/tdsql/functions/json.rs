//! JSON texts: members, and what they are worth in comparisons.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use serde_json::Value;

use super::call;

/// The member called `key`, as JSON, which may be `null`; null where there is none.
pub(in crate::query::tdsql) fn member(json: Expr, key: &str) -> Expr {
    let key = key.to_string();
    call(format!("td_json_member_{key}"), DataType::Utf8, vec![json], move |args| {
        let found = |text: &str| Some(serde_json::from_str::<Value>(text).ok()?.get(&key)?.to_string());
        let members = args[0].as_string::<i32>().iter().map(|text| text.and_then(found));
        Ok(Arc::new(members.collect::<StringArray>()) as ArrayRef)
    })
}

/// Whether there is a member called `key`.
pub(in crate::query::tdsql) fn contains(json: Expr, key: &str) -> Expr {
    let key = key.to_string();
    call(format!("td_json_contains_{key}"), DataType::Boolean, vec![json], move |args| {
        let has = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.get(&key).is_some());
        let verdicts = args[0].as_string::<i32>().iter().map(|text| Some(text.is_some_and(has)));
        Ok(Arc::new(verdicts.collect::<BooleanArray>()) as ArrayRef)
    })
}

/// JSON that is a value: null for what is none, and for JSON's own null.
pub(in crate::query::tdsql) fn value(json: Expr) -> Expr {
    call("td_json_value".to_string(), DataType::Utf8, vec![json], |args| {
        let values = args[0].as_string::<i32>().iter().map(|text| text.filter(|text| *text != "null"));
        Ok(Arc::new(values.collect::<StringArray>()) as ArrayRef)
    })
}

/// What JSON is sorted by: JSON's null, booleans, numbers, texts; null stays null.
pub(in crate::query::tdsql) fn order(json: Expr) -> Expr {
    call("td_json_order".to_string(), DataType::Utf8, vec![json], |args| {
        let keys = args[0].as_string::<i32>().iter().map(|text| text.map(order_key));
        Ok(Arc::new(keys.collect::<StringArray>()) as ArrayRef)
    })
}

/// A text that compares with others as the values do.
fn order_key(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Value::Null) => "0".to_string(),
        Ok(Value::Bool(value)) => format!("1{}", u8::from(value)),
        Ok(Value::Number(number)) => {
            let double = number.as_f64().unwrap_or_default();
            let bits = double.to_bits();
            // Doubles sort as their bits do, the negative ones backwards.
            let sorted = if double.is_sign_negative() { !bits } else { bits | 1 << 63 };
            format!("2{sorted:016x}")
        }
        Ok(Value::String(text)) => format!("3{text}"),
        Ok(Value::Array(_) | Value::Object(_)) | Err(_) => format!("4{text}"),
    }
}

/// The text that a JSON string is; null for what is none.
pub(in crate::query::tdsql) fn text(json: Expr) -> Expr {
    call("td_json_text".to_string(), DataType::Utf8, vec![json], |args| {
        let of = |text: &str| match serde_json::from_str(text).ok()? {
            Value::String(text) => Some(text),
            _ => None,
        };
        let texts = args[0].as_string::<i32>().iter().map(|text| text.and_then(of));
        Ok(Arc::new(texts.collect::<StringArray>()) as ArrayRef)
    })
}

/// The number that a JSON number is; null for what is none.
pub(in crate::query::tdsql) fn number(json: Expr) -> Expr {
    call("td_json_number".to_string(), DataType::Float64, vec![json], |args| {
        let of = |text: &str| serde_json::from_str::<Value>(text).ok()?.as_f64();
        let numbers = args[0].as_string::<i32>().iter().map(|text| text.and_then(of));
        Ok(Arc::new(numbers.collect::<Float64Array>()) as ArrayRef)
    })
}

/// What a JSON boolean says; null for what is none.
pub(in crate::query::tdsql) fn boolean(json: Expr) -> Expr {
    call("td_json_boolean".to_string(), DataType::Boolean, vec![json], |args| {
        let of = |text: &str| serde_json::from_str::<Value>(text).ok()?.as_bool();
        let verdicts = args[0].as_string::<i32>().iter().map(|text| text.and_then(of));
        Ok(Arc::new(verdicts.collect::<BooleanArray>()) as ArrayRef)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_values_do() {
        let sorted = [
            "null", "false", "true", "-1e300", "-11", "-0.5", "0", "1.232", "5", "11", "1e300", r#""""#, r#""11""#,
            r#""a""#, r#""é""#, "{}",
        ];
        let keys: Vec<String> = sorted.iter().map(|text| order_key(text)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }
}
