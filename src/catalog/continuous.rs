//! Continuous queries and subscriptions: stored texts that belong to a database.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::change::Change;
use super::continuous_runs::RUNS;
use super::error::CatalogError;
use super::handle::Catalog;
use super::state::CatalogState;

const QUERIES: &str = "continuous_queries";
const SUBSCRIPTIONS: &str = "subscriptions";

/// A statement that runs again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContinuousQuery {
    pub tenant: String,
    pub database: String,
    pub name: String,
    /// The whole CREATE statement in its normal form.
    pub text: String,
    /// Order of creation, which listings follow.
    #[serde(default)]
    pub ordinal: u64,
}

/// Where points of a policy are to be copied to. Kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub tenant: String,
    pub database: String,
    pub policy: String,
    pub name: String,
    /// `ALL` or `ANY`.
    pub mode: String,
    pub destinations: Vec<String>,
    #[serde(default)]
    pub ordinal: u64,
}

impl CatalogState {
    /// Continuous queries of a database in order of creation.
    pub fn continuous_queries(&self, tenant: &str, database: &str) -> Vec<ContinuousQuery> {
        let mut all: Vec<ContinuousQuery> = read_all(self, QUERIES);
        all.retain(|query| query.tenant == tenant && query.database == database);
        all.sort_by_key(|query| query.ordinal);
        all
    }

    /// Subscriptions of a database in order of creation.
    pub fn subscriptions(&self, tenant: &str, database: &str) -> Vec<Subscription> {
        let mut all: Vec<Subscription> = read_all(self, SUBSCRIPTIONS);
        all.retain(|subscription| subscription.tenant == tenant && subscription.database == database);
        all.sort_by_key(|subscription| subscription.ordinal);
        all
    }
}

/// Names of databases and policies hold no slash.
pub(super) fn query_key(tenant: &str, database: &str, name: &str) -> String {
    format!("{tenant}/{database}/{name}")
}

fn subscription_key(tenant: &str, database: &str, policy: &str, name: &str) -> String {
    format!("{tenant}/{database}/{policy}/{name}")
}

fn read_all<T: DeserializeOwned>(state: &CatalogState, collection: &str) -> Vec<T> {
    state.documents(collection).filter_map(|(_, value)| serde_json::from_value((**value).clone()).ok()).collect()
}

fn put<T: Serialize>(collection: &str, key: String, document: &T) -> Change {
    let value = serde_json::to_value(document).expect("names and numbers under string keys are JSON");
    Change::PutDocument { collection: collection.to_string(), key, value }
}

fn delete(collection: &str, key: String) -> Change {
    Change::DeleteDocument { collection: collection.to_string(), key }
}

impl Catalog {
    /// Stores a continuous query; its ordinal is given here. The same text again is fine, in any case of letters.
    pub async fn create_continuous_query(&self, new: ContinuousQuery) -> Result<Arc<CatalogState>, CatalogError> {
        self.update(move |state| {
            if state.database(&new.tenant, &new.database).is_none() {
                return Err(CatalogError::DatabaseNotFound { database: new.database.clone() });
            }
            let all = state.continuous_queries(&new.tenant, &new.database);
            match all.iter().find(|query| query.name == new.name) {
                Some(same) if same.text.to_lowercase() == new.text.to_lowercase() => return Ok(Vec::new()),
                Some(_) => return Err(CatalogError::ContinuousQueryExists),
                None => {}
            }
            let ordinal = all.last().map_or(0, |last| last.ordinal + 1);
            let key = query_key(&new.tenant, &new.database, &new.name);
            Ok(vec![put(QUERIES, key, &ContinuousQuery { ordinal, ..new.clone() })])
        })
        .await
    }

    /// A missing one is fine.
    pub async fn drop_continuous_query(
        &self,
        tenant: &str,
        database: &str,
        name: &str,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let key = query_key(tenant, database, name);
        self.update(move |state| {
            Ok(match state.document(QUERIES, &key) {
                Some(_) => vec![delete(QUERIES, key.clone()), delete(RUNS, key.clone())],
                None => Vec::new(),
            })
        })
        .await
    }

    /// Stores a subscription; its ordinal is given here.
    pub async fn create_subscription(&self, new: Subscription) -> Result<Arc<CatalogState>, CatalogError> {
        let key = subscription_key(&new.tenant, &new.database, &new.policy, &new.name);
        if self.state().document(SUBSCRIPTIONS, &key).is_some() {
            return Err(CatalogError::SubscriptionExists);
        }
        self.update(move |state| {
            check_policy(state, &new.tenant, &new.database, &new.policy)?;
            let all = state.subscriptions(&new.tenant, &new.database);
            let ordinal = all.last().map_or(0, |last| last.ordinal + 1);
            let new = Subscription { ordinal, ..new.clone() };
            match all.iter().find(|s| s.policy == new.policy && s.name == new.name) {
                // Our own change, seen after a lost answer.
                Some(same) if same.mode == new.mode && same.destinations == new.destinations => Ok(Vec::new()),
                Some(_) => Err(CatalogError::SubscriptionExists),
                None => Ok(vec![put(SUBSCRIPTIONS, key.clone(), &new)]),
            }
        })
        .await
    }

    pub async fn drop_subscription(
        &self,
        tenant: &str,
        database: &str,
        policy: &str,
        name: &str,
    ) -> Result<Arc<CatalogState>, CatalogError> {
        let state = self.state();
        check_policy(&state, tenant, database, policy)?;
        let key = subscription_key(tenant, database, policy, name);
        if state.document(SUBSCRIPTIONS, &key).is_none() {
            return Err(CatalogError::SubscriptionNotFound);
        }
        self.update(move |state| {
            let exists = state.document(SUBSCRIPTIONS, &key).is_some();
            Ok(exists.then(|| delete(SUBSCRIPTIONS, key.clone())).into_iter().collect())
        })
        .await
    }
}

fn check_policy(state: &CatalogState, tenant: &str, database: &str, policy: &str) -> Result<(), CatalogError> {
    let Some(owner) = state.database(tenant, database) else {
        return Err(CatalogError::DatabaseNotFound { database: database.to_string() });
    };
    match owner.policy(policy) {
        Some(_) => Ok(()),
        None => Err(CatalogError::PolicyNotFound { policy: policy.to_string() }),
    }
}

/// What goes when a database goes, or one policy of it.
pub(super) fn forget(state: &CatalogState, tenant: &str, database: &str, policy: Option<&str>) -> Vec<Change> {
    let subscriptions = state.subscriptions(tenant, database).into_iter();
    let mut changes: Vec<Change> = subscriptions
        .filter(|s| policy.is_none_or(|policy| s.policy == policy))
        .map(|s| delete(SUBSCRIPTIONS, subscription_key(tenant, database, &s.policy, &s.name)))
        .collect();
    if policy.is_none() {
        let queries = state.continuous_queries(tenant, database).into_iter();
        let keys = queries.map(|query| query_key(tenant, database, &query.name));
        changes.extend(keys.flat_map(|key| [delete(QUERIES, key.clone()), delete(RUNS, key)]));
    }
    changes
}
