//! The sections and their settings. A unit closes a name: `_bytes`, `_ms`, `_secs`.
//!
//! Each docstring says what a setting does, its unit and its default; ranges are in [`super::validate`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::listen::{Address, Listen, Listener};
use super::store_url;

const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;

/// All settings. [`Settings::load`] gives valid ones with absolute paths; `default()` has paths as they are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub storage: StorageSettings,
    pub wal: WalSettings,
    pub listen: ListenSettings,
    pub server: ServerSettings,
    pub auth: AuthSettings,
    pub limits: LimitSettings,
    pub influxdb: InfluxdbSettings,
    pub buffer: BufferSettings,
    pub compaction: CompactionSettings,
    pub retention: RetentionSettings,
    pub continuous_queries: ContinuousQuerySettings,
    pub catalog: CatalogSettings,
    pub query: QuerySettings,
    pub opentsdb: OpentsdbSettings,
    pub cnosdb: CnosdbSettings,
    pub cache: CacheSettings,
    pub elastic: ElasticSettings,
    pub log: LogSettings,
    pub tdengine: TdengineSettings,
}

impl Settings {
    /// Makes every path and a relative `storage.url` absolute, starting from `base`.
    pub fn resolve(mut self, base: &Path) -> Self {
        let absolute = |path: &Path| base.join(path).components().collect::<PathBuf>();
        self.storage.url = store_url::resolve(&self.storage.url, base);
        for prefix in &mut self.cnosdb.copy_prefixes {
            *prefix = store_url::resolve(prefix, base);
        }
        for path in [&mut self.wal.dir, &mut self.query.temp_dir] {
            if !path.as_os_str().is_empty() {
                *path = absolute(path);
            }
        }
        for path in [
            &mut self.server.tls_certificate,
            &mut self.server.tls_key,
            &mut self.storage.ca_file,
            &mut self.auth.jwt_secret_file,
            &mut self.auth.admin_password_file,
        ] {
            *path = path.as_deref().map(absolute);
        }
        self
    }

    /// The settings as TOML, without comments and without secrets; loading it gives these settings again but for those.
    pub fn to_toml(&self) -> String {
        let sections: Vec<String> = sections(&self.without_secrets())
            .iter()
            .map(|(name, keys)| {
                keys.iter().fold(format!("[{name}]\n"), |text, (key, v)| format!("{text}{key} = {v}\n"))
            })
            .collect();
        sections.join("\n")
    }

    /// The settings by section and name for people to look at: without secrets.
    pub fn shown(&self) -> Vec<(String, Vec<(String, serde_json::Value)>)> {
        let sections = sections(&self.without_secrets()).into_iter();
        sections.map(|(section, values)| (section, values.into_iter().collect())).collect()
    }

    fn without_secrets(&self) -> Settings {
        let hidden = |secret: &Option<Secret>| secret.as_ref().map(|_| Secret::from("***".to_string()));
        let mut settings = self.clone();
        settings.auth.jwt_secret = hidden(&self.auth.jwt_secret);
        settings.auth.admin_password = hidden(&self.auth.admin_password);
        settings
    }

    /// Every setting by its dotted name, secrets as they are.
    pub(super) fn by_name(&self) -> BTreeMap<String, serde_json::Value> {
        let named = |(section, keys): (String, BTreeMap<String, serde_json::Value>)| {
            keys.into_iter().map(move |(key, value)| (format!("{section}.{key}"), value))
        };
        sections(self).into_iter().flat_map(named).collect()
    }
}

/// Values print alike in JSON and in TOML: booleans, numbers, strings, lists of strings.
fn sections(settings: &Settings) -> BTreeMap<String, BTreeMap<String, serde_json::Value>> {
    let value = serde_json::to_value(settings)
        .expect("settings are plain values under string keys, and their paths were given as text");
    serde_json::from_value(value).expect("settings are sections of keys")
}

