//! What names and calls mean where rows have become groups.

use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{Expr as Plan, ExprFunctionExt, lit};

use crate::model::{DeclaredType as T, Precision};
use crate::query::functions::series::{Choice, Kind as Collected, collected, selector};
use crate::query::tdsql::ast::Expr;
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::ordered::Kind as Ordered;

use super::Planner;
use super::calls::{Nature, has, is_pseudo, is_selector, is_window_pseudo, nature};
use super::expr::{Names, RowNames, TimeRange, query_pseudo};
use super::relation::{Relation, Role};
use super::types::{Kind, Typed, arrow_type, cast_to, column, double, units_of};

/// What rows are grouped by.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub written: Expr,
    /// The row's column that it is, when it is one.
    pub row_id: Option<String>,
    pub id: String,
    pub kind: Kind,
    pub role: Role,
}

/// The columns of the window that a group is.
#[derive(Debug, Clone)]
pub(super) struct WindowColumns {
    pub start: Plan,
    pub end: Plan,
    /// `None`: end less start.
    pub duration: Option<Plan>,
}

impl WindowColumns {
    /// The pseudo column of this name.
    pub(super) fn typed(&self, name: &str, precision: Precision) -> Typed {
        match name {
            "_wstart" => Typed::of(self.start.clone(), T::Timestamp),
            "_wend" => Typed::of(self.end.clone(), T::Timestamp),
            _ => {
                let length = self
                    .duration
                    .clone()
                    .unwrap_or_else(|| units_of(self.end.clone(), precision) - units_of(self.start.clone(), precision));
                Typed::of(length, T::BigInt)
            }
        }
    }
}

