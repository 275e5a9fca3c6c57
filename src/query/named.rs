//! Tags of named series: rows carry the name of their series, and the registry says what its tags are now.
//!
//! So a tag that changes rewrites no row, and a row's key never changes. Rows of other series (written by a protocol that
//! knows no names) keep the tags they carry.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{ChildFilterDescription, FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::catalog::Table;
use crate::model::{ColumnKind, NamedSeries, TableSchema};

use super::merge::key_order;

/// The registry as one scan sees it.
type Registry = Arc<BTreeMap<Arc<str>, Arc<NamedSeries>>>;

/// Which columns of a table a scan must read so that the registry's tags can be put into those at `projection`; `None`
/// when it asks for none of them.
pub(super) fn columns_to_read(table: &TableSchema, projection: &[usize]) -> Option<Vec<usize>> {
    let name = position(table, table.series_name_tag()?.id.0)?;
    let asks = projection.iter().any(|&at| at > 0 && table.columns[at - 1].in_registry);
    if !asks {
        return None;
    }
    let mut columns = projection.to_vec();
    if !columns.contains(&name) {
        columns.push(name);
    }
    Some(columns)
}

fn position(table: &TableSchema, id: u32) -> Option<usize> {
    table.columns.iter().position(|column| column.id.0 == id).map(|at| at + 1)
}

/// `rows` has the columns at `columns` (see [`columns_to_read`]); the result has the first `asked` of them, with tags as the registry
/// knows them.
pub(super) fn with_registered_tags(
    rows: Arc<dyn ExecutionPlan>,
    table: &Table,
    schema: &TableSchema,
    columns: &[usize],
    asked: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let name = schema.series_name_tag().and_then(|tag| position(schema, tag.id.0));
    let Some(name) = name.and_then(|at| columns.iter().position(|&column| column == at)) else {
        return internal_err!("the name of the series is read");
    };
    let registered = |&at: &usize| match at.checked_sub(1).map(|at| &schema.columns[at]) {
        Some(column) if column.in_registry => Some(column.id.0),
        _ => None,
    };
    let tags = columns[..asked].iter().map(registered).collect();
    Ok(Arc::new(NamedSeriesExec::new(rows, table.series.clone(), name, tags)))
}

#[derive(Debug)]
struct NamedSeriesExec {
    input: Arc<dyn ExecutionPlan>,
    registry: Registry,
    /// Position of the series' name in the input.
    name: usize,
    /// For each column of the output the registry's number of the tag to put in; columns are those of the input, from the first.
    tags: Vec<Option<u32>>,
    properties: Arc<PlanProperties>,
}

impl NamedSeriesExec {
    fn new(input: Arc<dyn ExecutionPlan>, registry: Registry, name: usize, tags: Vec<Option<u32>>) -> Self {
        let fields: Vec<_> = input.schema().fields()[..tags.len()].to_vec();
        let schema: SchemaRef = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
        let given = input.properties();
        // Only the leading columns of the order that stay as they are still tell it.
        let order = given.output_ordering().map(|order| {
            let columns = order.iter().map_while(|sort| {
                let column = sort.expr.downcast_ref::<datafusion::physical_expr::expressions::Column>()?;
                let at = column.index();
                (at < tags.len() && tags[at].is_none()).then_some(at)
            });
            columns.collect::<Vec<_>>()
        });
        let order = order.and_then(|keys| key_order(&schema, &keys));
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, order),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(given.partitioning.partition_count()),
            given.emission_type,
            given.boundedness,
        );
        NamedSeriesExec { input, registry, name, tags, properties: Arc::new(properties) }
    }
}

impl DisplayAs for NamedSeriesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedSeriesExec: series={}", self.registry.len())
    }
}

impl ExecutionPlan for NamedSeriesExec {
    fn name(&self) -> &str {
        "NamedSeriesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![datafusion::physical_expr::Distribution::UnspecifiedDistribution])
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
            return internal_err!("{} has one input", self.name());
        };
        Ok(Arc::new(NamedSeriesExec::new(input, self.registry.clone(), self.name, self.tags.clone())))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    /// Filters over tags of the registry are applied above.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let kept: HashSet<usize> = (0..self.tags.len()).filter(|&at| self.tags[at].is_none()).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(&parents, kept, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (registry, name, tags) = (self.registry.clone(), self.name, self.tags.clone());
        let schema = self.schema();
        let filled = schema.clone();
        let rows =
            self.input.execute(partition, context)?.map(move |rows| fill(&rows?, &filled, &registry, name, &tags));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn fill(
    rows: &RecordBatch,
    schema: &SchemaRef,
    registry: &Registry,
    name: usize,
    tags: &[Option<u32>],
) -> Result<RecordBatch> {
    let names = rows.column(name);
    let names = match names.as_dictionary_opt::<Int32Type>() {
        Some(names) => names.clone(),
        None => {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            cast(names, &dictionary)?.as_dictionary::<Int32Type>().clone()
        }
    };
    let texts = names.values().as_string::<i32>();
    let known: Vec<Option<&Arc<NamedSeries>>> =
        texts.iter().map(|name| name.and_then(|name| registry.get(name))).collect();
    let column = |(at, tag): (usize, &Option<u32>)| match tag {
        None => Ok(rows.column(at).clone()),
        Some(tag) => registered(&names, &known, *tag, rows.column(at)),
    };
    let columns = tags.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The tag of each row: the registry's where it knows the series, else the one that the row carries.
fn registered(
    names: &DictionaryArray<Int32Type>,
    known: &[Option<&Arc<NamedSeries>>],
    tag: u32,
    carried: &ArrayRef,
) -> Result<ArrayRef> {
    let mut values = StringBuilder::new();
    let mut count = 0i32;
    let mut add = |values: &mut StringBuilder, text: &str| {
        values.append_value(text);
        count += 1;
        count - 1
    };
    let of_name: Vec<Option<i32>> = known
        .iter()
        .map(|series| series.and_then(|series| series.tags.get(&tag)).map(|text| add(&mut values, text)))
        .collect();
    let carried_texts = carried.as_dictionary_opt::<Int32Type>().filter(|c| c.null_count() < c.len());
    let mut of_carried: Vec<Option<i32>> = Vec::new();
    if let Some(texts) = carried_texts {
        let values_of = texts.values().as_string::<i32>();
        of_carried = values_of.iter().map(|text| text.map(|text| add(&mut values, text))).collect();
    }
    let keys: Int32Array = (0..names.len())
        .map(|row| match names.key(row).map(|key| (key, known[key].is_some())) {
            Some((key, true)) => of_name[key],
            _ => carried_texts.and_then(|texts| texts.key(row)).and_then(|key| of_carried[key]),
        })
        .collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values.finish()))?))
}

/// The written names of a table's tags that filters may not be asked of segments, because rows do not carry them.
pub(super) fn registered_names(table: &TableSchema) -> HashSet<&str> {
    let tags = table.columns.iter().filter(|column| column.kind == ColumnKind::Tag && column.in_registry);
    tags.map(|column| column.sql_name.as_str()).collect()
}
