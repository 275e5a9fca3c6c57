//! `/api/v1/sql`: one SQL statement, its rows streamed as they are made.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use futures::StreamExt;

use crate::model::names::DEFAULT_TENANT;
use crate::model::text::cut;
use crate::model::{Classify, Kind};
use crate::protocol::auth::Principal;
use crate::protocol::body;
use crate::protocol::encoding::{Compressor, Encoding, Preference, choose};
use crate::protocol::format::rows::{EncodeError, Format, RowEncoder};
use crate::protocol::streaming::{self, Gone, Pieces};
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::running::Ticket;
use crate::query::sql::{Ddl, SqlAnswer, SqlRequest, without_connection};
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
    // Who must change his password may do that alone, and has no other right.
    if !principal.must_change_password() {
        authorization::belongs(&principal, params.tenant())?;
    }
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

/// A statement among those that run, for others to see, and to end as long as it only reads. Those of the default tenant alone are listed.
struct Listed(Option<Ticket>);

/// What is shown of a statement, bytes.
const SHOWN_BYTES_MAX: usize = 4 * 1024;

impl Listed {
    fn of(core: &Core, principal: &Principal, question: &SqlRequest) -> Listed {
        let user = principal.name().unwrap_or("root");
        let list = || core.queries.running_queries.register_for(user, shown(&question.text), &question.database);
        Listed((question.tenant == DEFAULT_TENANT).then(list))
    }

    /// Waits until somebody wants it to end.
    async fn killed(&self) {
        match &self.0 {
            Some(ticket) => ticket.killed().await,
            None => std::future::pending().await,
        }
    }
}

/// A statement without what it says of passwords and keys, and behind that.
fn shown(text: &str) -> &str {
    let text = cut(text, SHOWN_BYTES_MAX);
    let upper = text.to_ascii_uppercase();
    let secrets = ["PASSWORD", "CONNECTION", "RSA_PUBLIC_KEY"].iter().filter_map(|word| upper.find(word));
    secrets.min().map_or(text, |at| &text[..at])
}

fn interrupted() -> WireError {
    WireError::new(Kind::Timeout, "query interrupted")
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
    let listed = Listed::of(&core, &principal, &question);
    let answer = tokio::select! {
        answer = core.queries.run(question.clone()) => answer.map_err(|error| refusal(error, &text)),
        () = listed.killed() => Err(interrupted()),
    };
    if principal.must_change_password() && !matches!(answer, Ok(SqlAnswer::Ddl(Ddl::Access(_)))) {
        return Err(authorization::privileges("change password"));
    }
    let answer = answer?;
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
    loop {
        let batch = tokio::select! {
            batch = rows.next() => batch,
            () = listed.killed() => return Err(interrupted()),
        };
        let Some(batch) = batch else { break };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_statement_are_not_shown() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected, "{text}");
        check("SELECT 1", "SELECT 1");
        check("create user u with Password='x', comment='y'", "create user u with ");
        check("copy into 'x' from t connection = (a = 'b')", "copy into 'x' from t ");
        let long = "ä".repeat(SHOWN_BYTES_MAX);
        assert_eq!(shown(&long).len(), SHOWN_BYTES_MAX);
        assert_eq!(shown(&format!("x{long}")).len(), SHOWN_BYTES_MAX - 1);
    }
}
