//! Expressions over typed columns, computed as the server computes them.
//!
//! A value that is missing is null. Integers wrap, division by zero is zero, and a NaN counts as null once it reaches
//! an answer ([`Value::shown`]).

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::math::expr_fn as math;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, lit, not, try_cast, when};

use crate::query::functions::series;

use super::types::Type;

/// An expression of the engine and the type it has for the server.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub expr: Expr,
    pub kind: Type,
    /// Whether it is a literal of the statement: those take the type of what they meet.
    pub is_literal: bool,
}

/// What stands between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    Xor,
}

/// What two integers make when they are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Division {
    /// In a list of fields.
    Float,
    /// In a condition.
    Integer,
}

impl Value {
    pub(super) fn of(expr: Expr, kind: Type) -> Value {
        Value { expr, kind, is_literal: false }
    }

    pub(super) fn literal(value: ScalarValue, kind: Type) -> Value {
        Value { expr: lit(value), kind, is_literal: true }
    }

    pub(super) fn float(value: f64) -> Value {
        Value::literal(ScalarValue::Float64(Some(value)), Type::Float)
    }

    pub(super) fn integer(value: i64) -> Value {
        Value::literal(ScalarValue::Int64(Some(value)), Type::Integer)
    }

    pub(super) fn null(kind: Type) -> Value {
        Value::of(null(kind), kind)
    }

    /// As another type: numbers are converted, towards zero; anything else that does not fit is null.
    pub(super) fn cast_to(self, kind: Type) -> Value {
        let expr = match (self.kind, kind) {
            (from, to) if from == to => return self,
            (Type::Float, Type::Integer | Type::Unsigned) => try_cast(math::trunc(vec![self.expr]), kind.arrow()),
            (from, to) if from.is_number() && to.is_number() => try_cast(self.expr, kind.arrow()),
            (Type::Tag, Type::String) | (Type::String, Type::Tag) => cast(self.expr, kind.arrow()),
            _ => null(kind),
        };
        Value { expr, kind, is_literal: self.is_literal }
    }

    /// As it leaves in an answer: what is not a number is null.
    pub(super) fn shown(self) -> Value {
        let is_computed = !matches!(self.expr, Expr::Column(_));
        if self.kind != Type::Float || !is_computed {
            return self;
        }
        let is_nan = math::isnan(self.expr.clone());
        let expr = when(is_nan, null(Type::Float)).otherwise(self.expr.clone()).unwrap_or(self.expr);
        Value::of(expr, Type::Float)
    }

    fn as_float(&self) -> Expr {
        match (&self.expr, self.kind) {
            (expr, Type::Float) => expr.clone(),
            (Expr::Literal(ScalarValue::Int64(Some(number)), _), _) => lit(*number as f64),
            (Expr::Literal(ScalarValue::UInt64(Some(number)), _), _) => lit(*number as f64),
            (expr, _) => cast(expr.clone(), Type::Float.arrow()),
        }
    }
}

/// The null of a type.
pub(super) fn null(kind: Type) -> Expr {
    let null = ScalarValue::try_new_null(&kind.arrow()).unwrap_or(ScalarValue::Null);
    lit(null)
}

/// `left op right`. Operands of no number type, or of none at all, make null; two booleans know `& | ^`.
pub(super) fn arithmetic(op: Arithmetic, left: Value, right: Value, division: Division) -> Value {
    if left.kind == Type::Boolean && right.kind == Type::Boolean {
        return of_booleans(op, left, right);
    }
    let Some(kind) = common_number(left.kind, right.kind) else {
        let known = if left.kind == Type::Unknown { right.kind } else { left.kind };
        return Value::null(if known.is_number() { known } else { Type::Float });
    };
    if kind == Type::Float || (op == Arithmetic::Divide && division == Division::Float && kind == Type::Integer) {
        return of_floats(op, &left, &right);
    }
    let (left, right) = (left.cast_to(kind).expr, right.cast_to(kind).expr);
    let zero = lit(if kind == Type::Unsigned { ScalarValue::UInt64(Some(0)) } else { ScalarValue::Int64(Some(0)) });
    let expr = match op {
        Arithmetic::Divide => or_zero(left, Operator::Divide, right, zero),
        Arithmetic::Modulo => or_zero(left, Operator::Modulo, right, zero),
        op => binary_expr(left, operator(op), right),
    };
    Value::of(expr, kind)
}

