//! How many series a SELECT reads, for those who bound that.

use crate::query::influxql::answer::StatementError;
use crate::query::influxql::plan::execute::Asker;
use crate::query::influxql::select::Select;
use crate::query::influxql::source::Source;
use crate::query::names::Readable;
use crate::query::session::QueryEngine;

use super::condition::Folded;
use super::series::Bounds;
use super::{Show, ShowScope};

impl QueryEngine {
    /// Refuses a SELECT that reads more than `max` series, in the server's words. Series count that have rows in the
    /// statement's time and fit its conditions on tags; what is wrong with the statement is left for its plan to say.
    pub(in crate::query::influxql) async fn check_series(
        &self,
        asker: &Asker,
        select: &Select,
        max: u64,
    ) -> Result<(), StatementError> {
        let scope = ShowScope {
            tenant: asker.tenant.clone(),
            database: asker.database.clone().unwrap_or_default(),
            now_ns: asker.now,
            hidden: Vec::new(),
            readable: Readable::All,
        };
        let show = Show { engine: self, state: self.state(), scope: &scope };
        let mut found = 0;
        // A subquery reads on its own conditions.
        let mut selects = vec![select];
        while let Some(select) = selects.pop() {
            let condition = select.condition.as_ref();
            let bounds = show.bounds(condition).unwrap_or(Bounds::ALL);
            let condition = condition.map(Folded::of);
            for source in &select.sources {
                match source {
                    Source::Subquery(inner) => selects.push(inner),
                    Source::Measurement(source) => {
                        let Ok(measurements) = show.under_one_policy(&scope.database, std::slice::from_ref(source))
                        else {
                            continue;
                        };
                        let mut session = show.session(&scope.database).await?;
                        for (measurement, tables) in &measurements {
                            let condition = condition.as_ref();
                            let sets =
                                show.sets_that_count(&mut session, measurement, tables, condition, bounds).await?;
                            found += sets.rows as u64;
                        }
                    }
                }
            }
        }
        match found > max {
            true => Err(StatementError::Refused(format!("max-select-series limit exceeded: ({found}/{max})"))),
            false => Ok(()),
        }
    }
}
