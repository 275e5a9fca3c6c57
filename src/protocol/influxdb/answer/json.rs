//! JSON, compact or pretty.

use crate::query::influxql::answer::{Message, SeriesHead};

use super::cells::{self, Cell};
use super::numbers::{push_integer, push_json_float, push_unsigned};
use super::text::push_json_text;
use super::{EncodeError, Encoder, Rows};

const INDENT: &[u8] = b"    ";

/// Writes members in the order of the real server and leaves out empty ones.
#[derive(Debug, Default)]
pub(super) struct Json {
    pretty: bool,
    /// Brackets open.
    depth: usize,
    /// Nothing stands in the innermost bracket yet.
    is_empty: bool,
    has_results: bool,
    has_series: bool,
    has_values: bool,
    /// Those of the statement being written: they stand after its series.
    messages: Vec<Message>,
}

impl Json {
    pub(super) fn new(pretty: bool) -> Self {
        Json { pretty, ..Json::default() }
    }

    fn open(&mut self, bracket: u8, out: &mut Vec<u8>) {
        out.push(bracket);
        self.depth += 1;
        self.is_empty = true;
    }

    fn close(&mut self, bracket: u8, out: &mut Vec<u8>) {
        self.depth -= 1;
        if !self.is_empty {
            self.line(out);
        }
        self.is_empty = false;
        out.push(bracket);
    }

    /// Before each value in a list and each key.
    fn next(&mut self, out: &mut Vec<u8>) {
        if !self.is_empty {
            out.push(b',');
        }
        self.is_empty = false;
        self.line(out);
    }

    fn line(&self, out: &mut Vec<u8>) {
        if self.pretty {
            out.push(b'\n');
            (0..self.depth).for_each(|_| out.extend_from_slice(INDENT));
        }
    }

    fn key(&mut self, key: &str, out: &mut Vec<u8>) {
        self.next(out);
        push_json_text(key, out);
        out.push(b':');
        if self.pretty {
            out.push(b' ');
        }
    }

    fn text(&mut self, key: &str, text: &str, out: &mut Vec<u8>) {
        self.key(key, out);
        push_json_text(text, out);
    }

    fn truth(&mut self, key: &str, out: &mut Vec<u8>) {
        self.key(key, out);
        out.extend_from_slice(b"true");
    }

    fn cell(&mut self, cell: Cell<'_>, rows: &Rows<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Time(ns) => rows.times.push_json(ns, out),
            Cell::Float(value) if value.is_infinite() => return Err(EncodeError::Infinite(value)),
            Cell::Float(value) => push_json_float(value, out),
            Cell::Integer(value) => push_integer(value, out),
            Cell::Unsigned(value) => push_unsigned(value, out),
            Cell::Boolean(true) => out.extend_from_slice(b"true"),
            Cell::Boolean(false) => out.extend_from_slice(b"false"),
            Cell::Text(text) => push_json_text(text, out),
            Cell::Texts(lists, row) => {
                self.open(b'[', out);
                for text in cells::texts(lists, row) {
                    self.next(out);
                    push_json_text(&text, out);
                }
                self.close(b']', out);
            }
        }
        Ok(())
    }

    fn push_messages(&mut self, out: &mut Vec<u8>) {
        let messages = std::mem::take(&mut self.messages);
        if messages.is_empty() {
            return;
        }
        self.key("messages", out);
        self.open(b'[', out);
        for message in messages {
            self.next(out);
            self.open(b'{', out);
            self.text("level", message.level, out);
            self.text("text", &message.text, out);
            self.close(b'}', out);
        }
        self.close(b']', out);
    }
}

impl Encoder for Json {
    fn begin_document(&mut self, out: &mut Vec<u8>) {
        *self = Json::new(self.pretty);
        self.open(b'{', out);
    }

    fn begin_result(&mut self, statement_id: usize, messages: &[Message], out: &mut Vec<u8>) {
        if !self.has_results {
            self.key("results", out);
            self.open(b'[', out);
            self.has_results = true;
        }
        self.next(out);
        self.open(b'{', out);
        self.key("statement_id", out);
        push_unsigned(statement_id as u64, out);
        self.has_series = false;
        self.messages = messages.to_vec();
    }

    fn begin_series(&mut self, head: &SeriesHead, out: &mut Vec<u8>) {
        if !self.has_series {
            self.key("series", out);
            self.open(b'[', out);
            self.has_series = true;
        }
        self.next(out);
        self.open(b'{', out);
        if let Some(name) = head.name.as_deref().filter(|name| !name.is_empty()) {
            self.text("name", name, out);
        }
        if !head.tags.is_empty() {
            self.key("tags", out);
            self.open(b'{', out);
            for (key, value) in &head.tags {
                self.text(key, value, out);
            }
            self.close(b'}', out);
        }
        self.key("columns", out);
        self.open(b'[', out);
        for column in &head.columns {
            self.next(out);
            push_json_text(column, out);
        }
        self.close(b']', out);
        self.has_values = false;
    }

    fn rows(&mut self, rows: Rows<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !self.has_values {
            self.key("values", out);
            self.open(b'[', out);
            self.has_values = true;
        }
        for row in rows.first..rows.end {
            self.next(out);
            self.open(b'[', out);
            for column in rows.columns {
                self.next(out);
                self.cell(column.cell(row), &rows, out)?;
            }
            self.close(b']', out);
        }
        Ok(())
    }

    fn end_series(&mut self, is_partial: bool, out: &mut Vec<u8>) {
        if self.has_values {
            self.close(b']', out);
        }
        if is_partial {
            self.truth("partial", out);
        }
        self.close(b'}', out);
    }

    fn end_result(&mut self, is_partial: bool, error: Option<&str>, out: &mut Vec<u8>) {
        if self.has_series {
            self.close(b']', out);
        }
        self.push_messages(out);
        if is_partial {
            self.truth("partial", out);
        }
        if let Some(error) = error {
            self.text("error", error, out);
        }
        self.close(b'}', out);
    }

    fn end_document(&mut self, out: &mut Vec<u8>) {
        if self.has_results {
            self.close(b']', out);
        }
        self.close(b'}', out);
        out.push(b'\n');
    }

    fn error_document(&mut self, text: &str, out: &mut Vec<u8>) {
        self.begin_document(out);
        self.text("error", text, out);
        self.end_document(out);
    }
}
