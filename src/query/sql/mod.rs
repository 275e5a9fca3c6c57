//! SQL: one statement a request. What changes anything is parsed and checked here, and carried out by the caller.
//!
//! Owns: which statements there are and which are refused. Does not own: planning and running, which are the engine's.

pub mod access;
mod answers;
mod copy;
mod ddl;
mod delete;
pub mod duration;
mod external;
mod fold;
mod gapfill;
pub mod options;
mod refusal;
mod repairs;
mod series_calls;
mod session_functions;
mod show;
mod statement;
mod tables;
mod top_rows;
mod write;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{ParamValues, ScalarValue, TableReference};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, TableFactor, Visit, Visitor};

use crate::catalog::{Delete, Table};
use crate::model::schema::TIME_COLUMN;
use crate::model::{ColumnKind, Precision, TableSchema};

use super::answer::RowStream;
use super::error::QueryError;
use super::information_schema::system_schema;
use super::names::{Names, Readable};
use super::session::{QueryEngine, QueryScope, QuerySession};

pub use super::information_schema::SYSTEM_SCHEMAS;
pub use copy::{Copy, CopyIn, CopyOut, without_connection};
pub use ddl::{DatabaseOptions, Ddl};
use delete::Clock;
pub use external::NewExternal;
pub use refusal::Refusal;
use statement::Statement;
pub use tables::{NewColumns, NewField, TableChange, TableDdl};
pub use write::{RowsToWrite, Target};

/// One request in SQL.
///
/// [`SqlRequest::new`] makes one without parameters.
#[derive(Debug, Clone)]
pub struct SqlRequest {
    pub tenant: String,
    /// What a table's name without a database means.
    pub database: String,
    pub text: String,
    pub target_partitions: Option<usize>,
    pub asker: Asker,
    /// What stands for `$name` in the text.
    pub params: Vec<(String, Param)>,
}

impl SqlRequest {
    pub fn new(tenant: &str, database: &str, text: impl Into<String>, asker: Asker) -> SqlRequest {
        SqlRequest {
            tenant: tenant.to_string(),
            database: database.to_string(),
            text: text.into(),
            target_partitions: None,
            asker,
            params: Vec::new(),
        }
    }
}

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    String(String),
}

impl From<Param> for ScalarValue {
    fn from(param: Param) -> ScalarValue {
        match param {
            Param::Null => ScalarValue::Null,
            Param::Boolean(value) => ScalarValue::from(value),
            Param::Integer(value) => ScalarValue::from(value),
            Param::Unsigned(value) => ScalarValue::from(value),
            Param::Float(value) => ScalarValue::from(value),
            Param::String(value) => ScalarValue::Utf8(Some(value)),
        }
    }
}

/// For whom a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Name of the user.
    pub user: String,
    pub role: Option<String>,
    /// What of the tenant may be read.
    pub readable: Readable,
}

impl Asker {
    /// Somebody who may read everything.
    pub fn root() -> Asker {
        Asker { user: "root".to_string(), role: None, readable: Readable::AllTenants }
    }
}

/// What a request comes to.
#[derive(Debug)]
pub enum SqlAnswer {
    Rows(RowStream),
    /// To be carried out by who owns databases.
    Ddl(Ddl),
    /// Rows to be stored; the answer to the client is their number.
    Write(RowsToWrite),
    /// The same, and rows of other series that go once those are stored.
    Move {
        rows: RowsToWrite,
        tags: Vec<(String, Option<String>)>,
    },
    /// Rows to be removed, once all rows are in segments.
    Delete(Delete),
    /// Files to be written or read, for whoever may: nothing was looked at yet.
    Copy(Box<Copy>),
}

/// The `language` label of our metrics.
const LANGUAGE: &str = "sql";

impl QueryEngine {
    /// Parses and starts one statement. Rows come as the answer is polled.
    pub async fn run(&self, request: SqlRequest) -> Result<SqlAnswer, QueryError> {
        self.check_length(&request.text)?;
        let statement = match statement::parse(&request.text)? {
            Statement::Ddl(ddl) => return Ok(SqlAnswer::Ddl(ddl)),
            Statement::Copy(copy) => return Ok(SqlAnswer::Copy(copy)),
            other => other,
        };
        let (session, scope) = self.sql_session(&request).await?;
        let rows = match statement {
            Statement::Question(question) => {
                let params = request.params;
                return self.ask(session, &scope, *question, params).await.map(SqlAnswer::Rows);
            }
            Statement::ShowDatabases => Ok(answers::databases(session.names())),
            Statement::ShowTables { database } => {
                let database = database.unwrap_or_else(|| scope.database.clone());
                answers::tables(session.names(), &database)
            }
            Statement::Describe { table } => answers::columns(session.names(), &resolve(&scope, table)),
            Statement::DescribeDatabase { name } => answers::database(session.names(), &name),
            Statement::ShowQueries => Ok(answers::queries(session.names())),
            Statement::ShowTags(show) => {
                let question = shown(session.names(), &scope, &show);
                return match question {
                    Ok(question) => self.ask(session, &scope, question, Vec::new()).await.map(SqlAnswer::Rows),
                    Err(error) => Err(session.fail(error)),
                };
            }
            Statement::Change(change) => return self.change(session, &scope, *change).await,
            Statement::Ddl(_) | Statement::Copy(_) => Err(QueryError::internal("this is no question")),
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return Err(session.fail(error)),
        };
        let plan = answers::plan(rows)?;
        self.execute(session, plan).await.map(SqlAnswer::Rows)
    }

