//! What survives when something below fails.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on should stop")]

#[path = "../support/http_gate.rs"]
mod http_gate;
#[path = "../support/lossy_fs.rs"]
mod lossy_fs;

mod crash;
mod disk_full;
mod ledger;
mod local_store;
mod log_damage;
mod lost_answers;
mod machine;
mod physical;
mod power_cut;
mod process;
mod several_processes;
mod stop;
