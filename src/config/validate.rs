//! Ranges, and what settings demand of each other. Pure: no file is opened, no name resolved.

use std::ops::RangeInclusive;

use serde_json::Value as Json;

use super::listen;
use super::settings::Settings;
use super::store_url;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_SECS: u64 = 86_400;

/// Every number's range. Limits guard against slips of the pen; they are not advice.
pub(super) const RANGES: &[(&str, RangeInclusive<u64>)] = &[
    ("buffer.budget_bytes", MIB..=TIB),
    ("buffer.flush_age_ms", 10..=24 * HOUR_MS),
    ("buffer.flush_bytes", 64 * KIB..=16 * GIB),
    ("buffer.flush_concurrency", 1..=256),
    ("buffer.flush_small_age_ms", 10..=24 * HOUR_MS),
    ("buffer.flush_small_bytes", 0..=16 * GIB),
    ("buffer.flush_small_tables", 1..=1_000_000),
    ("buffer.window_secs", 60..=3_660 * DAY_SECS),
    ("cache.metadata_bytes", 0..=TIB),
    ("catalog.orphan_grace_secs", 1..=366 * DAY_SECS),
    ("catalog.poll_alone_ms", 10..=HOUR_MS),
    ("catalog.poll_ms", 10..=HOUR_MS),
    ("catalog.prune_after_secs", 1..=366 * DAY_SECS),
    ("catalog.snapshot_every", 1..=100_000),
    ("compaction.files_min", 2..=10_000),
    ("compaction.interval_ms", 10..=24 * HOUR_MS),
    ("compaction.segment_bytes_max", MIB..=64 * GIB),
    ("continuous_queries.run_interval_ms", 10..=HOUR_MS),
    ("elastic.body_bytes_max", KIB..=GIB),
    ("elastic.max_columns", 1..=4_096),
    ("influxdb.max_concurrent_queries", 0..=1_000_000),
    ("influxdb.max_row_limit", 0..=1_000_000_000_000),
    ("influxdb.max_select_buckets", 0..=1_000_000_000_000),
    ("influxdb.max_select_point", 0..=1_000_000_000_000),
    ("influxdb.max_select_series", 0..=1_000_000_000_000),
    ("limits.body_bytes_max", KIB..=GIB),
    ("limits.sql_body_bytes_max", KIB..=GIB),
    ("limits.windows_per_request_max", 1..=1_000_000),
    ("limits.write_body_bytes_max", KIB..=GIB),
    ("query.concurrency", 0..=10_000),
    ("query.memory_bytes", 16 * MIB..=64 * TIB),
    ("query.memory_bytes_per_query", 16 * MIB..=64 * TIB),
    ("query.queue", 0..=100_000),
    ("query.queue_timeout_ms", 1..=HOUR_MS),
    ("query.temp_bytes_max", 0..=1_024 * TIB),
    ("query.threads", 0..=4_096),
    ("query.timeout_ms", 1..=24 * HOUR_MS),
    ("retention.check_interval_secs", 1..=30 * DAY_SECS),
    ("server.client_body_timeout_ms", 1..=24 * HOUR_MS),
    ("server.client_disconnect_timeout_ms", 1..=HOUR_MS),
    ("server.client_header_timeout_ms", 1..=HOUR_MS),
    ("server.client_idle_timeout_secs", 1..=DAY_SECS),
    ("server.keep_alive_secs", 0..=DAY_SECS),
    ("server.max_connections", 1..=10_000_000),
    ("server.shutdown_timeout_secs", 0..=DAY_SECS),
    ("server.workers", 0..=1_024),
    ("storage.connect_timeout_ms", 1..=HOUR_MS),
    ("storage.request_timeout_ms", 1..=HOUR_MS),
    ("storage.retries_max", 0..=100),
    ("storage.retry_backoff_ms", 1..=MINUTE_MS),
    ("storage.retry_timeout_ms", 0..=HOUR_MS),
    ("wal.budget_bytes", 2 * MIB..=16 * TIB),
    ("wal.file_bytes", MIB..=4 * GIB),
];

/// Settings whose values are never shown.
pub(super) const SECRETS: [&str; 2] = ["auth.admin_password", "auth.jwt_secret"];

/// A setting that cannot stay as it is.
pub(super) struct Refusal {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) expected: String,
}

