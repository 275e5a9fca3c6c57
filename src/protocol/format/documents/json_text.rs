//! JSON read and written again without its white space: what is kept as text in one column.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Appends one JSON value to a text. Keys keep their order, also those given twice; numbers are spelled as they were
/// understood (`1.50` becomes `1.5`).
pub(super) struct JsonText<'a>(pub(super) &'a mut String);

impl<'de> DeserializeSeed<'de> for JsonText<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.push_str(&serde_json::to_string(&value).map_err(E::custom)?);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.push_str(&serde_json::to_string(value).map_err(E::custom)?);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push('[');
        let start = self.0.len();
        loop {
            let before = self.0.len();
            if before > start {
                self.0.push(',');
            }
            if items.next_element_seed(JsonText(self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
        }
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.push('{');
        let start = self.0.len();
        loop {
            let before = self.0.len();
            if before > start {
                self.0.push(',');
            }
            if entries.next_key_seed(JsonText(self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
            self.0.push(':');
            entries.next_value_seed(JsonText(self.0))?;
        }
        self.0.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let mut text = String::new();
        let mut deserializer = serde_json::Deserializer::from_str(json);
        JsonText(&mut text).deserialize(&mut deserializer).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_value_loses_nothing_but_space() {
        check(r#" [ "a" , "b\n\u00e9" ] "#, r#"["a","b\né"]"#);
        check(r#"{"z": [], "a": {}, "z": null}"#, r#"{"z":[],"a":{},"z":null}"#);
        check(
            "[1, -2, 18446744073709551615, 1.50, 1e300, true, [[]]]",
            "[1,-2,18446744073709551615,1.5,1e+300,true,[[]]]",
        );
    }
}
