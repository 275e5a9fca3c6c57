//! InfluxQL, the query language of InfluxDB 1.x: text in, statements out.
//!
//! Owns: what is a token, what is a statement, the server's own words for what is neither, and the normal form in
//! which a statement is printed back. Does not own: what a statement does (plans), nor how an error travels: the door
//! that was spoken to puts its `error parsing query: ` in front.
//!
//! | file | what it is for |
//! |---|---|
//! | [`token`] | tokens, keywords, where they stand |
//! | [`lexer`] | characters → tokens |
//! | [`params`] | values that a request binds to `$name` |
//! | [`parser`] | the helpers that statements are parsed with |
//! | [`language`] | which words open which statement |
//! | [`ast`] | a query, its statements |
//! | [`select`] | SELECT and EXPLAIN; with [`expr`], [`source`], [`clauses`] |
//! | [`schema`], [`cardinality`] | what is stored: SHOW MEASUREMENTS, SERIES, TAG KEYS, … |
//! | [`database`], [`policy`], [`continuous`], [`subscription`], [`user`], [`server`], [`delete`] | a family of statements each |
//! | [`ident`], [`duration`], [`regex`], [`zone`] | the smallest pieces, parsed and printed |
//! | [`error`] | what was wrong, said as the server says it |
//! | [`schedule`] | when continuous queries run, and over which time |
//! | [`qualify`] | names in full |
//! | [`deletion`] | which rows DELETE and its like mean |
//! | [`show`] | SHOW, answered |
//! | [`plan`] | SELECT: what it means, how it is computed |
//! | [`answer`] | what a statement answers: series of rows, or why not |
//!
//! Grammar: InfluxDB 1.8, "Influx Query Language (InfluxQL) reference". Printing and parsing are inverse:
//! `parse(&format!("{query:#}"))` gives `query` again.

pub mod answer;
pub mod ast;
pub mod cardinality;
pub mod check;
pub mod clauses;
pub mod continuous;
pub mod database;
pub mod delete;
pub mod deletion;
pub mod duration;
pub mod error;
pub mod expr;
pub mod ident;
pub mod language;
pub mod lexer;
pub mod params;
pub mod parser;
pub mod plan;
pub mod policy;
mod print;
pub mod qualify;
pub mod regex;
pub mod schedule;
pub mod schema;
pub mod select;
pub mod server;
pub mod show;
pub mod source;
pub mod subscription;
#[cfg(test)]
mod tests;
pub mod token;
pub mod user;
pub mod zone;

pub use ast::{Query, Statement};
pub use duration::Duration;
pub use error::ParseError;
pub use ident::Ident;
pub use params::{Params, Value};
pub use token::Position;

use parser::Parser;

/// Parses statements separated by `;`. Empty ones are skipped, so blank text is a query without statements.
///
/// The query is parsed whole or not at all. Takes time and memory in proportion to the text.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    parse_with_params(text, &Params::default())
}

/// Like [`parse`], with `$name` replaced by what `params` holds for it.
pub fn parse_with_params(text: &str, params: &Params) -> Result<Query, ParseError> {
    Parser::new(text, params).query()
}
