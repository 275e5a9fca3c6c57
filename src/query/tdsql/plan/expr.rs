//! Expressions of the language as expressions of the engine, with the language's rules of types.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{BinaryExpr, Case, Expr as Plan, Operator, lit, not};

use crate::model::{DeclaredType, Precision};
use crate::query::tdsql::ast::{BinaryOp, Expr};
use crate::query::tdsql::error::TdError;
use crate::query::tdsql::functions::{json, texts, times};
use crate::query::tdsql::time::{Duration, parse_time};

use super::Planner;
use super::calls::{Nature, is_pseudo, is_window_pseudo, nature};
use super::relation::Relation;
use super::types::{
    Typed, arrow_type, cast_to, common, double, null_of, text_literal, time_literal, time_of_units, units_of,
    varchar_of,
};

/// What names and whole expressions mean in some place of a query.
pub(super) trait Names {
    /// What an expression means here, if it is more than its parts.
    fn whole(&mut self, planner: &Planner<'_>, expr: &Expr) -> Result<Option<Typed>, TdError>;

    fn column(&mut self, table: Option<&str>, name: &str) -> Result<Typed, TdError>;

    fn precision(&self) -> Precision;
}

/// The first and last time that a query asks for, nanoseconds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TimeRange {
    pub from: Option<i64>,
    pub to: Option<i64>,
}

/// Names of the rows of a relation.
pub(super) struct RowNames<'a> {
    pub relation: &'a Relation,
    pub range: TimeRange,
}

impl Names for RowNames<'_> {
    fn whole(&mut self, _: &Planner<'_>, expr: &Expr) -> Result<Option<Typed>, TdError> {
        match expr {
            Expr::Call { name, .. } if nature(name) != Nature::Scalar => Err(TdError::Aggregation),
            _ => Ok(None),
        }
    }

    fn column(&mut self, table: Option<&str>, name: &str) -> Result<Typed, TdError> {
        if table.is_none() && is_pseudo(name) && self.relation.find(None, name).is_err() {
            return query_pseudo(name, self.range, self.precision());
        }
        self.relation.typed(table, name)
    }

    fn precision(&self) -> Precision {
        self.relation.precision
    }
}

/// `_qstart` and its like, which only hang on the query.
pub(super) fn query_pseudo(name: &str, range: TimeRange, precision: Precision) -> Result<Typed, TdError> {
    let time = |time: Option<i64>| match time {
        Some(time) => Typed::of(time_literal(time), DeclaredType::Timestamp),
        None => Typed::of(null_of(Some(DeclaredType::Timestamp)), DeclaredType::Timestamp),
    };
    match name {
        "_qstart" => Ok(time(range.from)),
        "_qend" => Ok(time(range.to)),
        "_qduration" => {
            let length = range.to.zip(range.from).map(|(to, from)| to.saturating_sub(from) / precision.nanos());
            Ok(Typed::of(lit(ScalarValue::Int64(length)), DeclaredType::BigInt))
        }
        name if is_window_pseudo(name) => Err(TdError::PseudoColumn(name.to_string())),
        other => Err(TdError::Column(other.to_string())),
    }
}

