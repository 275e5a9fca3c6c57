//! JSON, as one array or one object a line.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::EncodeError;
use super::value::{Column, Form, json_key, plain_columns};

#[derive(Debug)]
pub(super) struct Writer {
    lines: bool,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
    rows_written: bool,
}

impl Writer {
    pub(super) fn array() -> Self {
        Writer { lines: false, keys: Vec::new(), rows_written: false }
    }

    pub(super) fn lines() -> Self {
        Writer { lines: true, keys: Vec::new(), rows_written: false }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef, out: &mut Vec<u8>) {
        self.keys = schema.fields().iter().map(|field| json_key(field.name())).collect();
        if !self.lines {
            out.push(b'[');
        }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let arrays = plain_columns(batch)?;
        let columns = arrays.iter().map(|a| Column::new(a, Form::Json)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            if self.rows_written && !self.lines {
                out.push(b',');
            }
            self.rows_written = true;
            out.push(b'{');
            let mut separator: &[u8] = b"";
            for (key, column) in self.keys.iter().zip(&columns) {
                if column.is_null(row) {
                    continue;
                }
                out.extend_from_slice(separator);
                out.extend_from_slice(key);
                column.write_json(row, out)?;
                separator = b",";
            }
            out.push(b'}');
            if self.lines {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if !self.lines {
            out.push(b']');
        }
    }
}
