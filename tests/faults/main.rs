//! What survives when something below fails.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../support/lossy_fs.rs"]
mod lossy_fs;

mod local_store;
