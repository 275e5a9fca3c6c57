//! Folding: what is known of an expression before any row is.

use super::arithmetic::{self, MathValue};
use crate::query::influxql::expr::{Binary, BinaryOp, Call, Expr, Literal, Logic};
use crate::query::influxql::zone::TimeZone;

/// What is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment {
    /// What `now()` means, nanoseconds since 1970 UTC; without it the call stays.
    pub now: Option<i64>,
    /// Where times without a zone are meant; UTC without it.
    pub zone: Option<TimeZone>,
    /// Whether functions like `abs` are computed.
    pub math: bool,
}

/// The expression with everything computed that is known, and without parentheses around the whole of it.
pub fn fold(expr: &Expr, environment: &Environment) -> Expr {
    match fold_inside(expr, environment) {
        Expr::Paren(inner) => *inner,
        folded => folded,
    }
}

/// `inner` in parentheses, which stay only around operators.
pub(in crate::query::influxql) fn fold_paren(inner: Expr) -> Expr {
    match inner {
        Expr::Binary(_) | Expr::Logic(..) => Expr::Paren(Box::new(inner)),
        inner => inner,
    }
}

/// Terms that are folded themselves: those that say nothing are left out, and one that decides the whole is the whole.
pub(super) fn fold_logic(logic: Logic, mut terms: Vec<Expr>) -> Expr {
    let decisive = Expr::Literal(Literal::Boolean(logic == Logic::Or));
    let neutral = Expr::Literal(Literal::Boolean(logic == Logic::And));
    if terms.contains(&decisive) {
        return decisive;
    }
    terms.retain(|term| *term != neutral);
    match terms.len() {
        0 => neutral,
        1 => terms.remove(0),
        _ => Expr::Logic(logic, terms),
    }
}

fn fold_inside(expr: &Expr, environment: &Environment) -> Expr {
    match expr {
        Expr::Ref(reference) if reference.name.0 == "now()" => match environment.now {
            Some(now) => Literal::Time(now.into()).into(),
            None => expr.clone(),
        },
        Expr::Ref(_) | Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => expr.clone(),
        Expr::Paren(inner) => fold_paren(fold_inside(inner, environment)),
        Expr::Call(call) => fold_call(call, environment),
        Expr::Logic(logic, terms) => {
            let terms = terms.iter().map(|term| fold_inside(term, environment)).collect();
            fold_logic(*logic, terms)
        }
        Expr::Binary(binary) => fold_binary(binary, environment),
    }
}

fn fold_binary(binary: &Binary, environment: &Environment) -> Expr {
    let op = binary.op;
    let left = fold_inside(&binary.left, environment);
    let right = fold_inside(&binary.right, environment);
    let folded = match (&left, &right) {
        (Expr::Literal(Literal::Nil), _) if matches!(op, BinaryOp::Eq | BinaryOp::NotEq) => {
            Some(Literal::Boolean(false))
        }
        (Expr::Literal(left), Expr::Literal(right)) => arithmetic::binary(op, left, right, environment.zone),
        _ => None,
    };
    folded.map_or_else(|| Expr::binary(op, left, right), Expr::Literal)
}

fn fold_call(call: &Call, environment: &Environment) -> Expr {
    let args: Vec<Expr> = call.args.iter().map(|arg| fold_inside(arg, environment)).collect();
    if let (Some(now), "now", []) = (environment.now, call.name.as_str(), args.as_slice()) {
        return Literal::Time(now.into()).into();
    }
    if environment.math {
        let values: Option<Vec<MathValue>> = args.iter().map(MathValue::of).collect();
        if let Some(result) = values.and_then(|values| arithmetic::math(&call.name, &values)) {
            return result.into();
        }
    }
    Expr::Call(Call { name: call.name.clone(), args })
}
