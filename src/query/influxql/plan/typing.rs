//! Which types references and expressions have, and which do not go together.

use crate::model::ColumnKind;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::expr::{Binary, BinaryOp, Call, Cast, Expr, Literal, VarRef};

use super::names::field_name;
use super::resolve::{Origin, Query, columns_by_name, top_tags};
use super::types::Type;
use super::values::MATH_FUNCTIONS;

/// The cast that a reference of a type carries; none when it stands for nothing.
pub(super) fn cast_of(kind: Type) -> Option<Cast> {
    Some(match kind {
        Type::Unknown => return None,
        Type::Float => Cast::Float,
        Type::Integer => Cast::Integer,
        Type::Unsigned => Cast::Unsigned,
        Type::String => Cast::String,
        Type::Boolean => Cast::Boolean,
        Type::Tag => Cast::Tag,
    })
}

/// Gives all references in `expr` that have no type the one they have in `sources`.
pub(super) fn assign(expr: &mut Expr, sources: &[Origin]) {
    match expr {
        Expr::Ref(reference) => {
            let wants_field = reference.cast == Some(Cast::Field);
            let kind = type_of_name(&reference.name.0, sources);
            reference.cast = match reference.cast {
                Some(cast) if !wants_field => Some(cast),
                _ if kind == Type::Tag && wants_field => Some(Cast::Field),
                _ => cast_of(kind),
            };
        }
        Expr::Call(call) => {
            call.args.iter_mut().for_each(|arg| assign(arg, sources));
            if let Some(Expr::Ref(about)) = call.args.first_mut()
                && about.cast == Some(Cast::Tag)
                && !are_inner(sources)
                && sources.iter().any(|source| is_inner_tag(&about.name.0, source))
            {
                about.cast = Some(Cast::String);
            }
        }
        Expr::Paren(inner) => assign(inner, sources),
        Expr::Binary(binary) => {
            assign(&mut binary.left, sources);
            assign(&mut binary.right, sources);
        }
        Expr::Logic(_, terms) => terms.iter_mut().for_each(|term| assign(term, sources)),
        Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => {}
    }
}

/// After the types that references are said to have have been checked: those that their values have, where all are of inner
/// selects. A cast changes numbers into other numbers there and nothing else, but decides what a call is computed of. Of
/// tables no call is computed that none has values for.
pub(super) fn settle(query: &mut Query) {
    for source in &mut query.sources {
        if let Origin::Query(inner) = source {
            settle(inner);
        }
    }
    if !are_inner(&query.sources) {
        let Query { fields, sources, .. } = query;
        fields.iter_mut().for_each(|field| drop_calls_of_nothing(&mut field.expr, sources));
        return;
    }
    let is_raw = query.is_raw();
    let Query { fields, condition, sources, .. } = query;
    // Rows of nothing but columns without a type are none.
    let has_type = fields.iter().any(|field| {
        field.expr.any(&mut |part| matches!(part, Expr::Ref(reference) if type_of_ref(reference) != Type::Unknown))
    });
    if !is_raw || has_type {
        fields.iter_mut().for_each(|field| settle_expr(&mut field.expr, sources));
    }
    if let Some(condition) = condition {
        settle_expr(condition, sources);
    }
}

fn drop_calls_of_nothing(expr: &mut Expr, sources: &[Origin]) {
    match expr {
        Expr::Call(call) => {
            let is_aggregate = !MATH_FUNCTIONS.contains(&call.name.as_str());
            match call.args.first_mut() {
                Some(Expr::Ref(about)) if is_aggregate && !sources.iter().any(|source| may_give(source, about)) => {
                    about.cast = None;
                }
                _ => call.args.iter_mut().for_each(|arg| drop_calls_of_nothing(arg, sources)),
            }
        }
        Expr::Paren(inner) => drop_calls_of_nothing(inner, sources),
        Expr::Binary(binary) => {
            drop_calls_of_nothing(&mut binary.left, sources);
            drop_calls_of_nothing(&mut binary.right, sources);
        }
        Expr::Ref(_) | Expr::Logic(..) | Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => {}
    }
}

/// Whether a source may have values of the type that a reference is said to have.
fn may_give(source: &Origin, reference: &VarRef) -> bool {
    let wanted = type_of_ref(reference);
    let Origin::Table(_) = source else { return true };
    match type_in(&reference.name.0, source) {
        Type::Unknown => false,
        kind => kind == wanted || (kind.is_number() && wanted.is_number()),
    }
}

