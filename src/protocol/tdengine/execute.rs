//! Statements carried out: plans run, changes committed, rows written.

use std::sync::{Arc, Mutex, PoisonError};

use chrono_tz::Tz;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use futures::StreamExt;

use crate::catalog::{CatalogError, CatalogState, Change};
use crate::model::names::DEFAULT_TENANT;
use crate::model::{Classify, Kind};
use crate::protocol::Core;
use crate::protocol::auth::{HashError, Principal};
use crate::query::Readable;
use crate::query::tdsql::{
    self, Answer, Databases, Insert, InsertRows, Question, Statement, TableName, TdError, is_system,
};

use super::auth::ROOT;
use super::error::of_write;

/// Rows that INSERT … SELECT may write at once.
const COPIED_ROWS_MAX: usize = 1_000_000;
/// Series that a DELETE with a condition on tags may name.
const DELETED_SERIES_MAX: usize = 100_000;

/// What a statement comes to.
pub(super) enum Outcome {
    Rows(Answer),
    /// So many rows were changed.
    Changed(u64),
}

/// One statement of one session.
#[derive(Clone)]
pub(super) struct Session {
    pub core: Core,
    database: Option<String>,
    user: String,
    principal: Principal,
    zone: Tz,
    /// The databases that may be written into.
    writable: Readable,
}

impl Session {
    pub(super) fn new(core: &Core, user: String, principal: Principal, database: Option<String>, zone: Tz) -> Session {
        let writable = visible(core, &principal, |name| principal.may_write(name));
        Session { core: core.clone(), database, user, principal, zone, writable }
    }

    fn question(&self) -> Question {
        Question {
            readable: visible(&self.core, &self.principal, |name| self.principal.may_read(name)),
            tenant: DEFAULT_TENANT.to_string(),
            database: self.database.clone(),
            user: self.user.clone(),
            zone: self.zone,
            now_ns: self.now_ns(),
        }
    }

    fn now_ns(&self) -> i64 {
        (self.core.ingest.clock)()
    }

    pub(super) async fn run(&self, text: &str) -> Result<Outcome, TdError> {
        self.execute(tdsql::parse(text)?).await
    }

    async fn execute(&self, statement: Statement) -> Result<Outcome, TdError> {
        let queries = &self.core.queries;
        if !allowed(&self.principal, &statement) {
            return Err(TdError::Target);
        }
        match statement {
            Statement::Query(query) => queries.ask_td(&self.question(), &query).await.map(Outcome::Rows),
            Statement::Explain { query, run } => {
                queries.explain_td(&self.question(), &query, run).await.map(Outcome::Rows)
            }
            Statement::Show(show) => queries.show_td(&self.question(), &show).await.map(Outcome::Rows),
            Statement::Describe(table) => queries.describe_td(&self.question(), &table).await.map(Outcome::Rows),
            Statement::Insert(insert) => self.insert(insert).await.map(|rows| Outcome::Changed(rows as u64)),
            Statement::Delete(delete) => self.delete(&delete).await.map(Outcome::Changed),
            Statement::Use(database) => {
                let state = self.core.catalog.state();
                if !is_system(&database) && state.database(DEFAULT_TENANT, &database).is_none() {
                    return Err(TdError::Database);
                }
                Ok(Outcome::Changed(0))
            }
            Statement::DropTables { tables, supers_only } => self.drop_tables(&tables, supers_only).await,
            Statement::CreateUser { name, password } => self.create_user(&name, &password).await,
            Statement::AlterUser { name, password } => self.alter_user(&name, password.as_deref()).await,
            Statement::DropUser(name) => {
                if name == ROOT {
                    return Err(TdError::Target);
                }
                self.core.catalog.drop_user(&name).await?;
                Ok(Outcome::Changed(0))
            }
            Statement::Grant | Statement::Maintenance => Ok(Outcome::Changed(0)),
            other => {
                let (statement, session, now_ns) = (other, self.clone(), self.now_ns());
                self.commit(move |state| {
                    let databases = session.databases(state);
                    let changes = tdsql::change(&databases, &statement, now_ns, session.zone);
                    changes.unwrap_or_else(|| Err(TdError::NotSupported("the statement".to_string())))
                })
                .await?;
                Ok(Outcome::Changed(0))
            }
        }
    }

    fn databases<'a>(&'a self, state: &'a CatalogState) -> Databases<'a> {
        Databases { state, tenant: DEFAULT_TENANT, default: self.database.as_deref(), visible: &self.writable }
    }

    /// Commits what `plan` asks for. What it refuses because it is there, or gone, after it once asked for it, is its own
    /// change: the answer was lost.
    async fn commit(
        &self,
        plan: impl Fn(&CatalogState) -> Result<Vec<Change>, TdError> + Send + 'static,
    ) -> Result<Arc<CatalogState>, TdError> {
        self.commit_with(plan, |error| matches!(error.kind(), Kind::AlreadyExists | Kind::NotFound)).await
    }

