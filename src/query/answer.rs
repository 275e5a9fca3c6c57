//! The rows of an answer as they come, under the query's time limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt};
use prometheus::HistogramVec;
use tokio::time::Sleep;

use super::error::QueryError;
use super::limits::{QueryMemory, Turn};

/// A running query, from its turn to its last row. Dropping it gives the turn back and records how long it took.
pub(super) struct Running {
    pub language: &'static str,
    pub memory: Arc<QueryMemory>,
    pub time_limit: Duration,
    pub deadline: tokio::time::Instant,
    started: Instant,
    result: &'static str,
    seconds: HistogramVec,
    _turn: Turn,
}

impl Running {
    pub(super) fn new(
        language: &'static str,
        memory: Arc<QueryMemory>,
        time_limit: Duration,
        turn: Turn,
        seconds: HistogramVec,
    ) -> Self {
        let deadline = tokio::time::Instant::now() + time_limit;
        let started = Instant::now();
        // What it stays when it is dropped before its end.
        let result = "cancelled";
        Running { language, memory, time_limit, deadline, started, result, seconds, _turn: turn }
    }

    pub(super) fn finish(&mut self) {
        self.result = "ok";
    }

    /// The error as the caller sees it.
    pub(super) fn fail(&mut self, error: QueryError) -> QueryError {
        let error = self.memory.explain(error);
        self.result = if matches!(error, QueryError::Timeout { .. }) { "timeout" } else { "error" };
        error
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.seconds.with_label_values(&[self.language, self.result]).observe(seconds);
    }
}

/// Batches of an answer. It does work only while it is polled; dropping it cancels the query. After an error it ends.
pub struct RowStream {
    schema: SchemaRef,
    rows: Option<SendableRecordBatchStream>,
    deadline: Pin<Box<Sleep>>,
    running: Option<Running>,
}

impl RowStream {
    pub(super) fn new(rows: SendableRecordBatchStream, running: Running) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(running.deadline));
        RowStream { schema: rows.schema(), rows: Some(rows), deadline, running: Some(running) }
    }

    /// Schema of every batch; known before the first.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn end(&mut self) {
        // The plan first: what it holds is freed before the next query gets the turn.
        self.rows = None;
        self.running = None;
    }
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Drop for RowStream {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let (Some(rows), Some(running)) = (this.rows.as_mut(), this.running.as_mut()) else {
            return Poll::Ready(None);
        };
        if this.deadline.as_mut().poll(context).is_ready() {
            let error = running.fail(QueryError::Timeout { limit: running.time_limit });
            this.end();
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(rows.poll_next_unpin(context)) {
            Some(Ok(batch)) => Poll::Ready(Some(Ok(batch))),
            Some(Err(error)) => {
                let error = running.fail(error.into());
                this.end();
                Poll::Ready(Some(Err(error)))
            }
            None => {
                running.finish();
                this.end();
                Poll::Ready(None)
            }
        }
    }
}
