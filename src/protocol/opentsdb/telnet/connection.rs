//! One connection, from its first line to its last.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ingest::IngestError;
use crate::model::{Classify, Kind};
use crate::protocol::format::opentsdb::{Builder, Layout};
use crate::protocol::opentsdb::Door;
use crate::protocol::opentsdb::metadata::version_text;
use crate::protocol::opentsdb::request::lossy;
use crate::protocol::opentsdb::stats::add;
use crate::protocol::opentsdb::write::store;
use crate::protocol::{Core, Gate};

use super::commands::{self, Wish};
use super::lines::{Lines, each};

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;
/// Bytes whose lines are stored at once, about: what a client has sent already is not synced piece by piece.
const TAKEN_BYTES: usize = 256 * 1024;
/// About what a line takes.
const LINE_BYTES: usize = 48;
/// Bytes of answers that wait for a client to read them. Complaints beyond are dropped: many clients never read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Pauses between tries to store points that there is no room for.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often it is looked whether the gateway is ready.
const READY_PAUSE: Duration = Duration::from_millis(50);
/// How long the last answers wait for a client to read them.
const GOODBYE: Duration = Duration::from_secs(2);

/// What everybody is told while authentication is on.
const CLOSED: &[u8] = b"authentication required: send points over HTTP\n";

/// Bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub struct TelnetLimits {
    /// A connection that sends nothing for this long is closed.
    pub idle: Duration,
    /// Points that there is no room for wait this long; then they are refused.
    pub patience: Duration,
}

/// Serves a connection until the client leaves or falls silent, or `stop` is cancelled: what was read by then is stored, what was
/// not is left to the client. Nothing is read before the gateway is ready. With authentication on nothing is taken at all: lines
/// have no way to say who sends them.
pub async fn serve(stream: TcpStream, gate: Arc<Gate>, door: Arc<Door>, limits: TelnetLimits, stop: CancellationToken) {
    let core = loop {
        if let Some(core) = gate.core() {
            break core.clone();
        }
        tokio::select! {
            () = tokio::time::sleep(READY_PAUSE) => {}
            () = stop.cancelled() => return,
        }
    };
    add(&door.stats.telnet_connections, 1);
    let is_closed = core.auth.is_on();
    let mut connection = Connection { stream, core, door, limits, stop, answers: Vec::new() };
    match is_closed {
        true => connection.answers.extend(CLOSED),
        false => connection.run().await,
    }
    let _ = tokio::time::timeout(GOODBYE, connection.send_all()).await;
}

struct Connection {
    stream: TcpStream,
    core: Core,
    door: Arc<Door>,
    limits: TelnetLimits,
    stop: CancellationToken,
    /// What is to be sent still.
    answers: Vec<u8>,
}

/// Whether a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Close,
}

/// What lines came to, apart from points.
#[derive(Default)]
struct Said {
    text: Vec<u8>,
    points: usize,
    bad_points: usize,
    lines: usize,
    unknown: usize,
    is_exit: bool,
}

