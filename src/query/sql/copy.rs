//! COPY INTO: rows out into a file, and files into a table.
//!
//! `COPY INTO 'url' FROM table | (query) [options]` and `COPY INTO table [(column, …)] FROM 'url' [options]`, where options are
//! `CONNECTION = (…)`, `FILE_FORMAT = (TYPE = 'parquet' | 'csv' | 'json', DELIMITER = ',', WITH_HEADER = true)` and
//! `COPY_OPTIONS = (AUTO_INFER_SCHEMA = true)`, in any order.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::common::TableReference;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::model::{Precision, TableSchema};
use crate::query::error::QueryError;
use crate::query::exchange::{COLUMNS_MAX, FileRows, Form, Shape, headings, write};
use crate::query::session::QueryEngine;
use crate::storage::exchange::{Connection, ExchangeError};

use super::statement::{Words, question_of};
use super::write::{Target, target};
use super::{FullName, RowsToWrite, SqlRequest, full_name};

/// A COPY; nothing was looked at or written yet.
#[derive(Debug)]
pub enum Copy {
    Out(CopyOut),
    In(CopyIn),
}

/// Rows into a file.
#[derive(Debug)]
pub struct CopyOut {
    url: String,
    source: Source,
    form: Form,
    connection: Connection,
}

#[derive(Debug)]
enum Source {
    Table(TableReference),
    Question(Box<EngineStatement>),
}

/// Files into a table.
#[derive(Debug)]
pub struct CopyIn {
    /// As written.
    pub table: TableReference,
    columns: Vec<String>,
    url: String,
    form: Form,
    connection: Connection,
}

/// What follows `COPY INTO`.
pub(super) fn parse(mut words: Words<'_>) -> Result<Copy, QueryError> {
    if let Some(url) = words.take_text() {
        words.expect_keyword("FROM")?;
        let source = match words.take_parentheses()? {
            Some(inside) => {
                let tokens = inside.iter().map(|token| TokenWithSpan::wrap((*token).clone())).collect();
                Source::Question(Box::new(question_of(tokens)?))
            }
            None => Source::Table(words.table_name()?),
        };
        let (form, connection) = options(words, &url)?;
        return Ok(Copy::Out(CopyOut { url, source, form, connection }));
    }
    let table = words.table_name()?;
    let mut columns = Vec::new();
    if words.take(&Token::LParen) {
        loop {
            columns.push(words.name()?);
            if columns.len() > COLUMNS_MAX {
                return Err(QueryError::Plan(format!("a table has at most {COLUMNS_MAX} columns")));
            }
            if !words.take(&Token::Comma) {
                break;
            }
        }
        words.expect_token(&Token::RParen)?;
    }
    words.expect_keyword("FROM")?;
    let Some(url) = words.take_text() else { return words.expected("a location in quotes") };
    let (form, connection) = options(words, &url)?;
    Ok(Copy::In(CopyIn { table, columns, url, form, connection }))
}

/// The options up to the end. What is wrong in CONNECTION is not shown, as it may be a secret.
fn options(mut words: Words<'_>, url: &str) -> Result<(Form, Connection), QueryError> {
    let mut connection = Connection::default();
    let mut form = None;
    let (mut delimiter, mut header) = (None, None);
    while let Some(option) = words.take_keyword(&["CONNECTION", "FILE_FORMAT", "COPY_OPTIONS"]) {
        // Where a sign is left out, a secret may be taken for a name.
        let pairs = pairs(&mut words, option == "CONNECTION").map_err(|error| match option {
            "CONNECTION" => QueryError::Syntax("Expected: CONNECTION = (name = 'value', …)".to_string()),
            _ => error,
        })?;
        for (name, value) in pairs {
            let lower = name.to_ascii_lowercase();
            match (option, lower.as_str()) {
                ("CONNECTION", _) => connection.set(&name, value)?,
                ("FILE_FORMAT", "type") => {
                    let known = Form::named(&value);
                    form = Some(known.ok_or_else(|| QueryError::NotSupported(format!("the file format {value:?}")))?);
                }
                ("FILE_FORMAT", "delimiter") => delimiter = Some(one_byte(&value)?),
                ("FILE_FORMAT", "with_header") => header = Some(truth(&name, &value)?),
                ("COPY_OPTIONS", "auto_infer_schema") => {
                    // The names in files are looked at either way.
                    truth(&name, &value)?;
                }
                _ => return Err(QueryError::NotSupported(format!("{name} in {option}"))),
            }
        }
    }
    words.end()?;
    let form = form.or_else(|| Form::of_file(url));
    let form = form.ok_or_else(|| QueryError::Syntax("Expected: FILE_FORMAT = (TYPE = …)".to_string()))?;
    Ok((csv_options(form, delimiter, header)?, connection))
}

