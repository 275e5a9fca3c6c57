//! CREATE and DROP DATABASE; CREATE, ALTER and DROP RETENTION POLICY.

use crate::catalog::databases::{IfExists, NewDatabase, policy};
use crate::catalog::{PolicyChange, RetentionPolicy};
use crate::model::Precision;
use crate::protocol::Core;
use crate::query::influxql::answer::{SeriesStream, StatementError};
use crate::query::influxql::database::{CreateDatabase, DropDatabase, PolicySpec};
use crate::query::influxql::policy::{AlterRetentionPolicy, CreateRetentionPolicy, DropRetentionPolicy};

use super::{Request, done};

const HOUR_NS: i64 = 3_600_000_000_000;

type Answer = Result<SeriesStream, StatementError>;

pub(super) async fn create(core: &Core, request: &Request, create: &CreateDatabase) -> Answer {
    let new = NewDatabase {
        tenant: request.tenant.to_string(),
        name: create.name.0.clone(),
        precision: Precision::Ns,
        policy: first_policy(create)?,
    };
    done(core.catalog.create_database(new, IfExists::Compare).await)
}

/// What the WITH clause asks for. A zero shard duration and an empty name count as absent.
fn first_policy(create: &CreateDatabase) -> Result<Option<RetentionPolicy>, StatementError> {
    let refuse = |why: &str| Err(StatementError::Refused(why.to_string()));
    let Some(PolicySpec { duration, replication, shard_duration, name }) = &create.policy else { return Ok(None) };
    let duration_ns = duration.as_ref().map_or(0, |d| d.0);
    if duration_ns != 0 && duration_ns < HOUR_NS {
        return refuse("retention policy duration must be at least 1h0m0s");
    }
    let shard_ns = shard_duration.as_ref().map(|d| d.0);
    let name = name.as_ref().map(|n| n.0.as_str()).filter(|n| !n.is_empty());
    let policy = policy(name, duration_ns, shard_ns, copies(replication.unwrap_or(1)));
    if duration_ns != 0 && policy.shard_duration_ns > duration_ns {
        return refuse("retention policy duration must be greater than the shard duration");
    }
    Ok(Some(policy))
}

/// The parser lets only counts through that fit.
fn copies(replication: i64) -> u32 {
    u32::try_from(replication).unwrap_or(1)
}

pub(super) async fn drop(core: &Core, request: &Request, drop: &DropDatabase) -> Answer {
    done(core.catalog.drop_database(request.tenant, &drop.name.0).await)
}

pub(super) async fn create_policy(core: &Core, request: &Request, create: &CreateRetentionPolicy) -> Answer {
    let shard_ns = create.shard_duration.as_ref().map(|d| d.0);
    let new = policy(Some(&create.name.0), create.duration.0, shard_ns, copies(create.replication));
    done(core.catalog.create_policy(request.tenant, &create.database.0, new, create.default).await)
}

pub(super) async fn alter_policy(core: &Core, request: &Request, alter: &AlterRetentionPolicy) -> Answer {
    let change = PolicyChange {
        duration_ns: alter.duration.as_ref().map(|d| d.0),
        replication: alter.replication.map(copies),
        shard_duration_ns: alter.shard_duration.as_ref().map(|d| d.0),
        make_default: alter.default,
    };
    done(core.catalog.alter_policy(request.tenant, &alter.database.0, &alter.name.0, change).await)
}

pub(super) async fn drop_policy(core: &Core, request: &Request, drop: &DropRetentionPolicy) -> Answer {
    done(core.catalog.drop_policy(request.tenant, &drop.database.0, &drop.name.0).await)
}
