//! Continuous queries and subscriptions: CREATE, DROP.

use crate::catalog::continuous::{ContinuousQuery, Subscription};
use crate::protocol::Core;
use crate::query::influxql::answer::{SeriesStream, StatementError};
use crate::query::influxql::continuous::DropContinuousQuery;
use crate::query::influxql::subscription::{CreateSubscription, DropSubscription};
use crate::query::influxql::{Statement, qualify};

use super::{Request, done};

type Answer = Result<SeriesStream, StatementError>;

/// What is stored is the statement with its names in full, so that it means the same whoever's request it came with.
pub(super) async fn create_query(core: &Core, request: &Request, statement: &Statement) -> Answer {
    let state = core.catalog.state();
    let statement = qualify::statement(statement, &state, &request.defaults())?;
    let Statement::CreateContinuousQuery(create) = &statement else { return Ok(SeriesStream::empty()) };
    qualify::check_policies(&create.select, &state, request.tenant)?;
    let new = ContinuousQuery {
        tenant: request.tenant.to_string(),
        database: create.database.0.clone(),
        name: create.name.0.clone(),
        text: statement.to_string(),
        ordinal: 0,
    };
    done(core.catalog.create_continuous_query(new).await)
}

pub(super) async fn drop_query(core: &Core, request: &Request, drop: &DropContinuousQuery) -> Answer {
    done(core.catalog.drop_continuous_query(request.tenant, &drop.database.0, &drop.name.0).await)
}

pub(super) async fn create_subscription(core: &Core, request: &Request, create: &CreateSubscription) -> Answer {
    if let Some(bad) = create.destinations.iter().find(|destination| !is_destination(destination)) {
        return Err(StatementError::Refused(format!("invalid subscription URL: {bad}")));
    }
    let new = Subscription {
        tenant: request.tenant.to_string(),
        database: create.database.0.clone(),
        policy: create.policy.0.clone(),
        name: create.name.0.clone(),
        mode: create.mode.as_str().to_string(),
        destinations: create.destinations.clone(),
        ordinal: 0,
    };
    done(core.catalog.create_subscription(new).await)
}

pub(super) async fn drop_subscription(core: &Core, request: &Request, drop: &DropSubscription) -> Answer {
    let name = (&drop.database.0, &drop.policy.0, &drop.name.0);
    done(core.catalog.drop_subscription(request.tenant, name.0, name.1, name.2).await)
}

/// An address with a port that is written out.
fn is_destination(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let port = host.rsplit_once(':').map(|(_, port)| port);
    matches!(scheme, "udp" | "http" | "https") && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_known_scheme_and_a_port() {
        for good in ["http://h:1", "https://h.example:443/path", "udp://[::1]:9", "http://u:p@h:1"] {
            assert!(is_destination(good), "{good}");
        }
        for bad in ["bad", "http://h", "tcp://h:1", "http://h:", "http://h:x", "h:1"] {
            assert!(!is_destination(bad), "{bad}");
        }
    }
}