impl Connection {
    async fn run(&mut self) {
        let mut lines = Lines::default();
        let mut room = vec![0; READ_BYTES];
        loop {
            let interest = match self.answers.is_empty() {
                true => Interest::READABLE,
                false => Interest::READABLE | Interest::WRITABLE,
            };
            let ready = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                ready = tokio::time::timeout(self.limits.idle, self.stream.ready(interest)) => ready,
            };
            let Ok(Ok(ready)) = ready else {
                debug!("a telnet connection was silent for too long");
                return;
            };
            if ready.is_writable() {
                self.send_some();
            }
            if !ready.is_readable() {
                continue;
            }
            let is_over = self.read_into(&mut lines, &mut room);
            if !lines.whole().is_empty() {
                if self.take(lines.whole()).await == Next::Close {
                    return;
                }
                lines.clear();
                self.send_some();
            }
            if is_over {
                return;
            }
        }
    }

    /// Reads what is there, up to a bound. `true`: nothing more will come.
    fn read_into(&mut self, lines: &mut Lines, room: &mut [u8]) -> bool {
        let mut read = 0;
        while read < TAKEN_BYTES {
            match self.stream.try_read(room) {
                Ok(0) => return true,
                Ok(length) => {
                    lines.push(&room[..length]);
                    read += length;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        false
    }

    /// Does what whole lines ask for.
    async fn take(&mut self, lines: &[u8]) -> Next {
        let text = lossy(lines);
        let mut pause = RETRY_PAUSE.0;
        let since = tokio::time::Instant::now();
        let (said, stored) = loop {
            let (said, stored) = self.try_lines(&text).await;
            let waits = match &stored {
                Err(error) => matches!(error.kind(), Kind::Overloaded | Kind::Unavailable),
                Ok(()) => false,
            };
            if !waits || self.stop.is_cancelled() || since.elapsed() + pause > self.limits.patience {
                break (said, stored);
            }
            // Stored twice is stored once: whatever the first try left is overwritten by the same.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {}
            }
            pause = (pause * 2).min(RETRY_PAUSE.1);
        };
        let door = self.door.clone();
        let counts = &door.stats;
        add(&counts.telnet_lines, said.lines);
        add(&counts.put_points, said.points + said.bad_points);
        add(&counts.put_errors, said.bad_points);
        add(&counts.telnet_errors, said.unknown);
        self.core.ingest.metrics.points_rejected.inc_by(said.bad_points as u64);
        self.say(&said.text);
        if let Err(error) = stored {
            add(&counts.put_errors, said.points);
            warn!(%error, points = said.points, "telnet points were not stored");
            let sentence = match error.kind() {
                Kind::Overloaded => format!("put: Please throttle writes: {error}\n"),
                _ => format!("put: HBase error: {error}\n"),
            };
            for _ in 0..said.points.min(ANSWER_BYTES_MAX / sentence.len() + 1) {
                self.say(sentence.as_bytes());
            }
        }
        if said.is_exit { Next::Close } else { Next::GoOn }
    }

    /// Answers lines and stores their points.
    async fn try_lines(&self, text: &str) -> (Said, Result<(), IngestError>) {
        let mut said = Said::default();
        let points = {
            let (core, options) = (&self.core, &self.door.options);
            let state = core.catalog.state();
            let may_write = |metric: &str| store::exists(core, &state, &options.database, metric);
            let may_write = if options.auto_create_metrics { None } else { Some(&may_write as _) };
            let mut builder = Builder::new(Layout::METRIC, may_write).with_room_for(text.len() / LINE_BYTES);
            self.carry_out(text, &mut builder, &mut said);
            builder.into_points()
        };
        let stored = store::store(&self.core, &self.door.options.database, points).await.map(|receipt| {
            if let Some(rejection) = receipt.rejected.first {
                said.bad_points += receipt.rejected.points;
                said.points -= receipt.rejected.points.min(said.points);
                said.text.extend_from_slice(format!("put: illegal argument: {rejection}\n").as_bytes());
            }
        });
        (said, stored)
    }

    fn carry_out<'a>(&self, text: &'a str, builder: &mut Builder<'a>, said: &mut Said) {
        for line in each(text) {
            said.lines += 1;
            let words = match commands::wish(line) {
                Wish::Put => match commands::put(line, builder) {
                    Ok(()) => {
                        said.points += 1;
                        continue;
                    }
                    Err(words) => {
                        said.bad_points += 1;
                        words
                    }
                },
                Wish::Version => version_text(),
                Wish::Stats => self.door.stats.lines(&self.core),
                Wish::Say(words) => words.to_string(),
                Wish::Refuse(sentence, words_min) => commands::refusal(line, sentence, words_min),
                Wish::Exit => {
                    said.is_exit = true;
                    return;
                }
                Wish::Unknown(command) => {
                    said.unknown += 1;
                    commands::unknown(command)
                }
            };
            if said.text.len() < ANSWER_BYTES_MAX {
                said.text.extend_from_slice(words.as_bytes());
            }
        }
    }

    fn say(&mut self, text: &[u8]) {
        if self.answers.len() < ANSWER_BYTES_MAX {
            self.answers.extend_from_slice(text);
        }
    }

    /// Sends what the socket takes now.
    fn send_some(&mut self) {
        while !self.answers.is_empty() {
            match self.stream.try_write(&self.answers) {
                Ok(length) => drop(self.answers.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It cannot be written to any more. What comes in still counts.
                Err(_) => self.answers.clear(),
            }
        }
    }

    async fn send_all(&mut self) {
        self.send_some();
        while !self.answers.is_empty() && self.stream.writable().await.is_ok() {
            self.send_some();
        }
    }
}
