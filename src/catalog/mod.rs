//! Names and types: databases, policies, tables, columns and the live segments of each.
//!
//! Truth is a chain of numbered commits in the store, each written with put-if-absent; [`state`] is what the chain
//! adds up to, [`change`] the steps it is made of, [`chain`] their form as objects, [`Catalog`] the one who reads and extends it.
//! It does not know how points arrive or how queries run.

pub mod chain;
pub mod change;
mod committer;
pub mod databases;
pub mod error;
pub mod state;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use committer::{Catalog, CatalogOptions};
pub use error::CatalogError;
pub use state::{CatalogState, Database, RetentionPolicy, Table};
