//! As much of S3 as a gateway needs, on loopback, and ill on demand: below the HTTP client, where answers are lost, bodies
//! cut and requests throttled before `object_store` makes anything of it.
//!
//! Signatures are not checked. What a request does, it does at once and whole.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use percent_encoding::percent_decode_str;

pub const BUCKET: &str = "bucket";
/// Keys a page of a listing has at most.
const PAGE_KEYS: usize = 3;

/// How one request fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Illness {
    /// This status, and nothing has happened.
    Refused(u16),
    /// It is carried out, but the answer is this status.
    DoneBut(u16),
    /// The connection is closed before anything has happened.
    HungUp,
    /// It is carried out, and the connection closed.
    DoneAndHungUp,
    /// It is carried out, and then nothing is heard for so many milliseconds.
    DoneAndStalled(u64),
    /// The connection breaks in the middle of the body.
    CutBody,
    /// Half of the body comes, and is said to be all.
    ShortBody,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// What befalls the next requests of a kind: a method, or `LIST`.
    ill: HashMap<&'static str, VecDeque<Illness>>,
    /// Each of these befalls every so many requests of its kind, by turns.
    often: Vec<(&'static str, usize, Illness)>,
    seen: HashMap<String, usize>,
    /// Objects have no entity tags.
    untagged: bool,
}

/// A running server; it ends with the test's process.
#[derive(Debug, Clone)]
pub struct FakeS3 {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

struct Request {
    method: String,
    key: String,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl FakeS3 {
    pub fn start() -> FakeS3 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let s3 = FakeS3 { state: Arc::default(), address: listener.local_addr().unwrap() };
        let server = s3.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        s3
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests of a kind fare so, one after the other.
    pub fn befall(&self, kind: &'static str, illnesses: impl IntoIterator<Item = Illness>) {
        self.lock().ill.entry(kind).or_default().extend(illnesses);
    }

    /// One in `every` requests of a kind fares so, from now on.
    pub fn befall_often(&self, kind: &'static str, every: usize, illness: Illness) {
        self.lock().often.push((kind, every, illness));
    }

    /// Answers to reads carry no entity tag from now on.
    pub fn forget_tags(&self) {
        self.lock().untagged = true;
    }

    pub fn recover(&self) {
        let mut state = self.lock();
        state.ill.clear();
        state.often.clear();
    }

    /// Requests of a kind so far.
    pub fn seen(&self, kind: &str) -> usize {
        self.lock().seen.get(kind).copied().unwrap_or(0)
    }

    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.lock().objects.get(key).cloned()
    }

    pub fn replace(&self, key: &str, body: &[u8]) {
        self.lock().objects.insert(key.to_string(), body.to_vec());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut out) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            if self.answer(&request, &mut out).is_none() {
                let _ = out.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    /// `None`: the connection is to be closed.
    fn answer(&self, request: &Request, out: &mut TcpStream) -> Option<()> {
        let (illness, done) = {
            let mut state = self.lock();
            let illness = state.illness(request.kind());
            let stopped = matches!(illness, Some(Illness::Refused(_) | Illness::HungUp));
            (illness, (!stopped).then(|| state.carry_out(request)))
        };
        let whole = |answer: Answer, out: &mut TcpStream| answer.send(out, request, usize::MAX).ok();
        match (illness, done) {
            (Some(Illness::Refused(status) | Illness::DoneBut(status)), _) => whole(Answer::error(status), out),
            (Some(Illness::HungUp | Illness::DoneAndHungUp), _) | (_, None) => None,
            (Some(Illness::DoneAndStalled(ms)), _) => {
                std::thread::sleep(Duration::from_millis(ms));
                None
            }
            (Some(Illness::CutBody), Some(answer)) => {
                let half = answer.body.len() / 2;
                let _ = answer.send(out, request, half);
                None
            }
            (Some(Illness::ShortBody), Some(mut answer)) => {
                answer.body.truncate(answer.body.len() / 2);
                whole(answer, out)
            }
            (None, Some(answer)) => whole(answer, out),
        }
    }
}

impl State {
    fn illness(&mut self, kind: &'static str) -> Option<Illness> {
        let seen = self.seen.entry(kind.to_string()).or_default();
        *seen += 1;
        let next = self.ill.get_mut(kind).and_then(VecDeque::pop_front);
        let often = || self.often.iter().find(|(of, every, _)| *of == kind && seen.is_multiple_of(*every));
        next.or_else(|| often().map(|(_, _, illness)| *illness))
    }

