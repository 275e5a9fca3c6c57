//! CREATE EXTERNAL TABLE: files that are read as a table.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::sql::sqlparser::tokenizer::Token;
use serde_json::Value as Json;

use crate::model::FieldType;
use crate::model::schema::time_type;
use crate::query::error::QueryError;
use crate::query::exchange::{COLUMNS_MAX, External, Form, infer};
use crate::query::session::QueryEngine;
use crate::storage::exchange::Connection;

use super::copy::{csv_options, one_byte};
use super::statement::Words;
use super::tables::check_name;

/// An external table that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExternal {
    pub table: TableReference,
    pub if_not_exists: bool,
    /// None: what the files say.
    columns: Vec<(String, DataType)>,
    form: Form,
    url: String,
}

/// What follows `CREATE EXTERNAL TABLE`: `[IF NOT EXISTS] table [(column TYPE, …)]`, then in any order `STORED AS form`,
/// `WITH HEADER ROW`, `DELIMITER ','` and `LOCATION 'url'`.
pub(super) fn parse(mut words: Words<'_>) -> Result<NewExternal, QueryError> {
    let if_not_exists = words.take_if_not_exists()?;
    let table = words.table_name()?;
    check_name(table.table())?;
    let mut columns: Vec<(String, DataType)> = Vec::new();
    if words.take(&Token::LParen) {
        loop {
            let name = words.name()?;
            if columns.len() == COLUMNS_MAX {
                return Err(QueryError::Plan(format!("a table has at most {COLUMNS_MAX} columns")));
            }
            if columns.iter().any(|(known, _)| *known == name) {
                return Err(QueryError::Syntax(format!("two columns are called {name:?}")));
            }
            columns.push((name, column_type(&mut words)?));
            if !words.take(&Token::Comma) || words.peek() == Some(&Token::RParen) {
                break;
            }
        }
        words.expect_token(&Token::RParen)?;
    }
    let (mut form, mut header, mut delimiter, mut url) = (None, None, None, None);
    while let Some(clause) =
        words.take_keyword(&["STORED", "WITH", "DELIMITER", "LOCATION", "PARTITIONED", "OPTIONS", "COMPRESSION"])
    {
        match clause {
            "STORED" => {
                words.expect_keyword("AS")?;
                let name = words.name()?;
                let known = Form::named(&name);
                form =
                    Some(known.ok_or_else(|| QueryError::NotSupported(format!("STORED AS {}", name.to_uppercase())))?);
            }
            "WITH" => {
                words.expect_keyword("HEADER")?;
                words.expect_keyword("ROW")?;
                header = Some(true);
            }
            "DELIMITER" => delimiter = Some(one_byte(&words.value()?)?),
            "LOCATION" => {
                let Some(text) = words.take_text() else { return words.expected("a location in quotes") };
                url = Some(text);
            }
            other => return Err(QueryError::NotSupported(format!("CREATE EXTERNAL TABLE with {other}"))),
        }
    }
    words.end()?;
    let Some(form) = form else { return words.expected("STORED AS") };
    let Some(url) = url else { return words.expected("LOCATION") };
    if matches!(form, Form::Csv { .. }) && header.is_none() {
        header = Some(false);
    }
    let form = csv_options(form, delimiter, header)?;
    Ok(NewExternal { table, if_not_exists, columns, form, url })
}

/// `TYPE [[NOT] NULL]`. Files are not looked at for nulls, so that a column of an external table may always have them.
fn column_type(words: &mut Words<'_>) -> Result<DataType, QueryError> {
    let at = *words;
    let of = match words.any_keyword().as_deref() {
        Some("BIGINT") if words.take_keyword(&["UNSIGNED"]).is_some() => Ok(FieldType::Unsigned.arrow()),
        Some("BIGINT") => Ok(FieldType::Integer.arrow()),
        Some("DOUBLE") => Ok(FieldType::Float.arrow()),
        Some("BOOLEAN") => Ok(FieldType::Boolean.arrow()),
        Some("STRING") => Ok(FieldType::String.arrow()),
        Some("TIMESTAMP") => Ok(time_type()),
        Some("TINYINT") => Ok(DataType::Int8),
        Some("SMALLINT") => Ok(DataType::Int16),
        Some("INT" | "INTEGER") => Ok(DataType::Int32),
        Some("FLOAT" | "REAL") => Ok(DataType::Float32),
        Some("VARCHAR" | "CHAR" | "TEXT") => Ok(DataType::Utf8),
        Some("DATE") => Ok(DataType::Date32),
        Some("DECIMAL" | "NUMERIC") => decimal(words),
        _ => at.expected("BIGINT, BIGINT UNSIGNED, DOUBLE, BOOLEAN, STRING or TIMESTAMP"),
    };
    let of = of?;
    if words.take_keyword(&["NOT"]).is_some() {
        words.expect_keyword("NULL")?;
    } else {
        words.take_keyword(&["NULL"]);
    }
    Ok(of)
}

