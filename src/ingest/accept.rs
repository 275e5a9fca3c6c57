//! Accepting points: checked, logged, visible, and only then acknowledged.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, CatalogError, CatalogState, Change, Database};
use crate::model::{Clock, Points, RowIdentity, TableBatch, TablePoints, TableSchema};

use super::buffer::Buffer;
use super::error::IngestError;
use super::flush::FlushSignal;
use super::metrics::IngestMetrics;
use super::validate::{BadPoints, Checked, Needed, Rejected, Rejection, Rules, build, check};
use super::wal::WalHandle;

/// Most columns a table may have.
const TABLE_COLUMNS_MAX: usize = 4096;
/// Most tables that one request may write to.
pub const REQUEST_TABLES_MAX: usize = 10_000;
/// Most cells (rows by columns, of all tables) that one request may make: rows of different fields make a large and empty matrix.
const REQUEST_CELLS_MAX: usize = 64 * 1024 * 1024;
/// Times that a request's points are checked anew because the schema changed under them.
pub(super) const SCHEMA_TRIES: usize = 4;

/// Bounds of what is taken.
#[derive(Debug, Clone)]
pub struct IngestLimits {
    /// Bytes the buffer may hold before writers are sent away.
    pub buffer_bytes_max: u64,
    /// Time windows that one request may touch.
    pub windows_per_request_max: usize,
    /// Width of a window, nanoseconds.
    pub window_ns: i64,
}

/// How long a request waits for the commit of new tables and columns. A store that is away holds commits up for longer than
/// any client waits; one that is made after all does no harm.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);

/// Where points go.
#[derive(Debug, Clone)]
pub struct Target {
    pub tenant: String,
    pub database: String,
    /// `None`: the database's default policy.
    pub policy: Option<String>,
}

/// What became of a request's points. All that were taken are durable and visible.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub taken: usize,
    pub rejected: Rejected,
}

/// The write path's front: shared by every door.
#[derive(Clone)]
pub struct Ingest {
    pub catalog: Arc<Catalog>,
    /// `None`: this process only reads.
    pub wal: Option<Arc<WalHandle>>,
    pub buffer: Arc<Buffer>,
    pub limits: IngestLimits,
    pub metrics: IngestMetrics,
    pub clock: Clock,
    /// Wakes the flusher when the buffer fills up.
    pub flush_signal: FlushSignal,
}

impl Ingest {
    /// Takes points, under `rules`. On `Ok` the taken ones are on disk and the next query sees them.
    ///
    /// Errors: this process does not write, or no more; unknown database or policy; [`IngestError::Rejected`] when `rules` refuse all for one (nothing is stored then);
    /// a budget used up; the log or the store failing, after which it is open whether the points are stored.
    pub async fn accept(&self, target: &Target, points: Points, rules: Rules) -> Result<Receipt, IngestError> {
        let wal = self.writable_log()?;
        self.check_budget()?;
        let tables: Vec<TablePoints> = points.into_tables().collect();
        check_size(&tables)?;
        self.check_windows(tables.iter().map(|table| &*table.times))?;
        let (state, checked) = self.settle_schema(target, &tables, rules).await?;
        let (database, policy) = resolve(&state, target)?;
        let rejected = sum_up(&checked);
        let mut batches: Vec<TableBatch> = Vec::with_capacity(tables.len());
        for (points, checked) in tables.into_iter().zip(&checked) {
            if let Some(table) = state.table_named(database, policy, &points.name) {
                batches.extend(build(points, checked, table.id, &table.schema, database.precision)?);
            }
        }
        let taken = batches.iter().map(TableBatch::rows).sum();
        if taken > 0 {
            self.append(wal, batches).await?;
        }
        self.metrics.points_accepted.inc_by(taken as u64);
        self.metrics.points_rejected.inc_by(rejected.points as u64);
        Ok(Receipt { taken, rejected })
    }

