//! Why a question in OpenTSDB's words is refused, in the server's own sentences.

use crate::model::{Classify, Kind};
use crate::query::QueryError;

#[derive(Debug, thiserror::Error)]
pub enum OpentsdbError {
    /// The request says something that cannot be.
    #[error("{0}")]
    Refused(String),
    /// A metric, tag key (`tagk`) or tag value (`tagv`) that was never written.
    #[error("No such name for '{kind}': '{name}'")]
    NoSuchName { kind: &'static str, name: String },
    #[error("{0}")]
    NotSupported(String),
    #[error(
        "Sorry, you have attempted to fetch more than our limit of {points_max} data points. Please try filtering using \
         more tags or decrease your time range."
    )]
    TooManyPoints { points_max: usize },
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl OpentsdbError {
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        OpentsdbError::Refused(text.into())
    }
}

impl Classify for OpentsdbError {
    fn kind(&self) -> Kind {
        match self {
            // The server answers 400 to names it does not know.
            OpentsdbError::Refused(_) | OpentsdbError::NoSuchName { .. } => Kind::Invalid,
            OpentsdbError::NotSupported(_) => Kind::Unsupported,
            OpentsdbError::TooManyPoints { .. } => Kind::TooLarge,
            OpentsdbError::Query(error) => error.kind(),
        }
    }
}