fn common_number(left: Type, right: Type) -> Option<Type> {
    match (left, right) {
        (Type::Float, other) | (other, Type::Float) if other.is_number() => Some(Type::Float),
        (Type::Unsigned, other) | (other, Type::Unsigned) if other.is_number() => Some(Type::Unsigned),
        (Type::Integer, Type::Integer) => Some(Type::Integer),
        _ => None,
    }
}

fn of_booleans(op: Arithmetic, left: Value, right: Value) -> Value {
    let expr = match op {
        Arithmetic::And => left.expr.and(right.expr),
        Arithmetic::Or => left.expr.or(right.expr),
        Arithmetic::Xor => left.expr.not_eq(right.expr),
        _ => null(Type::Boolean),
    };
    Value::of(expr, Type::Boolean)
}

fn of_floats(op: Arithmetic, left: &Value, right: &Value) -> Value {
    let (left, right) = (left.as_float(), right.as_float());
    let expr = match op {
        Arithmetic::Divide => or_zero(left, Operator::Divide, right, lit(0.0)),
        Arithmetic::And | Arithmetic::Or | Arithmetic::Xor => null(Type::Float),
        op => binary_expr(left, operator(op), right),
    };
    Value::of(expr, Type::Float)
}

/// Zero where the right side is.
fn or_zero(left: Expr, op: Operator, right: Expr, zero: Expr) -> Expr {
    // A literal other than zero needs no question asked.
    if let Expr::Literal(value, _) = &right
        && !value.is_null()
        && lit(value.clone()) != zero
        && *value != ScalarValue::Float64(Some(-0.0))
    {
        return binary_expr(left, op, right);
    }
    let is_zero = right.clone().eq(zero.clone());
    let zero_unless_null = when(left.clone().is_not_null(), zero);
    let quotient = binary_expr(left, op, right);
    match zero_unless_null.end().and_then(|zero| when(is_zero, zero).otherwise(quotient.clone())) {
        Ok(expr) => expr,
        Err(_) => quotient,
    }
}

fn operator(op: Arithmetic) -> Operator {
    match op {
        Arithmetic::Add => Operator::Plus,
        Arithmetic::Subtract => Operator::Minus,
        Arithmetic::Multiply => Operator::Multiply,
        Arithmetic::Divide => Operator::Divide,
        Arithmetic::Modulo => Operator::Modulo,
        Arithmetic::And => Operator::BitwiseAnd,
        Arithmetic::Or => Operator::BitwiseOr,
        Arithmetic::Xor => Operator::BitwiseXor,
    }
}

/// Names of the functions of one row.
pub(super) const MATH_FUNCTIONS: [&str; 18] = [
    "abs", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "exp", "log", "ln", "log2", "log10", "sqrt", "pow",
    "floor", "ceil", "round",
];

/// A function of one row over its arguments. `None` when there is no such function of so many arguments.
pub(super) fn math_call(name: &str, args: &[Value]) -> Option<Value> {
    let first = args.first()?;
    if args.iter().any(|arg| !arg.kind.is_number()) {
        let kind = if matches!(name, "abs" | "floor" | "ceil" | "round") { first.kind } else { Type::Float };
        return Some(Value::null(kind));
    }
    if name == "sqrt" {
        // The engine fails where there is no root.
        let x = first.as_float();
        let root = when(x.clone().gt_eq(lit(0.0)), math::sqrt(x)).end();
        return Some(root.map_or_else(|_| Value::null(Type::Float), |root| Value::of(root, Type::Float)));
    }
    let typed = args.iter().map(|arg| (arg.expr.clone(), arg.kind.arrow())).collect();
    let (expr, data_type) = series::math_call(name, typed)?;
    let kind = if data_type == first.kind.arrow() { first.kind } else { Type::Float };
    Some(Value::of(expr, kind))
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn operator(self) -> Operator {
        match self {
            Comparison::Equal => Operator::Eq,
            Comparison::NotEqual => Operator::NotEq,
            Comparison::Less => Operator::Lt,
            Comparison::LessOrEqual => Operator::LtEq,
            Comparison::Greater => Operator::Gt,
            Comparison::GreaterOrEqual => Operator::GtEq,
        }
    }
}

