//! A query and its statements.

use std::fmt::{self, Display};

use super::cardinality::ShowCardinality;
use super::continuous::{CreateContinuousQuery, DropContinuousQuery};
use super::database::{CreateDatabase, DropDatabase};
use super::delete::{Delete, DropMeasurement, DropSeries};
use super::policy::{AlterRetentionPolicy, CreateRetentionPolicy, DropRetentionPolicy, ShowRetentionPolicies};
use super::schema::{ShowFieldKeys, ShowMeasurements, ShowSeries, ShowTagKeys, ShowTagValues};
use super::select::{Explain, Select};
use super::server::{DropShard, KillQuery, ShowDiagnostics, ShowStats};
use super::subscription::{CreateSubscription, DropSubscription};
use super::user::{CreateUser, DropUser, Grant, Revoke, SetPassword, ShowGrants};

/// The statements of one request, in the order they run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    pub statements: Vec<Statement>,
}

/// One statement.
///
/// `{}` prints the normal form that the server quotes in its messages: keywords in capitals, names quoted only where
/// they must be, single blanks, passwords hidden, numbers with three decimals. `{:#}` prints what parses to the same
/// statement again: numbers in full, passwords as they are; never show that one to anybody.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Select(Box<Select>),
    Explain(Explain),

    Delete(Delete),
    DropSeries(DropSeries),
    DropMeasurement(DropMeasurement),

    CreateDatabase(CreateDatabase),
    DropDatabase(DropDatabase),
    ShowDatabases,

    CreateRetentionPolicy(CreateRetentionPolicy),
    AlterRetentionPolicy(AlterRetentionPolicy),
    DropRetentionPolicy(DropRetentionPolicy),
    ShowRetentionPolicies(ShowRetentionPolicies),

    CreateContinuousQuery(CreateContinuousQuery),
    DropContinuousQuery(DropContinuousQuery),
    ShowContinuousQueries,

    CreateSubscription(CreateSubscription),
    DropSubscription(DropSubscription),
    ShowSubscriptions,

    CreateUser(CreateUser),
    DropUser(DropUser),
    SetPassword(SetPassword),
    ShowUsers,
    Grant(Grant),
    Revoke(Revoke),
    ShowGrants(ShowGrants),

    ShowMeasurements(ShowMeasurements),
    ShowSeries(ShowSeries),
    ShowTagKeys(ShowTagKeys),
    ShowTagValues(ShowTagValues),
    ShowFieldKeys(ShowFieldKeys),
    ShowCardinality(ShowCardinality),

    ShowQueries,
    KillQuery(KillQuery),
    ShowStats(ShowStats),
    ShowDiagnostics(ShowDiagnostics),
    ShowShards,
    ShowShardGroups,
    DropShard(DropShard),
}

