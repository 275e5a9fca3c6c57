//! A condition → bounds on time, and what is left of it.

use super::error::{CheckError, type_name};
use super::fold::{Environment, fold, fold_logic, fold_paren};
use super::moment;
use crate::query::influxql::duration::Duration;
use crate::query::influxql::expr::{BinaryOp, Expr, Literal};

/// Times from and to, both included, in nanoseconds since 1970 UTC; a bound that nothing sets is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

/// The largest time that may be written; points have none above it.
pub const TIME_MAX: i64 = i64::MAX - 1;
/// The smallest time that may be written. One less is the smallest time of a point.
pub const TIME_MIN_WRITTEN: i64 = i64::MIN + 3;

impl TimeRange {
    /// What is in both.
    #[must_use]
    pub fn intersect(self, other: TimeRange) -> TimeRange {
        TimeRange {
            min: self.min.max(other.min),
            max: match (self.max, other.max) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }
}

/// Takes the bounds on time out of a condition and folds the rest. No condition is left when it is always true.
///
/// Wherever a bound stands, also under OR, it narrows the range of the whole.
pub fn split(condition: Option<&Expr>, environment: &Environment) -> Result<(Option<Expr>, TimeRange), CheckError> {
    let Some(condition) = condition else { return Ok((None, TimeRange::default())) };
    let (rest, range) = split_part(condition, environment)?;
    let rest = match rest {
        Some(Expr::Paren(inner)) => Some(*inner),
        rest => rest,
    };
    Ok((rest.filter(|rest| !matches!(rest, Expr::Literal(Literal::Boolean(true)))), range))
}

fn split_part(part: &Expr, environment: &Environment) -> Result<(Option<Expr>, TimeRange), CheckError> {
    match part {
        Expr::Logic(logic, terms) => {
            let mut range = TimeRange::default();
            let mut rest = Vec::with_capacity(terms.len());
            for term in terms {
                let (expr, of_term) = split_part(term, environment)?;
                range = range.intersect(of_term);
                rest.extend(expr);
            }
            let rest = if rest.is_empty() { None } else { Some(fold_logic(*logic, rest)) };
            Ok((rest, range))
        }
        Expr::Paren(inner) => {
            let (rest, range) = split_part(inner, environment)?;
            Ok((rest.map(fold_paren), range))
        }
        Expr::Binary(binary) if is_time(&binary.left) => Ok((None, bound(binary.op, &binary.right, environment)?)),
        Expr::Binary(binary) if is_time(&binary.right) => {
            Ok((None, bound(mirrored(binary.op), &binary.left, environment)?))
        }
        Expr::Binary(_) => match fold(part, environment) {
            Expr::Literal(value) if !matches!(value, Literal::Boolean(_) | Literal::Nil) => {
                Err(CheckError::NoCondition { expr: Expr::Literal(value).to_string() })
            }
            folded => Ok((Some(folded), TimeRange::default())),
        },
        Expr::Literal(Literal::Boolean(_)) => Ok((Some(part.clone()), TimeRange::default())),
        other => Err(CheckError::NoCondition { expr: other.to_string() }),
    }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Ref(reference) if reference.is_time())
}

/// The operator that says the same with its sides exchanged.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEq => BinaryOp::GreaterEq,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEq => BinaryOp::LessEq,
        op => op,
    }
}

/// What `time op value` demands.
fn bound(op: BinaryOp, value: &Expr, environment: &Environment) -> Result<TimeRange, CheckError> {
    let value = match value {
        Expr::Literal(Literal::String(text)) if moment::looks_like_time(text) => moment::parse(text, environment.zone)
            .map(|time| Literal::Time(time).into())
            .ok_or(CheckError::InvalidTime)?,
        value => fold(value, environment),
    };
    let value = match value {
        Expr::Paren(inner) => *inner,
        value => value,
    };
    let time = match value {
        Expr::Literal(Literal::Time(time)) => writable(time)?,
        Expr::Literal(Literal::Duration(Duration(time)) | Literal::Integer(time)) => time,
        Expr::Literal(Literal::Number(time)) => super::arithmetic::truncated(time),
        other => return Err(CheckError::NoTime { kind: type_name(&other) }),
    };
    match op {
        BinaryOp::Greater => Ok(TimeRange { min: Some(time.saturating_add(1)), max: None }),
        BinaryOp::GreaterEq => Ok(TimeRange { min: Some(time), max: None }),
        BinaryOp::Less => Ok(TimeRange { min: None, max: Some(time.saturating_sub(1)) }),
        BinaryOp::LessEq => Ok(TimeRange { min: None, max: Some(time) }),
        BinaryOp::Eq => Ok(TimeRange { min: Some(time), max: Some(time) }),
        op => Err(CheckError::TimeOperator { op: op.as_str() }),
    }
}

/// A time that was written, in nanoseconds, unless it is out of range.
fn writable(time: i128) -> Result<i64, CheckError> {
    let written = || moment::to_seconds(time);
    if time > i128::from(TIME_MAX) {
        return Err(CheckError::TimeOverflows { time: written() });
    }
    match i64::try_from(time) {
        Ok(time) if time >= TIME_MIN_WRITTEN => Ok(time),
        _ => Err(CheckError::TimeUnderflows { time: written() }),
    }
}
