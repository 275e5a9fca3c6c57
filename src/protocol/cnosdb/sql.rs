//! `/api/v1/sql`: one SQL statement, its rows streamed as they are made.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;

use crate::model::{Classify, Kind};
use crate::protocol::auth::Principal;
use crate::protocol::body;
use crate::protocol::encoding::{Compressor, Encoding, Preference, choose};
use crate::protocol::format::rows::{EncodeError, Format, RowEncoder};
use crate::protocol::streaming::{self, Gone, Pieces};
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::sql::{SqlAnswer, SqlRequest, without_connection};
use crate::query::{ExchangeError, QueryError};

use super::error::{Code, WireError};
use super::params::Params;
use super::{accept, authorization, changes, copies, ddl, retag};

/// Rows a piece.
const PIECE_ROWS: usize = 1024;
/// What a drawn table may take: it is held whole.
const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;
const OFFERED: [Encoding; 5] = [Encoding::Gzip, Encoding::Deflate, Encoding::Br, Encoding::Zstd, Encoding::Lz4];

/// `POST /api/v1/sql`: one statement as the body.
///
/// Query: `tenant` (default `cnosdb`), `db` (default `public`), `target_partitions`. Rows come in the first form of
/// `Accept` that we know: csv with a header line (also without `Accept`), tsv, json, nd-json, table. A statement without
/// rows answers 200 with an empty body. An error after the first rows can only cut the answer short.
/// Spec: CnosDB REST API, sql.
pub(super) async fn sql(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> Result<HttpResponse, WireError> {
    let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
    let principal = authorization::principal(core, request.headers()).await?;
    authorization::belongs(&principal, params.tenant())?;
    authorization::exists(core, params.tenant())?;
    let text_header = |name| request.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let format = accept::negotiate(text_header(header::ACCEPT))?;
    let accepted = text_header(header::ACCEPT_ENCODING);
    let encoding = choose(accepted, &OFFERED, Preference::ClientOrder);
    params.check_chunked()?;
    let target_partitions = params.target_partitions()?;
    let limits = limits.body_of(limits.sql_body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    let text = String::from_utf8(body.into()).map_err(|error| WireError::coded(Code::Utf8, error.utf8_error()))?;
    let asker = principal.sql_asker(params.tenant(), &core.catalog.state());
    let mut question = SqlRequest::new(params.tenant(), params.database(), text, asker);
    question.target_partitions = target_partitions;
    let writer =
        Writer { format, encoder: RowEncoder::new(format, TABLE_BYTES_MAX), compressor: Compressor::new(encoding) };
    let mut response = HttpResponse::Ok();
    response.content_type(accept::content_type(format));
    if encoding != Encoding::Identity || accepted.is_some_and(|a| a.to_ascii_lowercase().contains("identity")) {
        response.insert_header((header::CONTENT_ENCODING, encoding.name()));
    }
    let asked = core.clone();
    // A query's own time limit counts while it works; a client that stops reading must not hold its turn either.
    let patience = core.queries.longest();
    let answer = streaming::start(&core.runtime, patience, |pieces| run(asked, principal, question, writer, pieces));
    // The status waits for the first piece: until then an error still has its own.
    answer.respond(response).await
}

impl From<Gone> for WireError {
    fn from(_: Gone) -> Self {
        WireError::new(Kind::Timeout, "the answer took too long")
    }
}

struct Writer {
    format: Format,
    encoder: RowEncoder,
    compressor: Compressor,
}

impl Writer {
    /// An answer of one batch.
    fn whole(mut self, batch: &RecordBatch) -> Result<Bytes, WireError> {
        let mut out = Vec::new();
        self.encoder.begin(&batch.schema(), &mut out);
        let told = |error: EncodeError| WireError::new(error.kind(), error.to_string());
        self.encoder.batch(batch, &mut out).map_err(told)?;
        self.encoder.end(&mut out).map_err(told)?;
        let last = self.compressor.write(out.into());
        Ok([last, self.compressor.finish()].concat().into())
    }
}

/// Runs the statement and sends its answer piece by piece; returns the last piece.
async fn run(
    core: Core,
    principal: Principal,
    question: SqlRequest,
    mut writer: Writer,
    pieces: Pieces<WireError>,
) -> Result<Bytes, WireError> {
    let text = question.text.clone();
    let (tenant, database) = (question.tenant.clone(), question.database.clone());
    let answer = core.queries.run(question.clone()).await.map_err(|error| refusal(error, &text))?;
    let mut out = Vec::new();
    let mut rows = match answer {
        SqlAnswer::Rows(rows) => rows,
        SqlAnswer::Ddl(statement) => {
            ddl::execute(&core, &principal, &tenant, &database, statement).await?;
            return Ok(writer.compressor.finish());
        }
        SqlAnswer::Delete(delete) => {
            changes::check_delete(&core, &principal, &delete)?;
            changes::remove(&core, delete).await?;
            return Ok(writer.compressor.finish());
        }
        SqlAnswer::Write(rows) => {
            authorization::may_write(&principal, &rows.tenant, &rows.database)?;
            let written = changes::counted(changes::store(&core, rows, &text).await?);
            return writer.whole(&written);
        }
        SqlAnswer::Copy(copy) => {
            let written = changes::counted(copies::copy(&core, &principal, question, *copy, &text).await?);
            return writer.whole(&written);
        }
        SqlAnswer::Move { rows, tags } => {
            authorization::may_write(&principal, &rows.tenant, &rows.database)?;
            let written = changes::counted(retag::retag(&core, &question, rows, &tags).await?);
            return writer.whole(&written);
        }
    };
    writer.encoder.begin(rows.schema(), &mut out);
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| refusal(error, &text))?;
        for start in (0..batch.num_rows()).step_by(PIECE_ROWS) {
            let part = batch.slice(start, PIECE_ROWS.min(batch.num_rows() - start));
            writer.encoder.batch(&part, &mut out).map_err(|error| WireError::new(error.kind(), error.to_string()))?;
            if !out.is_empty() && writer.format != Format::Table {
                let piece = writer.compressor.write(std::mem::take(&mut out).into());
                pieces.send(piece).await?;
            }
        }
    }
    writer.encoder.end(&mut out).map_err(|error| WireError::new(error.kind(), error.to_string()))?;
    let last = writer.compressor.write(out.into());
    Ok([last, writer.compressor.finish()].concat().into())
}

