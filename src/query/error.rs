//! What goes wrong when a question is asked, told apart by what the caller can do about it.

use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::model::{Classify, Kind};
use crate::storage::damage::DamagedSegment;
use crate::storage::exchange::ExchangeError;

use super::sql::Refusal;

/// A segment was merged away, and its object removed, before the query read it: the query saw a version of the catalog that
/// was too old. Asked again, it sees a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {path} was merged away before it was read, try again")]
pub struct SegmentGone {
    pub path: String,
}

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the request holds no statement")]
    Empty,
    #[error("multiple statements are not allowed, found {found}")]
    MultipleStatements { found: usize },
    /// The text is no statement.
    #[error("{0}")]
    Syntax(String),
    #[error("{0} is not supported")]
    NotSupported(String),
    #[error("database not found: \"{database}\"")]
    DatabaseNotFound { tenant: String, database: String },
    /// Whoever asks may not read it.
    #[error("no right to read database \"{database}\"")]
    Forbidden { tenant: String, database: String },
    #[error("table not found: \"{tenant}.{database}.{table}\"")]
    TableNotFound { tenant: String, database: String, table: String },
    /// The statement speaks of things that do not exist or do not fit.
    #[error("{0}")]
    Plan(String),
    /// A change that is not allowed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The data does not allow what the statement asks for (a cast, a division).
    #[error("{0}")]
    Execution(String),
    #[error("the statement is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the query needs more memory than the {limit_bytes} bytes one query may use: {detail}")]
    TooMuchMemory { limit_bytes: usize, detail: String },
    #[error("the query needs more room for temporary files than is left: {0}")]
    TooMuchDisk(String),
    #[error("the queries running now leave too little memory for this one, try again later")]
    MemoryBusy,
    #[error("too many queries: {running} are running and {waiting} are waiting, try again later")]
    QueueFull { running: usize, waiting: usize },
    #[error("the query waited {} ms for its turn, try again later", waited.as_millis())]
    QueueTimeout { waited: Duration },
    #[error("the query took longer than {} ms", limit.as_millis())]
    Timeout { limit: Duration },
    #[error("the object store does not answer: {message}")]
    Store { message: String, source: Box<DataFusionError> },
    /// A segment that the query needs cannot be read: there is no answer rather than one without its rows.
    #[error(transparent)]
    Damaged(DamagedSegment),
    /// What the query was to read is stored elsewhere by now.
    #[error(transparent)]
    Gone(SegmentGone),
    /// Files outside the gateway's store.
    #[error(transparent)]
    Exchange(ExchangeError),
    #[error("{message}")]
    Internal { message: String, source: Option<Box<DataFusionError>> },
}

impl Classify for QueryError {
    fn kind(&self) -> Kind {
        match self {
            QueryError::Empty
            | QueryError::MultipleStatements { .. }
            | QueryError::Syntax(_)
            | QueryError::Plan(_)
            | QueryError::Refused(_)
            | QueryError::Execution(_) => Kind::Invalid,
            QueryError::NotSupported(_) => Kind::Unsupported,
            QueryError::DatabaseNotFound { .. } | QueryError::TableNotFound { .. } => Kind::NotFound,
            QueryError::Forbidden { .. } => Kind::Forbidden,
            QueryError::TooLong { .. } | QueryError::TooMuchMemory { .. } | QueryError::TooMuchDisk(_) => {
                Kind::TooLarge
            }
            QueryError::MemoryBusy | QueryError::QueueFull { .. } | QueryError::QueueTimeout { .. } => Kind::Overloaded,
            QueryError::Timeout { .. } => Kind::Timeout,
            QueryError::Store { .. } | QueryError::Gone(_) => Kind::Unavailable,
            QueryError::Damaged(damaged) => damaged.kind(),
            QueryError::Exchange(error) => error.kind(),
            QueryError::Internal { .. } => Kind::Internal,
        }
    }
}

impl QueryError {
    /// A fault of ours, in our words.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        QueryError::Internal { message: message.into(), source: None }
    }
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<DataFusionError> for QueryError {
    /// Memory comes out as [`QueryError::TooMuchMemory`] without a limit; who knows the limit fills it in.
    fn from(error: DataFusionError) -> Self {
        match sort_out(&error) {
            Cause::Syntax(text) => QueryError::Syntax(text),
            Cause::NotSupported(text) => QueryError::NotSupported(text),
            Cause::Plan(text) => QueryError::Plan(text),
            Cause::Execution(text) => QueryError::Execution(text),
            Cause::Memory(detail) => QueryError::TooMuchMemory { limit_bytes: 0, detail },
            Cause::Disk(text) => QueryError::TooMuchDisk(text),
            Cause::Damaged(damaged) => QueryError::Damaged(damaged),
            Cause::Gone(gone) => QueryError::Gone(gone),
            Cause::Exchange(error) => QueryError::Exchange(error),
            Cause::Store(message) => QueryError::Store { message, source: Box::new(error) },
            Cause::Internal(message) => QueryError::Internal { message, source: Some(Box::new(error)) },
        }
    }
}

enum Cause {
    Syntax(String),
    NotSupported(String),
    Plan(String),
    Execution(String),
    Memory(String),
    Disk(String),
    Damaged(DamagedSegment),
    Gone(SegmentGone),
    Exchange(ExchangeError),
    Store(String),
    Internal(String),
}

