//! WHERE of SHOW statements: which series count.
//!
//! A tag that a series lacks is `''`. What is said about fields holds for all series, and what is said about time is as if it
//! did not stand there.

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::compute::{and, not, or};
use datafusion::common::DataFusionError;

use crate::catalog::Table;
use crate::model::ColumnKind;
use crate::query::QueryError;
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::check::fold::{Environment, fold};
use crate::query::influxql::expr::{Binary, BinaryOp, Cast, Expr, Literal, Logic, VarRef};

use super::series::TagSets;

/// A condition with everything computed that is known without the time: the same for each measurement of a statement.
pub(super) struct Folded(Expr);

impl Folded {
    pub(super) fn of(condition: &Expr) -> Folded {
        Folded(fold(condition, &Environment::default()))
    }

    pub(super) fn expr(&self) -> &Expr {
        &self.0
    }

    /// Without the comparisons whose left side is no name, as if they did not stand there.
    pub(super) fn of_names(&self) -> Option<Folded> {
        of_names(&self.0).map(Folded)
    }
}

/// Refuses operators that say nothing about tags, where it is not about time.
pub(super) fn check_operators(condition: &Expr) -> Result<(), StatementError> {
    use BinaryOp::{Eq, EqRegex, NotEq, NotEqRegex};
    let is_odd = &mut |part: &Expr| match part {
        Expr::Binary(binary) => !matches!(binary.op, Eq | NotEq | EqRegex | NotEqRegex),
        _ => false,
    };
    match condition {
        Expr::Paren(inner) => check_operators(inner),
        Expr::Logic(_, terms) => terms.iter().try_for_each(check_operators),
        comparison if speaks_of_time(comparison) || !comparison.any(is_odd) => Ok(()),
        _ => Err(StatementError::Refused("invalid tag comparison operator".to_string())),
    }
}

/// Refuses what the values of tags cannot be asked for by: anything but comparisons whose left side is a name, unless it is
/// always true.
pub(super) fn check_comparisons(condition: &Folded) -> Result<(), StatementError> {
    match condition.expr() {
        Expr::Literal(Literal::Boolean(true)) => Ok(()),
        folded => check_folded(folded),
    }
}

fn of_names(condition: &Expr) -> Option<Expr> {
    match condition {
        Expr::Paren(inner) => of_names(inner).map(|inner| Expr::Paren(Box::new(inner))),
        Expr::Logic(logic, terms) => {
            let mut terms: Vec<Expr> = terms.iter().filter_map(of_names).collect();
            if terms.len() > 1 { Some(Expr::Logic(*logic, terms)) } else { terms.pop() }
        }
        Expr::Binary(comparison) if !matches!(comparison.left, Expr::Ref(_)) && !speaks_of_time(condition) => None,
        other => Some(other.clone()),
    }
}

/// Refuses a condition that is never true, as the server shows it.
pub(super) fn check_is_no_verdict(condition: &Folded) -> Result<(), StatementError> {
    match condition.expr() {
        folded @ Expr::Literal(Literal::Boolean(false)) => check_folded(folded),
        _ => Ok(()),
    }
}

fn check_folded(condition: &Expr) -> Result<(), StatementError> {
    let refuse = |why: String| Err(StatementError::Refused(why));
    match condition {
        Expr::Paren(inner) => check_folded(inner),
        Expr::Logic(_, terms) => terms.iter().try_for_each(check_folded),
        // As the server shows what it has read.
        Expr::Literal(Literal::Boolean(value)) => refuse(format!("&influxql.BooleanLiteral{{Val:{value}}}")),
        Expr::Binary(comparison) if comparison.left.is_literal() && comparison.right.is_literal() => Ok(()),
        Expr::Binary(_) if speaks_of_time(condition) => Ok(()),
        Expr::Binary(comparison) => match (comparison.op, &comparison.left) {
            (BinaryOp::Eq | BinaryOp::EqRegex | BinaryOp::NotEq | BinaryOp::NotEqRegex, Expr::Ref(_)) => Ok(()),
            (op @ (BinaryOp::Eq | BinaryOp::EqRegex | BinaryOp::NotEq | BinaryOp::NotEqRegex), _) => {
                refuse(format!("left side of '{}' must be a tag key", op.as_str()))
            }
            _ => refuse("invalid tag comparison operator".to_string()),
        },
        _ => Ok(()),
    }
}

