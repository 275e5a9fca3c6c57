//! Creating, changing and dropping retention policies, by InfluxDB's rules.

use std::sync::Arc;

use super::change::Change;
use super::continuous;
use super::databases::{check_name, policy};
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, Database, RetentionPolicy};

const HOUR_NS: i64 = 3_600_000_000_000;

/// What is to change about a policy; `None` leaves as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// Nanoseconds; 0 keeps rows forever.
    pub duration_ns: Option<i64>,
    pub replication: Option<u32>,
    /// Nanoseconds; 0 is the width that fits the duration.
    pub shard_duration_ns: Option<i64>,
    pub make_default: bool,
}

impl Catalog {
    /// Creates a policy; durable on `Ok`. Creating one that is there with the same options is fine.
    pub async fn create_policy(
        &self,
        tenant: &str,
        database: &str,
        new: RetentionPolicy,
        make_default: bool,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        check_name(&new.name)?;
        check_duration(new.duration_ns)?;
        if new.duration_ns > 0 && new.duration_ns < new.shard_duration_ns {
            return Err(CatalogError::ShardDuration);
        }
        let (tenant, database) = (tenant.to_string(), database.to_string());
        self.update(move |state| {
            let owner = find(state, &tenant, &database)?;
            let is_default = *owner.default_policy == *new.name;
            match owner.policy(&new.name) {
                Some(existing) if *existing != new => return Err(CatalogError::PolicyExists),
                Some(_) if make_default && !is_default => return Err(CatalogError::PolicyConflict),
                Some(_) => return Ok(Vec::new()),
                None => {}
            }
            let mut policies = owner.policies.clone();
            policies.push(new.clone());
            let default = if make_default { new.name.as_str() } else { &*owner.default_policy };
            Ok(vec![set(owner, policies, default)])
        })
        .await
    }

    /// Changes a policy; durable on `Ok`. Rows that are older than a shorter duration go with the next clean-up.
    pub async fn alter_policy(
        &self,
        tenant: &str,
        database: &str,
        name: &str,
        change: PolicyChange,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, database, name) = (tenant.to_string(), database.to_string(), name.to_string());
        self.update(move |state| {
            let owner = find(state, &tenant, &database)?;
            let not_found = || CatalogError::PolicyNotFound { policy: name.clone() };
            let at = owner.policies.iter().position(|p| p.name == name).ok_or_else(not_found)?;
            let changed = changed(&owner.policies[at], &change)?;
            let mut policies = owner.policies.clone();
            policies[at] = changed;
            let default = if change.make_default { name.as_str() } else { &*owner.default_policy };
            if policies == owner.policies && *default == *owner.default_policy {
                return Ok(Vec::new());
            }
            Ok(vec![set(owner, policies, default)])
        })
        .await
    }

    /// How long a database keeps the rows of its default policy, as short as one likes (nanoseconds; 0: forever); durable on `Ok`. The
    /// policy is then as one of a database that is made with it: its shards are as wide as fits, an hour at least.
    pub async fn keep_rows_for(
        &self,
        tenant: &str,
        database: &str,
        duration_ns: i64,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, database) = (tenant.to_string(), database.to_string());
        self.update(move |state| {
            let owner = find(state, &tenant, &database)?;
            let name = owner.default_policy.to_string();
            let mut policies = owner.policies.clone();
            let default = policies.iter_mut().find(|p| p.name == name);
            let default = default.ok_or_else(|| CatalogError::PolicyNotFound { policy: name.clone() })?;
            *default = policy(Some(&name), duration_ns, None, default.replication);
            Ok(if policies == owner.policies { Vec::new() } else { vec![set(owner, policies, &name)] })
        })
        .await
    }

    /// Drops a policy with all that is in it. A missing one, or one of a missing database, is fine.
    ///
    /// A database whose default policy is dropped has none until another is made the default.
    pub async fn drop_policy(
        &self,
        tenant: &str,
        database: &str,
        name: &str,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let (tenant, database, name) = (tenant.to_string(), database.to_string(), name.to_string());
        self.update(move |state| {
            let Some(owner) = state.database(&tenant, &database) else { return Ok(Vec::new()) };
            if owner.policy(&name).is_none() {
                return Ok(Vec::new());
            }
            let policies = owner.policies.iter().filter(|p| p.name != name).cloned().collect();
            let mut changes = continuous::forget(state, &tenant, &database, Some(&name));
            changes.push(set(owner, policies, &owner.default_policy));
            Ok(changes)
        })
        .await
    }
}

