//! Objects and their keys: opening the store, writing and reading segments, durable local files.
//! It never sees a request; what to compact or expire is handed to it.

mod aws;
pub mod aws_profile;
pub mod checked_read;
pub mod checksums;
pub mod create;
pub mod damage;
pub mod environment;
pub mod exchange;
pub mod fs;
#[cfg(test)]
pub mod held;
pub mod identity;
pub mod layout;
pub mod local;
pub mod metered;
pub mod open;
pub mod patient;
pub mod reach;
pub mod read_only;
pub mod rows;
pub mod segment;
pub mod upload;
pub mod wire;
pub mod words;
