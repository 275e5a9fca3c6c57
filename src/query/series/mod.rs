//! Operators over series: rows that are sorted by what names a series, then by time.
//!
//! [`series_plan`] puts one on top of a logical plan; the sort below it is the planner's. They hold the rows of one series
//! at a time at most, and account for them.

mod exec;
mod fill;
mod limit;
mod node;
mod order;
mod planner;
mod split;
mod transform;
mod windows;

pub use fill::{Fill, FillRule};
pub use limit::Limit;
pub use node::{SeriesOperation, series_plan};
pub use order::SeriesOrder;
pub use planner::SeriesQueryPlanner;
pub(super) use split::{goes_on, series as series_ranges};
pub use transform::Transform;
pub use windows::{Clock, TIME_MAX, TIME_MIN, Walk, Windows};
