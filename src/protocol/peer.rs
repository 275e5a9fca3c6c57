//! Who is on the other end of a connection.

use std::net::SocketAddr;

use actix_web::HttpRequest;

/// The address of a client whose connection reached us through a port that it shares with another protocol; kept with the
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The client's address.
pub fn address(request: &HttpRequest) -> Option<SocketAddr> {
    request.conn_data::<Peer>().map(|peer| peer.0).or_else(|| request.peer_addr())
}
