//! The one place that builds sessions: limits, names, functions and settings of a query.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::datasource::provider_as_source;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF, TableSource};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use prometheus::{HistogramOpts, HistogramVec, IntGauge, Registry};

use crate::catalog::{CatalogState, Table};
use crate::storage::damage::DamagedSegments;
use crate::storage::exchange::Exchange;

use super::answer::{RowStream, Running};
use super::edges::SeriesStarts;
use super::error::QueryError;
use super::exchange::SessionStores;
use super::footers::FooterCache;
use super::functions::{self, ValueMemory, rows_beside_constants};
use super::influxql::show::series::SeriesCache;
use super::limits::{Admission, SharedMemory};
use super::names::{Names, Readable, Tenants};
use super::points::{self, PointsMax};
use super::provider::{Sources, TableRows};
use super::readers::SegmentReaders;
use super::running::RunningQueries;
use super::scan::register_store;
use super::series::SeriesQueryPlanner;
use super::source::{Tables, Unflushed};
use super::words::WordGroups;
use super::yielding::JoinsYield;

/// Stack for the threads that plan and run queries: the engine walks expressions by recursion, and not all of its walks
/// look after their stack.
pub const STACK_BYTES: usize = 8 * 1024 * 1024;

/// What the lists of segments' series may take.
const SERIES_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// What the places of series in segments may take.
const STARTS_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// What answers of filters of words may take.
const WORDS_CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Limits of all queries.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Queries that run at once; more wait.
    pub running_max: usize,
    /// Queries that wait at once; more are refused.
    pub waiting_max: usize,
    pub wait_max: Duration,
    /// From the turn to the last row.
    pub time_limit: Duration,
    pub memory_bytes: usize,
    pub memory_bytes_per_query: usize,
    /// Where sorts and aggregates spill; the system's temporary folder when `None`.
    pub temp_dir: Option<PathBuf>,
    /// 0: nothing is spilled.
    pub temp_bytes_max: u64,
    /// Partitions of a plan; 0 means one a core.
    pub target_partitions: usize,
    /// Longest statement, bytes.
    pub text_bytes_max: usize,
    /// Rows a batch, about.
    pub batch_rows: usize,
    pub metadata_cache_bytes: u64,
    /// Windows that a SELECT of InfluxQL may group by.
    pub windows_max: Option<u64>,
    /// Series that a SELECT of InfluxQL may read.
    pub series_max: Option<u64>,
    /// Points that a SELECT of InfluxQL may read.
    pub points_max: Option<u64>,
    /// Files outside the gateway's store that statements may read and write; the default is none.
    pub exchange: Arc<Exchange>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        QueryOptions {
            running_max: 16,
            waiting_max: 64,
            wait_max: Duration::from_secs(10),
            time_limit: Duration::from_secs(300),
            memory_bytes: 1024 * MIB,
            memory_bytes_per_query: 512 * MIB,
            temp_dir: None,
            temp_bytes_max: 16 * 1024 * MIB as u64,
            target_partitions: 0,
            text_bytes_max: MIB,
            batch_rows: 8192,
            metadata_cache_bytes: 128 * MIB as u64,
            windows_max: None,
            series_max: None,
            points_max: None,
            exchange: Arc::default(),
        }
    }
}

/// Whose names a query uses.
#[derive(Debug, Clone)]
pub struct QueryScope {
    pub tenant: String,
    /// What a table's name without a database means; it need not exist until a statement needs it.
    pub database: String,
    pub target_partitions: Option<usize>,
}

/// Answers questions in any language that ends in a logical plan. The threads it is polled on need [`STACK_BYTES`] of stack.
#[derive(Debug)]
pub struct QueryEngine {
    options: QueryOptions,
    runtime: Arc<RuntimeEnv>,
    /// What every session starts from: functions and rules, no names.
    base: SessionState,
    sources: Sources,
    admission: Admission,
    memory: SharedMemory,
    seconds: HistogramVec,
    /// Queries that can be looked at and ended.
    pub running_queries: RunningQueries,
    series: SeriesCache,
}

