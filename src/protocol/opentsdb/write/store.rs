//! From columns to the write path.

use std::time::Duration;

use crate::catalog::databases::{IfExists, NewDatabase};
use crate::catalog::{CatalogState, UidKind};
use crate::ingest::{BadPoints, IngestError, Receipt, Rules, Target};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Points, Precision};
use crate::protocol::Core;

/// Good points beside bad ones are stored. A metric's tag may be called as its field is, or as the column of times.
const RULES: Rules =
    Rules { bad_points: BadPoints::Drop, tag_and_field_may_share_a_name: true, tag_may_be_called_time: true };
/// How long points wait for their database to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stores points of metrics. On `Ok` those taken are on disk and the next query sees them. The database is made when there is none.
pub(in crate::protocol::opentsdb) async fn store(
    core: &Core,
    database: &str,
    points: Points,
) -> Result<Receipt, IngestError> {
    if points.rows() == 0 {
        return Ok(Receipt { taken: 0, rejected: Default::default() });
    }
    if core.catalog.state().database(DEFAULT_TENANT, database).is_none() {
        core.catalog.check_writable()?;
        let new = NewDatabase {
            tenant: DEFAULT_TENANT.to_string(),
            name: database.to_string(),
            precision: Precision::Ns,
            policy: None,
        };
        let made = core.catalog.create_database(new, IfExists::Keep);
        tokio::time::timeout(PATIENCE, made).await.map_err(|_| IngestError::SchemaWaits)??;
    }
    let target = Target { tenant: DEFAULT_TENANT.to_string(), database: database.to_string(), policy: None };
    core.ingest.accept(&target, points, RULES).await
}

/// Whether a metric exists: as a table, or as a name that was given a number.
pub(in crate::protocol::opentsdb) fn exists(core: &Core, state: &CatalogState, database: &str, metric: &str) -> bool {
    let is_table = state
        .database(DEFAULT_TENANT, database)
        .is_some_and(|database| state.table_named(database, &database.default_policy, metric).is_some());
    is_table || core.uids.find(UidKind::Metric, metric).is_some()
}