impl Planner<'_> {
    pub(super) fn expr(&self, expr: &Expr, names: &mut dyn Names) -> Result<Typed, TdError> {
        if let Some(whole) = names.whole(self, expr)? {
            return Ok(whole);
        }
        match expr {
            Expr::Null => Ok(Typed::null()),
            Expr::Bool(value) => Ok(Typed::of(lit(*value), DeclaredType::Bool)),
            Expr::Number(digits) => number(digits),
            Expr::Text(text) => Ok(Typed::of(text_literal(text), varchar_of(text))),
            Expr::Duration(duration) => {
                let nanos = duration.nanos().ok_or_else(|| TdError::Syntax(duration.to_string()))?;
                Ok(Typed::of(lit(nanos / names.precision().nanos()), DeclaredType::BigInt))
            }
            Expr::Column { table, name } => names.column(table.as_deref(), name),
            Expr::Star { .. } => Err(TdError::Syntax("*".to_string())),
            Expr::Call { name, args } => self.scalar(name, args, names),
            Expr::Cast { expr, to } => {
                let typed = self.expr(expr, names)?;
                self.cast(typed, *to, names.precision())
            }
            Expr::Negative(inner) => {
                let typed = self.expr(inner, names)?;
                match typed.kind {
                    Some(kind) if kind.is_signed() || kind.is_float() => {
                        Ok(Typed::of(cast_to(Plan::Negative(Box::new(typed.expr)), arrow_type(Some(kind))), kind))
                    }
                    None => Ok(typed),
                    _ => Ok(Typed::of(Plan::Negative(Box::new(self.number(typed)?)), DeclaredType::Double)),
                }
            }
            Expr::Not(inner) => Ok(boolean(not(self.condition(inner, names)?))),
            Expr::And(terms) => {
                let terms = terms.iter().map(|term| self.condition(term, names)).collect::<Result<Vec<_>, _>>()?;
                Ok(boolean(balanced(terms, Operator::And).unwrap_or_else(|| lit(true))))
            }
            Expr::Or(terms) => {
                let terms = terms.iter().map(|term| self.condition(term, names)).collect::<Result<Vec<_>, _>>()?;
                Ok(boolean(balanced(terms, Operator::Or).unwrap_or_else(|| lit(false))))
            }
            Expr::Binary { op, left, right } if op.is_comparison() => {
                let (left, right) = (self.expr(left, names)?, self.expr(right, names)?);
                self.compare(*op, left, right, names.precision())
            }
            Expr::Binary { .. } => self.chain(expr, names),
            Expr::Between { expr, low, high, negated } => {
                let typed = self.expr(expr, names)?;
                self.repeat_plan(&typed.expr, 1)?;
                let (low, high) = (self.expr(low, names)?, self.expr(high, names)?);
                let precision = names.precision();
                let above = self.compare(BinaryOp::GreaterEqual, typed.clone(), low, precision)?.expr;
                let below = self.compare(BinaryOp::LessEqual, typed, high, precision)?.expr;
                let inside = above.and(below);
                Ok(boolean(if *negated { not(inside) } else { inside }))
            }
            Expr::In { expr, list, negated } => self.in_list(expr, list, *negated, names),
            Expr::Like { expr, pattern, negated } => {
                let (typed, pattern) = (self.expr(expr, names)?, self.expr(pattern, names)?);
                let (Some(value), true) = (text_of(&typed), pattern.is_text()) else {
                    return Err(TdError::ValueType("like".to_string()));
                };
                let (value, pattern) = (Box::new(value), Box::new(pattern.plain()));
                Ok(boolean(Plan::Like(Like::new(*negated, value, pattern, Some('\\'), false))))
            }
            Expr::Match { expr, pattern, negated } => {
                let (typed, pattern) = (self.expr(expr, names)?, self.expr(pattern, names)?);
                let (Some(value), true) = (text_of(&typed), pattern.is_text()) else {
                    return Err(TdError::ValueType("match".to_string()));
                };
                if pattern.literal_text().is_some_and(|text| regex::Regex::new(text).is_err()) {
                    return Err(TdError::ArgumentValue("invalid regular expression".to_string()));
                }
                let op = if *negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
                Ok(boolean(binary(value, op, pattern.plain())))
            }
            Expr::IsNull { expr, negated } => {
                let typed = self.expr(expr, names)?;
                let is_json = typed.is(|kind| kind == DeclaredType::Json);
                let value = if is_json { json::value(typed.plain()) } else { typed.expr };
                Ok(boolean(if *negated { value.is_not_null() } else { value.is_null() }))
            }
            Expr::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), names)
            }
            Expr::Member { expr, key } => {
                let typed = self.expr(expr, names)?;
                if !typed.is(|kind| kind == DeclaredType::Json) {
                    return Err(TdError::ValueType(key.clone()));
                }
                Ok(Typed::of(json::member(typed.expr, key), DeclaredType::Json))
            }
            Expr::Contains { expr, key } => {
                let typed = self.expr(expr, names)?;
                if !typed.is(|kind| kind == DeclaredType::Json) {
                    return Err(TdError::ValueType(key.clone()));
                }
                Ok(boolean(json::contains(typed.expr, key)))
            }
        }
    }

    /// An expression that is true or false.
    pub(super) fn condition(&self, expr: &Expr, names: &mut dyn Names) -> Result<Plan, TdError> {
        let typed = self.expr(expr, names)?;
        match typed.kind {
            Some(DeclaredType::Bool) => Ok(typed.expr),
            None => Ok(lit(ScalarValue::Boolean(None))),
            Some(kind) if kind.is_number() => {
                let zero = Typed::of(lit(0i64), DeclaredType::BigInt);
                Ok(self.compare(BinaryOp::NotEqual, typed, zero, names.precision())?.expr)
            }
            Some(_) => Err(TdError::ValueType("where".to_string())),
        }
    }

    /// A number as the engine calculates with it.
    pub(super) fn number(&self, typed: Typed) -> Result<Plan, TdError> {
        match typed.kind {
            None => Ok(null_of(Some(DeclaredType::Double))),
            Some(DeclaredType::Bool) => Ok(double(cast_to(typed.expr, DataType::Int64))),
            Some(kind) if kind.is_number() => Ok(double(typed.expr)),
            Some(DeclaredType::Timestamp) => Ok(double(cast_to(typed.expr, DataType::Int64))),
            Some(DeclaredType::Json) => Ok(json::number(typed.expr)),
            Some(kind) if kind.is_text() => Ok(texts::to_double(typed.plain())),
            Some(kind) => Err(TdError::ArgumentType(kind.to_string())),
        }
    }

    /// A time out of whatever may stand for one.
    pub(super) fn time(&self, typed: Typed, precision: Precision) -> Result<Plan, TdError> {
        if typed.is_time() {
            return Ok(typed.expr);
        }
        if let Some(text) = typed.literal_text() {
            let time = parse_time(text, self.question.zone).or_else(|| precision.to_nanos(text.trim().parse().ok()?));
            return time.map(time_literal).ok_or_else(|| TdError::value(text, "invalid timestamp"));
        }
        if let Some(number) = typed.literal_integer() {
            // Beyond what can be stored there is nothing either way.
            let nanos = i128::from(number) * i128::from(precision.nanos());
            return Ok(time_literal(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64));
        }
        match typed.kind {
            None => Ok(null_of(Some(DeclaredType::Timestamp))),
            Some(kind) if kind.is_number() => Ok(time_of_units(typed.expr, precision)),
            Some(kind) if kind.is_text() => Ok(times::parsed(typed.plain(), self.question.zone)),
            Some(kind) => Err(TdError::ValueType(kind.to_string())),
        }
    }

    pub(super) fn compare(
        &self,
        op: BinaryOp,
        left: Typed,
        right: Typed,
        precision: Precision,
    ) -> Result<Typed, TdError> {
        let (left, right) = self.comparable(left, right, precision)?;
        let op = match op {
            BinaryOp::NotEqual => Operator::NotEq,
            BinaryOp::Less => Operator::Lt,
            BinaryOp::LessEqual => Operator::LtEq,
            BinaryOp::Greater => Operator::Gt,
            BinaryOp::GreaterEqual => Operator::GtEq,
            _ => Operator::Eq,
        };
        Ok(boolean(binary(left, op, right)))
    }

    /// Two values made such that the engine compares them by the language's rules.
    fn comparable(&self, left: Typed, right: Typed, precision: Precision) -> Result<(Plan, Plan), TdError> {
        use DeclaredType as T;
        let (Some(a), Some(b)) = (left.kind, right.kind) else {
            let null =
                |typed: &Typed, other: &Typed| if typed.kind.is_none() { null_of(other.kind) } else { typed.plain() };
            if left.kind.is_none() && right.kind.is_none() {
                return Ok((lit(ScalarValue::Boolean(None)), lit(ScalarValue::Boolean(None))));
            }
            return Ok((null(&left, &right), null(&right, &left)));
        };
        if a == T::Timestamp || b == T::Timestamp {
            return Ok((self.time(left, precision)?, self.time(right, precision)?));
        }
        match (a, b) {
            (T::Json, T::Json) => Ok((json::value(left.plain()), json::value(right.plain()))),
            (T::Json, b) if b.is_text() => Ok((json::text(left.expr), right.plain())),
            (a, T::Json) if a.is_text() => Ok((left.plain(), json::text(right.expr))),
            (T::Json, T::Bool) => Ok((json::boolean(left.expr), right.expr)),
            (T::Bool, T::Json) => Ok((left.expr, json::boolean(right.expr))),
            (T::Json, _) | (_, T::Json) => Ok((self.number(left)?, self.number(right)?)),
            (T::Varbinary(_), b) if b.is_text() => Ok((left.expr, hex(&right))),
            (a, T::Varbinary(_)) if a.is_text() => Ok((hex(&left), right.expr)),
            (a, b) if a.is_text() && b.is_text() => Ok((left.expr, right.expr)),
            (T::Bool, T::Bool) => Ok((left.expr, right.expr)),
            (T::Bool, b) if b.is_text() => Ok((left.expr, cast_to(right.plain(), DataType::Boolean))),
            (a, T::Bool) if a.is_text() => Ok((cast_to(left.plain(), DataType::Boolean), right.expr)),
            (a, b) if a.is_integer() && b.is_integer() => Ok((left.expr, right.expr)),
            (T::Float, _) if b.is_number() => Ok((cast_to(left.expr, DataType::Float32), narrow(right))),
            (_, T::Float) if a.is_number() => Ok((narrow(left), cast_to(right.expr, DataType::Float32))),
            (T::Decimal { .. }, T::Decimal { .. }) => Ok((left.expr, right.expr)),
            (T::Decimal { .. }, b) if b.is_integer() => Ok((left.expr, right.expr)),
            _ if a == b => Ok((left.plain(), right.plain())),
            _ => Ok((self.number(left)?, self.number(right)?)),
        }
    }

    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool, names: &mut dyn Names) -> Result<Typed, TdError> {
        let typed = self.expr(expr, names)?;
        if typed.is(|kind| kind == DeclaredType::Json) {
            return Err(TdError::JsonIn);
        }
        let precision = names.precision();
        let mut values = Vec::with_capacity(list.len());
        let mut subject = typed.expr.clone();
        for value in list {
            let value = self.expr(value, names)?;
            let (left, right) = self.comparable(typed.clone(), value, precision)?;
            (subject, _) = (left, ());
            values.push(right);
        }
        Ok(boolean(subject.in_list(values, negated)))
    }

    /// A chain of arithmetic, which is as deep as it is long: from its innermost operator outwards, without recursion.
    fn chain(&self, whole: &Expr, names: &mut dyn Names) -> Result<Typed, TdError> {
        let mut outer = Vec::new();
        let mut at = whole;
        let mut planned = None;
        while let Expr::Binary { op, left, right } = at
            && !op.is_comparison()
        {
            if !outer.is_empty() {
                planned = names.whole(self, at)?;
                if planned.is_some() {
                    break;
                }
            }
            outer.push((*op, right));
            at = left;
        }
        let mut planned = match (planned, at, outer.last()) {
            (Some(planned), ..) => planned,
            (None, Expr::Duration(by), Some((BinaryOp::Add, right))) => {
                // Planned once, whatever it is: chains nest on the right.
                let right = self.expr(right, names)?;
                outer.pop();
                if right.is_time() {
                    self.shifted(right.expr, *by, 1)?
                } else {
                    let left = self.expr(at, names)?;
                    self.arithmetic(BinaryOp::Add, left, right, names.precision())?
                }
            }
            (None, first, _) => self.expr(first, names)?,
        };
        for (op, right) in outer.into_iter().rev() {
            planned = match (&**right, shift(op)) {
                (Expr::Duration(by), Some(sign)) if planned.is_time() => self.shifted(planned.expr, *by, sign)?,
                (right, _) => {
                    let right = self.expr(right, names)?;
                    self.arithmetic(op, planned, right, names.precision())?
                }
            };
        }
        Ok(planned)
    }

    fn arithmetic(&self, op: BinaryOp, left: Typed, right: Typed, precision: Precision) -> Result<Typed, TdError> {
        match (left.is_time(), right.is_time()) {
            (true, true) if op == BinaryOp::Subtract => {
                let units = |time: Typed| units_of(time.expr, precision);
                return Ok(Typed::of(units(left) - units(right), DeclaredType::BigInt));
            }
            (true, false) if right.is_number() => {
                if let Some(sign) = shift(op) {
                    let nanos = cast_to(right.expr, DataType::Int64) * lit(precision.nanos() * sign);
                    let moved = cast_to(left.expr, DataType::Int64) + nanos;
                    return Ok(Typed::of(
                        cast_to(moved, arrow_type(Some(DeclaredType::Timestamp))),
                        DeclaredType::Timestamp,
                    ));
                }
            }
            (false, true) if op == BinaryOp::Add && left.is_number() => {
                let moved =
                    cast_to(left.expr, DataType::Int64) * lit(precision.nanos()) + cast_to(right.expr, DataType::Int64);
                return Ok(Typed::of(
                    cast_to(moved, arrow_type(Some(DeclaredType::Timestamp))),
                    DeclaredType::Timestamp,
                ));
            }
            _ => {}
        }
        if matches!(op, BinaryOp::BitAnd | BinaryOp::BitOr) {
            let op = if op == BinaryOp::BitAnd { Operator::BitwiseAnd } else { Operator::BitwiseOr };
            let whole = |typed: Typed| -> Result<Plan, TdError> {
                if typed.kind.is_none() || typed.is_number() {
                    return Ok(cast_to(typed.expr, DataType::Int64));
                }
                Err(TdError::ValueType(op.to_string()))
            };
            return Ok(Typed::of(binary(whole(left)?, op, whole(right)?), DeclaredType::BigInt));
        }
        for side in [&left, &right] {
            if side.kind.is_some()
                && !side.is_number()
                && !side.is_time()
                && !side.is_text()
                && !side.is(|k| k == DeclaredType::Json)
            {
                return Err(TdError::ValueType(side.kind.map(|kind| kind.to_string()).unwrap_or_default()));
            }
        }
        let op = match op {
            BinaryOp::Add => Operator::Plus,
            BinaryOp::Subtract => Operator::Minus,
            BinaryOp::Multiply => Operator::Multiply,
            BinaryOp::Divide => Operator::Divide,
            _ => Operator::Modulo,
        };
        Ok(Typed::of(binary(self.number(left)?, op, self.number(right)?), DeclaredType::Double))
    }

    /// A time moved by a duration.
    pub(super) fn shifted(&self, time: Plan, by: Duration, sign: i64) -> Result<Typed, TdError> {
        if let Plan::Literal(ScalarValue::TimestampNanosecond(Some(nanos), _), _) = &time {
            let moved = by.added_to(*nanos, sign).ok_or(TdError::TimeRange)?;
            return Ok(Typed::of(time_literal(moved), DeclaredType::Timestamp));
        }
        let moved = match by.nanos() {
            Some(nanos) => cast_to(
                cast_to(time, DataType::Int64) + lit(nanos.saturating_mul(sign)),
                arrow_type(Some(DeclaredType::Timestamp)),
            ),
            None => {
                let months = by.months().and_then(|months| i32::try_from(months.checked_mul(sign)?).ok());
                let months = months.ok_or(TdError::TimeRange)?;
                time + lit(ScalarValue::new_interval_ym(0, months))
            }
        };
        Ok(Typed::of(moved, DeclaredType::Timestamp))
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        names: &mut dyn Names,
    ) -> Result<Typed, TdError> {
        let precision = names.precision();
        let operand = operand.map(|operand| self.expr(operand, names)).transpose()?;
        if let Some(operand) = &operand {
            self.repeat_plan(&operand.expr, branches.len())?;
        }
        let mut planned = Vec::with_capacity(branches.len());
        let mut kind = None;
        for (when, then) in branches {
            let when = match &operand {
                Some(operand) => {
                    let value = self.expr(when, names)?;
                    self.compare(BinaryOp::Equal, operand.clone(), value, precision)?.expr
                }
                None => self.condition(when, names)?,
            };
            let then = self.expr(then, names)?;
            kind = common(kind, then.kind);
            planned.push((when, then));
        }
        let otherwise = otherwise.map(|otherwise| self.expr(otherwise, names)).transpose()?;
        kind = common(kind, otherwise.as_ref().and_then(|typed| typed.kind));
        let as_kind = |typed: Typed| -> Result<Box<Plan>, TdError> {
            Ok(Box::new(match (typed.kind, kind) {
                (None, _) => null_of(kind),
                (Some(_), Some(wanted)) => self.cast(typed, wanted, precision)?.expr,
                (Some(_), None) => typed.plain(),
            }))
        };
        let whens = planned.into_iter().map(|(when, then)| Ok((Box::new(when), as_kind(then)?)));
        let whens = whens.collect::<Result<Vec<_>, TdError>>()?;
        let otherwise = otherwise.map(as_kind).transpose()?;
        Ok(Typed { expr: Plan::Case(Case::new(None, whens, otherwise)), kind })
    }

    /// A value as another type, by the rules of CAST.
    pub(super) fn cast(&self, typed: Typed, to: DeclaredType, precision: Precision) -> Result<Typed, TdError> {
        use DeclaredType as T;
        let Some(from) = typed.kind else { return Ok(Typed::of(null_of(Some(to)), to)) };
        if from == to {
            return Ok(Typed::of(typed.plain(), to));
        }
        let wanted = arrow_type(Some(to));
        let expr = match to {
            T::Varchar(length) | T::NChar(length) => {
                let text = match from {
                    T::Timestamp => cast_to(units_of(typed.expr, precision), DataType::Utf8),
                    T::Json => json::text(typed.expr),
                    _ => cast_to(typed.expr, DataType::Utf8),
                };
                texts::cut(text, length, matches!(to, T::NChar(_)))
            }
            T::Timestamp if from.is_text() => match typed.literal_text() {
                Some(text) => parse_time(text, self.question.zone).map_or_else(|| null_of(Some(to)), time_literal),
                None => times::parsed(typed.plain(), self.question.zone),
            },
            T::Timestamp => self.time(typed, precision)?,
            _ if from == T::Timestamp && to.is_integer() => cast_to(units_of(typed.expr, precision), wanted),
            _ if from.is_text() && to.is_integer() => texts::narrowed(texts::to_integer(typed.plain()), wanted),
            _ if from.is_text() && to.is_float() => cast_to(texts::to_double(typed.plain()), wanted),
            T::Bool if from.is_text() => cast_to(texts::to_double(typed.plain()), DataType::Float64).not_eq(lit(0.0)),
            T::Bool => cast_to(typed.expr, DataType::Float64).not_eq(lit(0.0)),
            _ if from == T::Bool && to.is_number() => cast_to(cast_to(typed.expr, DataType::Int64), wanted),
            _ if to.is_integer() => texts::narrowed(typed.expr, wanted),
            T::Varbinary(_) if from.is_text() => texts::hex(typed.plain()),
            T::Json | T::Geometry(_) => return Err(TdError::ArgumentType(to.to_string())),
            _ => cast_to(typed.expr, wanted),
        };
        Ok(Typed::of(expr, to))
    }
}

