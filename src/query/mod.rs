//! Everything that reads: sessions, tables, the row merge, limits, and the languages that questions come in.
//!
//! A question becomes a logical plan ([`sql`], [`influxql`], [`opentsdb`]); [`QueryEngine`] runs it under its limits and hands out rows
//! as they come. A table is its segments and the rows not in segments yet, taken in one moment ([`source`]); where rows
//! of one key may meet they are made one (`merge`, `fold`). It knows no HTTP, and of the buffer only a trait.

pub mod answer;
mod chain;
mod clusters;
mod columns;
mod deleted;
mod edges;
pub mod error;
mod exchange;
pub mod fold;
pub mod footers;
pub mod functions;
pub mod influxql;
mod information_schema;
pub mod limits;
mod live;
mod merge;
mod named;
mod names;
pub mod opentsdb;
pub mod parquet;
mod points;
mod provider;
mod readers;
pub mod running;
pub mod scan;
pub mod series;
pub mod session;
pub mod source;
pub mod sql;
mod statistics;
pub mod tdsql;
mod words;
mod yielding;

#[cfg(test)]
mod tests;

pub use crate::storage::exchange::ExchangeError;
pub use answer::RowStream;
pub use error::{QueryError, SegmentGone};
pub use fold::sort_and_fold;
pub use names::Readable;
pub use running::RunningQueries;
pub use scan::key_columns;
pub use session::{QueryEngine, QueryOptions, QueryScope, QuerySession, STACK_BYTES};
pub use source::{LiveChunk, LiveRows, LiveTagSets, Tables, Unflushed};