    /// Stores rows that were checked against their tables' schemas already. On `Ok` they are on disk and the next query sees
    /// them. Errors: as [`accept`](Self::accept)'s, but for those of checks.
    pub async fn store(&self, batches: Vec<TableBatch>) -> Result<(), IngestError> {
        let wal = self.writable_log()?;
        self.check_budget()?;
        if batches.len() > REQUEST_TABLES_MAX {
            return Err(IngestError::TooManyTables { tables: batches.len(), max: REQUEST_TABLES_MAX });
        }
        let cells = batches.iter().map(|batch| batch.rows().saturating_mul(batch.fields.len())).sum();
        if cells > REQUEST_CELLS_MAX {
            return Err(IngestError::TooManyCells { cells, max: REQUEST_CELLS_MAX });
        }
        self.check_windows(batches.iter().map(|batch| &*batch.times))?;
        let rows: usize = batches.iter().map(TableBatch::rows).sum();
        if rows > 0 {
            self.append(wal, batches).await?;
        }
        self.metrics.points_accepted.inc_by(rows as u64);
        Ok(())
    }

    /// The log, if this process may write to it.
    pub(super) fn writable_log(&self) -> Result<&WalHandle, IngestError> {
        self.catalog.check_writable()?;
        Ok(self.wal.as_ref().ok_or(CatalogError::ReadOnly)?)
    }

    pub(super) async fn append(&self, wal: &WalHandle, batches: Vec<TableBatch>) -> Result<(), IngestError> {
        let appended = wal.append(batches).await;
        appended.map(|_| ()).map_err(|error| {
            if matches!(crate::model::Classify::kind(&error), crate::model::Kind::Overloaded) {
                self.metrics.requests_refused.with_label_values(&["wal"]).inc();
            }
            error.into()
        })
    }

    pub(super) fn check_budget(&self) -> Result<(), IngestError> {
        let held_bytes = self.buffer.bytes();
        self.metrics.buffer_bytes.set(held_bytes as i64);
        if held_bytes > self.limits.buffer_bytes_max / 2 {
            self.flush_signal.wake();
        }
        if held_bytes <= self.limits.buffer_bytes_max {
            return Ok(());
        }
        self.metrics.requests_refused.with_label_values(&["buffer"]).inc();
        Err(IngestError::BufferFull { held_bytes, budget_bytes: self.limits.buffer_bytes_max })
    }

    /// A file a window: late data all over the past must not open files without bound.
    pub(super) fn check_windows<'a>(&self, tables: impl Iterator<Item = &'a [i64]>) -> Result<(), IngestError> {
        let window = |time: &i64| time.div_euclid(self.limits.window_ns);
        for times in tables {
            let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { continue };
            if (window(last) - window(first)) < self.limits.windows_per_request_max as i64 {
                continue;
            }
            let windows = times.iter().map(window).collect::<HashSet<_>>().len();
            if windows > self.limits.windows_per_request_max {
                return Err(IngestError::TooManyWindows { windows, max: self.limits.windows_per_request_max });
            }
        }
        Ok(())
    }

    /// Checks the points and makes the catalog hold every column that the taken ones need.
    async fn settle_schema(
        &self,
        target: &Target,
        tables: &[TablePoints],
        rules: Rules,
    ) -> Result<(Arc<CatalogState>, Vec<Checked>), IngestError> {
        let now_ns = (self.clock)();
        let mut state = self.catalog.state();
        for _ in 0..SCHEMA_TRIES {
            let (database, policy) = resolve(&state, target)?;
            let kept_ns = database.policy(policy).map_or(0, |p| p.duration_ns);
            let oldest_ns = (kept_ns > 0).then(|| now_ns.saturating_sub(kept_ns));
            let table_of = |points: &TablePoints| state.table_named(database, policy, &points.name);
            let checked: Vec<Checked> = tables
                .iter()
                .map(|points| check(points, table_of(points).map(|t| &*t.schema), &rules, oldest_ns))
                .collect();
            let rejected = sum_up(&checked);
            if let (BadPoints::RefuseAll, Some(rejection)) = (rules.bad_points, rejected.first) {
                self.metrics.points_rejected.inc_by(tables.iter().map(|t| t.rows() as u64).sum());
                return Err(IngestError::Rejected { rejection, points: rejected.points });
            }
            let unmet = |(points, checked): &(&TablePoints, &Checked)| {
                checked.rows(points) > 0 && !table_of(points).is_some_and(|t| checked.needed.is_met_by(&t.schema))
            };
            let needed: Vec<Needed> =
                tables.iter().zip(&checked).filter(unmet).map(|(_, checked)| checked.needed.clone()).collect();
            if needed.is_empty() {
                return Ok((state, checked));
            }
            if state.writes_strictly(database) {
                let first = &needed[0];
                let schema = state.table_named(database, policy, &first.table).map(|table| &*table.schema);
                return Err(undeclared(first, schema));
            }
            check_column_counts(&needed, |name| state.table_named(database, policy, name).map(|t| &*t.schema))?;
            let target = target.clone();
            let commit = self.catalog.update(move |state| schema_changes(state, &target, &needed));
            state = patiently(commit).await?;
        }
        Err(IngestError::SchemaRace)
    }
}

