//! A gateway as a process of its own, and short ways to ask it something.
//!
//! Owns: ports, folders, start, stop, plain requests. Does not own: requests whose bytes on the wire matter.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::config::Listener;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
/// How long anything that must happen may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A running gateway. Dropping it kills the process and removes the folder; a test that failed shows the log first.
pub struct Gate {
    folder: TempDir,
    settings: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
    ports: BTreeMap<Listener, u16>,
    child: Child,
}

impl Gate {
    /// A gateway with default settings over an empty folder, ready.
    pub fn start() -> Gate {
        Gate::with(&[])
    }

    /// The same, with these settings over the defaults.
    pub fn with(settings: &[(&str, &str)]) -> Gate {
        let gate = Gate::start_not_ready(settings, &[]);
        gate.wait_until_ready();
        gate
    }

    /// Waits only until the listeners answer.
    pub fn start_not_ready(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> Gate {
        let folder = TempDir::new().unwrap();
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let environment: Vec<_> = environment.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let (ports, child) = spawn_listening(folder.path(), &settings, &environment);
        Gate { folder, settings, environment, ports, child }
    }

    /// Kills the process as a power switch would, and starts it again over the same folder.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills the process as a power switch would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a gateway that was stopped again over the same folder.
    pub fn start_again(&mut self) {
        self.start_again_not_ready();
        self.wait_until_ready();
    }

    /// The same, waiting only until the listeners answer.
    pub fn start_again_not_ready(&mut self) {
        (self.ports, self.child) = spawn_listening(self.folder.path(), &self.settings, &self.environment);
    }

    pub fn wait_until_ready(&self) {
        eventually("the gateway is ready", || self.get("/ready").send().status == 200);
    }

    /// Asks the process to stop (SIGTERM) and does not wait.
    pub fn ask_to_stop(&self) {
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for_exit(&mut self.child).unwrap_or_else(|| panic!("the gateway does not end; log:\n{}", self.log()))
    }

    /// Bytes of memory that the process holds now.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that the store is in.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Names of all files below the gateway's folder, with `/` between the parts.
    pub fn files(&self) -> Vec<String> {
        files_below(self.folder.path(), self.folder.path())
    }

    pub fn address(&self, listener: Listener) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[&listener]))
    }

    pub fn connect(&self, listener: Listener) -> TcpStream {
        let stream = TcpStream::connect(self.address(listener)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// All that the process wrote to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask {
            addresses: self.ports.clone(),
            listener: Listener::Influxdb,
            method: method.to_string(),
            path: path.to_string(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Ask {
        Ask { body: body.as_ref().to_vec(), ..self.ask("POST", path) }
    }

    #[track_caller]
    pub fn create_database(&self, name: &str) {
        let statement = format!("CREATE DATABASE \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let answer = self.post(&format!("/query?q={}", encoded(&statement)), "").send().expect(200);
        assert_eq!(answer.text(), "{\"results\":[{\"statement_id\":0}]}\n", "{statement}");
    }

    /// Writes line protocol, which must be accepted.
    #[track_caller]
    pub fn write(&self, database: &str, lines: &str) {
        self.post(&format!("/write?db={}", encoded(database)), lines).send().expect(204);
    }

    pub fn ask_sql(&self, database: &str, statement: &str) -> Ask {
        self.post(&format!("/api/v1/sql?db={}", encoded(database)), statement).at(Listener::Cnosdb)
    }

    /// The statement's rows as CSV with a header line.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.ask_sql(database, statement).send().expect(200).text()
    }

    /// The code and message of a statement that must fail.
    #[track_caller]
    pub fn sql_error(&self, database: &str, statement: &str) -> (u16, String, String) {
        let answer = self.ask_sql(database, statement).send();
        assert!(answer.status >= 400, "should have failed: {answer}");
        let (code, message) = answer.cnosdb_error();
        (answer.status, code, message)
    }

    /// The sum of the samples of a family whose labels contain `labels`, as `/metrics` has them.
    #[track_caller]
    pub fn metric(&self, family: &str, labels: &str) -> f64 {
        let text = self.get("/metrics").send().expect(200).text();
        let value = |line: &str| {
            let rest = line.strip_prefix(family)?;
            let (found, value) = rest.rsplit_once(' ')?;
            let is_family = found.is_empty() || found.starts_with('{');
            (is_family && found.contains(labels)).then(|| value.parse::<f64>().unwrap())
        };
        let values: Vec<f64> = text.lines().filter_map(value).collect();
        assert!(!values.is_empty(), "no {family} with {labels:?} in:\n{text}");
        values.iter().sum()
    }

    /// Waits until no acknowledged row is only in memory and in the log.
    #[track_caller]
    pub fn wait_until_flushed(&self) {
        eventually("all rows are flushed", || self.metric("tidegate_buffer_bytes", "") == 0.0);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let start = log.char_indices().rev().nth(8_000).map_or(0, |(at, _)| at);
            eprintln!("files:\n  {}\nlog:\n{}", self.files().join("\n  "), &log[start..]);
        }
    }
}

/// A request that is about to be sent.
pub struct Ask {
    addresses: BTreeMap<Listener, u16>,
    listener: Listener,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// At which listener; InfluxDB's unless said otherwise.
    pub fn at(self, listener: Listener) -> Ask {
        Ask { listener, ..self }
    }

    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    pub fn body(self, body: impl AsRef<[u8]>) -> Ask {
        Ask { body: body.as_ref().to_vec(), ..self }
    }

    #[track_caller]
    pub fn send(self) -> Answer {
        let what = format!("{} {} at {}", self.method, self.path, self.listener);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// An error when there is no answer.
    pub fn try_send(self) -> Result<Answer, ureq::Error> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(0)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let uri = format!("http://127.0.0.1:{}{}", self.addresses[&self.listener], self.path);
        let mut request = ureq::http::Request::builder().method(self.method.as_str()).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let takes_body = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        let reply = if takes_body {
            agent.run(request.body(self.body.clone()).unwrap())?
        } else {
            agent.run(request.body(()).unwrap())?
        };
        let (head, body) = reply.into_parts();
        let mut bytes = Vec::new();
        body.into_reader().read_to_end(&mut bytes).map_err(ureq::Error::Io)?;
        let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let asked = format!("{} {} at {} {:?}", self.method, self.path, self.listener, self.headers);
        let headers = head.headers.iter().map(header).collect();
        Ok(Answer { asked, status: head.status.as_u16(), headers, body: bytes })
    }
}

/// What came back. Displayed as request and reply, for messages of tests.
#[derive(Debug, Clone)]
pub struct Answer {
    pub asked: String,
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self}");
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The text of an InfluxDB error, which is in body and header alike.
    #[track_caller]
    pub fn influxdb_error(&self) -> String {
        let json = self.json();
        let text = json["error"].as_str().unwrap_or_else(|| panic!("no error in {self}"));
        assert_eq!(self.header("content-type"), Some("application/json"), "{self}");
        let header = self.header("x-influxdb-error").unwrap_or_else(|| panic!("no X-Influxdb-Error in {self}"));
        let one_line = text.replace('\n', " ");
        assert!(one_line.starts_with(header) && (one_line.len() == header.len() || header.len() > 1000), "{self}");
        text.to_string()
    }

    /// The code and message of a CnosDB error.
    #[track_caller]
    pub fn cnosdb_error(&self) -> (String, String) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self}");
        let json = self.json();
        let member = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {self}")).to_string();
        (member("error_code"), member("error_message"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2_000)]).into_owned();
        write!(f, "{}\n  -> {} {:?}\n  {body}", self.asked, self.status, self.headers)
    }
}

