//! SHOW DATABASES, RETENTION POLICIES, CONTINUOUS QUERIES, SUBSCRIPTIONS, USERS, GRANTS.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, ListBuilder, StringBuilder};

use crate::catalog::users::Privilege;
use crate::query::influxql::Duration;
use crate::query::influxql::answer::{SeriesPiece, StatementError, texts_array};
use crate::query::influxql::policy::ShowRetentionPolicies;
use crate::query::influxql::user::ShowGrants;

use super::{Pieces, Show};

impl Show<'_> {
    pub(super) fn databases(&self) -> Pieces {
        let names = self.state.databases(&self.scope.tenant).into_iter().map(|database| &database.name);
        let names = names.filter(|name| !self.scope.hidden.iter().any(|hidden| **hidden == ***name));
        vec![SeriesPiece::of_texts(Some("databases"), "name", names)]
    }

    pub(super) fn retention_policies(&self, statement: &ShowRetentionPolicies) -> Result<Pieces, StatementError> {
        let database = self.database(self.database_name(statement.database.as_ref())?)?;
        let policies = &database.policies;
        let clock = |ns: i64| Duration(ns).as_clock().to_string();
        let arrays: Vec<ArrayRef> = vec![
            texts_array(policies.iter().map(|policy| &policy.name)),
            texts_array(policies.iter().map(|policy| clock(policy.duration_ns))),
            texts_array(policies.iter().map(|policy| clock(policy.shard_duration_ns))),
            Arc::new(Int64Array::from_iter_values(policies.iter().map(|policy| i64::from(policy.replication)))),
            Arc::new(BooleanArray::from_iter(policies.iter().map(|p| Some(*p.name == *database.default_policy)))),
        ];
        let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
        Ok(vec![SeriesPiece::of(None, &columns, arrays)])
    }

    /// A series for each database, also for those without any.
    pub(super) fn continuous_queries(&self) -> Pieces {
        let of_database = |database: &Arc<crate::catalog::Database>| {
            let queries = self.state.continuous_queries(&self.scope.tenant, &database.name);
            let names = texts_array(queries.iter().map(|query| &query.name));
            let texts = texts_array(queries.iter().map(|query| &query.text));
            SeriesPiece::of(Some(&database.name), &["name", "query"], vec![names, texts])
        };
        self.state.databases(&self.scope.tenant).into_iter().map(of_database).collect()
    }

    /// A series for each database that has any, policy by policy.
    pub(super) fn subscriptions(&self) -> Pieces {
        let mut pieces = Vec::new();
        for database in self.state.databases(&self.scope.tenant) {
            let mut all = self.state.subscriptions(&self.scope.tenant, &database.name);
            let place = |policy: &str| database.policies.iter().position(|p| p.name == policy);
            all.sort_by_key(|subscription| place(&subscription.policy));
            if all.is_empty() {
                continue;
            }
            let mut destinations = ListBuilder::new(StringBuilder::new());
            for subscription in &all {
                destinations.append_value(subscription.destinations.iter().map(Some));
            }
            let arrays: Vec<ArrayRef> = vec![
                texts_array(all.iter().map(|subscription| &subscription.policy)),
                texts_array(all.iter().map(|subscription| &subscription.name)),
                texts_array(all.iter().map(|subscription| &subscription.mode)),
                Arc::new(destinations.finish()),
            ];
            let columns = ["retention_policy", "name", "mode", "destinations"];
            pieces.push(SeriesPiece::of(Some(&database.name), &columns, arrays));
        }
        pieces
    }

    pub(super) fn users(&self) -> Pieces {
        let users = self.state.users();
        let names = texts_array(users.iter().map(|user| &user.name));
        let admins = BooleanArray::from_iter(users.iter().map(|user| Some(user.is_admin)));
        vec![SeriesPiece::of(None, &["user", "admin"], vec![names, Arc::new(admins)])]
    }

    pub(super) fn grants(&self, statement: &ShowGrants) -> Result<Pieces, StatementError> {
        let not_found = || StatementError::Refused("user not found".to_string());
        let user = self.state.user(&statement.user.0).ok_or_else(not_found)?;
        let databases = texts_array(user.privileges.keys());
        let privileges = texts_array(user.privileges.values().map(|privilege| words(*privilege)));
        Ok(vec![SeriesPiece::of(None, &["database", "privilege"], vec![databases, privileges])])
    }
}

fn words(privilege: Privilege) -> &'static str {
    match privilege {
        Privilege::None => "NO PRIVILEGES",
        Privilege::Read => "READ",
        Privilege::Write => "WRITE",
        Privilege::All => "ALL PRIVILEGES",
    }
}
