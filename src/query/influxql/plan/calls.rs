//! Which functions there are over the rows of a group, what they take and what the engine does for them.

use crate::query::functions::series::Choice;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::expr::{Call, Expr, Literal, VarRef};

use super::types::Type;
use super::typing::{type_of_function, type_of_ref};

/// A function that makes one value of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Aggregate {
    Count,
    CountDistinct,
    Sum,
    Mean,
    Median,
    Mode,
    Spread,
    Stddev,
    Selector(Choice),
    /// Of a hundred.
    Percentile(f64),
}

/// A function that gives some of a group's points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Several {
    Distinct,
    Top(u64),
    Bottom(u64),
    Sample(u64),
}

/// A function over a group's points in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sequence {
    pub name: String,
    /// Behind the first.
    pub args: Vec<Literal>,
}

/// What a call does.
#[derive(Debug, Clone)]
pub(super) enum Function {
    Aggregate(Aggregate),
    Several(Several),
    /// Over points as they are.
    Sequence(Sequence),
    /// Over what another call makes of the windows.
    OverWindows(Sequence, Box<Function>),
}

impl Function {
    /// What is computed first, of the points themselves.
    pub(super) fn innermost(&self) -> &Function {
        match self {
            Function::OverWindows(_, inner) => inner.innermost(),
            own => own,
        }
    }

    /// What goes over the windows, the innermost first.
    pub(super) fn over_windows(&self) -> Vec<&Sequence> {
        let mut sequences = Vec::new();
        let mut function = self;
        while let Function::OverWindows(sequence, inner) = function {
            sequences.push(sequence);
            function = inner;
        }
        sequences.reverse();
        sequences
    }
}

/// A call and the field it is about.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub function: Function,
    pub field: VarRef,
}

impl Planned {
    /// The field's type; `Unknown` when there is nothing to compute.
    pub(super) fn kind(&self) -> Type {
        match type_of_ref(&self.field) {
            Type::Tag => Type::Unknown,
            kind => kind,
        }
    }

    /// How many windows before the first it reads.
    pub(super) fn look_back(&self) -> i64 {
        let sequences = self.function.over_windows();
        sequences.into_iter().map(|sequence| i64::from(looks_back(&sequence.name))).sum()
    }

    /// Whether it picks points, so that alone it keeps their times.
    pub(super) fn is_selector(&self) -> bool {
        match &self.function {
            Function::Aggregate(aggregate) => matches!(aggregate, Aggregate::Selector(_) | Aggregate::Percentile(_)),
            Function::Several(several) => *several != Several::Distinct,
            Function::Sequence(_) | Function::OverWindows(..) => false,
        }
    }
}

/// How many windows before the first a call over another's windows reads, and those inside it; none of other calls.
pub(super) fn look_back_of(call: &Call) -> i64 {
    match call.args.first() {
        Some(Expr::Call(inner)) => i64::from(looks_back(&call.name)) + look_back_of(inner),
        _ => 0,
    }
}

/// Reads a call that has been checked.
pub(super) fn planned(call: &Call) -> Result<Planned, StatementError> {
    let unknown = || StatementError::Refused(format!("undefined function {}()", call.name));
    let field = |expr: Option<&Expr>| match expr {
        Some(Expr::Ref(reference)) => Ok(reference.clone()),
        _ => Err(StatementError::Refused(format!("expected field argument in {}()", call.name))),
    };
    if let Some(aggregate) = aggregate(call) {
        let argument = match call.args.first() {
            Some(Expr::Call(distinct)) => field(distinct.args.first())?,
            other => field(other)?,
        };
        return Ok(Planned { function: Function::Aggregate(aggregate), field: argument });
    }
    let count = || match call.args.last() {
        Some(Expr::Literal(Literal::Integer(n))) => u64::try_from(*n).unwrap_or(0),
        _ => 0,
    };
    let several = match call.name.as_str() {
        "distinct" => Some(Several::Distinct),
        "top" => Some(Several::Top(count())),
        "bottom" => Some(Several::Bottom(count())),
        "sample" => Some(Several::Sample(count())),
        _ => None,
    };
    if let Some(several) = several {
        return Ok(Planned { function: Function::Several(several), field: field(call.args.first())? });
    }
    if !is_sequence(&call.name) {
        return Err(unknown());
    }
    let literals = call.args.iter().skip(1).filter_map(|arg| match arg {
        Expr::Literal(literal) => Some(literal.clone()),
        _ => None,
    });
    let sequence = Sequence { name: call.name.clone(), args: literals.collect() };
    match call.args.first() {
        Some(Expr::Call(inner)) => {
            let Planned { function, field } = planned(inner)?;
            Ok(Planned { function: Function::OverWindows(sequence, Box::new(function)), field })
        }
        other => Ok(Planned { function: Function::Sequence(sequence), field: field(other)? }),
    }
}

