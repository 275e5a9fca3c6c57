//! Divides the rows of statements into documents, results and series.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;

use crate::query::influxql::answer::{Division, Message, SeriesHead, SeriesPiece};

use super::cells::{self, Column};
use super::csv::Csv;
use super::json::Json;
use super::msgpack::MessagePack;
use super::times::{Epoch, Times};
use super::{EncodeError, Encoder, Form, Rows};

/// How an answer is cut into documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Documents {
    /// All in one, which ends after so many rows of all statements together.
    One { rows_max: Option<usize> },
    /// Each holds at most so many rows, of one series.
    Many { rows: usize },
}

/// Whether more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in super::super) enum Flow {
    GoOn,
    /// The answer has all the rows it may have: what follows is not wanted.
    Full,
}

/// Writes one answer, statement by statement. What was written is fetched with [`take`](Self::take) as it comes.
pub(in super::super) struct AnswerWriter {
    encoder: Box<dyn Encoder>,
    documents: Documents,
    epoch: Epoch,
    out: Vec<u8>,
    /// Whole documents, of a form that holds them until their end.
    ended: Vec<u8>,
    /// Where the document being written starts in `out`; `None` when a part of it was taken.
    document_start: Option<usize>,
    /// A document was begun and not ended.
    in_document: bool,
    /// Rows of all statements.
    rows: usize,
    statement: Statement,
}

/// The statement being written.
#[derive(Default)]
struct Statement {
    id: usize,
    messages: Vec<Message>,
    division: Division,
    times: Times,
    series: Option<Arc<SeriesHead>>,
    /// Rows in the document.
    rows: usize,
}

impl AnswerWriter {
    pub(in super::super) fn new(form: Form, documents: Documents, epoch: Epoch) -> Self {
        let encoder: Box<dyn Encoder> = match form {
            Form::Json => Box::new(Json::new(false)),
            Form::PrettyJson => Box::new(Json::new(true)),
            Form::Csv => Box::new(Csv::default()),
            Form::MessagePack => Box::new(MessagePack::default()),
        };
        AnswerWriter {
            encoder,
            documents,
            epoch,
            out: Vec::new(),
            ended: Vec::new(),
            document_start: None,
            in_document: false,
            rows: 0,
            statement: Statement::default(),
        }
    }

    /// What can be sent: nothing while a form that holds its documents is within one.
    pub(in super::super) fn take(&mut self) -> Vec<u8> {
        if self.encoder.holds_documents() {
            return std::mem::take(&mut self.ended);
        }
        if self.in_document {
            self.document_start = None;
        }
        std::mem::take(&mut self.out)
    }

    /// Bytes written and not taken.
    pub(in super::super) fn pending(&self) -> usize {
        self.out.len() + self.ended.len()
    }

    pub(in super::super) fn begin_statement(
        &mut self,
        id: usize,
        messages: Vec<Message>,
        division: Division,
        zone: Option<chrono_tz::Tz>,
    ) {
        let times = Times { epoch: self.epoch, zone };
        self.statement = Statement { id, messages, division, times, series: None, rows: 0 };
        self.begin_result();
    }

    /// Writes rows of the statement.
    pub(in super::super) fn piece(&mut self, piece: &SeriesPiece) -> Result<Flow, EncodeError> {
        let goes_on = self.statement.series.as_ref().is_some_and(|head| head.is_same_series(&piece.head));
        let rows = piece.rows.num_rows();
        if !goes_on {
            if rows > 0 && self.is_full() {
                return Ok(Flow::Full);
            }
            self.change_series(&piece.head);
        }
        let columns = cells::columns(&piece.rows);
        self.write_rows(&piece.rows, &columns, piece)
    }

