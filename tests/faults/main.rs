//! What survives when something below fails.

#[path = "../support/lossy_fs.rs"]
mod lossy_fs;

mod local_store;
