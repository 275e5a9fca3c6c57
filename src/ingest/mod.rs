//! Everything that writes.
//!
//! A request's points are checked against the catalog ([`validate`]), written to the log and synced ([`wal`]), put into
//! the buffer where queries see them ([`buffer`]), and only then acknowledged ([`accept`]). In the background [`flush`]
//! turns buffered rows of the tables that are [`due`] into segments, [`compaction`] turns many small segments into fewer, [`retention`] drops what its
//! policy does not keep, [`dropping`] drops databases that were dropped for later, and [`orphans`] removes objects that no commit speaks of.

pub mod accept;
pub mod buffer;
pub mod compaction;
pub mod documents;
pub mod dropping;
pub mod due;
pub mod error;
pub mod flush;
pub mod metrics;
pub mod orphans;
pub mod retention;
pub mod validate;
pub mod wal;
pub mod writer;

pub use accept::{Ingest, IngestLimits, Receipt, Target};
pub use buffer::Buffer;
pub use error::IngestError;
pub use metrics::IngestMetrics;
pub use validate::{BadPoints, Rejection, Rules};
