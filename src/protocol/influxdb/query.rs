//! `/query`: InfluxQL statements, each with a result of its own, sent while their rows are made.

use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::StreamExt;

use crate::model::Kind;
use crate::model::names::DEFAULT_TENANT;
use crate::protocol::auth::Principal;
use crate::protocol::body;
use crate::protocol::encoding::{Compressor, Encoding, Preference, choose};
use crate::protocol::params::Params;
use crate::protocol::streaming::{self, Gone, Pieces};
use crate::protocol::{Core, Gate, RequestLimits};
use crate::query::QueryError;
use crate::query::influxql::answer::{Division, SeriesPiece, SeriesStream, StatementError};
use crate::query::influxql::{self, Query};
use crate::query::running::Ticket;

use super::answer::{AnswerWriter, Documents, EncodeError, Epoch, Flow, Form};
use super::credentials::{self, Door};
use super::error::WireError;
use super::statements::{self, Request};
use super::tracker::Sent;
use super::{accept, authorization, bind, is_get, peer, stamped};

/// Rows of a document of a chunked answer.
const CHUNK_ROWS: usize = 10_000;
/// Rows that are written before anything is sent.
const PIECE_ROWS: usize = 1024;
/// Bytes worth sending.
const PIECE_BYTES: usize = 16 * 1024;

/// `GET|POST /query`: InfluxQL statements, each with a result of its own.
///
/// From the URL, and on POST from a form body, whose values win: `q` (required), `db`, `rp`, `epoch`, `chunked`,
/// `chunk_size`, `params`, `async`; from the URL only: `pretty`. Statements that fail are members of a 200; text that is no
/// InfluxQL is 400 and nothing of it runs. The first bytes leave before the last row is read; a client that hangs up
/// cancels its query.
/// Spec: InfluxDB 1.8 HTTP API, query endpoint.
pub(super) async fn query(
    request: HttpRequest,
    params: Params,
    payload: Payload,
    gate: Data<Gate>,
    limits: Data<RequestLimits>,
) -> HttpResponse {
    let form = match accept::form_of(&request) {
        Form::Json if params.text("pretty") == "true" => Form::PrettyJson,
        form => form,
    };
    let answered = async {
        let core = gate.core().ok_or_else(|| WireError::new(Kind::Unavailable, "starting"))?;
        let principal = credentials::principal(core, &request, &params, Door::V1).await?;
        core.influxdb.tracker.note(&principal, peer(&request), Sent::Query);
        let body = read_form(&request, payload, &limits).await?;
        let question = Question::read(core, principal, &Arguments { url: &params, body: &body }, is_get(&request))?;
        if question.is_async {
            run_unheard(core, question);
            return Ok(HttpResponse::NoContent().content_type("application/json").finish());
        }
        respond(core, question, form, header_text(&request, header::ACCEPT_ENCODING)).await
    };
    let response = answered.await.unwrap_or_else(|error: WireError| error.into_response(form.of_errors()));
    stamped(&request, response)
}

fn header_text(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn read_form(request: &HttpRequest, payload: Payload, limits: &RequestLimits) -> Result<Params, WireError> {
    let content_type = header_text(request, header::CONTENT_TYPE).unwrap_or_default();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim().to_ascii_lowercase();
    let is_multipart = media_type == "multipart/form-data";
    if is_get(request) || !(is_multipart || media_type == "application/x-www-form-urlencoded") {
        return Ok(Params::default());
    }
    let limits = limits.body_of(limits.body_bytes_max);
    let body = body::read(payload, request.headers(), limits).await?;
    if !is_multipart {
        return Ok(Params::parse(&String::from_utf8_lossy(&body)));
    }
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="));
    let boundary = boundary.map(|boundary| boundary.trim_matches('"')).unwrap_or_default();
    Ok(Params::parse_multipart(&body, boundary))
}

/// Arguments of the URL and of a form.
struct Arguments<'a> {
    url: &'a Params,
    body: &'a Params,
}

impl Arguments<'_> {
    fn text(&self, name: &str) -> &str {
        self.body.get(name).or(self.url.get(name)).unwrap_or_default()
    }
}

/// What a request asks, parsed whole.
struct Question {
    query: Query,
    request: Request,
    documents: Documents,
    epoch: Epoch,
    is_async: bool,
}

