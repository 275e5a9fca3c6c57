//! SHOW SERIES and SHOW TAG VALUES: questions about a table's tags, asked in SQL.

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LimitClause, OrderBy, OrderByKind, Query, SetExpr, Statement as SqlStatement, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::model::{ColumnKind, TableSchema};
use crate::query::error::QueryError;

use super::refusal::Refusal;
use super::statement::{Words, parse_sql, words_of};

/// What a statement wants to see of a table's tags.
#[derive(Debug)]
pub(super) struct ShowTags {
    pub table: TableReference,
    what: What,
    selection: Option<Expr>,
    order_by: Option<OrderBy>,
    limit: Option<LimitClause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Series,
    /// `keep`: values of these keys; else of all others.
    Values {
        keys: Vec<String>,
        keep: bool,
    },
}

/// `SERIES [ON db] FROM table …`, `TAG VALUES [ON db] FROM table WITH KEY …`, and in both `[WHERE …] [ORDER BY …] [LIMIT …]`.
/// `tokens` are those of the whole statement.
pub(super) fn parse(tokens: &[TokenWithSpan]) -> Result<ShowTags, QueryError> {
    let solid = words_of(tokens);
    let mut words = Words::new(&solid).after(1);
    let is_series = words.take_keyword(&["SERIES"]).is_some();
    if !is_series {
        words.expect_keyword("TAG")?;
        words.expect_keyword("VALUES")?;
    }
    let database = match words.take_keyword(&["ON"]) {
        Some(_) => Some(words.name()?),
        None => None,
    };
    words.expect_keyword("FROM")?;
    let table = words.table_name()?;
    let table = match (database, table) {
        (Some(database), TableReference::Bare { table }) => TableReference::partial(database, table),
        (_, table) => table,
    };
    let what = if is_series { What::Series } else { keys(&mut words)? };
    let (selection, order_by, limit) = tail(words.rest())?;
    Ok(ShowTags { table, what, selection, order_by, limit })
}

/// `WITH KEY = "k" | != "k" | IN (k, …) | NOT IN (k, …)`
fn keys(words: &mut Words<'_>) -> Result<What, QueryError> {
    words.expect_keyword("WITH")?;
    words.expect_keyword("KEY")?;
    if words.take(&Token::Eq) {
        return Ok(What::Values { keys: vec![words.name()?], keep: true });
    }
    if words.take(&Token::Neq) {
        return Ok(What::Values { keys: vec![words.name()?], keep: false });
    }
    let keep = words.take_keyword(&["NOT"]).is_none();
    words.expect_keyword("IN")?;
    words.expect_token(&Token::LParen)?;
    let mut keys = vec![words.name()?];
    while words.take(&Token::Comma) {
        keys.push(words.name()?);
    }
    words.expect_token(&Token::RParen)?;
    Ok(What::Values { keys, keep })
}

type Tail = (Option<Expr>, Option<OrderBy>, Option<LimitClause>);

/// What stands behind, which is as in any query.
fn tail(rest: &[&Token]) -> Result<Tail, QueryError> {
    let mut tokens: Vec<Token> = super::statement::tokenize("SELECT * FROM t ")?;
    tokens.extend(rest.iter().map(|token| (*token).clone()));
    match parse_sql(tokens)? {
        EngineStatement::Statement(statement) => match *statement {
            SqlStatement::Query(query) => {
                let Query { body, order_by, limit_clause, .. } = *query;
                match *body {
                    SetExpr::Select(select) => Ok((select.selection, order_by, limit_clause)),
                    _ => Err(QueryError::Syntax("Expected: WHERE, ORDER BY or LIMIT".to_string())),
                }
            }
            _ => Err(QueryError::Syntax("Expected: WHERE, ORDER BY or LIMIT".to_string())),
        },
        _ => Err(QueryError::Syntax("Expected: WHERE, ORDER BY or LIMIT".to_string())),
    }
}

impl ShowTags {
    /// The question in SQL. `table` is the table's full name as SQL has it.
    pub(super) fn question(&self, from: &str, table: &str, schema: &TableSchema) -> Result<String, QueryError> {
        self.check(schema)?;
        let condition = self.selection.as_ref().map_or("true".to_string(), |selection| format!("({selection})"));
        let rows = match &self.what {
            What::Series => {
                let tag = |name: &str, column: &str| {
                    let start = literal(&format!(",{name}="));
                    format!("CASE WHEN {column} IS NULL THEN '' ELSE {start} || {column} END")
                };
                let tags = schema.tags().map(|c| tag(&c.name, &quoted(&c.sql_name)));
                let parts: Vec<String> = std::iter::once(literal(table)).chain(tags).collect();
                // One call, not a chain: a table may have thousands of tags, and chains are trees as deep as they are long.
                format!("SELECT DISTINCT concat({}) AS key FROM {from} WHERE {condition}", parts.join(", "))
            }
            What::Values { keys, keep } => {
                let wanted = schema.tags().filter(|c| keys.iter().any(|k| c.name.eq_ignore_ascii_case(k)) == *keep);
                let values = |name: &str, column: &str| {
                    let columns = format!("{} AS key, CAST({column} AS VARCHAR) AS value", literal(name));
                    format!("SELECT DISTINCT {columns} FROM {from} WHERE {column} IS NOT NULL AND {condition}")
                };
                let parts: Vec<String> = wanted.map(|c| values(&c.name, &quoted(&c.sql_name))).collect();
                match parts.is_empty() {
                    true => "SELECT '' AS key, '' AS value WHERE false".to_string(),
                    false => united(parts),
                }
            }
        };
        let columns = if self.what == What::Series { "key" } else { "key, value" };
        let order = self.order_by.as_ref().map_or(String::new(), |order| format!(" {order}"));
        let limit = self.limit.as_ref().map_or(String::new(), |limit| limit.to_string());
        Ok(format!("SELECT {columns} FROM ({rows}) AS shown{order}{limit}"))
    }