fn find<'a>(state: &'a CatalogState, tenant: &str, database: &str) -> Result<&'a Arc<Database>, CatalogError> {
    let not_found = || CatalogError::DatabaseNotFound { database: database.to_string() };
    state.database(tenant, database).ok_or_else(not_found)
}

fn set(owner: &Database, policies: Vec<RetentionPolicy>, default_policy: &str) -> Change {
    Change::SetPolicies {
        tenant: owner.tenant.to_string(),
        database: owner.name.to_string(),
        policies,
        default_policy: default_policy.to_string(),
    }
}

fn check_duration(duration_ns: i64) -> Result<(), CatalogError> {
    if duration_ns != 0 && duration_ns < HOUR_NS { Err(CatalogError::PolicyDuration) } else { Ok(()) }
}

/// The widths are compared before a shard's is brought into bounds.
fn changed(old: &RetentionPolicy, change: &PolicyChange) -> Result<RetentionPolicy, CatalogError> {
    check_duration(change.duration_ns.unwrap_or(0))?;
    let duration_ns = change.duration_ns.unwrap_or(old.duration_ns);
    let shard_ns = change.shard_duration_ns.unwrap_or(old.shard_duration_ns);
    let says_something = change.duration_ns.is_some() || change.shard_duration_ns.is_some();
    if says_something && duration_ns > 0 && duration_ns < shard_ns {
        return Err(CatalogError::ShardDuration);
    }
    let mut new = old.clone();
    new.duration_ns = duration_ns;
    new.replication = change.replication.unwrap_or(old.replication);
    if let Some(asked) = change.shard_duration_ns {
        new.shard_duration_ns = policy(None, duration_ns, Some(asked), 1).shard_duration_ns;
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i64 = 24 * HOUR_NS;

    #[test]
    fn a_change_keeps_what_it_does_not_speak_of() {
        let old = policy(Some("p"), 2 * DAY_NS, None, 1);
        let check = |change: PolicyChange, duration_ns, shard_duration_ns, replication| {
            let expected = RetentionPolicy { name: "p".to_string(), duration_ns, shard_duration_ns, replication };
            assert_eq!(changed(&old, &change).unwrap(), expected);
        };
        check(PolicyChange::default(), 2 * DAY_NS, DAY_NS, 1);
        check(PolicyChange { replication: Some(3), ..PolicyChange::default() }, 2 * DAY_NS, DAY_NS, 3);
        check(PolicyChange { duration_ns: Some(0), ..PolicyChange::default() }, 0, DAY_NS, 1);
        check(PolicyChange { shard_duration_ns: Some(1), ..PolicyChange::default() }, 2 * DAY_NS, HOUR_NS, 1);
        check(PolicyChange { shard_duration_ns: Some(0), ..PolicyChange::default() }, 2 * DAY_NS, DAY_NS, 1);
    }

    #[test]
    fn durations_that_do_not_fit_are_refused() {
        let old = policy(Some("p"), 2 * DAY_NS, None, 1);
        let error = |duration_ns, shard_duration_ns| {
            let change = PolicyChange { duration_ns, shard_duration_ns, ..PolicyChange::default() };
            changed(&old, &change).unwrap_err().to_string()
        };
        assert_eq!(error(Some(HOUR_NS - 1), None), "retention policy duration must be at least 1h0m0s");
        let shard = "retention policy duration must be greater than the shard duration";
        assert_eq!(error(Some(HOUR_NS), None), shard);
        assert_eq!(error(None, Some(3 * DAY_NS)), shard);
        assert_eq!(error(Some(DAY_NS), Some(2 * DAY_NS)), shard);
    }
}
