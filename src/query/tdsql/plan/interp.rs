//! INTERP: a value at each asked time, of each partition.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue, UnnestOptions};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{Expr as Plan, LogicalPlanBuilder, Operator};

use crate::model::{DeclaredType as T, Precision};
use crate::query::tdsql::ast::{Expr, Fill, FillMode};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::interp::{FILLED, Gap, Interpolation, TIME, VALUE};

use super::Planner;
use super::aggregate::{Ready, row_names, time_of};
use super::calls::{Nature, calls_of, nature};
use super::expr::{Names, TimeRange, balanced, query_pseudo};
use super::groups::Key;
use super::order::Out;
use super::relation::{Relation, Role, Selected};
use super::types::{Kind, Typed, arrow_type, cast_to, column};

/// Most points of one series.
const POINTS_MAX: i64 = 1_000_000;

/// Points: what they are called, and the keys of their partition.
struct Points<'a> {
    relation: &'a Relation,
    range: TimeRange,
    keys: &'a [Key],
    calls: &'a [Interpolated<'a>],
}

/// A call, and the column of its points.
struct Interpolated<'a> {
    call: &'a Expr,
    point: String,
    kind: Kind,
}

impl Interpolated<'_> {
    fn field(&self, name: &str, kind: Kind) -> Typed {
        Typed { expr: cast_to(get_field(column(&self.point), name), arrow_type(kind)), kind }
    }
}

impl Points<'_> {
    fn field(&self, name: &str, kind: Kind) -> Typed {
        match self.calls.first() {
            Some(first) => first.field(name, kind),
            None => Typed::null(),
        }
    }
}

impl Names for Points<'_> {
    fn whole(&mut self, _: &Planner<'_>, expr: &Expr) -> Result<Option<Typed>, TdError> {
        if let Some(found) = self.calls.iter().find(|found| found.call == expr) {
            return Ok(Some(found.field(VALUE, found.kind)));
        }
        if let Some(key) = self.keys.iter().find(|key| key.written == *expr) {
            return Ok(Some(Typed { expr: column(&key.id), kind: key.kind }));
        }
        match expr {
            Expr::Call { name, .. } if nature(name) != Nature::Scalar => Err(TdError::NotSingleGroup),
            _ => Ok(None),
        }
    }

    fn column(&mut self, _: Option<&str>, name: &str) -> Result<Typed, TdError> {
        match name {
            "_irowts" | "_rowts" | "_c0" => Ok(self.field(TIME, Some(T::Timestamp))),
            "_isfilled" => Ok(self.field(FILLED, Some(T::Bool))),
            other => query_pseudo(other, self.range, self.precision()).map_err(|_| TdError::NotSingleGroup),
        }
    }

    fn precision(&self) -> Precision {
        self.relation.precision
    }
}