/// Where the data lives for good. Credentials are not settings: they come from where the stores' own tools find them
/// (`AWS_ACCESS_KEY_ID` or a profile of `~/.aws`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// The store: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `memory:///`
    /// (kept nowhere, for trials). `file:./folder` is relative to the working folder.
    /// Default `file:./tidegate-data/store`.
    pub url: String,
    /// How long one request to the store may take, its body included, in milliseconds. Default 30 000.
    pub request_timeout_ms: u64,
    /// How long connecting to the store may take, in milliseconds. Default 5 000.
    pub connect_timeout_ms: u64,
    /// How often a failed request is sent again before the failure counts. Default 3.
    pub retries_max: usize,
    /// How long after its first attempt a request is still sent again, in milliseconds. Default 10 000.
    pub retry_timeout_ms: u64,
    /// The pause before the first repetition, in milliseconds; it doubles each time. Default 100.
    pub retry_backoff_ms: u64,
    /// URL of a store that speaks S3 (MinIO, Ceph, …). Default none: AWS, or what `AWS_ENDPOINT_URL` says.
    #[serde(with = "empty_is_none")]
    pub endpoint: Option<String>,
    /// Whether the endpoint may be spoken to without TLS. Default false.
    pub allow_http: bool,
    /// Whether the bucket is part of the S3 host name instead of the path. Default false, which is right for MinIO.
    pub virtual_hosted_style: bool,
    /// PEM file with further certificate authorities that the store's certificate may be signed by. Default none.
    #[serde(with = "empty_is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Default for StorageSettings {
    fn default() -> Self {
        StorageSettings {
            url: "file:./tidegate-data/store".to_string(),
            request_timeout_ms: 30_000,
            connect_timeout_ms: 5_000,
            retries_max: 3,
            retry_timeout_ms: 10_000,
            retry_backoff_ms: 100,
            endpoint: None,
            allow_http: false,
            virtual_hosted_style: false,
            ca_file: None,
        }
    }
}

/// The write-ahead log: what makes an acknowledged point durable before it is in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WalSettings {
    /// Folder of the log, on a disk that survives a crash of the machine; one gateway a folder.
    /// Default `./tidegate-data/wal`.
    pub dir: PathBuf,
    /// Bytes the log may take on disk; at that size writes are refused with "try later" until flushes catch up.
    /// Default 4 GiB.
    pub budget_bytes: u64,
    /// Size at which the log goes on in a new file, in bytes; files are removed whole. Default 64 MiB.
    pub file_bytes: u64,
}

impl Default for WalSettings {
    fn default() -> Self {
        WalSettings { dir: "./tidegate-data/wal".into(), budget_bytes: 4 * GIB as u64, file_bytes: 64 * MIB as u64 }
    }
}

/// One listener a protocol: `host:port`, or `off`. Every protocol's exact routes are served on every listener; the
/// listener decides whose answer an unknown path gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSettings {
    /// InfluxDB. Default `127.0.0.1:8086`.
    pub influxdb: Listen,
    /// OpenTSDB, HTTP and telnet on the same port. Default `127.0.0.1:4242`.
    pub opentsdb: Listen,
    /// TDengine REST. Default `127.0.0.1:6041`.
    pub tdengine: Listen,
    /// CnosDB. Default `127.0.0.1:8902`.
    pub cnosdb: Listen,
    /// Elasticsearch bulk. Default `127.0.0.1:9200`.
    pub elasticsearch: Listen,
}

impl ListenSettings {
    pub fn get(&self, listener: Listener) -> &Listen {
        match listener {
            Listener::Influxdb => &self.influxdb,
            Listener::Opentsdb => &self.opentsdb,
            Listener::Tdengine => &self.tdengine,
            Listener::Cnosdb => &self.cnosdb,
            Listener::Elasticsearch => &self.elasticsearch,
        }
    }

