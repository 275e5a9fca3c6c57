//! The process: settings in, listeners out, and everything in between started and stopped in the right order.
//!
//! Listeners answer from the first moment on, but say "not ready" until the log is replayed.

pub mod gateway;
mod guard;
mod health;
mod home;
mod listeners;
pub mod logging;
mod metrics;
mod shared_port;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use tracing::{error, info};

use crate::config::{Listener, Role, Settings};
use crate::model::Clock;
use crate::protocol::recent_log::RecentLog;
use crate::protocol::routes::ListedRoute;
use crate::protocol::{Gate, RequestLimits};
use crate::query;
use crate::storage::fs::OsFileSystem;

use gateway::{Gateway, StartError, Surroundings};
pub use listeners::ListenError;

/// Every route that `listener` serves, with the rule who may use it.
pub fn served_routes(listener: Listener) -> Vec<ListedRoute> {
    listeners::table(listener).iter().cloned().collect()
}

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the runtime could not be set up: {0}")]
    Runtime(std::io::Error),
    #[error("a start-up task ended early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// The operating system's clock.
#[expect(clippy::disallowed_methods, reason = "this is the one clock that everything is handed")]
pub fn system_clock() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX))
}

/// Serves until SIGTERM or SIGINT, then stops in order: no new connections, requests under way end, rows are flushed. Who may see
/// the log is shown `recent_log`.
pub fn serve(settings: &Settings, recent_log: Arc<RecentLog>) -> Result<(), ServeError> {
    // A query that does not give its thread back is ended by time from another one.
    let threads = match settings.query.threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from).max(2),
        n => n,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("tidegate-core")
        .thread_stack_size(query::STACK_BYTES)
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let registry = prometheus::Registry::new();
    let with = Surroundings {
        fs: Arc::new(OsFileSystem),
        clock: system_clock(),
        registry: registry.clone(),
        store: None,
        runtime: runtime.handle().clone(),
    };
    let served = actix_web::rt::System::new().block_on(serve_until_signal(settings, with, recent_log));
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

async fn serve_until_signal(
    settings: &Settings,
    with: Surroundings,
    recent_log: Arc<RecentLog>,
) -> Result<(), ServeError> {
    let gate = Data::new(Gate::default());
    let limits = request_limits(settings);
    let servers = listeners::start(settings, gate.clone(), limits, recent_log, &with.registry, &with.runtime)?;
    let mut signals = Signals::new().map_err(ServeError::Runtime)?;
    let runtime = with.runtime.clone();
    let opening = {
        let settings = settings.clone();
        runtime.spawn(async move { Gateway::open(&settings, with).await })
    };
    let abort = opening.abort_handle();
    let opened = tokio::select! {
        opened = opening => opened,
        name = signals.next() => {
            info!(signal = name, "stopped before the start was over");
            abort.abort();
            servers.stop().await;
            return Ok(());
        }
    };
    let gateway = match opened.map_err(ServeError::from).and_then(|opened| Ok(opened?)) {
        Ok(gateway) => gateway,
        Err(error) => {
            servers.stop().await;
            return Err(error);
        }
    };
    gate.open(gateway.core.clone());
    announce(settings, &servers.addresses);
    let name = signals.next().await;
    info!(signal = name, "stopping: no new connections, requests under way end, rows are flushed");
    servers.stop().await;
    if let Err(error) = runtime.spawn(gateway.close()).await {
        error!(%error, "the stop did not come to its end");
    }
    info!("stopped");
    Ok(())
}

fn request_limits(settings: &Settings) -> RequestLimits {
    RequestLimits {
        body_bytes_max: settings.limits.body_bytes_max,
        write_body_bytes_max: settings.limits.write_body_bytes_max,
        sql_body_bytes_max: settings.limits.sql_body_bytes_max,
        body_timeout: Duration::from_millis(settings.server.client_body_timeout_ms),
    }
}

/// What a person at a terminal wants to know: where it listens, where data goes, what to try.
fn announce(settings: &Settings, addresses: &[(Listener, SocketAddr)]) {
    println!("tidegate {} is ready", env!("CARGO_PKG_VERSION"));
    for (listener, address) in addresses {
        println!("  {:<14} {address}", listener.as_str());
    }
    println!("  store          {}", settings.storage.url);
    match settings.server.role {
        Role::ReadWrite => println!("  log            {}", settings.wal.dir.display()),
        Role::ReadOnly => println!("  log            none: this gateway only reads"),
    }
    let at = |wanted| addresses.iter().find(|(listener, _)| *listener == wanted).map(|(_, address)| address);
    if let (Some(influxdb), Some(cnosdb)) = (at(Listener::Influxdb), at(Listener::Cnosdb)) {
        println!("try:");
        println!("  curl -XPOST {influxdb}/query --data-urlencode 'q=CREATE DATABASE demo'");
        println!("  curl -XPOST '{influxdb}/write?db=demo' --data-binary 'cpu,host=a usage=0.5'");
        println!("  curl -XPOST '{cnosdb}/api/v1/sql?db=demo' -H 'Accept: application/json' -d 'select * from cpu'");
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
