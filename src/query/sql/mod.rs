//! SQL: one statement a request, questions only. What changes databases is parsed here and carried out by the caller.
//!
//! Owns: which statements there are and which are refused. Does not own: planning and running, which are the engine's.

pub mod access;
mod answers;
mod ddl;
mod session_functions;
mod statement;

use std::ops::ControlFlow;

use datafusion::common::{ParamValues, ScalarValue, TableReference};
use datafusion::execution::context::SQLOptions;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, TableFactor, Visit, Visitor};

use super::answer::RowStream;
use super::error::QueryError;
use super::names::{Names, Readable};
use super::session::{QueryEngine, QueryScope, QuerySession};

pub use ddl::{DatabaseOptions, Ddl};
use statement::Statement;

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
        Asker { user: "root".to_string(), role: None, readable: Readable::All }
    }
}

/// What a request comes to.
#[derive(Debug)]
pub enum SqlAnswer {
    Rows(RowStream),
    /// To be carried out by who owns databases.
    Ddl(Ddl),
}

/// The `language` label of our metrics.
const LANGUAGE: &str = "sql";
/// The schema that describes the others.
const INFORMATION_SCHEMA: &str = "information_schema";

impl QueryEngine {
    /// Parses and starts one statement. Rows come as the answer is polled.
    pub async fn run(&self, request: SqlRequest) -> Result<SqlAnswer, QueryError> {
        self.check_length(&request.text)?;
        let statement = match statement::parse(&request.text)? {
            Statement::Ddl(ddl) => return Ok(SqlAnswer::Ddl(ddl)),
            other => other,
        };
        let scope = QueryScope {
            tenant: request.tenant,
            database: request.database,
            target_partitions: request.target_partitions,
        };
        let Asker { user, role, readable } = request.asker;
        let mut session = self.session_for(LANGUAGE, &scope, readable).await?;
        for function in session_functions::all(&user, role.as_deref(), &scope) {
            session.register(function)?;
        }
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
            Statement::Ddl(_) => Err(QueryError::internal("a change of databases is no question")),
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return Err(session.fail(error)),
        };
        let plan = answers::plan(rows)?;
        self.execute(session, plan).await.map(SqlAnswer::Rows)
    }

    async fn ask(
        &self,
        mut session: QuerySession,
        scope: &QueryScope,
        question: EngineStatement,
        params: Vec<(String, Param)>,
    ) -> Result<RowStream, QueryError> {
        if let Err(error) = check_tables(&session, scope, &question) {
            return Err(session.fail(error));
        }
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

/// Whether every table that a statement names exists, so that a missing one is told as such.
fn check_tables(session: &QuerySession, scope: &QueryScope, question: &EngineStatement) -> Result<(), QueryError> {
    refuse_table_functions(question)?;
    for name in session.state().resolve_table_references(question)? {
        let name = resolve(scope, name);
        if name.database != INFORMATION_SCHEMA {
            exists(session.names(), &name)?;
        }
    }
    Ok(())
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
    let FullName { tenant, database, table } = name;
    let (tenant, database, table) = (tenant.clone(), database.clone(), table.clone());
    is_readable(names, &tenant, &database)?;
    match names.table(&database, &table) {
        Some(_) => Ok(()),
        None => Err(QueryError::TableNotFound { tenant, database, table }),
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
