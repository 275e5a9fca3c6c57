//! Rows as text: Arrow batches → CSV, TSV, JSON, ND-JSON, a drawn table. Streaming: what a batch becomes is
//! complete when [`RowEncoder::batch`] returns (only the drawn table waits for its last row, under a limit).
//!
//! Owns: how a cell of each Arrow type is spelled. Does not own: which format a client gets, HTTP, compression.
//!
//! | | CSV, TSV | JSON, ND-JSON | table |
//! |---|---|---|---|
//! | null | empty cell | key left out (`null` inside a list) | blank |
//! | timestamp | no zone, nine decimals | no zone; 0, 3, 6 or 9 decimals, as few as are exact | as JSON |
//! | float | `1.0`, `1e-7`, `NaN`, `inf`, `-inf` | the same, but `null` when not finite | as CSV |
//! | struct, map | `{a: 1, b: x}` | object | as CSV |
//! | list | `[1, 2]` | array | as CSV |
//! | decimal | digits | number | digits |
//! | date, time, duration, interval, bytes | `2024-01-31`, `10:00:00`, `PT1.5S`, `1 days`, hex | a string | as CSV |
//!
//! CSV: lines end in `\n`; a cell is quoted when it holds the delimiter, a quote or a line break, and then a quote
//! is doubled. An empty string is an empty cell, as null is; where an empty cell is the whole line (one column) it
//! is written `""`, because readers skip blank lines.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;

use crate::model::{Classify, Kind};

mod json;
mod separated;
mod table;
mod value;

/// How rows are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `header`: a first line of column names, also when there is no row.
    Csv { header: bool },
    /// CSV with tabs and a header line.
    Tsv,
    /// One array of objects; `[]` when there is no row.
    Json,
    /// One object a line.
    NdJson,
    /// Drawn with `+`, `-` and `|`, as Arrow's pretty printer does. Holds all rows until the end.
    Table,
}

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("result cannot be written: {0}")]
    Value(#[from] ArrowError),
    #[error("result is larger than {limit} bytes, ask for csv or json")]
    TooLarge { limit: usize },
}

impl Classify for EncodeError {
    fn kind(&self) -> Kind {
        match self {
            EncodeError::Value(_) => Kind::Internal,
            EncodeError::TooLarge { .. } => Kind::TooLarge,
        }
    }
}

/// Writes one result: [`begin`](Self::begin) once, [`batch`](Self::batch) for each batch in order,
/// [`end`](Self::end) once. Each call appends to `out`, which the caller may send away in between.
#[derive(Debug)]
pub struct RowEncoder(Writer);

#[derive(Debug)]
enum Writer {
    Separated(separated::Writer),
    Json(json::Writer),
    Table(table::Writer),
}

impl RowEncoder {
    /// `table_bytes_max` limits what [`Format::Table`] holds and draws; the others hold nothing.
    pub fn new(format: Format, table_bytes_max: usize) -> Self {
        RowEncoder(match format {
            Format::Csv { header } => Writer::Separated(separated::Writer::new(b',', header)),
            Format::Tsv => Writer::Separated(separated::Writer::new(b'\t', true)),
            Format::Json => Writer::Json(json::Writer::array()),
            Format::NdJson => Writer::Json(json::Writer::lines()),
            Format::Table => Writer::Table(table::Writer::new(table_bytes_max)),
        })
    }

    /// `schema` is that of every batch to come.
    pub fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) {
        match &mut self.0 {
            Writer::Separated(writer) => writer.begin(schema, out),
            Writer::Json(writer) => writer.begin(schema, out),
            Writer::Table(writer) => writer.begin(schema),
        }
    }

    /// After an error `out` may end in the middle of a row.
    pub fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.0 {
            Writer::Separated(writer) => writer.batch(batch, out),
            Writer::Json(writer) => writer.batch(batch, out),
            Writer::Table(writer) => writer.batch(batch),
        }
    }

    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.0 {
            Writer::Separated(_) => Ok(()),
            Writer::Json(writer) => {
                writer.end(out);
                Ok(())
            }
            Writer::Table(writer) => writer.end(out),
        }
    }
}

#[cfg(test)]
mod tests;
