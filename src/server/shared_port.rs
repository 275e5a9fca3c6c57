//! A port that HTTP shares with OpenTSDB's line protocol: the first byte of a connection decides.
//!
//! HTTP begins with an upper-case letter, anything else is a line. The HTTP server cannot look before it takes a connection, so
//! this one takes them all: those that speak HTTP are handed on, byte by byte, over a socket that only this machine knows,
//! whose name says who the client is ([`Peer`]).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as LocalName, UnixListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixSocket, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::config::Address;
use crate::protocol::Gate;
use crate::protocol::opentsdb::Door;
use crate::protocol::opentsdb::telnet::{self, TelnetLimits};
use crate::protocol::peer::Peer;

/// Connections that may wait to be taken.
const BACKLOG: u32 = 2048;
/// Bytes that are handed on at a time, each way.
const RELAY_BYTES: usize = 64 * 1024;
/// Pause after a connection could not be taken (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are treated.
#[derive(Debug, Clone, Copy)]
pub(super) struct PortLimits {
    /// At the same time; more wait until one closes.
    pub(super) connections_max: usize,
    pub(super) telnet: TelnetLimits,
    /// How long a client may keep its side open after the HTTP server has closed the connection.
    pub(super) goodbye: Duration,
    /// How long a stop waits for lines under way.
    pub(super) stop: Duration,
}

/// A shared port that is open.
pub(super) struct SharedPort {
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    lines: TaskTracker,
    patience: Duration,
}

/// What every connection is handed.
struct Shared {
    gate: Arc<Gate>,
    door: Arc<Door>,
    limits: PortLimits,
    room: Arc<Semaphore>,
    stop: CancellationToken,
    lines: TaskTracker,
    /// Of the HTTP server's socket.
    http: String,
    handed_on: AtomicU64,
}

/// The socket behind the port, for the HTTP server, and its name.
pub(super) fn http_socket() -> io::Result<(UnixListener, String)> {
    let name = format!("tidegate-http-{}", Uuid::new_v4());
    let socket = UnixListener::bind_addr(&LocalName::from_abstract_name(&name)?)?;
    socket.set_nonblocking(true)?;
    Ok((socket, name))
}

/// Who the client behind a connection to the HTTP server's socket is.
pub(super) fn peer_of(stream: &UnixStream) -> Option<Peer> {
    let address = stream.peer_addr().ok()?;
    let name = std::str::from_utf8(address.as_abstract_name()?).ok()?;
    Some(Peer(name.rsplit('|').next()?.parse().ok()?))
}

impl SharedPort {
    /// Opens the port; `http` is the name of [`http_socket`].
    pub(super) fn open(
        address: &Address,
        http: String,
        gate: Arc<Gate>,
        door: Arc<Door>,
        limits: PortLimits,
        runtime: &tokio::runtime::Handle,
    ) -> io::Result<SharedPort> {
        let _context = runtime.enter();
        let listeners = bind(address)?;
        let bound = listeners[0].local_addr()?;
        let (stop, lines) = (CancellationToken::new(), TaskTracker::new());
        let shared = Arc::new(Shared {
            gate,
            door,
            limits,
            room: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
            stop: stop.clone(),
            lines: lines.clone(),
            http,
            handed_on: AtomicU64::new(0),
        });
        for listener in listeners {
            runtime.spawn(take_connections(listener, shared.clone()));
        }
        Ok(SharedPort { address: bound, stop, lines, patience: limits.stop })
    }

    /// Closes the port, and waits until the lines that were read are stored. Connections that were handed on to the HTTP server are its
    /// to end.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.lines.close();
        if tokio::time::timeout(self.patience, self.lines.wait()).await.is_err() {
            warn!("telnet connections were cut: their lines could not be stored in time");
        }
    }
}

/// A listener for each address that the host name stands for; those that cannot be had are left out while one can.
fn bind(address: &Address) -> io::Result<Vec<TcpListener>> {
    let mut bound: Vec<TcpListener> = Vec::new();
    let mut refused = None;
    for candidate in (address.host.as_str(), address.port).to_socket_addrs()? {
        let listen = || {
            let socket = if candidate.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(candidate)?;
            socket.listen(BACKLOG)
        };
        match listen() {
            Ok(listener) => bound.push(listener),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if bound.is_empty() => Err(error),
        None if bound.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address")),
        _ => Ok(bound),
    }
}

async fn take_connections(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let taken = async {
            let place = shared.room.clone().acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (place, stream, peer))
        };
        let taken = tokio::select! {
            () = shared.stop.cancelled() => return,
            taken = taken => taken,
        };
        match taken {
            Ok((place, stream, peer)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    serve(stream, peer, &shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    let look = tokio::time::timeout(shared.limits.telnet.idle, stream.peek(&mut first));
    let looked = tokio::select! {
        () = shared.stop.cancelled() => return,
        looked = look => looked,
    };
    match looked {
        Ok(Ok(1)) if first[0].is_ascii_uppercase() => {
            if let Err(error) = hand_on(stream, peer, shared).await {
                debug!(%error, %peer, "an HTTP connection ended early");
            }
        }
        Ok(Ok(1)) => {
            let (gate, door) = (shared.gate.clone(), shared.door.clone());
            let lines = telnet::serve(stream, gate, door, shared.limits.telnet, shared.stop.clone());
            shared.lines.track_future(lines).await;
        }
        // It was closed, or stayed silent.
        _ => {}
    }
}

/// Carries bytes both ways until both sides are done.
async fn hand_on(mut client: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    let number = shared.handed_on.fetch_add(1, Ordering::Relaxed);
    let socket = UnixSocket::new_stream()?;
    socket.bind(format!("\0{}|{number}|{peer}", shared.http))?;
    let mut server = socket.connect(format!("\0{}", shared.http)).await?;
    let (from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    let up = async {
        tokio::io::copy_buf(&mut BufReader::with_capacity(RELAY_BYTES, from_client), &mut to_server).await?;
        to_server.shutdown().await
    };
    let down = async {
        tokio::io::copy_buf(&mut BufReader::with_capacity(RELAY_BYTES, from_server), &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::pin!(up, down);
    tokio::select! {
        gone = &mut up => {
            gone?;
            down.await
        }
        // The server is done. A client that does not go then is left.
        done = &mut down => {
            done?;
            tokio::time::timeout(shared.limits.goodbye, up).await.unwrap_or(Ok(()))
        }
    }
}
