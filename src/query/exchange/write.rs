//! Rows into a file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv::{Writer as CsvWriter, WriterBuilder};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use futures::StreamExt;

use crate::query::answer::RowStream;
use crate::query::error::QueryError;
use crate::storage::exchange::Sink;

use super::Form;

/// Bytes that are handed on at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes of a row group of Parquet while it is made.
const GROUP_BYTES: usize = 64 * 1024 * 1024;

/// Writes all rows as one file, and returns how many there were. The file is there if this is `Ok`, and else not.
pub(in crate::query) async fn write(mut rows: RowStream, form: Form, mut sink: Sink) -> Result<u64, QueryError> {
    let schema = plain(rows.schema())?;
    let mut writer = Writer::new(form, &schema)?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        // Columns are nullable in a file whatever the plan says.
        writer.batch(&RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?)?;
        if writer.made.len() >= PIECE_BYTES {
            sink.write(writer.made.take()).await?;
        }
    }
    let last = writer.end()?;
    sink.write(last).await?;
    sink.finish().await?;
    Ok(count)
}

/// Names and types alone: ids and the like are the gateway's own.
fn plain(schema: &SchemaRef) -> Result<SchemaRef, QueryError> {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
    let mut names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(QueryError::Plan(format!("a file cannot have two columns called {:?}", twice[0])));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Bytes that a writer made and nobody took yet.
#[derive(Debug, Clone, Default)]
struct Made(Arc<Mutex<Vec<u8>>>);

impl Made {
    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl io::Write for Made {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Writer {
    made: Made,
    of: Of,
}

enum Of {
    Parquet(Box<ArrowWriter<Made>>),
    Csv(Box<CsvWriter<Made>>),
    Json(LineDelimitedWriter<Made>),
}

impl Writer {
    fn new(form: Form, schema: &SchemaRef) -> Result<Writer, QueryError> {
        let made = Made::default();
        let of = match form {
            Form::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(made.clone(), schema.clone(), Some(properties));
                Of::Parquet(Box::new(writer.map_err(not_written)?))
            }
            Form::Csv { delimiter, header } => {
                let mut writer = WriterBuilder::new().with_header(header).with_delimiter(delimiter).build(made.clone());
                // The names are there without rows, too.
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
                Of::Csv(Box::new(writer))
            }
            Form::Json => Of::Json(LineDelimitedWriter::new(made.clone())),
        };
        Ok(Writer { made, of })
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        match &mut self.of {
            Of::Parquet(writer) => {
                writer.write(batch).map_err(not_written)?;
                if writer.in_progress_size() >= GROUP_BYTES {
                    writer.flush().map_err(not_written)?;
                }
                Ok(())
            }
            Of::Csv(writer) => Ok(writer.write(batch)?),
            Of::Json(writer) => Ok(writer.write(batch)?),
        }
    }

    fn end(self) -> Result<Bytes, QueryError> {
        match self.of {
            Of::Parquet(writer) => {
                writer.close().map_err(not_written)?;
            }
            Of::Csv(writer) => drop(writer),
            Of::Json(mut writer) => writer.finish()?,
        }
        Ok(self.made.take())
    }
}

fn not_written(error: datafusion::parquet::errors::ParquetError) -> QueryError {
    QueryError::Execution(format!("the rows do not fit into Parquet: {error}"))
}
