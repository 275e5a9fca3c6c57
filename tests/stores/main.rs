//! The same stories over every kind of object store: a folder, memory, and servers that speak S3 and Azure's protocol.
//!
//! Google's is missing: the one emulator that can be installed here (fake-gcs-server 1.56) takes no `PUT` of an object without
//! a signed URL and does not look at the `x-goog-if-generation-match` header, both of which the client uses.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on should stop")]

#[path = "../support/http_gate.rs"]
mod http_gate;
#[path = "../support/minio.rs"]
mod minio;

mod azurite;
mod copy;
mod credentials;
mod cycle;
mod kinds;
mod objects;
mod readme;
mod servers;