/// `[(precision [, scale])]`
fn decimal(words: &mut Words<'_>) -> Result<DataType, QueryError> {
    if !words.take(&Token::LParen) {
        return Ok(DataType::Decimal128(38, 10));
    }
    let at = *words;
    let precision = words.value()?.parse().ok().filter(|precision| (1..=DECIMAL128_MAX_PRECISION).contains(precision));
    let Some(precision) = precision else { return at.expected("a number of digits from 1 to 38") };
    let at = *words;
    let scale = if words.take(&Token::Comma) { words.value()?.parse().ok() } else { Some(0) };
    let Some(scale) = scale.filter(|scale: &i8| (0..=precision as i8).contains(scale)) else {
        return at.expected("a number of digits behind the point");
    };
    words.expect_token(&Token::RParen)?;
    Ok(DataType::Decimal128(precision, scale))
}

impl QueryEngine {
    /// What is kept of a new external table. Its location must be allowed, and have files if these are to say what the columns
    /// are.
    pub async fn external_table(&self, new: &NewExternal) -> Result<Json, QueryError> {
        let exchange = self.exchange().clone();
        exchange.is_on()?;
        let limit = self.longest();
        let work = async {
            let schema = match new.columns.is_empty() {
                true => {
                    let found = exchange.find(&new.url, &Connection::default(), new.form.endings()).await?;
                    infer(&found, new.form).await?
                }
                false => {
                    exchange.check(&new.url).await?;
                    let field = |(name, of): &(String, DataType)| Field::new(name, of.clone(), true);
                    Arc::new(Schema::new(new.columns.iter().map(field).collect::<Vec<_>>()))
                }
            };
            External { form: new.form, url: new.url.clone(), schema }.document()
        };
        tokio::time::timeout(limit, work).await.unwrap_or(Err(QueryError::Timeout { limit }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::{Statement, parse as parse_statement};
    use super::super::{Ddl, TableDdl};
    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        match (parse_statement(text), expected) {
            (Ok(Statement::Ddl(Ddl::Table(TableDdl::CreateExternal(new)))), Ok(expected)) => {
                let columns: Vec<String> = new.columns.iter().map(|(name, of)| format!("{name} {of}")).collect();
                assert_eq!(format!("{} {:?} {} {}", new.table, new.form, new.url, columns.join(", ")), expected);
            }
            (Err(seen), Err(expected)) => assert_eq!(seen.to_string(), expected, "{text}"),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }

    #[test]
    fn columns_may_be_of_the_types_of_files() {
        let text = "create external table t (a int not null, b decimal(10,6), c decimal, d varchar null, e date, f real,) stored as csv location 'l'";
        let columns = "a Int32, b Decimal128(10, 6), c Decimal128(38, 10), d Utf8, e Date32, f Float32";
        check(text, Ok(&format!("t Csv {{ delimiter: 44, header: false }} l {columns}")));
        for (of, refused) in [
            ("decimal(39)", "Expected: a number of digits from 1 to 38, found: 39"),
            ("decimal(3,4)", "Expected: a number of digits behind the point, found: ,"),
            ("int not", "Expected: NULL, found: )"),
        ] {
            check(&format!("create external table t (a {of}) stored as csv location 'l'"), Err(refused));
        }
    }

    #[test]
    fn clauses_come_in_any_order_and_others_are_refused() {
        check("create external table d.t stored as parquet location 'x'", Ok("d.t Parquet x "));
        check(
            "create external table if not exists t (a bigint, \"B\" timestamp) location 'x' with header row delimiter ';' stored as csv",
            Ok("t Csv { delimiter: 59, header: true } x a Int64, B Timestamp(ns)"),
        );
        check("create external table t stored as csv location 'x'", Ok("t Csv { delimiter: 44, header: false } x "));
        check("create external table t stored as ndjson location 'x'", Ok("t Json x "));
        for (text, expected) in [
            ("t stored as avro location 'x'", "STORED AS AVRO is not supported"),
            (
                "t stored as csv partitioned by (a) location 'x'",
                "CREATE EXTERNAL TABLE with PARTITIONED is not supported",
            ),
            ("t stored as csv options ('a' 'b') location 'x'", "CREATE EXTERNAL TABLE with OPTIONS is not supported"),
            (
                "t stored as parquet with header row location 'x'",
                "a delimiter or header of files that are not CSV is not supported",
            ),
            ("t location 'x'", "Expected: STORED AS, found: EOF"),
            ("t stored as csv", "Expected: LOCATION, found: EOF"),
            ("t (a bigint, a double) stored as csv location 'x'", "two columns are called \"a\""),
            (
                "t (a blob) stored as csv location 'x'",
                "Expected: BIGINT, BIGINT UNSIGNED, DOUBLE, BOOLEAN, STRING or TIMESTAMP, found: blob",
            ),
        ] {
            check(&format!("create external table {text}"), Err(expected));
        }
    }
}
