//! The physical operator: a task for each partition of its input gathers series, then groups are made one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::runtime::JoinSet;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, exec_err, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;
use tokio::sync::mpsc::Sender;

use super::collect::{Collector, Tags};
use super::column::{Column, Number, Pieces, filled, filled_len, is_interleaved, joined, rates};
use super::combine::Combination;
use super::emit::{Rows, SCHEMA};
use super::spec::GroupSpec;

/// Batches that wait for a slow reader.
const BATCHES_MAX: usize = 2;
/// Instants of a group between two looks at whether anybody still waits.
const SLICE: usize = 4096;

/// What a message begins with when rows of a series came in no order although buckets were made of them early.
pub(in crate::query::opentsdb) const INTERLEAVED: &str = "rows of a series are interleaved";

#[derive(Debug)]
pub(super) struct GroupsExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<GroupSpec>,
    properties: Arc<PlanProperties>,
}

impl GroupsExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<GroupSpec>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(SCHEMA.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        GroupsExec { input, spec, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GroupsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups: aggregator={}", self.spec.aggregator.name)
    }
}

impl ExecutionPlan for GroupsExec {
    fn name(&self) -> &str {
        "Groups"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::UnspecifiedDistribution])
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
        Ok(Arc::new(GroupsExec::new(input, self.spec.clone())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("{} has one partition", self.name());
        }
        let partitions = self.input.output_partitioning().partition_count();
        let inputs = (0..partitions).map(|partition| self.input.execute(partition, context.clone()));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let pool = context.memory_pool();
        let gathered = MemoryConsumer::new("series").register(pool);
        let grouping = MemoryConsumer::new("groups").register(pool);
        let spec = self.spec.clone();
        let mut builder = RecordBatchReceiverStream::builder(SCHEMA.clone(), BATCHES_MAX);
        let sender = builder.tx();
        builder.spawn(async move {
            let (series, _gathered) = gather(inputs, &spec, gathered).await?;
            emit(series, &spec, &grouping, &sender).await
        });
        Ok(builder.build())
    }
}

/// Pieces of series from several partitions.
type Gathered = Vec<(Tags, Vec<Pieces>)>;

async fn gather(
    inputs: Vec<SendableRecordBatchStream>,
    spec: &Arc<GroupSpec>,
    memory: MemoryReservation,
) -> Result<(Gathered, Vec<MemoryReservation>)> {
    let mut tasks = JoinSet::new();
    for mut input in inputs {
        let mut collector = Collector::new(spec.clone());
        let memory = memory.new_empty();
        tasks.spawn(async move {
            while let Some(batch) = input.try_next().await? {
                collector.push(&batch)?;
                memory.try_resize(collector.bytes())?;
            }
            Ok::<_, DataFusionError>((collector, memory))
        });
    }
    let mut series: Gathered = Vec::new();
    let mut by_tags: AHashMap<Tags, usize> = AHashMap::new();
    let mut memories = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (collector, memory) = done.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
        memories.push(memory);
        // A series of filtered rows may have had no values at all.
        for (tags, pieces) in collector.into_series().into_iter().filter(|(_, pieces)| !pieces.pieces.is_empty()) {
            match by_tags.get(&tags) {
                Some(&at) => series[at].1.push(pieces),
                None => {
                    by_tags.insert(tags.clone(), series.len());
                    series.push((tags, vec![pieces]));
                }
            }
        }
    }
    Ok((series, memories))
}

/// Sends the groups; ends early when nobody waits.
async fn emit(
    mut series: Gathered,
    spec: &GroupSpec,
    memory: &MemoryReservation,
    sender: &Sender<Result<RecordBatch>>,
) -> Result<()> {
    if series.iter().any(|(_, parts)| is_interleaved(parts)) {
        return exec_err!("{INTERLEAVED}");
    }
    let mut rows = Rows::new(spec.query);
    let unseen = unseen(&series, spec);
    if !unseen.is_empty() {
        rows.unseen(unseen.iter().map(String::as_str));
        if sender.send(Ok(rows.take()?)).await.is_err() {
            return Ok(());
        }
    }
    in_series_order(&mut series, spec);
    for group in groups(series, spec) {
        let held: usize = group.iter().flat_map(|(_, parts)| parts).map(Pieces::bytes).sum();
        memory.try_resize(held + filled_bytes(spec, group.len()))?;
        let (tags, parts): (Vec<Tags>, Vec<Vec<Pieces>>) = group.into_iter().unzip();
        let mut columns = Vec::with_capacity(parts.len());
        for parts in parts {
            columns.push(prepared(parts, spec));
            tokio::task::consume_budget().await;
        }
        rows.begin(Some(&tags));
        let is_rate = spec.rate.is_some();
        let mut source = match spec.aggregator.function {
            Some(function) => Source::Combined(Combination::new(columns, function, spec.aggregator.missing, is_rate)),
            // One series; its first rate is not shown.
            None => Source::Single(columns.into_iter().next().unwrap_or_default(), usize::from(is_rate)),
        };
        memory.try_resize(source.bytes())?;
        let mut steps = 0;
        while let Some((time, value)) = source.step(spec.range_ms.0) {
            if time > spec.range_ms.1 {
                break;
            }
            if let Some(value) = value {
                if matches!(value, Number::Float(value) if value.is_infinite()) {
                    return exec_err!("a value of the answer is infinite, at {time}");
                }
                rows.point(time, value);
            }
            steps += 1;
            if steps % SLICE == 0 {
                // Whoever has gone is noticed here.
                tokio::task::yield_now().await;
            }
            if rows.is_full() {
                rows.end();
                if sender.send(Ok(rows.take()?)).await.is_err() {
                    return Ok(());
                }
                rows.begin(None::<[&Tags; 0]>);
            }
        }
        rows.end();
        if rows.is_full() && sender.send(Ok(rows.take()?)).await.is_err() {
            return Ok(());
        }
    }
    if !rows.is_empty() {
        // That nobody waits any more is no error.
        let _ = sender.send(Ok(rows.take()?)).await;
    }
    Ok(())
}