/// A failed statement in CnosDB's codes.
pub(super) fn refusal(error: QueryError, text: &str) -> WireError {
    match &error {
        QueryError::Empty => WireError::coded(Code::SqlParser, "no statement"),
        QueryError::MultipleStatements { found } => WireError::multi_statement(*found, without_connection(text)),
        QueryError::Syntax(what) => WireError::coded(Code::SqlParser, what),
        QueryError::NotSupported(what) => WireError::coded(Code::NotImplemented, what),
        QueryError::DatabaseNotFound { database, .. } => WireError::database_not_found(database),
        QueryError::Forbidden { tenant, database } => authorization::unreadable(tenant, database),
        QueryError::Refused(refused) => ddl::of_refusal(refused),
        QueryError::TableNotFound { tenant, database, table } => WireError::table_not_found(tenant, database, table),
        QueryError::Exchange(ExchangeError::Failed { .. }) => WireError::new(error.kind(), error.to_string()),
        QueryError::Exchange(ExchangeError::Off) => WireError::coded(Code::NotImplemented, &error),
        QueryError::Exchange(refused) => WireError::coded(Code::Planner, refused),
        QueryError::Plan(what) | QueryError::Execution(what) => WireError::coded(Code::Planner, what),
        _ => WireError::new(error.kind(), error.to_string()),
    }
}