/// `left op right` as a condition: null or false where a value is missing, constantly false where types do not compare.
/// A tag that is missing is the empty string.
pub(super) fn compare(op: Comparison, left: &Value, right: &Value) -> Expr {
    let is_equality = matches!(op, Comparison::Equal | Comparison::NotEqual);
    match (left.kind, right.kind) {
        (l, r) if l.is_number() && r.is_number() => {
            let (left, right) = as_alike(left, right);
            binary_expr(left, op.operator(), right)
        }
        (Type::Boolean, Type::Boolean) if is_equality => {
            binary_expr(left.expr.clone(), op.operator(), right.expr.clone())
        }
        (Type::Tag, r) if r.is_text() && is_equality => compare_tag(op, left, right),
        (l, Type::Tag) if l.is_text() && is_equality => compare_tag(op, right, left),
        (Type::String, Type::String) if is_equality => {
            binary_expr(left.expr.clone(), op.operator(), right.expr.clone())
        }
        _ => lit(false),
    }
}

/// Numbers of one type. Literals are converted here, so that columns are left as they are stored.
fn as_alike(left: &Value, right: &Value) -> (Expr, Expr) {
    match (left.kind, right.kind) {
        (l, r) if l == r => (left.expr.clone(), right.expr.clone()),
        (Type::Integer, Type::Float) if integral(right).is_some() => {
            (left.expr.clone(), lit(integral(right).unwrap_or_default()))
        }
        (Type::Float, Type::Integer) if integral(left).is_some() => {
            (lit(integral(left).unwrap_or_default()), right.expr.clone())
        }
        (Type::Float, _) | (_, Type::Float) => (left.as_float(), right.as_float()),
        // Integer and unsigned: the engine finds the wider one of both.
        _ => (left.expr.clone(), right.expr.clone()),
    }
}

/// The integer that a float literal is, where both compare alike with every integer.
fn integral(value: &Value) -> Option<i64> {
    const EXACT: f64 = (1u64 << 53) as f64;
    match value.expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) if number.fract() == 0.0 && number.abs() < EXACT => {
            Some(number as i64)
        }
        _ => None,
    }
}

fn compare_tag(op: Comparison, tag: &Value, other: &Value) -> Expr {
    let column = tag.expr.clone();
    if let (Expr::Literal(ScalarValue::Utf8(Some(text)), _), false) = (&other.expr, tag.is_literal) {
        return match (op, text.is_empty()) {
            (Comparison::Equal, true) => column.clone().is_null().or(column.eq(lit(""))),
            (Comparison::Equal, false) => column.eq(lit(text.as_str())),
            (_, true) => column.not_eq(lit("")),
            (_, false) => column.clone().is_null().or(column.not_eq(lit(text.as_str()))),
        };
    }
    if other.kind == Type::Tag {
        // Two tags that are both absent are not equal, and not unequal where only one is.
        let equal = binary_expr(as_text(tag), Operator::Eq, as_text(other)).and(column.is_not_null());
        return if op == Comparison::Equal { equal } else { not(equal) };
    }
    binary_expr(as_text(tag), op.operator(), as_text(other))
}

/// A text; of a tag that is missing, the empty one.
fn as_text(value: &Value) -> Expr {
    match value.kind {
        Type::Tag => coalesce(vec![cast(value.expr.clone(), Type::String.arrow()), lit("")]),
        _ => value.expr.clone(),
    }
}

/// `value =~ /pattern/`, or `!~`. Only texts match and do not match; `matches_empty` tells what a missing tag does.
pub(super) fn match_pattern(value: &Value, pattern: &str, matches_empty: bool, negated: bool) -> Expr {
    if !value.kind.is_text() {
        return lit(false);
    }
    let op = if negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
    let text = match value.kind {
        Type::Tag => cast(value.expr.clone(), Type::String.arrow()),
        _ => value.expr.clone(),
    };
    let matches = binary_expr(text, op, lit(pattern));
    if value.kind == Type::Tag && matches_empty != negated { value.expr.clone().is_null().or(matches) } else { matches }
}