    fn carry_out(&mut self, request: &Request) -> Answer {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        match request.kind() {
            "LIST" => self.list(request),
            "PUT" if header("if-none-match") == Some("*") && self.objects.contains_key(&request.key) => {
                Answer::error(412)
            }
            "PUT" => {
                let tag = tag_of(&request.body);
                self.objects.insert(request.key.clone(), request.body.clone());
                Answer { status: 200, headers: vec![("ETag", tag)], body: Vec::new() }
            }
            "POST" => {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                let mut body = String::from("<DeleteResult>");
                for part in text.split("<Key>").skip(1) {
                    let key = part.split("</Key>").next().unwrap_or_default();
                    self.objects.remove(key);
                    body.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
                }
                body.push_str("</DeleteResult>");
                Answer { status: 200, headers: Vec::new(), body: body.into_bytes() }
            }
            "DELETE" => {
                self.objects.remove(&request.key);
                Answer { status: 204, headers: Vec::new(), body: Vec::new() }
            }
            _ => {
                let Some(object) = self.objects.get(&request.key) else { return Answer::error(404) };
                let tag = tag_of(object);
                if header("if-match").is_some_and(|wanted| wanted != tag) {
                    return Answer::error(412);
                }
                let mut headers = vec![("ETag", tag), ("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT".to_string())];
                match header("range").map(|range| range_of(range, object.len())) {
                    None => Answer { status: 200, headers, body: object.clone() },
                    Some(None) => Answer::error(416),
                    Some(Some((start, end))) => {
                        headers.push(("Content-Range", format!("bytes {start}-{}/{}", end - 1, object.len())));
                        Answer { status: 206, headers, body: object[start..end].to_vec() }
                    }
                }
            }
        }
    }

    fn list(&self, request: &Request) -> Answer {
        let given = |name: &str| request.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (given("prefix"), given("continuation-token").max(given("start-after")));
        let mut keys = self.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
        let mut body = String::from("<ListBucketResult>");
        let mut last = String::new();
        for (key, object) in keys.by_ref().take(PAGE_KEYS) {
            let (size, tag) = (object.len(), tag_of(object));
            body.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>\
                 <Size>{size}</Size><ETag>{tag}</ETag></Contents>"
            ));
            last.clone_from(key);
        }
        if keys.next().is_some() {
            body.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
        }
        body.push_str("</ListBucketResult>");
        Answer { status: 200, headers: Vec::new(), body: body.into_bytes() }
    }
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = decode(path.strip_prefix('/')?.strip_prefix(BUCKET)?);
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = pairs.map(|(name, value)| (decode(name), decode(value))).collect();
        Some(Request { method, key: path.trim_start_matches('/').to_string(), query, headers, body })
    }

    fn kind(&self) -> &'static str {
        match self.method.as_str() {
            "GET" if self.query.contains_key("list-type") => "LIST",
            "GET" => "GET",
            "HEAD" => "HEAD",
            "PUT" => "PUT",
            "POST" => "POST",
            _ => "DELETE",
        }
    }
}

impl Answer {
    fn error(status: u16) -> Answer {
        let code = match status {
            404 => "NoSuchKey",
            409 => "ConditionalRequestConflict",
            412 => "PreconditionFailed",
            429 | 503 => "SlowDown",
            _ => "InternalError",
        };
        let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
        Answer { status, headers: Vec::new(), body: body.into_bytes() }
    }

    /// Sends the head, and so many bytes of the body.
    fn send(&self, out: &mut TcpStream, request: &Request, bytes: usize) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        out.write_all(head.as_bytes())?;
        if request.method != "HEAD" {
            out.write_all(&self.body[..bytes.min(self.body.len())])?;
        }
        out.flush()
    }
}

/// First byte and the one after the last, of a range within an object of so many bytes.
fn range_of(header: &str, length: usize) -> Option<(usize, usize)> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    if start.is_empty() {
        let last: usize = end.parse().ok()?;
        return Some((length.saturating_sub(last), length));
    }
    let start: usize = start.parse().ok()?;
    let end = end.parse::<usize>().map_or(length, |end| (end + 1).min(length));
    (start < end).then_some((start, end))
}

fn tag_of(body: &[u8]) -> String {
    format!("\"{:08x}\"", crc32fast::hash(body))
}
