//! SHOW: what is stored, and what runs. One file a family of statements.
//!
//! Names and types come from the catalog; series and values of tags from the rows (`series`), which say what is really
//! there: a tag whose last point is gone is not listed.
//!
//! | file | what it shows |
//! |---|---|
//! | `databases` | databases, retention policies, continuous queries, subscriptions, users, grants |
//! | `measurements`, `tags`, `fields`, `cardinality` | what a database holds |
//! | `shards` | stretches of time that hold rows |
//! | `server` | running queries |
//! | `selected` | how many series a SELECT reads |
//! | `tables`, `condition`, `series` | what several of them need |

mod cardinality;
mod condition;
mod databases;
mod fields;
mod measurements;
mod selected;
pub(in crate::query) mod series;
mod server;
pub mod shards;
mod tables;
mod tags;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::catalog::{CatalogState, Database};
use crate::query::names::Readable;
use crate::query::session::{QueryEngine, QueryScope, QuerySession};

use super::answer::{Division, SeriesPiece, SeriesStream, StatementError};
use super::ast::Statement;
use super::ident::Ident;

/// The `language` label of our metrics.
const LANGUAGE: &str = "influxql";

/// Who asks, and what names mean to him.
#[derive(Debug, Clone)]
pub struct ShowScope {
    pub tenant: String,
    /// For statements without ON; empty: none.
    pub database: String,
    /// What `now()` means, nanoseconds since 1970.
    pub now_ns: i64,
    /// Databases that SHOW DATABASES leaves out.
    pub hidden: Vec<String>,
    /// What SHOW QUERIES shows queries of.
    pub readable: Readable,
}

impl QueryEngine {
    /// Answers a SHOW statement. `None`: it is none of those that are answered from the catalog, the rows and the queries.
    pub async fn show(&self, scope: &ShowScope, statement: &Statement) -> Result<Option<SeriesStream>, StatementError> {
        let show = Show { engine: self, state: self.state(), scope };
        let pieces = match statement {
            Statement::ShowDatabases => show.databases(),
            Statement::ShowRetentionPolicies(statement) => show.retention_policies(statement)?,
            Statement::ShowContinuousQueries => show.continuous_queries(),
            Statement::ShowSubscriptions => show.subscriptions(),
            Statement::ShowUsers => show.users(),
            Statement::ShowGrants(statement) => show.grants(statement)?,
            Statement::ShowQueries => show.queries(),
            Statement::ShowShards => show.shards(),
            Statement::ShowShardGroups => show.shard_groups(),
            Statement::ShowMeasurements(statement) => show.measurements(statement).await?,
            Statement::ShowFieldKeys(statement) => {
                return Ok(Some(SeriesStream::of(show.field_keys(statement).await?)));
            }
            Statement::ShowSeries(statement) => return Ok(Some(SeriesStream::of(show.series(statement).await?))),
            Statement::ShowTagKeys(statement) => {
                let pieces = show.tag_keys(statement).await?;
                return Ok(Some(SeriesStream::of(pieces).divided(Division::WholeSeries)));
            }
            Statement::ShowTagValues(statement) => {
                let pieces = show.tag_values(statement).await?;
                return Ok(Some(SeriesStream::of(pieces).divided(Division::WholeSeries)));
            }
            Statement::ShowCardinality(statement) => show.cardinality(statement).await?,
            _ => return Ok(None),
        };
        Ok(Some(SeriesStream::of(pieces).divided(Division::Undivided)))
    }
}

/// One statement on its way to an answer: one version of the catalog throughout.
struct Show<'a> {
    engine: &'a QueryEngine,
    state: Arc<CatalogState>,
    scope: &'a ShowScope,
}

type Pieces = Vec<SeriesPiece>;

impl Show<'_> {
    /// The database that ON names, else the request's.
    fn database_name<'b>(&'b self, on: Option<&'b Ident>) -> Result<&'b str, StatementError> {
        match on.map_or(self.scope.database.as_str(), |name| name.0.as_str()) {
            "" => Err(StatementError::DatabaseRequired),
            name => Ok(name),
        }
    }

    fn database(&self, name: &str) -> Result<&Arc<Database>, StatementError> {
        let not_found = || StatementError::DatabaseNotFound(name.to_string());
        self.state.database(&self.scope.tenant, name).ok_or_else(not_found)
    }

    /// A session to read rows with. It waits for its turn like any query.
    async fn session(&self, database: &str) -> Result<QuerySession, StatementError> {
        let scope =
            QueryScope { tenant: self.scope.tenant.clone(), database: database.to_string(), target_partitions: None };
        Ok(self.engine.session(LANGUAGE, &scope).await?)
    }
}

/// The part of `items` that LIMIT and OFFSET leave; a limit of zero is none.
fn page<T>(items: Vec<T>, page: super::clauses::Page) -> Vec<T> {
    let limit = if page.limit == 0 { usize::MAX } else { usize::try_from(page.limit).unwrap_or(usize::MAX) };
    items.into_iter().skip(usize::try_from(page.offset).unwrap_or(usize::MAX)).take(limit).collect()
}
