//! TDengine SQL: text to statements, statements to plans and to changes of the catalog. No HTTP.
//!
//! A super table is a table whose series have names (`tbname`); a sub table is one of its series, a normal table a table
//! without tags. Types that the store does not know apart are in the columns' declarations: reading casts to them, writing
//! checks against them. Measurements that other protocols wrote are super tables too.
//!
//! Owns: the grammar, what names mean, types, functions, what rows a statement writes. Does not own: running plans, commits,
//! the log; the door puts them together.

mod ast;
mod ddl;
mod deletion;
mod error;
mod functions;
mod insert;
mod json_tag;
mod kinds;
mod lexer;
mod options;
mod parser;
mod plan;
mod print;
pub mod schemaless;
mod system;
mod tables;
#[cfg(test)]
mod tests;
mod time;
mod values;

pub use ast::{Delete, Insert, InsertPart, InsertRows, InsertValue, Query, Show, Statement, TableName, Using};
pub use ddl::{Dropping, change, dropping};
pub use deletion::{Deletion, deletion};
pub use error::TdError;
pub use insert::{Insertion, insertion, query_rows, registration};
pub use kinds::{length_of, type_text};
pub use parser::parse;
pub use plan::{Answer, OutputColumn, Question};
pub use tables::{Databases, is_system};
pub use time::{parse_time, precision_text, rfc3339};
pub use values::Moment;

/// The version that clients are told.
pub const SERVER_VERSION: &str = "3.3.6.0";