impl Question {
    fn read(
        core: &Core,
        principal: Principal,
        arguments: &Arguments<'_>,
        is_read_only: bool,
    ) -> Result<Question, WireError> {
        let invalid = |text: String| WireError::new(Kind::Invalid, text);
        let text = arguments.text("q").trim();
        if text.is_empty() {
            return Err(invalid("missing required parameter \"q\"".to_string()));
        }
        let bound = match arguments.text("params") {
            "" => influxql::Params::default(),
            bound => bind::parse(bound).map_err(|error| invalid(error.to_string()))?,
        };
        let query = influxql::parse_with_params(text, &bound)
            .map_err(|error| invalid(format!("error parsing query: {error}")))?;
        authorization::check(&principal, &core.catalog.state(), &query, arguments.text("db"))?;
        let documents = match arguments.text("chunked") {
            "true" => {
                let rows = arguments.text("chunk_size").parse().ok().filter(|&rows| rows > 0);
                Documents::Many { rows: rows.unwrap_or(CHUNK_ROWS) }
            }
            _ => Documents::One { rows_max: core.influxdb.limits.rows_max },
        };
        let request = Request {
            tenant: DEFAULT_TENANT,
            database: arguments.text("db").to_string(),
            policy: arguments.text("rp").to_string(),
            is_read_only,
            principal,
        };
        let epoch = Epoch::of(arguments.text("epoch").trim());
        Ok(Question { query, request, documents, epoch, is_async: arguments.text("async") == "true" })
    }

    fn register(&self, core: &Core) -> Ticket {
        core.queries.running_queries.register(&self.query.to_string(), &self.request.database)
    }
}