    /// Conditions speak of tags and time, and the order of what is shown.
    fn check(&self, schema: &TableSchema) -> Result<(), QueryError> {
        let statement = if self.what == What::Series { "SHOW SERIES" } else { "SHOW TAG VALUES" };
        let names = self.selection.as_ref().map(identifiers).unwrap_or_default();
        for name in &names {
            if let Some((field, ColumnKind::Field)) = super::find_column(schema, name) {
                return Err(Refusal::FieldInWhere { statement, field }.into());
            }
        }
        let shown: &[&str] = if self.what == What::Series { &["key"] } else { &["key", "value"] };
        if let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &self.order_by {
            for part in order {
                let fits = matches!(&part.expr, Expr::Identifier(name) if shown.iter().any(|s| name.value.eq_ignore_ascii_case(s)));
                if !fits {
                    return Err(QueryError::Plan(format!("{statement} can only be ordered by {}", shown.join(", "))));
                }
            }
        }
        Ok(())
    }
}

/// Questions put together, in their order, as a tree that is only as deep as it must be.
fn united(mut parts: Vec<String>) -> String {
    while parts.len() > 1 {
        let pair = |pair: &[String]| match pair {
            [a, b] => format!("({a} UNION ALL {b})"),
            one => one.concat(),
        };
        parts = parts.chunks(2).map(pair).collect();
    }
    parts.concat()
}

/// Names of columns in an expression, as they are written.
pub(super) fn identifiers(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
            match expr {
                Expr::Identifier(name) => self.0.push(name.value.clone()),
                Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(|name: &Ident| name.value.clone())),
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = expr.visit(&mut names);
    names.0
}

/// A name as SQL reads it back.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it back.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::super::statement::{Statement, parse};
    use super::*;
    use crate::model::{FieldType, RowIdentity};

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let mut schema = TableSchema::new(RowIdentity::Series);
        schema.add_missing_tag("a");
        schema.add_missing_tag("it's");
        schema.add_missing_field("f", FieldType::Float);
        let seen = match parse(text) {
            Ok(Statement::ShowTags(show)) => show.question("t", "t", &schema).map_err(|error| error.to_string()),
            Ok(other) => panic!("{text}: {other:?}"),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(seen.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn series_are_texts_of_the_tags_they_have() {
        let tags = r#"concat('t', CASE WHEN "a" IS NULL THEN '' ELSE ',a=' || "a" END, CASE WHEN "it's" IS NULL THEN '' ELSE ',it''s=' || "it's" END)"#;
        let all = format!("SELECT key FROM (SELECT DISTINCT {tags} AS key FROM t WHERE true) AS shown");
        check("show series from t", Ok(&all));
        let some = format!(
            "SELECT key FROM (SELECT DISTINCT {tags} AS key FROM t WHERE (a = 'x''y')) AS shown ORDER BY key DESC LIMIT 2"
        );
        check("SHOW SERIES ON d FROM t WHERE a = 'x''y' ORDER BY key DESC LIMIT 2", Ok(&some));
        check("show series", Err("Expected: FROM, found: EOF"));
        check("show series from t where F > 1", Err("SHOW SERIES does not support where clause contains field f"));
        check("show series from t order by f", Err("SHOW SERIES can only be ordered by key"));
    }

    #[test]
    fn values_are_of_the_keys_that_are_named_or_of_the_others() {
        let of_a = r#"SELECT DISTINCT 'a' AS key, CAST("a" AS VARCHAR) AS value FROM t WHERE "a" IS NOT NULL AND true"#;
        let expected = format!("SELECT key, value FROM ({of_a}) AS shown");
        for keys in ["= \"a\"", "IN (a, x)", "!= \"it's\"", "NOT IN (\"it's\")"] {
            check(&format!("show tag values from t with key {keys}"), Ok(&expected));
        }
        check(
            "show tag values from t with key = x",
            Ok("SELECT key, value FROM (SELECT '' AS key, '' AS value WHERE false) AS shown"),
        );
        check("show tag values from t", Err("Expected: WITH, found: EOF"));
    }

    #[test]
    fn of_very_many_tags_a_question_is_not_deep() {
        let mut schema = TableSchema::new(RowIdentity::Series);
        (0..3_000).for_each(|tag| schema.add_missing_tag(&format!("t{tag}")));
        for text in ["show series from t", "show tag values from t with key != x"] {
            let Ok(Statement::ShowTags(show)) = parse(text) else { panic!("{text}") };
            let question = show.question("t", "t", &schema).unwrap();
            assert!(super::super::statement::parse_text(&question).is_ok(), "{text}");
        }
        let parts = ["a", "b", "c", "d", "e"].map(str::to_string).to_vec();
        assert_eq!(united(parts), "(((a UNION ALL b) UNION ALL (c UNION ALL d)) UNION ALL e)");
    }
}