/// The refusal of what a strict database lacks.
fn undeclared(needed: &Needed, schema: Option<&TableSchema>) -> IngestError {
    let table = needed.table.clone();
    let missing = schema.and_then(|schema| needed.missing_from(schema));
    match missing {
        Some(column) => IngestError::ColumnUndeclared { table, column: column.to_string() },
        None => IngestError::TableUndeclared { table },
    }
}

/// A commit of new tables and columns, waited for as long as a client waits.
pub(super) async fn patiently(
    commit: impl Future<Output = Result<Arc<CatalogState>, CatalogError>>,
) -> Result<Arc<CatalogState>, IngestError> {
    Ok(tokio::time::timeout(SCHEMA_PATIENCE, commit).await.map_err(|_| IngestError::SchemaWaits)??)
}

fn check_size(tables: &[TablePoints]) -> Result<(), IngestError> {
    if tables.len() > REQUEST_TABLES_MAX {
        return Err(IngestError::TooManyTables { tables: tables.len(), max: REQUEST_TABLES_MAX });
    }
    check_cells(tables.iter().map(|t| t.rows().saturating_mul(t.fields.len())).sum())
}

/// Refuses rows that would make too large a matrix.
pub(super) fn check_cells(cells: usize) -> Result<(), IngestError> {
    if cells > REQUEST_CELLS_MAX {
        return Err(IngestError::TooManyCells { cells, max: REQUEST_CELLS_MAX });
    }
    Ok(())
}

fn sum_up(checked: &[Checked]) -> Rejected {
    let first: Option<Rejection> = checked.iter().find_map(|c| c.rejected.first.clone());
    Rejected { first, points: checked.iter().map(|c| c.rejected.points).sum() }
}

/// The database and policy that `target` names.
pub(super) fn resolve<'a>(
    state: &'a CatalogState,
    target: &'a Target,
) -> Result<(&'a Database, &'a str), CatalogError> {
    let database = state
        .database(&target.tenant, &target.database)
        .ok_or_else(|| CatalogError::DatabaseNotFound { database: target.database.clone() })?;
    let policy = target.policy.as_deref().unwrap_or(&database.default_policy);
    match database.policy(policy) {
        Some(_) => Ok((database, policy)),
        None => Err(CatalogError::PolicyNotFound { policy: policy.to_string() }),
    }
}

fn check_column_counts<'a>(
    needed: &[Needed],
    schema_of: impl Fn(&str) -> Option<&'a TableSchema>,
) -> Result<(), IngestError> {
    for needed in needed {
        let mut schema = schema_of(&needed.table).cloned().unwrap_or_else(|| TableSchema::new(RowIdentity::Series));
        // Counted before they are added: adding looks every name up.
        let columns = schema.columns.len() + needed.tags.len() + needed.fields.len();
        if columns <= TABLE_COLUMNS_MAX {
            continue;
        }
        if needed.tags.len() + needed.fields.len() <= TABLE_COLUMNS_MAX {
            needed.add_to(&mut schema);
            if schema.columns.len() <= TABLE_COLUMNS_MAX {
                continue;
            }
        }
        return Err(IngestError::TooManyColumns { table: needed.table.clone(), columns, max: TABLE_COLUMNS_MAX });
    }
    Ok(())
}

/// The steps that give each table the columns it needs.
fn schema_changes(state: &CatalogState, target: &Target, needed: &[Needed]) -> Result<Vec<Change>, CatalogError> {
    let (database, policy) = resolve(state, target)?;
    let mut changes = Vec::new();
    for needed in needed {
        match state.table_named(database, policy, &needed.table) {
            Some(table) if needed.is_met_by(&table.schema) => {}
            Some(table) => {
                let mut schema = (*table.schema).clone();
                needed.add_to(&mut schema);
                changes.push(Change::SetSchema { table: table.id, schema });
            }
            None => {
                let mut schema = TableSchema::new(RowIdentity::Series);
                needed.add_to(&mut schema);
                changes.push(state.create_table_change(database, policy, &needed.table, schema, &changes));
            }
        }
    }
    Ok(changes)
}