    /// Waits for a turn and gives a session with the functions that know who asks.
    async fn sql_session(&self, request: &SqlRequest) -> Result<(QuerySession, QueryScope), QueryError> {
        let scope = QueryScope {
            tenant: request.tenant.clone(),
            database: request.database.clone(),
            target_partitions: request.target_partitions,
        };
        let Asker { user, role, readable } = &request.asker;
        let mut session = self.session_for(LANGUAGE, &scope, readable.clone(), role.as_deref().map(Arc::from)).await?;
        for function in session_functions::all(user, role.as_deref(), &scope) {
            session.register(function)?;
        }
        for function in top_rows::functions() {
            session.register(function)?;
        }
        Ok((session, scope))
    }

    async fn ask(
        &self,
        session: QuerySession,
        scope: &QueryScope,
        question: EngineStatement,
        params: Vec<(String, Param)>,
    ) -> Result<RowStream, QueryError> {
        self.ask_verified(session, scope, question, params, |_| Ok(())).await
    }

    /// Answers a question whose plan `verify` has nothing against.
    async fn ask_verified(
        &self,
        mut session: QuerySession,
        scope: &QueryScope,
        mut question: EngineStatement,
        params: Vec<(String, Param)>,
        verify: fn(&LogicalPlan) -> Result<(), QueryError>,
    ) -> Result<RowStream, QueryError> {
        let prepared = check_tables(&session, scope, &question).and_then(|known| {
            fold_names(&mut question, &known)?;
            gapfill::take(&mut question, clock(&session, known.precision))
        });
        let gaps = match prepared {
            Ok(gaps) => gaps,
            Err(error) => return Err(session.fail(error)),
        };
        let plan = session
            .within(async |state| {
                let plan = state.statement_to_plan(question).await?;
                match params.is_empty() {
                    true => Ok(plan),
                    false => {
                        let values = params.into_iter().map(|(name, value)| (name, ScalarValue::from(value)));
                        plan.with_param_values(ParamValues::from(values.collect::<Vec<_>>()))
                    }
                }
            })
            .await?;
        if let Err(error) = verify(&plan) {
            return Err(session.fail(error));
        }
        let filled = match (gaps, top_rows::choose(&plan)) {
            (_, Err(error)) => Err(error),
            (None, Ok(chosen)) => Ok(chosen.unwrap_or(plan)),
            (Some(gaps), Ok(None)) => gaps.fill(plan),
            (Some(_), Ok(Some(_))) => {
                Err(QueryError::Plan("topk and bottom choose no rows of windows that are filled".to_string()))
            }
        };
        let plan = match filled {
            Ok(plan) => plan,
            Err(error) => return Err(session.fail(error)),
        };
        let questions_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        if let Err(error) = questions_only.verify_plan(&plan) {
            let error = QueryError::NotSupported(match QueryError::from(error) {
                QueryError::Plan(text) => text,
                other => return Err(session.fail(other)),
            });
            return Err(session.fail(error));
        }
        self.execute(session, plan).await
    }
}

impl QueryEngine {
    /// INSERT, UPDATE and DELETE, up to what the caller carries out.
    async fn change(
        &self,
        session: QuerySession,
        scope: &QueryScope,
        change: SqlStatement,
    ) -> Result<SqlAnswer, QueryError> {
        let clock = |precision| clock(&session, precision);
        match planned(session.names(), scope, change, &clock) {
            Err(error) => Err(session.fail(error)),
            Ok(Planned::Delete(delete)) => Ok(SqlAnswer::Delete(delete)),
            Ok(Planned::Write { name, source, tags, may_be_empty }) => {
                // Rows that move are asked for twice.
                let verify = if tags.is_empty() { |_: &_| Ok(()) } else { write::repeatable };
                let precision =
                    session.names().schema(&name.database).map_or_else(Default::default, |(owner, _)| owner.precision);
                let columns = source.columns.clone();
                let rows = self.ask_verified(session, scope, source.question.clone(), Vec::new(), verify).await?;
                write::check_width(rows.schema().fields().len(), &source)?;
                let FullName { tenant, database, table } = name;
                let rows = RowsToWrite {
                    tenant,
                    database,
                    table,
                    rows,
                    columns,
                    precision,
                    times_may_be_numbers: false,
                    may_be_empty,
                };
                Ok(if tags.is_empty() { SqlAnswer::Write(rows) } else { SqlAnswer::Move { rows, tags } })
            }
        }
    }
}

