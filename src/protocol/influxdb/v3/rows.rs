//! Rows on their way out: encoded batch by batch, sent while they are made.

use actix_web::HttpResponse;
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};

use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::format::rows::{EncodeError, Format, RowEncoder};
use crate::protocol::streaming::{self, Pieces};
use crate::query::parquet::ParquetEncoder;

use super::format::QueryFormat;
use super::refusal::Refusal;

/// Rows a piece.
const PIECE_ROWS: usize = 1024;
/// What a drawn table may take: it is held whole.
const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Answers with the rows that `work` gives to its [`Sender`].
pub(super) async fn respond<F>(
    core: &Core,
    format: QueryFormat,
    work: impl FnOnce(Sender) -> F,
) -> Result<HttpResponse, Refusal>
where
    F: Future<Output = Result<Bytes, Refusal>> + Send + 'static,
{
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    let patience = core.queries.longest();
    let answer = streaming::start(&core.runtime, patience, |pieces| work(Sender { format, pieces }));
    answer.respond(response).await
}

/// Where rows go.
pub(super) struct Sender {
    format: QueryFormat,
    pieces: Pieces<Refusal>,
}

impl Sender {
    /// Sends rows, all of `schema`; gives the last piece.
    pub(super) async fn send_all(
        self,
        schema: &SchemaRef,
        mut rows: impl Stream<Item = Result<RecordBatch, Refusal>> + Unpin,
    ) -> Result<Bytes, Refusal> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(self.format, schema, &mut out)?;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for start in (0..batch.num_rows()).step_by(PIECE_ROWS) {
                encoder.batch(&batch.slice(start, PIECE_ROWS.min(batch.num_rows() - start)), &mut out)?;
                if self.format != QueryFormat::Pretty {
                    self.pieces.send(std::mem::take(&mut out).into()).await?;
                }
            }
        }
        encoder.end(&mut out)?;
        Ok(out.into())
    }
}

enum Encoder {
    Text(RowEncoder),
    Parquet(Box<ParquetEncoder>),
}

impl Encoder {
    fn new(format: QueryFormat, schema: &SchemaRef, out: &mut Vec<u8>) -> Result<Encoder, Refusal> {
        let text = match format {
            QueryFormat::Parquet => return Ok(Encoder::Parquet(Box::new(ParquetEncoder::new(schema)?))),
            QueryFormat::Json => Format::Json,
            QueryFormat::JsonLines => Format::NdJson,
            QueryFormat::Csv => Format::Csv { header: true },
            QueryFormat::Pretty => Format::Table,
        };
        let mut encoder = RowEncoder::new(text, TABLE_BYTES_MAX);
        encoder.begin(schema, out);
        Ok(Encoder::Text(encoder))
    }

    fn batch(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Encoder::Text(encoder) => encoder.batch(rows, out)?,
            Encoder::Parquet(encoder) => out.extend(encoder.batch(rows)?),
        }
        Ok(())
    }

    fn end(self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self {
            Encoder::Text(mut encoder) => encoder.end(out)?,
            Encoder::Parquet(encoder) => out.extend(encoder.finish()?),
        }
        Ok(())
    }
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        match error.kind() {
            Kind::TooLarge => Refusal::new(Kind::TooLarge, error.to_string()),
            kind => Refusal::new(kind, format!("arrow error: {error}")),
        }
    }
}