    fn write_rows(
        &mut self,
        batch: &RecordBatch,
        columns: &[Column<'_>],
        piece: &SeriesPiece,
    ) -> Result<Flow, EncodeError> {
        let mut first = 0;
        while first < batch.num_rows() {
            if self.is_full() {
                self.end_series(true);
                return Ok(Flow::Full);
            }
            if self.statement.rows >= self.document_rows_max() {
                self.end_series(true);
                self.turn_document(true);
                self.begin_series(&piece.head);
            }
            let room = (self.document_rows_max() - self.statement.rows).min(self.rows_left());
            let end = batch.num_rows().min(first.saturating_add(room));
            let times = self.statement.times;
            self.encoder.rows(Rows { columns, first, end, times }, &mut self.out)?;
            self.statement.rows += end - first;
            self.rows += end - first;
            first = end;
        }
        Ok(Flow::GoOn)
    }

    /// Ends the statement, with what went wrong in it.
    pub(in super::super) fn end_statement(&mut self, error: Option<&str>) -> Flow {
        let has_rows = self.statement.series.is_some();
        self.end_series(false);
        if error.is_some() && has_rows && matches!(self.documents, Documents::Many { .. }) {
            self.turn_document(true);
        }
        self.encoder.end_result(false, error, &mut self.out);
        if matches!(self.documents, Documents::Many { .. }) {
            self.end_document();
        }
        if self.is_full() { Flow::Full } else { Flow::GoOn }
    }

    /// Ends the answer.
    pub(in super::super) fn finish(&mut self) {
        if matches!(self.documents, Documents::One { .. }) {
            self.begin_document();
            self.end_document();
        }
    }

    /// Replaces the document being written by an error of the whole request. `false`: a part of it was sent, so that
    /// nothing but an abrupt end tells the client.
    pub(in super::super) fn replace_by_error(&mut self, text: &str) -> bool {
        let Some(start) = self.document_start.filter(|_| self.in_document) else { return false };
        self.out.truncate(start);
        self.encoder.error_document(text, &mut self.out);
        self.keep_document();
        true
    }

    fn is_full(&self) -> bool {
        self.rows_left() == 0
    }

    fn rows_left(&self) -> usize {
        match self.documents {
            Documents::One { rows_max: Some(rows_max) } => rows_max.saturating_sub(self.rows),
            Documents::One { rows_max: None } | Documents::Many { .. } => usize::MAX,
        }
    }

    fn document_rows_max(&self) -> usize {
        match (self.documents, self.statement.division) {
            (Documents::Many { rows }, Division::BySeries) => rows.max(1),
            _ => usize::MAX,
        }
    }

    fn begin_document(&mut self) {
        if !self.in_document {
            self.document_start = Some(self.out.len());
            self.in_document = true;
            self.encoder.begin_document(&mut self.out);
        }
    }

    fn end_document(&mut self) {
        self.encoder.end_document(&mut self.out);
        self.keep_document();
    }

    fn keep_document(&mut self) {
        self.in_document = false;
        if self.encoder.holds_documents() {
            self.ended.append(&mut self.out);
        }
    }

    fn begin_result(&mut self) {
        self.begin_document();
        self.encoder.begin_result(self.statement.id, &self.statement.messages, &mut self.out);
        self.statement.rows = 0;
    }

    /// The statement goes on in another document.
    fn turn_document(&mut self, says_so: bool) {
        self.encoder.end_result(says_so, None, &mut self.out);
        self.end_document();
        self.statement.messages.clear();
        self.begin_result();
    }

    fn change_series(&mut self, head: &Arc<SeriesHead>) {
        let is_first = self.statement.series.is_none();
        self.end_series(false);
        if !is_first && matches!(self.documents, Documents::Many { .. }) {
            match self.statement.division {
                Division::BySeries => self.turn_document(true),
                Division::WholeSeries => self.turn_document(false),
                Division::Undivided => {}
            }
        }
        self.begin_series(head);
    }

    fn begin_series(&mut self, head: &Arc<SeriesHead>) {
        self.encoder.begin_series(head, &mut self.out);
        self.statement.series = Some(head.clone());
    }

    fn end_series(&mut self, is_partial: bool) {
        if self.statement.series.take().is_some() {
            self.encoder.end_series(is_partial, &mut self.out);
        }
    }
}