impl QueryEngine {
    /// Registers the metrics of queries and of the footer cache with `registry`.
    pub fn new(
        options: QueryOptions,
        store: Arc<dyn ObjectStore>,
        tables: Arc<dyn Tables>,
        unflushed: Arc<dyn Unflushed>,
        damaged: Arc<DamagedSegments>,
        registry: &Registry,
    ) -> Result<Self, QueryError> {
        let footers = Arc::new(FooterCache::new(options.metadata_cache_bytes, registry).map_err(metrics_error)?);
        let runtime = Arc::new(runtime(&options, footers.clone())?);
        register_store(&runtime, store.clone())?;
        let running = IntGauge::new("tidegate_queries_running", "Queries that run now").map_err(metrics_error)?;
        let queued = IntGauge::new("tidegate_queries_queued", "Queries that wait for a turn").map_err(metrics_error)?;
        let seconds = HistogramOpts::new("tidegate_query_seconds", "Time from a query's turn to its last row")
            .buckets(prometheus::exponential_buckets(0.001, 4.0, 10).map_err(metrics_error)?);
        let seconds = HistogramVec::new(seconds, &["language", "result"]).map_err(metrics_error)?;
        registry.register(Box::new(running.clone())).map_err(metrics_error)?;
        registry.register(Box::new(queued.clone())).map_err(metrics_error)?;
        registry.register(Box::new(seconds.clone())).map_err(metrics_error)?;
        let admission =
            Admission::new(options.running_max.max(1), options.waiting_max, options.wait_max, running, queued);
        Ok(QueryEngine {
            base: base_state(&runtime)?,
            memory: SharedMemory::new(options.memory_bytes),
            sources: Sources {
                readers: Arc::new(SegmentReaders { store, footers, damaged, tables: tables.clone() }),
                tables,
                unflushed,
                starts: SeriesStarts::new(STARTS_CACHE_BYTES),
                words: WordGroups::new(WORDS_CACHE_BYTES, registry).map_err(metrics_error)?,
                exchange: options.exchange.clone(),
            },
            options,
            runtime,
            admission,
            seconds,
            running_queries: RunningQueries::default(),
            series: SeriesCache::new(SERIES_CACHE_BYTES),
        })
    }

    /// Refuses a statement that is too long to look at.
    pub(super) fn check_length(&self, text: &str) -> Result<(), QueryError> {
        let bytes_max = self.options.text_bytes_max;
        if text.len() > bytes_max { Err(QueryError::TooLong { bytes_max }) } else { Ok(()) }
    }

    /// No query lasts longer than this: waiting for its turn and running.
    pub fn longest(&self) -> Duration {
        self.options.wait_max + self.options.time_limit
    }

    /// Memory that running queries have reserved, bytes.
    pub fn memory_reserved(&self) -> usize {
        self.memory.reserved()
    }

    /// The newest version of the catalog.
    pub(super) fn state(&self) -> Arc<CatalogState> {
        self.sources.tables.state()
    }

    pub(super) fn windows_max(&self) -> Option<u64> {
        self.options.windows_max
    }

    pub(super) fn series_max(&self) -> Option<u64> {
        self.options.series_max
    }

    pub(super) fn points_max(&self) -> Option<u64> {
        self.options.points_max
    }

    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.options.exchange
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn series_cache(&self) -> &SeriesCache {
        &self.series
    }

    pub(super) fn names(&self, tenant: &str) -> Names {
        Names {
            tenant: tenant.into(),
            state: self.sources.tables.state(),
            readable: Readable::All,
            role: None,
            running: self.running_queries.clone(),
        }
    }

    /// Waits for a turn and gives a session for one query, whose names were checked by whoever asks for it. The time limit
    /// runs from here.
    pub async fn session(&self, language: &'static str, scope: &QueryScope) -> Result<QuerySession, QueryError> {
        self.session_for(language, scope, Readable::All, None).await
    }

    /// The same for a query that sees no other database than those that may be read.
    pub async fn session_for(
        &self,
        language: &'static str,
        scope: &QueryScope,
        readable: Readable,
        role: Option<Arc<str>>,
    ) -> Result<QuerySession, QueryError> {
        let turn = self.admission.turn().await?;
        self.sources.tables.settle().await;
        let memory = self.memory.for_query(self.options.memory_bytes_per_query);
        let stores = SessionStores::over(self.runtime.object_store_registry.clone());
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_pool(memory.clone())
            .with_object_store_registry(Arc::new(stores))
            .build_arc()?;
        let running = Running::new(language, memory, self.options.time_limit, turn, self.seconds.clone());
        let names = Names { readable, role, ..self.names(&scope.tenant) };
        let tenants = Tenants { names: names.clone(), sources: self.sources.clone() };
        let mut state = SessionStateBuilder::new_from_existing(self.base.clone())
            .with_session_id(uuid::Uuid::new_v4().to_string())
            .with_config(self.config(scope))
            .with_runtime_env(runtime)
            .with_catalog_list(Arc::new(tenants))
            .build();
        // The one moment that `now()` means throughout the query.
        state.mark_start_execution();
        Ok(QuerySession { names, sources: self.sources.clone(), state, running })
    }