/// What is wrong with `settings`, whose paths are absolute: the first thing a setting; empty when all is right.
pub(super) fn refusals(settings: &Settings) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = Vec::new();
    let values = settings.by_name();
    let mut refuse = |key: &'static str, expected: String| {
        if found.iter().any(|refusal| refusal.key == key) {
            return;
        }
        let value = if SECRETS.contains(&key) { "***".to_string() } else { values[key].to_string() };
        found.push(Refusal { key, value, expected });
    };
    ranges(&values, &mut refuse);
    locations(settings, &mut refuse);
    listeners(settings, &mut refuse);
    tls(settings, &mut refuse);
    auth(settings, &mut refuse);
    relations(settings, &mut refuse);
    if let Err(expected) = database_name(&settings.opentsdb.database) {
        refuse("opentsdb.database", expected.to_string());
    }
    if !is_version(&settings.elastic.version) {
        refuse("elastic.version", "a version of Elasticsearch from 5 on, such as `8.17.0`".to_string());
    }
    if settings.elastic.database.is_empty() {
        refuse("elastic.database", "the name of a database".to_string());
    }
    if !is_log_level(&settings.log.level) {
        refuse("log.level", LOG_LEVEL.to_string());
    }
    found
}

/// What a value of `key` looks like, said after "expected".
pub(super) fn expected(key: &str, default: &Json) -> String {
    match (key, default) {
        ("elastic.on_conflict", _) => "`reject` or `sibling`".to_string(),
        ("log.format", _) => "`text` or `json`".to_string(),
        ("server.role", _) => "`read-write` or `read-only`".to_string(),
        ("server.tls_listeners", _) => {
            format!("a list out of {}", listen::Listener::ALL.map(|l| format!("`{l}`")).join(", "))
        }
        ("cnosdb.copy_prefixes", _) => {
            "a list of locations such as `file:///folder/` or `s3://bucket/prefix/`".to_string()
        }
        ("opentsdb.cors_domains", _) => "a list of origins such as `https://host:port`, or `*`".to_string(),
        (_, Json::String(_)) if key.starts_with("listen.") => listen::EXPECTED.to_string(),
        (_, Json::Bool(_)) => "`true` or `false`".to_string(),
        (_, Json::Number(_)) => match RANGES.iter().find(|(name, _)| *name == key) {
            Some((_, range)) => expected_number(key, range),
            None => format!("a whole number{}", unit(key)),
        },
        _ => "text".to_string(),
    }
}

fn expected_number(key: &str, range: &RangeInclusive<u64>) -> String {
    format!("a whole number{} from {} to {}", unit(key), range.start(), range.end())
}

fn unit(key: &str) -> &'static str {
    match key {
        _ if key.ends_with("_ms") => " of milliseconds",
        _ if key.ends_with("_secs") => " of seconds",
        _ if key.contains("_bytes") => " of bytes",
        _ => "",
    }
}

/// Three numbers, the first of which clients take for one of theirs.
fn is_version(text: &str) -> bool {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.len() == 3 && numbers[0] >= 5)
}

type Refuse<'a> = dyn FnMut(&'static str, String) + 'a;

fn ranges(values: &std::collections::BTreeMap<String, Json>, refuse: &mut Refuse<'_>) {
    for (key, range) in RANGES {
        if !values[*key].as_u64().is_some_and(|value| range.contains(&value)) {
            refuse(key, expected_number(key, range));
        }
    }
}

fn locations(settings: &Settings, refuse: &mut Refuse<'_>) {
    if let Err(expected) = store_url::check(&settings.storage.url) {
        refuse("storage.url", expected.to_string());
    }
    for prefix in &settings.cnosdb.copy_prefixes {
        if let Err(expected) = store_url::check_prefix(prefix) {
            refuse("cnosdb.copy_prefixes", expected.to_string());
        }
    }
    if let Some(endpoint) = &settings.storage.endpoint {
        match url::Url::parse(endpoint) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                refuse(
                    "storage.endpoint",
                    "a URL without user and password; credentials belong in AWS_* variables".into(),
                );
            }
            Ok(url) if url.scheme() == "http" && !settings.storage.allow_http => {
                refuse("storage.endpoint", "an `https://` URL, or `storage.allow_http` to be true".into());
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") => {}
            _ => refuse("storage.endpoint", "an `https://` or `http://` URL".into()),
        }
    }
    for (key, path) in [("wal.dir", &settings.wal.dir), ("query.temp_dir", &settings.query.temp_dir)] {
        if path.as_os_str().is_empty() {
            refuse(key, "a folder".into());
        }
    }
}

fn listen_key(listener: listen::Listener) -> &'static str {
    match listener {
        listen::Listener::Influxdb => "listen.influxdb",
        listen::Listener::Opentsdb => "listen.opentsdb",
        listen::Listener::Tdengine => "listen.tdengine",
        listen::Listener::Cnosdb => "listen.cnosdb",
        listen::Listener::Elasticsearch => "listen.elasticsearch",
    }
}

