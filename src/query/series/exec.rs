//! The physical operator over series: what it needs of its input, and the stream that drives an operation.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt};

/// Something done to sorted series, row after row.
pub(super) trait Operation: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// What EXPLAIN says behind the name.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// A fresh run; it makes batches of about so many rows.
    fn run(&self, batch_rows: usize) -> Result<Box<dyn Run>>;
}

/// What a run has to give.
#[derive(Debug)]
pub(super) enum Next {
    Rows(RecordBatch),
    /// Nothing before it has more input.
    Nothing,
    /// Nothing yet, but a slice of longer work is done.
    Busy,
}

/// One pass of an [`Operation`] over its input. [`Run::next`] is called until it has nothing more before each push and
/// after the end.
pub(super) trait Run: Send {
    /// Takes the next rows of the input.
    fn push(&mut self, rows: RecordBatch) -> Result<()>;

    /// There are no more rows.
    fn finish(&mut self) -> Result<()>;

    /// The next rows of the output that can be made.
    fn next(&mut self) -> Result<Next>;

    /// Memory held.
    fn bytes(&self) -> usize;

    /// No more input is wanted.
    fn done(&self) -> bool {
        false
    }
}

/// Runs an [`Operation`] over one partition, sorted by `order`; its rows are sorted by `output_order`.
#[derive(Debug)]
pub(super) struct SeriesExec {
    input: Arc<dyn ExecutionPlan>,
    operation: Arc<dyn Operation>,
    order: LexOrdering,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        operation: Arc<dyn Operation>,
        order: LexOrdering,
        schema: SchemaRef,
        output_order: LexOrdering,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [output_order]),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let properties = Arc::new(properties);
        SeriesExec { input, operation, order, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for SeriesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation.name())?;
        self.operation.describe(f)
    }
}

impl ExecutionPlan for SeriesExec {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(self.order.clone().into())]
    }

    // The order is its own: no sort that is wanted above may take the place of the one below.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
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
            return internal_err!("{} has one input", self.name());
        };
        Ok(Arc::new(SeriesExec {
            input,
            operation: self.operation.clone(),
            order: self.order.clone(),
            properties: self.properties.clone(),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("{} has one partition", self.name());
        }
        let stream = SeriesStream {
            input: Some(self.input.execute(0, context.clone())?),
            run: self.operation.run(context.session_config().batch_size())?,
            reservation: MemoryConsumer::new(self.name()).register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        Ok(make_cooperative(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct SeriesStream {
    /// `None` when it has ended or is not wanted any more.
    input: Option<SendableRecordBatchStream>,
    run: Box<dyn Run>,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl SeriesStream {
    fn push(&mut self, rows: RecordBatch) -> Result<()> {
        self.run.push(rows)?;
        self.reservation.try_resize(self.run.bytes())?;
        if self.run.done() {
            self.input = None;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.input = None;
        self.run.finish()?;
        self.reservation.try_resize(self.run.bytes())
    }
}

impl Stream for SeriesStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let metrics = self.metrics.elapsed_compute().clone();
        loop {
            let next = {
                let _timer = metrics.timer();
                self.run.next()
            };
            match next {
                Ok(Next::Rows(rows)) => return Poll::Ready(Some(Ok(rows.record_output(&self.metrics)))),
                Ok(Next::Nothing) => {}
                Ok(Next::Busy) => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(error) => {
                    self.input = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let Some(input) = &mut self.input else { return Poll::Ready(None) };
            let rows = ready!(input.poll_next_unpin(context));
            let _timer = metrics.timer();
            let step = match rows {
                Some(Ok(rows)) if rows.num_rows() == 0 => continue,
                Some(Ok(rows)) => self.push(rows),
                Some(Err(error)) => Err(error),
                None => self.finish(),
            };
            if let Err(error) = step {
                self.input = None;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}
