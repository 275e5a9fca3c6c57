//! The load generator: prepared request bodies over keep-alive connections, as fast as answers come.
//!
//!     send PORT CONNECTIONS TARGET FILE [NAME:VALUE]…   sends each body of FILE once, prints what came of it as JSON
//!     send --ceiling CONNECTIONS FILE SECONDS           the same against a sink of its own, over and over
//!
//! Owns: sending, waiting for each answer, timing each request, trying again when told to. Does not own: what the bodies
//! say. FILE holds bodies one after the other, each behind its length as four bytes, little-endian. One thread a
//! connection, no pipelining. Standard library only: `rustc -O send.rs`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ANSWER_MAX: Duration = Duration::from_secs(120);
const RETRY_MAX: Duration = Duration::from_secs(600);
const ERRORS_SHOWN: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["--ceiling", connections, file, seconds] => ceiling(number(connections), file, number(seconds)),
        [port, connections, target, file, ref headers @ ..] => {
            let bodies = read_bodies(file);
            let heads = heads(&bodies, target, headers);
            Ok(send_all(number(port), number(connections), &heads, &bodies, None))
        }
        _ => panic!("usage: send PORT CONNECTIONS TARGET FILE [NAME:VALUE]… | send --ceiling CONNECTIONS FILE SECONDS"),
    };
    let mut outcome = outcome.expect("the sink works");
    println!("{}", outcome.json());
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn read_bodies(file: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (mut bodies, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, after)) = rest.split_first_chunk() {
        let (body, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        bodies.push(body.to_vec());
        rest = after;
    }
    bodies
}

fn heads(bodies: &[Vec<u8>], target: &str, headers: &[&str]) -> Vec<Vec<u8>> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = |body: &Vec<u8>| {
        let length = body.len();
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes()
    };
    bodies.iter().map(head).collect()
}

/// What sending came to. `seconds`: from the first byte to the last acknowledgement. `latencies`: of each acknowledged
/// body, from its first byte to its acknowledgement, waiting and trying again included.
#[derive(Default)]
struct Outcome {
    seconds: f64,
    latencies: Vec<f64>,
    bytes: u64,
    refused: u64,
    errors: Vec<String>,
}

impl Outcome {
    fn json(&mut self) -> String {
        self.latencies.sort_by(f64::total_cmp);
        let percentile = |percent: usize| {
            let at = (self.latencies.len() * percent).div_ceil(100);
            self.latencies.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let errors: Vec<String> = self.errors.iter().take(ERRORS_SHOWN).map(|text| json_text(text)).collect();
        format!(
            r#"{{"seconds": {}, "acknowledged": {}, "bytes": {}, "refused": {}, "p50": {}, "p99": {}, "max": {}, "cpu_seconds": {}, "errors": [{}]}}"#,
            self.seconds,
            self.latencies.len(),
            self.bytes,
            self.refused,
            percentile(50),
            percentile(99),
            percentile(100),
            own_cpu_seconds(),
            errors.join(", "),
        )
    }
}

fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// User and system time so far, from `/proc`, whose tick is a hundredth of a second.
fn own_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Sends each body once (with `until`: over and over), each over the connection that is free first. Stops at the first error.
fn send_all(port: u16, connections: usize, heads: &[Vec<u8>], bodies: &[Vec<u8>], until: Option<Duration>) -> Outcome {
    let (next, stop, sum) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Outcome::default()));
    let opened: Vec<_> = (0..connections).map(|_| Connection::open(port)).collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for connection in opened {
            let (next, stop, sum) = (&next, &stop, &sum);
            scope.spawn(move || {
                let mut mine = Outcome::default();
                let done = connection.and_then(|connection| {
                    work(connection, heads, bodies, until.map(|u| start + u), next, stop, &mut mine)
                });
                if let Err(error) = done {
                    stop.store(true, Ordering::Relaxed);
                    mine.errors.push(error.to_string());
                }
                let mut sum = sum.lock().expect("no thread panics");
                sum.latencies.append(&mut mine.latencies);
                sum.errors.append(&mut mine.errors);
                sum.bytes += mine.bytes;
                sum.refused += mine.refused;
            });
        }
    });
    let mut sum = sum.into_inner().expect("no thread panics");
    sum.seconds = start.elapsed().as_secs_f64();
    sum
}

