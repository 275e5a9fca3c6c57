//! A value and the type of a column: whether it fits, as what, and what the column had to become.

use crate::model::{FieldType, Value};

/// How a value goes into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As it is, or as what [`converted`] makes of it.
    Fits,
    /// Once the column holds floats.
    NeedsFloat,
    No,
}

/// The type of a column that is made for a value.
pub(super) fn natural_type(value: Value<'_>) -> FieldType {
    match value {
        Value::Boolean(_) => FieldType::Boolean,
        Value::Integer(_) => FieldType::Integer,
        Value::Unsigned(_) => FieldType::Unsigned,
        Value::Float(_) => FieldType::Float,
        Value::Text(_) => FieldType::String,
    }
}

/// Whether `value` fits a column. Text that is a number counts as that number, `"true"`, `"false"` and an empty text as booleans;
/// anything fits text.
pub(super) fn fit(value: Value<'_>, column: FieldType) -> Fit {
    match (column, value) {
        (FieldType::String, _) => Fit::Fits,
        (FieldType::Boolean, Value::Boolean(_)) => Fit::Fits,
        (FieldType::Boolean, Value::Text("true" | "false" | "")) => Fit::Fits,
        (FieldType::Boolean, _) | (_, Value::Boolean(_)) => Fit::No,
        (_, Value::Text(text)) => number(text).map_or(Fit::No, |value| fit(value, column)),
        (FieldType::Float, _) => Fit::Fits,
        (FieldType::Integer, Value::Integer(_)) | (FieldType::Unsigned, Value::Unsigned(_)) => Fit::Fits,
        (FieldType::Unsigned, Value::Integer(value)) if value >= 0 => Fit::Fits,
        (FieldType::Integer | FieldType::Unsigned, _) => Fit::NeedsFloat,
    }
}

/// `value`, which fits, as a value of the column's type; text is told by [`text`].
pub(super) fn converted(value: Value<'_>, column: FieldType) -> Value<'_> {
    match (column, value) {
        (FieldType::Boolean, Value::Text(text)) => Value::Boolean(text == "true"),
        (FieldType::String, value) => value,
        (_, Value::Text(text)) => number(text).map_or(value, |value| converted(value, column)),
        (FieldType::Float, Value::Integer(value)) => Value::Float(value as f64),
        (FieldType::Float, Value::Unsigned(value)) => Value::Float(value as f64),
        (FieldType::Unsigned, Value::Integer(value)) => Value::Unsigned(value.unsigned_abs()),
        (_, value) => value,
    }
}

/// The number that a text is: digits with a sign, a fraction, an exponent; finite, and nothing around it.
fn number(text: &str) -> Option<Value<'static>> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    if let Ok(value) = text.parse::<i64>() {
        return Some(Value::Integer(value));
    }
    if let Ok(value) = text.parse::<u64>() {
        return Some(Value::Unsigned(value));
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

/// A value as a column of text holds it.
pub(super) fn text(value: Value<'_>) -> String {
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        // As JSON spells it: 1.0, 1e300.
        Value::Float(value) => serde_json::Number::from_f64(value).map_or_else(|| value.to_string(), |n| n.to_string()),
        Value::Text(text) => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value<'_>, column: FieldType, expected: Fit, stored: Value<'_>) {
        assert_eq!(fit(value, column), expected, "{value:?} in {column}");
        if expected == Fit::Fits {
            assert_eq!(converted(value, column), stored, "{value:?} in {column}");
        }
    }

    #[test]
    fn numbers_fit_columns_of_numbers_and_widen_them() {
        let (i, u, f) = (Value::Integer(-1), Value::Unsigned(u64::MAX), Value::Float(1.5));
        check(i, FieldType::Integer, Fit::Fits, i);
        check(f, FieldType::Integer, Fit::NeedsFloat, f);
        check(u, FieldType::Integer, Fit::NeedsFloat, u);
        check(i, FieldType::Unsigned, Fit::NeedsFloat, i);
        check(Value::Integer(7), FieldType::Unsigned, Fit::Fits, Value::Unsigned(7));
        check(i, FieldType::Float, Fit::Fits, Value::Float(-1.0));
        check(u, FieldType::Float, Fit::Fits, Value::Float(u64::MAX as f64));
        check(Value::Boolean(true), FieldType::Float, Fit::No, i);
        check(f, FieldType::Boolean, Fit::No, f);
    }

    #[test]
    fn text_that_is_a_number_or_a_boolean_is_one() {
        check(Value::Text("12"), FieldType::Integer, Fit::Fits, Value::Integer(12));
        check(Value::Text("1.5"), FieldType::Integer, Fit::NeedsFloat, Value::Float(1.5));
        check(Value::Text("-1e3"), FieldType::Float, Fit::Fits, Value::Float(-1000.0));
        for wrong in ["n/a", "", " 1", "1x", "inf", "nan", "NaN", "-", "1e999", "[1]"] {
            check(Value::Text(wrong), FieldType::Float, Fit::No, Value::Text(wrong));
        }
        check(Value::Text("true"), FieldType::Boolean, Fit::Fits, Value::Boolean(true));
        check(Value::Text(""), FieldType::Boolean, Fit::Fits, Value::Boolean(false));
        check(Value::Text("maybe"), FieldType::Boolean, Fit::No, Value::Text("maybe"));
    }

    #[test]
    fn anything_fits_text() {
        check(Value::Float(1.0), FieldType::String, Fit::Fits, Value::Float(1.0));
        assert_eq!(text(Value::Float(1.0)), "1.0");
        assert_eq!(text(Value::Integer(-3)), "-3");
        assert_eq!(text(Value::Boolean(true)), "true");
    }
}
