//! Operators and functions on constants, with the server's rules for types: integers divide to numbers, arithmetic wraps,
//! division by zero is zero, strings that look like times are times beside durations and times.

use super::moment;
use crate::query::influxql::duration::Duration;
use crate::query::influxql::expr::{BinaryOp, Expr, Literal};
use crate::query::influxql::zone::TimeZone;

use BinaryOp::{Add, BitAnd, BitOr, BitXor, Div, Eq, Greater, GreaterEq, Less, LessEq, Mod, Mul, NotEq, Sub};

/// What `left op right` is, unless the two have no value together.
pub(super) fn binary(op: BinaryOp, left: &Literal, right: &Literal, zone: Option<TimeZone>) -> Option<Literal> {
    match (left, right) {
        (Literal::Nil | Literal::Regex(_), _) => None,
        (Literal::String(_), Literal::Nil) => matches!(op, Eq | NotEq).then_some(Literal::Boolean(false)),
        (Literal::Unsigned(_), Literal::Nil) => None,
        (_, Literal::Nil) => Some(Literal::Boolean(false)),
        (Literal::Boolean(a), Literal::Boolean(b)) => booleans(op, *a, *b),
        (Literal::Duration(a), b) => duration(op, a.0, b, zone),
        (Literal::Integer(a), b) => integer(op, *a, b, zone),
        (Literal::Unsigned(a), b) => unsigned(op, *a, b),
        (Literal::Number(a), b) => numbers(op, *a, number_of(b)?),
        (Literal::String(a), b) => string(op, a, b, zone),
        (Literal::Time(a), b) => time(op, *a, b, zone),
        (Literal::Boolean(_), _) => None,
    }
}

fn booleans(op: BinaryOp, a: bool, b: bool) -> Option<Literal> {
    let value = match op {
        Eq => a == b,
        NotEq | BitXor => a != b,
        BitAnd => a && b,
        BitOr => a || b,
        _ => return None,
    };
    Some(Literal::Boolean(value))
}

fn duration(op: BinaryOp, a: i64, right: &Literal, zone: Option<TimeZone>) -> Option<Literal> {
    match right {
        Literal::Duration(Duration(b)) => match op {
            Add => Some(a.wrapping_add(*b)),
            Sub => Some(a.wrapping_sub(*b)),
            _ => return compared(op, &a, b),
        }
        .map(as_duration),
        Literal::Number(b) => scaled(op, a, truncated(*b)),
        Literal::Integer(b) => scaled(op, a, *b),
        Literal::Time(b) if op == Add => Some(Literal::Time(b + i128::from(a))),
        Literal::String(text) => duration(op, a, &Literal::Time(moment::parse(text, zone)?), zone),
        _ => None,
    }
}

fn as_duration(nanoseconds: i64) -> Literal {
    Literal::Duration(Duration(nanoseconds))
}

/// A duration times or divided by a whole number.
fn scaled(op: BinaryOp, a: i64, by: i64) -> Option<Literal> {
    match op {
        Mul => Some(as_duration(a.wrapping_mul(by))),
        Div if by == 0 => Some(as_duration(0)),
        Div => Some(as_duration(a.wrapping_div(by))),
        _ => None,
    }
}

fn integer(op: BinaryOp, a: i64, right: &Literal, zone: Option<TimeZone>) -> Option<Literal> {
    match right {
        Literal::Number(b) => numbers(op, as_number(a), *b),
        Literal::Integer(b) => integers(op, a, *b),
        Literal::Unsigned(_) if a < 0 && matches!(op, Less | LessEq) => Some(Literal::Boolean(true)),
        Literal::Unsigned(_) if a < 0 && matches!(op, Greater | GreaterEq) => Some(Literal::Boolean(false)),
        Literal::Unsigned(b) => unsigneds(op, a.cast_unsigned(), *b),
        // The integer is a moment.
        Literal::Duration(Duration(b)) => match op {
            Add => Some(Literal::Time(i128::from(a) + i128::from(*b))),
            Sub => Some(Literal::Time(i128::from(a) - i128::from(*b))),
            _ => None,
        },
        Literal::Time(_) => duration(op, a, right, zone),
        Literal::String(text) => duration(op, a, &Literal::Time(moment::parse(text, zone)?), zone),
        _ => None,
    }
}

