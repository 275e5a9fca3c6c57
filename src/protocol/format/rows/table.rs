//! The drawn table. Its column widths depend on every row, so rows are held until the end.
//!
//! One wide cell widens every line: the limit counts what drawing would take, not only what is held.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;

use super::EncodeError;
use super::value::{plain, plain_columns};

const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(true);

/// What the printer keeps for a cell beside its text, roughly.
const CELL_OVERHEAD_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Writer {
    limit: usize,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    held_bytes: usize,
    cells: usize,
    lines: usize,
    /// Bytes of the longest cell of each column: never less than its width.
    widths: Vec<usize>,
}

impl Writer {
    pub(super) fn new(limit: usize) -> Self {
        Writer {
            limit,
            schema: Arc::new(Schema::empty()),
            batches: Vec::new(),
            held_bytes: 0,
            cells: 0,
            lines: 0,
            widths: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, schema: &SchemaRef) {
        let fields = schema.fields().iter();
        let fields = fields.map(|f| f.as_ref().clone().with_data_type(plain(f.data_type())).with_nullable(true));
        self.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self.widths = schema.fields().iter().map(|f| f.name().len()).collect();
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), plain_columns(batch)?)?;
        self.held_bytes = self.held_bytes.saturating_add(batch.get_array_memory_size());
        self.refuse_above_limit()?;
        self.measure(&batch)?;
        self.refuse_above_limit()?;
        self.batches.push(batch);
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.batches.is_empty() {
            self.batches.push(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let drawn = pretty_format_batches_with_options(&self.batches, &OPTIONS)?;
        write!(out, "{drawn}").expect("a Vec takes every byte");
        self.batches.clear();
        Ok(())
    }

    /// Adds what `batch` would take to draw.
    fn measure(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let mut row_lines = vec![1; batch.num_rows()];
        for (array, width) in batch.columns().iter().zip(&mut self.widths) {
            let formatter = ArrayFormatter::try_new(array.as_ref(), &OPTIONS)?;
            for (row, lines) in row_lines.iter_mut().enumerate() {
                let mut size = Size { bytes: 0, lines: 1 };
                // The printer would panic on a value that cannot be spelled.
                write!(size, "{}", formatter.value(row))
                    .map_err(|_| ArrowError::CastError("a value that cannot be spelled".to_string()))?;
                *width = size.bytes.max(*width);
                *lines = size.lines.max(*lines);
            }
        }
        self.lines = self.lines.saturating_add(row_lines.iter().sum());
        self.cells = self.cells.saturating_add(batch.num_rows() * batch.num_columns());
        Ok(())
    }

    fn refuse_above_limit(&self) -> Result<(), EncodeError> {
        let line: usize = self.widths.iter().map(|width| width + "|  ".len()).sum();
        let drawn = line.saturating_mul(self.lines.saturating_add(4));
        let cells = self.cells.saturating_mul(CELL_OVERHEAD_BYTES);
        if drawn.saturating_add(cells).saturating_add(self.held_bytes) > self.limit {
            return Err(EncodeError::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

/// Counts what is written to it.
struct Size {
    bytes: usize,
    lines: usize,
}

impl fmt::Write for Size {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        self.lines += text.bytes().filter(|&b| b == b'\n').count();
        Ok(())
    }
}
