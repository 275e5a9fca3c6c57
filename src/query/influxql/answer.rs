//! What a statement answers: series after series, their rows as arrays.
//!
//! The seam between those who run statements and those who write answers. A series may come in several pieces;
//! neighbours of equal name and tags belong together. Rows never become objects of their own.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono_tz::Tz;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{Field, Schema};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};

use crate::model::{Classify, Kind};
use crate::query::QueryError;

/// What all rows of a series have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesHead {
    /// `None` for answers that are about no measurement, such as those of SHOW SERIES.
    pub name: Option<Arc<str>>,
    /// Grouped tags in the order of their keys, an absent one as `""`. Empty without GROUP BY tags.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// As the client reads them: not unique, and not the names in the arrays' schema.
    pub columns: Vec<Arc<str>>,
}

impl SeriesHead {
    /// Whether pieces with these heads are of one series.
    pub fn is_same_series(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || (self.name == other.name && self.tags == other.tags)
    }
}

/// Rows of one series. A piece without rows makes its series show up without any.
#[derive(Debug, Clone)]
pub struct SeriesPiece {
    pub head: Arc<SeriesHead>,
    /// A column for each of `head.columns`. Nanosecond timestamps are times; other types are Float64, Int64, UInt64,
    /// Boolean, Utf8 (also Dictionary, LargeUtf8, Utf8View) and lists of Utf8. NaN is null.
    pub rows: RecordBatch,
}

impl SeriesPiece {
    /// A whole series that was made in memory. The arrays are equally long, one for each of `columns`.
    pub fn of(name: Option<&str>, columns: &[&str], arrays: Vec<ArrayRef>) -> SeriesPiece {
        let head = SeriesHead {
            name: name.map(Arc::from),
            tags: Vec::new(),
            columns: columns.iter().map(|&column| Arc::from(column)).collect(),
        };
        let fields =
            columns.iter().zip(&arrays).map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(arrays.first().map_or(0, |array| array.len())));
        let rows = RecordBatch::try_new_with_options(schema, arrays, &options);
        SeriesPiece {
            head: Arc::new(head),
            rows: rows.expect("the schema was made from the arrays, which are equally long"),
        }
    }

    /// A whole series of one column of strings.
    pub fn of_texts<T: AsRef<str>>(
        name: Option<&str>,
        column: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> SeriesPiece {
        Self::of(name, &[column], vec![texts_array(texts)])
    }
}

/// Strings as an array.
pub fn texts_array<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

/// Something to tell beside the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub level: &'static str,
    pub text: String,
}

/// How rows are divided when the client wants an answer in documents of so many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Division {
    /// A document holds rows of one series and says when others follow.
    #[default]
    BySeries,
    /// A document holds one series whole, and does not say that others follow.
    WholeSeries,
    /// All rows of the statement are in one document.
    Undivided,
}

/// A statement's rows. Work is done only while it is polled; dropping it cancels the statement. After an error it ends.
pub struct SeriesStream {
    pieces: BoxStream<'static, Result<SeriesPiece, QueryError>>,
    /// Times are shown with this zone's offset.
    pub zone: Option<Tz>,
    pub messages: Vec<Message>,
    pub division: Division,
}

impl SeriesStream {
    pub fn new(pieces: impl Stream<Item = Result<SeriesPiece, QueryError>> + Send + 'static) -> Self {
        SeriesStream { pieces: pieces.boxed(), zone: None, messages: Vec::new(), division: Division::BySeries }
    }

    /// The answer of a statement that has none.
    pub fn empty() -> Self {
        Self::of(Vec::new())
    }

    pub fn of(pieces: Vec<SeriesPiece>) -> Self {
        Self::new(stream::iter(pieces.into_iter().map(Ok)))
    }

    #[must_use]
    pub fn divided(mut self, division: Division) -> Self {
        self.division = division;
        self
    }

    #[must_use]
    pub fn in_zone(mut self, zone: Option<Tz>) -> Self {
        self.zone = zone;
        self
    }
}

impl Stream for SeriesStream {
    type Item = Result<SeriesPiece, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(context)
    }
}

impl fmt::Debug for SeriesStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesStream")
            .field("zone", &self.zone)
            .field("division", &self.division)
            .finish_non_exhaustive()
    }
}

/// Why one statement failed, in the server's words. It is a member of an answer: the request as a whole succeeded.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error("database name required")]
    DatabaseRequired,
    #[error("database not found: {0}")]
    DatabaseNotFound(String),
    #[error("retention policy not found: {0}")]
    PolicyNotFound(String),
    /// The statement says something that cannot be, or contradicts what is there.
    #[error("{0}")]
    Refused(String),
    /// InfluxQL that we know but do not run.
    #[error("{0} is not supported yet")]
    NotSupported(String),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl Classify for StatementError {
    fn kind(&self) -> Kind {
        match self {
            StatementError::DatabaseRequired | StatementError::Refused(_) => Kind::Invalid,
            StatementError::DatabaseNotFound(_) | StatementError::PolicyNotFound(_) => Kind::NotFound,
            StatementError::NotSupported(_) => Kind::Unsupported,
            StatementError::Query(error) => error.kind(),
        }
    }
}