    /// The listeners that are on, with their addresses.
    pub fn on(&self) -> impl Iterator<Item = (Listener, &Address)> {
        Listener::ALL.into_iter().filter_map(|listener| Some((listener, self.get(listener).address()?)))
    }
}

impl Default for ListenSettings {
    fn default() -> Self {
        let loopback = |port| Listen::At(Address::new("127.0.0.1", port));
        ListenSettings {
            influxdb: loopback(8086),
            opentsdb: loopback(4242),
            tdengine: loopback(6041),
            cnosdb: loopback(8902),
            elasticsearch: loopback(9200),
        }
    }
}

/// Connections, and who may make them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Whether listeners may be reachable from other machines while authentication (`auth.enabled`) is off: anyone who reaches such a
    /// listener can then read and write everything. Default false: the start is refused instead.
    pub allow_open: bool,
    /// What this process does in its store: `read-write`, or `read-only`: then it takes no writes and changes nothing,
    /// needs no log folder, and shows what writers have flushed, within about a second. Default `read-write`.
    pub role: Role,
    /// HTTP worker threads a listener; 0 means as many as there are cores. Default 0.
    pub workers: usize,
    /// Connections a listener serves at the same time; more wait until one closes. Default 10 000.
    pub max_connections: usize,
    /// How long an HTTP connection is kept open for another request, in seconds; 0 closes it after each. Default 75.
    pub keep_alive_secs: u64,
    /// How long a client may take to send a request's head, in milliseconds. Default 5 000.
    pub client_header_timeout_ms: u64,
    /// How long a client may take to send a request's body, in milliseconds. Default 60 000.
    pub client_body_timeout_ms: u64,
    /// How long closing a connection may take, in milliseconds; then it is cut. Default 5 000.
    pub client_disconnect_timeout_ms: u64,
    /// How long a telnet connection may send nothing before it is closed, in seconds. Default 300.
    pub client_idle_timeout_secs: u64,
    /// How long a stop waits for requests under way, in seconds; then they are cut. Default 30.
    pub shutdown_timeout_secs: u64,
    /// PEM file with the certificate, then the chain that signed it. Default none: listeners speak plain HTTP.
    #[serde(with = "empty_is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key, unencrypted. Default none; both or neither are set.
    #[serde(with = "empty_is_none")]
    pub tls_key: Option<PathBuf>,
    /// The listeners that speak TLS once a certificate is set; the others stay plain. Default all.
    pub tls_listeners: Vec<Listener>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            allow_open: false,
            role: Role::ReadWrite,
            workers: 0,
            max_connections: 10_000,
            keep_alive_secs: 75,
            client_header_timeout_ms: 5_000,
            client_body_timeout_ms: 60_000,
            client_disconnect_timeout_ms: 5_000,
            client_idle_timeout_secs: 300,
            shutdown_timeout_secs: 30,
            tls_certificate: None,
            tls_key: None,
            tls_listeners: Listener::ALL.to_vec(),
        }
    }
}

impl ServerSettings {
    /// Certificate and key files for `listener`; `None` when it speaks plainly.
    pub fn tls_files(&self, listener: Listener) -> Option<(&Path, &Path)> {
        let files = self.tls_certificate.as_deref().zip(self.tls_key.as_deref());
        files.filter(|_| self.tls_listeners.contains(&listener))
    }
}

/// OpenTSDB's protocols.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpentsdbSettings {
    /// The database whose tables metrics are; the first point makes it. Default `opentsdb`.
    pub database: String,
    /// Origins of pages that browsers may ask from: a list, or `*` for all. Default none: CORS is off.
    pub cors_domains: Vec<String>,
    /// Whether a point may make a new metric; otherwise `/api/uid/assign` makes them. Default true.
    pub auto_create_metrics: bool,
    /// Whether `DELETE /api/query` deletes. Default false.
    pub allow_delete: bool,
    /// Whether error answers say what caused an error inside the gateway. Default false.
    pub show_stack_trace: bool,
}

