//! The window clauses: what makes a group of rows besides its keys.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr_fn::ident;
use datafusion::logical_expr::{Expr as Plan, LogicalPlan, LogicalPlanBuilder, SortExpr, lit};

use crate::model::DeclaredType as T;
use crate::query::functions::series::window_start;
use crate::query::series::Windows;
use crate::query::tdsql::ast::{Expr, Window};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::{numbered, sliding};
use crate::query::tdsql::time::{Duration, Unit};

use super::Planner;
use super::aggregate::{row_names, time_of};
use super::expr::TimeRange;
use super::groups::WindowColumns;
use super::relation::{Relation, Role};
use super::types::{column, time_literal};

/// Most windows that one row may be in.
const OVERLAPS_MAX: u64 = 1000;
const INTERVAL_MIN_NS: i64 = 10_000_000;

/// Rows with what their windows are grouped by.
pub(super) struct Made {
    pub plan: LogicalPlan,
    /// Grouped by, besides the keys of the select.
    pub keys: Vec<Plan>,
    /// Aggregates that the windows' columns are made of.
    pub calls: Vec<Plan>,
    pub columns: Option<WindowColumns>,
    /// The column of groups that they are ordered by.
    pub order: Option<String>,
    /// Windows that can be filled.
    pub windows: Option<Windows>,
    /// Shorter windows are dropped, nanoseconds.
    pub at_least: Option<i64>,
}

