//! Selects that choose rows of each partition (TOP, UNIQUE, …) or go along it (DIFF, CSUM, …): window functions of the engine, and filters over what they say.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Case, Expr as Plan, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, lit,
};

use crate::model::{DeclaredType as T, Precision};
use crate::query::tdsql::ast::{BinaryOp, Expr};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::numbered::{Numbering, numbered};

use super::Planner;
use super::aggregate::{Ready, row_names, time_of};
use super::calls::{Nature, calls_of, is_window_pseudo, nature};
use super::expr::{Names, RowNames, balanced};
use super::groups::WindowColumns;
use super::order::Out;
use super::relation::{Role, Selected};
use super::types::{Typed, arrow_type, cast_to, column, double, null_of, units_of};
use super::window::by;

/// Most rows that TOP, BOTTOM and TAIL choose, and that TAIL leaves out.
const CHOSEN_MAX: i64 = 100;
/// Most rows that SAMPLE draws, and that MAVG takes together.
const TAKEN_MAX: i64 = 1000;

/// Rows of a relation with columns that calls made.
struct Computed {
    plan: LogicalPlan,
    /// Each call, and what stands for it.
    calls: Vec<(Expr, Typed)>,
    /// Rows that a call has something to say of.
    kept: Vec<Plan>,
    /// Window functions of the plan, and the columns that they are.
    made: Vec<(Plan, Plan)>,
}

/// Names of rows whose calls are computed already.
struct Rows<'a> {
    rows: RowNames<'a>,
    calls: &'a [(Expr, Typed)],
    window: Option<WindowColumns>,
}

impl Names for Rows<'_> {
    fn whole(&mut self, planner: &Planner<'_>, expr: &Expr) -> Result<Option<Typed>, TdError> {
        match self.calls.iter().find(|(call, _)| call == expr) {
            Some((_, typed)) => Ok(Some(typed.clone())),
            None if matches!(expr, Expr::Call { name, .. } if nature(name) == Nature::Aggregate) => {
                Err(TdError::NotSingleGroup)
            }
            None => self.rows.whole(planner, expr),
        }
    }

    fn column(&mut self, table: Option<&str>, name: &str) -> Result<Typed, TdError> {
        match &self.window {
            Some(window) if is_window_pseudo(name) => Ok(window.typed(name, self.precision())),
            _ => self.rows.column(table, name),
        }
    }

    fn precision(&self) -> Precision {
        self.rows.precision()
    }
}