    /// Commits what `plan` asks for. `own`: which refusals, after it once asked for something, speak of its own change.
    async fn commit_with(
        &self,
        plan: impl Fn(&CatalogState) -> Result<Vec<Change>, TdError> + Send + 'static,
        own: fn(&TdError) -> bool,
    ) -> Result<Arc<CatalogState>, TdError> {
        let refused: Arc<Mutex<Option<TdError>>> = Arc::default();
        let slot = refused.clone();
        let mut asked_before = false;
        let committed = self.core.catalog.update(move |state| match plan(state) {
            Ok(changes) => {
                asked_before |= !changes.is_empty();
                Ok(changes)
            }
            Err(error) if asked_before && own(&error) => Ok(Vec::new()),
            Err(error) => {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(CatalogError::Refused)
            }
        });
        let committed = committed.await;
        match (committed, refused.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            (Err(CatalogError::Refused), Some(error)) => Err(error),
            (committed, _) => Ok(committed?),
        }
    }

    pub(super) async fn insert(&self, insert: Insert) -> Result<usize, TdError> {
        self.insert_living(insert, 0).await
    }

    /// `ttl_days`: of the sub tables that are made.
    async fn insert_living(&self, mut insert: Insert, ttl_days: u32) -> Result<usize, TdError> {
        for part in &mut insert.parts {
            if let InsertRows::Query(query) = &part.rows {
                let mut answer = self.core.queries.ask_td(&self.question(), query).await?;
                let mut rows = Vec::new();
                while let Some(batch) = answer.rows.next().await {
                    rows.extend(tdsql::query_rows(&answer.columns, &batch?)?);
                    if rows.len() > COPIED_ROWS_MAX {
                        let text = format!("INSERT of more than {COPIED_ROWS_MAX} rows of a query");
                        return Err(TdError::NotSupported(text));
                    }
                }
                part.rows = InsertRows::Values(rows);
            }
        }
        self.core.catalog.check_writable()?;
        let state = self.core.catalog.state();
        let insertion = tdsql::insertion(&self.databases(&state), &insert.parts, self.now_ns(), self.zone)?;
        if !insertion.series.is_empty() {
            let mut series = insertion.series;
            series.iter_mut().flat_map(|(_, made)| made).for_each(|one| one.ttl_days = ttl_days);
            // What is refused is never its own change: rows must not go where their series is not registered.
            self.commit_with(move |state| tdsql::registration(state, &series), |_| false).await?;
        }
        self.core.ingest.store(insertion.batches).await.map_err(of_write)?;
        Ok(insertion.rows)
    }

    /// Points that declare nothing: their tables and columns are made first.
    pub(super) async fn write_lines(
        &self,
        database: &str,
        lines: Vec<tdsql::schemaless::Line>,
        ttl_days: u32,
    ) -> Result<(), TdError> {
        let state = self.core.catalog.state();
        let now_ns = self.now_ns();
        if !tdsql::schemaless::changes(&self.databases(&state), database, &lines, now_ns)?.is_empty() {
            let (session, database, lines) = (self.clone(), database.to_string(), lines.clone());
            self.commit(move |state| tdsql::schemaless::changes(&session.databases(state), &database, &lines, now_ns))
                .await?;
        }
        let parts = tdsql::schemaless::parts(database, &lines);
        self.insert_living(Insert { parts }, ttl_days).await.map(|_| ())
    }

    async fn delete(&self, delete: &tdsql::Delete) -> Result<u64, TdError> {
        let state = self.core.catalog.state();
        let deletion = tdsql::deletion(&self.databases(&state), delete, self.now_ns(), self.zone)?;
        let mut counted = 0;
        let mut count = self.core.queries.ask_td(&self.question(), &deletion.count).await?;
        while let Some(batch) = count.rows.next().await {
            counted += batch?.column(0).as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        }
        if counted == 0 {
            return Ok(0);
        }
        let recorded = match &deletion.names {
            None => deletion.delete,
            Some(query) => deletion.of_series(self.names(query).await?),
        };
        self.flush().await?;
        self.core.catalog.delete_rows(vec![recorded]).await?;
        Ok(counted.unsigned_abs())
    }

    async fn names(&self, query: &tdsql::Query) -> Result<Vec<String>, TdError> {
        let mut answer = self.core.queries.ask_td(&self.question(), query).await?;
        let mut names = Vec::new();
        while let Some(batch) = answer.rows.next().await {
            names.extend(batch?.column(0).as_string::<i32>().iter().flatten().map(str::to_string));
            if names.len() > DELETED_SERIES_MAX {
                return Err(TdError::NotSupported(format!("DELETE of more than {DELETED_SERIES_MAX} sub tables")));
            }
        }
        Ok(names)
    }