/// A form with what a statement says of CSV.
pub(super) fn csv_options(form: Form, delimiter: Option<u8>, header: Option<bool>) -> Result<Form, QueryError> {
    match form {
        Form::Csv { delimiter: comma, header: with } => {
            Ok(Form::Csv { delimiter: delimiter.unwrap_or(comma), header: header.unwrap_or(with) })
        }
        form if delimiter.is_none() && header.is_none() => Ok(form),
        _ => Err(QueryError::NotSupported("a delimiter or header of files that are not CSV".to_string())),
    }
}

/// `= (name = value [,] …)`; the signs may be left out unless they are asked for.
fn pairs(words: &mut Words<'_>, with_signs: bool) -> Result<Vec<(String, String)>, QueryError> {
    let sign = |words: &mut Words<'_>| match words.take(&Token::Eq) || !with_signs {
        true => Ok(()),
        false => words.expected("="),
    };
    sign(words)?;
    words.expect_token(&Token::LParen)?;
    let mut pairs = Vec::new();
    while !words.take(&Token::RParen) {
        let name = words.name()?;
        sign(words)?;
        pairs.push((name, words.value()?));
        words.take(&Token::Comma);
    }
    Ok(pairs)
}

/// A character that can stand between values.
pub(super) fn one_byte(text: &str) -> Result<u8, QueryError> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(QueryError::Syntax(format!("the delimiter {text:?} is not one character of ASCII"))),
    }
}

fn truth(name: &str, text: &str) -> Result<bool, QueryError> {
    let found = text.to_ascii_lowercase().parse();
    found.map_err(|_| QueryError::Syntax(format!("{name} is {text:?}, expected true or false")))
}

impl QueryEngine {
    /// Writes the rows of a question into a file, and returns how many there were. The file is there, whole, on `Ok`; else it is
    /// not there.
    pub async fn copy_out(&self, request: SqlRequest, copy: CopyOut) -> Result<u64, QueryError> {
        let exchange = self.exchange().clone();
        exchange.is_on()?;
        let (session, scope) = self.sql_session(&request).await?;
        let CopyOut { url, source, form, connection } = copy;
        let question = match source {
            Source::Question(question) => *question,
            Source::Table(table) => {
                let name = super::resolve(&scope, table);
                super::statement::parse_text(&format!("SELECT * FROM {}", full_name(&name)))?
            }
        };
        let work = async {
            let rows = self.ask(session, &scope, question, Vec::new()).await?;
            let sink = exchange.create(&url, &connection, form.ending()).await?;
            write(rows, form, sink).await
        };
        // The question's own limit counts while it is asked for rows; a store may be what takes long.
        let limit = self.longest();
        tokio::time::timeout(limit, work).await.unwrap_or(Err(QueryError::Timeout { limit }))
    }

