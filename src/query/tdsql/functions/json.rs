//! JSON texts: members, and what they are worth in comparisons.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;
use serde_json::Value;

use super::call;

/// The member called `key`, as JSON; null where there is none, or null.
pub(in crate::query::tdsql) fn member(json: Expr, key: &str) -> Expr {
    let key = key.to_string();
    call(format!("td_json_member_{key}"), DataType::Utf8, vec![json], move |args| {
        let found = |text: &str| match serde_json::from_str::<Value>(text).ok()?.get(&key)? {
            Value::Null => None,
            value => Some(value.to_string()),
        };
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
