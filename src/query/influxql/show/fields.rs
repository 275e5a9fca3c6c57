//! SHOW FIELD KEYS.

use std::sync::Arc;

use crate::catalog::Table;
use crate::model::FieldType;
use crate::query::influxql::answer::{SeriesPiece, StatementError, texts_array};
use crate::query::influxql::schema::ShowFieldKeys;

use super::series::{Bounds, tag_sets};
use super::{Pieces, Show, page};

impl Show<'_> {
    /// Fields of the measurements under one policy; LIMIT and OFFSET count rows of a measurement.
    pub(super) async fn field_keys(&self, statement: &ShowFieldKeys) -> Result<Pieces, StatementError> {
        let name = self.database_name(statement.database.as_ref())?;
        let mut pieces = Vec::new();
        for (measurement, tables) in self.under_one_policy(name, &statement.sources)? {
            if !self.holds_rows(name, &tables).await? {
                continue;
            }
            let mut fields: Vec<(&str, FieldType)> = tables
                .iter()
                .flat_map(|table| table.schema.fields())
                .filter_map(|field| Some((field.name.as_str(), field.field_type?)))
                .collect();
            fields.sort_unstable();
            fields.dedup();
            let fields = page(fields, statement.rows);
            if fields.is_empty() {
                continue;
            }
            let names = texts_array(fields.iter().map(|(name, _)| name));
            let types = texts_array(fields.iter().map(|(_, field_type)| field_type.as_str()));
            pieces.push(SeriesPiece::of(Some(&measurement), &["fieldKey", "fieldType"], vec![names, types]));
        }
        Ok(pieces)
    }

    /// Whether a measurement is there. It is unless its last row is gone.
    async fn holds_rows(&self, database: &str, tables: &[Arc<Table>]) -> Result<bool, StatementError> {
        if tables.iter().all(|table| table.last_tombstone() == 0 && !table.segments.is_empty()) {
            return Ok(true);
        }
        let mut session = self.session(database).await?;
        let sets = tag_sets(&mut session, self.engine, tables, Bounds::ALL).await?;
        Ok(sets.rows > 0)
    }
}