fn settle_expr(expr: &mut Expr, sources: &[Origin]) {
    match expr {
        Expr::Ref(reference) => {
            let kind = type_of_name(&reference.name.0, sources);
            let wanted = reference.cast.map_or(Type::Unknown, Type::from);
            if kind != Type::Unknown {
                reference.cast = cast_of(under_cast(wanted, kind));
            }
        }
        Expr::Call(call) if !MATH_FUNCTIONS.contains(&call.name.as_str()) => settle_call(call, sources),
        Expr::Call(call) => call.args.iter_mut().for_each(|arg| settle_expr(arg, sources)),
        Expr::Paren(inner) => settle_expr(inner, sources),
        Expr::Binary(binary) => {
            settle_expr(&mut binary.left, sources);
            settle_expr(&mut binary.right, sources);
        }
        Expr::Logic(_, terms) => terms.iter_mut().for_each(|term| settle_expr(term, sources)),
        Expr::Distinct(_) | Expr::Wildcard(_) | Expr::Literal(_) => {}
    }
}

/// The column that a call is computed of, and the tags of `top`. A tag is a text to a call, whatever it is cast to; cast to a
/// field it is one only where the call's own type does not hang on it.
fn settle_call(call: &mut Call, sources: &[Origin]) {
    for (i, arg) in call.args.iter_mut().enumerate() {
        let reference = match arg {
            Expr::Call(inner) => {
                settle_call(inner, sources);
                continue;
            }
            Expr::Ref(reference) => reference,
            _ => continue,
        };
        let name = reference.name.0.as_str();
        let kind = type_of_name(name, sources);
        let is_column =
            sources.iter().any(|source| matches!(source, Origin::Query(inner) if inner_field(name, inner).is_some()));
        reference.cast = match reference.cast {
            _ if i > 0 => {
                if kind == Type::Tag {
                    Some(Cast::Tag)
                } else {
                    reference.cast
                }
            }
            Some(Cast::Field) if is_column || type_of_function(&call.name, Type::Unknown) == Type::Unknown => {
                Some(Cast::Field)
            }
            Some(_) if kind == Type::Unknown && !is_column => None,
            Some(Cast::Tag) => Some(Cast::String),
            Some(_) if !is_column => Some(Cast::String),
            cast => cast,
        };
    }
}

/// Whether all of them are inner selects.
fn are_inner(sources: &[Origin]) -> bool {
    sources.iter().all(|source| matches!(source, Origin::Query(_)))
}

/// The type of a column of inner selects under a cast: numbers become other numbers, all else stays what it is.
fn under_cast(wanted: Type, kind: Type) -> Type {
    match wanted {
        wanted if wanted.is_number() && kind.is_number() => wanted,
        Type::String | Type::Unknown if kind == Type::Tag => Type::String,
        _ => kind,
    }
}

/// The most general type that a name has in any of the sources.
fn type_of_name(name: &str, sources: &[Origin]) -> Type {
    sources.iter().fold(Type::Unknown, |kind, source| kind.most_general(type_in(name, source)))
}

fn type_in(name: &str, source: &Origin) -> Type {
    match source {
        Origin::Table(table) => {
            let column =
                |kind| columns_by_name(&table.schema).find(|column| column.kind == kind && column.name == name);
            let field = column(ColumnKind::Field).and_then(|column| column.field_type);
            let tag = || column(ColumnKind::Tag).map_or(Type::Unknown, |_| Type::Tag);
            field.map_or_else(tag, Type::from)
        }
        Origin::Query(inner) => {
            let kind = inner_field(name, inner).map_or(Type::Unknown, |expr| type_of(&expr));
            let is_dimension = || inner.dimensions.iter().any(|key| **key == *name);
            if kind == Type::Unknown && is_dimension() { Type::Tag } else { kind }
        }
    }
}

/// Whether a name is a tag that an inner select hands on: to a call of the outer one that is a text like any other.
fn is_inner_tag(name: &str, source: &Origin) -> bool {
    matches!(source, Origin::Query(_)) && type_in(name, source) == Type::Tag
}

/// What an inner select has under a name: a field, or a tag of its `top`.
fn inner_field(name: &str, inner: &Query) -> Option<Expr> {
    inner.fields.iter().find_map(|field| {
        if field_name(field) == name {
            return Some(field.expr.clone());
        }
        let Expr::Call(call) = &field.expr else { return None };
        top_tags(call).find(|tag| tag.name.0 == name).cloned().map(Expr::Ref)
    })
}

/// Whether a column may hold what is infinite or no number: what an inner select makes of numbers by functions that are not
/// defined for all, or grow beyond all. Stored numbers are finite.
pub(super) fn may_be_no_number(name: &str, sources: &[Origin]) -> bool {
    sources.iter().any(|source| match source {
        Origin::Table(_) => false,
        Origin::Query(inner) => {
            let field = inner_field(name, inner);
            field.is_some_and(|expr| expr.any(&mut |part| makes_no_number(part, &inner.sources)))
        }
    })
}