    /// The rows of files, to be written into a table.
    pub async fn copy_in(&self, request: SqlRequest, copy: CopyIn) -> Result<RowsToWrite, QueryError> {
        let exchange = self.exchange().clone();
        exchange.is_on()?;
        let (mut session, scope) = self.sql_session(&request).await?;
        let (name, table) = match super::table_to_change(session.names(), &scope, copy.table.clone()) {
            Ok(known) => known,
            Err(error) => return Err(session.fail(error)),
        };
        let precision =
            session.names().schema(&name.database).map_or_else(Default::default, |(owner, _)| owner.precision);
        let look = async {
            let found = exchange.find(&copy.url, &copy.connection, copy.form.endings()).await?;
            let shape = headings(&found, copy.form).await?;
            Ok::<_, QueryError>((found, shape))
        };
        let limit = self.longest();
        let looked = tokio::time::timeout(limit, look).await.unwrap_or(Err(QueryError::Timeout { limit }));
        let matched = looked.and_then(|(found, shape)| {
            Ok((found, matched(shape, copy.form, &copy.columns, &table.schema, precision)?))
        });
        let (found, Matched { shape, projection, columns }) = match matched {
            Ok(matched) => matched,
            Err(error) => return Err(session.fail(error)),
        };
        let files = provider_as_source(Arc::new(FileRows::of(found, copy.form, shape)));
        let plan =
            session.within(async |_| LogicalPlanBuilder::scan("files", files, Some(projection))?.build()).await?;
        let rows = self.execute(session, plan).await?;
        let FullName { tenant, database, table } = name;
        Ok(RowsToWrite {
            tenant,
            database,
            table,
            rows,
            columns,
            precision,
            times_may_be_numbers: true,
            may_be_empty: false,
        })
    }
}

/// How the columns of files become those of a table.
#[derive(Debug, PartialEq)]
struct Matched {
    /// Of the files.
    shape: Shape,
    /// Which of these are read.
    projection: Vec<usize>,
    /// What these become.
    columns: Vec<Target>,
}

/// By name where files have names: all of the files' columns must be the table's, or those that the statement lists must be in
/// the files. By position where they have none.
fn matched(
    shape: Option<Shape>,
    form: Form,
    listed: &[String],
    schema: &TableSchema,
    precision: Precision,
) -> Result<Matched, QueryError> {
    let names: Vec<String> = match (listed.is_empty(), &shape) {
        (false, _) => listed.to_vec(),
        (true, Some(shape)) => shape.fields().iter().map(|field| field.name().clone()).collect(),
        (true, None) => schema.sql_schema().fields().iter().map(|field| field.name().clone()).collect(),
    };
    let columns = names.iter().map(|name| target(schema, name)).collect::<Result<Vec<_>, _>>()?;
    if let Some(at) = (1..columns.len()).find(|at| columns[..*at].contains(&columns[*at])) {
        return Err(QueryError::Plan(format!("two columns would become {}", names[at])));
    }
    if !columns.contains(&Target::Time) {
        return Err(QueryError::Plan("Column time is required, and must not be null".to_string()));
    }
    let (shape, projection) = match shape {
        Some(shape) => {
            let find = |name: &String| {
                let found = shape.fields().iter().position(|field| field.name() == name);
                let alike = || shape.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
                let missing = || QueryError::Plan(format!("No field named {name} in the files"));
                found.or_else(alike).ok_or_else(missing)
            };
            let projection = names.iter().map(find).collect::<Result<Vec<_>, _>>()?;
            (shape, projection)
        }
        None => {
            let field = |(name, target): (&String, &Target)| Field::new(name, type_in(form, target, precision), true);
            let fields: Vec<Field> = names.iter().zip(&columns).map(field).collect();
            (Arc::new(Schema::new(fields)), (0..names.len()).collect())
        }
    };
    Ok(Matched { shape, projection, columns })
}

/// What a column is read as where the files do not say it.
fn type_in(form: Form, target: &Target, precision: Precision) -> DataType {
    match (form, target) {
        (Form::Json, Target::Field(_, field_type)) => field_type.arrow(),
        // Numbers are in this unit then, and texts are times either way.
        (Form::Json, Target::Time | Target::TimeField(_)) => DataType::Timestamp(
            match precision {
                Precision::Us => TimeUnit::Microsecond,
                Precision::Ms => TimeUnit::Millisecond,
                Precision::S => TimeUnit::Second,
                _ => TimeUnit::Nanosecond,
            },
            None,
        ),
        _ => DataType::Utf8,
    }
}

impl From<ExchangeError> for QueryError {
    fn from(error: ExchangeError) -> QueryError {
        QueryError::Exchange(error)
    }
}

