//! The leaf that reads rows not in segments yet.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use datafusion::arrow::compute::{filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};

use super::fold::sort_and_fold;
use super::merge::key_order;

/// The sequence that live rows carry into a merge: they are newer than every segment.
pub(super) const LIVE_SEQUENCE: u64 = u64::MAX;

/// What becomes of the rows before they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folding {
    /// Every row is a row.
    None,
    /// Sorted by these columns, and rows of equal keys made one.
    ByKey(Vec<usize>),
    /// The same, and a last column is added that holds [`LIVE_SEQUENCE`].
    ByKeyWithSequence(Vec<usize>),
}

impl Folding {
    fn keys(&self) -> Option<&[usize]> {
        match self {
            Folding::None => None,
            Folding::ByKey(keys) | Folding::ByKeyWithSequence(keys) => Some(keys),
        }
    }
}

/// Live rows as one partition. It takes every filter: those over keys apply before rows are made one, the others after.
#[derive(Debug, Clone)]
pub(super) struct LiveRowsExec {
    /// In order of writing.
    batches: Vec<RecordBatch>,
    /// Of `batches`.
    row_schema: SchemaRef,
    folding: Folding,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

type Filters<'a> = Vec<&'a Arc<dyn PhysicalExpr>>;

impl LiveRowsExec {
    /// `schema` is what comes out: that of `batches`, and the sequence column where `folding` adds it.
    pub(super) fn new(batches: Vec<RecordBatch>, row_schema: SchemaRef, schema: SchemaRef, folding: Folding) -> Self {
        let order = folding.keys().and_then(|keys| key_order(&schema, keys));
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, order),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        LiveRowsExec {
            batches,
            row_schema,
            folding,
            filters: Vec::new(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Filters that see only key columns, and the others.
    fn filters_by_reach(&self) -> (Filters<'_>, Filters<'_>) {
        let keys: HashSet<usize> = self.folding.keys().unwrap_or(&[]).iter().copied().collect();
        self.filters.iter().partition(|filter| collect_columns(filter).iter().all(|c| keys.contains(&c.index())))
    }

    fn compute(&self, reservation: &MemoryReservation) -> Result<Vec<RecordBatch>> {
        let (over_keys, others) = self.filters_by_reach();
        let Some(keys) = self.folding.keys() else {
            return self.batches.iter().map(|rows| apply(rows, self.filters.iter())).collect();
        };
        let kept =
            self.batches.iter().map(|rows| apply(rows, over_keys.iter().copied())).collect::<Result<Vec<_>>>()?;
        // The sorted copy, and the encoded keys it is sorted by.
        let bytes: usize = kept.iter().map(sliced_bytes).sum();
        reservation.try_grow(bytes.saturating_mul(2))?;
        let rows = apply(&sort_and_fold(&kept, &self.row_schema, keys)?, others.into_iter())?;
        Ok(vec![match self.folding {
            Folding::ByKeyWithSequence(_) => self.with_sequence(&rows)?,
            _ => rows,
        }])
    }

    fn with_sequence(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let sequence: ArrayRef = Arc::new(UInt64Array::from_value(LIVE_SEQUENCE, rows.num_rows()));
        let columns = rows.columns().iter().cloned().chain([sequence]).collect();
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

/// Bytes of the rows themselves, not of all that their buffers hold.
fn sliced_bytes(rows: &RecordBatch) -> usize {
    rows.columns()
        .iter()
        .map(|c| c.to_data().get_slice_memory_size().unwrap_or_else(|_| c.get_array_memory_size()))
        .sum()
}

/// The rows that every filter says yes to.
pub(super) fn apply<'a>(
    rows: &RecordBatch,
    filters: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>,
) -> Result<RecordBatch> {
    let mut rows = rows.clone();
    for filter in filters {
        let verdict = filter.evaluate(&rows)?.into_array(rows.num_rows())?;
        let Some(verdict) = verdict.as_boolean_opt() else {
            return internal_err!("a filter answers yes or no");
        };
        rows = match verdict.nulls() {
            Some(_) => filter_record_batch(&rows, &prep_null_mask_filter(verdict))?,
            None => filter_record_batch(&rows, verdict)?,
        };
    }
    Ok(rows)
}

impl DisplayAs for LiveRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveRowsExec: rows={}, merged={}", self.rows(), self.folding != Folding::None)?;
        for filter in &self.filters {
            write!(f, ", filter={filter}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for LiveRowsExec {
    fn name(&self) -> &str {
        "LiveRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut next = TreeNodeRecursion::Continue;
        for filter in &self.filters {
            next = next.visit_sibling(|| visit(filter))?;
        }
        Ok(next)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters: Vec<_> = result.parent_filters.into_iter().map(|parent| parent.filter).collect();
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::Yes; filters.len()]);
        if filters.is_empty() {
            return Ok(answer);
        }
        let mut filtered = self.clone();
        filtered.metrics = ExecutionPlanMetricsSet::new();
        filtered.filters.extend(filters);
        Ok(answer.with_updated_node(Arc::new(filtered)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = match (&self.folding, self.filters.is_empty()) {
            (Folding::None, true) => Precision::Exact(self.rows()),
            _ => Precision::Inexact(self.rows()),
        };
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let leaf = self.clone();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let reservation = MemoryConsumer::new("LiveRowsExec").register(context.memory_pool());
        let batch_size = context.session_config().batch_size();
        let batches = async move {
            let timer = metrics.elapsed_compute().timer();
            let rows = leaf.compute(&reservation)?;
            timer.done();
            let slices = rows.into_iter().flat_map(move |rows| {
                let starts = (0..rows.num_rows()).step_by(batch_size);
                starts.map(move |at| rows.slice(at, batch_size.min(rows.num_rows() - at))).collect::<Vec<_>>()
            });
            // The reservation lives as long as the rows do.
            Ok::<_, DataFusionError>(futures::stream::iter(slices).map(move |rows| {
                let _held = &reservation;
                Ok(rows.record_output(&metrics))
            }))
        };
        let stream = futures::stream::once(batches).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