fn makes_no_number(part: &Expr, sources: &[Origin]) -> bool {
    match part {
        Expr::Ref(reference) => may_be_no_number(&reference.name.0, sources),
        Expr::Call(call) => {
            matches!(
                call.name.as_str(),
                "stddev" | "asin" | "acos" | "exp" | "log" | "ln" | "log2" | "log10" | "sqrt" | "pow"
            )
        }
        _ => false,
    }
}

/// The type of an expression whose references have theirs; `Unknown` when it is of no use.
pub(super) fn type_of(expr: &Expr) -> Type {
    try_type_of(expr).unwrap_or(Type::Unknown)
}

/// Whether the types in all fields of a select go together.
pub(super) fn check(query: &Query) -> Result<(), StatementError> {
    query.fields.iter().try_for_each(|field| try_type_of(&field.expr).map(drop))
}

pub(super) fn type_of_ref(reference: &VarRef) -> Type {
    reference.cast.map_or(Type::Unknown, Type::from)
}

fn try_type_of(expr: &Expr) -> Result<Type, StatementError> {
    Ok(match expr {
        Expr::Ref(reference) => type_of_ref(reference),
        Expr::Call(call) => type_of_call(call)?,
        Expr::Paren(inner) => try_type_of(inner)?,
        Expr::Binary(binary) => type_of_binary(binary, expr)?,
        Expr::Literal(Literal::Number(_)) => Type::Float,
        Expr::Literal(Literal::Integer(_)) => Type::Integer,
        Expr::Literal(Literal::Unsigned(_)) => Type::Unsigned,
        Expr::Literal(Literal::String(_)) => Type::String,
        Expr::Literal(Literal::Boolean(_)) => Type::Boolean,
        _ => Type::Unknown,
    })
}

fn type_of_call(call: &Call) -> Result<Type, StatementError> {
    let kinds = call.args.iter().map(try_type_of).collect::<Result<Vec<_>, _>>()?;
    Ok(type_of_function(&call.name, kinds.first().copied().unwrap_or(Type::Unknown)))
}

/// What a function gives whose first argument is of a type.
pub(super) fn type_of_function(name: &str, of: Type) -> Type {
    match name {
        "mean"
        | "median"
        | "integral"
        | "stddev"
        | "derivative"
        | "non_negative_derivative"
        | "moving_average"
        | "exponential_moving_average"
        | "double_exponential_moving_average"
        | "triple_exponential_moving_average"
        | "relative_strength_index"
        | "triple_exponential_derivative"
        | "kaufmans_efficiency_ratio"
        | "kaufmans_adaptive_moving_average"
        | "chande_momentum_oscillator"
        | "holt_winters"
        | "holt_winters_with_fit" => Type::Float,
        "sin" | "cos" | "tan" | "asin" | "acos" | "atan" | "atan2" | "exp" | "log" | "ln" | "log2" | "log10"
        | "sqrt" | "pow" => Type::Float,
        "count" | "elapsed" => Type::Integer,
        _ => of,
    }
}

fn type_of_binary(binary: &Binary, whole: &Expr) -> Result<Type, StatementError> {
    let (left, right) = (try_type_of(&binary.left)?, try_type_of(&binary.right)?);
    let op = binary.op.as_str();
    let refused = |message: String| Err(StatementError::Refused(format!("type error: {whole}: {message}")));
    let of_both = |unsigned: &Expr, signed: &Expr| {
        if unsigned.is_literal() {
            Some(format!("cannot use {op} with an integer and unsigned literal"))
        } else if signed.is_literal() {
            None
        } else {
            Some(format!("cannot use {op} between an integer and unsigned, an explicit cast is required"))
        }
    };
    let clash = match (left, right) {
        (Type::Unsigned, Type::Integer) => of_both(&binary.left, &binary.right),
        (Type::Integer, Type::Unsigned) => of_both(&binary.right, &binary.left),
        _ => None,
    };
    if let Some(message) = clash {
        return refused(message);
    }
    match (left, right) {
        (Type::Unknown, other) | (other, Type::Unknown) => return Ok(other),
        _ => {}
    }
    let is_bitwise = matches!(binary.op, BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor);
    let has_float = left == Type::Float || right == Type::Float;
    let result = match (left, right) {
        (Type::Boolean, Type::Boolean) if is_bitwise || binary.op.is_comparison() => Some(Type::Boolean),
        (l, r) if l.is_number() && r.is_number() && binary.op.is_comparison() => Some(Type::Boolean),
        (l, r) if l.is_number() && r.is_number() && has_float => (!is_bitwise).then_some(Type::Float),
        (Type::Unsigned, r) if r.is_number() => Some(Type::Unsigned),
        (l, Type::Unsigned) if l.is_number() => Some(Type::Unsigned),
        (Type::Integer, Type::Integer) => Some(Type::Integer),
        _ => None,
    };
    match result {
        Some(kind) => Ok(kind),
        None => refused(format!("incompatible types: {left} and {right}")),
    }
}
