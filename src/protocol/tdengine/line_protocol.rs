//! Line protocol as TDengine reads it: suffixes say narrow types, prefixes what kind of text a text is.
//!
//! A parser of its own beside `format/line_protocol`, because what it makes is typed by more types than that one's points have.
//! Spec: TDengine, schemaless writing.

use crate::model::{DeclaredType as T, Precision};
use crate::query::tdsql::InsertValue;
use crate::query::tdsql::schemaless::{Line, TAGS_MAX};

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {why}: {text:?}")]
pub(super) struct BadLine {
    number: usize,
    why: &'static str,
    text: String,
}

/// All lines of a body; the first bad one refuses them all. `now_ns` is for lines without a time.
pub(super) fn parse(
    body: &str,
    precision: Precision,
    now_ns: i64,
    name_key: Option<&str>,
) -> Result<Vec<Line>, BadLine> {
    let mut lines = Vec::new();
    for (at, text) in body.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let bad = |why| BadLine { number: at + 1, why, text: text.chars().take(64).collect() };
        let mut line = line(text, precision, now_ns).map_err(bad)?;
        line.name_key = name_key.map(str::to_string);
        lines.push(line);
    }
    Ok(lines)
}

fn line(text: &str, precision: Precision, now_ns: i64) -> Result<Line, &'static str> {
    let (head, rest) = split(text, ' ').ok_or("fields are missing")?;
    let (fields, time) = split(rest.trim_start(), ' ').unwrap_or((rest.trim_start(), ""));
    let mut parts = pieces(head, ',').into_iter();
    let measurement = unescaped(parts.next().ok_or("the measurement is missing")?);
    if measurement.is_empty() {
        return Err("the measurement is missing");
    }
    let mut tags: Vec<(String, String)> = Vec::new();
    for part in parts {
        let (key, value) = split(part, '=').ok_or("a tag has no value")?;
        let (key, value) = (unescaped(key), unescaped(value));
        if tags.len() >= TAGS_MAX {
            return Err("there are too many tags");
        }
        if key.is_empty() || tags.iter().any(|(known, _)| *known == key) {
            return Err("a tag's key is empty or there twice");
        }
        tags.push((key, value));
    }
    let mut columns = Vec::new();
    for part in pieces(fields, ',') {
        let (key, value) = split(part, '=').ok_or("a field has no value")?;
        let (kind, value) = field(value).ok_or("a field's value is none")?;
        columns.push((unescaped(key), kind, value));
    }
    let time_ns = match time.trim() {
        "" | "0" => now_ns,
        digits => {
            let number = digits.parse().map_err(|_| "the time is no number")?;
            precision.to_nanos(number).ok_or("the time is out of range")?
        }
    };
    Ok(Line { measurement, tags, fields: columns, time_ns, name_key: None })
}

/// The text before and after the first `mark` that is neither escaped nor between quotes.
fn split(text: &str, mark: char) -> Option<(&str, &str)> {
    let (mut escaped, mut quoted) = (false, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else if c == mark && !quoted {
            return Some((&text[..at], &text[at + mark.len_utf8()..]));
        }
    }
    None
}

fn pieces(text: &str, mark: char) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((piece, after)) = split(rest, mark) {
        all.push(piece);
        rest = after;
    }
    all.push(rest);
    all
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ (',' | '=' | ' ' | '"' | '\\')) if c == '\\' => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

