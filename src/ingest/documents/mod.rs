//! Accepting documents: rows whose values find their columns here, each document on its own.
//!
//! Owns: what a value does to a column of another type (`plan`), the schema changes that follow. The rest of the way
//! (log, buffer, acknowledgement) is that of all points.

mod fit;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::catalog::{CatalogState, Change, Database};
use crate::model::{Documents, FieldType, RowIdentity, TableBatch, TableSchema};

use super::accept::{Ingest, REQUEST_TABLES_MAX, SCHEMA_TRIES, check_cells, resolve};
use super::error::IngestError;
use super::validate::{Checked, build};
use super::{BadPoints, Target};

pub use plan::Unfit;
use plan::{Plan, plan};

/// What a value does that does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The document is not taken.
    Reject,
    /// It goes into a column of its own, named after the type of what it is: `level__utf8` beside `level`.
    Sibling,
}

/// How a door wants documents taken.
#[derive(Debug, Clone)]
pub struct DocumentRules {
    pub bad_documents: BadPoints,
    pub on_conflict: OnConflict,
    /// Most columns that documents may bring a table to.
    pub columns_max: usize,
    /// Names whose values are tags where the table does not know them otherwise.
    pub tags: Vec<String>,
    /// Every number is a float.
    pub numbers_are_floats: bool,
    /// Whether documents may go into a table that makes one row of those that are equal in tags and time.
    pub may_merge: bool,
}

/// A document that was not taken: its table (by position in the request), its row, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusedDocument {
    pub table: usize,
    pub row: usize,
    pub why: Unfit,
}

/// What became of a request's documents. All but the refused are durable and visible.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DocumentReceipt {
    pub taken: usize,
    /// In order of table and row.
    pub refused: Vec<RefusedDocument>,
}

impl Ingest {
    /// Takes documents, `rules` permitting; tables that are missing are made, and keep equal rows apart. On `Ok` what was taken
    /// is on disk and the next query sees it. With [`BadPoints::RefuseAll`] and a document refused, nothing was taken.
    ///
    /// Errors: as [`accept`](Ingest::accept), but no document is an error.
    pub async fn accept_documents(
        &self,
        target: &Target,
        tables: Vec<Documents>,
        rules: &DocumentRules,
    ) -> Result<DocumentReceipt, IngestError> {
        let wal = self.writable_log()?;
        self.check_budget()?;
        if tables.len() > REQUEST_TABLES_MAX {
            return Err(IngestError::TooManyTables { tables: tables.len(), max: REQUEST_TABLES_MAX });
        }
        self.check_windows(tables.iter().map(Documents::times))?;
        let (state, plans) = self.settle_documents(target, &tables, rules).await?;
        let (database, policy) = resolve(&state, target)?;
        let refused: Vec<RefusedDocument> = plans.iter().enumerate().flat_map(|(n, plan)| plan.refused(n)).collect();
        let sent: usize = tables.iter().map(Documents::rows).sum();
        if rules.bad_documents == BadPoints::RefuseAll && !refused.is_empty() {
            self.metrics.points_rejected.inc_by(sent as u64);
            return Ok(DocumentReceipt { taken: 0, refused });
        }
        check_cells(plans.iter().map(Plan::cells).sum())?;
        let mut batches: Vec<TableBatch> = Vec::with_capacity(tables.len());
        for (documents, plan) in tables.iter().zip(&plans) {
            if let Some(table) = state.table_named(database, policy, &documents.table) {
                let points = plan.points(documents);
                let all = Checked::all_of(&points);
                batches.extend(build(points, &all, table.id, &table.schema, database.precision)?);
            }
        }
        let taken: usize = batches.iter().map(TableBatch::rows).sum();
        if taken > 0 {
            self.append(wal, batches).await?;
        }
        self.metrics.points_accepted.inc_by(taken as u64);
        self.metrics.points_rejected.inc_by((sent - taken) as u64);
        Ok(DocumentReceipt { taken, refused })
    }

    /// Plans the documents on a state that has every table and column that the taken ones need.
    async fn settle_documents(
        &self,
        target: &Target,
        tables: &[Documents],
        rules: &DocumentRules,
    ) -> Result<(Arc<CatalogState>, Vec<Plan>), IngestError> {
        let now_ns = (self.clock)();
        let mut state = self.catalog.state();
        for _ in 0..SCHEMA_TRIES {
            let (database, policy) = resolve(&state, target)?;
            let oldest_ns = oldest_kept(database, policy, now_ns);
            let schema_of = |documents: &Documents| state.table_named(database, policy, &documents.table);
            let strictly = state.writes_strictly(database);
            let plans: Vec<Plan> = tables
                .iter()
                .map(|documents| {
                    let schema = schema_of(documents).map(|table| &*table.schema);
                    // No table can be made under the name of an external one.
                    let is_external = || state.external_table(database, &documents.table).is_some();
                    let strictly = strictly || (schema.is_none() && is_external());
                    plan(documents, schema, rules, oldest_ns, strictly)
                })
                .collect();
            let refuses_all = rules.bad_documents == BadPoints::RefuseAll && plans.iter().any(Plan::refuses);
            let needed: Vec<Columns> =
                plans.iter().zip(tables).filter_map(|(plan, documents)| plan.needed(&documents.table)).collect();
            if needed.is_empty() || refuses_all {
                return Ok((state, plans));
            }
            let target = target.clone();
            let commit = self.catalog.update(move |state| {
                let (database, policy) = resolve(state, &target)?;
                Ok(changes(state, database, policy, &needed))
            });
            state = super::accept::patiently(commit).await?;
        }
        Err(IngestError::SchemaRace)
    }
}

fn oldest_kept(database: &Database, policy: &str, now_ns: i64) -> Option<i64> {
    let kept_ns = database.policy(policy).map_or(0, |p| p.duration_ns);
    (kept_ns > 0).then(|| now_ns.saturating_sub(kept_ns))
}

/// What documents need of their table.
#[derive(Debug, Clone)]
struct Columns {
    table: String,
    tags: Vec<String>,
    fields: Vec<(String, FieldType)>,
    /// Fields of integers that become floats.
    widened: Vec<String>,
}

impl Columns {
    /// Adds to `schema` what it lacks. Returns whether it changed.
    fn add_to(&self, schema: &mut TableSchema) -> bool {
        let before = schema.columns.len();
        for tag in &self.tags {
            schema.add_missing_tag(tag);
        }
        for (field, field_type) in &self.fields {
            schema.add_missing_field(field, *field_type);
        }
        let mut changed = schema.columns.len() > before;
        for field in &self.widened {
            changed |= schema.widen(field);
        }
        changed
    }
}

fn changes(state: &CatalogState, database: &Database, policy: &str, needed: &[Columns]) -> Vec<Change> {
    let mut changes = Vec::new();
    for columns in needed {
        match state.table_named(database, policy, &columns.table) {
            Some(table) => {
                let mut schema = (*table.schema).clone();
                if columns.add_to(&mut schema) {
                    changes.push(Change::SetSchema { table: table.id, schema });
                }
            }
            None => {
                let mut schema = TableSchema::new(RowIdentity::Append);
                columns.add_to(&mut schema);
                changes.push(state.create_table_change(database, policy, &columns.table, schema, &changes));
            }
        }
    }
    changes
}
