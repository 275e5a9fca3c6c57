//! From a snapshot of a table to a physical plan that reads it.
//!
//! Segments whose times overlap nothing are scanned side by side and their statistics are exact; only the stretches of
//! time in which rows may meet go through the row merge. Segments are pruned by key columns (tags, time) wherever
//! they are, and by fields only where there is no merge: dropping the segment with the newest value would let an older
//! value answer.

mod edge_rows;
mod word_groups;

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::{DFSchema, DataFusionError, Result, Statistics, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema as FileTableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use crate::model::names::unique_name;
use crate::model::{ColumnKind, DeletedRows, RowIdentity, TableSchema};
use crate::storage::segment::Segment;

use super::chain::ChainExec;
use super::clusters::{Cluster, clusters, distribute};
use super::columns::{ByColumnId, adapt_rows, file_schema};
use super::deleted::without_deleted;
use super::edges::EdgeRows;
use super::live::{Folding, LiveRowsExec, apply};
use super::merge::{RowMergeExec, key_order};
use super::readers::SegmentFile;
use super::source::Snapshot;
use super::statistics::segment_statistics;
use super::words::RowGroups;

/// Where segments are, for the engine.
pub(super) const STORE_URL: &str = "tidegate://store";
/// Most files that one merge reads at once; more are merged in levels.
const MERGE_INPUTS_MAX: usize = 32;

/// Positions of the key columns in a table's SQL schema, in sort order: all tags, then time.
pub fn key_columns(table: &TableSchema) -> Vec<usize> {
    let tags = table.columns.iter().enumerate().filter(|(_, c)| c.kind == ColumnKind::Tag).map(|(i, _)| i + 1);
    tags.chain([0]).collect()
}

/// One scan of one table.
pub(super) struct Scan<'a> {
    pub session: &'a dyn Session,
    pub readers: &'a Arc<dyn ParquetFileReaderFactory>,
    pub snapshot: &'a Snapshot,
    /// The schema the query was planned with; the snapshot's may have more columns.
    pub table: &'a TableSchema,
    pub schema: &'a SchemaRef,
    pub filters: &'a [Expr],
    /// Positions of the columns asked for.
    pub projection: Vec<usize>,
    /// Rows enough for the asker; set only when no filter is left above.
    pub limit: Option<usize>,
    /// Of these segments only some rows are read.
    pub edges: EdgeRows,
    /// Of these segments only some row groups are read.
    pub groups: RowGroups,
}

