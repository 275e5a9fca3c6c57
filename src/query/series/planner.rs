//! From logical nodes over series to physical ones.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Column, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use crate::query::opentsdb::groups::GroupsPlanner;

use super::exec::{Operation, SeriesExec};
use super::fill::FillOperation;
use super::limit::LimitOperation;
use super::node::{SeriesNode, SeriesOperation, arrow_schema};
use super::transform::TransformOperation;

/// The engine's planner, which also knows operations over series and groups of them.
#[derive(Debug)]
pub struct SeriesQueryPlanner;

#[async_trait]
impl QueryPlanner for SeriesQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(SeriesPlanner), Arc::new(GroupsPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[derive(Debug)]
struct SeriesPlanner;

#[async_trait]
impl ExtensionPlanner for SeriesPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        match (node.as_any().downcast_ref::<SeriesNode>(), inputs) {
            (Some(node), [input]) => Ok(Some(plan(node, input.clone())?)),
            _ => Ok(None),
        }
    }
}

fn plan(node: &SeriesNode, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let order = node.order.resolve(node.input.schema())?;
    let input_schema = input.schema();
    let ordering = order.ordering(&input_schema)?;
    let (schema, operation): (_, Arc<dyn Operation>) = match &node.operation {
        SeriesOperation::Fill(fill) => {
            let output = arrow_schema(&node.schema);
            let rules = node.rules(fill)?;
            let (input, order) = (input_schema, order.clone());
            (output.clone(), Arc::new(FillOperation { fill: fill.clone(), order, rules, input, output }))
        }
        SeriesOperation::Limit(limit) => {
            (input_schema, Arc::new(LimitOperation { limit: *limit, keys: order.keys.clone() }))
        }
        SeriesOperation::Transform(transform) => {
            let output = arrow_schema(&node.schema);
            let of = |(column, _, _): &(Column, _, _)| node.input.schema().index_of_column(column);
            let columns = transform.columns.iter().map(of).collect::<Result<_>>()?;
            let (transform, input, order) = (transform.clone(), input_schema, order.clone());
            (output.clone(), Arc::new(TransformOperation { transform, order, columns, input, output }))
        }
    };
    let output_ordering = match &node.operation {
        SeriesOperation::Fill(_) | SeriesOperation::Limit(_) => ordering.clone(),
        SeriesOperation::Transform(_) => order.first().ordering(&schema)?,
    };
    Ok(Arc::new(SeriesExec::new(input, operation, ordering, schema, output_ordering)))
}
