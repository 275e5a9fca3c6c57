//! Why a write was not accepted.

use crate::catalog::CatalogError;
use crate::model::{Classify, Kind};

use super::validate::Rejection;
use super::wal::WalError;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The door takes all points or none, and this one cannot be taken.
    #[error("{rejection}")]
    Rejected { rejection: Rejection, points: usize },
    #[error("the write buffer holds {held_bytes} bytes, its budget is {budget_bytes}; try again later")]
    BufferFull { held_bytes: u64, budget_bytes: u64 },
    #[error("the points span {windows} time windows, one request may open {max}; send them in smaller parts")]
    TooManyWindows { windows: usize, max: usize },
    #[error("table {table:?} would have {columns} columns, the limit is {max}")]
    TooManyColumns { table: String, columns: usize, max: usize },
    #[error("table {table:?} not found, and its database is written to strictly: tables are made by statements only")]
    TableUndeclared { table: String },
    #[error(
        "column {column:?} of table {table:?} not found, and its database is written to strictly: columns are made by statements only"
    )]
    ColumnUndeclared { table: String, column: String },
    #[error("the points are of {tables} tables, one request may write to {max}; send them in smaller parts")]
    TooManyTables { tables: usize, max: usize },
    #[error("the points make {cells} cells (rows by fields), one request may make {max}; send them in smaller parts")]
    TooManyCells { cells: usize, max: usize },
    #[error("a batch of points could not be built: {0}")]
    Arrow(#[from] datafusion::arrow::error::ArrowError),
    #[error("the object store does not answer, and new tables and columns wait for it; try again later")]
    SchemaWaits,
    #[error("the table's schema kept changing while the points were checked; try again")]
    SchemaRace,
}

impl Classify for IngestError {
    fn kind(&self) -> Kind {
        match self {
            IngestError::Catalog(error) => error.kind(),
            IngestError::Wal(error) => error.kind(),
            IngestError::Rejected { .. }
            | IngestError::TableUndeclared { .. }
            | IngestError::ColumnUndeclared { .. } => Kind::Conflict,
            IngestError::SchemaWaits => Kind::Unavailable,
            IngestError::BufferFull { .. } | IngestError::SchemaRace => Kind::Overloaded,
            IngestError::TooManyWindows { .. }
            | IngestError::TooManyColumns { .. }
            | IngestError::TooManyTables { .. }
            | IngestError::TooManyCells { .. } => Kind::TooLarge,
            IngestError::Arrow(_) => Kind::Internal,
        }
    }
}