fn listeners(settings: &Settings, refuse: &mut Refuse<'_>) {
    let on: Vec<_> = settings.listen.on().collect();
    if on.is_empty() {
        refuse("listen.influxdb", "an address there or for another listener: all of them are off".into());
    }
    for (index, (listener, address)) in on.iter().enumerate() {
        let key = listen_key(*listener);
        let earlier = on[..index].iter().find(|(_, other)| other.port == address.port && address.port != 0);
        if let Some((other, _)) = earlier {
            refuse(key, format!("a port of its own: `{}` has {} too", listen_key(*other), address.port));
        }
        if !address.is_loopback() && !settings.server.allow_open && !settings.auth.enabled {
            refuse(
                key,
                "a loopback address while authentication is off; set `auth.enabled`, or `server.allow_open` \
                 (TIDEGATE__SERVER__ALLOW_OPEN=true) to let everyone who reaches it read and write"
                    .into(),
            );
        }
    }
}

fn tls(settings: &Settings, refuse: &mut Refuse<'_>) {
    let server = &settings.server;
    match (&server.tls_certificate, &server.tls_key) {
        (Some(_), None) => refuse("server.tls_key", "a file, since `server.tls_certificate` is set".into()),
        (None, Some(_)) => refuse("server.tls_certificate", "a file, since `server.tls_key` is set".into()),
        (Some(_), Some(_)) if server.tls_listeners.is_empty() => {
            refuse("server.tls_listeners", "a listener at least, since `server.tls_certificate` is set".into());
        }
        _ => {}
    }
}

fn auth(settings: &Settings, refuse: &mut Refuse<'_>) {
    let auth = &settings.auth;
    if auth.jwt_secret.is_some() && auth.jwt_secret_file.is_some() {
        refuse("auth.jwt_secret_file", "nothing, since `auth.jwt_secret` is set".into());
    }
    if auth.admin_password.is_some() && auth.admin_password_file.is_some() {
        refuse("auth.admin_password_file", "nothing, since `auth.admin_password` is set".into());
    }
    let has_password = auth.admin_password.is_some() || auth.admin_password_file.is_some();
    match &auth.admin_user {
        Some(_) if !has_password => refuse("auth.admin_password", "a password, since `auth.admin_user` is set".into()),
        None if has_password => refuse("auth.admin_user", "a name, since his password is set".into()),
        _ => {}
    }
}

fn relations(settings: &Settings, refuse: &mut Refuse<'_>) {
    let Settings { wal, buffer, query, limits, catalog, .. } = settings;
    if wal.budget_bytes < wal.file_bytes.saturating_mul(2) {
        refuse("wal.budget_bytes", format!("at least twice `wal.file_bytes`, which is {}", wal.file_bytes));
    }
    let largest_body = limits.body_bytes_max.max(limits.write_body_bytes_max);
    if buffer.budget_bytes < largest_body {
        refuse(
            "buffer.budget_bytes",
            format!(
                "at least {largest_body}, the larger of `limits.body_bytes_max` and `limits.write_body_bytes_max`: \
                 such a request would never be accepted"
            ),
        );
    }
    if buffer.flush_bytes > buffer.budget_bytes {
        refuse("buffer.flush_bytes", format!("at most `buffer.budget_bytes`, which is {}", buffer.budget_bytes));
    }
    if buffer.flush_small_bytes > buffer.flush_bytes {
        refuse("buffer.flush_small_bytes", format!("at most `buffer.flush_bytes`, which is {}", buffer.flush_bytes));
    }
    if buffer.flush_small_age_ms < buffer.flush_age_ms {
        refuse(
            "buffer.flush_small_age_ms",
            format!("at least `buffer.flush_age_ms`, which is {}", buffer.flush_age_ms),
        );
    }
    if query.memory_bytes_per_query > query.memory_bytes {
        refuse(
            "query.memory_bytes_per_query",
            format!("at most `query.memory_bytes`, which is {}", query.memory_bytes),
        );
    }
    if catalog.orphan_grace_secs.saturating_mul(1_000) <= query.timeout_ms {
        refuse("catalog.orphan_grace_secs", format!("longer than `query.timeout_ms`, which is {}", query.timeout_ms));
    }
}

/// Names that a folder can bear, as for every database.
fn database_name(name: &str) -> Result<(), &'static str> {
    let fits = !name.is_empty() && name.len() <= 255 && name != "." && name != "..";
    let fits = fits && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
    if fits { Ok(()) } else { Err("the name of a database: 1 to 255 bytes without slashes and control characters") }
}

const LOG_LEVEL: &str =
    "`off`, `error`, `warn`, `info`, `debug` or `trace`, or a list such as `info,tidegate::ingest=debug`";

/// The filter would take a misspelled level for the name of a module; here a level stands alone or behind `=`.
fn is_log_level(text: &str) -> bool {
    let is_level = |word: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    let plausible = |part: &str| is_level(part) || part.contains('=') || part.contains('[');
    let parses = tracing_subscriber::EnvFilter::builder().parse(text).is_ok();
    !text.is_empty() && parses && text.split(',').all(|part| plausible(part.trim()))
}