    /// Deletes hold for rows in segments: what is in none yet goes there first.
    async fn flush(&self) -> Result<(), TdError> {
        let Some(flusher) = &self.core.flusher else { return Err(CatalogError::ReadOnly.into()) };
        let flushed = flusher.flush_all().await;
        flushed.map_err(|error| TdError::Other { text: error.to_string(), kind: Kind::Unavailable })
    }

    async fn drop_tables(&self, tables: &[(TableName, bool)], supers_only: bool) -> Result<Outcome, TdError> {
        let state = self.core.catalog.state();
        let dropping = tdsql::dropping(&self.databases(&state), tables, supers_only)?;
        if !dropping.deletes.is_empty() {
            self.flush().await?;
            self.core.catalog.delete_rows(dropping.deletes).await?;
        }
        let changes = dropping.changes;
        if !changes.is_empty() {
            self.commit(move |state| {
                let left = changes.iter().filter(|change| match change {
                    Change::DropTable { table } => state.table(*table).is_some(),
                    Change::DropSeries { table, names } => state
                        .table(*table)
                        .is_some_and(|table| names.iter().any(|name| table.series.contains_key(name.as_str()))),
                    _ => true,
                });
                Ok(left.cloned().collect())
            })
            .await?;
        }
        Ok(Outcome::Changed(0))
    }

    async fn create_user(&self, name: &str, password: &str) -> Result<Outcome, TdError> {
        check_password(password)?;
        if name == ROOT || self.core.catalog.state().user(name).is_some() {
            return Err(TdError::UserExists);
        }
        let hash = self.core.auth.hash(password).await.map_err(hashing)?;
        self.core.catalog.create_user(name, hash, false).await?;
        Ok(Outcome::Changed(0))
    }

    async fn alter_user(&self, name: &str, password: Option<&str>) -> Result<Outcome, TdError> {
        let Some(password) = password else { return Ok(Outcome::Changed(0)) };
        check_password(password)?;
        let hash = self.core.auth.hash(password).await.map_err(hashing)?;
        if name == ROOT && self.core.catalog.state().user(name).is_none() {
            // The first account becomes one that is kept.
            self.core.catalog.create_user(name, hash, true).await?;
            return Ok(Outcome::Changed(0));
        }
        let change = move |_: &CatalogState, user: &mut crate::catalog::users::User| {
            user.password_hash.clone_from(&hash);
            Ok(())
        };
        self.core.catalog.change_user(name, change).await?;
        Ok(Outcome::Changed(0))
    }
}

/// The databases of the tenant that `allows` names; all for who owns them.
fn visible(core: &Core, principal: &Principal, allows: impl Fn(&str) -> bool) -> Readable {
    if principal.owns(DEFAULT_TENANT) {
        return Readable::All;
    }
    let state = core.catalog.state();
    let names = state.databases(DEFAULT_TENANT).into_iter().map(|database| database.name.to_string());
    Readable::Only(names.filter(|name| allows(name)).collect())
}

/// Whether a statement may be run at all. Databases as such are for who owns the tenant; accounts are for admins alone:
/// they are of all tenants, and admins are among them.
fn allowed(principal: &Principal, statement: &Statement) -> bool {
    match statement {
        Statement::CreateUser { .. } | Statement::AlterUser { .. } | Statement::DropUser(_) => principal.is_admin(),
        Statement::CreateDatabase(_)
        | Statement::AlterDatabase { .. }
        | Statement::DropDatabase { .. }
        | Statement::Grant
        | Statement::Maintenance => principal.owns(DEFAULT_TENANT),
        _ => true,
    }
}

fn hashing(error: HashError) -> TdError {
    TdError::Other { text: error.to_string(), kind: Kind::Internal }
}

fn check_password(password: &str) -> Result<(), TdError> {
    if password.is_empty() || password.len() > 255 {
        return Err(TdError::Syntax("password".to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody with this role.
    fn ann(role: &str) -> Principal {
        let mut state = CatalogState::initial();
        let value = serde_json::json!({"name": "ann", "password_hash": "", "role": role});
        state.apply(&Change::PutDocument { collection: "users".into(), key: "ann".into(), value });
        Principal::User(Arc::new(state.account("ann").unwrap()))
    }

    #[test]
    fn who_owns_the_tenant_changes_its_databases_and_no_accounts() {
        let owner = ann("owner");
        assert!(owner.owns(DEFAULT_TENANT));
        for (text, owners) in [
            ("create database d", true),
            ("drop database d", true),
            ("create user eve pass 'x'", false),
            ("alter user root pass 'x'", false),
            ("drop user eve", false),
        ] {
            let statement = tdsql::parse(text).unwrap();
            assert_eq!(allowed(&owner, &statement), owners, "{text}");
            assert!(allowed(&Principal::Anyone, &statement) && !allowed(&ann("member"), &statement), "{text}");
        }
        assert!(allowed(&ann("member"), &tdsql::parse("select 1").unwrap()));
    }
}
