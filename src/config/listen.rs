//! Where a protocol listens: `host:port`, or `off`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a listener's setting must look like.
pub(super) const EXPECTED: &str = "`host:port` (an IPv6 host in brackets, port 0 for any free one) or `off`";

/// The five listeners, named as their settings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    Influxdb,
    Opentsdb,
    Tdengine,
    Cnosdb,
    Elasticsearch,
}

impl Listener {
    pub const ALL: [Listener; 5] =
        [Listener::Influxdb, Listener::Opentsdb, Listener::Tdengine, Listener::Cnosdb, Listener::Elasticsearch];

    /// The last part of its setting's name: `listen.influxdb`, ….
    pub fn as_str(self) -> &'static str {
        match self {
            Listener::Influxdb => "influxdb",
            Listener::Opentsdb => "opentsdb",
            Listener::Tdengine => "tdengine",
            Listener::Cnosdb => "cnosdb",
            Listener::Elasticsearch => "elasticsearch",
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A listener's setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    Off,
    At(Address),
}

impl Listen {
    /// `None` when the listener is off.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }
}

/// A host to bind and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// An IP address without brackets, or a host name.
    pub host: String,
    /// 0 asks the system for a free port.
    pub port: u16,
}

impl Address {
    pub fn new(host: &str, port: u16) -> Self {
        Address { host: host.to_string(), port }
    }

    /// Whether only this machine can reach it. A host name other than `localhost` is taken to be reachable by others,
    /// as what it resolves to may change.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::At(address) => address.fmt(f),
        }
    }
}

/// The text is neither `host:port` nor `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {EXPECTED}")]
pub struct NotAListen;

impl FromStr for Listen {
    type Err = NotAListen;

    fn from_str(text: &str) -> Result<Self, NotAListen> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Listen::Off);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NotAListen)?;
        let digits_only = port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits_only).ok_or(NotAListen)?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| NotAListen)?.to_string(),
            None if is_host(host) => host.to_string(),
            None => return Err(NotAListen),
        };
        Ok(Listen::At(Address { host, port }))
    }
}

/// An IPv4 address or a host name.
fn is_host(host: &str) -> bool {
    let looks_like_v4 = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match looks_like_v4 {
        true => host.parse::<std::net::Ipv4Addr>().is_ok(),
        false => host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    }
}

impl TryFrom<String> for Listen {
    type Error = NotAListen;

    fn try_from(text: String) -> Result<Self, NotAListen> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> String {
        listen.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Listen>) {
        assert_eq!(text.parse::<Listen>().ok(), expected, "{text}");
    }

    fn at(host: &str, port: u16) -> Option<Listen> {
        Some(Listen::At(Address::new(host, port)))
    }

    #[test]
    fn a_listener_is_a_host_and_a_port_or_off() {
        check("127.0.0.1:8086", at("127.0.0.1", 8086));
        check("[::1]:8086", at("::1", 8086));
        check("[::]:0", at("::", 0));
        check("db-1.example_net:4242", at("db-1.example_net", 4242));
        check("off", Some(Listen::Off));
        check("OFF", Some(Listen::Off));
        for wrong in ["", "8086", ":8086", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "h:+1"] {
            check(wrong, None);
        }
        for wrong in ["::1:8086", "[::1]", "[::1", "[::g]:1", "[h]:1", "256.0.0.1:1", "1.2.3:1", "http://h:1", "h h:1"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn a_listener_prints_as_it_is_written() {
        for text in ["127.0.0.1:8086", "[::1]:8086", "localhost:1", "off"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        let check = |host: &str, expected| assert_eq!(Address::new(host, 1).is_loopback(), expected, "{host}");
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "LocalHost"] {
            check(host, true);
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "db.example", "localhost.example"] {
            check(host, false);
        }
    }
}
