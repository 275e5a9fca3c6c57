//! Rows between the log and a segment: columns of values beside series numbers instead of tag columns.
//!
//! [`series`] numbers the tag sets, [`chunk`] holds rows in the order they were written, [`fold`] sorts them, merges
//! equal rows and hands out what a segment stores. Flush and compaction share all of it.

pub mod chunk;
pub mod decode;
pub mod fold;
pub mod series;

pub use chunk::Chunk;
pub use decode::decode_segment;
pub use fold::{SortedWindow, sort_into_windows};
pub use series::SeriesSet;
