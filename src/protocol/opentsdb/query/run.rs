//! Runs a request and sends its groups while they are made.

use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use futures::StreamExt;

use crate::catalog::Delete;
use crate::model::SeriesFilter;
use crate::model::{ColumnKind, Kind};
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::protocol::encoding::{Compressor, Encoding};
use crate::protocol::opentsdb::error::WireError;
use crate::protocol::opentsdb::request::Call;
use crate::protocol::opentsdb::response::{JSON, jsonp};
use crate::protocol::streaming::{self, Gone, Pieces};
use crate::query::opentsdb::answer::{GroupHead, GroupPiece, TagSet};
use crate::query::opentsdb::execute::{Answer, Asker, Place, Target};
use crate::query::opentsdb::request::Query;
use crate::query::running::Ticket;

use super::ascii::AsciiWriter;
use super::asked::{Asked, Presentation};
use super::notes::Notes;
use super::targets::{targets, tsuids_of};
use super::writer::{AnswerWriter, Extras};
use super::{asker, now_ms};

/// Bytes worth sending.
const PIECE_BYTES: usize = 16 * 1024;
/// Groups that are looked up together.
const PIECES_AT_ONCE: usize = 1024;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Ascii,
}

/// Answers with groups. The first bytes leave before the last group is made; errors after them cut the answer off. A client
/// that hangs up cancels its query.
pub(super) async fn respond(call: &Call, asked: Asked, shape: Shape) -> Result<HttpResponse, WireError> {
    let query = asked.query.validate(now_ms(call))?;
    let targets = targets(&call.core.uids, &query.queries)?;
    let request = Request {
        core: call.core.clone(),
        asker: asker(call),
        principal: call.principal.clone(),
        query,
        targets,
        presentation: asked.presentation,
        is_delete: asked.is_delete,
    };
    let writer = match shape {
        Shape::Json => Writer::Json(AnswerWriter::new(asked.presentation, Arc::new(request.query.queries.clone()))),
        Shape::Ascii => Writer::Ascii(AsciiWriter::default()),
    };
    let (encoding, function) = (call.answer_encoding(), jsonp(&call.request).filter(|_| shape == Shape::Json));
    let patience = call.core.queries.longest();
    let answer = streaming::start(&call.core.runtime, patience, |pieces| {
        run(request, Sink { writer, pieces, packer: Err(encoding), function })
    });
    let mut response = HttpResponse::Ok();
    response.content_type(if shape == Shape::Json { JSON } else { "text/plain" });
    let mut response = answer.respond(response).await?;
    // Whole answers are packed by who sends them.
    if encoding != Encoding::Identity && response.body().size() == BodySize::Stream {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}

struct Request {
    core: Core,
    asker: Asker,
    principal: Principal,
    query: Query,
    targets: Vec<Target>,
    presentation: Presentation,
    is_delete: bool,
}

impl Request {
    /// Lists it among the queries that run.
    fn register(&self) -> Ticket {
        let texts: Vec<String> = self.query.queries.iter().map(|query| format!("m={}", query.raw)).collect();
        self.core.queries.running_queries.register(&texts.join("&"), &self.asker.database)
    }
}

/// Makes the answer; returns its last piece.
async fn run(request: Request, mut sink: Sink) -> Result<Bytes, WireError> {
    let started = Instant::now();
    let engine = &request.core.queries;
    let Answer { groups, places } = engine.opentsdb(&request.asker, &request.query, &request.targets).await?;
    let mut groups = groups.ready_chunks(PIECES_AT_ONCE);
    if request.is_delete && !places.iter().all(|place| request.principal.may_write(&place.table.name.database)) {
        return Err(WireError::new(Kind::Forbidden, "No right to do this"));
    }
    if request.is_delete && !places.iter().all(|place| place.is_whole) {
        return Err(WireError::bad_request("Only whole metrics can be deleted"));
    }
    let ticket = request.register();
    let mut read: Vec<(usize, TagSet)> = Vec::new();
    // Every group shows the global ones.
    let state = request.core.catalog.state();
    let mut notes = request.presentation.annotations.then(|| Notes::new(&state, &request.query));
    let global = notes.as_ref().filter(|_| request.presentation.global_annotations).map(Notes::global);
    let empty = Extras { global_annotations: global.unwrap_or_default(), ..Extras::default() };
    loop {
        let pieces = tokio::select! {
            pieces = groups.next() => pieces,
            () = ticket.killed() => return Err(WireError::new(Kind::Conflict, "the query was ended from outside")),
        };
        let Some(pieces) = pieces else { break };
        let pieces = pieces.into_iter().collect::<Result<Vec<GroupPiece>, _>>()?;
        let heads: Vec<&GroupHead> = pieces.iter().filter_map(|piece| piece.head.as_ref()).collect();
        let mut extras = extras(&request, &heads, notes.as_mut(), &empty).await?.into_iter();
        for GroupPiece { head, points } in &pieces {
            if let Some(head) = head {
                sink.writer.begin(head, &extras.next().unwrap_or_default());
                if request.is_delete {
                    read.extend(head.members.iter().map(|member| (head.query, member.clone())));
                }
            }
            sink.writer.points(points);
            sink.send_if_worth_it().await?;
        }
    }
    drop(groups);
    if request.is_delete {
        delete(&request.core, &places, &read).await?;
    }
    if let Writer::Json(writer) = &mut sink.writer {
        writer.finish(started.elapsed());
    }
    Ok(sink.finish())
}

/// What belongs to some groups, looked up for all of them at once, beside what `empty` says of every group.
async fn extras(
    request: &Request,
    heads: &[&GroupHead],
    notes: Option<&mut Notes<'_>>,
    empty: &Extras,
) -> Result<Vec<Extras>, WireError> {
    let uids = &request.core.uids;
    let mut extras = vec![empty.clone(); heads.len()];
    if request.presentation.tsuids {
        for (extras, tsuids) in extras.iter_mut().zip(tsuids_of(uids, heads).await?) {
            extras.tsuids = tsuids;
        }
    }
    if let Some(notes) = notes {
        for (extras, head) in extras.iter_mut().zip(heads) {
            extras.annotations = notes.of(uids, head);
        }
    }
    Ok(extras)
}

/// Deletes all rows of the windows of the series that were read. Deletes are recorded for rows in segments, so what is not
/// in one yet goes there first.
async fn delete(core: &Core, places: &[Place], read: &[(usize, TagSet)]) -> Result<(), WireError> {
    let Some(flusher) = &core.flusher else {
        return Err(WireError::new(Kind::Forbidden, "this node only reads"));
    };
    flusher.flush_all().await.map_err(|error| WireError::new(Kind::Unavailable, error.to_string()))?;
    let mut deletes = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let members = read.iter().filter(|(query, _)| *query == at);
        let series: Vec<SeriesFilter> = members.map(|(_, member)| exactly(place, member)).collect();
        if !series.is_empty() {
            deletes.push(Delete {
                table: place.table.id,
                time_min_ns: place.window.start_ms.saturating_mul(NANOS_PER_MILLI),
                time_max_ns: place.window.end_ms.saturating_mul(NANOS_PER_MILLI).saturating_sub(1),
                series: SeriesFilter::Any(series),
            });
        }
    }
    core.catalog.delete_rows(deletes).await?;
    Ok(())
}

