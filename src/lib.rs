//! Tidegate: one gateway in front of object storage that speaks what time-series and log clients already speak.
//!
//! | room | what it is for |
//! |---|---|
//! | [`cli`], [`config`] | flags, and every setting with its unit and default, validated once at start |
//! | [`model`] | the nouns: point, column, batch, time, error kinds |
//! | [`storage`] | objects and their keys: opening the store, segments, durable local files |
//! | [`catalog`] | databases, policies, tables, columns, live segments: the chain of commits |
//! | [`ingest`] | everything that writes: accept, write-ahead log, buffer, flush, compaction |
//! | [`query`] | everything that reads: sessions, table provider, row merge, limits, languages |
//! | [`protocol`] | what clients speak |
//! | [`server`] | the process: listeners, shared state, start, shutdown, metrics |
//!
//! Arrows point one way: `server → protocol → {ingest, query} → {catalog, storage} → model`;
//! `tests/layering.rs` fails when one bends.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod ingest;
pub mod model;
pub mod protocol;
pub mod query;
pub mod server;
pub mod storage;