fn aggregate(call: &Call) -> Option<Aggregate> {
    Some(match call.name.as_str() {
        "count" if matches!(call.args.first(), Some(Expr::Call(_) | Expr::Distinct(_))) => Aggregate::CountDistinct,
        "count" => Aggregate::Count,
        "sum" => Aggregate::Sum,
        "mean" => Aggregate::Mean,
        "median" => Aggregate::Median,
        "mode" => Aggregate::Mode,
        "spread" => Aggregate::Spread,
        "stddev" => Aggregate::Stddev,
        "first" => Aggregate::Selector(Choice::First),
        "last" => Aggregate::Selector(Choice::Last),
        "min" => Aggregate::Selector(Choice::Min),
        "max" => Aggregate::Selector(Choice::Max),
        "percentile" => Aggregate::Percentile(match call.args.get(1) {
            Some(Expr::Literal(Literal::Number(number))) => *number,
            Some(Expr::Literal(Literal::Integer(number))) => *number as f64,
            _ => return None,
        }),
        _ => return None,
    })
}

/// Functions that read points one after the other.
const SEQUENCES: [&str; 18] = [
    "integral",
    "derivative",
    "non_negative_derivative",
    "difference",
    "non_negative_difference",
    "cumulative_sum",
    "moving_average",
    "elapsed",
    "exponential_moving_average",
    "double_exponential_moving_average",
    "triple_exponential_moving_average",
    "triple_exponential_derivative",
    "relative_strength_index",
    "kaufmans_efficiency_ratio",
    "kaufmans_adaptive_moving_average",
    "chande_momentum_oscillator",
    "holt_winters",
    "holt_winters_with_fit",
];

/// Whether a function over windows needs the one before the first.
fn looks_back(name: &str) -> bool {
    is_sequence(name) && !matches!(name, "integral" | "cumulative_sum" | "holt_winters" | "holt_winters_with_fit")
}

fn is_sequence(name: &str) -> bool {
    SEQUENCES.contains(&name)
}

/// Refuses functions of numbers over texts and booleans, as the server does when it meets the first such values.
pub(super) fn check_types(call: &Call, planned: &Planned) -> Result<(), StatementError> {
    made(call, &planned.function, planned.kind()).map(|_| ())
}

/// The type of what a function makes of values of a type.
fn made(call: &Call, function: &Function, kind: Type) -> Result<Type, StatementError> {
    let (takes, kind) = match function {
        Function::Aggregate(aggregate) => (takes_aggregate(*aggregate, kind), kind),
        Function::Several(several) => {
            (matches!(several, Several::Distinct | Several::Sample(_)) || !is_text_or_boolean(kind), kind)
        }
        Function::Sequence(sequence) => (takes_sequence(&sequence.name, kind), kind),
        Function::OverWindows(sequence, inner) => {
            let Some(Expr::Call(inner_call)) = call.args.first() else { return Ok(kind) };
            let kind = made(inner_call, inner, kind)?;
            (takes_sequence(&sequence.name, kind), kind)
        }
    };
    supported(&call.name, takes, kind)?;
    Ok(type_of_function(&call.name, kind))
}

fn is_text_or_boolean(kind: Type) -> bool {
    matches!(kind, Type::String | Type::Boolean)
}

fn takes_aggregate(aggregate: Aggregate, kind: Type) -> bool {
    match aggregate {
        Aggregate::Count | Aggregate::CountDistinct | Aggregate::Mode => true,
        Aggregate::Selector(Choice::First | Choice::Last) => true,
        Aggregate::Selector(Choice::Min | Choice::Max) => kind != Type::String,
        Aggregate::Sum
        | Aggregate::Mean
        | Aggregate::Median
        | Aggregate::Spread
        | Aggregate::Stddev
        | Aggregate::Percentile(_) => !is_text_or_boolean(kind),
    }
}

fn takes_sequence(name: &str, kind: Type) -> bool {
    name == "elapsed" || !is_text_or_boolean(kind)
}

fn supported(name: &str, takes: bool, kind: Type) -> Result<(), StatementError> {
    if takes {
        return Ok(());
    }
    let function = match name {
        "non_negative_derivative" => "derivative",
        "non_negative_difference" => "difference",
        "kaufmans_efficiency_ratio" => "kaufmans efficiency ratio",
        "holt_winters" | "holt_winters_with_fit" => "elapsed",
        other => other,
    };
    let function = function.replace('_', " ");
    Err(StatementError::Refused(format!("unsupported {function} iterator type: *query.{kind}InterruptIterator")))
}
