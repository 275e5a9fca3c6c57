//! The logical plan's node for operations over series.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, TableReference, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use super::fill::{Fill, FillRule};
use super::limit::Limit;
use super::order::SeriesOrder;
use super::transform::Transform;

/// What is done to each series of the input. Sorting the input is left to the planner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SeriesOperation {
    /// Columns as in the input, in which those that are filled may be null.
    Fill(Fill),
    /// Columns as in the input.
    Limit(Limit),
    /// What names a series, the time, then what is calculated, without a table's name.
    Transform(Transform),
}

/// `operation` over the rows of `input`, which are sorted by `order` first where they are not; so is the result.
pub fn series_plan(input: LogicalPlan, order: SeriesOrder, operation: SeriesOperation) -> Result<LogicalPlan> {
    let node = SeriesNode::try_new(input, order, operation)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

#[derive(Debug, Clone)]
pub(super) struct SeriesNode {
    pub(super) input: LogicalPlan,
    pub(super) order: SeriesOrder,
    pub(super) operation: SeriesOperation,
    pub(super) schema: DFSchemaRef,
}

impl SeriesNode {
    fn try_new(input: LogicalPlan, order: SeriesOrder, operation: SeriesOperation) -> Result<Self> {
        let schema = match &operation {
            SeriesOperation::Fill(_) => filled(input.schema(), &order)?,
            SeriesOperation::Limit(_) => input.schema().clone(),
            SeriesOperation::Transform(transform) => transformed(input.schema(), &order, transform)?,
        };
        Ok(SeriesNode { input, order, operation, schema })
    }

    /// The rule of each column of the input of a [`Fill`].
    pub(super) fn rules(&self, fill: &Fill) -> Result<Vec<FillRule>> {
        let schema = self.input.schema();
        let mut rules = vec![FillRule::Null; schema.fields().len()];
        for (column, rule) in &fill.rules {
            let at = schema.index_of_column(column)?;
            if let FillRule::Value(value) = rule
                && value.data_type() != *schema.field(at).data_type()
            {
                return internal_err!("{column} is filled with {value:?} but is {}", schema.field(at).data_type());
            }
            rules[at] = rule.clone();
        }
        Ok(rules)
    }

    fn order_columns(&self) -> impl Iterator<Item = &Column> {
        self.order.keys.iter().chain([&self.order.time]).chain(&self.order.then)
    }
}

/// All columns but those of the order may be null.
fn filled(schema: &DFSchema, order: &SeriesOrder) -> Result<DFSchemaRef> {
    let kept: Vec<usize> =
        order.keys.iter().chain([&order.time]).map(|column| schema.index_of_column(column)).collect::<Result<_>>()?;
    let field = |(i, (table, field)): (usize, (Option<&TableReference>, &FieldRef))| {
        let field = if kept.contains(&i) { field.as_ref().clone() } else { field.as_ref().clone().with_nullable(true) };
        (table.cloned(), Arc::new(field))
    };
    let fields = schema.iter().enumerate().map(field).collect();
    Ok(Arc::new(DFSchema::new_with_metadata(fields, schema.metadata().clone())?))
}

fn transformed(schema: &DFSchema, order: &SeriesOrder, transform: &Transform) -> Result<DFSchemaRef> {
    let mut fields = Vec::new();
    for column in order.keys.iter().chain([&order.time]) {
        let (table, field) = schema.qualified_field(schema.index_of_column(column)?);
        fields.push((table.cloned(), field.clone()));
    }
    for (column, calculation, name) in &transform.columns {
        let field = schema.field(schema.index_of_column(column)?);
        let data_type = calculation.result_type(field.data_type())?;
        fields.push((None, Arc::new(Field::new(name, data_type, true))));
    }
    Ok(Arc::new(DFSchema::new_with_metadata(fields, schema.metadata().clone())?))
}

impl PartialEq for SeriesNode {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.order == other.order && self.operation == other.operation
    }
}

impl Eq for SeriesNode {}

impl Hash for SeriesNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.order.hash(state);
        self.operation.hash(state);
    }
}

impl PartialOrd for SeriesNode {
    /// Equal ones are equal; others have no order.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for SeriesNode {
    fn name(&self) -> &str {
        match &self.operation {
            SeriesOperation::Fill(_) => "Fill",
            SeriesOperation::Limit(_) => "SeriesLimit",
            SeriesOperation::Transform(_) => "Transform",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// A filter over what names a series leaves whole series or none.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let keys: HashSet<&str> = match &self.operation {
            SeriesOperation::Limit(limit) if limit.series_offset > 0 || limit.series_limit.is_some() => HashSet::new(),
            _ => self.order.keys.iter().map(Column::name).collect(),
        };
        let names = self.schema.fields().iter().map(|field| field.name());
        names.filter(|name| !keys.contains(name.as_str())).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match &self.operation {
            SeriesOperation::Fill(fill) => fmt::Display::fmt(fill, f)?,
            SeriesOperation::Limit(limit) => fmt::Display::fmt(limit, f)?,
            SeriesOperation::Transform(transform) => fmt::Display::fmt(transform, f)?,
        }
        let keys: Vec<String> = self.order.keys.iter().map(Column::flat_name).collect();
        write!(f, ", series=[{}]", keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("an operation over series has one input");
        };
        let mut operation = self.operation.clone();
        if let SeriesOperation::Fill(fill) = &mut operation {
            // Columns that nobody asks for are gone.
            fill.rules.retain(|(column, _)| input.schema().has_column(column));
        }
        SeriesNode::try_new(input, self.order.clone(), operation)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed: Vec<usize> =
            self.order_columns().map(|column| schema.index_of_column(column).ok()).collect::<Option<_>>()?;
        match &self.operation {
            SeriesOperation::Fill(_) | SeriesOperation::Limit(_) => needed.extend(output_columns),
            // Which rows there are hangs on all of them.
            SeriesOperation::Transform(transform) => {
                for (column, _, _) in &transform.columns {
                    needed.push(schema.index_of_column(column).ok()?);
                }
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// The Arrow schema that a node's plan makes.
pub(super) fn arrow_schema(schema: &DFSchema) -> Arc<Schema> {
    Arc::new(schema.as_arrow().clone())
}
