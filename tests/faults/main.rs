//! What survives when something below fails.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on should stop")]

#[path = "../support/lossy_fs.rs"]
mod lossy_fs;

mod crash;
mod local_store;
mod physical;
mod power_loss;
mod process;
