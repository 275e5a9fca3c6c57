//! CSV: one table a statement.

use crate::query::influxql::answer::{Message, SeriesHead};

use super::cells::Cell;
use super::numbers::{push_integer, push_plain_float, push_unsigned};
use super::{EncodeError, Encoder, Rows};

/// Header lines come when a statement begins to have rows and when the columns change within it. Statements without rows,
/// errors of statements and messages leave no trace.
#[derive(Debug, Default)]
pub(super) struct Csv {
    statement: Option<usize>,
    /// Which statement the last header was for.
    headed: Option<usize>,
    columns: Vec<std::sync::Arc<str>>,
    /// Name and tags of the series, with their commas: what each of its lines begins with.
    prefix: Vec<u8>,
}

impl Encoder for Csv {
    fn begin_document(&mut self, _: &mut Vec<u8>) {}

    fn begin_result(&mut self, statement_id: usize, _: &[Message], _: &mut Vec<u8>) {
        self.statement = Some(statement_id);
    }

    fn begin_series(&mut self, head: &SeriesHead, out: &mut Vec<u8>) {
        if self.headed != self.statement || self.columns != head.columns {
            if self.headed.is_some() {
                out.push(b'\n');
            }
            out.extend_from_slice(b"name,tags");
            for column in &head.columns {
                out.push(b',');
                push_field(column, out);
            }
            out.push(b'\n');
            self.headed = self.statement;
            self.columns.clone_from(&head.columns);
        }
        self.prefix.clear();
        push_field(head.name.as_deref().unwrap_or_default(), &mut self.prefix);
        self.prefix.push(b',');
        push_field(&tags(head), &mut self.prefix);
    }

    fn rows(&mut self, rows: Rows<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for row in rows.first..rows.end {
            out.extend_from_slice(&self.prefix);
            for column in rows.columns {
                out.push(b',');
                match column.cell(row) {
                    Cell::Null | Cell::Texts(..) => {}
                    Cell::Time(ns) => push_integer(rows.times.number_or_nanos(ns), out),
                    Cell::Float(value) => push_plain_float(value, out),
                    Cell::Integer(value) => push_integer(value, out),
                    Cell::Unsigned(value) => push_unsigned(value, out),
                    Cell::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
                    Cell::Text(text) => push_field(text, out),
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn end_series(&mut self, _: bool, _: &mut Vec<u8>) {}

    fn end_result(&mut self, _: bool, _: Option<&str>, _: &mut Vec<u8>) {}

    fn end_document(&mut self, _: &mut Vec<u8>) {}

    fn error_document(&mut self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"error\n");
        push_field(text, out);
        out.push(b'\n');
    }
}

/// `key=value,key=value`, without those that are empty, with the escapes of line protocol.
fn tags(head: &SeriesHead) -> String {
    let mut text = String::new();
    for (key, value) in head.tags.iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push(',');
        }
        push_escaped(key, &mut text);
        text.push('=');
        push_escaped(value, &mut text);
    }
    text
}

fn push_escaped(text: &str, out: &mut String) {
    for character in text.chars() {
        if matches!(character, ',' | '=' | ' ') {
            out.push('\\');
        }
        out.push(character);
    }
}

/// Appends a field, quoted where Go quotes: also when it begins with a blank.
pub(super) fn push_field(text: &str, out: &mut Vec<u8>) {
    let is_plain = !text.contains([',', '"', '\n', '\r']) && !text.starts_with(char::is_whitespace) && text != r"\.";
    if is_plain {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\"\""),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}