impl Planner<'_> {
    /// The column of a window function. Each is there once: the engine's optimizer panics over the same one twice.
    fn with(&self, computed: &mut Computed, call: Plan) -> Result<Plan, TdError> {
        if let Some((_, made)) = computed.made.iter().find(|(known, _)| *known == call) {
            return Ok(made.clone());
        }
        let id = self.fresh("n");
        let plan = LogicalPlanBuilder::from(computed.plan.clone()).window([call.clone().alias(&id)])?;
        computed.plan = plan.build()?;
        computed.made.push((call, column(&id)));
        Ok(column(&id))
    }

    pub(super) fn along(&self, ready: Ready<'_>) -> Result<Selected, TdError> {
        let (keys, key_exprs) = self.keys(&ready)?;
        let Ready { select, items, relation, range, mut finish } = ready;
        let time = time_of(relation)?;
        let all: Vec<Plan> = relation.plan.schema().columns().into_iter().map(Plan::Column).collect();
        let plan = LogicalPlanBuilder::from(relation.plan.clone()).project(all.into_iter().chain(key_exprs))?;
        let mut plan = plan.build()?;
        let mut partition: Vec<Plan> = keys.iter().map(|key| column(&key.id)).collect();
        let mut window = None;
        if let Some(asked) = &select.window {
            let made = self.window(asked, relation, &[], range)?;
            let (Some(_), Some(key), Some(id)) = (made.windows, made.keys.into_iter().next(), made.order) else {
                return Err(TdError::NotSupported("choosing rows of such windows".to_string()));
            };
            let all: Vec<Plan> = plan.schema().columns().into_iter().map(Plan::Column).collect();
            let key = key.unalias().alias(&id);
            plan = LogicalPlanBuilder::from(plan).project(all.into_iter().chain([key]))?.build()?;
            partition.push(column(&id));
            window = made.columns;
        }
        let mut calls = Vec::new();
        let exprs =
            items.iter().map(|item| &item.expr).chain(&select.having).chain(finish.order.iter().map(|o| &o.expr));
        for expr in exprs {
            calls_of(expr, Nature::Choice, &mut calls);
            calls_of(expr, Nature::Sequence, &mut calls);
        }
        let choices =
            calls.iter().filter(|call| matches!(call, Expr::Call { name, .. } if nature(name) == Nature::Choice));
        if choices.count() > 0 && calls.len() > 1 {
            return Err(TdError::NotSingleGroup);
        }
        let alone = calls.len() == 1;
        let mut computed = Computed { plan, calls: Vec::new(), kept: Vec::new(), made: Vec::new() };
        for call in calls {
            let Expr::Call { name, args } = call else { continue };
            let typed = self.computed(&mut computed, name, args, relation, range, &partition, &time, alone)?;
            computed.calls.push((call.clone(), typed));
        }
        let Computed { plan, calls, kept, .. } = computed;
        let kept = balanced(kept, Operator::Or);
        let plan = LogicalPlanBuilder::from(plan);
        let plan = match kept {
            Some(kept) => plan.filter(kept)?,
            None => plan,
        };
        let mut plan = plan.build()?;
        let mut names = Rows { rows: RowNames { relation, range }, calls: &calls, window };
        let mut outs = Vec::with_capacity(items.len());
        for item in items {
            let typed = self.expr(&item.expr, &mut names)?;
            let role = match &item.expr {
                Expr::Column { table, name } => relation.find(table.as_deref(), name).map_or(Role::Field, |c| c.role),
                _ => Role::Field,
            };
            outs.push(Out { name: item.name().to_string(), typed, role });
        }
        if let Some(having) = &select.having {
            let having = self.condition(having, &mut names)?;
            plan = LogicalPlanBuilder::from(plan).filter(having)?.build()?;
        }
        let sorts = self.sort_keys(&finish, items, &mut names)?;
        finish.keys = keys.iter().map(|key| column(&key.id)).collect();
        finish.default_order = finish.keys.iter().cloned().chain([time.clone()]).collect();
        self.finish(plan, outs, sorts, &finish, Some(time), relation.precision, relation.ordered)
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are what a call may hang on")]
    fn computed(
        &self,
        computed: &mut Computed,
        name: &str,
        args: &[Expr],
        relation: &super::relation::Relation,
        range: super::expr::TimeRange,
        partition: &[Plan],
        time: &Plan,
        alone: bool,
    ) -> Result<Typed, TdError> {
        let count = || TdError::ArgumentCount(name.to_string());
        let Some(first) = args.first() else { return Err(count()) };
        if [Nature::Aggregate, Nature::Choice, Nature::Sequence].iter().any(|n| super::calls::has(first, *n)) {
            return Err(TdError::Nesting);
        }
        let value = self.expr(first, &mut row_names(relation, range))?;
        let at = Along { planner: self, partition, time, precision: relation.precision };
        let constant = |at: usize| -> Result<Option<i64>, TdError> {
            match args.get(at) {
                None => Ok(None),
                Some(Expr::Number(digits)) => {
                    digits.parse().map(Some).map_err(|_| TdError::ArgumentValue(name.to_string()))
                }
                Some(_) => Err(TdError::ArgumentType(name.to_string())),
            }
        };
        let chosen = |at: usize| -> Result<i64, TdError> {
            let number = constant(at)?.ok_or_else(count)?;
            let most = if matches!(name, "sample" | "mavg") { TAKEN_MAX } else { CHOSEN_MAX };
            if (1..=most).contains(&number) { Ok(number) } else { Err(TdError::ArgumentValue(name.to_string())) }
        };
        let numeric = |value: &Typed| {
            if value.kind.is_none() || value.is_number() {
                Ok(())
            } else {
                Err(TdError::ArgumentType(name.to_string()))
            }
        };
        match name {
            "top" | "bottom" => {
                numeric(&value)?;
                let (number, has_value) = (chosen(1)?, value.expr.clone().is_not_null());
                self.keep(computed, has_value)?;
                let order = vec![value.plain().sort(name == "bottom", false), time.clone().sort(true, false)];
                at.ranked(computed, partition, order, lit(number as u64))?;
                Ok(value)
            }
            "sample" => {
                let number = chosen(1)?;
                self.keep(computed, value.expr.clone().is_not_null())?;
                let drawn = self.fresh("x");
                let all: Vec<Plan> = computed.plan.schema().columns().into_iter().map(Plan::Column).collect();
                let random = self.engine("random", Vec::new())?.alias(&drawn);
                computed.plan = LogicalPlanBuilder::from(computed.plan.clone())
                    .project(all.into_iter().chain([random]))?
                    .build()?;
                at.ranked(computed, partition, vec![column(&drawn).sort(true, false)], lit(number as u64))?;
                Ok(value)
            }
            "unique" => {
                if args.len() > 1 {
                    return Err(count());
                }
                let keys: Vec<Plan> = partition.iter().cloned().chain([value.plain()]).collect();
                at.ranked(computed, &keys, by(time), lit(1u64))?;
                Ok(value)
            }
            "tail" => {
                let (number, offset) = (chosen(1)?, constant(2)?.unwrap_or(0));
                if !(0..=CHOSEN_MAX).contains(&offset) {
                    return Err(TdError::ArgumentValue(name.to_string()));
                }
                let order = vec![time.clone().sort(false, false)];
                let rank = at.rank(computed, partition, order)?;
                computed.kept.push(rank.clone().gt(lit(offset as u64)).and(rank.lt_eq(lit((offset + number) as u64))));
                Ok(value)
            }
            "diff" => {
                if args.len() > 2 {
                    return Err(count());
                }
                let value = match value.kind {
                    Some(T::Timestamp) => Typed::of(units_of(value.expr, relation.precision), T::BigInt),
                    Some(T::Bool) => Typed::of(cast_to(value.expr, DataType::Int64), T::BigInt),
                    _ => value,
                };
                numeric(&value)?;
                at.diff(computed, &value, constant(1)?.unwrap_or(0))
            }
            "derivative" => {
                numeric(&value)?;
                let [_, unit, ignore] = args else { return Err(count()) };
                let unit = self.unit(name, Some(unit), relation.precision)?;
                let ignore = matches!(ignore, Expr::Number(digits) if digits == "1");
                at.derivative(computed, &value, unit, ignore, alone)
            }
            "csum" => {
                if args.len() > 1 {
                    return Err(count());
                }
                numeric(&value)?;
                let kind = match value.kind {
                    Some(kind) if kind.is_unsigned() => T::UBigInt,
                    Some(kind) if kind.is_signed() => T::BigInt,
                    _ => T::Double,
                };
                let has_value = value.expr.clone().is_not_null();
                let summed = cast_to(value.expr.clone(), arrow_type(Some(kind)));
                let sum =
                    at.aggregate(computed, "sum", summed, WindowFrameBound::Preceding(ScalarValue::UInt64(None)))?;
                computed.kept.push(has_value);
                Ok(Typed::of(sum, kind))
            }
            "mavg" => {
                numeric(&value)?;
                let rows = chosen(1)?;
                let has_value = value.expr.clone().is_not_null();
                if alone {
                    self.keep(computed, has_value.clone())?;
                }
                let number = at.rank(computed, partition, by(time))?;
                let frame = WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows as u64 - 1)));
                let sum = at.aggregate(computed, "avg", double(value.expr), frame)?;
                computed.kept.push(number.gt_eq(lit(rows as u64)).and(has_value));
                Ok(Typed::of(sum, T::Double))
            }
            "statecount" | "stateduration" => {
                let most = if name == "statecount" { 3 } else { 4 };
                if args.len() < 3 || args.len() > most {
                    return Err(count());
                }
                numeric(&value)?;
                let Expr::Text(op) = &args[1] else { return Err(TdError::ArgumentType(name.to_string())) };
                let op = match op.to_ascii_uppercase().as_str() {
                    "LT" => BinaryOp::Less,
                    "GT" => BinaryOp::Greater,
                    "LE" => BinaryOp::LessEqual,
                    "GE" => BinaryOp::GreaterEqual,
                    "NE" => BinaryOp::NotEqual,
                    "EQ" => BinaryOp::Equal,
                    _ => return Err(TdError::ArgumentValue(name.to_string())),
                };
                let bound = self.expr(&args[2], &mut row_names(relation, range))?;
                let holds = self.compare(op, value, bound, relation.precision)?.expr;
                let unit = match name {
                    "stateduration" => Some(self.unit(name, args.get(3), relation.precision)?),
                    _ => None,
                };
                computed.kept.push(lit(true));
                at.state(computed, holds, unit)
            }
            _ => Err(TdError::Function(name.to_string())),
        }
    }

    /// Leaves out rows before anything is computed of them.
    fn keep(&self, computed: &mut Computed, condition: Plan) -> Result<(), TdError> {
        computed.plan = LogicalPlanBuilder::from(computed.plan.clone()).filter(condition)?.build()?;
        computed.made.clear();
        Ok(())
    }
}