/// Whether the time column stands anywhere in it.
pub(super) fn speaks_of_time(expr: &Expr) -> bool {
    expr.any(&mut |part| matches!(part, Expr::Ref(name) if name.is_time()))
}

/// For each tag set of a measurement, whether its series counts.
pub(super) fn verdicts(
    condition: &Folded,
    measurement: &str,
    tables: &[std::sync::Arc<Table>],
    sets: &TagSets,
) -> Result<BooleanArray, QueryError> {
    let judge = Judge { measurement, tables, sets };
    let verdicts = judge.expr(condition.expr()).map_err(DataFusionError::from)?;
    Ok(verdicts.unwrap_or_else(|| judge.all(true)))
}

struct Judge<'a> {
    measurement: &'a str,
    tables: &'a [std::sync::Arc<Table>],
    sets: &'a TagSets,
}

type Verdicts = Result<Option<BooleanArray>, datafusion::arrow::error::ArrowError>;

impl Judge<'_> {
    fn all(&self, verdict: bool) -> BooleanArray {
        BooleanArray::from(vec![verdict; self.sets.rows])
    }

    /// `None`: it says nothing about series, and is as if it did not stand there.
    fn expr(&self, expr: &Expr) -> Verdicts {
        match expr {
            Expr::Paren(inner) => self.expr(inner),
            Expr::Literal(Literal::Boolean(verdict)) => Ok(Some(self.all(*verdict))),
            Expr::Logic(logic, terms) => {
                let mut together: Option<BooleanArray> = None;
                for term in terms {
                    let Some(verdicts) = self.expr(term)? else { continue };
                    together = Some(match (together, logic) {
                        (None, _) => verdicts,
                        (Some(before), Logic::And) => and(&before, &verdicts)?,
                        (Some(before), Logic::Or) => or(&before, &verdicts)?,
                    });
                }
                Ok(together)
            }
            Expr::Binary(binary) if !speaks_of_time(expr) => self.comparison(binary),
            _ => Ok(None),
        }
    }

    fn comparison(&self, comparison: &Binary) -> Verdicts {
        let is_equal = |verdicts: BooleanArray| match comparison.op {
            BinaryOp::Eq | BinaryOp::EqRegex => Ok(Some(verdicts)),
            BinaryOp::NotEq | BinaryOp::NotEqRegex => not(&verdicts).map(Some),
            // Strings have no order here.
            _ => Ok(Some(self.all(false))),
        };
        match (&comparison.left, &comparison.right) {
            (Expr::Ref(name), other) | (other, Expr::Ref(name)) => match other {
                _ if self.is_field(name) => Ok(Some(self.all(true))),
                Expr::Literal(Literal::String(text)) => is_equal(self.tag(name, |value| value == text)),
                Expr::Literal(Literal::Regex(regex)) => is_equal(self.tag(name, |value| regex.is_match(value))),
                Expr::Ref(other) if !self.is_field(other) => Ok(Some(self.pair(comparison.op, name, other))),
                // What is no text is no matter of tags.
                _ => Ok(Some(self.all(true))),
            },
            _ => Ok(None),
        }
    }

    fn tag(&self, name: &VarRef, each: impl Fn(&str) -> bool) -> BooleanArray {
        match name.name.0.as_str() {
            "_name" => self.all(each(self.measurement)),
            name => self.sets.mask(name, each),
        }
    }

    /// Two tags in a comparison: `=` asks for series that have both, `!=` for those that have the left one alone.
    fn pair(&self, op: BinaryOp, left: &VarRef, right: &VarRef) -> BooleanArray {
        let has = |name: &VarRef| self.sets.texts(&name.name.0).into_iter().map(|value| !value.is_empty());
        let verdict = |(left, right): (bool, bool)| match op {
            BinaryOp::Eq => left && right,
            BinaryOp::NotEq => left && !right,
            _ => false,
        };
        has(left).zip(has(right)).map(verdict).map(Some).collect()
    }

    /// A name means a field where there is one, unless it is cast to a tag.
    fn is_field(&self, name: &VarRef) -> bool {
        match name.cast {
            Some(Cast::Tag) => false,
            Some(_) => true,
            None => self.tables.iter().any(|table| table.schema.find(&name.name.0, ColumnKind::Field).is_some()),
        }
    }
}
