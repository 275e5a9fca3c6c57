//! DELETE, DROP SERIES, DROP MEASUREMENT, DROP SHARD.

use crate::catalog::{CatalogState, Delete as Rows};
use crate::protocol::Core;
use crate::query::influxql::answer::{SeriesStream, StatementError};
use crate::query::influxql::delete::{Delete, DropMeasurement, DropSeries};
use crate::query::influxql::deletion::Deletion;
use crate::query::influxql::server::DropShard;
use crate::query::influxql::show::shards;

use super::{Request, done};

type Answer = Result<SeriesStream, StatementError>;

pub(super) async fn delete(core: &Core, request: &Request, delete: &Delete) -> Answer {
    let (sources, condition) = (&*delete.sources, delete.condition.as_ref());
    let database = &request.database;
    run(core, Deletion { tenant: request.tenant, database, policy: None, sources, condition, takes_time: true }).await
}

pub(super) async fn drop_series(core: &Core, request: &Request, drop: &DropSeries) -> Answer {
    let (sources, condition) = (&*drop.sources, drop.condition.as_ref());
    let database = &request.database;
    run(core, Deletion { tenant: request.tenant, database, policy: None, sources, condition, takes_time: false }).await
}

pub(super) async fn run(core: &Core, deletion: Deletion<'_>) -> Answer {
    let now_ns = (core.ingest.clock)();
    carried_out(core, |state| deletion.plan(state, now_ns)).await
}

/// Dropping a shard that is not there is fine, as in the server.
pub(super) async fn drop_shard(core: &Core, request: &Request, drop: &DropShard) -> Answer {
    if shards::dropped(&core.catalog.state(), request.tenant, drop.id)?.is_empty() {
        return Ok(SeriesStream::empty());
    }
    carried_out(core, |state| shards::dropped(state, request.tenant, drop.id)).await
}

/// Deletes are recorded for rows in segments, so what is not in one yet goes there first. What is written meanwhile is
/// written later than the delete.
async fn carried_out(core: &Core, plan: impl Fn(&CatalogState) -> Result<Vec<Rows>, StatementError>) -> Answer {
    // Before anything is done: the statement may be refused.
    plan(&core.catalog.state())?;
    let Some(flusher) = &core.flusher else {
        return Err(StatementError::Refused("this node only reads".to_string()));
    };
    flusher.flush_all().await.map_err(|error| StatementError::Refused(error.to_string()))?;
    let deletes = plan(&core.catalog.state())?;
    done(core.catalog.delete_rows(deletes).await)
}

pub(super) async fn drop_measurement(core: &Core, request: &Request, drop: &DropMeasurement) -> Answer {
    done(core.catalog.drop_measurement(request.tenant, &request.database, &drop.name.0).await)
}
