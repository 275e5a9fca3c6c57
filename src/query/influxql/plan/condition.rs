//! WHERE, without what it says about time: an expression that is true for the rows wanted.

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::math::expr_fn::isnan;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr as Plan, lit, when};

use crate::query::influxql::answer::StatementError;
use crate::query::influxql::expr::{Binary, BinaryOp, Cast, Expr, Literal, Logic, VarRef};

use super::fields::arithmetic_of;
use super::types::Type;
use super::typing::type_of_ref;
use super::values::{Comparison, Division, Value, arithmetic, compare, match_pattern, math_call};

/// The condition over a source's rows, whose columns `column` finds. Null and false both mean no. Functions are computed
/// over tables only: of what an inner select gives they are null.
///
/// Of tables the server has an index, which it asks for the series that a comparison of a tag means; there a tag that is
/// absent is empty. All else it computes for each row, where an absent tag is none and compares with nothing.
pub(super) fn condition(
    expr: &Expr,
    is_table: bool,
    column: &dyn Fn(&VarRef) -> Value,
) -> Result<Plan, StatementError> {
    let conditions = Conditions { column, is_table };
    if is_table { conditions.of_series(expr) } else { conditions.value(expr).map(as_condition) }
}

/// What is no boolean is never true.
fn as_condition(value: Value) -> Plan {
    if value.kind == Type::Boolean { value.expr } else { lit(false) }
}

struct Conditions<'a> {
    column: &'a dyn Fn(&VarRef) -> Value,
    is_table: bool,
}

impl Conditions<'_> {
    /// Which rows of a table a part of the condition means that stands beside others only.
    fn of_series(&self, expr: &Expr) -> Result<Plan, StatementError> {
        match expr {
            Expr::Paren(inner) => self.of_series(inner),
            Expr::Logic(logic, terms) => {
                let terms = terms.iter().map(|term| self.of_series(term));
                Ok(together(*logic, terms.collect::<Result<_, _>>()?))
            }
            Expr::Binary(binary) if asks_index(binary) => {
                let side = |side: &Expr| match side {
                    Expr::Ref(tag) => Ok((self.column)(tag)),
                    other => self.value(other),
                };
                self.binary(binary, &side).map(as_condition)
            }
            // The index finds all series for it, and forgets what was asked.
            Expr::Binary(binary) if !binary.op.is_comparison() => Ok(lit(true)),
            other => self.value(other).map(as_condition),
        }
    }

    /// The value of an expression in a row.
    fn value(&self, expr: &Expr) -> Result<Value, StatementError> {
        Ok(match expr {
            Expr::Ref(reference) => match (self.column)(reference) {
                tag if tag.kind == Type::Tag && self.is_table => tag.cast_to(Type::String),
                value => value,
            },
            Expr::Paren(inner) => self.value(inner)?,
            Expr::Literal(literal) => literal_value(literal),
            Expr::Logic(logic, terms) => {
                let terms = terms.iter().map(|term| Ok(as_condition(self.value(term)?)));
                let terms = terms.collect::<Result<Vec<_>, StatementError>>()?;
                Value::of(together(*logic, terms), Type::Boolean)
            }
            Expr::Call(_) if !self.is_table => Value::null(Type::Unknown),
            Expr::Call(call) => {
                let args = call.args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<_>, _>>()?;
                math_call(&call.name, &args).unwrap_or_else(|| Value::null(Type::Unknown))
            }
            Expr::Binary(binary) => self.binary(binary, &|side| self.value(side))?,
            Expr::Distinct(_) | Expr::Wildcard(_) => Value::null(Type::Unknown),
        })
    }

    fn binary(
        &self,
        binary: &Binary,
        value: &dyn Fn(&Expr) -> Result<Value, StatementError>,
    ) -> Result<Value, StatementError> {
        let left = value(&binary.left)?;
        if let (BinaryOp::EqRegex | BinaryOp::NotEqRegex, Expr::Literal(Literal::Regex(regex))) =
            (binary.op, &binary.right)
        {
            let negated = binary.op == BinaryOp::NotEqRegex;
            let matches = match_pattern(&left, regex.pattern(), regex.is_match(""), negated);
            return Ok(Value::of(matches, Type::Boolean));
        }
        let right = value(&binary.right)?;
        let op = match binary.op {
            BinaryOp::Eq => Comparison::Equal,
            BinaryOp::NotEq => Comparison::NotEqual,
            BinaryOp::Less => Comparison::Less,
            BinaryOp::LessEq => Comparison::LessOrEqual,
            BinaryOp::Greater => Comparison::Greater,
            BinaryOp::GreaterEq => Comparison::GreaterOrEqual,
            other => {
                let Some(op) = arithmetic_of(other) else { return Ok(Value::null(Type::Unknown)) };
                return Ok(arithmetic(op, left, right, Division::Integer));
            }
        };
        // The outcome of a comparison is never missing to another one.
        let decided = |value: Value, of: &Expr| {
            if value.kind == Type::Boolean && !matches!(of, Expr::Ref(_) | Expr::Literal(_)) {
                return Value::of(coalesce(vec![value.expr, lit(false)]), Type::Boolean);
            }
            value
        };
        let (left, right) = (decided(left, &binary.left), decided(right, &binary.right));
        // Inner selects give what is no number, too.
        let ordered = |value| if self.is_table || op == Comparison::NotEqual { value } else { number_or_null(value) };
        let (left, right) = (ordered(left), ordered(right));
        let may_lack = |side: &Expr| match side {
            Expr::Literal(Literal::Duration(_) | Literal::Time(_) | Literal::Nil) => true,
            Expr::Ref(_) | Expr::Literal(_) => !self.is_table,
            _ => true,
        };
        let holds = match (left.kind, right.kind) {
            (Type::Boolean, _) if may_lack(&binary.right) => compare_boolean(op, &right, &left),
            (_, Type::Boolean) if may_lack(&binary.left) => compare_boolean(op, &left, &right),
            _ => compare(op, &left, &right),
        };
        Ok(Value::of(holds, Type::Boolean))
    }
}

