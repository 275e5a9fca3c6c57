//! From a parsed query to a plan of the engine, and running it.
//!
//! A query is planned over relations: a plan whose columns have names that nothing else in the query has, and beside it
//! what the language knows of each column (name, declared type, role). Types are told by the language, never taken from the
//! engine: every column of an answer is cast to what it is said to be.

mod aggregate;
mod ahead;
mod calls;
mod expr;
mod groups;
mod interp;
mod join;
mod order;
mod relation;
mod scalar;
mod select;
mod sequence;
mod types;
mod window;

use std::cell::Cell;

use chrono_tz::Tz;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder};

use crate::model::{DeclaredType, Precision};
use crate::query::Readable;
use crate::query::answer::RowStream;
use crate::query::session::{QueryEngine, QueryScope, QuerySession};

use super::ast::{Query, Show, TableName};
use super::error::TdError;
use super::functions::interp::PointsMade;
use super::system::{self, Listing};
use super::tables::Databases;

use relation::Selected;
use types::{arrow_type, column};

/// The `language` label of our metrics.
const LANGUAGE: &str = "tdsql";

/// How large the parts of a query may be together that stand in its plan more than once: nested, they double each time.
const REPEATED_MAX: usize = 100_000;

/// Who asks, and what their words mean.
#[derive(Debug, Clone)]
pub struct Question {
    pub tenant: String,
    /// What a name without a database means; it need not exist.
    pub database: Option<String>,
    pub user: String,
    pub readable: Readable,
    /// Texts without a zone are read in it, and days begin in it.
    pub zone: Tz,
    /// What `now` means.
    pub now_ns: i64,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumn {
    pub name: String,
    /// `None`: nothing but null, of no type.
    pub kind: Option<DeclaredType>,
}

/// Rows with their columns; numbers, texts, booleans and times (nanoseconds) are arrays of the type that the column says.
#[derive(Debug)]
pub struct Answer {
    pub columns: Vec<OutputColumn>,
    /// The unit in which times are shown.
    pub precision: Precision,
    pub rows: RowStream,
}

impl QueryEngine {
    /// Plans and starts a query.
    pub async fn ask_td(&self, question: &Question, query: &Query) -> Result<Answer, TdError> {
        self.answer_td(question, |planner| planner.query(query)).await
    }

    /// SHOW and DESCRIBE: what the catalog says.
    pub async fn show_td(&self, question: &Question, show: &Show) -> Result<Answer, TdError> {
        self.answer_td(question, |planner| planner.listing(system::show(&planner.databases, show)?)).await
    }

    pub async fn describe_td(&self, question: &Question, table: &TableName) -> Result<Answer, TdError> {
        self.answer_td(question, |planner| planner.listing(system::describe(&planner.databases, table)?)).await
    }

    /// The plan of a query, a line an operator.
    pub async fn explain_td(&self, question: &Question, query: &Query, run: bool) -> Result<Answer, TdError> {
        let session = self.session(LANGUAGE, &scope(question)).await?;
        let planned = plan(&session, question, |planner| planner.query(query).and_then(finished));
        let plan = match planned {
            Ok((plan, _, _)) => plan,
            Err(error) => return Err(ended(session, error)),
        };
        let lines = self.describe_all(session, vec![plan], run).await?;
        self.answer_td(question, |planner| planner.listing(system::lines("QUERY_PLAN", &lines))).await
    }

    async fn answer_td(
        &self,
        question: &Question,
        make: impl FnOnce(&Planner<'_>) -> Result<Selected, TdError>,
    ) -> Result<Answer, TdError> {
        let session = self.session(LANGUAGE, &scope(question)).await?;
        let (plan, columns, precision) = match plan(&session, question, |planner| make(planner).and_then(finished)) {
            Ok(planned) => planned,
            Err(error) => return Err(ended(session, error)),
        };
        let rows = self.execute(session, plan).await?;
        Ok(Answer { columns, precision, rows })
    }
}

fn scope(question: &Question) -> QueryScope {
    let database = question.database.clone().unwrap_or_default();
    QueryScope { tenant: question.tenant.clone(), database, target_partitions: None }
}

/// The error, with the query's turn given back.
fn ended(session: QuerySession, error: TdError) -> TdError {
    match error {
        TdError::Query(error) => TdError::Query(session.fail(error)),
        other => other,
    }
}

type Finished = (LogicalPlan, Vec<OutputColumn>, Precision);

fn plan(
    session: &QuerySession,
    question: &Question,
    make: impl FnOnce(&Planner<'_>) -> Result<Finished, TdError>,
) -> Result<Finished, TdError> {
    let state = session.names().state.clone();
    let default = question.database.as_deref();
    let databases = Databases { state: &state, tenant: &question.tenant, default, visible: &question.readable };
    let (names, depth, repeated) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let points = PointsMade::default();
    make(&Planner { session, databases, question, names, depth, repeated, points })
}

/// The plan of an answer: its columns and nothing else, each of its type.
fn finished(selected: Selected) -> Result<Finished, TdError> {
    let precision = selected.precision;
    let mut exprs = Vec::with_capacity(selected.columns.len());
    let mut columns = Vec::with_capacity(selected.columns.len());
    for (at, out) in selected.columns.into_iter().enumerate() {
        exprs.push(types::cast_to(column(&out.id), arrow_type(out.kind)).alias(format!("c{at}")));
        columns.push(OutputColumn { name: out.name, kind: out.kind });
    }
    let plan = LogicalPlanBuilder::from(selected.plan).project(exprs)?.build()?;
    Ok((plan, columns, precision))
}

/// Plans one query.
pub(super) struct Planner<'a> {
    session: &'a QuerySession,
    databases: Databases<'a>,
    question: &'a Question,
    names: Cell<u32>,
    /// How many queries the one at hand is in.
    depth: Cell<u32>,
    /// How many expressions stand in the plan again.
    repeated: Cell<usize>,
    /// What its interpolations make together.
    points: PointsMade,
}

impl Planner<'_> {
    /// A name that no other column of the query has.
    fn fresh(&self, what: &str) -> String {
        self.names.set(self.names.get() + 1);
        format!("{what}{}", self.names.get())
    }

    /// Counts expressions that are about to stand in the plan once more. Errors: more than a query may have of them.
    fn repeat(&self, expressions: usize) -> Result<(), TdError> {
        self.repeated.set(self.repeated.get().saturating_add(expressions));
        if self.repeated.get() > REPEATED_MAX {
            return Err(TdError::NotSupported("an expression that large".to_string()));
        }
        Ok(())
    }

    /// [`Self::repeat`] of an expression of the plan, `times` over.
    fn repeat_plan(&self, expr: &Plan, times: usize) -> Result<(), TdError> {
        let mut size = 0_usize;
        expr.apply(|_| {
            size += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        self.repeat(size.saturating_mul(times))
    }

    fn listing(&self, listing: Listing) -> Result<Selected, TdError> {
        let relation = self.listed(listing, None)?;
        Ok(Selected {
            plan: relation.plan,
            columns: relation.columns,
            time: None,
            precision: relation.precision,
            ordered: false,
        })
    }
}
