//! One HTTP server a listener. All serve every protocol's exact routes; they differ in whose answer the rest gets.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServerHandle, Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use prometheus::Registry;
use tokio::net::UnixStream;
use tracing::{debug, warn};

use crate::config::{ConflictRule, Listener, Settings};
use crate::protocol::opentsdb::telnet::TelnetLimits;
use crate::protocol::recent_log::RecentLog;
use crate::protocol::routes::{RouteTable, Routes};
use crate::protocol::{Gate, RequestLimits, cnosdb, elasticsearch, influxdb, opentsdb, request_id, tdengine};

use super::guard::{self, Guard};
use super::metrics::HttpMetrics;
use super::shared_port::{self, PortLimits, SharedPort};
use super::{health, home, tls};

/// How long points of the line protocol wait for room.
const TELNET_PATIENCE: Duration = Duration::from_secs(60);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a listener does not open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listen.{listener} = {address}: {source}")]
    Bind { listener: &'static str, address: String, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The running listeners.
pub(super) struct Servers {
    handles: Vec<ServerHandle>,
    shared_ports: Vec<SharedPort>,
    /// Where each of them listens: the port is the real one, also when the setting left it open.
    pub(super) addresses: Vec<(Listener, SocketAddr)>,
}

impl Servers {
    /// Closes all listeners at once and waits for requests under way.
    pub(super) async fn stop(self) {
        futures::future::join_all(self.shared_ports.into_iter().map(SharedPort::close)).await;
        futures::future::join_all(self.handles.iter().map(|server| server.stop(true))).await;
    }
}

/// Opens every listener that is on.
pub(super) fn start(
    settings: &Settings,
    gate: Data<Gate>,
    limits: RequestLimits,
    recent_log: Arc<RecentLog>,
    registry: &Registry,
    runtime: &tokio::runtime::Handle,
) -> Result<Servers, ListenError> {
    let metrics = Data::new(HttpMetrics::new(registry)?);
    let elastic = Data::new(elastic_options(settings));
    let (limits, registry) = (Data::new(limits), Data::new(registry.clone()));
    let door = Data::new(opentsdb::Door::new(opentsdb_options(settings), recent_log));
    let tdengine_options =
        Data::new(tdengine::Options { http_code_server_error: settings.tdengine.http_code_server_error });
    let mut servers = Servers { handles: Vec::new(), shared_ports: Vec::new(), addresses: Vec::new() };
    for (listener, address) in settings.listen.on() {
        let (shared_gate, shared_door) = (gate.clone(), door.clone());
        let (gate, limits, registry, home) = (gate.clone(), limits.clone(), registry.clone(), Data::new(listener));
        let (metrics, door, elastic, tdengine_options) =
            (metrics.clone(), door.clone(), elastic.clone(), tdengine_options.clone());
        let guard = Data::new(Guard { is_on: settings.auth.enabled, table: table(listener) });
        let app = move || {
            App::new()
                .app_data(elastic.clone())
                .app_data(gate.clone())
                .app_data(limits.clone())
                .app_data(registry.clone())
                .app_data(home.clone())
                .app_data(metrics.clone())
                .app_data(door.clone())
                .app_data(guard.clone())
                .app_data(tdengine_options.clone())
                .wrap_fn(guard::guarded)
                .wrap_fn(logged)
                .configure(|app| {
                    routes(listener, app);
                })
                .default_service(web::to(home::answer))
        };
        let server = HttpServer::new(app)
            .workers(workers(settings))
            .max_connections((settings.server.max_connections / workers(settings)).max(1))
            .keep_alive(Duration::from_secs(settings.server.keep_alive_secs))
            .client_request_timeout(Duration::from_millis(settings.server.client_header_timeout_ms))
            .client_disconnect_timeout(Duration::from_millis(settings.server.client_disconnect_timeout_ms))
            .shutdown_timeout(settings.server.shutdown_timeout_secs)
            // A client that goes away while its query runs must be noticed.
            .h1_allow_half_closed(false)
            .disable_signals();
        let refused = |source| ListenError::Bind { listener: listener.as_str(), address: address.to_string(), source };
        let bind = (address.host.as_str(), address.port);
        let server = match settings.server.tls_files(listener) {
            Some((certificate, key)) => server.bind_rustls_0_23(bind, tls::server_config(certificate, key)?),
            // Lines come in the clear only: who wants TLS speaks HTTP.
            None if listener == Listener::Opentsdb => {
                let (socket, name) = shared_port::http_socket().map_err(refused)?;
                let (gate, door) = (shared_gate.into_inner(), shared_door.into_inner());
                let port =
                    SharedPort::open(address, name, gate, door, port_limits(settings), runtime).map_err(refused)?;
                servers.addresses.push((listener, port.address));
                servers.shared_ports.push(port);
                let with_peer = |io: &dyn Any, connection: &mut Extensions| {
                    if let Some(peer) = io.downcast_ref::<UnixStream>().and_then(shared_port::peer_of) {
                        connection.insert(peer);
                    }
                };
                server.on_connect(with_peer).listen_uds(socket)
            }
            None => server.bind(bind),
        };
        let server = server.map_err(refused)?;
        if settings.server.tls_files(listener).is_some() || listener != Listener::Opentsdb {
            servers.addresses.extend(server.addrs().first().map(|bound| (listener, *bound)));
        }
        let server = server.run();
        servers.handles.push(server.handle());
        actix_web::rt::spawn(server);
    }
    Ok(servers)
}

fn port_limits(settings: &Settings) -> PortLimits {
    let server = &settings.server;
    let stop = Duration::from_secs(server.shutdown_timeout_secs);
    let telnet = TelnetLimits { idle: Duration::from_secs(server.client_idle_timeout_secs), patience: TELNET_PATIENCE };
    let goodbye = Duration::from_millis(server.client_disconnect_timeout_ms);
    PortLimits { connections_max: server.max_connections, telnet, goodbye, stop }
}

fn opentsdb_options(settings: &Settings) -> opentsdb::Options {
    let opentsdb = &settings.opentsdb;
    opentsdb::Options {
        database: opentsdb.database.clone(),
        cors_domains: opentsdb.cors_domains.clone(),
        auto_create_metrics: opentsdb.auto_create_metrics,
        allow_delete: opentsdb.allow_delete,
        show_stack_trace: opentsdb.show_stack_trace,
    }
}

/// Registers what a listener serves.
fn routes(listener: Listener, app: &mut ServiceConfig) -> RouteTable {
    let mut table = RouteTable::default();
    let mut routes = Routes::new(app, &mut table);
    health::routes(&mut routes);
    influxdb::routes(&mut routes);
    cnosdb::routes(&mut routes);
    elasticsearch::routes(&mut routes);
    tdengine::routes(&mut routes);
    // Takes whatever is left of its own paths.
    opentsdb::routes(&mut routes);
    match listener {
        Listener::Elasticsearch => elasticsearch::index_routes(&mut routes),
        Listener::Opentsdb => opentsdb::home_routes(&mut routes),
        Listener::Influxdb | Listener::Cnosdb | Listener::Tdengine => {}
    }
    table
}

/// What a listener serves.
pub(super) fn table(listener: Listener) -> RouteTable {
    let mut table = RouteTable::default();
    let _ = App::new().configure(|app| table = routes(listener, app));
    table
}

fn elastic_options(settings: &Settings) -> elasticsearch::Options {
    let elastic = &settings.elastic;
    elasticsearch::Options {
        version: elastic.version.clone(),
        database: elastic.database.clone(),
        siblings: elastic.on_conflict == ConflictRule::Sibling,
        columns_max: elastic.max_columns,
        body_bytes_max: elastic.body_bytes_max,
        allow_delete: elastic.allow_delete,
    }
}

fn workers(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    }
    // Connections are counted by each worker for itself.
    .min(settings.server.max_connections.max(1))
}

