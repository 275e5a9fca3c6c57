//! The same stories over every kind of object store: a folder, memory, and real servers.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on should stop")]

#[path = "../support/minio.rs"]
mod minio;

mod servers;