/// Which way an operator moves a time by what is on its right, if it does.
fn shift(op: BinaryOp) -> Option<i64> {
    match op {
        BinaryOp::Add => Some(1),
        BinaryOp::Subtract => Some(-1),
        _ => None,
    }
}

pub(super) fn boolean(expr: Plan) -> Typed {
    Typed::of(expr, DeclaredType::Bool)
}

/// The text that a value is, when it may be one.
fn text_of(typed: &Typed) -> Option<Plan> {
    match typed.kind {
        Some(DeclaredType::Json) => Some(json::text(typed.plain())),
        Some(kind) if kind.is_text() => Some(typed.plain()),
        _ => None,
    }
}

fn binary(left: Plan, op: Operator, right: Plan) -> Plan {
    Plan::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Terms put together by AND or OR, in their order, in a tree as flat as can be: the engine walks it by recursion.
pub(super) fn balanced(terms: impl IntoIterator<Item = Plan>, op: Operator) -> Option<Plan> {
    let mut terms: Vec<Plan> = terms.into_iter().collect();
    while terms.len() > 1 {
        let mut rest = terms.into_iter();
        let mut pairs = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(left, op, right),
                None => left,
            });
        }
        terms = pairs;
    }
    terms.pop()
}

fn hex(typed: &Typed) -> Plan {
    match typed.literal_text().and_then(crate::query::tdsql::values::hex_of) {
        Some(hex) => text_literal(&hex),
        None => texts::hex(typed.plain()),
    }
}

/// A number beside a FLOAT: compared as narrow as that is, so that `10.3` is `10.3`.
fn narrow(typed: Typed) -> Plan {
    cast_to(typed.expr, DataType::Float32)
}

/// A number as written: an integer when it is one.
fn number(digits: &str) -> Result<Typed, TdError> {
    let wrong = || TdError::Syntax(digits.to_string());
    if let Ok(number) = digits.parse::<i64>() {
        return Ok(Typed::of(lit(number), DeclaredType::BigInt));
    }
    if let Ok(number) = digits.parse::<u64>() {
        return Ok(Typed::of(lit(number), DeclaredType::UBigInt));
    }
    let plain = digits.trim_start_matches('-');
    for (prefix, radix) in [("0x", 16), ("0b", 2)] {
        if let Some(rest) = plain.strip_prefix(prefix) {
            let number = i64::from_str_radix(rest, radix).map_err(|_| wrong())?;
            let number = if digits.starts_with('-') { -number } else { number };
            return Ok(Typed::of(lit(number), DeclaredType::BigInt));
        }
    }
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    if number.is_finite() { Ok(Typed::of(lit(number), DeclaredType::Double)) } else { Err(wrong()) }
}