/// Runs statements for whom only their effects matter.
fn run_unheard(core: &Core, question: Question) {
    let core = core.clone();
    core.runtime.clone().spawn(async move {
        let ticket = question.register(&core);
        for statement in &question.query.statements {
            let answer = statements::execute(&core, &question.request, statement);
            let heard = async {
                let mut rows = answer.await.map_err(|error| error.to_string())?;
                while let Some(piece) = rows.next().await {
                    piece.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(())
            };
            let heard = tokio::select! {
                heard = heard => heard,
                () = ticket.killed() => Err(INTERRUPTED.to_string()),
            };
            if let Err(error) = heard {
                return tracing::info!(error, "a statement that nobody waits for failed");
            }
        }
    });
}

async fn respond(
    core: &Core,
    question: Question,
    form: Form,
    accept_encoding: Option<&str>,
) -> Result<HttpResponse, WireError> {
    let encoding = choose(accept_encoding, &[Encoding::Gzip], Preference::Weight);
    let mut response = HttpResponse::Ok();
    response.content_type(form.content_type());
    if encoding != Encoding::Identity {
        response.insert_header((header::CONTENT_ENCODING, encoding.name()));
    }
    let writer = AnswerWriter::new(form, question.documents, question.epoch);
    // Each document of many is waited for.
    let piece_bytes = if matches!(question.documents, Documents::Many { .. }) { 1 } else { PIECE_BYTES };
    let sink = |pieces| Sink { writer, compressor: Compressor::new(encoding), pieces, piece_bytes };
    let patience = core.queries.longest();
    let asked = core.clone();
    let answer = streaming::start(&core.runtime, patience, |pieces| run(asked, question, sink(pieces)));
    answer.respond(response).await
}

/// A failed statement as the server says it.
fn in_words(error: &StatementError) -> String {
    match error {
        StatementError::Query(error) => query_in_words(error),
        error => error.to_string(),
    }
}

fn query_in_words(error: &QueryError) -> String {
    match error {
        QueryError::Timeout { .. } => "query-timeout limit exceeded".to_string(),
        error => error.to_string(),
    }
}

const INTERRUPTED: &str = "query interrupted";
const NOT_EXECUTED: &str = "not executed";

/// Runs statements in order and writes their answers; returns the last piece.
async fn run(core: Core, question: Question, mut sink: Sink) -> Result<Bytes, WireError> {
    match run_all(&core, &question, &mut sink).await {
        Ok(()) => sink.writer.finish(),
        Err(Broken::Told) => {}
        Err(Broken::Cut(error)) => return Err(error),
    }
    Ok(sink.finish())
}

/// After the first statement that fails the others are told that they were not run.
async fn run_all(core: &Core, question: &Question, sink: &mut Sink) -> Result<(), Broken> {
    let running = core.queries.running_queries.list().len();
    let ticket = question.register(core);
    let mut failed = false;
    if let Some(max) = core.influxdb.limits.queries_max.filter(|&max| running >= max) {
        sink.writer.begin_statement(0, Vec::new(), Division::BySeries, None);
        let text = format!("max-concurrent-queries limit exceeded({running}, {max})");
        let _ = sink.writer.end_statement(Some(&text));
        return Ok(());
    }
    for (id, statement) in question.query.statements.iter().enumerate() {
        let answer = match failed {
            true => Err(NOT_EXECUTED.to_string()),
            false => tokio::select! {
                answer = statements::execute(core, &question.request, statement) => answer.map_err(|error| in_words(&error)),
                () = ticket.killed() => Err(INTERRUPTED.to_string()),
            },
        };
        let (flow, error) = match answer {
            Ok(rows) => sink.statement(id, rows, &ticket).await?,
            Err(error) => {
                sink.writer.begin_statement(id, Vec::new(), Division::BySeries, None);
                (sink.writer.end_statement(Some(&error)), Some(error))
            }
        };
        sink.send_if_worth_it().await?;
        failed = error.is_some();
        if flow == Flow::Full {
            break;
        }
    }
    Ok(())
}

/// Why an answer ends before its end.
enum Broken {
    /// What it holds says why.
    Told,
    /// Nothing but the connection's end can say so.
    Cut(WireError),
}

impl From<Gone> for Broken {
    fn from(gone: Gone) -> Self {
        Broken::Cut(gone.into())
    }
}

/// Where an answer goes.
struct Sink {
    writer: AnswerWriter,
    compressor: Compressor,
    pieces: Pieces<WireError>,
    /// Bytes worth sending.
    piece_bytes: usize,
}

impl Sink {
    /// Writes a statement's rows; says whether more is wanted, and what went wrong in the statement.
    async fn statement(
        &mut self,
        id: usize,
        mut rows: SeriesStream,
        ticket: &Ticket,
    ) -> Result<(Flow, Option<String>), Broken> {
        self.writer.begin_statement(id, std::mem::take(&mut rows.messages), rows.division, rows.zone);
        let error = loop {
            let piece = tokio::select! {
                piece = rows.next() => piece,
                () = ticket.killed() => break Some(INTERRUPTED.to_string()),
            };
            match piece {
                None => break None,
                Some(Err(error)) => break Some(query_in_words(&error)),
                Some(Ok(piece)) => match self.piece(&piece).await? {
                    Flow::GoOn => {}
                    Flow::Full => break None,
                },
            }
        };
        Ok((self.writer.end_statement(error.as_deref()), error))
    }

    async fn piece(&mut self, piece: &SeriesPiece) -> Result<Flow, Broken> {
        let all = piece.rows.num_rows();
        let mut first = 0;
        loop {
            let rows = piece.rows.slice(first, PIECE_ROWS.min(all - first));
            first += rows.num_rows();
            match self.writer.piece(&SeriesPiece { head: piece.head.clone(), rows }) {
                Ok(Flow::GoOn) => {}
                Ok(Flow::Full) => return Ok(Flow::Full),
                Err(error) => return Err(self.give_up(&error)),
            }
            self.send_if_worth_it().await?;
            if first >= all {
                return Ok(Flow::GoOn);
            }
        }
    }

    /// Values that cannot be written end the whole answer.
    fn give_up(&mut self, error: &EncodeError) -> Broken {
        let text = error.to_string();
        if self.writer.replace_by_error(&text) {
            Broken::Told
        } else {
            Broken::Cut(WireError::new(Kind::Internal, text))
        }
    }

    async fn send_if_worth_it(&mut self) -> Result<(), Gone> {
        if self.writer.pending() < self.piece_bytes {
            return Ok(());
        }
        let piece = self.compressor.write(self.writer.take().into());
        self.pieces.send(piece).await
    }

    fn finish(mut self) -> Bytes {
        let last = self.compressor.write(self.writer.take().into());
        let end = self.compressor.finish();
        if end.is_empty() { last } else { [last, end].concat().into() }
    }
}

impl From<Gone> for WireError {
    fn from(_: Gone) -> Self {
        WireError::new(Kind::Timeout, "timeout")
    }
}
