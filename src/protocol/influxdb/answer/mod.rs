//! Answers of `/query`, written while their rows are made: as JSON, CSV or MessagePack, in one document or many.
//!
//! [`AnswerWriter`] divides rows into series, results and documents; an encoder ([`json`], [`csv`], [`msgpack`]) turns
//! that into bytes. Pure functions over arrays: no HTTP here.
//!
//! Spec: InfluxDB 1.8 HTTP API, query endpoint; members in the order of the real server.

mod cells;
mod csv;
mod json;
mod msgpack;
mod numbers;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod writer;

pub(super) use text::push_json_text;
pub(super) use times::Epoch;
pub(super) use writer::{AnswerWriter, Documents, Flow};

use crate::query::influxql::answer::{Message, SeriesHead};
use cells::Column;
use times::Times;

/// In what a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    #[default]
    Json,
    /// With line breaks and four blanks a level.
    PrettyJson,
    Csv,
    MessagePack,
}

/// Why an answer cannot be written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum EncodeError {
    /// JSON has no infinity.
    #[error("json: unsupported value: {}", if *.0 > 0.0 { "+Inf" } else { "-Inf" })]
    Infinite(f64),
    /// A form that must know its length first is held in memory, within bounds.
    #[error("the answer is larger than {bytes_max} bytes; ask for it chunked")]
    TooLarge { bytes_max: usize },
}

/// What all encoders can be told. Calls nest: document, result, series, rows.
trait Encoder: Send {
    fn begin_document(&mut self, out: &mut Vec<u8>);
    fn begin_result(&mut self, statement_id: usize, messages: &[Message], out: &mut Vec<u8>);
    fn begin_series(&mut self, head: &SeriesHead, out: &mut Vec<u8>);
    fn rows(&mut self, rows: Rows<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError>;
    /// `is_partial`: the series goes on in another document, or was cut.
    fn end_series(&mut self, is_partial: bool, out: &mut Vec<u8>);
    /// `is_partial`: the statement goes on in another document.
    fn end_result(&mut self, is_partial: bool, error: Option<&str>, out: &mut Vec<u8>);
    fn end_document(&mut self, out: &mut Vec<u8>);
    /// A document that holds nothing but an error of the request.
    fn error_document(&mut self, text: &str, out: &mut Vec<u8>);
    /// Whether nothing of a document can be sent before its end.
    fn holds_documents(&self) -> bool {
        false
    }
}

/// Some rows of a piece.
#[derive(Clone, Copy)]
struct Rows<'a> {
    columns: &'a [Column<'a>],
    first: usize,
    /// After the last.
    end: usize,
    times: Times,
}
