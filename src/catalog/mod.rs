//! Names and types: databases, policies, tables, columns and the live segments of each.
//!
//! Truth is a chain of numbered commits in the store, each written with put-if-absent; [`state`] is what the chain
//! adds up to, [`change`] the steps it is made of, [`chain`] their form as objects. Any number of processes share a
//! store: [`Catalog`] is one of them, a writer that extends the chain or a reader that follows it.
//!
//! Inside, `head` knows where the chain ends and when an answer about that may be believed, `committer` follows and
//! extends it, `register` makes a process a writer, `snapshots` keep the chain short.
//! It does not know how points arrive or how queries run.

pub mod annotations;
pub mod chain;
pub mod change;
mod committer;
pub mod continuous;
pub mod continuous_runs;
pub mod databases;
pub mod deletes;
mod documents;
mod dropping;
pub mod error;
mod external;
mod handle;
mod head;
pub mod meta;
mod metrics;
mod objects;
mod options;
pub mod policies;
mod register;
mod remembered;
pub mod renames;
mod retention;
pub mod roles;
mod snapshots;
pub mod state;
mod tables;
pub mod tenants;
#[cfg(test)]
mod tests;
pub mod uids;
pub mod users;

pub use annotations::Annotation;
pub use change::Change;
pub use deletes::Delete;
pub use error::CatalogError;
pub use handle::Catalog;
pub use meta::{NameMeta, SeriesMeta};
pub use metrics::CatalogMetrics;
pub use options::CatalogOptions;
pub use policies::PolicyChange;
pub use remembered::Room;
pub use renames::{MetricsHome, Renamed};
pub use state::{CatalogState, Database, RetentionPolicy, Table, Writer};
pub use uids::{Tsuid, Uid, UidKind, Uids};
