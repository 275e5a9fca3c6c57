//! One JSON document as named values: objects become dotted names.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::model::{Documents, TooManyNames, Value};

use super::json_text::JsonText;

/// Longest name of a value, bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// What becomes of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrays {
    /// One value: its JSON text.
    Text,
    /// A value an element, named by its position from 0.
    ByPosition,
}

/// How documents are taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub arrays: Arrays,
    /// Objects nested deeper are one value: their JSON text. The document itself is at depth 1.
    pub depth_max: usize,
}

/// Why bytes are no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// `what` is the parser's word, with the place.
    #[error("{what}")]
    Json { what: String },
    #[error("expected an object, found {found}")]
    NotAnObject { found: &'static str },
    #[error("field name cannot be an empty string")]
    EmptyName,
    #[error("field name is longer than {NAME_BYTES_MAX} bytes: {start}…")]
    LongName { start: String },
    #[error(transparent)]
    TooManyNames(TooManyNames),
}

/// Sets the values of the document in `source` in `into`, where it is then being written: the caller finishes it or, also
/// after an error, aborts it.
///
/// `{"a":{"b":1}}` and `{"a.b":1}` are the same. Null and an empty object are no value, a name given twice counts once,
/// with its last value. A number is an integer where it is written without fraction and exponent and fits. Nesting beyond 127 levels is refused.
pub fn flatten(source: &[u8], shape: Shape, into: &mut Documents) -> Result<(), DocumentError> {
    match source.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        other => return Err(not_an_object(source, other.copied())),
    }
    let mut deserializer = serde_json::Deserializer::from_slice(source);
    let mut walk = Walk { into, path: String::new(), shape, refusal: None, text: String::new() };
    let read = Node { walk: &mut walk, depth: 1 }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (read, walk.refusal) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(error), None) => Err(DocumentError::Json { what: error.to_string() }),
    }
}

fn not_an_object(source: &[u8], first: Option<u8>) -> DocumentError {
    if first.is_some()
        && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(source)
    {
        return DocumentError::Json { what: error.to_string() };
    }
    let found = match first {
        None => "nothing",
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
    };
    DocumentError::NotAnObject { found }
}

/// What all levels of a document share.
struct Walk<'a> {
    into: &'a mut Documents,
    /// The name of the value that is read.
    path: String,
    shape: Shape,
    /// What a parser's error stands for when it is ours.
    refusal: Option<DocumentError>,
    /// For values that become text.
    text: String,
}

impl Walk<'_> {
    fn refuse<E: serde::de::Error>(&mut self, refusal: DocumentError) -> E {
        let error = E::custom(&refusal);
        self.refusal = Some(refusal);
        error
    }

    fn check_name<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.path.len() > NAME_BYTES_MAX {
            let start = self.path.chars().take(40).collect();
            return Err(self.refuse(DocumentError::LongName { start }));
        }
        Ok(())
    }

    fn set<E: serde::de::Error>(&mut self, value: Value<'_>) -> Result<(), E> {
        self.check_name()?;
        self.into.set(&self.path, value).map_err(|error| self.refuse(DocumentError::TooManyNames(error)))
    }
}

/// The value at the walk's path.
struct Node<'w, 'a> {
    walk: &'w mut Walk<'a>,
    depth: usize,
}