/// `text` of a statement without what its CONNECTION says.
pub fn without_connection(text: &str) -> &str {
    let upper = text.to_ascii_uppercase();
    upper.find("CONNECTION").map_or(text, |at| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::super::statement::{Statement, parse as parse_statement};
    use super::*;
    use crate::model::{FieldType, RowIdentity};

    fn copy(text: &str) -> Result<Copy, String> {
        match parse_statement(text) {
            Ok(Statement::Copy(copy)) => Ok(*copy),
            Ok(other) => panic!("{text}: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn both_ways_and_all_options_are_read() {
        let text = "copy into 's3://b/x/' from (select a, (b) from t where c = ')') \
                    connection = (access_key_id = 'k' secret_key = 's', region = 'r') \
                    file_format = (type = 'CSV' delimiter = ';', with_header = false) copy_options = (auto_infer_schema = true)";
        let Ok(Copy::Out(out)) = copy(text) else { panic!() };
        assert_eq!((out.url.as_str(), out.form), ("s3://b/x/", Form::Csv { delimiter: b';', header: false }));
        assert!(matches!(out.source, Source::Question(_)));
        assert!(!format!("{out:?}").contains("\"k\"") && !format!("{out:?}").contains("\"s\""), "{out:?}");
        let Ok(Copy::In(into)) = copy("COPY INTO d.t (time, \"A\") FROM 'file:///x/a.ndjson'") else { panic!() };
        assert_eq!((into.form, into.columns), (Form::Json, vec!["time".to_string(), "A".to_string()]));
    }

    #[test]
    fn mistakes_are_told_and_secrets_are_not() {
        for (text, expected) in [
            ("copy into t from x", "Expected: a location in quotes, found: x"),
            ("copy into 'file:///x' from t", "Expected: FILE_FORMAT = (TYPE = …)"),
            ("copy into 'x' from t file_format = (type = 'avro')", "the file format \"avro\" is not supported"),
            ("copy into 'x' from t file_format = (type = 'csv', quote = 'x')", "quote in FILE_FORMAT is not supported"),
            ("copy into 'x.csv' from t copy_options = (force = true)", "force in COPY_OPTIONS is not supported"),
            ("copy into 'x.csv' from t connection = (a 'hush')", "Expected: CONNECTION = (name = 'value', …)"),
            ("copy into 'x.csv' from (select 1", "Expected: ), found: EOF"),
            ("copy into 'x.csv' from (delete from t)", "DELETE is not supported"),
            (
                "copy into 'x.json' from t file_format = (delimiter = ';')",
                "a delimiter or header of files that are not CSV is not supported",
            ),
            (
                "copy into 'x.csv' from t file_format = (delimiter = 'ab')",
                "the delimiter \"ab\" is not one character of ASCII",
            ),
            ("copy t to 'x'", "COPY is not supported"),
        ] {
            assert_eq!(copy(text).unwrap_err(), expected, "{text}");
        }
        assert_eq!(without_connection("copy into 'x' from t connection = (a = 'b')"), "copy into 'x' from t ");
    }

    #[test]
    fn columns_of_files_find_those_of_the_table() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add_missing_tag("g");
        schema.add_missing_field("f", FieldType::Float);
        let shape = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
            Some(Arc::new(Schema::new(fields)))
        };
        let check = |named: Option<Shape>, listed: &[&str], expected: Result<&[usize], &str>| {
            let listed: Vec<String> = listed.iter().map(|name| (*name).to_string()).collect();
            let found = matched(named, Form::Json, &listed, &schema, Precision::Ms);
            let found = found.map(|found| found.projection).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        };
        check(shape(&["f", "Time"]), &[], Ok(&[0, 1]));
        check(shape(&["x", "f", "time"]), &["time", "f"], Ok(&[2, 1]));
        check(None, &[], Ok(&[0, 1, 2]));
        check(None, &["time", "f"], Ok(&[0, 1]));
        check(shape(&["x", "f", "time"]), &[], Err("No field named x"));
        check(shape(&["f", "time"]), &["time", "g"], Err("No field named g in the files"));
        check(shape(&["f", "g"]), &[], Err("Column time is required, and must not be null"));
        let many = format!("copy into t (a{}) from 'x.csv'", ", a".repeat(5_000));
        assert_eq!(copy(&many).unwrap_err(), "a table has at most 4096 columns");
        check(shape(&["f", "F", "time"]), &[], Err("two columns would become F"));
    }
}