impl Statement {
    /// The words that open it: `SHOW TAG KEYS`.
    pub fn words(&self) -> &'static str {
        match self {
            Statement::Select(_) => "SELECT",
            Statement::Explain(_) => "EXPLAIN",
            Statement::Delete(_) => "DELETE",
            Statement::DropSeries(_) => "DROP SERIES",
            Statement::DropMeasurement(_) => "DROP MEASUREMENT",
            Statement::CreateDatabase(_) => "CREATE DATABASE",
            Statement::DropDatabase(_) => "DROP DATABASE",
            Statement::ShowDatabases => "SHOW DATABASES",
            Statement::CreateRetentionPolicy(_) => "CREATE RETENTION POLICY",
            Statement::AlterRetentionPolicy(_) => "ALTER RETENTION POLICY",
            Statement::DropRetentionPolicy(_) => "DROP RETENTION POLICY",
            Statement::ShowRetentionPolicies(_) => "SHOW RETENTION POLICIES",
            Statement::CreateContinuousQuery(_) => "CREATE CONTINUOUS QUERY",
            Statement::DropContinuousQuery(_) => "DROP CONTINUOUS QUERY",
            Statement::ShowContinuousQueries => "SHOW CONTINUOUS QUERIES",
            Statement::CreateSubscription(_) => "CREATE SUBSCRIPTION",
            Statement::DropSubscription(_) => "DROP SUBSCRIPTION",
            Statement::ShowSubscriptions => "SHOW SUBSCRIPTIONS",
            Statement::CreateUser(_) => "CREATE USER",
            Statement::DropUser(_) => "DROP USER",
            Statement::SetPassword(_) => "SET PASSWORD",
            Statement::ShowUsers => "SHOW USERS",
            Statement::Grant(_) => "GRANT",
            Statement::Revoke(_) => "REVOKE",
            Statement::ShowGrants(_) => "SHOW GRANTS",
            Statement::ShowMeasurements(_) => "SHOW MEASUREMENTS",
            Statement::ShowSeries(_) => "SHOW SERIES",
            Statement::ShowTagKeys(_) => "SHOW TAG KEYS",
            Statement::ShowTagValues(_) => "SHOW TAG VALUES",
            Statement::ShowFieldKeys(_) => "SHOW FIELD KEYS",
            Statement::ShowCardinality(_) => "SHOW CARDINALITY",
            Statement::ShowQueries => "SHOW QUERIES",
            Statement::KillQuery(_) => "KILL QUERY",
            Statement::ShowStats(_) => "SHOW STATS",
            Statement::ShowDiagnostics(_) => "SHOW DIAGNOSTICS",
            Statement::ShowShards => "SHOW SHARDS",
            Statement::ShowShardGroups => "SHOW SHARD GROUPS",
            Statement::DropShard(_) => "DROP SHARD",
        }
    }

    /// Whether it makes, changes or removes something, so that the server wants it sent with POST. It does not mind
    /// DELETE and KILL QUERY.
    pub fn wants_post(&self) -> bool {
        let words = self.words();
        let changes = ["CREATE ", "ALTER ", "DROP ", "SET ", "GRANT", "REVOKE"];
        match self {
            Statement::Select(select) => select.target.is_some(),
            _ => changes.iter().any(|opening| words.starts_with(opening)),
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, statement) in self.statements.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ";\n" })?;
            statement.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Select(statement) => statement.fmt(f),
            Statement::Explain(statement) => statement.fmt(f),
            Statement::Delete(statement) => statement.fmt(f),
            Statement::DropSeries(statement) => statement.fmt(f),
            Statement::DropMeasurement(statement) => statement.fmt(f),
            Statement::CreateDatabase(statement) => statement.fmt(f),
            Statement::DropDatabase(statement) => statement.fmt(f),
            Statement::ShowDatabases => f.write_str("SHOW DATABASES"),
            Statement::CreateRetentionPolicy(statement) => statement.fmt(f),
            Statement::AlterRetentionPolicy(statement) => statement.fmt(f),
            Statement::DropRetentionPolicy(statement) => statement.fmt(f),
            Statement::ShowRetentionPolicies(statement) => statement.fmt(f),
            Statement::CreateContinuousQuery(statement) => statement.fmt(f),
            Statement::DropContinuousQuery(statement) => statement.fmt(f),
            Statement::ShowContinuousQueries => f.write_str("SHOW CONTINUOUS QUERIES"),
            Statement::CreateSubscription(statement) => statement.fmt(f),
            Statement::DropSubscription(statement) => statement.fmt(f),
            Statement::ShowSubscriptions => f.write_str("SHOW SUBSCRIPTIONS"),
            Statement::CreateUser(statement) => statement.fmt(f),
            Statement::DropUser(statement) => statement.fmt(f),
            Statement::SetPassword(statement) => statement.fmt(f),
            Statement::ShowUsers => f.write_str("SHOW USERS"),
            Statement::Grant(statement) => statement.fmt(f),
            Statement::Revoke(statement) => statement.fmt(f),
            Statement::ShowGrants(statement) => statement.fmt(f),
            Statement::ShowMeasurements(statement) => statement.fmt(f),
            Statement::ShowSeries(statement) => statement.fmt(f),
            Statement::ShowTagKeys(statement) => statement.fmt(f),
            Statement::ShowTagValues(statement) => statement.fmt(f),
            Statement::ShowFieldKeys(statement) => statement.fmt(f),
            Statement::ShowCardinality(statement) => statement.fmt(f),
            Statement::ShowQueries => f.write_str("SHOW QUERIES"),
            Statement::KillQuery(statement) => statement.fmt(f),
            Statement::ShowStats(statement) => statement.fmt(f),
            Statement::ShowDiagnostics(statement) => statement.fmt(f),
            Statement::ShowShards => f.write_str("SHOW SHARDS"),
            Statement::ShowShardGroups => f.write_str("SHOW SHARD GROUPS"),
            Statement::DropShard(statement) => statement.fmt(f),
        }
    }
}
