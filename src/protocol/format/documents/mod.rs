//! JSON documents of logs and metrics: bodies of many, and each of them as named values.
//!
//! [`bulk`] reads Elasticsearch's NDJSON, [`log_lines`] CnosDB's; both say which bytes are whose document. [`flatten`](mod@flatten) makes
//! values of a document, [`time`] finds out when it happened.

pub mod bulk;
pub mod flatten;
mod json_text;
pub mod log_lines;
#[cfg(test)]
mod properties;
pub mod time;

pub use flatten::{Arrays, DocumentError, Shape, flatten};