impl Default for OpentsdbSettings {
    fn default() -> Self {
        OpentsdbSettings {
            database: "opentsdb".to_string(),
            cors_domains: Vec::new(),
            auto_create_metrics: true,
            allow_delete: false,
            show_stack_trace: false,
        }
    }
}

/// Who must say who he is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// Whether requests need credentials of a user. What has no rule for them is refused. Without an administrator nothing works but
    /// InfluxDB's `CREATE USER … WITH ALL PRIVILEGES`. Default false: everybody may do everything.
    pub enabled: bool,
    /// What InfluxDB's bearer tokens (JSON Web Tokens) are signed with. Default none: they are refused.
    #[serde(with = "empty_is_none")]
    pub jwt_secret: Option<Secret>,
    /// File with that secret; white space at its ends does not count. Default none; at most one of the two is set.
    #[serde(with = "empty_is_none")]
    pub jwt_secret_file: Option<PathBuf>,
    /// An administrator who is made at the start if there is no user of that name, and `enabled`. Default none.
    #[serde(with = "empty_is_none")]
    pub admin_user: Option<String>,
    /// His password at first; changing it here later changes nothing. Default none.
    #[serde(with = "empty_is_none")]
    pub admin_password: Option<Secret>,
    /// File with that password; white space at its ends does not count. Default none; at most one of the two is set.
    #[serde(with = "empty_is_none")]
    pub admin_password_file: Option<PathBuf>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What one request may ask for. A body's limit holds for what arrives and for what it unpacks to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Bytes of a request's body, where neither of the next two is meant. Default 25 000 000, as in InfluxDB.
    pub body_bytes_max: usize,
    /// Bytes of the body of a CnosDB write. Default 160 MiB.
    pub write_body_bytes_max: usize,
    /// Bytes of the body of a CnosDB query. Default 16 MiB.
    pub sql_body_bytes_max: usize,
    /// Time windows (`buffer.window_secs`) that the points of one request may fall into. Late data that opens many
    /// makes as many segments. Default 1 000.
    pub windows_per_request_max: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        LimitSettings {
            body_bytes_max: 25_000_000,
            write_body_bytes_max: 160 * MIB,
            sql_body_bytes_max: 16 * MIB,
            windows_per_request_max: 1_000,
        }
    }
}

/// Limits that InfluxDB's own server has, under its names and off as there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfluxdbSettings {
    /// Rows of an answer that is not chunked; what is more is cut off, and the answer says so (`partial`). 0: no limit. Default 0.
    pub max_row_limit: usize,
    /// InfluxQL requests that run at once; more are refused. 0: no limit of its own (see `query.concurrency`). Default 0.
    pub max_concurrent_queries: usize,
    /// Windows that a SELECT may group by; one that asks for more is refused. 0: no limit. Default 0.
    pub max_select_buckets: u64,
    /// Points (values of fields) that a SELECT may read; one that has read more fails. 0: no limit. Default 0.
    pub max_select_point: u64,
    /// Series that a SELECT may read; one that would read more is refused. 0: no limit. Default 0.
    pub max_select_series: u64,
}

/// Accepted points that are not yet in the store, and when they go there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BufferSettings {
    /// Bytes of memory for the points of all tables; at that size writes are refused with "try later" until flushes
    /// catch up. Default 512 MiB.
    pub budget_bytes: usize,
    /// Bytes of one table's points at which they are flushed. Default 64 MiB.
    pub flush_bytes: usize,
    /// Age of a table's oldest point at which its points are flushed, in milliseconds. Default 10 000.
    pub flush_age_ms: u64,
    /// Bytes of one table's points below which it waits for `flush_small_age_ms` instead of `flush_age_ms`, so that
    /// many small tables do not make many small segments. Default 1 MiB.
    pub flush_small_bytes: usize,
    /// Age of a small table's oldest point at which its points are flushed, in milliseconds. Default 60 000.
    pub flush_small_age_ms: u64,
    /// Small tables that are flushed within `flush_small_age_ms`, those first that waited longest; with more of them each waits
    /// longer than its age, unless buffer or log are half full. Default 1 000.
    pub flush_small_tables: usize,
    /// Tables whose points are sorted and encoded at the same time. Default 2.
    pub flush_concurrency: usize,
    /// Length of the time windows that segments are cut at, in seconds; windows are counted from 1970. Default 86 400.
    pub window_secs: u64,
}

