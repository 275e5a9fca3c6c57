//! What an error means to a caller, whatever caused it.

/// Twelve meanings; every protocol says each of them in its own words. Think before adding one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong and stays wrong.
    Invalid,
    NotFound,
    AlreadyExists,
    /// The request contradicts what is stored (a field's type, a schema).
    Conflict,
    TooLarge,
    Unsupported,
    Unauthenticated,
    Forbidden,
    /// A budget of ours is used up; the same request succeeds later.
    Overloaded,
    Timeout,
    /// Something we depend on does not answer, or we are not ready yet.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// Implemented by each layer's error enum: what happened, classified once.
pub trait Classify: std::error::Error {
    fn kind(&self) -> Kind;
}
