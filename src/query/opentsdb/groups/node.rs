//! The logical node, and how it becomes the physical one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::emit::SCHEMA;
use super::exec::GroupsExec;
use super::spec::GroupSpec;

/// Groups of the series of `input`, whose columns are the spec's tags, the time, the value as a float, and as an integer
/// where it is one if there is a column for it.
pub(in crate::query::opentsdb) fn groups_plan(input: LogicalPlan, spec: GroupSpec) -> Result<LogicalPlan> {
    let schema = Arc::new(DFSchema::try_from(SCHEMA.clone())?);
    let node = GroupsNode { input, spec: Arc::new(spec), schema };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

#[derive(Debug, Clone)]
struct GroupsNode {
    input: LogicalPlan,
    spec: Arc<GroupSpec>,
    schema: DFSchemaRef,
}

impl PartialEq for GroupsNode {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.spec == other.spec
    }
}

impl Eq for GroupsNode {}

impl Hash for GroupsNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.spec.hash(state);
    }
}

impl PartialOrd for GroupsNode {
    /// Equal ones are equal; others have no order.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for GroupsNode {
    fn name(&self) -> &str {
        "Groups"
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

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups: aggregator={}", self.spec.aggregator.name)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), inputs.is_empty()) else {
            return internal_err!("groups have one input");
        };
        Ok(GroupsNode { input, ..self.clone() })
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

/// Plans [`groups_plan`]'s node.
#[derive(Debug)]
pub(in crate::query) struct GroupsPlanner;

#[async_trait]
impl ExtensionPlanner for GroupsPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match (node.as_any().downcast_ref::<GroupsNode>(), inputs) {
            (Some(node), [input]) => Ok(Some(Arc::new(GroupsExec::new(input.clone(), node.spec.clone())))),
            _ => Ok(None),
        }
    }
}
