//! OpenTSDB's line protocol on a connection: commands in, answers only where there is something to say.
//!
//! Owns: lines, their limits, what is answered when. Does not own: who tells such a connection from HTTP (the server does).
//! Spec: OpenTSDB documentation, telnet style API; behaviour as its server's.
//!
//! Lines that arrived together are stored together. While they are, nothing is read: a client that is too fast feels its own
//! socket fill up. Points wait for room instead of being refused.

mod commands;
mod connection;
mod lines;

pub use connection::{TelnetLimits, serve};
