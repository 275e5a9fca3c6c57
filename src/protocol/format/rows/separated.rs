//! CSV and TSV.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::EncodeError;
use super::value::{Column, Form, plain_columns};

#[derive(Debug)]
pub(super) struct Writer {
    delimiter: u8,
    header: bool,
}

impl Writer {
    pub(super) fn new(delimiter: u8, header: bool) -> Self {
        Writer { delimiter, header }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) {
        if !self.header {
            return;
        }
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.delimiter);
            }
            let start = out.len();
            out.extend_from_slice(field.name().as_bytes());
            quote_where_needed(out, start, self.delimiter);
        }
        out.push(b'\n');
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let arrays = plain_columns(batch)?;
        let columns = arrays.iter().map(|a| Column::new(a, Form::Text)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let line = out.len();
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                if column.is_null(row) {
                    continue;
                }
                let start = out.len();
                column.write_text(row, out)?;
                if column.is_free_text() {
                    quote_where_needed(out, start, self.delimiter);
                }
            }
            if out.len() == line && columns.len() == 1 {
                out.extend_from_slice(b"\"\"");
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

/// Quotes the cell that `out` holds from `start` on, if a reader would misread it bare.
fn quote_where_needed(out: &mut Vec<u8>, start: usize, delimiter: u8) {
    if !out[start..].iter().any(|&b| b == delimiter || matches!(b, b'"' | b'\n' | b'\r')) {
        return;
    }
    let cell = out.split_off(start);
    out.reserve(cell.len() + 2);
    out.push(b'"');
    for byte in cell {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
