//! What one statement does: the change it asks for, or the rows that answer it.

use crate::catalog::databases::{IfExists, NewDatabase, policy};
use crate::catalog::{CatalogError, RetentionPolicy};
use crate::model::Precision;
use crate::protocol::Core;
use crate::query::influxql::Statement;
use crate::query::influxql::answer::{Division, Message, SeriesPiece, SeriesStream, StatementError};
use crate::query::influxql::database::{CreateDatabase, PolicySpec};

const HOUR_NS: i64 = 3_600_000_000_000;

/// What a statement means beyond its text.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub tenant: &'static str,
    /// For names without one; empty when the request names none.
    pub database: String,
    /// It came as a question: statements that change something work, but say that they should not come so.
    pub is_read_only: bool,
}

/// Carries a statement out, or starts to answer it.
pub(super) async fn execute(
    core: &Core,
    request: &Request,
    statement: &Statement,
) -> Result<SeriesStream, StatementError> {
    let mut answer = run(core, request, statement).await?;
    answer.messages.extend(warning(request, statement));
    Ok(answer)
}

/// Statements that change something work with GET too, but should be sent with POST.
fn warning(request: &Request, statement: &Statement) -> Option<Message> {
    (request.is_read_only && statement.wants_post()).then(|| Message {
        level: "warning",
        text: format!("deprecated use of '{statement}' in a read only context, please use a POST request instead"),
    })
}

async fn run(core: &Core, request: &Request, statement: &Statement) -> Result<SeriesStream, StatementError> {
    match statement {
        Statement::CreateDatabase(create) => {
            let new = NewDatabase {
                tenant: request.tenant.to_string(),
                name: create.name.0.clone(),
                precision: Precision::Ns,
                policy: first_policy(create)?,
            };
            core.catalog.create_database(new, IfExists::Compare).await.map_err(refused)?;
            Ok(SeriesStream::empty())
        }
        Statement::DropDatabase(drop) => {
            core.catalog.drop_database(request.tenant, &drop.name.0).await.map_err(refused)?;
            Ok(SeriesStream::empty())
        }
        Statement::ShowDatabases => {
            let state = core.catalog.state();
            let names = state.databases(request.tenant).into_iter().map(|database| &database.name);
            Ok(SeriesStream::of(vec![SeriesPiece::of_texts(Some("databases"), "name", names)])
                .divided(Division::Undivided))
        }
        statement => Err(StatementError::NotSupported(statement.words().to_string())),
    }
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
    let policy = policy(name, duration_ns, shard_ns, replication.unwrap_or(1) as u32);
    if duration_ns != 0 && policy.shard_duration_ns > duration_ns {
        return refuse("retention policy duration must be greater than the shard duration");
    }
    Ok(Some(policy))
}

fn refused(error: CatalogError) -> StatementError {
    StatementError::Refused(match error {
        CatalogError::InvalidName { name, .. } if name.len() > 255 => "name too long".to_string(),
        CatalogError::InvalidName { .. } => "invalid name".to_string(),
        error => error.to_string(),
    })
}