fn integers(op: BinaryOp, a: i64, b: i64) -> Option<Literal> {
    let value = match op {
        Add => a.wrapping_add(b),
        Sub => a.wrapping_sub(b),
        Mul => a.wrapping_mul(b),
        Div if b == 0 => return Some(Literal::Number(0.0)),
        Div => return Some(Literal::Number(as_number(a) / as_number(b))),
        Mod if b == 0 => 0,
        Mod => a.wrapping_rem(b),
        BitAnd => a & b,
        BitOr => a | b,
        BitXor => a ^ b,
        _ => return compared(op, &a, &b),
    };
    Some(Literal::Integer(value))
}

fn unsigned(op: BinaryOp, a: u64, right: &Literal) -> Option<Literal> {
    match right {
        Literal::Number(b) => numbers(op, as_number_unsigned(a), *b),
        Literal::Integer(b) if *b < 0 && matches!(op, Less | LessEq) => Some(Literal::Boolean(false)),
        Literal::Integer(b) if *b < 0 && matches!(op, Greater | GreaterEq) => Some(Literal::Boolean(true)),
        Literal::Integer(b) => unsigneds(op, a, b.cast_unsigned()),
        Literal::Unsigned(b) => unsigneds(op, a, *b),
        _ => None,
    }
}

fn unsigneds(op: BinaryOp, a: u64, b: u64) -> Option<Literal> {
    let value = match op {
        Add => a.wrapping_add(b),
        Sub => a.wrapping_sub(b),
        Mul => a.wrapping_mul(b),
        Div => a.checked_div(b).unwrap_or(0),
        Mod => a.checked_rem(b).unwrap_or(0),
        _ => return compared(op, &a, &b),
    };
    Some(Literal::Unsigned(value))
}

/// What a literal is beside a number.
fn number_of(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Number(value) => Some(*value),
        Literal::Integer(value) => Some(as_number(*value)),
        Literal::Unsigned(value) => Some(as_number_unsigned(*value)),
        _ => None,
    }
}

fn numbers(op: BinaryOp, a: f64, b: f64) -> Option<Literal> {
    let value = match op {
        Add => a + b,
        Sub => a - b,
        Mul => a * b,
        Div if b == 0.0 => 0.0,
        Div => a / b,
        Mod => a % b,
        _ => return compared(op, &a, &b),
    };
    Some(Literal::Number(value))
}

fn string(op: BinaryOp, a: &str, right: &Literal, zone: Option<TimeZone>) -> Option<Literal> {
    match right {
        Literal::String(b) if matches!(op, Eq | NotEq) => {
            // Two spellings of one moment are equal.
            let moments = moment::parse(a, zone).zip(moment::parse(b, zone));
            let equal = moments.map_or(a == b, |(a, b)| a == b);
            Some(Literal::Boolean(equal == (op == Eq)))
        }
        Literal::String(b) if op == Add => Some(Literal::String(format!("{a}{b}"))),
        Literal::String(_) | Literal::Duration(_) | Literal::Time(_) | Literal::Integer(_) => {
            time(op, moment::parse(a, zone)?, right, zone)
        }
        _ => None,
    }
}

fn time(op: BinaryOp, a: i128, right: &Literal, zone: Option<TimeZone>) -> Option<Literal> {
    match right {
        Literal::Duration(Duration(b)) | Literal::Integer(b) => match op {
            Add => Some(Literal::Time(a + i128::from(*b))),
            Sub => Some(Literal::Time(a - i128::from(*b))),
            _ => None,
        },
        Literal::Time(b) if op == Sub => {
            let apart = (a - b).clamp(i64::MIN.into(), i64::MAX.into());
            i64::try_from(apart).ok().map(as_duration)
        }
        Literal::Time(b) => compared(op, &a, b),
        Literal::String(text) => time(op, a, &Literal::Time(moment::parse(text, zone)?), zone),
        _ => None,
    }
}

