//! Which fields and calls may stand together.

use super::calls::Call as Known;
use super::error::CheckError;
use super::fold::{Environment, fold};
use crate::query::influxql::expr::{Binary, Call, Expr, Literal, VarRef};
use crate::query::influxql::ident::Ident;
use crate::query::influxql::select::{Field, Fill, Select};

/// What the fields of a select have in common.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// How many calls there are that are not functions of one row, those inside others not counted.
    pub count: usize,
    /// Whether all of them pick points: `max`, `min`, `first`, `last`, `percentile`, `sample`, `top`, `bottom`. Also true
    /// without any call. A wildcard or a pattern as an argument counts as more than picking.
    pub only_selectors: bool,
    /// `top` or `bottom`, if that is the call.
    pub top_bottom: Option<&'static str>,
    /// Whether names stand outside of calls, or as tags in `top` and `bottom`.
    pub has_references: bool,
    /// How many windows before the first (behind the last, in descending order) transformations look at.
    pub extra_windows: i64,
}

/// Whether rows are grouped by windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub any: bool,
    /// They are the select's own; or there are none.
    pub own: bool,
}

pub(super) struct CheckedFields {
    pub fields: Vec<Field>,
    pub time_name: Ident,
    pub calls: Calls,
}

/// What is known so far while fields are looked at.
pub(super) struct State {
    pub calls: Calls,
    pub windows: Windows,
    /// LIMIT; zero without one.
    pub limit: u64,
    pub has_target: bool,
    has_distinct: bool,
}

/// A field that is looked at.
pub(super) struct Looked<'s> {
    pub state: &'s mut State,
    /// Whether `*` and patterns may stand here: not beside operators.
    pub wildcards: bool,
}

pub(super) fn check(select: &Select, windows: Windows, fill: Fill) -> Result<CheckedFields, CheckError> {
    let mut state = State {
        calls: Calls { only_selectors: true, ..Calls::default() },
        windows,
        limit: select.rows.limit,
        has_target: select.target.is_some(),
        has_distinct: false,
    };
    let mut time_name = Ident::from("time");
    let mut fields = Vec::with_capacity(select.fields.len());
    for field in &select.fields {
        if matches!(&field.expr, Expr::Ref(reference) if reference.name.0 == "time") {
            time_name = field.alias.clone().unwrap_or(time_name);
            continue;
        }
        let expr = fold(&field.expr, &Environment { math: true, ..Environment::default() });
        Looked { state: &mut state, wildcards: true }.expr(&expr)?;
        fields.push(Field { expr: with_calls(expr), alias: field.alias.clone() });
    }
    state.finish(fields.is_empty(), fill)?;
    Ok(CheckedFields { fields, time_name, calls: state.calls })
}

impl State {
    fn finish(&self, empty: bool, fill: Fill) -> Result<(), CheckError> {
        if empty {
            return Err(CheckError::NoFields);
        }
        if let Some(name) = self.calls.top_bottom
            && self.calls.count > 1
        {
            return Err(CheckError::NotAlone { name });
        }
        if self.calls.count == 0 {
            match fill {
                Fill::None => return Err(CheckError::FillWithoutCall { fill: "none" }),
                Fill::Linear => return Err(CheckError::FillWithoutCall { fill: "linear" }),
                _ if self.windows.any && self.windows.own => return Err(CheckError::WindowsWithoutCall),
                _ => {}
            }
        }
        if self.has_distinct && (self.calls.count != 1 || self.calls.has_references) {
            return Err(CheckError::DistinctNotAlone);
        }
        match self.calls.has_references {
            true if !self.calls.only_selectors => Err(CheckError::MixedWithAggregates),
            true if self.calls.count > 1 => Err(CheckError::MixedWithSelectors),
            _ => Ok(()),
        }
    }
}

impl Looked<'_> {
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<(), CheckError> {
        match expr {
            Expr::Ref(_) => self.state.calls.has_references = true,
            Expr::Wildcard(_) => {
                self.state.calls.has_references = true;
                if !self.wildcards {
                    return Err(CheckError::WildcardBesideOperator);
                }
            }
            Expr::Literal(Literal::Regex(_)) => {
                if !self.wildcards {
                    return Err(CheckError::RegexBesideOperator);
                }
                self.state.calls.has_references = true;
            }
            Expr::Call(call) => match Known::of(&call.name) {
                Some(Known::Math { args }) => return self.math(call, args),
                known => {
                    self.state.calls.count += 1;
                    return self.call(call, known);
                }
            },
            Expr::Distinct(name) => {
                self.state.calls.count += 1;
                return self.distinct(&Call::distinct(name).args, false);
            }
            Expr::Binary(binary) => return self.binary(binary),
            Expr::Paren(inner) => return self.expr(inner),
            Expr::Literal(_) => return Err(CheckError::NoVariable),
            // The parser refuses these among the fields.
            Expr::Logic(..) => return Err(CheckError::NoField),
        }
        Ok(())
    }

    /// A call inside another, where `distinct` may stand, too.
    pub(super) fn nested(&mut self, expr: &Expr) -> Result<(), CheckError> {
        match expr {
            Expr::Call(call) if call.name == "distinct" => self.distinct(&call.args, true),
            Expr::Distinct(name) => self.distinct(&Call::distinct(name).args, true),
            expr => self.expr(expr),
        }
    }

    fn binary(&mut self, binary: &Binary) -> Result<(), CheckError> {
        self.wildcards = false;
        if binary.left.is_literal() && binary.right.is_literal() {
            return Err(CheckError::TwoLiterals);
        }
        for side in [&binary.left, &binary.right] {
            if !side.is_literal() {
                self.expr(side)?;
            }
        }
        Ok(())
    }

    pub(super) fn distinct(&mut self, args: &[Expr], nested: bool) -> Result<(), CheckError> {
        match args {
            [] => return Err(CheckError::DistinctOfNothing),
            [Expr::Ref(_)] => {}
            [_] => return Err(CheckError::NoFieldArgument { name: "distinct".to_string() }),
            _ => return Err(CheckError::DistinctOfSeveral),
        }
        self.state.has_distinct |= !nested;
        self.state.calls.only_selectors = false;
        Ok(())
    }

    /// A name, a wildcard or a pattern as what a function is computed of.
    pub(super) fn symbol(&mut self, name: &str, symbol: &Expr) -> Result<(), CheckError> {
        match symbol {
            Expr::Ref(VarRef { .. }) => return Ok(()),
            Expr::Wildcard(_) if !self.wildcards => {
                return Err(CheckError::WildcardArgument { name: name.to_string() });
            }
            Expr::Literal(Literal::Regex(_)) if !self.wildcards => {
                return Err(CheckError::RegexArgument { name: name.to_string() });
            }
            Expr::Wildcard(_) | Expr::Literal(Literal::Regex(_)) => self.state.calls.only_selectors = false,
            _ => return Err(CheckError::NoFieldArgument { name: name.to_string() }),
        }
        Ok(())
    }
}

/// With calls for `DISTINCT f`.
fn with_calls(expr: Expr) -> Expr {
    match expr {
        Expr::Distinct(name) => Expr::Call(Call::distinct(&name)),
        Expr::Call(Call { name, args }) => Expr::Call(Call { name, args: args.into_iter().map(with_calls).collect() }),
        Expr::Paren(inner) => Expr::Paren(Box::new(with_calls(*inner))),
        Expr::Binary(binary) => Expr::binary(binary.op, with_calls(binary.left), with_calls(binary.right)),
        other => other,
    }
}
