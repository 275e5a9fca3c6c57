//! The row merge: sorted inputs whose rows may share keys become one sorted stream in which every key is once.

mod keys;
mod stretches;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};

use super::fold::ROW_ORDER;
use stretches::{MergedRows, Merging};

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
        let merging = Merging {
            schema: self.schema(),
            keys: self.keys.clone(),
            sequence: self.sequence,
            batch_rows: context.session_config().batch_size(),
        };
        // Inputs are read beside each other, and beside the merge.
        let streams = streams.into_iter().map(|stream| spawn_buffered(stream, 1)).collect();
        let reservation = MemoryConsumer::new("RowMergeExec").register(context.memory_pool());
        let merged = MergedRows::new(streams, merging, reservation, BaselineMetrics::new(&self.metrics, partition));
        Ok(Box::pin(cooperative(merged)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