impl Node<'_, '_> {
    /// Reads a value that is kept as text.
    fn keep_text<E: serde::de::Error>(self, write: impl FnOnce(JsonText<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut text = std::mem::take(&mut self.walk.text);
        text.clear();
        write(JsonText(&mut text))?;
        self.walk.set(Value::Text(&text))?;
        self.walk.text = text;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    /// Null is no value.
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.walk.into.remove(&self.walk.path);
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.walk.set(Value::Boolean(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.walk.set(Value::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.walk.set(Value::Integer(value)),
            Err(_) => self.walk.set(Value::Unsigned(value)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.walk.set(Value::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.walk.set(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.walk.shape.arrays == Arrays::Text {
            return self.keep_text(|text| text.visit_seq(items));
        }
        let outer = self.walk.path.len();
        for position in 0_usize.. {
            self.walk.path.push('.');
            self.walk.path.push_str(&position.to_string());
            let more = items.next_element_seed(Node { walk: &mut *self.walk, depth: self.depth + 1 })?.is_some();
            self.walk.path.truncate(outer);
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.depth > self.walk.shape.depth_max {
            return self.keep_text(|text| text.visit_map(entries));
        }
        let outer = self.walk.path.len();
        while entries.next_key_seed(Key { path: &mut self.walk.path })?.is_some() {
            if self.walk.path[outer..].trim_matches(['.', ' ']).is_empty() {
                return Err(self.walk.refuse(DocumentError::EmptyName));
            }
            // A name that is too long is not made longer still.
            self.walk.check_name()?;
            entries.next_value_seed(Node { walk: &mut *self.walk, depth: self.depth + 1 })?;
            self.walk.path.truncate(outer);
        }
        Ok(())
    }
}

/// A key of an object, appended to the path.
struct Key<'w> {
    path: &'w mut String,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::documents::NAMES_MAX;

    const SHAPE: Shape = Shape { arrays: Arrays::Text, depth_max: 3 };

    fn values(json: &str, shape: Shape) -> Result<String, String> {
        let mut documents = Documents::new("t");
        flatten(json.as_bytes(), shape, &mut documents).map_err(|error| error.to_string())?;
        let values: Vec<String> = documents.open_values().map(|(name, value)| format!("{name}={value:?}")).collect();
        Ok(values.join(" "))
    }

    #[track_caller]
    fn check(json: &str, expected: Result<&str, &str>) {
        let seen = values(json, SHAPE);
        assert_eq!(seen.as_deref().map_err(String::as_str), expected, "{json}");
    }

    #[test]
    fn objects_become_dotted_names() {
        check(r#"{"a":{"b":1,"c":{"d":true}},"a.b":2}"#, Ok("a.b=Integer(2) a.c.d=Boolean(true)"));
        check(r#" {"a":null,"b":{},"c":{"d":null}} "#, Ok(""));
        check(r#"{"a":1,"a":null}"#, Ok(""));
        check(r#"{"é\n":"ü\u0041"}"#, Ok("é\n=Text(\"üA\")"));
    }

    #[test]
    fn what_is_too_deep_and_lists_are_text() {
        check(r#"{"a":{"b":{"c":{"d": 1}}}}"#, Ok(r#"a.b.c=Text("{\"d\":1}")"#));
        check(r#"{"a":[ 1, {"b":2}],"c":[]}"#, Ok(r#"a=Text("[1,{\"b\":2}]") c=Text("[]")"#));
        let shape = Shape { arrays: Arrays::ByPosition, ..SHAPE };
        let seen = values(r#"{"c":[{"d":2},[3],null],"e":[]}"#, shape).unwrap();
        assert_eq!(seen, "c.0.d=Integer(2) c.1.0=Integer(3)");
    }

    #[test]
    fn numbers_are_what_they_look_like() {
        let json =
            r#"{"a":9223372036854775807,"b":9223372036854775808,"c":-1,"d":2.0,"e":1e2,"f":99999999999999999999}"#;
        check(
            json,
            Ok(
                "a=Integer(9223372036854775807) b=Unsigned(9223372036854775808) c=Integer(-1) d=Float(2.0) e=Float(100.0) f=Float(1e20)",
            ),
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        check(r#"{"a":"#, Err("EOF while parsing a value at line 1 column 5"));
        check("{bad", Err("key must be a string at line 1 column 2"));
        check(r#"{"a":1} x"#, Err("trailing characters at line 1 column 9"));
        check("[1,2]", Err("expected an object, found a list"));
        check("", Err("expected an object, found nothing"));
        check("\"x\"", Err("expected an object, found a text"));
        check(r#"{"":1}"#, Err("field name cannot be an empty string"));
        check(r#"{"a":{"..":1}}"#, Err("field name cannot be an empty string"));
        let long = format!(r#"{{"{}":1}}"#, "n".repeat(NAME_BYTES_MAX + 1));
        check(&long, Err(&format!("field name is longer than 512 bytes: {}…", "n".repeat(40))));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        check(&deep, Err("recursion limit exceeded at line 1 column 636"));
    }

    #[test]
    fn a_list_by_position_makes_a_bounded_number_of_names() {
        let mut documents = Documents::new("t");
        let json = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(NAMES_MAX));
        let shape = Shape { arrays: Arrays::ByPosition, ..SHAPE };
        let refused = flatten(json.as_bytes(), shape, &mut documents);
        assert_eq!(refused, Err(DocumentError::TooManyNames(TooManyNames { max: NAMES_MAX })));
        documents.abort();
        assert_eq!(flatten(br#"{"a":[1,2]}"#, shape, &mut documents), Ok(()));
        assert!(flatten(br#"{"b":1}"#, shape, &mut documents).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let refused = flatten(b"{\"a\":\"\xff\"}", SHAPE, &mut Documents::new("t")).unwrap_err();
        assert!(refused.to_string().starts_with("invalid unicode code point"), "{refused}");
    }
}