impl Default for BufferSettings {
    fn default() -> Self {
        BufferSettings {
            budget_bytes: 512 * MIB,
            flush_bytes: 64 * MIB,
            flush_age_ms: 10_000,
            flush_small_bytes: MIB,
            flush_small_age_ms: 60_000,
            flush_small_tables: 1_000,
            flush_concurrency: 2,
            window_secs: 86_400,
        }
    }
}

/// Making few large segments out of many small ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactionSettings {
    /// Whether this gateway compacts. Default true.
    pub enabled: bool,
    /// How often work is looked for, in milliseconds. Default 30 000.
    pub interval_ms: u64,
    /// Segments of one table and time window that are worth a compaction. Default 4.
    pub files_min: usize,
    /// Size that a compacted segment may reach, in bytes; segments of that size are left alone. Default 128 MiB.
    pub segment_bytes_max: u64,
}

impl Default for CompactionSettings {
    fn default() -> Self {
        CompactionSettings { enabled: true, interval_ms: 30_000, files_min: 4, segment_bytes_max: 128 * MIB as u64 }
    }
}

/// Dropping rows that their retention policy does not keep any longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Whether this gateway enforces retention policies. Default true.
    pub enabled: bool,
    /// How often expired rows are looked for, in seconds; also at each start. Default 1 800, as in InfluxDB.
    pub check_interval_secs: u64,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        RetentionSettings { enabled: true, check_interval_secs: 1_800 }
    }
}

/// InfluxDB's continuous queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContinuousQuerySettings {
    /// Whether this gateway runs continuous queries. Default true.
    pub enabled: bool,
    /// How often queries that are due are looked for, in milliseconds. Default 1 000, as in InfluxDB.
    pub run_interval_ms: u64,
}

impl Default for ContinuousQuerySettings {
    fn default() -> Self {
        ContinuousQuerySettings { enabled: true, run_interval_ms: 1_000 }
    }
}

/// The chain of commits in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogSettings {
    /// Commits after which the whole state is written anew; a start replays at most about as many. Default 100.
    pub snapshot_every: u64,
    /// How long an object that no commit names is kept, in seconds; longer than any query runs. Default 3 600.
    pub orphan_grace_secs: u64,
    /// How often a process that only reads, or that is not the store's only writer, looks for commits of others, in
    /// milliseconds; each look is one GET. Default 500.
    pub poll_ms: u64,
    /// The same for a writer that is alone, in milliseconds: it notices another one as late as that. Default 10 000.
    pub poll_alone_ms: u64,
    /// How long commits and snapshots are kept after newer snapshots made them needless, in seconds. The same for every
    /// process of a store. Default 3 600.
    pub prune_after_secs: u64,
}

impl Default for CatalogSettings {
    fn default() -> Self {
        CatalogSettings {
            snapshot_every: 100,
            orphan_grace_secs: 3_600,
            poll_ms: 500,
            poll_alone_ms: 10_000,
            prune_after_secs: 3_600,
        }
    }
}