/// A change that was checked.
enum Planned {
    Write {
        name: FullName,
        source: Box<write::Source>,
        tags: Vec<(String, Option<String>)>,
        /// A field that is set to null stays as it is.
        may_be_empty: bool,
    },
    Delete(Delete),
}

/// The times that a session's statement speaks of.
fn clock(session: &QuerySession, precision: Precision) -> Clock {
    let now = session.state().execution_props().query_execution_start_time;
    Clock { precision, now_ns: now.and_then(|now| now.timestamp_nanos_opt()) }
}

fn planned(
    names: &Names,
    scope: &QueryScope,
    change: SqlStatement,
    clock: &dyn Fn(Precision) -> Clock,
) -> Result<Planned, QueryError> {
    let table_of = |reference| table_to_change(names, scope, reference).map(|(name, table)| (name, &**table));
    match change {
        SqlStatement::Insert(insert) => {
            let (name, table) = table_of(write::inserted_table(&insert)?)?;
            let width = insert.source.as_deref().and_then(write::width_of_values);
            let source = write::inserted(insert, &table.schema)?;
            width.map_or(Ok(()), |width| write::check_width(width, &source))?;
            Ok(Planned::Write { name, source: Box::new(source), tags: Vec::new(), may_be_empty: false })
        }
        SqlStatement::Update(update) => {
            let (name, table) = table_of(write::changed_table(&update.table)?)?;
            let from = full_name(&name);
            let updated = write::updated(update, &from, &table.schema)?;
            let may_be_empty = updated.tags.is_empty();
            Ok(Planned::Write { name, source: Box::new(updated.source), tags: updated.tags, may_be_empty })
        }
        SqlStatement::Delete(delete) => {
            let (name, table) = table_of(write::deleted_table(&delete)?)?;
            let precision = names.schema(&name.database).map_or_else(Default::default, |(owner, _)| owner.precision);
            let clock = clock(precision);
            let instant = |expr: &_| delete::instant(expr, clock);
            delete::plan(table, delete.selection.as_ref(), &instant).map(Planned::Delete)
        }
        other => Err(QueryError::NotSupported(other.to_string())),
    }
}

/// A table whose rows a statement changes, and its full name.
fn table_to_change<'a>(
    names: &'a Names,
    scope: &QueryScope,
    reference: TableReference,
) -> Result<(FullName, &'a Arc<Table>), QueryError> {
    let mut name = resolve(scope, reference);
    exists(names, &name)?;
    if names.external(&name.database, &name.table).is_some() {
        return Err(QueryError::NotSupported(format!("a change of the external table {}", name.table)));
    }
    let table = names.table(&name.database, &name.table);
    let table = table.ok_or_else(|| QueryError::NotSupported(format!("a change of {}", name.database)))?;
    name.table = table.name.table.to_string();
    Ok((name, table))
}

/// A table's full name as SQL reads it back.
fn full_name(name: &FullName) -> String {
    [&name.tenant, &name.database, &name.table].map(|part| show::quoted(part)).join(".")
}

/// The question behind SHOW SERIES or SHOW TAG VALUES.
fn shown(names: &Names, scope: &QueryScope, show: &show::ShowTags) -> Result<EngineStatement, QueryError> {
    let mut name = resolve(scope, show.table.clone());
    exists(names, &name)?;
    let Some(table) = names.table(&name.database, &name.table) else {
        return Err(QueryError::NotSupported(format!("tags of {}", name.database)));
    };
    name.table = table.name.table.to_string();
    statement::parse_text(&show.question(&full_name(&name), &table.name.table, &table.schema)?)
}

/// The column that is called `name` in SQL, or failing that the one that differs by case alone, and what it is.
fn find_column(schema: &TableSchema, name: &str) -> Option<(String, ColumnKind)> {
    let exact = schema.columns.iter().find(|column| column.sql_name == name);
    let found = |column: &crate::model::Column| (column.sql_name.clone(), column.kind);
    match exact {
        Some(column) => Some(found(column)),
        None if name.eq_ignore_ascii_case(TIME_COLUMN) => Some((TIME_COLUMN.to_string(), ColumnKind::Time)),
        None => schema.columns.iter().find(|column| column.sql_name.eq_ignore_ascii_case(name)).map(found),
    }
}

