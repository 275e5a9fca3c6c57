//! SHOW … CARDINALITY: how many there are. All are counted; the server estimates some.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::Int64Array;

use crate::query::influxql::answer::{SeriesPiece, StatementError};
use crate::query::influxql::cardinality::{Counted, ShowCardinality};

use super::condition::{Folded, speaks_of_time};
use super::series::{Bounds, TagSets};
use super::tables::Measurements;
use super::{Pieces, Show, page};

impl Show<'_> {
    pub(super) async fn cardinality(&self, statement: &ShowCardinality) -> Result<Pieces, StatementError> {
        let name = self.database_name(statement.database.as_ref())?;
        if is_estimate(statement) {
            return self.estimate(name, &statement.of).await;
        }
        let condition = statement.condition.as_ref();
        self.bounds(condition)?;
        if condition.is_some_and(speaks_of_time)
            && let Some(words) = refuses_time(&statement.of)
        {
            return Err(StatementError::Refused(format!(
                "SHOW {words} CARDINALITY doesn't support time in WHERE clause"
            )));
        }
        if !statement.dimensions.is_empty() {
            return Err(StatementError::NotSupported("GROUP BY of a cardinality".to_string()));
        }
        let condition = condition.map(Folded::of);
        let measurements = self.under_one_policy(name, &statement.sources)?;
        let mut session = self.session(name).await?;
        let mut counts = Vec::new();
        for (measurement, tables) in &measurements {
            let sets = self.sets_that_count(&mut session, measurement, tables, condition.as_ref(), Bounds::ALL).await?;
            let count = match &statement.of {
                _ if sets.rows == 0 => 0,
                Counted::Series => sets.keys(measurement).len(),
                Counted::Measurements => 1,
                Counted::TagKeys => sets.columns.keys().filter(|key| !sets.values(key).is_empty()).count(),
                Counted::TagValues(keys) => values(&sets, |key| keys.mean(key)),
                Counted::FieldKeys => {
                    let fields = tables.iter().flat_map(|table| table.schema.fields());
                    fields.map(|field| &field.name).collect::<BTreeSet<_>>().len()
                }
            };
            if count > 0 {
                counts.push((measurement.clone(), count));
            }
        }
        if statement.of == Counted::Measurements {
            let count = counts.len();
            let pieces = if count > 0 { vec![piece(None, "count", count)] } else { Vec::new() };
            return Ok(page(pieces, statement.rows));
        }
        // LIMIT and OFFSET count rows of a series, and each has one.
        let pieces =
            counts.iter().flat_map(|(name, count)| page(vec![piece(Some(name), "count", *count)], statement.rows));
        Ok(pieces.collect())
    }

    /// An unknown database has none.
    async fn estimate(&self, name: &str, of: &Counted) -> Result<Pieces, StatementError> {
        let mut count = 0;
        if let Ok(database) = self.database(name) {
            let measurements = match of {
                Counted::Series => self.under_all_policies(database, &[]),
                _ => self.under_one_policy(name, &[]).unwrap_or_default(),
            };
            count = self.count(name, of, &measurements).await?;
        }
        Ok(vec![piece(None, "cardinality estimation", count)])
    }

    async fn count(&self, name: &str, of: &Counted, measurements: &Measurements) -> Result<usize, StatementError> {
        let mut session = self.session(name).await?;
        let mut count = 0;
        for (measurement, tables) in measurements {
            let sets = self.sets_that_count(&mut session, measurement, tables, None, Bounds::ALL).await?;
            count += if *of == Counted::Series { sets.keys(measurement).len() } else { usize::from(sets.rows > 0) };
        }
        Ok(count)
    }
}

/// The server estimates what is asked for without EXACT and any clause.
fn is_estimate(statement: &ShowCardinality) -> bool {
    let has_estimate = matches!(statement.of, Counted::Series | Counted::Measurements);
    let is_bare = statement.sources.is_empty()
        && statement.condition.is_none()
        && statement.dimensions.is_empty()
        && statement.rows.limit == 0
        && statement.rows.offset == 0;
    has_estimate && !statement.exact && is_bare
}

fn refuses_time(of: &Counted) -> Option<&'static str> {
    match of {
        Counted::Series => Some("SERIES EXACT"),
        Counted::Measurements => Some("MEASUREMENT EXACT"),
        Counted::TagKeys => Some("TAG KEY EXACT"),
        Counted::FieldKeys => Some("FIELD KEY"),
        Counted::TagValues(_) => None,
    }
}

/// Distinct values of all the tags together.
fn values(sets: &TagSets, meant: impl Fn(&str) -> bool) -> usize {
    let keys = sets.columns.keys().filter(|key| meant(key));
    keys.flat_map(|key| sets.values(key)).collect::<BTreeSet<_>>().len()
}

fn piece(name: Option<&str>, column: &str, count: usize) -> SeriesPiece {
    let count = Int64Array::from_iter_values([i64::try_from(count).unwrap_or(i64::MAX)]);
    SeriesPiece::of(name, &[column], vec![Arc::new(count)])
}
