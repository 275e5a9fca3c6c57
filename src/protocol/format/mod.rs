//! Bytes to points and rows to bytes. No HTTP.

pub(in crate::protocol) mod calendar;
pub mod documents;
pub mod line_protocol;
pub mod opentsdb;
pub mod rows;