/// Finds the cause inside the engine's wrappings, and its text without the engine's prefixes.
fn sort_out(error: &DataFusionError) -> Cause {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => sort_out(inner),
        DataFusionError::Shared(inner) => sort_out(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => sort_out(first),
            None => Cause::Internal("an error without a cause".to_string()),
        },
        DataFusionError::SQL(error, _) => Cause::Syntax(parser_text(error)),
        DataFusionError::NotImplemented(text) => Cause::NotSupported(clean(text)),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => Cause::Plan(clean(text)),
        DataFusionError::SchemaError(error, _) => Cause::Plan(clean(&error.to_string())),
        DataFusionError::Execution(text) => Cause::Execution(clean(text)),
        DataFusionError::ResourcesExhausted(text) if text.contains("disk space") => Cause::Disk(clean(text)),
        DataFusionError::ResourcesExhausted(text) => Cause::Memory(clean(text)),
        DataFusionError::ArrowError(error, _) => arrow_cause(error),
        DataFusionError::ObjectStore(error) => Cause::Store(error.to_string()),
        // Without the engine's request to report it to its own makers.
        DataFusionError::Internal(text) => Cause::Internal(clean(text)),
        DataFusionError::IoError(error) => Cause::Internal(format!("temporary files: {error}")),
        DataFusionError::ParquetError(error) => parquet_cause(error),
        DataFusionError::External(inner) => external_cause(inner.as_ref()),
        other => Cause::Internal(clean(&other.to_string())),
    }
}

fn arrow_cause(error: &ArrowError) -> Cause {
    match error {
        ArrowError::ExternalError(inner) => external_cause(inner.as_ref()),
        ArrowError::MemoryError(text) => Cause::Memory(text.clone()),
        ArrowError::IoError(text, _) => Cause::Internal(text.clone()),
        ArrowError::NotYetImplemented(text) => Cause::NotSupported(text.clone()),
        other => Cause::Execution(clean(&other.to_string())),
    }
}

fn parquet_cause(error: &ParquetError) -> Cause {
    match error {
        ParquetError::External(inner) => external_cause(inner.as_ref()),
        other => Cause::Internal(format!("a segment cannot be read: {other}")),
    }
}

fn external_cause(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Cause {
    if error.is::<object_store::Error>() {
        return Cause::Store(error.to_string());
    }
    if let Some(damaged) = error.downcast_ref::<DamagedSegment>() {
        return Cause::Damaged(damaged.clone());
    }
    if let Some(gone) = error.downcast_ref::<SegmentGone>() {
        return Cause::Gone(gone.clone());
    }
    if let Some(error) = error.downcast_ref::<ExchangeError>() {
        return Cause::Exchange(error.clone());
    }
    if let Some(error) = error.downcast_ref::<ParquetError>() {
        return parquet_cause(error);
    }
    if let Some(error) = error.downcast_ref::<DataFusionError>() {
        return sort_out(error);
    }
    Cause::Internal(error.to_string())
}

pub(super) const TOO_DEEP: &str = "the statement is nested too deeply";

fn parser_text(error: &ParserError) -> String {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => clean(text),
        ParserError::RecursionLimitExceeded => TOO_DEEP.to_string(),
    }
}

/// The engine's text without its back trace and without the words that only name the engine's error type.
fn clean(text: &str) -> String {
    let text = text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text);
    let mut text = text.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.to_string()
}

const PREFIXES: [&str; 6] = [
    "Error during planning: ",
    "SQL error: ",
    "Schema error: ",
    "Execution error: ",
    "This feature is not implemented: ",
    "External error: ",
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn check(error: DataFusionError, kind: Kind, text: &str) {
        let error = QueryError::from(error);
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
    }

    #[test]
    fn causes_are_found_inside_their_wrappings() {
        let missing = || object_store::Error::NotFound { path: "a".into(), source: "gone".into() };
        let store_text = format!("the object store does not answer: {}", missing());
        let parquet = ParquetError::External(Box::new(missing()));
        check(DataFusionError::ParquetError(Box::new(parquet)), Kind::Unavailable, &store_text);
        // As the reader of footers wraps it.
        let footer = ParquetError::External(Box::new(DataFusionError::ObjectStore(Box::new(missing()))));
        check(DataFusionError::ParquetError(Box::new(footer)), Kind::Unavailable, &store_text);
        let wrapped = DataFusionError::ArrowError(
            Box::new(ArrowError::ExternalError(Box::new(DataFusionError::ObjectStore(Box::new(missing()))))),
            None,
        );
        check(DataFusionError::Shared(Arc::new(wrapped)), Kind::Unavailable, &store_text);
        let plan = DataFusionError::Plan("Error during planning: no such thing\n\nbacktrace: here".to_string());
        check(plan.context("while planning"), Kind::Invalid, "no such thing");
        let division = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        check(division, Kind::Invalid, "Divide by zero error");
        let parser = ParserError::ParserError("Expected: x, found: y".to_string());
        check(DataFusionError::SQL(Box::new(parser), None), Kind::Invalid, "Expected: x, found: y");
        check(DataFusionError::NotImplemented("x".to_string()), Kind::Unsupported, "x is not supported");
        check(DataFusionError::Internal("x".to_string()).context("y"), Kind::Internal, "x");
    }
}
