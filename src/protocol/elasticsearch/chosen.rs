//! Which indices a request means, and what it takes for an error.

use crate::catalog::{CatalogState, Table};
use crate::protocol::params::Params;

use super::error::WireError;
use super::indices::database;
use super::names;
use super::remembered::Kind;

/// How a request takes names that mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    /// A name of no index is left out.
    ignore_unavailable: bool,
    /// No index at all is none too few.
    allow_no_indices: bool,
}

impl Chosen {
    /// Query: `ignore_unavailable` (default: false), `allow_no_indices` (default: true).
    pub(super) fn of(params: &Params) -> Chosen {
        Chosen {
            ignore_unavailable: matches!(params.get("ignore_unavailable"), Some("" | "true")),
            allow_no_indices: params.get("allow_no_indices") != Some("false"),
        }
    }

    /// Refuses what would choose others: all indices here are open, and none is hidden.
    pub(super) fn check(params: &Params) -> Result<(), WireError> {
        match params.get("expand_wildcards") {
            Some(kinds) if !kinds.split(',').any(|kind| matches!(kind.trim(), "" | "open" | "all")) => {
                Err(WireError::not_here(&format!("[expand_wildcards] with {kinds}")))
            }
            _ => Ok(()),
        }
    }

    /// The tables that a comma list of names and patterns means. A data stream that was made and has no document yet is known and
    /// has no table.
    pub(super) fn tables<'a>(
        self,
        state: &'a CatalogState,
        database_name: &str,
        expression: &str,
    ) -> Result<Vec<&'a Table>, WireError> {
        let found = names::resolve(state, database(state, database_name), expression);
        let is_empty_stream = |name: &str| state.document(Kind::DataStream.collection(), name).is_some();
        let unknown = found.missing.iter().find(|name| !(self.ignore_unavailable || is_empty_stream(name)));
        if let Some(unknown) = unknown {
            return Err(WireError::no_such_index(unknown));
        }
        if found.tables.is_empty() && !self.allow_no_indices {
            return Err(WireError::no_such_index(expression));
        }
        Ok(found.tables)
    }
}