    fn config(&self, scope: &QueryScope) -> SessionConfig {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let default = if self.options.target_partitions == 0 { cores() } else { self.options.target_partitions };
        let partitions = scope.target_partitions.map_or(default, |wanted| wanted.clamp(1, MAX_PARTITIONS));
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(&scope.tenant, &scope.database)
            .with_create_default_catalog_and_schema(false)
            // Ours is a schema like others.
            .with_information_schema(false)
            .with_batch_size(self.options.batch_rows.max(1))
            .with_target_partitions(partitions);
        let options = config.options_mut();
        // A union of tables whose columns have ids of their own has other metadata in the engine's two kinds of plans.
        options.execution.skip_physical_aggregate_schema_check = true;
        options.sql_parser.enable_ident_normalization = false;
        options.execution.parquet.pushdown_filters = true;
        options.optimizer.repartition_file_min_size = SPLIT_BYTES_MIN;
        options.execution.enable_recursive_ctes = false;
        options.extensions.insert(ValueMemory::new(self.options.memory_bytes_per_query));
        config
    }

    /// Runs a plan that was made with `session`; rows come as the answer is polled.
    pub async fn execute(&self, session: QuerySession, plan: LogicalPlan) -> Result<RowStream, QueryError> {
        let QuerySession { state, mut running, .. } = session;
        match within(&mut running, start(state, plan)).await {
            Ok(rows) => Ok(RowStream::new(rows, running)),
            Err(error) => Err(error),
        }
    }

    /// Runs plans that were made with `session` one after the other: each is started when the one before it has no more
    /// rows. There is at least one, and all have the same columns.
    pub(super) async fn execute_all(
        &self,
        session: QuerySession,
        plans: Vec<LogicalPlan>,
    ) -> Result<RowStream, QueryError> {
        let QuerySession { state, mut running, .. } = session;
        let mut plans = plans.into_iter();
        let Some(first) = plans.next() else { return Err(QueryError::internal("no plan to run")) };
        let first = within(&mut running, start(state.clone(), first)).await?;
        let schema = first.schema();
        let others = stream::iter(plans).then(move |plan| start(state.clone(), plan)).try_flatten();
        let rows = RecordBatchStreamAdapter::new(schema, first.chain(others));
        Ok(RowStream::new(Box::pin(rows), running))
    }

    /// Rows that `make` makes under the session's limits.
    pub(super) fn rows(
        &self,
        session: QuerySession,
        make: impl FnOnce(SessionState) -> SendableRecordBatchStream,
    ) -> RowStream {
        let QuerySession { state, running, .. } = session;
        RowStream::new(make(state), running)
    }

    /// Plans as text, a line an operator. `run`: they are run first, and each line says what it came to.
    pub(super) async fn describe_all(
        &self,
        session: QuerySession,
        plans: Vec<LogicalPlan>,
        run: bool,
    ) -> Result<Vec<String>, QueryError> {
        let QuerySession { state, mut running, .. } = session;
        let mut lines = Vec::new();
        for plan in plans {
            let text = within(&mut running, described(state.clone(), plan, run)).await?;
            lines.extend(text.lines().map(str::to_string));
        }
        running.finish();
        Ok(lines)
    }
}

/// Starts a plan.
pub(super) async fn start(
    state: SessionState,
    plan: LogicalPlan,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let (plan, task) = physical(state, &plan).await?;
    execute_stream(plan, task)
}

/// A plan as it runs, and what it runs with. Its batches are as short as its constants want them.
async fn physical(
    mut state: SessionState,
    plan: &LogicalPlan,
) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>), DataFusionError> {
    let plan = state.optimize(plan)?;
    let batch_rows = rows_beside_constants(&plan, state.config().batch_size())?;
    *state.config_mut() = state.config().clone().with_batch_size(batch_rows);
    let mut plan = state.query_planner().create_physical_plan(&plan, &state).await?;
    if let Some(max) = state.config().get_extension::<PointsMax>() {
        plan = points::bounded(plan, *max)?;
    }
    Ok((plan, state.task_ctx()))
}

