//! Settings in the words of those who work with them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::catalog::{CatalogMetrics, CatalogOptions};
use crate::config::Settings;
use crate::ingest::IngestLimits;
use crate::ingest::compaction::CompactionOptions;
use crate::ingest::due::DueOptions;
use crate::ingest::flush::FlushOptions;
use crate::model::Clock;
use crate::protocol::influxdb::debug::Limits;
use crate::protocol::influxdb::diagnostics::About;
use crate::query::QueryOptions;
use crate::storage::environment::Environment;
use crate::storage::exchange::{Exchange, ExchangeError, Own};
use crate::storage::open::{StoreOptions, StoreUrl};
use crate::storage::wire::WireMetrics;

const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Replaced segments outlive the longest query by this.
const REPLACED_MARGIN: Duration = Duration::from_secs(60);

pub(super) fn store_options(settings: &Settings, wire: Option<WireMetrics>) -> StoreOptions {
    let storage = &settings.storage;
    StoreOptions {
        environment: Environment::of_process(),
        endpoint: storage.endpoint.clone(),
        allow_http: storage.allow_http,
        virtual_hosted_style: storage.virtual_hosted_style,
        ca_file: storage.ca_file.clone(),
        connect_timeout: Duration::from_millis(storage.connect_timeout_ms),
        request_timeout: Duration::from_millis(storage.request_timeout_ms),
        retries_max: storage.retries_max,
        retry_backoff: Duration::from_millis(storage.retry_backoff_ms),
        retry_timeout: Duration::from_millis(storage.retry_timeout_ms),
        jitter_seed: Uuid::new_v4().as_u64_pair().0,
        wire,
    }
}

pub(super) fn flush_options(settings: &Settings) -> FlushOptions {
    let buffer = &settings.buffer;
    FlushOptions {
        due: DueOptions {
            table_bytes: buffer.flush_bytes as u64,
            age: Duration::from_millis(buffer.flush_age_ms),
            small_bytes: buffer.flush_small_bytes as u64,
            small_age: Duration::from_millis(buffer.flush_small_age_ms),
            small_tables_max: buffer.flush_small_tables,
            buffer_bytes_max: buffer.budget_bytes as u64,
            log_bytes_max: settings.wal.budget_bytes,
        },
        window_ns: window_ns(settings),
        concurrency: buffer.flush_concurrency,
    }
}

pub(super) fn compaction_options(settings: &Settings) -> CompactionOptions {
    CompactionOptions {
        interval: Duration::from_millis(settings.compaction.interval_ms),
        files_min: settings.compaction.files_min,
        segment_bytes_max: settings.compaction.segment_bytes_max,
        window_ns: window_ns(settings),
        keep_replaced: Duration::from_millis(settings.query.timeout_ms) + REPLACED_MARGIN,
    }
}

/// What statements may reach of the world: the settings' prefixes, but for what is the gateway's own.
pub(super) fn exchange(settings: &Settings) -> Result<Exchange, ExchangeError> {
    let secrets = [&settings.server.tls_key, &settings.auth.jwt_secret_file, &settings.auth.admin_password_file];
    let paths = [&settings.wal.dir, &settings.query.temp_dir].into_iter().chain(secrets.into_iter().flatten());
    let own = Own { store: StoreUrl::parse(&settings.storage.url).ok(), paths: paths.cloned().collect() };
    Exchange::new(&settings.cnosdb.copy_prefixes, own, store_options(settings, None))
}

pub(super) fn query_options(settings: &Settings, temp_dir: PathBuf, exchange: Exchange) -> QueryOptions {
    let query = &settings.query;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    QueryOptions {
        running_max: if query.concurrency == 0 { 2 * cores } else { query.concurrency },
        waiting_max: query.queue,
        wait_max: Duration::from_millis(query.queue_timeout_ms),
        time_limit: Duration::from_millis(query.timeout_ms),
        memory_bytes: query.memory_bytes,
        memory_bytes_per_query: query.memory_bytes_per_query,
        temp_dir: Some(temp_dir),
        temp_bytes_max: query.temp_bytes_max,
        target_partitions: cores,
        metadata_cache_bytes: settings.cache.metadata_bytes,
        windows_max: Some(settings.influxdb.max_select_buckets).filter(|&windows| windows > 0),
        points_max: Some(settings.influxdb.max_select_point).filter(|&points| points > 0),
        series_max: Some(settings.influxdb.max_select_series).filter(|&series| series > 0),
        exchange: Arc::new(exchange),
        ..QueryOptions::default()
    }
}

pub(super) fn catalog_options(settings: &Settings, clock: Clock, metrics: CatalogMetrics) -> CatalogOptions {
    let catalog = &settings.catalog;
    CatalogOptions {
        snapshot_every: catalog.snapshot_every,
        prune_after: Duration::from_secs(catalog.prune_after_secs),
        poll: Duration::from_millis(catalog.poll_ms),
        poll_alone: Duration::from_millis(catalog.poll_alone_ms),
        name: process_name(),
        clock,
        metrics,
    }
}

/// Zero is no limit.
pub(super) fn influxdb_limits(settings: &Settings) -> Limits {
    let limit = |number: usize| (number > 0).then_some(number);
    Limits {
        rows_max: limit(settings.influxdb.max_row_limit),
        queries_max: limit(settings.influxdb.max_concurrent_queries),
    }
}

/// What people are told about the process: since when it runs, where, and how it is set.
pub(super) fn about(settings: &Settings, started_ns: i64) -> About {
    About { started_ns, hostname: hostname(), settings: settings.shown() }
}

/// Host and process id, for people who look at the list of writers.
fn process_name() -> String {
    format!("{}:{}", hostname(), std::process::id())
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string()
}

/// Width of a time window, nanoseconds.
pub(super) fn window_ns(settings: &Settings) -> i64 {
    settings.buffer.window_secs as i64 * NANOS_PER_SEC
}

pub(super) fn ingest_limits(settings: &Settings) -> IngestLimits {
    IngestLimits {
        buffer_bytes_max: settings.buffer.budget_bytes as u64,
        windows_per_request_max: settings.limits.windows_per_request_max,
        window_ns: window_ns(settings),
    }
}
