//! The row merge: sorted inputs whose rows may share keys become one sorted stream in which every key is once.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, make_comparator};
use datafusion::arrow::compute::{concat_batches, partition};
use datafusion::arrow::datatypes::{SchemaRef, UInt64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt};

use super::fold::{ROW_ORDER, fold_sorted};

/// The order of rows in segments and out of a merge: by the columns at `keys`. `None` when there are none.
pub(super) fn key_order(schema: &SchemaRef, keys: &[usize]) -> Option<LexOrdering> {
    LexOrdering::new(keys.iter().map(|&key| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(schema.field(key).name(), key));
        PhysicalSortExpr::new(column, ROW_ORDER)
    }))
}

/// Merges all partitions of its inputs. Each partition is sorted by `keys` and has no two rows of one key; the column
/// `sequence` (UInt64) tells which of two equal rows from different partitions is newer. The row that comes out has the
/// newest value of each field that is not null, and the sequence of the newest row.
///
/// Only filters over key columns pass below: a filter over a field would drop the newest value and let an older one through.
#[derive(Debug)]
pub(super) struct RowMergeExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    keys: Vec<usize>,
    sequence: usize,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RowMergeExec {
    /// Inputs have one schema, in which `keys` (not empty, in sort order) and `sequence` are positions.
    pub(super) fn try_new(inputs: Vec<Arc<dyn ExecutionPlan>>, keys: Vec<usize>, sequence: usize) -> Result<Self> {
        let Some(first) = inputs.first() else { return internal_err!("a row merge has inputs") };
        let schema = first.schema();
        let Some(order) = key_order(&schema, &keys) else { return internal_err!("a row merge has keys") };
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [order.clone()]),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(RowMergeExec {
            inputs,
            keys,
            sequence,
            order,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for RowMergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowMergeExec: keys=[{}]", self.order)
    }
}

impl ExecutionPlan for RowMergeExec {
    fn name(&self) -> &str {
        "RowMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::UnspecifiedDistribution; self.inputs.len()])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(self.order.clone().into()); self.inputs.len()]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RowMergeExec::try_new(children, self.keys.clone(), self.sequence)?))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let keys = || self.keys.iter().copied().collect();
        self.inputs.iter().try_fold(FilterDescription::new(), |all, input| {
            Ok(all.with_child(ChildFilterDescription::from_child_with_allowed_indices(&parents, keys(), input)?))
        })
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a row merge has one partition");
        }
        let mut streams = Vec::new();
        for input in &self.inputs {
            for partition in 0..input.properties().partitioning.partition_count() {
                streams.push(input.execute(partition, context.clone())?);
            }
        }
        if streams.len() == 1 {
            return Ok(streams.swap_remove(0));
        }
        let merged = StreamingMergeBuilder::new()
            .with_streams(streams)
            .with_schema(self.schema())
            .with_expressions(&self.order)
            .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), partition))
            .with_batch_size(context.session_config().batch_size())
            .with_reservation(MemoryConsumer::new("RowMergeExec").register(context.memory_pool()))
            .build()?;
        let folded = Folded {
            input: merged,
            keys: self.keys.clone(),
            sequence: self.sequence,
            held: None,
            ready: VecDeque::new(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), folded)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Folds a sorted stream. The last batch is held back until the next one shows whether its last key goes on.
struct Folded {
    input: SendableRecordBatchStream,
    keys: Vec<usize>,
    sequence: usize,
    held: Option<RecordBatch>,
    ready: VecDeque<RecordBatch>,
    metrics: BaselineMetrics,
}

impl Folded {
    /// Takes the next batch (not empty) of the sorted stream.
    fn push(&mut self, next: RecordBatch) -> Result<(), ArrowError> {
        let Some(held) = self.held.take() else {
            self.held = Some(next);
            return Ok(());
        };
        if !self.same_key(&held, &next)? {
            self.emit(&held)?;
            self.held = Some(next);
            return Ok(());
        }
        // One key on both sides of the border: its rows, few as they are, make a batch of their own.
        let tail = self.runs(&held)?.last().map_or(0, |run| run.start);
        let head = self.runs(&next)?.first().map_or(0, |run| run.end);
        if tail > 0 {
            self.emit(&held.slice(0, tail))?;
        }
        let shared = [held.slice(tail, held.num_rows() - tail), next.slice(0, head)];
        let shared = concat_batches(&next.schema(), &shared)?;
        if head == next.num_rows() {
            self.held = Some(shared);
        } else {
            self.emit(&shared)?;
            self.held = Some(next.slice(head, next.num_rows() - head));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        match self.held.take() {
            Some(held) => self.emit(&held),
            None => Ok(()),
        }
    }

    fn emit(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let runs = self.runs(rows)?;
        let sequence = rows.column(self.sequence).as_primitive::<UInt64Type>();
        self.ready.push_back(fold_sorted(rows, &self.keys, &runs, |row| sequence.value(row as usize))?);
        Ok(())
    }

    fn key_columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.keys.iter().map(|&key| rows.column(key).clone()).collect()
    }

    fn runs(&self, rows: &RecordBatch) -> Result<Vec<std::ops::Range<usize>>, ArrowError> {
        Ok(partition(&self.key_columns(rows))?.ranges())
    }

    /// Whether the last row of `a` and the first of `b` have one key.
    fn same_key(&self, a: &RecordBatch, b: &RecordBatch) -> Result<bool, ArrowError> {
        for &key in self.keys.iter().rev() {
            let compare = make_comparator(a.column(key).as_ref(), b.column(key).as_ref(), ROW_ORDER)?;
            if compare(a.num_rows() - 1, 0).is_ne() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Stream for Folded {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rows) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(rows.record_output(&self.metrics))));
            }
            let step = match ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(rows)) if rows.num_rows() == 0 => continue,
                Some(Ok(rows)) => self.push(rows),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.held.is_none() => return Poll::Ready(None),
                None => self.finish(),
            };
            if let Err(error) = step {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
    }
}