/// A plan as text, a line an operator. `run`: it is run first, its rows go nowhere, and each line says what it came to.
async fn described(state: SessionState, plan: LogicalPlan, run: bool) -> Result<String, DataFusionError> {
    let (plan, task) = physical(state, &plan).await?;
    if !run {
        return Ok(displayable(plan.as_ref()).indent(false).to_string());
    }
    let mut rows = execute_stream(plan.clone(), task)?;
    while rows.try_next().await?.is_some() {}
    Ok(DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(false).to_string())
}

/// Most partitions a request may ask for.
const MAX_PARTITIONS: usize = 256;
/// A scan of segments of so many bytes and more is spread over all cores: by default it would be ten times as many, which is
/// tens of millions of values of ours.
const SPLIT_BYTES_MIN: usize = 1024 * 1024;

/// One query's view: names, functions, limits. It holds the query's turn.
pub struct QuerySession {
    names: Names,
    sources: Sources,
    state: SessionState,
    running: Running,
}

impl QuerySession {
    /// What plans are made with.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Lets this query read so many points.
    pub(super) fn bound_points(&mut self, max: u64) {
        self.state.config_mut().set_extension(Arc::new(PointsMax(max)));
    }

    /// Adds a function that this query alone knows.
    pub(super) fn register(&mut self, function: ScalarUDF) -> Result<(), QueryError> {
        self.state.register_udf(Arc::new(function))?;
        Ok(())
    }

    /// A table of the session's version of the catalog, for a plan to read.
    pub(super) fn table(&self, table: &Arc<Table>) -> Arc<dyn TableSource> {
        provider_as_source(Arc::new(self.table_rows(table)))
    }

    /// The same, for who wants to know more of it before.
    pub(super) fn table_rows(&self, table: &Arc<Table>) -> TableRows {
        TableRows::new(table.clone(), self.sources.clone())
    }

    /// Does a part of the work under the query's time limit.
    pub(super) async fn within<T>(
        &mut self,
        work: impl AsyncFnOnce(&SessionState) -> Result<T, DataFusionError>,
    ) -> Result<T, QueryError> {
        within(&mut self.running, work(&self.state)).await
    }

    /// Batches stay in the partition they come from: rows that follow each other in a batch were read one after the other.
    pub(super) fn keep_batches_in_place(&mut self) {
        self.state.config_mut().options_mut().optimizer.enable_round_robin_repartition = false;
    }

    /// Ends the query before it ran.
    pub(super) fn fail(mut self, error: QueryError) -> QueryError {
        self.running.fail(error)
    }
}

async fn within<T>(
    running: &mut Running,
    work: impl Future<Output = Result<T, DataFusionError>>,
) -> Result<T, QueryError> {
    match tokio::time::timeout_at(running.deadline, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(running.fail(error.into())),
        Err(_) => Err(running.fail(QueryError::Timeout { limit: running.time_limit })),
    }
}

fn metrics_error(error: prometheus::Error) -> QueryError {
    QueryError::internal(format!("metrics: {error}"))
}

fn runtime(options: &QueryOptions, footers: Arc<FooterCache>) -> Result<RuntimeEnv, DataFusionError> {
    let mode = match (&options.temp_dir, options.temp_bytes_max) {
        (_, 0) => DiskManagerMode::Disabled,
        (Some(dir), _) => DiskManagerMode::Directories(vec![dir.clone()]),
        (None, _) => DiskManagerMode::OsTmpDirectory,
    };
    let mut disk = DiskManagerBuilder::default().with_mode(mode);
    if options.temp_bytes_max > 0 {
        disk = disk.with_max_temp_directory_size(options.temp_bytes_max);
    }
    RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_cache_manager(CacheManagerConfig::default().with_file_metadata_cache(Some(footers)))
        .build()
}

/// The engine's rules, and those of its functions that read no files and know the bounds of what they make.
fn base_state(runtime: &Arc<RuntimeEnv>) -> Result<SessionState, DataFusionError> {
    let mut state = SessionStateBuilder::new()
        .with_runtime_env(runtime.clone())
        .with_default_features()
        .with_query_planner(Arc::new(SeriesQueryPlanner))
        .with_physical_optimizer_rule(Arc::new(JoinsYield))
        .build();
    functions::bound(&mut state)?;
    Ok(state)
}
