//! What clients speak: one folder a protocol, and what they share.
//!
//! A handler reads the request, makes it ours, asks the core, and says the answer in its protocol's words. [`format`](mod@format) turns
//! bytes into points and rows into bytes without knowing HTTP; [`body`] and [`encoding`] bound and unpack what arrives; [`auth`] says
//! who asks, and [`routes`] who must say so.

pub mod auth;
pub mod body;
pub mod cnosdb;
pub mod elasticsearch;
pub mod encoding;
pub mod format;
pub mod influxdb;
pub mod opentsdb;
pub mod params;
pub mod peer;
pub mod recent_log;
pub mod request_id;
pub mod routes;
pub mod streaming;
pub mod tdengine;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::catalog::{Catalog, Uids};
use crate::ingest::Ingest;
use crate::ingest::flush::Flusher;
use crate::query::QueryEngine;

use auth::Authenticator;

/// What handlers work with once the gateway is open.
#[derive(Clone)]
pub struct Core {
    pub ingest: Ingest,
    pub catalog: Arc<Catalog>,
    pub queries: Arc<QueryEngine>,
    /// OpenTSDB's numbers for names.
    pub uids: Arc<Uids>,
    pub auth: Arc<Authenticator>,
    pub influxdb: Arc<influxdb::debug::Inside>,
    /// Puts rows into segments now; `None` where nothing is written.
    pub flusher: Option<Arc<Flusher>>,
    /// Queries run here, not on the HTTP workers.
    pub runtime: tokio::runtime::Handle,
}

/// Opens when the log is replayed; before that every door answers that it is not ready.
#[derive(Default)]
pub struct Gate(OnceLock<Core>);

impl Gate {
    /// Lets requests in. Only the first call counts.
    pub fn open(&self, core: Core) {
        let _ = self.0.set(core);
    }

    /// `None` until the gateway is ready.
    pub fn core(&self) -> Option<&Core> {
        self.0.get()
    }
}

/// Bounds of requests.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// Bytes of a body, packed or unpacked, at most.
    pub body_bytes_max: usize,
    pub write_body_bytes_max: usize,
    pub sql_body_bytes_max: usize,
    /// A whole body must have arrived after this.
    pub body_timeout: Duration,
}

impl RequestLimits {
    /// A body of at most `bytes_max`, as sent and unpacked.
    pub fn body_of(&self, bytes_max: usize) -> body::BodyLimits {
        body::BodyLimits { wire_bytes_max: bytes_max, expanded_bytes_max: bytes_max, read_timeout: self.body_timeout }
    }
}
