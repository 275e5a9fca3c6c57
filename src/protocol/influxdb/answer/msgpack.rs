//! MessagePack. Lists say their length first, so a document is held until its end.

use rmp::encode;

use crate::query::influxql::answer::{Message, SeriesHead};

use super::cells::{self, Cell};
use super::{EncodeError, Encoder, Rows};

/// What one document may take.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The extension type of times: seconds (64 bits) and nanoseconds (32).
const TIME_TYPE: i8 = 5;
const LIST_32: u8 = 0xdd;
const MAP_FEW: u8 = 0x80;
const WHY: &str = "a Vec takes every byte";

/// A list or map whose length is written when it is known.
#[derive(Debug, Default, Clone, Copy)]
struct Open {
    at: usize,
    items: u32,
}

/// Lists that may be long have a 32-bit length; maps have less than 16 members.
#[derive(Debug, Default)]
pub(super) struct MessagePack {
    start: usize,
    results: Open,
    result: Open,
    series_list: Open,
    series: Open,
    values: Open,
}

fn open_list(out: &mut Vec<u8>) -> Open {
    let at = out.len();
    out.extend_from_slice(&[LIST_32, 0, 0, 0, 0]);
    Open { at, items: 0 }
}

fn close_list(list: Open, out: &mut [u8]) {
    out[list.at + 1..list.at + 5].copy_from_slice(&list.items.to_be_bytes());
}

fn open_map(out: &mut Vec<u8>) -> Open {
    out.push(MAP_FEW);
    Open { at: out.len() - 1, items: 0 }
}

fn close_map(map: Open, out: &mut [u8]) {
    out[map.at] = MAP_FEW | map.items as u8;
}

fn text(text: &str, out: &mut Vec<u8>) {
    encode::write_str(out, text).expect(WHY);
}

fn length(items: usize) -> u32 {
    u32::try_from(items).expect("heads are held in memory and far shorter")
}

impl MessagePack {
    fn cell(cell: Cell<'_>, rows: &Rows<'_>, out: &mut Vec<u8>) {
        match cell {
            Cell::Null => encode::write_nil(out).expect(WHY),
            Cell::Time(ns) => match rows.times.number(ns) {
                Some(number) => drop(encode::write_sint(out, number).expect(WHY)),
                None => {
                    encode::write_ext_meta(out, 12, TIME_TYPE).expect(WHY);
                    out.extend_from_slice(&ns.div_euclid(1_000_000_000).to_be_bytes());
                    out.extend_from_slice(&(ns.rem_euclid(1_000_000_000) as u32).to_be_bytes());
                }
            },
            Cell::Float(value) => encode::write_f64(out, value).expect(WHY),
            Cell::Integer(value) => drop(encode::write_sint(out, value).expect(WHY)),
            Cell::Unsigned(value) => drop(encode::write_uint(out, value).expect(WHY)),
            Cell::Boolean(value) => encode::write_bool(out, value).expect(WHY),
            Cell::Text(value) => text(value, out),
            Cell::Texts(lists, row) => {
                let texts = cells::texts(lists, row);
                encode::write_array_len(out, length(texts.len())).expect(WHY);
                texts.iter().for_each(|value| text(value, out));
            }
        }
    }
}

impl Encoder for MessagePack {
    fn begin_document(&mut self, out: &mut Vec<u8>) {
        self.start = out.len();
        out.push(MAP_FEW | 1);
        text("results", out);
        self.results = open_list(out);
    }

    fn begin_result(&mut self, statement_id: usize, messages: &[Message], out: &mut Vec<u8>) {
        self.results.items += 1;
        self.result = open_map(out);
        self.result.items = 2;
        text("statement_id", out);
        encode::write_uint(out, statement_id as u64).expect(WHY);
        if !messages.is_empty() {
            self.result.items += 1;
            text("messages", out);
            encode::write_array_len(out, length(messages.len())).expect(WHY);
            for message in messages {
                out.push(MAP_FEW | 2);
                for part in ["level", message.level, "text", &message.text] {
                    text(part, out);
                }
            }
        }
        text("series", out);
        self.series_list = open_list(out);
    }

    fn begin_series(&mut self, head: &SeriesHead, out: &mut Vec<u8>) {
        self.series_list.items += 1;
        self.series = open_map(out);
        self.series.items = 2;
        if let Some(name) = head.name.as_deref().filter(|name| !name.is_empty()) {
            self.series.items += 1;
            text("name", out);
            text(name, out);
        }
        if !head.tags.is_empty() {
            self.series.items += 1;
            text("tags", out);
            encode::write_map_len(out, length(head.tags.len())).expect(WHY);
            for (key, value) in &head.tags {
                text(key, out);
                text(value, out);
            }
        }
        text("columns", out);
        encode::write_array_len(out, length(head.columns.len())).expect(WHY);
        head.columns.iter().for_each(|column| text(column, out));
        text("values", out);
        self.values = open_list(out);
    }

    fn rows(&mut self, rows: Rows<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for row in rows.first..rows.end {
            self.values.items += 1;
            encode::write_array_len(out, length(rows.columns.len())).expect(WHY);
            rows.columns.iter().for_each(|column| Self::cell(column.cell(row), &rows, out));
        }
        if out.len() - self.start > DOCUMENT_BYTES_MAX {
            return Err(EncodeError::TooLarge { bytes_max: DOCUMENT_BYTES_MAX });
        }
        Ok(())
    }

    fn end_series(&mut self, is_partial: bool, out: &mut Vec<u8>) {
        close_list(self.values, out);
        if is_partial {
            self.series.items += 1;
            text("partial", out);
            encode::write_bool(out, true).expect(WHY);
        }
        close_map(self.series, out);
    }

    /// A result that failed holds its error and nothing else.
    fn end_result(&mut self, is_partial: bool, error: Option<&str>, out: &mut Vec<u8>) {
        if let Some(error) = error {
            out.truncate(self.result.at);
            out.push(MAP_FEW | 1);
            text("error", out);
            return text(error, out);
        }
        close_list(self.series_list, out);
        if is_partial {
            self.result.items += 1;
            text("partial", out);
            encode::write_bool(out, true).expect(WHY);
        }
        close_map(self.result, out);
    }

    fn end_document(&mut self, out: &mut Vec<u8>) {
        close_list(self.results, out);
    }

    fn error_document(&mut self, error: &str, out: &mut Vec<u8>) {
        out.push(MAP_FEW | 1);
        text("error", out);
        text(error, out);
    }

    fn holds_documents(&self) -> bool {
        true
    }
}
