//! A table of the catalog as a table of the engine.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use crate::catalog::Table;
use crate::model::ColumnId;
use crate::storage::exchange::Exchange;

use super::columns::adapt_rows;
use super::edges::{Edge, EdgeRows, SeriesStarts};
use super::named;
use super::scan::Scan;
use super::source::{Snapshot, Tables, Unflushed};
use super::words::{RowGroups, WordGroups};

/// What a table needs to be read.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    pub tables: Arc<dyn Tables>,
    pub unflushed: Arc<dyn Unflushed>,
    pub readers: Arc<dyn ParquetFileReaderFactory>,
    pub starts: SeriesStarts,
    pub words: WordGroups,
    /// For external tables.
    pub exchange: Arc<Exchange>,
}

/// Live rows and segments of one table. All scans of one provider see one moment, that of the first.
#[derive(Debug)]
pub(super) struct TableRows {
    table: Arc<Table>,
    schema: SchemaRef,
    sources: Sources,
    snapshot: OnceLock<Snapshot>,
    edge: Option<Edge>,
}

impl TableRows {
    pub(super) fn new(table: Arc<Table>, sources: Sources) -> Self {
        TableRows { schema: table.schema.sql_schema(), table, sources, snapshot: OnceLock::new(), edge: None }
    }

    /// The rows as SQL knows them: columns that were declared as times are times.
    pub(super) fn as_declared(table: Arc<Table>, sources: Sources) -> Self {
        TableRows { schema: table.schema.declared_schema(), ..TableRows::new(table, sources) }
    }

    /// Some of a table's rows: those of `part`.
    pub(super) fn of_part(table: Arc<Table>, sources: Sources, part: Snapshot) -> Self {
        TableRows { schema: table.schema.sql_schema(), table, sources, snapshot: OnceLock::from(part), edge: None }
    }

    /// Scans may leave out rows that are at no such edge of their series. The asker knows that they do not matter:
    /// filters are about tags and time only, and the edge's time is that of the filter.
    pub(super) fn with_edge(self, edge: Edge) -> Self {
        TableRows { edge: Some(edge), ..self }
    }

    /// The columns that have a value in every row there is: no one need look for it.
    pub(super) fn complete_columns(&self) -> Result<HashSet<ColumnId>> {
        let snapshot = self.snapshot()?;
        let mut complete: HashSet<ColumnId> = self.table.schema.columns.iter().map(|column| column.id).collect();
        for segment in snapshot.segments() {
            let holds = segment.columns.iter().filter(|column| column.nulls == 0);
            let holds: HashSet<ColumnId> = holds.map(|column| column.id).collect();
            complete.retain(|id| holds.contains(id));
        }
        for rows in &snapshot.live {
            let rows = adapt_rows(rows, &self.schema)?;
            for (column, values) in self.table.schema.columns.iter().zip(&rows.columns()[1..]) {
                if values.null_count() > 0 {
                    complete.remove(&column.id);
                }
            }
        }
        Ok(complete)
    }

    fn snapshot(&self) -> Result<&Snapshot> {
        if let Some(snapshot) = self.snapshot.get() {
            return Ok(snapshot);
        }
        let taken = Snapshot::take(self.sources.tables.as_ref(), self.sources.unflushed.as_ref(), self.table.id)?;
        Ok(self.snapshot.get_or_init(|| taken))
    }
}

#[async_trait]
impl TableProvider for TableRows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters decide what is read; they are also applied to the rows, here or above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = &self.table.schema;
        let asked = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let to_read = named::columns_to_read(table, &asked);
        // What rows do not carry cannot decide what is read of them.
        let registered = named::registered_names(table);
        let readable: Vec<Expr> = filters
            .iter()
            .filter(|filter| !filter.column_refs().iter().any(|column| registered.contains(column.name.as_str())))
            .cloned()
            .collect();
        let mut scan = Scan {
            session,
            readers: &self.sources.readers,
            snapshot: self.snapshot()?,
            table,
            schema: &self.schema,
            filters: &readable,
            projection: to_read.clone().unwrap_or_else(|| asked.clone()),
            limit: limit.filter(|_| filters.is_empty()),
            edges: EdgeRows::default(),
            groups: RowGroups::default(),
        };
        // Edges are those of series as rows tell them: tags from elsewhere are those of whole series.
        if let Some(edge) = self.edge {
            scan.edges = scan.edge_rows(edge, &self.sources.starts).await?;
        }
        scan.groups = scan.groups_with_words(&self.sources.words).await?;
        let rows = scan.plan()?;
        match to_read {
            None => Ok(rows),
            Some(columns) => named::with_registered_tags(rows, &self.table, table, &columns, asked.len()),
        }
    }
}
