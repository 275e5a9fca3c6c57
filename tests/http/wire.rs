//! HTTP/1.1 by hand, for requests whose bytes, order or timing matter. It refuses answers that are not well-formed.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidegate::config::Listener;

use crate::http_gate::{Answer, Gate};

/// A connection, and what was received on it but not yet looked at.
pub struct Wire<S> {
    stream: S,
    received: Vec<u8>,
}

/// How the body of an answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl Wire<TcpStream> {
    pub fn to(gate: &Gate, listener: Listener) -> Self {
        Wire::over(gate.connect(listener))
    }

    /// Waits until the other side closes the connection: what it sent before, and how long it took.
    #[track_caller]
    pub fn read_until_closed(&mut self) -> (Vec<u8>, Duration) {
        let started = Instant::now();
        match self.stream.read_to_end(&mut self.received) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("not closed after {:?}: {error}", started.elapsed()),
        }
        (std::mem::take(&mut self.received), started.elapsed())
    }

    /// Whether nothing arrives for `time`.
    #[track_caller]
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        let before = self.stream.read_timeout().unwrap();
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut piece = [0; 4096];
        let silent = match self.stream.read(&mut piece) {
            Ok(length) => {
                self.received.extend_from_slice(&piece[..length]);
                false
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.stream.set_read_timeout(before).unwrap();
        silent
    }
}

impl<S: Read + Write> Wire<S> {
    pub fn over(stream: S) -> Self {
        Wire { stream, received: Vec::new() }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next answer, whole.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let bodyless = answer.status == 204 || answer.status == 304 || answer.status < 200;
        if !bodyless {
            answer.body = match framing(&answer) {
                Framing::Length(length) => self.take(length),
                Framing::Chunked => {
                    let mut body = Vec::new();
                    loop {
                        let piece = self.chunk();
                        if piece.is_empty() {
                            break body;
                        }
                        body.extend(piece);
                    }
                }
            };
        }
        answer
    }

    /// The next answer up to its body.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        let head = self.take_until(b"\r\n\r\n");
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.strip_prefix("HTTP/1.1 ").or(status_line.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_string())
        };
        let headers = lines.map(header).collect();
        Answer { asked: "a request made by hand".to_string(), status, headers, body: Vec::new() }
    }

    /// The next chunk of a body; empty at its end.
    #[track_caller]
    pub fn chunk(&mut self) -> Vec<u8> {
        let size = self.take_until(b"\r\n");
        let size = String::from_utf8(size).unwrap();
        let size = size.trim_end().split(';').next().unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        let piece = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        piece
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            self.receive();
        }
        self.received.drain(..length).collect()
    }

    fn take_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len());
            }
            self.receive();
        }
    }

    fn receive(&mut self) {
        let mut piece = [0; 64 * 1024];
        let length = match self.stream.read(&mut piece) {
            Ok(0) => panic!("closed after {:?}", String::from_utf8_lossy(&self.received)),
            Ok(length) => length,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.received)),
        };
        self.received.extend_from_slice(&piece[..length]);
    }
}

#[track_caller]
fn framing(answer: &Answer) -> Framing {
    let chunked = answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = answer.header("content-length").map(|value| value.parse().unwrap());
    match (chunked, length) {
        (true, None) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (both, _) => panic!("the length of the body is {}: {answer}", if both { "said twice" } else { "unknown" }),
    }
}

/// A request with a body and its length.
pub fn post(path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    [request.as_bytes(), body].concat()
}

/// A request without a body.
pub fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\nHost: gate\r\n{headers}\r\n").into_bytes()
}

/// The head of a request whose body comes in chunks.
pub fn chunked_head(path: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes()
}

/// One chunk; an empty one ends the body.
pub fn chunk_of(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
