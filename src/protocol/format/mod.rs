//! Bytes to points and rows to bytes. No HTTP.

pub mod line_protocol;
pub mod rows;