/// What queries may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuerySettings {
    /// How long a query may run, in milliseconds; then it is cancelled. Default 300 000.
    pub timeout_ms: u64,
    /// Bytes of memory for all queries together. Default 1 GiB.
    pub memory_bytes: usize,
    /// Bytes of memory for one query; sorts and groups that need more go to `temp_dir`. Default 512 MiB.
    pub memory_bytes_per_query: usize,
    /// Queries that run at the same time; 0 means twice the number of cores. Default 0.
    pub concurrency: usize,
    /// Queries that may wait for their turn; more are refused with "try later". Default 64.
    pub queue: usize,
    /// How long a query may wait for its turn, in milliseconds; then it is refused with "try later". Default 10 000.
    pub queue_timeout_ms: u64,
    /// Threads that queries run on; 0 means as many as there are cores, and two at least. With one the time limit of a
    /// query that computes without a pause does not hold. Default 0.
    pub threads: usize,
    /// Folder for what queries cannot keep in memory; its content is worth nothing after a stop.
    /// Default `./tidegate-data/tmp`.
    pub temp_dir: PathBuf,
    /// Bytes that queries may keep in `temp_dir`; 0 means nothing, so that large sorts fail. Default 10 GiB.
    pub temp_bytes_max: u64,
}

impl Default for QuerySettings {
    fn default() -> Self {
        QuerySettings {
            timeout_ms: 300_000,
            memory_bytes: GIB,
            memory_bytes_per_query: 512 * MIB,
            concurrency: 0,
            queue: 64,
            queue_timeout_ms: 10_000,
            threads: 0,
            temp_dir: "./tidegate-data/tmp".into(),
            temp_bytes_max: 10 * GIB as u64,
        }
    }
}

/// CnosDB's SQL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CnosdbSettings {
    /// Locations that `COPY INTO` may read and write below, and external tables read: `file:///folder/`,
    /// `s3://bucket/prefix/`, `gs://bucket/prefix/` or `az://container/prefix/`. Default none: there are neither.
    pub copy_prefixes: Vec<String>,
}

/// What is kept in memory so that it need not be read again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Bytes of memory for the footers of segments. Default 128 MiB.
    pub metadata_bytes: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        CacheSettings { metadata_bytes: 128 * MIB as u64 }
    }
}

/// Elasticsearch: what its clients see, and how documents become rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticSettings {
    /// The version that clients are told. Beats refuse one older than themselves unless they are told otherwise.
    /// Default `8.17.0`.
    pub version: String,
    /// The database that indices are tables of. Default `public`.
    pub database: String,
    /// What becomes of a value that does not fit its column: `reject` refuses its document, `sibling` puts it into a column
    /// of its own, named after what it is (`level__utf8`). Default `reject`.
    pub on_conflict: ConflictRule,
    /// Columns that documents may bring a table to; documents that would make more are refused. Default 1 000.
    pub max_columns: usize,
    /// Bytes of a bulk request's body, packed or unpacked. Default 100 MiB.
    pub body_bytes_max: usize,
    /// Whether `DELETE /{index}` drops tables. Default false.
    pub allow_delete: bool,
}

impl Default for ElasticSettings {
    fn default() -> Self {
        ElasticSettings {
            version: "8.17.0".to_string(),
            database: "public".to_string(),
            on_conflict: ConflictRule::Reject,
            max_columns: 1_000,
            body_bytes_max: 100 * MIB,
            allow_delete: false,
        }
    }
}

/// What becomes of a value that does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConflictRule {
    Reject,
    Sibling,
}

/// What the process says about itself, on standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,tidegate::ingest=debug`.
    /// Default `info`.
    pub level: String,
    /// `text` for people, `json` (one object a line) for machines. Default `text`.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: "info".to_string(), format: LogFormat::Text }
    }
}

/// What a process does in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    ReadWrite,
    ReadOnly,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// The door for TDengine's clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TdengineSettings {
    /// Whether errors of statements are told by HTTP status too, as taosAdapter's `httpCodeServerError` does; else they
    /// are under 200. Default false.
    pub http_code_server_error: bool,
}

/// In text, a setting that is not set is an empty string: TOML and environment variables have no other nothing.
mod empty_is_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}
