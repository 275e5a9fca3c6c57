//! Answers of `/query` as JSON.
//!
//! Spec: InfluxDB 1.8 HTTP API, query endpoint; members in the order of the real server, strings escaped as Go escapes them.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// The document.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<StatementResult>,
}

/// What one statement came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct StatementResult {
    pub statement_id: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub name: String,
    pub columns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Vec<Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub level: &'static str,
    pub text: String,
}

impl Answer {
    /// The document and a line break; `pretty` indents by four spaces.
    pub(super) fn to_json(&self, pretty: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let written = if pretty {
            self.serialize(&mut Serializer::with_formatter(&mut out, GoEscapes(PrettyFormatter::with_indent(b"    "))))
        } else {
            self.serialize(&mut Serializer::with_formatter(&mut out, GoEscapes(CompactFormatter)))
        };
        written.expect("strings, numbers and lists under string keys are JSON");
        out.push(b'\n');
        out
    }
}

/// Escapes in strings what HTML and JavaScript could misread, as Go's encoder does; leaves the layout to another.
struct GoEscapes<F>(F);

impl<F: Formatter> Formatter for GoEscapes<F> {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, after) = rest.split_at(at);
            let mut characters = after.chars();
            writer.write_all(before.as_bytes())?;
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let series =
            Series { name: "databases".into(), columns: vec!["name".into()], values: vec![vec!["a<b>&".into()]] };
        Answer {
            results: vec![StatementResult { statement_id: 0, series: vec![series], ..StatementResult::default() }],
        }
    }

    #[test]
    fn members_are_in_order_and_strings_escaped() {
        let expected = r#"{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["a\u003cb\u003e\u0026"]]}]}]}"#;
        assert_eq!(String::from_utf8(answer().to_json(false)).unwrap(), format!("{expected}\n"));
        assert!(String::from_utf8(answer().to_json(true)).unwrap().contains("\n    \"results\": [\n        {"));
    }

    #[test]
    fn no_results_are_an_empty_document() {
        assert_eq!(Answer::default().to_json(false), b"{}\n");
    }
}
