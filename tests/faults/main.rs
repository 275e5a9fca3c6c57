//! What survives when something below fails.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on should stop")]

#[path = "../support/fake_s3.rs"]
mod fake_s3;
#[path = "../support/http_gate.rs"]
mod http_gate;
#[path = "../support/lossy_fs.rs"]
mod lossy_fs;
#[path = "../support/minio.rs"]
mod minio;
#[path = "../support/sick_store.rs"]
mod sick_store;

mod crash;
mod disk_full;
mod ledger;
mod local_store;
mod log_damage;
mod machine;
mod outage;
mod physical;
mod power_cut;
mod process;
mod segment_damage;
mod several_processes;
mod sick_histories;
mod sick_model;
mod sick_operations;
mod sick_wire;
mod sick_world;
mod stop;
mod telnet_lines;