fn compared<T: PartialOrd>(op: BinaryOp, a: &T, b: &T) -> Option<Literal> {
    let value = match op {
        Eq => a == b,
        NotEq => a != b,
        Less => a < b,
        LessEq => a <= b,
        Greater => a > b,
        GreaterEq => a >= b,
        _ => return None,
    };
    Some(Literal::Boolean(value))
}

/// The whole part of a number; what does not fit is the smallest integer, as the server's machine has it.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range, and cutting the fraction is the point")]
pub(super) fn truncated(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

#[expect(clippy::cast_precision_loss, reason = "the server rounds to the nearest number, too")]
fn as_number(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "the server rounds to the nearest number, too")]
fn as_number_unsigned(value: u64) -> f64 {
    value as f64
}

/// A constant as the mathematical functions see it.
#[derive(Debug, Clone, Copy)]
pub(super) enum MathValue {
    Number(f64),
    Integer(i64),
    Unsigned(u64),
    /// Any other constant.
    Other,
}

impl MathValue {
    /// Nothing for what is no constant.
    pub(super) fn of(expr: &Expr) -> Option<MathValue> {
        let Expr::Literal(literal) = expr else { return None };
        Some(match literal {
            Literal::Number(value) => MathValue::Number(*value),
            Literal::Integer(value) => MathValue::Integer(*value),
            Literal::Unsigned(value) => MathValue::Unsigned(*value),
            _ => MathValue::Other,
        })
    }

    fn as_number(self) -> Option<f64> {
        match self {
            MathValue::Number(value) => Some(value),
            MathValue::Integer(value) => Some(as_number(value)),
            MathValue::Unsigned(value) => Some(as_number_unsigned(value)),
            MathValue::Other => None,
        }
    }
}

/// The function `name` of constants: nil where it has no value, nothing if there is no such function of so many.
pub(super) fn math(name: &str, args: &[MathValue]) -> Option<Literal> {
    let number = |value: Option<f64>| value.map_or(Literal::Nil, Literal::Number);
    let of_one = |function: fn(f64) -> f64, x: MathValue| Some(number(x.as_number().map(function)));
    let of_two = |function: fn(f64, f64) -> f64, x: MathValue, y: MathValue| {
        Some(number(x.as_number().zip(y.as_number()).map(|(x, y)| function(x, y))))
    };
    match (name, args) {
        ("abs", &[MathValue::Integer(x)]) => Some(Literal::Integer(x.wrapping_abs())),
        ("floor" | "ceil" | "round", &[MathValue::Integer(x)]) => Some(Literal::Integer(x)),
        // The server has no literal for what it computed here.
        ("abs" | "floor" | "ceil" | "round", &[MathValue::Unsigned(_) | MathValue::Other]) => Some(Literal::Nil),
        ("abs", &[x]) => of_one(f64::abs, x),
        ("floor", &[x]) => of_one(f64::floor, x),
        ("ceil", &[x]) => of_one(f64::ceil, x),
        ("round", &[x]) => of_one(f64::round, x),
        ("sin", &[x]) => of_one(f64::sin, x),
        ("cos", &[x]) => of_one(f64::cos, x),
        ("tan", &[x]) => of_one(f64::tan, x),
        ("asin", &[x]) => of_one(f64::asin, x),
        ("acos", &[x]) => of_one(f64::acos, x),
        ("atan", &[x]) => of_one(f64::atan, x),
        ("exp", &[x]) => of_one(f64::exp, x),
        ("ln", &[x]) => of_one(f64::ln, x),
        ("log2", &[x]) => of_one(f64::log2, x),
        ("log10", &[x]) => of_one(f64::log10, x),
        ("sqrt", &[x]) => of_one(f64::sqrt, x),
        ("atan2", &[x, y]) => of_two(f64::atan2, x, y),
        ("log", &[x, base]) => of_two(|x, base| x.ln() / base.ln(), x, base),
        ("pow", &[x, y]) => of_two(f64::powf, x, y),
        _ => None,
    }
}