pub(super) struct Groups<'a> {
    pub relation: &'a Relation,
    pub range: TimeRange,
    pub keys: Vec<Key>,
    pub window: Option<WindowColumns>,
    /// The expression of a STATE_WINDOW, which is the same in all rows of a window.
    pub state: Option<Expr>,
    /// The one selector of the query, whose row other columns come from.
    pub sole: Option<Expr>,
    /// Aggregates of the engine, each under a name of its own.
    pub calls: Vec<Plan>,
    /// Aggregates whose result is a list that becomes rows.
    pub lists: Vec<String>,
    known: Vec<(Expr, Typed)>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(relation: &'a Relation, range: TimeRange, keys: Vec<Key>) -> Self {
        Groups {
            relation,
            range,
            keys,
            window: None,
            state: None,
            sole: None,
            calls: Vec::new(),
            lists: Vec::new(),
            known: Vec::new(),
        }
    }

    fn rows(&self) -> RowNames<'a> {
        RowNames { relation: self.relation, range: self.range }
    }

    fn key(&self, expr: &Expr) -> Option<&Key> {
        let row_id = match expr {
            Expr::Column { table, name } => self.relation.find(table.as_deref(), name).ok().map(|found| &found.id),
            _ => None,
        };
        self.keys.iter().find(|key| key.written == *expr || (row_id.is_some() && key.row_id.as_ref() == row_id))
    }

    /// Adds an aggregate; gives its column.
    fn add(&mut self, planner: &Planner<'_>, call: Plan) -> Plan {
        let id = planner.fresh("a");
        self.calls.push(call.alias(&id));
        column(&id)
    }

    fn time(&self) -> Result<Plan, TdError> {
        self.relation.time.as_deref().map(column).ok_or_else(|| TdError::Column("ts".to_string()))
    }

    /// A value of the first or last row that has one, or of the row with the least or greatest one.
    fn chosen(&mut self, planner: &Planner<'_>, choice: Choice, value: Typed) -> Result<Typed, TdError> {
        let Some(kind) = value.kind else { return Ok(Typed::null()) };
        let time = self.time()?;
        let exact = matches!(kind, T::Decimal { .. });
        let call = if exact {
            let has_value = value.expr.clone().is_not_null();
            selector(choice).call(vec![time.clone(), time, value.plain()]).filter(has_value).build()?
        } else {
            selector(choice).call(vec![value.plain(), time])
        };
        let point = self.add(planner, call);
        let field = get_field(point, if exact { "aux_0" } else { "value" });
        Ok(Typed::of(cast_to(field, arrow_type(Some(kind))), kind))
    }

    /// A value of the first or last row, null or not.
    fn of_row(&mut self, planner: &Planner<'_>, choice: Choice, value: Typed) -> Result<Typed, TdError> {
        let time = self.time()?;
        let point = self.add(planner, selector(choice).call(vec![time.clone(), time, value.plain()]));
        Ok(Typed { expr: cast_to(get_field(point, "aux_0"), arrow_type(value.kind)), kind: value.kind })
    }

    /// A column that is not grouped by: it comes from the row that the one selector chose, or is the same in all rows.
    fn beside(&mut self, planner: &Planner<'_>, expr: &Expr) -> Result<Typed, TdError> {
        let value = planner.expr(expr, &mut self.rows())?;
        if let Expr::Column { table, name } = expr {
            let found = self.relation.find(table.as_deref(), name)?;
            let by_series = self.keys.iter().any(|key| key.role == Role::SeriesName);
            let of_one_series = self.relation.ordered || by_series;
            if matches!(found.role, Role::Tag | Role::SeriesName) && of_one_series && self.sole.is_none() {
                return self.of_row(planner, Choice::First, value);
            }
        }
        if self.state.as_ref() == Some(expr) {
            return self.chosen(planner, Choice::First, value);
        }
        let Some(Expr::Call { name, args }) = self.sole.clone() else {
            let grouped = !self.keys.is_empty() && self.window.is_none();
            return Err(if grouped { TdError::NotGrouped } else { TdError::NotSingleGroup });
        };
        let arg = planner.expr(&args[0], &mut self.rows())?;
        let time = self.time()?;
        let call = match name.as_str() {
            "last_row" => selector(Choice::Last).call(vec![time.clone(), time, value.plain()]),
            name => {
                let choice = match name {
                    "min" => Choice::Min,
                    "max" => Choice::Max,
                    "first" => Choice::First,
                    _ => Choice::Last,
                };
                selector(choice).call(vec![arg.plain(), time, value.plain()])
            }
        };
        let point = self.add(planner, call);
        Ok(Typed { expr: cast_to(get_field(point, "aux_0"), arrow_type(value.kind)), kind: value.kind })
    }

    fn aggregate(&mut self, planner: &Planner<'_>, name: &str, args: &[Expr]) -> Result<Typed, TdError> {
        if args.iter().any(|arg| has(arg, Nature::Aggregate) || has(arg, Nature::Choice) || has(arg, Nature::Sequence))
        {
            return Err(TdError::Nesting);
        }
        let count = || TdError::ArgumentCount(name.to_string());
        let Some(first) = args.first() else { return Err(count()) };
        if name == "count" {
            if args.len() > 1 {
                return Err(count());
            }
            let counted = match first {
                Expr::Star { .. } => lit(1i64),
                other => planner.expr(other, &mut self.rows())?.expr,
            };
            let call = planner.aggregate_function("count", vec![counted])?;
            return Ok(Typed::of(self.add(planner, call), T::BigInt));
        }
        let value = planner.expr(first, &mut self.rows())?;
        let plain = |most: usize| if args.len() > most { Err(count()) } else { Ok(()) };
        let number = |value: &Typed| -> Result<Plan, TdError> {
            let kind = value.kind.unwrap_or(T::Double);
            if kind.is_number() || kind == T::Bool {
                return planner.number(value.clone());
            }
            Err(TdError::ArgumentType(name.to_string()))
        };
        match name {
            "sum" => {
                plain(1)?;
                let _ = number(&value)?;
                let (call, kind) = match value.kind {
                    Some(T::Decimal { scale, .. }) => (value.plain(), T::Decimal { precision: 38, scale }),
                    Some(kind) if kind.is_unsigned() => (value.plain(), T::UBigInt),
                    Some(kind) if kind.is_signed() || kind == T::Bool => {
                        (cast_to(value.plain(), datafusion::arrow::datatypes::DataType::Int64), T::BigInt)
                    }
                    _ => (number(&value)?, T::Double),
                };
                let call = planner.aggregate_function("sum", vec![call])?;
                Ok(Typed::of(self.add(planner, call), kind))
            }
            "avg" | "stddev" | "std" | "stddev_pop" | "stddev_samp" | "var_pop" | "var_samp" | "variance" => {
                plain(1)?;
                let function = match name {
                    "stddev" | "std" => "stddev_pop",
                    "variance" => "var_pop",
                    "stddev_samp" => "stddev",
                    "var_samp" => "var",
                    other => other,
                };
                let call = planner.aggregate_function(function, vec![number(&value)?])?;
                Ok(Typed::of(self.add(planner, call), T::Double))
            }
            "min" | "max" => {
                plain(1)?;
                let call = planner.aggregate_function(name, vec![value.plain()])?;
                let least = self.add(planner, call);
                Ok(Typed { expr: least, kind: value.kind })
            }
            "spread" => {
                plain(1)?;
                let value =
                    if value.is_time() { double(units_of(value.expr, self.precision())) } else { number(&value)? };
                let (max, min) = ("max", "min");
                let max = planner.aggregate_function(max, vec![value.clone()])?;
                let min = planner.aggregate_function(min, vec![value])?;
                let (max, min) = (self.add(planner, max), self.add(planner, min));
                Ok(Typed::of(max - min, T::Double))
            }
            "first" | "last" => {
                plain(1)?;
                let choice = if name == "first" { Choice::First } else { Choice::Last };
                self.chosen(planner, choice, value)
            }
            "last_row" => {
                plain(1)?;
                self.of_row(planner, Choice::Last, value)
            }
            "mode" => {
                plain(1)?;
                let (kind, time) = (value.kind, self.time()?);
                let call = collected(Collected::Mode).call(vec![lit(false), value.plain(), time]);
                let mode = self.add(planner, call);
                Ok(Typed { expr: cast_to(mode, arrow_type(kind)), kind })
            }
            "hyperloglog" => {
                plain(1)?;
                let call = planner.aggregate_function("count", vec![value.plain()])?.distinct().build()?;
                Ok(Typed::of(self.add(planner, call), T::BigInt))
            }
            "elapsed" => {
                plain(2)?;
                if !value.is_time() {
                    return Err(TdError::ArgumentType(name.to_string()));
                }
                let unit = planner.unit(name, args.get(1), self.precision())?;
                let (max, min) = (
                    planner.aggregate_function("max", vec![value.expr.clone()])?,
                    planner.aggregate_function("min", vec![value.expr])?,
                );
                let nanos = |time| double(cast_to(time, datafusion::arrow::datatypes::DataType::Int64));
                let (max, min) = (self.add(planner, max), self.add(planner, min));
                Ok(Typed::of((nanos(max) - nanos(min)) / lit(unit as f64), T::Double))
            }
            _ => self.ordered(planner, name, args, number(&value)?),
        }
    }

    /// Aggregates over points in their order.
    fn ordered(&mut self, planner: &Planner<'_>, name: &str, args: &[Expr], value: Plan) -> Result<Typed, TdError> {
        let count = || TdError::ArgumentCount(name.to_string());
        let constant = |arg: &Expr| match arg {
            Expr::Number(digits) => digits.parse::<f64>().map_err(|_| TdError::ArgumentValue(name.to_string())),
            _ => Err(TdError::ArgumentType(name.to_string())),
        };
        let rest = args.get(1..).unwrap_or_default();
        let percent = |arg: &Expr| {
            let percent = constant(arg)?;
            if (0.0..=100.0).contains(&percent) {
                Ok(percent.to_bits())
            } else {
                Err(TdError::ArgumentValue(name.to_string()))
            }
        };
        let (kind, result) = match (name, rest) {
            ("twa", []) => (Ordered::TimeWeightedAverage, T::Double),
            ("irate", []) => (Ordered::InstantRate, T::Double),
            ("leastsquares", [start, step]) => {
                let (start, step) = (constant(start)?.to_bits(), constant(step)?.to_bits());
                (Ordered::LeastSquares { start, step }, T::Varchar(128))
            }
            ("percentile", [p]) => (Ordered::Percentile { percent: percent(p)? }, T::Double),
            ("percentile", [_, _, ..]) if rest.len() <= 10 => {
                let percents = rest.iter().map(percent).collect::<Result<_, _>>()?;
                (Ordered::Percentiles { percents }, T::Varchar(1024))
            }
            ("apercentile", [p] | [p, Expr::Text(_)]) => (Ordered::Percentile { percent: percent(p)? }, T::Double),
            ("histogram", [Expr::Text(kind), Expr::Text(bins), normalized]) => {
                let bounds =
                    super::aggregate::bin_bounds(kind, bins).ok_or_else(|| TdError::ArgumentValue(name.to_string()))?;
                let bounds = bounds.into_iter().map(f64::to_bits).collect();
                (Ordered::Histogram { bounds, normalized: constant(normalized)? != 0.0 }, T::Varchar(512))
            }
            _ => return Err(count()),
        };
        let list = matches!(kind, Ordered::Histogram { .. });
        let time = match &self.relation.time {
            Some(time) => column(time),
            // What does not hang on the order of the rows needs no time.
            None if matches!(name, "twa" | "irate" | "leastsquares") => self.time()?,
            None => super::types::time_literal(0),
        };
        let result_column = self.add(planner, kind.call(value, time));
        if list && let Plan::Column(of) = &result_column {
            self.lists.push(of.name.clone());
        }
        Ok(Typed::of(result_column, result))
    }
}

