//! Why a point is not taken, in the server's sentences.

use crate::model::text::cut;

use super::number::NotANumber;

/// Text of a client's that a sentence may quote at most, bytes; the rest is cut off.
const QUOTED_BYTES_MAX: usize = 1024;

/// Why a point is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// A value or time of a `put` line that is no number.
    #[error("{0}")]
    Number(#[from] NotANumber),
    /// Anything else that is wrong with the point itself.
    #[error("{0}")]
    Illegal(String),
    /// The metric does not exist, and points may not make it.
    #[error("No such name for 'metrics': '{0}'")]
    UnknownMetric(String),
}

impl PointError {
    pub(super) fn illegal(text: impl Into<String>) -> Self {
        PointError::Illegal(text.into())
    }
}

/// `text`, cut where it gets too long to be quoted.
pub(super) fn quotable(text: &str) -> &str {
    cut(text, QUOTED_BYTES_MAX)
}
