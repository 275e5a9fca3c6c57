//! DELETE, DROP SERIES, DROP MEASUREMENT: which rows of which tables they mean.

use crate::catalog::{CatalogState, Delete, Table};
use crate::model::{ColumnKind, SeriesFilter};

use super::answer::StatementError;
use super::check::fold::Environment;
use super::check::time_range;
use super::expr::{Binary, BinaryOp, Cast, Expr, Literal, Logic, VarRef};
use super::source::{Measurement, MeasurementName};

/// What a statement wants gone: of the measurements of a database, under each of its policies unless it says which.
#[derive(Debug, Clone, Copy)]
pub struct Deletion<'a> {
    pub tenant: &'a str,
    pub database: &'a str,
    /// Only under this policy.
    pub policy: Option<&'a str>,
    /// All measurements without any.
    pub sources: &'a [Measurement],
    pub condition: Option<&'a Expr>,
    /// Whether bounds on time may be given.
    pub takes_time: bool,
}

impl Deletion<'_> {
    /// The deletes, a table each. `now` is what `now()` means.
    pub fn plan(&self, state: &CatalogState, now_ns: i64) -> Result<Vec<Delete>, StatementError> {
        let not_found = || StatementError::DatabaseNotFound(self.database.to_string());
        let database = state.database(self.tenant, self.database).ok_or_else(not_found)?;
        let environment = Environment { now: Some(now_ns), ..Environment::default() };
        let speaks_of_time = |expr: &Expr| expr.any(&mut |part| matches!(part, Expr::Ref(name) if name.is_time()));
        if !self.takes_time && self.condition.is_some_and(speaks_of_time) {
            let text = "DROP SERIES doesn't support time in WHERE clause";
            return Err(StatementError::Refused(text.to_string()));
        }
        let (rest, range) = time_range::split(self.condition, &environment)
            .map_err(|error| StatementError::Refused(error.to_string()))?;
        if let Some(policy) = self.policy.filter(|policy| database.policy(policy).is_none()) {
            return Err(StatementError::PolicyNotFound(policy.to_string()));
        }
        let mut deletes = Vec::new();
        for policy in database.policies.iter().filter(|policy| self.policy.is_none_or(|only| *only == *policy.name)) {
            for table in state.tables_of(database, &policy.name).filter(|table| self.means(table)) {
                deletes.push(Delete {
                    table: table.id,
                    time_min_ns: range.min.unwrap_or(i64::MIN),
                    time_max_ns: range.max.unwrap_or(i64::MAX),
                    series: rest.as_ref().map_or(Ok(SeriesFilter::All), |rest| filter(rest, table))?,
                });
            }
        }
        Ok(deletes)
    }

    fn means(&self, table: &Table) -> bool {
        let is_it = |source: &Measurement| match &source.name {
            MeasurementName::Name(name) => name.0 == *table.name.table,
            MeasurementName::Regex(regex) => regex.is_match(&table.name.table),
        };
        self.sources.is_empty() || self.sources.iter().any(is_it)
    }
}

/// A condition without time, as it reads for the series of one table.
fn filter(condition: &Expr, table: &Table) -> Result<SeriesFilter, StatementError> {
    let nothing = || SeriesFilter::Not(Box::new(SeriesFilter::All));
    match condition {
        Expr::Paren(inner) => filter(inner, table),
        Expr::Literal(Literal::Boolean(true)) => Ok(SeriesFilter::All),
        Expr::Literal(Literal::Boolean(false)) => Ok(nothing()),
        Expr::Logic(logic, terms) => {
            let terms = terms.iter().map(|term| filter(term, table)).collect::<Result<Vec<_>, _>>()?;
            Ok(match logic {
                Logic::And => SeriesFilter::Every(terms),
                Logic::Or => SeriesFilter::Any(terms),
            })
        }
        Expr::Binary(comparison) => {
            let Binary { op, left, right } = &**comparison;
            let ((Expr::Ref(name), other) | (other, Expr::Ref(name))) = (left, right) else {
                return Err(unusable(condition));
            };
            let is_text = matches!(other, Expr::Literal(Literal::String(_) | Literal::Regex(_)));
            // What is no text is taken for a question about fields.
            if is_field(name, table) || (other.is_literal() && !is_text) {
                let text = format!("shard {}: fields not supported in WHERE clause during deletion", table.id);
                return Err(StatementError::Refused(text));
            }
            let tag = name.name.0.clone();
            let equal = match other {
                Expr::Literal(Literal::String(value)) => SeriesFilter::Equal { tag, value: value.clone() },
                Expr::Literal(Literal::Regex(regex)) => {
                    SeriesFilter::Matches { tag, pattern: regex.pattern().to_string() }
                }
                _ => return Err(unusable(condition)),
            };
            Ok(match op {
                BinaryOp::Eq | BinaryOp::EqRegex => equal,
                BinaryOp::NotEq | BinaryOp::NotEqRegex => SeriesFilter::Not(Box::new(equal)),
                // Strings have no order here.
                _ => nothing(),
            })
        }
        other => Err(unusable(other)),
    }
}

/// Better to delete nothing than too much.
fn unusable(condition: &Expr) -> StatementError {
    StatementError::Refused(format!("invalid condition expression: {condition}"))
}

/// A name means a field where there is one, unless it is cast to a tag.
fn is_field(name: &VarRef, table: &Table) -> bool {
    match name.cast {
        Some(Cast::Tag) => false,
        Some(_) => true,
        None => table.schema.find(&name.name.0, ColumnKind::Field).is_some(),
    }
}
