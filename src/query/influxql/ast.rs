//! A query and its statements.

use std::fmt;

use super::database::{CreateDatabase, DropDatabase};

/// The statements of one request, in the order they run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub statements: Vec<Statement>,
}

/// One statement. Printing gives the normal form that the server quotes in its messages: keywords in capitals, names
/// quoted only where they must be, single blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    CreateDatabase(CreateDatabase),
    DropDatabase(DropDatabase),
    ShowDatabases,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, statement) in self.statements.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ";\n" })?;
            write!(f, "{statement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::CreateDatabase(statement) => statement.fmt(f),
            Statement::DropDatabase(statement) => statement.fmt(f),
            Statement::ShowDatabases => f.write_str("SHOW DATABASES"),
        }
    }
}
