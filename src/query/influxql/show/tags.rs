//! SHOW TAG KEYS, SHOW TAG VALUES.

use std::sync::Arc;

use crate::catalog::Table;
use crate::query::influxql::answer::{SeriesPiece, StatementError, texts_array};
use crate::query::influxql::schema::{ShowTagKeys, ShowTagValues, TagKeys};
use crate::query::session::QuerySession;

use super::condition::{Folded, check_comparisons, check_is_no_verdict, check_operators};
use super::series::{Bounds, TagSets};
use super::{Pieces, Show, page};

impl Show<'_> {
    /// LIMIT and OFFSET count keys of a measurement; SLIMIT and SOFFSET have no effect, as in the server.
    pub(super) async fn tag_keys(&self, statement: &ShowTagKeys) -> Result<Pieces, StatementError> {
        let name = self.database_name(statement.database.as_ref())?;
        let measurements = self.under_all_policies(self.database(name)?, &statement.sources);
        let condition = statement.condition.as_ref();
        condition.map_or(Ok(()), check_operators)?;
        let condition = condition.map(Folded::of);
        condition.as_ref().map_or(Ok(()), check_is_no_verdict)?;
        let condition = condition.and_then(|condition| condition.of_names());
        let bounds = self.bounds(condition.as_ref().map(Folded::expr))?;
        let mut session = self.session(name).await?;
        if measurements.is_empty() {
            return Ok(Vec::new());
        }
        let mut pieces = Vec::new();
        for (measurement, tables) in &measurements {
            let condition = condition.as_ref();
            let sets = self.sets_of_stretches(&mut session, measurement, tables, condition, bounds).await?;
            let keys = sets.columns.keys().filter(|key| !sets.values(key).is_empty()).cloned().collect();
            let keys = page(keys, statement.rows);
            if !keys.is_empty() {
                pieces.push(SeriesPiece::of_texts(Some(measurement), "tagKey", keys));
            }
        }
        Ok(pieces)
    }

    /// Values of the series that fit; sorted by key, then value. LIMIT and OFFSET count rows of a measurement.
    pub(super) async fn tag_values(&self, statement: &ShowTagValues) -> Result<Pieces, StatementError> {
        let name = self.database_name(statement.database.as_ref())?;
        let measurements = self.under_all_policies(self.database(name)?, &statement.sources);
        let condition = statement.condition.as_ref().map(Folded::of);
        if let (Some(condition), false) = (&condition, measurements.is_empty()) {
            check_comparisons(condition)?;
        }
        let bounds = self.bounds(statement.condition.as_ref())?;
        let mut session = self.session(name).await?;
        if measurements.is_empty() {
            return Ok(Vec::new());
        }
        let mut pieces = Vec::new();
        for (measurement, tables) in &measurements {
            let condition = condition.as_ref();
            let sets = self.sets_of_stretches(&mut session, measurement, tables, condition, bounds).await?;
            let mut rows = Vec::new();
            for key in sets.columns.keys().filter(|key| statement.keys.mean(key)) {
                rows.extend(sets.values(key).into_iter().map(|value| (key.clone(), value)));
            }
            let rows = page(rows, statement.rows);
            if rows.is_empty() {
                continue;
            }
            let keys = texts_array(rows.iter().map(|(key, _)| key));
            let values = texts_array(rows.iter().map(|(_, value)| value));
            pieces.push(SeriesPiece::of(Some(measurement), &["key", "value"], vec![keys, values]));
        }
        Ok(pieces)
    }

    /// Bounds on time pick the stretches of time that a policy's shards are to cover, not points.
    async fn sets_of_stretches(
        &self,
        session: &mut QuerySession,
        measurement: &str,
        tables: &[Arc<Table>],
        condition: Option<&Folded>,
        bounds: Bounds,
    ) -> Result<TagSets, StatementError> {
        let width_ns = tables.iter().filter_map(|table| {
            let database = self.state.database(&table.name.tenant, &table.name.database)?;
            Some(database.policy(&table.name.policy)?.shard_duration_ns)
        });
        let bounds = match bounds {
            Bounds::ALL => Bounds::ALL,
            bounds => bounds.widened(width_ns.max().unwrap_or(1)),
        };
        self.sets_that_count(session, measurement, tables, condition, bounds).await
    }
}

impl TagKeys {
    /// Whether the tag of this name is meant.
    pub(super) fn mean(&self, key: &str) -> bool {
        match self {
            TagKeys::In(keys) => keys.iter().any(|wanted| wanted.0 == key),
            TagKeys::Equal(wanted) => wanted.0 == key,
            TagKeys::NotEqual(other) => other.0 != key,
            TagKeys::Matching(regex) => regex.is_match(key),
            TagKeys::NotMatching(regex) => !regex.is_match(key),
        }
    }
}