/// How a start that must fail ended.
pub struct RefusedStart {
    pub code: Option<i32>,
    pub stderr: String,
}

/// Runs the program with `arguments` in an empty folder; it must end by itself with an error.
#[track_caller]
pub fn refused_start(arguments: &[&str]) -> RefusedStart {
    refused_start_with(arguments, &[])
}

/// The same with variables in the environment. `{folder}` in an argument is a folder of its own.
#[track_caller]
pub fn refused_start_with(arguments: &[&str], environment: &[(&str, &str)]) -> RefusedStart {
    let (status, _, stderr) = run(arguments, environment);
    assert!(!status.success(), "started and ended well with {arguments:?}: {stderr}");
    RefusedStart { code: status.code(), stderr }
}

/// Runs the program until it ends by itself: status, standard output, standard error.
#[track_caller]
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (ExitStatus, String, String) {
    let folder = TempDir::new().unwrap();
    let in_folder = |text: &&str| text.replace("{folder}", folder.path().to_str().unwrap());
    let (out, err) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let mut child = program(folder.path())
        .args(arguments.iter().map(in_folder))
        .envs(environment.iter().copied())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let ended = wait_for_exit(&mut child);
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (stdout, stderr) = (fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap());
    let status = ended.unwrap_or_else(|| panic!("{arguments:?} did not end; {stdout}{stderr}"));
    (status, stdout, stderr)
}

/// Waits until `done`; fails when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(POLL);
    }
}

/// Percent-encoded for a query string.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// `count` ports that were free a moment ago.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// The program, with nothing of our environment that it would take for a setting or a credential.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if ["TIDEGATE", "AWS_", "GOOGLE_", "AZURE_", "RUST_LOG"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn spawn_listening(
    folder: &Path,
    settings: &BTreeMap<String, String>,
    environment: &[(String, String)],
) -> (BTreeMap<Listener, u16>, Child) {
    for attempt in 1.. {
        let ports: BTreeMap<Listener, u16> = Listener::ALL.into_iter().zip(free_ports(Listener::ALL.len())).collect();
        let mut all = BTreeMap::from([
            ("storage.url".to_string(), format!("file://{}", folder.join("store").display())),
            ("wal.dir".to_string(), folder.join("wal").display().to_string()),
            ("query.temp_dir".to_string(), folder.join("tmp").display().to_string()),
        ]);
        all.extend(ports.iter().map(|(listener, port)| (format!("listen.{listener}"), format!("127.0.0.1:{port}"))));
        all.extend(settings.clone());
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut child = program(folder)
            .arg("serve")
            .args(all.iter().flat_map(|(key, value)| ["--set".to_string(), format!("{key}={value}")]))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(File::create(folder.join("stdout")).unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let listens = loop {
            if let Some(status) = child.try_wait().unwrap() {
                let log = fs::read_to_string(folder.join("log")).unwrap();
                assert!(attempt < 3 && log.contains("in use"), "the gateway ended with {status}:\n{log}");
                break false;
            }
            if ports.values().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                break true;
            }
            assert!(Instant::now() < deadline, "the gateway does not listen");
            std::thread::sleep(POLL);
        };
        if listens {
            return (ports, child);
        }
    }
    unreachable!("the loop ends by returning or by failing")
}

/// `None` when it goes on for longer than [`PATIENCE`].
fn wait_for_exit(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if Instant::now() > deadline => return None,
            None => std::thread::sleep(POLL),
        }
    }
}

fn files_below(folder: &Path, root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, root));
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    found.sort();
    found
}