impl Names for Groups<'_> {
    fn whole(&mut self, planner: &Planner<'_>, expr: &Expr) -> Result<Option<Typed>, TdError> {
        if let Some(key) = self.key(expr) {
            return Ok(Some(Typed { expr: column(&key.id), kind: key.kind }));
        }
        if let Some((_, known)) = self.known.iter().find(|(known, _)| known == expr) {
            return Ok(Some(known.clone()));
        }
        let typed = match expr {
            Expr::Call { name, args } => match nature(name) {
                Nature::Aggregate => self.aggregate(planner, name, args)?,
                Nature::Scalar => return Ok(None),
                _ => return Err(TdError::NotSingleGroup),
            },
            _ if self.state.as_ref() == Some(expr) => self.beside(planner, expr)?,
            Expr::Column { name, .. } if !is_pseudo(name) => self.beside(planner, expr)?,
            _ => return Ok(None),
        };
        self.known.push((expr.clone(), typed.clone()));
        Ok(Some(typed))
    }

    fn column(&mut self, _: Option<&str>, name: &str) -> Result<Typed, TdError> {
        if !is_window_pseudo(name) {
            return query_pseudo(name, self.range, self.precision());
        }
        let precision = self.precision();
        let Some(window) = &self.window else {
            // An inner query's window may be called so.
            return self.relation.typed(None, name).map_err(|_| TdError::PseudoColumn(name.to_string()));
        };
        Ok(window.typed(name, precision))
    }

    fn precision(&self) -> Precision {
        self.relation.precision
    }
}

/// The selector that plain columns take their row from: the only aggregate of a query.
pub(super) fn sole_selector(calls: &[&Expr]) -> Option<Expr> {
    match calls {
        [call @ Expr::Call { name, args }] if is_selector(name) && args.len() == 1 => Some((*call).clone()),
        _ => None,
    }
}
