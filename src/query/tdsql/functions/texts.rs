//! Texts: read as numbers the way C does, cut, and taken apart.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::logical_expr::Expr;

use crate::model::text;

use super::call;

/// The number that a text begins with; 0 when it begins with none.
pub(in crate::query::tdsql) fn to_double(text: Expr) -> Expr {
    call("td_text_to_double".to_string(), DataType::Float64, vec![text], |args| {
        let texts = args[0].as_string::<i32>();
        let numbers: Float64Array = texts.iter().map(|text| text.map(leading_number)).collect();
        Ok(Arc::new(numbers) as ArrayRef)
    })
}

/// The integer that a text begins with; 0 when it begins with none.
pub(in crate::query::tdsql) fn to_integer(text: Expr) -> Expr {
    call("td_text_to_integer".to_string(), DataType::Int64, vec![text], |args| {
        let texts = args[0].as_string::<i32>();
        let numbers: Int64Array = texts.iter().map(|text| text.map(leading_integer)).collect();
        Ok(Arc::new(numbers) as ArrayRef)
    })
}

/// A number as an integer of `to`'s width: its low bits, as C takes them. Null where it is no 64-bit integer at all.
pub(in crate::query::tdsql) fn narrowed(number: Expr, to: DataType) -> Expr {
    let target = to.clone();
    call(format!("td_narrowed_{to}"), to, vec![number], move |args| {
        let wide: Int64Array = match args[0].as_primitive_opt::<UInt64Type>() {
            Some(unsigned) => unsigned.unary(|number| number as i64),
            None => cast(&args[0], &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
        };
        Ok(match target {
            DataType::Int8 => Arc::new(wide.unary::<_, Int8Type>(|number| number as i8)) as ArrayRef,
            DataType::Int16 => Arc::new(wide.unary::<_, Int16Type>(|number| number as i16)),
            DataType::Int32 => Arc::new(wide.unary::<_, Int32Type>(|number| number as i32)),
            DataType::UInt8 => Arc::new(wide.unary::<_, UInt8Type>(|number| number as u8)),
            DataType::UInt16 => Arc::new(wide.unary::<_, UInt16Type>(|number| number as u16)),
            DataType::UInt32 => Arc::new(wide.unary::<_, UInt32Type>(|number| number as u32)),
            DataType::UInt64 => Arc::new(wide.unary::<_, UInt64Type>(|number| number as u64)),
            _ => Arc::new(wide),
        })
    })
}

/// At most so many bytes (whole characters of them), or characters.
pub(in crate::query::tdsql) fn cut(text: Expr, length: u32, characters: bool) -> Expr {
    let name = format!("td_cut_{length}_{}", if characters { "characters" } else { "bytes" });
    call(name, DataType::Utf8, vec![text], move |args| {
        let texts = args[0].as_string::<i32>();
        let kept = |text| {
            if characters { first_characters(text, length as usize) } else { text::cut(text, length as usize) }
        };
        Ok(Arc::new(texts.iter().map(|text| text.map(kept)).collect::<StringArray>()) as ArrayRef)
    })
}

/// Bytes as hex digits.
pub(in crate::query::tdsql) fn hex(text: Expr) -> Expr {
    call("td_hex".to_string(), DataType::Utf8, vec![text], |args| {
        let texts = args[0].as_string::<i32>();
        let digits = texts.iter().map(|text| text.and_then(crate::query::tdsql::values::hex_of));
        Ok(Arc::new(digits.collect::<StringArray>()) as ArrayRef)
    })
}

/// Characters from the `from`-th on (from 1; from the end when negative; nothing when 0), `length` of them or all.
pub(in crate::query::tdsql) fn part(text: Expr, from: Expr, length: Option<Expr>) -> Expr {
    let args = [text, from].into_iter().chain(length).collect();
    call("td_part".to_string(), DataType::Utf8, args, |args| {
        let texts = args[0].as_string::<i32>();
        let from = args[1].as_primitive::<Int64Type>();
        let lengths = args.get(2).map(|lengths| lengths.as_primitive::<Int64Type>());
        let one = |row: usize| {
            if texts.is_null(row) || from.is_null(row) || lengths.is_some_and(|lengths| lengths.is_null(row)) {
                return None;
            }
            let length = lengths.map_or(i64::MAX, |lengths| lengths.value(row));
            Some(characters(texts.value(row), from.value(row), length))
        };
        Ok(Arc::new((0..texts.len()).map(one).collect::<StringArray>()) as ArrayRef)
    })
}

fn characters(text: &str, from: i64, length: i64) -> String {
    let count = text.chars().count() as i64;
    let start = match from {
        0 => return String::new(),
        from if from > 0 => from - 1,
        from => count.saturating_add(from),
    };
    if start < 0 || start >= count || length <= 0 {
        return String::new();
    }
    text.chars().skip(start as usize).take(usize::try_from(length).unwrap_or(usize::MAX)).collect()
}

fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut end = digits(start);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(sign);
        if exponent > sign {
            end = exponent;
        }
    }
    text[..end].parse().unwrap_or(0.0)
}

fn leading_integer(text: &str) -> i64 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['+', '-']));
    let end = text[sign..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |end| end + sign);
    match text[..end].parse::<i128>() {
        Ok(number) => number.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_far_as_they_are_numbers() {
        for (text, number) in [("a", 0.0), ("1.5x", 1.5), (" -2e3 ", -2000.0), ("1e", 1.0), ("", 0.0), (".5", 0.5)] {
            assert_eq!(leading_number(text), number, "{text}");
        }
        for (text, number) in [("42", 42), ("-7a", -7), ("x", 0), ("99999999999999999999", i64::MAX), ("-", 0)] {
            assert_eq!(leading_integer(text), number, "{text}");
        }
    }

    #[test]
    fn parts_count_characters_from_both_ends() {
        assert_eq!(characters("Hello World", 7, i64::MAX), "World");
        assert_eq!(characters("Hello World", -5, 3), "Wor");
        assert_eq!(characters("涛思数据", 2, 2), "思数");
        for (from, length) in [(0, 5), (12, 1), (-20, 5), (1, 0), (i64::MIN, 1)] {
            assert_eq!(characters("Hello World", from, length), "", "{from} {length}");
        }
        assert_eq!(text::cut("涛思", 4), "涛");
        assert_eq!(first_characters("涛思", 1), "涛");
    }
}
