//! A bound on the points that one query reads: the values of fields in the rows that come out of its leaves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::model::schema::META_KIND;

/// An extension of a session whose queries may read so many points.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointsMax(pub u64);

/// The same plan, which fails once its leaves have read more than `max` points together. What is read is counted before rows of one
/// key are made one.
pub(super) fn bounded(plan: Arc<dyn ExecutionPlan>, max: PointsMax) -> Result<Arc<dyn ExecutionPlan>> {
    let read = Arc::new(AtomicU64::new(0));
    let count = |node: Arc<dyn ExecutionPlan>| {
        Ok(match node.children().is_empty() {
            true => Transformed::yes(Arc::new(CountedExec { input: node, read: read.clone(), max: max.0 }) as _),
            false => Transformed::no(node),
        })
    };
    plan.transform_up(count).data()
}

/// Counts what a leaf reads.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    /// By all leaves of the plan.
    read: Arc<AtomicU64>,
    max: u64,
}

impl DisplayAs for CountedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountedExec: max={}", self.max)
    }
}

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        "CountedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("what is counted is one input");
        };
        Ok(Arc::new(CountedExec { input, read: self.read.clone(), max: self.max }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let (schema, read, max) = (rows.schema(), self.read.clone(), self.max);
        let planned = self.input.schema();
        let is_field = |at: &usize| planned.field(*at).metadata().get(META_KIND).is_some_and(|kind| kind == "field");
        let fields: Vec<usize> = (0..planned.fields().len()).filter(is_field).collect();
        let counted = rows.map(move |batch| {
            let batch = batch?;
            let points = points(&batch, &fields);
            let total = read.fetch_add(points, Ordering::Relaxed).saturating_add(points);
            match total > max {
                // The original's spelling, which clients may look for.
                true => {
                    let text = format!("max-select-point limit exceeed: ({total}/{max})");
                    Err(DataFusionError::Execution(text))
                }
                false => Ok(batch),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}

/// Values in the columns at `fields`.
fn points(batch: &RecordBatch, fields: &[usize]) -> u64 {
    let columns = fields.iter().map(|&at| batch.column(at));
    columns.map(|column| column.len() - column.null_count()).sum::<usize>() as u64
}
