//! A gateway as a process over a folder that outlives it, made to do everything often.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Settings under which flushes, merges, snapshots and new log files happen many times a second.
const BUSY: [(&str, &str); 8] = [
    ("TIDEGATE__BUFFER__FLUSH_AGE_MS", "100"),
    ("TIDEGATE__BUFFER__FLUSH_SMALL_AGE_MS", "120"),
    ("TIDEGATE__BUFFER__WINDOW_SECS", "3600"),
    ("TIDEGATE__WAL__FILE_BYTES", "1048576"),
    ("TIDEGATE__COMPACTION__INTERVAL_MS", "100"),
    ("TIDEGATE__COMPACTION__FILES_MIN", "2"),
    ("TIDEGATE__CATALOG__SNAPSHOT_EVERY", "7"),
    ("TIDEGATE__LOG__LEVEL", "info"),
];

/// A running gateway; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    pub influxdb: SocketAddr,
    pub cnosdb: SocketAddr,
}

impl Process {
    /// Starts it without waiting, over a store in `folder`; variables of `environment` outweigh what is set here.
    pub fn start_with(folder: &Path, environment: &[(String, String)]) -> Process {
        let [influxdb, cnosdb] = free_addresses();
        let log = folder.join("log");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .envs(BUSY)
            .env("TIDEGATE__STORAGE__URL", format!("file://{}", folder.join("store").display()))
            .env("TIDEGATE__WAL__DIR", folder.join("wal"))
            .env("TIDEGATE__QUERY__TEMP_DIR", folder.join("tmp"))
            .env("TIDEGATE__LISTEN__INFLUXDB", influxdb.to_string())
            .env("TIDEGATE__LISTEN__CNOSDB", cnosdb.to_string())
            .env("TIDEGATE__LISTEN__OPENTSDB", "off")
            .env("TIDEGATE__LISTEN__TDENGINE", "off")
            .env("TIDEGATE__LISTEN__ELASTICSEARCH", "off")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Process { child, log, influxdb, cnosdb }
    }

    /// Waits until every acknowledged point is visible; the process must not end meanwhile.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        let since = Instant::now();
        while !Connection::open(self.influxdb)
            .is_ok_and(|mut c| c.ask("GET", "/ready", "").is_ok_and(|(s, _)| s == 200))
        {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended at its start: {status}; log:\n{}", self.log());
            }
            assert!(since.elapsed() < PATIENCE, "the gateway is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log_file(&self) -> PathBuf {
        self.log.clone()
    }

    /// What the gateways over this folder wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// SIGSTOP: it sleeps wherever it is.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "the gateway does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Rows of a statement as CSV lines, without the header.
    pub fn select(&self, database: &str, statement: &str) -> Vec<String> {
        let path = format!("/api/v1/sql?db={database}");
        let (status, body) = Connection::open(self.cnosdb).unwrap().ask("POST", &path, statement).unwrap();
        assert_eq!(status, 200, "{statement}: {body}");
        body.lines().skip(1).map(str::to_string).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports free a moment ago; held open together so that they differ.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    std::array::from_fn(|i| held[i].local_addr().unwrap())
}

/// A keep-alive HTTP connection.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection(stream))
    }

    /// For a gateway that may be asleep: it is not waited for.
    pub fn open_hasty(address: SocketAddr) -> std::io::Result<Connection> {
        let connection = Connection::open(address)?;
        connection.0.set_read_timeout(Some(Duration::from_millis(200)))?;
        Ok(connection)
    }

    /// Status and body. An error when there is no whole answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: gate\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.write_all(request.as_bytes())?;
        let head = self.read_head()?;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
        let header = |name: &str| {
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(|v| v.trim().to_string()))
        };
        let body = if header("transfer-encoding:").is_some() {
            self.read_chunks()?
        } else {
            self.read(header("content-length:").and_then(|l| l.parse().ok()).unwrap_or(0))?
        };
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn read_head(&mut self) -> std::io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1)?);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    fn read_chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(self.read(1)?);
            }
            let size = std::str::from_utf8(&line).ok().and_then(|l| usize::from_str_radix(l.trim(), 16).ok());
            let size = size.ok_or(std::io::ErrorKind::InvalidData)?;
            body.extend(self.read(size)?);
            self.read(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