/// A field's value, and the type that it has by its form.
pub(super) fn field(text: &str) -> Option<(T, InsertValue)> {
    const TEXT_MIN: u32 = 16;
    let between = |prefix: &str| {
        let inner = text.strip_prefix(prefix)?.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescaped(inner))
    };
    if let Some(value) = between("") {
        return Some((T::Varchar(TEXT_MIN.max(value.len() as u32)), InsertValue::Text(value)));
    }
    if let Some(value) = between("L").or_else(|| between("l")) {
        return Some((T::NChar(TEXT_MIN.max(value.chars().count() as u32)), InsertValue::Text(value)));
    }
    if let Some(value) = between("B").or_else(|| between("b")) {
        return Some((T::Varbinary(TEXT_MIN.max(value.len() as u32)), InsertValue::Text(value)));
    }
    if let Some(value) = between("G").or_else(|| between("g")) {
        return Some((T::Geometry(100.max(value.len() as u32)), InsertValue::Text(value)));
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some((T::Bool, InsertValue::Bool(true))),
        "f" | "F" | "false" | "False" | "FALSE" => return Some((T::Bool, InsertValue::Bool(false))),
        _ => {}
    }
    const SUFFIXES: [(&str, T); 12] = [
        ("i8", T::TinyInt),
        ("u8", T::UTinyInt),
        ("i16", T::SmallInt),
        ("u16", T::USmallInt),
        ("i32", T::Int),
        ("u32", T::UInt),
        ("i64", T::BigInt),
        ("u64", T::UBigInt),
        ("f32", T::Float),
        ("f64", T::Double),
        ("i", T::BigInt),
        ("u", T::UBigInt),
    ];
    let lower = text.to_ascii_lowercase();
    let is_number = |digits: &str| digits.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if matches!(lower.as_str(), "nan" | "inf" | "-inf" | "+inf" | "infinity" | "-infinity") {
        return Some((T::Double, InsertValue::Null));
    }
    let suffixed = SUFFIXES.iter().find_map(|(suffix, kind)| Some((lower.strip_suffix(suffix)?, *kind)));
    let (digits, kind) = suffixed.unwrap_or((&lower, T::Double));
    let parsed = digits.parse::<f64>().ok().filter(|number| number.is_finite() && is_number(digits));
    parsed.map(|_| (kind, InsertValue::Number(digits.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(digits: &str) -> InsertValue {
        InsertValue::Number(digits.to_string())
    }

    #[test]
    fn suffixes_and_prefixes_say_the_type() {
        for (text, kind, value) in [
            ("1", T::Double, number("1")),
            ("1i8", T::TinyInt, number("1")),
            ("-2u64", T::UBigInt, number("-2")),
            ("1.5f32", T::Float, number("1.5")),
            ("40i", T::BigInt, number("40")),
            ("T", T::Bool, InsertValue::Bool(true)),
            ("L\"x\"", T::NChar(16), InsertValue::Text("x".to_string())),
            ("\"a\\\"b\"", T::Varchar(16), InsertValue::Text("a\"b".to_string())),
            ("nan", T::Double, InsertValue::Null),
        ] {
            assert_eq!(field(text), Some((kind, value)), "{text}");
        }
        for wrong in ["a1", "", "1x", "\"open", "i"] {
            assert_eq!(field(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_line_has_tags_fields_and_a_time() {
        let body = "m\\,x,a=1,b=x\\ y c=1i,d=\"p q,r\" 5\n\n# note\nn v=1";
        let lines = parse(body, Precision::S, 7, None).unwrap();
        assert_eq!(lines[0].measurement, "m,x");
        assert_eq!(lines[0].tags, [("a".to_string(), "1".to_string()), ("b".to_string(), "x y".to_string())]);
        assert_eq!(lines[0].fields[1].2, InsertValue::Text("p q,r".to_string()));
        assert_eq!((lines[0].time_ns, lines[1].time_ns), (5_000_000_000, 7));
        let tagged = |count: usize| {
            let tags: String = (0..count).map(|at| format!(",t{at}=x")).collect();
            parse(&format!("m{tags} v=1"), Precision::Ns, 0, None)
        };
        assert!(tagged(TAGS_MAX).is_ok() && tagged(TAGS_MAX + 1).is_err());
        for wrong in ["m", "m,a v=1", "m v=a1", "m v=1 x", ",a=1 v=1"] {
            assert!(parse(wrong, Precision::Ns, 0, None).is_err(), "{wrong}");
        }
    }
}
