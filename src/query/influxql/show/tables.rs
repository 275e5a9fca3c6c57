//! Which measurements a statement speaks of, and which tables they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Database, Table};
use crate::query::influxql::answer::StatementError;
use crate::query::influxql::source::{Measurement, MeasurementName};

use super::Show;

/// Tables of each measurement, which has one under each policy it was written to.
pub(super) type Measurements = BTreeMap<Arc<str>, Vec<Arc<Table>>>;

impl Show<'_> {
    /// Measurements of a database under all of its policies, of those that `sources` name; all without any.
    pub(super) fn under_all_policies(&self, database: &Database, sources: &[Measurement]) -> Measurements {
        let mut found = Measurements::new();
        for policy in &database.policies {
            for table in self.state.tables_of(database, &policy.name) {
                if sources.is_empty() || sources.iter().any(|source| names(source, &table.name.table)) {
                    found.entry(table.name.table.clone()).or_default().push(table.clone());
                }
            }
        }
        found
    }

    /// Measurements as SELECT finds them: each source under its own policy, else under its database's default.
    pub(super) fn under_one_policy(
        &self,
        database: &str,
        sources: &[Measurement],
    ) -> Result<Measurements, StatementError> {
        let mut found = Measurements::new();
        if sources.is_empty() {
            let database = self.database(database)?;
            self.add(database, &self.default_policy(database)?, |_| true, &mut found);
        }
        for source in sources {
            let database = self.database(source.database.as_ref().map_or(database, |name| name.0.as_str()))?;
            let policy = match &source.policy {
                Some(policy) => policy.0.clone(),
                None => self.default_policy(database)?,
            };
            if database.policy(&policy).is_none() {
                return Err(StatementError::PolicyNotFound(policy));
            }
            self.add(database, &policy, |table| names(source, table), &mut found);
        }
        Ok(found)
    }

    fn default_policy(&self, database: &Database) -> Result<String, StatementError> {
        let name = database.default_policy.to_string();
        if database.policy(&name).is_some() { Ok(name) } else { Err(StatementError::PolicyNotFound(name)) }
    }

    fn add(&self, database: &Database, policy: &str, wanted: impl Fn(&str) -> bool, found: &mut Measurements) {
        for table in self.state.tables_of(database, policy).filter(|table| wanted(&table.name.table)) {
            let tables = found.entry(table.name.table.clone()).or_default();
            if tables.iter().all(|other| other.id != table.id) {
                tables.push(table.clone());
            }
        }
    }
}

/// Whether a source means the measurement, wherever it is.
pub(super) fn names(source: &Measurement, measurement: &str) -> bool {
    match &source.name {
        MeasurementName::Name(name) => name.0 == measurement,
        MeasurementName::Regex(regex) => regex.is_match(measurement),
    }
}