impl Planner<'_> {
    /// `keys` are the select's, under their aliases.
    pub(super) fn window(
        &self,
        window: &Window,
        relation: &Relation,
        keys: &[Plan],
        range: TimeRange,
    ) -> Result<Made, TdError> {
        let time = time_of(relation)?;
        let keys: Vec<Plan> = keys.iter().map(|key| key.clone().unalias()).collect();
        match window {
            Window::Interval { every, offset, auto, sliding } => {
                let offset = match (auto, range.from) {
                    (true, Some(from)) => {
                        let every = every.nanos().ok_or(TdError::IntervalOffset)?;
                        if every <= 0 {
                            return Err(TdError::IntervalTooSmall);
                        }
                        Some(Duration { number: from.rem_euclid(every), unit: Unit::Nanosecond })
                    }
                    _ => *offset,
                };
                self.interval(relation, time, *every, offset, *sliding)
            }
            Window::Session { column, gap } => {
                self.check_session_column(column, relation)?;
                let gap = gap.nanos().ok_or(TdError::IntervalTooSmall)?;
                self.by_number(relation, numbered::Numbering::Session { gap }, vec![time], &keys, None)
            }
            Window::State { expr, at_least } => {
                if let Expr::Column { table, name } = expr
                    && matches!(relation.find(table.as_deref(), name)?.role, Role::Tag | Role::SeriesName)
                {
                    return Err(TdError::StateOnTag);
                }
                let state = self.expr(expr, &mut row_names(relation, range))?;
                if !state.is(|kind| kind.is_integer() || kind == T::Bool || kind.is_text()) {
                    return Err(TdError::ValueType("state_window".to_string()));
                }
                let least = least(*at_least)?;
                self.by_number(relation, numbered::Numbering::State, vec![state.plain()], &keys, least)
            }
            Window::Event { start, end, at_least } => {
                let start = self.condition(start, &mut row_names(relation, range))?;
                let end = self.condition(end, &mut row_names(relation, range))?;
                let least = least(*at_least)?;
                self.by_number(relation, numbered::Numbering::Event, vec![start, end], &keys, least)
            }
            Window::Count { rows, sliding } => self.counted(relation, *rows, *sliding, &keys),
        }
    }

    fn check_session_column(&self, expr: &Expr, relation: &Relation) -> Result<(), TdError> {
        let Expr::Column { table, name } = expr else { return Err(TdError::SessionColumn) };
        if matches!(name.as_str(), "_rowts" | "_c0") {
            return Ok(());
        }
        let found = relation.find(table.as_deref(), name)?;
        if Some(&found.id) == relation.time.as_ref() { Ok(()) } else { Err(TdError::SessionColumn) }
    }

    fn interval(
        &self,
        relation: &Relation,
        time: Plan,
        every: Duration,
        offset: Option<Duration>,
        sliding: Option<Duration>,
    ) -> Result<Made, TdError> {
        let start = self.fresh("w");
        let precision = relation.precision;
        let made = |plan: LogicalPlan, key: Plan, end: Plan, length: Option<Plan>, windows: Option<Windows>| Made {
            plan,
            keys: vec![key],
            calls: Vec::new(),
            columns: Some(WindowColumns { start: column(&start), end, duration: length }),
            order: Some(start.clone()),
            windows,
            at_least: None,
        };
        let Some(nanos) = every.nanos() else {
            let months = every.months().filter(|months| *months > 0).ok_or(TdError::IntervalTooSmall)?;
            if sliding.is_some_and(|sliding| sliding != every) {
                return Err(TdError::NotSupported("SLIDING of windows of months".to_string()));
            }
            let shift = offset.map_or(Some(0), Duration::nanos).ok_or(TdError::IntervalOffset)?;
            if shift / (28 * 86_400_000_000_000) >= months {
                return Err(TdError::IntervalOffset);
            }
            let months_text = i32::try_from(months).map_err(|_| TdError::IntervalTooSmall)?;
            let stride = lit(datafusion::common::ScalarValue::new_interval_mdn(months_text, 0, 0));
            let origin = time_literal(shift);
            let key = self.engine("date_bin", vec![stride, time, origin])?.alias(&start);
            let end = self.shifted(column(&start), every, 1)?.expr;
            return Ok(made(relation.plan.clone(), key, end, None, None));
        };
        if nanos < INTERVAL_MIN_NS.min(precision.nanos() * 10) || nanos < precision.nanos() {
            return Err(TdError::IntervalTooSmall);
        }
        let offset = offset.map_or(Some(0), Duration::nanos).ok_or(TdError::IntervalOffset)?;
        if offset >= nanos || offset < 0 {
            return Err(TdError::IntervalOffset);
        }
        let end = self.shifted(column(&start), every, 1)?.expr;
        let length = Some(lit(nanos / precision.nanos()));
        if let Some(sliding) = sliding.filter(|sliding| *sliding != every) {
            let step = sliding.nanos().ok_or(TdError::Sliding)?;
            if step > nanos {
                return Err(TdError::Sliding);
            }
            if step <= 0 || (nanos / step).unsigned_abs() > OVERLAPS_MAX {
                return Err(TdError::IntervalTooSmall);
            }
            if step < nanos {
                let all: Vec<Plan> = relation.plan.schema().columns().into_iter().map(Plan::Column).collect();
                let starts = sliding::starts(time, nanos, step, offset).alias(&start);
                let plan = LogicalPlanBuilder::from(relation.plan.clone()).project(all.into_iter().chain([starts]))?;
                let plan = plan.unnest_column(datafusion::common::Column::from_name(&start))?.build()?;
                return Ok(made(plan, column(&start), end, length, None));
            }
        }
        let by_days = matches!(every.unit, Unit::Day | Unit::Week);
        let zone = by_days.then_some(self.question.zone);
        let windows = Windows::new(nanos, offset, zone).ok_or(TdError::IntervalTooSmall)?;
        let key = window_start(time, &windows).alias(&start);
        Ok(made(relation.plan.clone(), key, end, length, Some(windows)))
    }

    /// Windows that follow from the rows of each partition.
    fn by_number(
        &self,
        relation: &Relation,
        numbering: numbered::Numbering,
        args: Vec<Plan>,
        keys: &[Plan],
        at_least: Option<i64>,
    ) -> Result<Made, TdError> {
        let time = time_of(relation)?;
        let number = self.fresh("n");
        let call = numbered::numbered(numbering, args, keys, by(&time))?.alias(&number);
        let plan = LogicalPlanBuilder::from(relation.plan.clone()).window([call])?.build()?;
        let plan = LogicalPlanBuilder::from(plan).filter(column(&number).is_not_null())?.build()?;
        self.bounded(plan, time, vec![ident(&number)], at_least)
    }

    fn counted(&self, relation: &Relation, rows: u64, step: Option<u64>, keys: &[Plan]) -> Result<Made, TdError> {
        let step = step.unwrap_or(rows);
        if rows == 0 || step == 0 || step > rows || rows / step > OVERLAPS_MAX {
            return Err(TdError::ArgumentValue("count_window".to_string()));
        }
        let time = time_of(relation)?;
        let number = self.fresh("n");
        let call = self.window_function("row_number", Vec::new(), keys, by(&time), false)?.alias(&number);
        let plan = LogicalPlanBuilder::from(relation.plan.clone()).window([call])?.build()?;
        let window = self.fresh("n");
        let all: Vec<Plan> = plan.schema().columns().into_iter().map(Plan::Column).collect();
        let plan = LogicalPlanBuilder::from(plan);
        let plan = if step == rows {
            let index = (super::types::cast_to(column(&number), DataType::UInt64) - lit(1u64)) / lit(rows);
            plan.project(all.into_iter().chain([index.alias(&window)]))?
        } else {
            let number = super::types::cast_to(column(&number), DataType::UInt64);
            let windows = sliding::counted(number, rows, step).alias(&window);
            let plan = plan.project(all.into_iter().chain([windows]))?;
            plan.unnest_column(datafusion::common::Column::from_name(&window))?
        };
        self.bounded(plan.build()?, time, vec![ident(&window)], None)
    }

    /// Windows from their first row to their last.
    fn bounded(&self, plan: LogicalPlan, time: Plan, keys: Vec<Plan>, at_least: Option<i64>) -> Result<Made, TdError> {
        let (columns, calls) = self.window_bounds(time)?;
        let order = match &columns.start {
            Plan::Column(start) => Some(start.name.clone()),
            _ => None,
        };
        Ok(Made { plan, keys, calls, columns: Some(columns), order, windows: None, at_least })
    }
}

fn least(duration: Option<Duration>) -> Result<Option<i64>, TdError> {
    duration.map(|duration| duration.nanos().ok_or(TdError::IntervalTooSmall)).transpose()
}

/// In the order of time.
pub(super) fn by(time: &Plan) -> Vec<SortExpr> {
    vec![time.clone().sort(true, false)]
}