impl Planner<'_> {
    pub(super) fn interpolated(&self, ready: Ready<'_>) -> Result<Selected, TdError> {
        let (keys, key_exprs) = self.keys(&ready)?;
        let Ready { select, items, relation, range, mut finish } = ready;
        let mut calls = Vec::new();
        items.iter().for_each(|item| calls_of(&item.expr, Nature::Interpolation, &mut calls));
        let Some(asked) = &select.range else { return Err(TdError::Interp) };
        let first = self.moment(&asked.from, relation)?;
        let last = asked.to.as_ref().map_or(Ok(first), |to| self.moment(to, relation))?;
        let step = match select.every {
            Some(every) => every.nanos().filter(|step| *step > 0).ok_or(TdError::Interp)?,
            None => 0,
        };
        if step == 0 && first != last {
            return Err(TdError::Interp);
        }
        let length = last.checked_sub(first).filter(|length| *length >= 0).ok_or(TdError::Interp)?;
        if step > 0 && length / step >= POINTS_MAX {
            return Err(TdError::Interp);
        }
        let time = time_of(relation)?;
        // Points of several calls stand side by side: all of them have all times, and those without any value go.
        let whole = calls.len() > 1;
        let (mut points, mut aggregates) = (Vec::new(), Vec::new());
        for (at, call) in calls.into_iter().enumerate() {
            let Expr::Call { args, .. } = call else { return Err(TdError::Interp) };
            let Some(value) = args.first() else { return Err(TdError::ArgumentCount("interp".to_string())) };
            let value = self.expr(value, &mut row_names(relation, range))?;
            let Some(kind) = value.kind else { return Err(TdError::Interp) };
            if !kind.is_number() && kind != T::Bool && !kind.is_text() {
                return Err(TdError::ArgumentType("interp".to_string()));
            }
            let data_type = arrow_type(Some(kind));
            let gap = gap(select.fill.as_ref(), at, &data_type)?;
            let interpolation = Interpolation { first, last, step, gap, whole };
            let point = self.fresh("i");
            aggregates.push(interpolation.call(value.plain(), time.clone(), data_type, &self.points).alias(&point));
            points.push(Interpolated { call, point, kind: Some(kind) });
        }
        let lists = points.iter().map(|found| Column::from_name(&found.point)).collect();
        let plan = LogicalPlanBuilder::from(relation.plan.clone()).aggregate(key_exprs, aggregates)?;
        let plan = plan.unnest_columns_with_options(lists, UnnestOptions::default())?;
        // A list without points leaves one row of nothing.
        let absent = whole && select.fill.as_ref().is_some_and(|fill| may_be_absent(fill.mode));
        let shown = if absent { VALUE } else { TIME };
        let present = points.iter().map(|found| get_field(column(&found.point), shown).is_not_null());
        let plan = plan.filter(balanced(present, Operator::Or).ok_or(TdError::Interp)?)?.build()?;
        let mut names = Points { relation, range, keys: &keys, calls: &points };
        let mut outs = Vec::with_capacity(items.len());
        for item in items {
            let typed = self.expr(&item.expr, &mut names)?;
            let role = if typed.is_time() { Role::Time } else { Role::Field };
            outs.push(Out { name: item.name().to_string(), typed, role });
        }
        let sorts = self.sort_keys(&finish, items, &mut names)?;
        let shown = names.field(TIME, Some(T::Timestamp)).expr;
        finish.keys = keys.iter().map(|key| column(&key.id)).collect();
        finish.default_order = finish.keys.iter().cloned().chain([shown.clone()]).collect();
        self.finish(plan, outs, sorts, &finish, Some(shown), relation.precision, keys.is_empty())
    }

    /// A time that hangs on no row.
    pub(super) fn moment(&self, expr: &Expr, relation: &Relation) -> Result<i64, TdError> {
        let nothing = Relation::nothing(relation.precision)?;
        let typed = self.expr(expr, &mut row_names(&nothing, TimeRange::default()))?;
        match self.time(typed, relation.precision)? {
            Plan::Literal(ScalarValue::TimestampNanosecond(Some(nanos), _), _) => Ok(nanos),
            _ => Err(TdError::Interp),
        }
    }
}

/// What a call shows at times without a row.
fn gap(fill: Option<&Fill>, at: usize, wanted: &DataType) -> Result<Gap, TdError> {
    let Some(fill) = fill else { return Ok(Gap::Null) };
    Ok(match fill.mode {
        FillMode::Previous => Gap::Previous,
        FillMode::Next => Gap::Next,
        FillMode::Near => Gap::Near,
        FillMode::Linear => Gap::Linear,
        FillMode::Value | FillMode::ValueForced => {
            let constant = fill.values.get(at).or(fill.values.first()).ok_or(TdError::Interp)?;
            Gap::Value(scalar(constant, wanted)?)
        }
        FillMode::Null | FillMode::NullForced | FillMode::None => Gap::Null,
    })
}

fn may_be_absent(mode: FillMode) -> bool {
    matches!(mode, FillMode::Previous | FillMode::Next | FillMode::Near | FillMode::Linear)
}

fn scalar(value: &Expr, wanted: &DataType) -> Result<ScalarValue, TdError> {
    let scalar = match value {
        Expr::Null => return Ok(ScalarValue::try_new_null(wanted)?),
        Expr::Number(digits) => ScalarValue::Float64(Some(digits.parse().map_err(|_| TdError::Interp)?)),
        Expr::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Expr::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        _ => return Err(TdError::Interp),
    };
    scalar.cast_to(wanted).map_err(|_| TdError::Interp)
}