/// The series of these tags and no others.
fn exactly(place: &Place, member: &TagSet) -> SeriesFilter {
    let tags = place.table.schema.columns.iter().filter(|column| column.kind == ColumnKind::Tag);
    let equal = |tag: &str| {
        let value = member.iter().find(|(key, _)| **key == *tag).map_or("", |(_, value)| value);
        SeriesFilter::Equal { tag: tag.to_string(), value: value.to_string() }
    };
    SeriesFilter::Every(tags.map(|tag| equal(&tag.name)).collect())
}

enum Writer {
    Json(AnswerWriter),
    Ascii(AsciiWriter),
}

impl Writer {
    fn begin(&mut self, head: &GroupHead, extras: &Extras) {
        match self {
            Writer::Json(writer) => writer.begin(head, extras, false),
            Writer::Ascii(writer) => writer.begin(head),
        }
    }

    fn points(&mut self, points: &crate::query::opentsdb::answer::Points) {
        match self {
            Writer::Json(writer) => writer.points(points),
            Writer::Ascii(writer) => writer.points(points),
        }
    }

    fn pending(&self) -> usize {
        match self {
            Writer::Json(writer) => writer.pending(),
            Writer::Ascii(writer) => writer.pending(),
        }
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Writer::Json(writer) => writer.take(),
            Writer::Ascii(writer) => writer.take(),
        }
    }
}

/// Where an answer goes. One that is sent in pieces is wrapped and packed here; a whole one by who sends it.
struct Sink {
    writer: Writer,
    pieces: Pieces<WireError>,
    /// From the first piece on.
    packer: Result<Compressor, Encoding>,
    /// That of JSONP.
    function: Option<String>,
}

impl Sink {
    async fn send_if_worth_it(&mut self) -> Result<(), Gone> {
        if self.writer.pending() < PIECE_BYTES {
            return Ok(());
        }
        let mut bytes = self.writer.take();
        if let (Err(_), Some(function)) = (&self.packer, &self.function) {
            bytes.splice(0..0, format!("{function}(").into_bytes());
        }
        let piece = self.packed(bytes);
        self.pieces.send(piece).await
    }

    fn packed(&mut self, bytes: Vec<u8>) -> Bytes {
        if let Err(encoding) = self.packer {
            self.packer = Ok(Compressor::new(encoding));
        }
        match &mut self.packer {
            Ok(packer) => packer.write(bytes.into()),
            Err(_) => bytes.into(),
        }
    }

    fn finish(mut self) -> Bytes {
        let mut bytes = self.writer.take();
        if self.packer.is_err() {
            return bytes.into();
        }
        if self.function.is_some() {
            bytes.push(b')');
        }
        let last = self.packed(bytes);
        let end = self.packer.map(|packer| packer.finish()).unwrap_or_default();
        [last, end].concat().into()
    }
}

impl From<Gone> for WireError {
    fn from(_: Gone) -> Self {
        WireError::new(Kind::Timeout, "the client does not read its answer")
    }
}
