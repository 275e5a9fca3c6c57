//! What a list of fields is made of: references, calls, and expressions over both.

use datafusion::logical_expr::Expr as Plan;

use crate::query::influxql::expr::{BinaryOp, Call, Expr, VarRef};
use crate::query::influxql::select::{Field, Fill};

use super::condition::literal_value;
use super::resolve::{is_aggregate_call, top_tags};
use super::rows::{call_column, column, value_column};
use super::types::Type;
use super::typing::{type_of, type_of_ref};
use super::values::{Arithmetic, Division, Value, arithmetic, math_call};

/// The references and calls of a select's fields, each once, in order of appearance.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// Outside of calls.
    pub refs: Vec<VarRef>,
    pub calls: Vec<Call>,
    /// The expressions of the columns, of refs and calls.
    pub columns: Vec<Expr>,
}

impl Parts {
    pub(super) fn of(fields: &[Field]) -> Parts {
        let mut parts = Parts::default();
        for field in fields {
            parts.take(&field.expr);
            parts.columns.push(field.expr.clone());
            if let Expr::Call(call) = &field.expr {
                for tag in top_tags(call) {
                    parts.take(&Expr::Ref(tag.clone()));
                    parts.columns.push(Expr::Ref(tag.clone()));
                }
            }
        }
        parts
    }

    fn take(&mut self, expr: &Expr) {
        match expr {
            Expr::Ref(reference) if !self.refs.contains(reference) => self.refs.push(reference.clone()),
            Expr::Call(call) if is_aggregate_call(expr) => {
                if !self.calls.contains(call) {
                    self.calls.push(call.clone());
                }
            }
            other => other.children(&mut |child| self.take(child)),
        }
    }

    /// What a column of the answer is computed from refs and calls.
    pub(super) fn value(&self, expr: &Expr) -> Value {
        match expr {
            Expr::Ref(reference) => {
                let place = self.refs.iter().position(|known| known == reference);
                let kind = type_of_ref(reference);
                place.map_or_else(|| Value::null(kind), |i| Value::of(column(value_column(i)), kind))
            }
            Expr::Call(call) if is_aggregate_call(expr) => {
                let place = self.calls.iter().position(|known| known == call);
                let kind = type_of(expr);
                place.map_or_else(|| Value::null(kind), |i| Value::of(column(call_column(i)), kind))
            }
            Expr::Call(call) => {
                let args: Vec<Value> = call.args.iter().map(|arg| self.value(arg)).collect();
                math_call(&call.name, &args).unwrap_or_else(|| Value::null(Type::Float))
            }
            Expr::Paren(inner) => self.value(inner),
            Expr::Literal(literal) => literal_value(literal),
            Expr::Binary(binary) => match arithmetic_of(binary.op) {
                Some(op) => arithmetic(op, self.value(&binary.left), self.value(&binary.right), Division::Float),
                None => Value::null(Type::Boolean),
            },
            Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Logic(..) => Value::null(Type::Unknown),
        }
    }

    /// The columns of the answer, in order. A value that is no number is null where it is shown.
    pub(super) fn values(&self, are_shown: bool) -> Vec<Value> {
        self.columns.iter().map(|expr| if are_shown { self.shown(expr) } else { self.value(expr) }).collect()
    }

    fn shown(&self, expr: &Expr) -> Value {
        let value = self.value(expr);
        match expr {
            Expr::Ref(_) => value,
            Expr::Call(call) if is_aggregate_call(expr) && call.name != "stddev" => value,
            _ => value.shown(),
        }
    }
}

pub(super) fn arithmetic_of(op: BinaryOp) -> Option<Arithmetic> {
    Some(match op {
        BinaryOp::Add => Arithmetic::Add,
        BinaryOp::Sub => Arithmetic::Subtract,
        BinaryOp::Mul => Arithmetic::Multiply,
        BinaryOp::Div => Arithmetic::Divide,
        BinaryOp::Mod => Arithmetic::Modulo,
        BinaryOp::BitAnd => Arithmetic::And,
        BinaryOp::BitOr => Arithmetic::Or,
        BinaryOp::BitXor => Arithmetic::Xor,
        _ => return None,
    })
}

/// What stands for a missing value of a type where a number is to be filled in. `None` when null does.
pub(super) fn filler(fill: Fill, kind: Type) -> Option<Plan> {
    let number = match fill {
        Fill::Integer(number) => Value::integer(number),
        Fill::Number(number) => Value::float(number),
        Fill::Null | Fill::None | Fill::Previous | Fill::Linear => return None,
    };
    kind.is_number().then(|| number.cast_to(kind).expr)
}
