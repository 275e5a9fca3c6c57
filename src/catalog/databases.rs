//! Creating and dropping databases.

use std::sync::Arc;

use crate::model::Precision;
use crate::model::names::DEFAULT_POLICY;

use super::change::Change;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::{CatalogState, Database, RetentionPolicy};
use super::{continuous, roles, users};

/// Longest name of a database, bytes (InfluxDB's limit, and what a folder may be called).
const NAME_BYTES_MAX: usize = 255;

/// What a database is created with.
#[derive(Debug, Clone)]
pub struct NewDatabase {
    pub tenant: String,
    pub name: String,
    pub precision: Precision,
    /// The policy it starts with, which is its default; `None`: `autogen`, forever.
    pub policy: Option<RetentionPolicy>,
}

/// What to do when there is such a database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Refuse.
    Fail,
    /// Fine, whatever its options are.
    Keep,
    /// Fine if the options asked for are the ones it has, else [`CatalogError::PolicyConflict`].
    Compare,
}

/// The collection of documents that keeps what databases were made with beside what they are; they go with their database.
pub const OPTIONS: &str = "database_options";

/// What a database's options are kept under.
pub fn options_key(tenant: &str, database: &str) -> String {
    format!("{tenant}/{database}")
}

impl CatalogState {
    /// Whether writes to a database find their tables and columns and make none.
    pub fn writes_strictly(&self, database: &Database) -> bool {
        let kept = self.document(OPTIONS, &options_key(&database.tenant, &database.name));
        kept.and_then(|kept| kept.get("STRICT_WRITE")?.as_str()).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

impl Catalog {
    /// Creates a database; durable on `Ok`.
    pub async fn create_database(
        &self,
        new: NewDatabase,
        if_exists: IfExists,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        check_name(&new.name)?;
        self.update(move |state| {
            if state.tenant(&new.tenant).is_none() {
                return Err(CatalogError::TenantNotFound { tenant: new.tenant.clone() });
            }
            if let Some(existing) = state.database(&new.tenant, &new.name) {
                return match (if_exists, &new.policy) {
                    (IfExists::Fail, _) => Err(CatalogError::DatabaseExists { database: new.name.clone() }),
                    (IfExists::Compare, Some(wanted))
                        if existing.policy(&wanted.name) != Some(wanted)
                            || *existing.default_policy != *wanted.name =>
                    {
                        Err(CatalogError::PolicyConflict)
                    }
                    _ => Ok(Vec::new()),
                };
            }
            let policy = new.policy.clone().unwrap_or_else(RetentionPolicy::autogen);
            Ok(vec![Change::CreateDatabase {
                tenant: new.tenant.clone(),
                database: new.name.clone(),
                ordinal: state.next_database_ordinal(),
                precision: new.precision,
                default_policy: policy.name.clone(),
                policies: vec![policy],
            }])
        })
        .await
    }

    /// Drops a database with all that is in it, be it one that waits to be dropped. `Ok(false)`: there was none.
    pub async fn drop_database(&self, tenant: &str, name: &str) -> Result<bool, CatalogError> {
        let existed = self.state().any_database(tenant, name).is_some();
        let (tenant, database) = (tenant.to_string(), name.to_string());
        self.update(move |state| match state.any_database(&tenant, &database) {
            Some(_) => Ok(forget(state, &tenant, &database)),
            None => Ok(Vec::new()),
        })
        .await?;
        Ok(existed)
    }
}

/// What drops a database, and all that is said of it elsewhere.
pub(super) fn forget(state: &CatalogState, tenant: &str, database: &str) -> Vec<Change> {
    let mut changes = users::forget_database(state, tenant, database);
    changes.extend(roles::forget_database(state, tenant, database));
    changes.extend(continuous::forget(state, tenant, database, None));
    changes.push(Change::DropDatabase { tenant: tenant.to_string(), database: database.to_string() });
    changes
}

/// Names that every protocol and a folder can bear: InfluxDB's rule.
pub(super) fn check_name(name: &str) -> Result<(), CatalogError> {
    let refuse = |why| Err(CatalogError::InvalidName { name: name.to_string(), why });
    match name {
        "" => refuse("it is empty"),
        "." | ".." => refuse("it means a folder"),
        _ if name.len() > NAME_BYTES_MAX => refuse("it is longer than 255 bytes"),
        _ if name.contains(['/', '\\']) => refuse("it contains a slash"),
        _ if name.chars().any(char::is_control) => refuse("it contains a control character"),
        _ => Ok(()),
    }
}

/// A policy that keeps rows for `duration_ns` (0: forever), with InfluxDB's shard width for it unless one is given.
pub fn policy(
    name: Option<&str>,
    duration_ns: i64,
    shard_duration_ns: Option<i64>,
    replication: u32,
) -> RetentionPolicy {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let default_shard = match duration_ns {
        0 => 168 * HOUR_NS,
        d if d < 48 * HOUR_NS => HOUR_NS,
        d if d < 180 * 24 * HOUR_NS => 24 * HOUR_NS,
        _ => 168 * HOUR_NS,
    };
    RetentionPolicy {
        name: name.unwrap_or(DEFAULT_POLICY).to_string(),
        duration_ns,
        shard_duration_ns: shard_duration_ns.filter(|d| *d > 0).map_or(default_shard, |d| d.max(HOUR_NS)),
        replication,
    }
}