/// Partitions in order of time.
struct Along<'a> {
    planner: &'a Planner<'a>,
    partition: &'a [Plan],
    time: &'a Plan,
    precision: Precision,
}

fn when(condition: Plan, then: Plan, otherwise: Plan) -> Plan {
    Plan::Case(Case::new(None, vec![(Box::new(condition), Box::new(then))], Some(Box::new(otherwise))))
}

impl Along<'_> {
    /// The number of each row among those of equal `keys`.
    fn rank(&self, computed: &mut Computed, keys: &[Plan], order: Vec<SortExpr>) -> Result<Plan, TdError> {
        let call = self.planner.window_function("row_number", Vec::new(), keys, order, false)?;
        self.planner.with(computed, call)
    }

    fn ranked(&self, computed: &mut Computed, keys: &[Plan], order: Vec<SortExpr>, last: Plan) -> Result<(), TdError> {
        let rank = self.rank(computed, keys, order)?;
        computed.kept.push(rank.lt_eq(last));
        Ok(())
    }

    /// The last value before each row that is not null.
    fn before(&self, computed: &mut Computed, value: Plan) -> Result<Plan, TdError> {
        let call = self.planner.window_function("lag", vec![value], self.partition, by(self.time), true)?;
        self.planner.with(computed, call)
    }

    fn aggregate(
        &self,
        computed: &mut Computed,
        name: &str,
        value: Plan,
        from: WindowFrameBound,
    ) -> Result<Plan, TdError> {
        let Some(function) = self.planner.session.state().aggregate_functions().get(name).cloned() else {
            return Err(TdError::Function(name.to_string()));
        };
        let call = Plan::from(WindowFunction::new(WindowFunctionDefinition::AggregateUDF(function), vec![value]));
        let frame = WindowFrame::new_bounds(WindowFrameUnits::Rows, from, WindowFrameBound::CurrentRow);
        let call = call.partition_by(self.partition.to_vec()).order_by(by(self.time)).window_frame(frame).build()?;
        self.planner.with(computed, call)
    }

    /// `option`: 1 makes negative changes null, 2 drops rows without one, 3 both.
    fn diff(&self, computed: &mut Computed, value: &Typed, option: i64) -> Result<Typed, TdError> {
        let kind = match value.kind {
            Some(kind) if kind.is_float() || matches!(kind, T::Decimal { .. }) => T::Double,
            _ => T::BigInt,
        };
        let number = cast_to(value.expr.clone(), arrow_type(Some(kind)));
        let before = self.before(computed, number.clone())?;
        let change = number - before;
        let change = match option {
            1 | 3 => {
                let zero = cast_to(lit(0i64), arrow_type(Some(kind)));
                when(change.clone().lt(zero), null_of(Some(kind)), change)
            }
            0 | 2 => change,
            _ => return Err(TdError::ArgumentValue("diff".to_string())),
        };
        if option >= 2 {
            computed.kept.push(change.clone().is_not_null());
        } else {
            let rank = self.rank(computed, self.partition, by(self.time))?;
            computed.kept.push(rank.gt(lit(1u64)));
        }
        Ok(Typed::of(change, kind))
    }

    fn derivative(
        &self,
        computed: &mut Computed,
        value: &Typed,
        unit: i64,
        drop_negative: bool,
        alone: bool,
    ) -> Result<Typed, TdError> {
        if alone {
            self.planner.keep(computed, value.expr.clone().is_not_null())?;
        }
        let number = double(value.expr.clone());
        let time = when(value.expr.clone().is_not_null(), self.time.clone(), null_of(Some(T::Timestamp)));
        let before = self.before(computed, number.clone())?;
        let time_before = self.before(computed, time)?;
        let nanos = |time: Plan| double(cast_to(time, DataType::Int64));
        let units = (nanos(self.time.clone()) - nanos(time_before)) / lit(unit as f64);
        let change = (number - before) / units;
        let mut kept = change.clone().is_not_null();
        if drop_negative {
            kept = kept.and(change.clone().gt_eq(lit(0.0)));
        }
        computed.kept.push(kept);
        Ok(Typed::of(change, T::Double))
    }

    /// For how many rows, or for how long (in `unit` nanoseconds), a condition has held; -1 where it does not.
    fn state(&self, computed: &mut Computed, holds: Plan, unit: Option<i64>) -> Result<Typed, TdError> {
        let call = numbered(Numbering::State, vec![holds.clone()], self.partition, by(self.time))?;
        let run = self.planner.with(computed, call)?;
        let keys: Vec<Plan> = self.partition.iter().cloned().chain([run]).collect();
        let value = match unit {
            None => cast_to(self.rank(computed, &keys, by(self.time))?, DataType::Int64),
            Some(unit) => {
                let call = self.planner.window_function(
                    "first_value",
                    vec![self.time.clone()],
                    &keys,
                    by(self.time),
                    false,
                )?;
                let first = self.planner.with(computed, call)?;
                let units = |time: Plan| units_of(time, self.precision);
                let length = units(self.time.clone()) - units(first);
                length / lit((unit / self.precision.nanos()).max(1))
            }
        };
        let null = null_of(Some(T::BigInt));
        let value = when(holds.clone().is_null(), null, when(holds, value, lit(-1i64)));
        Ok(Typed::of(value, T::BigInt))
    }
}