fn work(
    mut connection: Connection,
    heads: &[Vec<u8>],
    bodies: &[Vec<u8>],
    deadline: Option<Instant>,
    next: &AtomicUsize,
    stop: &AtomicBool,
    mine: &mut Outcome,
) -> io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let mut at = next.fetch_add(1, Ordering::Relaxed);
        match deadline {
            Some(deadline) if !mine.latencies.is_empty() && Instant::now() > deadline => return Ok(()),
            Some(_) => at %= bodies.len(),
            None if at >= bodies.len() => return Ok(()),
            None => {}
        }
        let start = Instant::now();
        loop {
            let answer = connection.post(&heads[at], &bodies[at])?;
            if matches!(answer.status, 200 | 204) {
                break;
            }
            let later = answer.retry_after.filter(|_| matches!(answer.status, 429 | 503));
            let Some(later) = later.filter(|_| start.elapsed() < RETRY_MAX) else {
                let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(500)]).into_owned();
                return Err(io::Error::other(format!("answered {}: {text}", answer.status)));
            };
            mine.refused += 1;
            std::thread::sleep(Duration::from_secs_f64(later));
        }
        mine.latencies.push(start.elapsed().as_secs_f64());
        mine.bytes += bodies[at].len() as u64;
    }
    Ok(())
}

/// One keep-alive HTTP/1.1 connection to a loopback port.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// Small requests are sent as one piece, put together here.
    together: Vec<u8>,
}

struct Answer {
    status: u16,
    retry_after: Option<f64>,
    body: Vec<u8>,
}

impl Connection {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(Connection { stream, received: Vec::new(), together: Vec::new() })
    }

    fn post(&mut self, head: &[u8], body: &[u8]) -> io::Result<Answer> {
        if body.len() < 16 * 1024 {
            self.together.clear();
            self.together.extend_from_slice(head);
            self.together.extend_from_slice(body);
            self.stream.write_all(&self.together)?;
        } else {
            self.stream.write_all(head)?;
            self.stream.write_all(body)?;
        }
        let head = self.through(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let status =
            head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| io::Error::other("no status"))?;
        let header = |name: &str| {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            lines
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_string())
                .next()
        };
        let body = match (status, header("transfer-encoding"), header("content-length")) {
            (204, ..) => Vec::new(),
            (_, Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => self.chunks()?,
            (_, _, Some(length)) => self.exactly(length.parse().map_err(|_| io::Error::other("a wrong length"))?)?,
            _ => Vec::new(),
        };
        Ok(Answer { status, retry_after: header("retry-after").and_then(|s| s.parse().ok()), body })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.through(b"\r\n")?).into_owned();
            let size = line.split(';').next().unwrap_or("").trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::Error::other("a wrong chunk"))?;
            if size == 0 {
                while self.through(b"\r\n")? != b"\r\n" {}
                return Ok(all);
            }
            all.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }

    fn through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                return self.exactly(at + end.len());
            }
            self.receive()?;
        }
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < count {
            self.receive()?;
        }
        let rest = self.received.split_off(count);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut more = [0; 8192];
        match self.stream.read(&mut more)? {
            0 => Err(io::Error::other("the server closed the connection")),
            count => {
                self.received.extend_from_slice(&more[..count]);
                Ok(())
            }
        }
    }
}

/// How fast bodies reach a sink that reads, throws away and acknowledges. A lower bound: the sink shares the machine's
/// cores with the generator, as servers do.
fn ceiling(connections: usize, file: &str, seconds: f64) -> io::Result<Outcome> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || swallow(stream));
        }
    });
    let bodies = read_bodies(file);
    let heads = heads(&bodies, "/write?db=bench", &[]);
    Ok(send_all(port, connections, &heads, &bodies, Some(Duration::from_secs_f64(seconds))))
}

fn swallow(mut stream: TcpStream) -> io::Result<()> {
    let (mut scratch, mut received) = (vec![0; 1 << 18], Vec::new());
    loop {
        let count = stream.read(&mut scratch)?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&scratch[..count]);
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
        let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let mut left = length.saturating_sub(received.len() - end - 4);
        while left > 0 {
            let most = scratch.len().min(left);
            match stream.read(&mut scratch[..most])? {
                0 => return Ok(()),
                count => left -= count,
            }
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        received.clear();
    }
}