/// Where TDengine's clients put a password into the path.
const LOGIN: &str = "/rest/login/";

/// A path as the log may have it.
fn shown_path(path: &str) -> &str {
    if path.starts_with(LOGIN) { LOGIN } else { path }
}

/// Gives each answer an id (the client's, if it sent one) and logs the request once it is answered: without its query
/// string, which may hold credentials.
fn logged<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<B>, actix_web::Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let started = Instant::now();
    let (method, path) = (request.method().clone(), shown_path(request.path()).to_string());
    let home = request.app_data::<Data<Listener>>().map(|l| l.as_str());
    let metrics = request.app_data::<Data<HttpMetrics>>().cloned();
    let asked_id = request.headers().get(REQUEST_ID).cloned();
    let answer = service.call(request);
    async move {
        let mut answer = answer.await?;
        let status = answer.status().as_u16();
        let elapsed_ms = started.elapsed().as_millis() as u64;
        if let Some(metrics) = metrics {
            let route = answer.request().match_pattern();
            metrics.observe(route.as_deref(), method.as_str(), status, started.elapsed().as_secs_f64());
        }
        if !answer.headers().contains_key(REQUEST_ID) {
            let fresh = || HeaderValue::from_str(&request_id::fresh().to_string()).ok();
            if let Some(id) = asked_id.or_else(fresh) {
                answer.headers_mut().insert(REQUEST_ID, id);
            }
        }
        let id = answer.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        // Not ready and overloaded are states, told by metrics, not faults.
        if status >= 500 && status != 503 {
            warn!(%method, path, status, elapsed_ms, id, listener = home, "request failed");
        } else {
            debug!(%method, path, status, elapsed_ms, id, listener = home, "request");
        }
        Ok(answer)
    }
}