/// What a statement's tables say about its names.
struct Known {
    columns: HashSet<String>,
    /// Those of times: in every table that has a column of the name.
    times: HashSet<String>,
    /// The unit of its times that are integers: that of the database of the first of its tables.
    precision: Precision,
    /// What samples are drawn by.
    seed: u64,
}

/// Gives names and constants of a statement the form that the engine knows them in.
fn fold_names(question: &mut EngineStatement, known: &Known) -> Result<(), QueryError> {
    match question {
        EngineStatement::Statement(statement) => {
            let mut columns = known.columns.clone();
            columns.extend(fold::aliases(statement.as_mut()));
            fold::fold(statement.as_mut(), &columns)?;
            fold::compare_times(statement.as_mut(), &known.times, known.precision);
            series_calls::rewrite(statement.as_mut(), known.seed)
        }
        EngineStatement::Explain(explain) => fold_names(&mut explain.statement, known),
        _ => Ok(()),
    }
}

/// A table's full name.
struct FullName {
    tenant: String,
    database: String,
    table: String,
}

fn resolve(scope: &QueryScope, name: TableReference) -> FullName {
    let name = name.resolve(&scope.tenant, &scope.database);
    FullName { tenant: name.catalog.to_string(), database: name.schema.to_string(), table: name.table.to_string() }
}

/// Whether every table that a statement names exists, so that a missing one is told as such. Returns the names of their
/// columns.
fn check_tables(session: &QuerySession, scope: &QueryScope, question: &EngineStatement) -> Result<Known, QueryError> {
    refuse_table_functions(question)?;
    let mut times = HashSet::new();
    let mut others = HashSet::new();
    let mut precision = None;
    for name in session.state().resolve_table_references(question)? {
        let name = resolve(scope, name);
        exists(session.names(), &name)?;
        if let Some(table) = session.names().table(&name.database, &name.table) {
            for column in &table.schema.columns {
                let is_time = if column.holds_times() { &mut times } else { &mut others };
                is_time.insert(column.sql_name.clone());
            }
            precision = precision.or(session.names().schema(&name.database).map(|(owner, _)| owner.precision));
        } else if let Some(external) = session.names().external(&name.database, &name.table) {
            others.extend(external.columns().map(|(name, _)| name.to_string()));
        }
    }
    let columns = times.iter().chain(&others).cloned().chain([TIME_COLUMN.to_string()]).collect();
    times.retain(|name| !others.contains(name));
    times.insert(TIME_COLUMN.to_string());
    let precision = precision.unwrap_or_default();
    // Another one in each query.
    let seed = clock(session, precision).now_ns.unwrap_or(0).unsigned_abs();
    Ok(Known { columns, times, precision, seed })
}

fn is_readable(names: &Names, tenant: &str, database: &str) -> Result<(), QueryError> {
    let is_ours = *tenant == *names.tenant;
    match names.schema(database) {
        Some(_) if is_ours => Ok(()),
        _ => {
            let (tenant, database) = (tenant.to_string(), database.to_string());
            match is_ours && names.is_forbidden(&database) {
                true => Err(QueryError::Forbidden { tenant, database }),
                false => Err(QueryError::DatabaseNotFound { tenant, database }),
            }
        }
    }
}

fn exists(names: &Names, name: &FullName) -> Result<(), QueryError> {
    if system_schema(&name.database).is_some() {
        return Ok(());
    }
    let FullName { tenant, database, table } = name;
    let (tenant, database, table) = (tenant.clone(), database.clone(), table.clone());
    is_readable(names, &tenant, &database)?;
    match names.table(&database, &table).is_some() || names.external(&database, &table).is_some() {
        true => Ok(()),
        false => Err(QueryError::TableNotFound { tenant, database, table }),
    }
}

/// Functions in the place of a table make rows out of nothing or out of files; there are none.
fn refuse_table_functions(question: &EngineStatement) -> Result<(), QueryError> {
    struct FirstFunction;
    impl Visitor for FirstFunction {
        type Break = String;
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
            match factor {
                TableFactor::Table { name, args: Some(_), .. } => ControlFlow::Break(name.to_string()),
                TableFactor::Function { name, .. } => ControlFlow::Break(name.to_string()),
                TableFactor::TableFunction { expr, .. } => ControlFlow::Break(expr.to_string()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    let Some(statement) = sql_part(question) else { return Ok(()) };
    match statement.visit(&mut FirstFunction) {
        ControlFlow::Break(name) => Err(QueryError::NotSupported(format!("the table function `{name}`"))),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The plain SQL inside a statement, below any EXPLAIN.
fn sql_part(question: &EngineStatement) -> Option<&SqlStatement> {
    match question {
        EngineStatement::Statement(statement) => Some(statement),
        EngineStatement::Explain(explain) => sql_part(&explain.statement),
        _ => None,
    }
}