/// Whether it is about a tag alone: compared with a text, a pattern or another tag, if it is a comparison.
fn asks_index(binary: &Binary) -> bool {
    let is_tag = |reference: &VarRef| match reference.cast {
        Some(Cast::Field) => false,
        _ => matches!(type_of_ref(reference), Type::Tag | Type::Unknown),
    };
    let (key, other) = match (&binary.left, &binary.right) {
        (Expr::Binary(_), _) | (_, Expr::Binary(_)) => return false,
        (Expr::Ref(key), other) | (other, Expr::Ref(key)) => (key, other),
        _ => return false,
    };
    let may_be_asked = match other {
        Expr::Ref(other) => is_tag(other),
        other => matches!(other, Expr::Literal(Literal::String(_) | Literal::Regex(_))),
    };
    is_tag(key) && may_be_asked
}

fn together(logic: Logic, terms: Vec<Plan>) -> Plan {
    let all = match logic {
        Logic::And => conjunction(terms),
        Logic::Or => disjunction(terms),
    };
    all.unwrap_or_else(|| lit(true))
}

/// What an inner select lacks, or an expression cannot be computed of, is false beside a boolean.
fn compare_boolean(op: Comparison, value: &Value, boolean: &Value) -> Plan {
    let or_false = |value: &Value| Value::of(coalesce(vec![value.expr.clone(), lit(false)]), Type::Boolean);
    if value.kind == Type::Boolean {
        return compare(op, &or_false(value), &or_false(boolean));
    }
    let absent = Value::of(lit(false), Type::Boolean);
    value.expr.clone().is_null().and(compare(op, &absent, &or_false(boolean)))
}

/// Null for what is no number, which is greater than all others to the engine and no greater than any to clients.
fn number_or_null(value: Value) -> Value {
    if value.kind != Type::Float {
        return value;
    }
    let is_number = isnan(value.expr.clone()).is_false();
    when(is_number, value.expr.clone()).end().map_or(value, |number| Value::of(number, Type::Float))
}

/// A literal as a value. Durations and moments outside of bounds on time compare with nothing.
pub(super) fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Number(number) => Value::float(*number),
        Literal::Integer(number) => Value::integer(*number),
        Literal::Unsigned(number) => Value::literal(ScalarValue::UInt64(Some(*number)), Type::Unsigned),
        Literal::String(text) => Value::literal(ScalarValue::Utf8(Some(text.clone())), Type::String),
        Literal::Boolean(value) => Value::literal(ScalarValue::Boolean(Some(*value)), Type::Boolean),
        Literal::Duration(_) | Literal::Regex(_) | Literal::Time(_) | Literal::Nil => Value::null(Type::Unknown),
    }
}
