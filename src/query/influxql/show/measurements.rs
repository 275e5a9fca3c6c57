//! SHOW MEASUREMENTS, SHOW SERIES.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::Table;
use crate::query::influxql::answer::{SeriesPiece, StatementError};
use crate::query::influxql::check::fold::Environment;
use crate::query::influxql::check::time_range;
use crate::query::influxql::expr::{Binary, BinaryOp, Expr, Literal, Logic, VarRef};
use crate::query::influxql::schema::{ShowMeasurements, ShowSeries};
use crate::query::session::QuerySession;

use super::condition::{Folded, check_operators, speaks_of_time, verdicts};
use super::series::{Bounds, TagSets, tag_sets};
use super::{Pieces, Show, page};

type Names = BTreeSet<Arc<str>>;

impl Show<'_> {
    /// An unknown database has none.
    pub(super) async fn measurements(&self, statement: &ShowMeasurements) -> Result<Pieces, StatementError> {
        let condition = statement.condition.as_ref();
        if condition.is_some_and(speaks_of_time) {
            return Err(StatementError::Refused("SHOW MEASUREMENTS doesn't support time in WHERE clause".to_string()));
        }
        let name = self.database_name(statement.database.as_ref())?;
        let Ok(database) = self.database(name) else { return Ok(Vec::new()) };
        condition.map_or(Ok(()), check)?;
        let measurements = self.under_all_policies(database, statement.measurement.as_slice());
        let mut session = self.session(name).await?;
        let mut found = Names::new();
        for (measurement, tables) in &measurements {
            // Nothing need be read to know that there are rows.
            if condition.is_none() && tables.iter().any(|table| table.has_rows_for_sure()) {
                found.insert(measurement.clone());
                continue;
            }
            let sets = tag_sets(&mut session, self.engine, tables, Bounds::ALL).await?;
            let counts = condition.is_none_or(|condition| holds(condition, measurement, &sets));
            if counts && sets.rows > 0 {
                found.insert(measurement.clone());
            }
        }
        let found = page(found.into_iter().collect(), statement.rows);
        if found.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![SeriesPiece::of_texts(Some("measurements"), "name", found)])
    }

    pub(super) async fn series(&self, statement: &ShowSeries) -> Result<Pieces, StatementError> {
        let name = self.database_name(statement.database.as_ref())?;
        let condition = statement.condition.as_ref();
        let measurements = match condition {
            // With a time the rows themselves are asked, which are under one policy.
            Some(condition) if speaks_of_time(condition) => self.under_one_policy(name, &statement.sources)?,
            _ => self.under_all_policies(self.database(name)?, &statement.sources),
        };
        let bounds = self.bounds(condition)?;
        if !measurements.is_empty() {
            condition.map_or(Ok(()), check_operators)?;
        }
        let condition = condition.map(Folded::of);
        let mut session = self.session(name).await?;
        let mut keys = Vec::new();
        for (measurement, tables) in &measurements {
            let sets = self.sets_that_count(&mut session, measurement, tables, condition.as_ref(), bounds).await?;
            keys.extend(sets.keys(measurement));
        }
        let keys = page(keys, statement.rows);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![SeriesPiece::of_texts(None, "key", keys)])
    }

    /// The tag sets of a measurement that a condition accepts, of rows within bounds.
    pub(super) async fn sets_that_count(
        &self,
        session: &mut QuerySession,
        measurement: &str,
        tables: &[Arc<Table>],
        condition: Option<&Folded>,
        bounds: Bounds,
    ) -> Result<TagSets, StatementError> {
        let sets = tag_sets(session, self.engine, tables, bounds).await?;
        let Some(condition) = condition else { return Ok(sets) };
        let keep = verdicts(condition, measurement, tables, &sets)?;
        Ok(sets.filtered(&keep)?)
    }

    /// The bounds on time in a condition; refuses what is none.
    pub(super) fn bounds(&self, condition: Option<&Expr>) -> Result<Bounds, StatementError> {
        let environment = Environment { now: Some(self.scope.now_ns), ..Environment::default() };
        let (_, range) =
            time_range::split(condition, &environment).map_err(|error| StatementError::Refused(error.to_string()))?;
        Ok(Bounds { min_ns: range.min.unwrap_or(i64::MIN), max_ns: range.max.unwrap_or(i64::MAX) })
    }
}

/// Refuses conditions that say nothing about measurements.
fn check(condition: &Expr) -> Result<(), StatementError> {
    use BinaryOp::{Eq, EqRegex, NotEq, NotEqRegex};
    let refuse = |why: String| Err(StatementError::Refused(why));
    match condition {
        Expr::Paren(inner) => check(inner),
        Expr::Logic(_, terms) => terms.iter().try_for_each(check),
        Expr::Binary(comparison) => match (comparison.op, &comparison.left, &comparison.right) {
            (
                Eq | NotEq | EqRegex | NotEqRegex,
                Expr::Ref(_),
                Expr::Literal(Literal::String(_) | Literal::Regex(_)),
            ) => Ok(()),
            (op @ (Eq | NotEq | EqRegex | NotEqRegex), Expr::Ref(_), _) => {
                refuse(format!("right side of '{}' must be a tag value string", op.as_str()))
            }
            (op @ (Eq | NotEq | EqRegex | NotEqRegex), ..) => {
                refuse(format!("left side of '{}' must be a tag key", op.as_str()))
            }
            _ => refuse("invalid tag comparison operator".to_string()),
        },
        // As the server shows what it has read.
        Expr::Literal(Literal::Boolean(value)) => refuse(format!("&influxql.BooleanLiteral{{Val:{value}}}")),
        Expr::Ref(VarRef { name, cast: None }) => refuse(format!("&influxql.VarRef{{Val:{:?}, Type:0}}", name.0)),
        other => refuse(other.to_string()),
    }
}

/// Whether a measurement counts. Here a condition, which has been checked, speaks of measurements, not of series: one that
/// has the tag counts for `=` and `=~` if any series fits, for `!=` and `!~` if none does; one without the tag never does.
fn holds(condition: &Expr, measurement: &str, sets: &TagSets) -> bool {
    match condition {
        Expr::Paren(inner) => holds(inner, measurement, sets),
        Expr::Logic(Logic::And, terms) => terms.iter().all(|term| holds(term, measurement, sets)),
        Expr::Logic(Logic::Or, terms) => terms.iter().any(|term| holds(term, measurement, sets)),
        Expr::Binary(comparison) => {
            let Binary { op, left: Expr::Ref(tag), right } = &**comparison else { return false };
            let fits: Box<dyn Fn(&str) -> bool> = match right {
                Expr::Literal(Literal::String(text)) => Box::new(move |value| value == text),
                Expr::Literal(Literal::Regex(regex)) => Box::new(move |value| regex.is_match(value)),
                _ => return false,
            };
            let wants_fit = matches!(op, BinaryOp::Eq | BinaryOp::EqRegex);
            if tag.name.0 == "_name" {
                return fits(measurement) == wants_fit;
            }
            let values = sets.values(&tag.name.0);
            !values.is_empty() && values.iter().any(|value| fits(value)) == wants_fit
        }
        _ => false,
    }
}
