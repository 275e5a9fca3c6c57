//! OpenTSDB's points: `put` lines and JSON documents → [`Points`](crate::model::Points).
//!
//! Behaviour: OpenTSDB 2.4's server, its order of checks and its sentences included, down to how Java prints a map.
//! Spec: OpenTSDB documentation, "Writing", telnet `put` and HTTP `/api/put`.
//!
//! Owns: what a point must look like, and the columns a metric has. Does not own: what becomes of bad points, which each door
//! decides.

pub mod builder;
pub mod error;
pub mod json;
mod names;
pub mod number;
#[cfg(test)]
mod properties;
mod scan;
pub mod strict;
pub mod telnet;
#[cfg(test)]
mod tests;

pub use builder::{Builder, Layout};
pub use error::PointError;
pub use names::check_name;
