//! What one statement does: the change it asks for, or the rows that answer it. One file a family of changes.

mod databases;
mod deletes;
mod inside;
mod stored;
mod users;

use crate::catalog::CatalogError;
use crate::protocol::Core;
use crate::protocol::auth::Principal;
use crate::query::Readable;
use crate::query::influxql::answer::{Message, SeriesStream, StatementError};
use crate::query::influxql::deletion::Deletion;
use crate::query::influxql::plan::execute::Asker;
use crate::query::influxql::qualify::Defaults;
use crate::query::influxql::server::KillQuery;
use crate::query::influxql::show::ShowScope;
use crate::query::influxql::{Statement, qualify};

use super::into::IngestSink;

/// Removes rows that are there now; what is not in a segment yet goes there first.
pub(super) async fn delete_rows(core: &Core, deletion: Deletion<'_>) -> Result<SeriesStream, StatementError> {
    deletes::run(core, deletion).await
}

/// What a statement means beyond its text.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub tenant: &'static str,
    /// For names without one; empty when the request names none.
    pub database: String,
    /// For names without one; empty: the database's default.
    pub policy: String,
    /// It came as a question: statements that change something work, but say that they should not come so.
    pub is_read_only: bool,
    pub principal: Principal,
}

impl Request {
    fn defaults(&self) -> Defaults<'_> {
        Defaults { tenant: self.tenant, database: &self.database, policy: &self.policy }
    }

    /// For whom queries run, and that they run now.
    fn asker(&self, core: &Core) -> Asker {
        let given = |name: &str| Some(name.to_string()).filter(|name| !name.is_empty());
        Asker {
            tenant: self.tenant.to_string(),
            database: given(&self.database),
            policy: given(&self.policy),
            now: (core.ingest.clock)(),
        }
    }
}

/// Carries a statement out, or starts to answer it.
pub(super) async fn execute(
    core: &Core,
    request: &Request,
    statement: &Statement,
) -> Result<SeriesStream, StatementError> {
    let mut answer = run(core, request, statement).await?;
    answer.messages.extend(warning(core, request, statement));
    Ok(answer)
}

/// Statements that change something work with GET too, but should be sent with POST.
fn warning(core: &Core, request: &Request, statement: &Statement) -> Option<Message> {
    let statement = (request.is_read_only && statement.wants_post()).then(|| {
        qualify::statement(statement, &core.catalog.state(), &request.defaults()).unwrap_or_else(|_| statement.clone())
    })?;
    let text = format!("deprecated use of '{statement}' in a read only context, please use a POST request instead");
    Some(Message { level: "warning", text })
}

async fn run(core: &Core, request: &Request, statement: &Statement) -> Result<SeriesStream, StatementError> {
    let scope = ShowScope {
        tenant: request.tenant.to_string(),
        database: request.database.clone(),
        now_ns: (core.ingest.clock)(),
        hidden: if *statement == Statement::ShowDatabases { hidden_databases(core, request) } else { Vec::new() },
        readable: match statement {
            Statement::ShowQueries => request.principal.sql_asker(request.tenant, &core.catalog.state()).readable,
            _ => Readable::All,
        },
    };
    if let Some(answer) = core.queries.show(&scope, statement).await? {
        return Ok(answer);
    }
    match statement {
        Statement::CreateDatabase(create) => databases::create(core, request, create).await,
        Statement::DropDatabase(drop) => databases::drop(core, request, drop).await,
        Statement::CreateRetentionPolicy(create) => databases::create_policy(core, request, create).await,
        Statement::AlterRetentionPolicy(alter) => databases::alter_policy(core, request, alter).await,
        Statement::DropRetentionPolicy(drop) => databases::drop_policy(core, request, drop).await,
        Statement::CreateContinuousQuery(_) => stored::create_query(core, request, statement).await,
        Statement::DropContinuousQuery(drop) => stored::drop_query(core, request, drop).await,
        Statement::CreateSubscription(create) => stored::create_subscription(core, request, create).await,
        Statement::DropSubscription(drop) => stored::drop_subscription(core, request, drop).await,
        Statement::CreateUser(create) => users::create(core, create).await,
        Statement::DropUser(drop) => users::drop(core, drop).await,
        Statement::SetPassword(set) => users::set_password(core, set).await,
        Statement::Grant(grant) => users::grant(core, request, grant).await,
        Statement::Revoke(revoke) => users::revoke(core, request, revoke).await,
        Statement::Delete(delete) => deletes::delete(core, request, delete).await,
        Statement::DropSeries(drop) => deletes::drop_series(core, request, drop).await,
        Statement::DropMeasurement(drop) => deletes::drop_measurement(core, request, drop).await,
        Statement::Explain(explain) => core.queries.explain(&request.asker(core), explain).await,
        Statement::Select(select) => match &select.target {
            None => core.queries.select(&request.asker(core), select).await,
            Some(target) => {
                let sink = IngestSink(&core.ingest);
                core.queries.select_into(&request.asker(core), select, target, &sink).await
            }
        },
        Statement::KillQuery(kill) => kill_query(core, kill),
        Statement::DropShard(drop) => deletes::drop_shard(core, request, drop).await,
        Statement::ShowStats(show) => Ok(inside::stats(core, show.module.as_deref())),
        Statement::ShowDiagnostics(show) => Ok(inside::diagnostics(core, show.module.as_deref())),
        other => Err(StatementError::NotSupported(other.words().to_string())),
    }
}

/// Databases that the one who asks has no right to: they are not listed to him.
fn hidden_databases(core: &Core, request: &Request) -> Vec<String> {
    let state = core.catalog.state();
    let names = state.databases(request.tenant).into_iter().map(|database| database.name.to_string());
    names.filter(|name| !request.principal.may_read(name) && !request.principal.may_write(name)).collect()
}

fn kill_query(core: &Core, kill: &KillQuery) -> Result<SeriesStream, StatementError> {
    match core.queries.running_queries.kill(kill.id) {
        true => Ok(SeriesStream::empty()),
        false => Err(StatementError::Refused(format!("no such query id: {}", kill.id))),
    }
}

/// A change that the catalog refused, in the server's words.
fn refused(error: CatalogError) -> StatementError {
    match error {
        CatalogError::InvalidName { name, .. } if name.len() > 255 => {
            StatementError::Refused("name too long".to_string())
        }
        CatalogError::InvalidName { .. } => StatementError::Refused("invalid name".to_string()),
        CatalogError::DatabaseNotFound { database } => StatementError::DatabaseNotFound(database),
        CatalogError::PolicyNotFound { policy } => StatementError::PolicyNotFound(policy),
        error => StatementError::Refused(error.to_string()),
    }
}

/// The answer of a change that was made.
fn done<T>(outcome: Result<T, CatalogError>) -> Result<SeriesStream, StatementError> {
    outcome.map(|_| SeriesStream::empty()).map_err(refused)
}