impl Scan<'_> {
    /// The plan; its schema is the table's, projected.
    pub(super) fn plan(self) -> Result<Arc<dyn ExecutionPlan>> {
        let keys = key_columns(self.table);
        let over_keys = self.filters_over(&keys);
        let segments = self.prune(self.snapshot.segments().to_vec(), &over_keys)?;
        let mut parts = match self.table.identity {
            RowIdentity::Append => self.plain_parts(segments)?,
            RowIdentity::Series => self.merged_parts(segments, &keys, &over_keys)?,
        };
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&self.projection)?)))),
            1 => Ok(parts.swap_remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }

    fn plain_parts(&self, segments: Vec<Arc<Segment>>) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut segments = self.prune(segments, self.filters)?;
        segments.retain(|segment| !self.groups.leave_out(segment));
        let mut parts = self.plain_scan(segments)?;
        if !self.snapshot.live.is_empty() {
            let schema: SchemaRef = Arc::new(self.schema.project(&self.projection)?);
            parts.push(Arc::new(LiveRowsExec::new(self.live_rows(&schema)?, schema.clone(), schema, Folding::None)));
        }
        Ok(parts)
    }

    fn merged_parts(
        &self,
        segments: Vec<Arc<Segment>>,
        keys: &[usize],
        over_keys: &[Expr],
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let layout = MergeLayout::new(self.schema, keys, &self.projection)?;
        let mut live = self.live_rows(&layout.rows)?;
        if let Some(filter) = self.predicate(over_keys, &layout.rows)? {
            live = live.iter().map(|rows| apply(rows, [&filter].into_iter())).collect::<Result<_>>()?;
        }
        live.retain(|rows| rows.num_rows() > 0);
        let mut clusters = clusters(segments);
        let free = distribute(live, layout.time, &mut clusters)?;
        let (plain, overlapping): (Vec<_>, Vec<_>) = clusters.into_iter().partition(Cluster::is_plain);
        let plain = plain.into_iter().flat_map(|cluster| cluster.segments).collect();
        let mut parts = self.plain_scan(self.prune(plain, self.filters)?)?;
        let merges = overlapping.into_iter().map(|c| self.merge(c, &layout)).collect::<Result<Vec<_>>>()?;
        parts.extend(self.in_few_partitions(merges));
        if !free.is_empty() {
            let folding = Folding::ByKey(layout.keys.clone());
            let leaf = LiveRowsExec::new(free, layout.rows.clone(), layout.rows.clone(), folding);
            parts.push(layout.project(Arc::new(leaf), self)?);
        }
        Ok(parts)
    }

    /// Live rows with the columns of `schema`.
    fn live_rows(&self, schema: &SchemaRef) -> Result<Vec<datafusion::arrow::array::RecordBatch>> {
        let adapted = self.snapshot.live.iter().map(|rows| adapt_rows(rows, schema));
        Ok(adapted.collect::<std::result::Result<_, _>>()?)
    }

    fn filters_over(&self, columns: &[usize]) -> Vec<Expr> {
        let names: HashSet<&str> = columns.iter().map(|&c| self.schema.field(c).name().as_str()).collect();
        let sees_only = |filter: &&Expr| filter.column_refs().iter().all(|c| names.contains(c.name.as_str()));
        self.filters.iter().filter(sees_only).cloned().collect()
    }

    fn predicate(&self, filters: &[Expr], schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let schema = DFSchema::try_from(schema.clone())?;
        self.session.create_physical_expr(filter, &schema).map(Some)
    }

    /// Leaves out the segments whose statistics say that no row passes `filters`.
    fn prune(&self, segments: Vec<Arc<Segment>>, filters: &[Expr]) -> Result<Vec<Arc<Segment>>> {
        if segments.is_empty() {
            return Ok(segments);
        }
        let Some(filter) = self.predicate(filters, self.schema)? else { return Ok(segments) };
        let predicate = PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).try_build(filter);
        // Pruning only saves work: what cannot be decided is read.
        let Ok(predicate) = predicate else { return Ok(segments) };
        let statistics = segments.iter().map(|s| Arc::new(segment_statistics(s, self.table, self.schema))).collect();
        match predicate.prune(&PrunableStatistics::new(statistics, self.schema.clone())) {
            Ok(keep) => Ok(segments.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(s, _)| s).collect()),
            Err(_) => Ok(segments),
        }
    }

    /// Segments that need no merge.
    fn plain_scan(&self, segments: Vec<Arc<Segment>>) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut parts = Vec::new();
        let mut untouched = Vec::with_capacity(segments.len());
        for segment in segments {
            match self.deleted_from(&segment)? {
                None => untouched.push(segment),
                Some(deleted) => {
                    let layout = MergeLayout::new(self.schema, &key_columns(self.table), &self.projection)?;
                    let rows = self.scan_without(0, &segment, deleted, &layout.columns)?;
                    parts.push(layout.project(rows, self)?);
                }
            }
        }
        parts.extend(self.untouched_scan(untouched)?);
        Ok(parts)
    }

    /// Deletes that hold for a segment.
    fn deleted_from(&self, segment: &Segment) -> Result<Option<Arc<DeletedRows>>> {
        let tombstones = self.snapshot.table.as_ref().map(|table| table.tombstones_of(segment)).unwrap_or_default();
        Ok(if tombstones.is_empty() { None } else { Some(Arc::new(DeletedRows::of(tombstones)?)) })
    }

    /// One segment's rows without those that are deleted. `columns` (of the table, and its sequence behind them) hold the
    /// keys, which is what deletes speak of.
    fn scan_without(
        &self,
        place: u64,
        segment: &Arc<Segment>,
        deleted: Arc<DeletedRows>,
        columns: &[usize],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.segments_scan(&[(place, segment.clone())], columns.to_vec())?;
        without_deleted(rows, deleted, self.table)
    }

    /// Segments as they are, spread over as many partitions as the session wants, newest first in each.
    fn untouched_scan(&self, mut segments: Vec<Arc<Segment>>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if segments.is_empty() {
            return Ok(None);
        }
        segments.sort_by_key(|s| std::cmp::Reverse((s.time_max_ns, s.age())));
        let groups = segments.len().min(self.session.config().target_partitions().max(1));
        let mut files: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        let mut all = Vec::with_capacity(segments.len());
        for (i, segment) in segments.iter().enumerate() {
            let statistics = Arc::new(self.statistics(segment));
            files[i % groups].push(self.file(segment)?.with_statistics(statistics.clone()));
            all.push(statistics);
        }
        let total = Statistics::try_merge_iter(all.iter().map(|s| s.as_ref()), self.schema)?;
        // One file a group is sorted; several, one after the other, are not.
        let order = key_order(self.schema, &key_columns(self.table)).filter(|_| groups == segments.len());
        let table_schema = FileTableSchema::builder(self.schema.clone()).build();
        let config = FileScanConfigBuilder::new(store_url()?, self.source(table_schema))
            .with_file_groups(files.into_iter().map(FileGroup::new).collect())
            .with_statistics(total)
            .with_output_ordering(order.into_iter().collect())
            .with_projection_indices(Some(self.projection.clone()))?
            .with_expr_adapter(Some(Arc::new(ByColumnId)))
            .with_limit(self.limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    /// The rows of an overlapping stretch of time, each key once.
    fn merge(&self, cluster: Cluster, layout: &MergeLayout) -> Result<Arc<dyn ExecutionPlan>> {
        let mut segments = cluster.segments;
        segments.sort_by_key(|s| s.age());
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        // Neighbours in age are merged first, so a row of a lower level stands for a stretch of ages that no other input
        // reaches into.
        let has_levels = segments.len() > MERGE_INPUTS_MAX;
        let placed: Vec<(u64, Arc<Segment>)> = (0..).zip(segments).collect();
        for files in placed.chunks(MERGE_INPUTS_MAX) {
            let scans = self.merge_scans(files, layout)?;
            if has_levels {
                inputs.push(layout.merge(scans)?);
            } else {
                inputs.extend(scans);
            }
        }
        while inputs.len() > MERGE_INPUTS_MAX {
            let level: Vec<_> = inputs.chunks(MERGE_INPUTS_MAX).map(|group| layout.merge(group.to_vec())).collect();
            inputs = level.into_iter().collect::<Result<_>>()?;
        }
        if !cluster.live.is_empty() {
            let folding = Folding::ByKeyWithSequence(layout.keys.clone());
            let leaf = LiveRowsExec::new(cluster.live, layout.rows.clone(), layout.merged.clone(), folding);
            inputs.push(Arc::new(leaf));
        }
        layout.project(layout.merge(inputs)?, self)
    }

    /// Segments as inputs of a merge. Their places in order of age are what the merge tells older rows from newer ones by.
    fn merge_scans(
        &self,
        segments: &[(u64, Arc<Segment>)],
        layout: &MergeLayout,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let mut columns = layout.columns.clone();
        columns.push(self.schema.fields().len());
        let mut scans = Vec::new();
        let mut untouched = Vec::with_capacity(segments.len());
        for (place, segment) in segments {
            match self.deleted_from(segment)? {
                None => untouched.push((*place, segment.clone())),
                Some(deleted) => scans.push(self.scan_without(*place, segment, deleted, &columns)?),
            }
        }
        if !untouched.is_empty() {
            scans.push(self.segments_scan(&untouched, columns)?);
        }
        Ok(scans)
    }

    /// Segments with a partition each. `columns` are the table's, and behind them the segment's place in order of age.
    fn segments_scan(&self, segments: &[(u64, Arc<Segment>)], columns: Vec<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let sequence = Arc::new(sequence_field(self.schema));
        let table_schema =
            FileTableSchema::builder(self.schema.clone()).with_table_partition_cols(vec![sequence]).build();
        let order = key_order(self.schema, &key_columns(self.table));
        let mut groups = Vec::with_capacity(segments.len());
        for (place, segment) in segments {
            let file = self
                .file(segment)?
                .with_partition_values(vec![ScalarValue::UInt64(Some(*place))])
                .with_statistics(Arc::new(self.statistics(segment)))
                .with_ordering(order.clone());
            groups.push(FileGroup::new(vec![file]));
        }
        let config = FileScanConfigBuilder::new(store_url()?, self.source(table_schema))
            .with_file_groups(groups)
            .with_output_ordering(order.into_iter().collect())
            .with_projection_indices(Some(columns))?
            .with_expr_adapter(Some(Arc::new(ByColumnId)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Many merges take turns, so that they do not all open their files at once.
    fn in_few_partitions(&self, merges: Vec<Arc<dyn ExecutionPlan>>) -> Vec<Arc<dyn ExecutionPlan>> {
        let partitions = self.session.config().target_partitions().max(1);
        if merges.len() <= partitions {
            return merges;
        }
        vec![Arc::new(ChainExec::new(merges, partitions))]
    }

    fn source(&self, table_schema: FileTableSchema) -> Arc<ParquetSource> {
        Arc::new(ParquetSource::new(table_schema).with_parquet_file_reader_factory(self.readers.clone()))
    }

    /// Exact, unless not all of its rows are read.
    fn statistics(&self, segment: &Segment) -> Statistics {
        let statistics = segment_statistics(segment, self.table, self.schema);
        if self.edges.selection(segment).is_some() || self.groups.access(segment).is_some() {
            statistics.to_inexact()
        } else {
            statistics
        }
    }

    fn file(&self, segment: &Arc<Segment>) -> Result<PartitionedFile> {
        let location = Path::parse(&segment.path).map_err(|e| DataFusionError::External(Box::new(e)))?;
        let meta = ObjectMeta {
            location,
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: segment.size_bytes,
            e_tag: None,
            version: None,
        };
        let file = PartitionedFile::new_from_meta(meta).with_extension(SegmentFile::new(segment.clone()));
        let file = match (self.edges.selection(segment), self.groups.access(segment)) {
            (Some(rows), _) => file.with_extension(rows),
            (None, Some(groups)) => file.with_extension(groups),
            (None, None) => file,
        };
        let table = self.snapshot.table.as_ref().map_or(self.table, |table| &table.schema);
        Ok(match file_schema(segment, table) {
            Some(schema) => file.with_arrow_schema(schema),
            None => file,
        })
    }
}

fn store_url() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(STORE_URL)
}

/// Registers `store` where scans look for segments.
pub(super) fn register_store(
    runtime: &datafusion::execution::runtime_env::RuntimeEnv,
    store: Arc<dyn ObjectStore>,
) -> Result<()> {
    runtime.register_object_store(store_url()?.as_ref(), store);
    Ok(())
}

/// The column behind those of a table that says how new a row is.
fn sequence_field(schema: &SchemaRef) -> Field {
    let name = unique_name("sequence", |name| schema.field_with_name(name).is_ok());
    Field::new(name, DataType::UInt64, false)
}

/// The columns a merge works on: keys and what was asked for, in the order of the table, and the sequence last.
struct MergeLayout {
    /// Positions in the table's schema.
    columns: Vec<usize>,
    /// Schema of `columns`.
    rows: SchemaRef,
    /// Schema of `columns` and the sequence.
    merged: SchemaRef,
    /// Positions of the keys in `rows`, in sort order.
    keys: Vec<usize>,
    /// Position of time in `rows`.
    time: usize,
}

impl MergeLayout {
    fn new(schema: &SchemaRef, keys: &[usize], projection: &[usize]) -> Result<MergeLayout> {
        let mut columns: Vec<usize> = keys.iter().chain(projection).copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let rows: SchemaRef = Arc::new(schema.project(&columns)?);
        let sequence = Arc::new(sequence_field(schema));
        let fields: Vec<_> = rows.fields().iter().cloned().chain([sequence]).collect();
        let merged = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
        let keys: Vec<usize> = keys.iter().filter_map(|key| columns.binary_search(key).ok()).collect();
        let Some(&time) = keys.last() else { return internal_err!("time is a key of every table") };
        Ok(MergeLayout { columns, rows, merged, keys, time })
    }

    fn sequence(&self) -> usize {
        self.columns.len()
    }

    fn merge(&self, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RowMergeExec::try_new(inputs, self.keys.clone(), self.sequence())?))
    }

    /// Only the columns that were asked for.
    fn project(&self, plan: Arc<dyn ExecutionPlan>, scan: &Scan<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = plan.schema();
        let mut columns = Vec::with_capacity(scan.projection.len());
        for position in &scan.projection {
            let Ok(at) = self.columns.binary_search(position) else {
                return internal_err!("a column asked for is not read");
            };
            let name = schema.field(at).name();
            columns.push(ProjectionExpr { expr: Arc::new(Column::new(name, at)), alias: name.clone() });
        }
        Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
    }
}