/// Where the points of a group come from.
enum Source {
    Combined(Combination),
    /// A series as it is, from so many points on.
    Single(Column, usize),
}

impl Source {
    fn step(&mut self, from: i64) -> Option<(i64, Option<Number>)> {
        match self {
            Source::Combined(combination) => combination.step(from),
            Source::Single(column, at) => {
                let time = *column.times.get(*at)?;
                let value = (time >= from).then(|| column.number(*at));
                *at += 1;
                Some((time, value))
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Source::Combined(combination) => combination.bytes(),
            Source::Single(column, _) => column.bytes(),
        }
    }
}

/// A series downsampled, filled and made rates of.
fn prepared(parts: Vec<Pieces>, spec: &GroupSpec) -> Column {
    let mut column = joined(parts, spec.sampling.as_ref(), spec.window);
    if let Some(sampling) = &spec.sampling {
        column = filled(column, sampling, spec.window);
    }
    match &spec.rate {
        Some(options) => rates(&column, options),
        None => column,
    }
}

/// What the fills of so many series take.
fn filled_bytes(spec: &GroupSpec, series: usize) -> usize {
    const POINT: usize = 16;
    let len = spec.sampling.as_ref().and_then(|sampling| filled_len(sampling, spec.window)).unwrap_or_default();
    len.saturating_mul(POINT).saturating_mul(series)
}

/// By tag keys and values, as rows of the original's store lie.
fn in_series_order(series: &mut Gathered, spec: &GroupSpec) {
    let mut keys: Vec<usize> = (0..spec.tags.len()).collect();
    keys.sort_by(|&a, &b| spec.tags[a].cmp(&spec.tags[b]));
    let pairs = |tags: &Tags| -> Vec<(usize, Arc<str>)> {
        keys.iter().enumerate().filter_map(|(rank, &key)| Some((rank, tags[key].clone()?))).collect()
    };
    series.sort_by_cached_key(|(tags, _)| pairs(tags));
}

/// Series in groups, by the values of the tags that group.
fn groups(series: Gathered, spec: &GroupSpec) -> Vec<Gathered> {
    if spec.aggregator.function.is_none() {
        return series.into_iter().map(|one| vec![one]).collect();
    }
    let by =
        |filter: &crate::query::opentsdb::filter::TagFilter| spec.tags.iter().position(|tag| **tag == *filter.tagk);
    let mut grouping: Vec<usize> = spec.filters.iter().filter(|filter| filter.group_by).filter_map(by).collect();
    grouping.sort_unstable();
    grouping.dedup();
    let mut groups: BTreeMap<Vec<Option<Arc<str>>>, Gathered> = BTreeMap::new();
    for (tags, parts) in series {
        let key = grouping.iter().map(|&at| tags[at].clone()).collect();
        groups.entry(key).or_default().push((tags, parts));
    }
    groups.into_values().collect()
}

/// Values that filters name and none of the series has.
fn unseen(series: &Gathered, spec: &GroupSpec) -> Vec<String> {
    let mut unseen = Vec::new();
    let mut seen: AHashMap<&str, AHashSet<&str>> = AHashMap::new();
    for filter in &spec.filters {
        let Some(named) = filter.literals() else { continue };
        let seen = seen.entry(&filter.tagk).or_insert_with(|| {
            let at = spec.tags.iter().position(|tag| **tag == *filter.tagk);
            at.map(|at| series.iter().filter_map(|(tags, _)| tags[at].as_deref()).collect()).unwrap_or_default()
        });
        unseen.extend(named.into_iter().filter(|value| !seen.contains(value)).map(str::to_string));
    }
    unseen
}
