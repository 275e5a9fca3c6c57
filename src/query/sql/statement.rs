//! Which statement a text is, told by its first words on the tokens of the engine's own parser; questions are then parsed by it.

use datafusion::common::TableReference;
use datafusion::sql::parser::{DFParserBuilder, Statement as EngineStatement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::query::error::{QueryError, TOO_DEEP};

use super::access;
use super::copy::{self, Copy};
use super::ddl::{self, Ddl};
use super::external;
use super::show::{self, ShowTags};
use super::tables::{self, TableDdl};

/// How deep a statement may nest in parentheses and the like.
const NESTING_MAX: usize = 64;
/// How deep the tree of an expression may get by chains (`a or b or c …`): the engine walks it by recursion. It fits into
/// [`STACK_BYTES`](crate::query::STACK_BYTES) even without optimisation.
const DEPTH_MAX: usize = 500;

/// One statement.
#[derive(Debug)]
pub(super) enum Statement {
    /// A query or its explanation.
    Question(Box<EngineStatement>),
    Describe {
        table: TableReference,
    },
    ShowTables {
        database: Option<String>,
    },
    ShowDatabases,
    ShowQueries,
    ShowTags(Box<ShowTags>),
    DescribeDatabase {
        name: String,
    },
    /// INSERT, UPDATE or DELETE.
    Change(Box<SqlStatement>),
    Ddl(Ddl),
    Copy(Box<Copy>),
}

/// Parses exactly one statement; one `;` after it is fine.
pub(super) fn parse(text: &str) -> Result<Statement, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| QueryError::Syntax(error.to_string()))?;
    let mut statements: Vec<Vec<TokenWithSpan>> = Vec::new();
    for part in tokens.split(|t| t.token == Token::SemiColon) {
        if part.iter().any(|t| is_solid(&t.token)) {
            statements.push(part.to_vec());
        }
    }
    match statements.len() {
        0 => Err(QueryError::Empty),
        1 => parse_one(statements.swap_remove(0)),
        found => Err(QueryError::MultipleStatements { found }),
    }
}

/// No less than the depth of the deepest tree that the parser can build of these tokens by chaining.
fn depth(tokens: &[TokenWithSpan]) -> usize {
    let mut outer: Vec<Chain> = Vec::new();
    let mut outer_depth = 0;
    let mut chain = Chain::default();
    let mut deepest = 0;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                outer_depth += chain.depth();
                outer.push(std::mem::take(&mut chain));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                chain = outer.pop().unwrap_or_default();
                outer_depth -= chain.depth();
                // What stands in brackets may be a link itself: a[1][2][3].
                chain.links += 1;
            }
            Token::Comma | Token::SemiColon => chain = Chain::default(),
            Token::Word(word) if word.quote_style.is_none() => chain.word(&word.value.to_uppercase()),
            Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Whitespace(_) | Token::EOF => {}
            _ => chain.links += 1,
        }
        deepest = deepest.max(outer_depth + chain.depth());
    }
    deepest
}

/// What is chained at one level of brackets: conditions by AND and OR, values inside one condition by anything else.
#[derive(Debug, Default, Clone, Copy)]
struct Chain {
    joints: usize,
    links: usize,
}

impl Chain {
    fn depth(&self) -> usize {
        self.joints + self.links
    }

    fn word(&mut self, word: &str) {
        match word {
            "AND" | "OR" | "XOR" | "UNION" | "EXCEPT" | "INTERSECT" | "MINUS" => {
                *self = Chain { joints: self.joints + 1, links: 0 };
            }
            "SELECT" | "FROM" | "WHERE" | "HAVING" | "ON" | "WHEN" | "THEN" | "ELSE" => self.links = 0,
            "IS" | "LIKE" | "ILIKE" | "IN" | "BETWEEN" | "COLLATE" | "AT" | "NOT" | "SIMILAR" | "DIV" | "OVERLAPS"
            | "RLIKE" | "REGEXP" | "NOTNULL" | "ISNULL" | "MEMBER" | "JOIN" => self.links += 1,
            _ => {}
        }
    }
}

fn is_solid(token: &Token) -> bool {
    !matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn parse_one(tokens: Vec<TokenWithSpan>) -> Result<Statement, QueryError> {
    let solid: Vec<&Token> = tokens.iter().map(|t| &t.token).filter(|t| is_solid(t)).collect();
    let words = Words { tokens: &solid, at: 0 };
    let (first, second) = (words.keyword(0), words.keyword(1));
    match (first.as_str(), second.as_str()) {
        ("CREATE", "DATABASE") => ddl::create_database(words.after(2)).map(Statement::Ddl),
        ("DROP", "DATABASE") => ddl::drop_database(words.after(2)).map(Statement::Ddl),
        ("RECOVER", "DATABASE") => ddl::recover_database(words.after(2)).map(Statement::Ddl),
        ("CREATE", "USER") => access::create_user(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("ALTER", "USER") => access::alter_user(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("DROP", "USER") => access::drop_user(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("CREATE", "ROLE") => access::create_role(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("DROP", "ROLE") => access::drop_role(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("CREATE", "TENANT") => access::create_tenant(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("DROP", "TENANT") => access::drop_tenant(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("ALTER", "TENANT") => access::alter_tenant(words.after(2)).map(Ddl::Access).map(Statement::Ddl),
        ("GRANT", _) => access::grant(words.after(1)).map(Ddl::Access).map(Statement::Ddl),
        ("REVOKE", _) => access::revoke(words.after(1)).map(Ddl::Access).map(Statement::Ddl),
        ("SHOW", "DATABASES") => words.after(2).end().map(|()| Statement::ShowDatabases),
        ("ALTER", "DATABASE") => ddl::alter_database(words.after(2)).map(Statement::Ddl),
        ("CREATE", "TABLE") => tables::create(words.after(2)).map(Ddl::Table).map(Statement::Ddl),
        ("CREATE", "EXTERNAL") => {
            let mut words = words.after(2);
            words.expect_keyword("TABLE")?;
            let new = external::parse(words)?;
            Ok(Statement::Ddl(Ddl::Table(TableDdl::CreateExternal(Box::new(new)))))
        }
        ("ALTER", "TABLE") => tables::alter(words.after(2)).map(Ddl::Table).map(Statement::Ddl),
        ("DROP", "TABLE") => tables::drop(words.after(2)).map(Ddl::Table).map(Statement::Ddl),
        ("SHOW", "TABLES") => show_tables(words.after(2)),
        ("SHOW", "QUERIES") => words.after(2).end().map(|()| Statement::ShowQueries),
        ("SHOW", "SERIES" | "TAG") => show::parse(&tokens).map(Box::new).map(Statement::ShowTags),
        ("SHOW", "COLUMNS") => show_columns(words.after(2)),
        ("DESCRIBE" | "DESC", "DATABASE") => describe_database(words.after(2)),
        ("INSERT" | "UPDATE" | "DELETE", _) => change(tokens),
        ("COPY", "INTO") => copy::parse(words.after(2)).map(Box::new).map(Statement::Copy),
        ("DESCRIBE" | "DESC", _) => describe(words.after(1)),
        ("SELECT" | "WITH" | "VALUES" | "EXPLAIN" | "TABLE" | "FROM" | "", _) => question(tokens),
        ("CREATE" | "ALTER" | "DROP" | "SHOW", _) if !second.is_empty() => Err(not_supported(&first, &second)),
        (verb, _) if OTHER_VERBS.contains(&verb) => Err(not_supported(&first, "")),
        _ => question(tokens),
    }
}

fn not_supported(first: &str, second: &str) -> QueryError {
    QueryError::NotSupported(format!("{first} {second}").trim_end().to_string())
}

/// Statements that are SQL and are not questions.
const OTHER_VERBS: [&str; 35] = [
    "MERGE",
    "TRUNCATE",
    "COPY",
    "SET",
    "RESET",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "LOAD",
    "UNLOAD",
    "INSTALL",
    "ATTACH",
    "DETACH",
    "DENY",
    "CALL",
    "USE",
    "BEGIN",
    "START",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "ANALYZE",
    "VACUUM",
    "OPTIMIZE",
    "KILL",
    "CACHE",
    "UNCACHE",
    "LOCK",
    "UNLOCK",
    "FLUSH",
    "DISCARD",
    "DECLARE",
    "FETCH",
    "RECOVER",
];

/// INSERT, UPDATE and DELETE as the engine's parser has them.
fn change(tokens: Vec<TokenWithSpan>) -> Result<Statement, QueryError> {
    match one_statement(tokens)? {
        EngineStatement::Statement(sql)
            if matches!(*sql, SqlStatement::Insert(_) | SqlStatement::Update(_) | SqlStatement::Delete(_)) =>
        {
            Ok(Statement::Change(sql))
        }
        other => Err(QueryError::NotSupported(other.to_string())),
    }
}

/// The only way of a statement to the engine's parser. Nothing is built of a text that would come out too deep: even dropping
/// such a tree takes more stack than there is.
fn one_statement(tokens: Vec<TokenWithSpan>) -> Result<EngineStatement, QueryError> {
    if depth(&tokens) > DEPTH_MAX {
        return Err(QueryError::Syntax(TOO_DEEP.to_string()));
    }
    let mut parser = DFParserBuilder::new(tokens).with_recursion_limit(NESTING_MAX).build()?;
    let mut statements = parser.parse_statements()?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (Some(_), others) => Err(QueryError::MultipleStatements { found: others + 1 }),
        (None, _) => Err(QueryError::Empty),
    }
}

/// The tokens of a text of ours.
pub(super) fn tokenize(text: &str) -> Result<Vec<Token>, QueryError> {
    Tokenizer::new(&GenericDialect {}, text).tokenize().map_err(|error| QueryError::Syntax(error.to_string()))
}

/// One statement of the engine's SQL out of tokens without their white space.
pub(super) fn parse_sql(tokens: Vec<Token>) -> Result<EngineStatement, QueryError> {
    one_statement(tokens.into_iter().map(TokenWithSpan::wrap).collect())
}

/// One statement of the engine's SQL out of a text of ours.
pub(super) fn parse_text(text: &str) -> Result<EngineStatement, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| QueryError::Syntax(error.to_string()))?;
    one_statement(tokens)
}

/// The tokens without white space.
pub(super) fn words_of(tokens: &[TokenWithSpan]) -> Vec<&Token> {
    tokens.iter().map(|t| &t.token).filter(|t| is_solid(t)).collect()
}

fn question(mut tokens: Vec<TokenWithSpan>) -> Result<Statement, QueryError> {
    name_functions(&mut tokens);
    let statement = one_statement(tokens)?;
    if is_question(&statement) {
        return Ok(Statement::Question(Box::new(statement)));
    }
    let text = statement.to_string();
    let verb = text.split_whitespace().next().unwrap_or("the statement").to_uppercase();
    Err(QueryError::NotSupported(verb))
}

/// A question out of tokens without their white space.
pub(super) fn question_of(tokens: Vec<TokenWithSpan>) -> Result<EngineStatement, QueryError> {
    match question(tokens)? {
        Statement::Question(question) => Ok(*question),
        other => Err(QueryError::internal(format!("{other:?} is no question"))),
    }
}

/// Makes a name of `current_user` where parentheses follow: the parser knows the word only without any.
fn name_functions(tokens: &mut [TokenWithSpan]) {
    for at in 1..tokens.len() {
        let (before, after) = tokens.split_at_mut(at);
        let Some(TokenWithSpan { token: Token::Word(word), .. }) = before.last_mut() else { continue };
        let is_called = after.first().is_some_and(|next| next.token == Token::LParen);
        if is_called && word.quote_style.is_none() && word.value.eq_ignore_ascii_case("current_user") {
            *word = Word { value: "current_user".to_string(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        }
    }
}

fn is_question(statement: &EngineStatement) -> bool {
    match statement {
        EngineStatement::Explain(explain) => is_query(&explain.statement),
        EngineStatement::Statement(sql) => matches!(**sql, SqlStatement::Query(_) | SqlStatement::ShowColumns { .. }),
        _ => false,
    }
}

fn is_query(statement: &EngineStatement) -> bool {
    matches!(statement, EngineStatement::Statement(sql) if matches!(**sql, SqlStatement::Query(_)))
}

/// `[ON | FROM | IN database]`
fn show_tables(mut words: Words<'_>) -> Result<Statement, QueryError> {
    let database = match words.take_keyword(&["ON", "FROM", "IN"]) {
        Some(_) => Some(words.name()?),
        None => None,
    };
    words.end()?;
    Ok(Statement::ShowTables { database })
}

/// `[TABLE] name`
fn describe(mut words: Words<'_>) -> Result<Statement, QueryError> {
    words.take_keyword(&["TABLE"]);
    let table = words.table_name()?;
    words.end()?;
    Ok(Statement::Describe { table })
}

/// `FROM | IN name`
fn show_columns(mut words: Words<'_>) -> Result<Statement, QueryError> {
    if words.take_keyword(&["FROM", "IN"]).is_none() {
        return words.expected("FROM");
    }
    describe(words)
}

fn describe_database(mut words: Words<'_>) -> Result<Statement, QueryError> {
    let name = words.name()?;
    words.end()?;
    Ok(Statement::DescribeDatabase { name })
}

/// The tokens of a statement without its white space, read from the left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    tokens: &'a [&'a Token],
    at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn new(tokens: &'a [&'a Token]) -> Self {
        Words { tokens, at: 0 }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a [&'a Token] {
        &self.tokens[self.at..]
    }

    /// A table's name of one, two or three parts.
    pub(super) fn table_name(&mut self) -> Result<TableReference, QueryError> {
        let mut parts = vec![self.name()?];
        while self.take(&Token::Period) {
            parts.push(self.name()?);
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(table), None, ..) => Ok(TableReference::bare(table)),
            (Some(database), Some(table), None, _) => Ok(TableReference::partial(database, table)),
            (Some(tenant), Some(database), Some(table), None) => Ok(TableReference::full(tenant, database, table)),
            _ => Err(QueryError::Syntax("a table's name has at most three parts".to_string())),
        }
    }

    pub(super) fn expect_token(&mut self, token: &Token) -> Result<(), QueryError> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(&token.to_string())) }
    }

    pub(super) fn after(mut self, count: usize) -> Self {
        self.at += count;
        self
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).copied()
    }

    /// The unquoted word `ahead` places from here in upper case; empty when there is none.
    fn keyword(&self, ahead: usize) -> String {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => value.to_uppercase(),
            _ => String::new(),
        }
    }

    pub(super) fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Takes the next word when it is one of `wanted`, and says which.
    pub(super) fn take_keyword(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let found = self.keyword(0);
        let word = wanted.iter().find(|w| **w == found)?;
        self.at += 1;
        Some(word)
    }

    pub(super) fn expect_keyword(&mut self, wanted: &'static str) -> Result<(), QueryError> {
        self.take_keyword(&[wanted]).map(|_| ()).ok_or_else(|| self.unexpected(wanted))
    }

    /// Any next word in upper case.
    pub(super) fn any_keyword(&mut self) -> Option<String> {
        let word = self.keyword(0);
        if word.is_empty() {
            return None;
        }
        self.at += 1;
        Some(word)
    }

    /// `IF NOT EXISTS`, when it is next.
    pub(super) fn take_if_not_exists(&mut self) -> Result<bool, QueryError> {
        let found = self.take_keyword(&["IF"]).is_some();
        if found {
            self.expect_keyword("NOT")?;
            self.expect_keyword("EXISTS")?;
        }
        Ok(found)
    }

    /// `IF EXISTS`, when it is next.
    pub(super) fn take_if_exists(&mut self) -> Result<bool, QueryError> {
        let found = self.take_keyword(&["IF"]).is_some();
        if found {
            self.expect_keyword("EXISTS")?;
        }
        Ok(found)
    }

    /// A name: a word, quoted or not, or a string in single quotes. Kept as written.
    pub(super) fn name(&mut self) -> Result<String, QueryError> {
        let name = match self.peek() {
            Some(Token::Word(word)) => word.value.clone(),
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.at += 1;
        Ok(name)
    }

    /// Takes a text in quotes, if it is next.
    pub(super) fn take_text(&mut self) -> Option<String> {
        let Some(Token::SingleQuotedString(text)) = self.peek() else { return None };
        self.at += 1;
        Some(text.clone())
    }

    /// Takes what is in the parentheses that open next, if they do.
    pub(super) fn take_parentheses(&mut self) -> Result<Option<&'a [&'a Token]>, QueryError> {
        if !self.take(&Token::LParen) {
            return Ok(None);
        }
        let from = self.at;
        let mut open = 1;
        while open > 0 {
            match self.peek() {
                Some(Token::LParen) => open += 1,
                Some(Token::RParen) => open -= 1,
                Some(_) => {}
                None => return Err(self.unexpected(")")),
            }
            self.at += 1;
        }
        Ok(Some(&self.tokens[from..self.at - 1]))
    }

    /// A value of an option: a string or a number, as text.
    pub(super) fn value(&mut self) -> Result<String, QueryError> {
        let value = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            Some(Token::Number(digits, _)) => digits.clone(),
            Some(Token::Word(word)) => word.value.clone(),
            _ => return Err(self.unexpected("a value")),
        };
        self.at += 1;
        Ok(value)
    }

    pub(super) fn end(&self) -> Result<(), QueryError> {
        if self.peek().is_some() { Err(self.unexpected("end of statement")) } else { Ok(()) }
    }

    /// Fails: what comes next is not what was expected.
    pub(super) fn expected<T>(&self, expected: &str) -> Result<T, QueryError> {
        Err(self.unexpected(expected))
    }

    fn unexpected(&self, expected: &str) -> QueryError {
        let found = self.peek().map_or("EOF".to_string(), Token::to_string);
        QueryError::Syntax(format!("Expected: {expected}, found: {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Classify, Kind};

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = parse(text);
        let seen = parsed.as_ref().map(|s| match s {
            Statement::Question(question) => format!("question {question}"),
            other => format!("{other:?}"),
        });
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{text}"),
            (Err(seen), Err(expected)) => assert_eq!(seen.to_string(), expected, "{text}"),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }

    #[test]
    fn no_way_to_the_parser_builds_what_is_too_deep() {
        let chain = |text: &str| format!("SELECT 1 WHERE {}", vec![text; 5_000].join(" OR "));
        let too_deep = |error: QueryError| assert_eq!(error.to_string(), "the statement is nested too deeply");
        too_deep(parse_text(&chain("a")).unwrap_err());
        too_deep(parse_sql(words_of(&wrapped(&chain("a"))).into_iter().cloned().collect()).unwrap_err());
        too_deep(change(wrapped(&format!("DELETE FROM t WHERE {}", vec!["a"; 5_000].join(" OR ")))).unwrap_err());
        too_deep(question(wrapped(&chain("a"))).unwrap_err());
    }

    fn wrapped(text: &str) -> Vec<TokenWithSpan> {
        Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().unwrap()
    }

    #[test]
    fn one_statement_a_request() {
        check("select 1", Ok("question SELECT 1"));
        check(" select 1 ; ; -- end\n", Ok("question SELECT 1"));
        check("select ';'", Ok("question SELECT ';'"));
        check("select 1; select 2", Err("multiple statements are not allowed, found 2"));
        for nothing in ["", "  \n", ";", "-- only words\n", "/* only words */ ;"] {
            check(nothing, Err("the request holds no statement"));
        }
    }

    #[test]
    fn questions_and_short_forms() {
        check("with a as (select 1) select * from a", Ok("question WITH a AS (SELECT 1) SELECT * FROM a"));
        check("select Current_User() as u", Ok("question SELECT \"current_user\"() AS u"));
        check("explain analyze select 1", Ok("question EXPLAIN ANALYZE SELECT 1"));
        check("(select 1) union all values (2)", Ok("question (SELECT 1) UNION ALL VALUES (2)"));
        check("show tables on \"a/b\"", Ok("ShowTables { database: Some(\"a/b\") }"));
        check("SHOW TABLES;", Ok("ShowTables { database: None }"));
        check("show databases", Ok("ShowDatabases"));
        check("desc table d.t", Ok("Describe { table: Partial { schema: \"d\", table: \"t\" } }"));
        check("describe database D", Ok("DescribeDatabase { name: \"D\" }"));
        check("show columns from t", Ok("Describe { table: Bare { table: \"t\" } }"));
        check("show queries", Ok("ShowQueries"));
        check("describe t", Ok("Describe { table: Bare { table: \"t\" } }"));
        check("describe a.b.c.d", Err("a table's name has at most three parts"));
    }

    #[test]
    fn what_changes_something_is_refused_by_name() {
        let refused = [
            ("copy (select 1) to '/tmp/x.csv'", "COPY"),
            ("copy t to 's3://a/b'", "COPY"),
            ("create view v as select 1", "CREATE VIEW"),
            ("create or replace view v as select 1", "CREATE OR"),
            ("create function f() returns int return 1", "CREATE FUNCTION"),
            ("set datafusion.execution.batch_size = 1", "SET"),
            ("reset datafusion.execution.batch_size", "RESET"),
            ("show all", "SHOW ALL"),
            ("prepare p as select 1", "PREPARE"),
            ("execute p", "EXECUTE"),
            ("load data inpath 'x' into table t", "LOAD"),
            ("use d", "USE"),
            ("begin", "BEGIN"),
            ("explain copy (select 1) to '/tmp/x'", "EXPLAIN"),
            ("explain insert into t values (1)", "EXPLAIN"),
            ("explain create table t as select 1", "EXPLAIN"),
        ];
        for (text, name) in refused {
            check(text, Err(&format!("{name} is not supported")));
            assert_eq!(parse(text).unwrap_err().kind(), Kind::Unsupported);
        }
    }

    #[test]
    fn what_is_no_sql_is_a_syntax_error() {
        check("create table t as select 1", Err("Expected: (, found: as"));
        check("alter table t add column a int", Err("Expected: TAG or FIELD, found: column"));
        check("insert into t values (1); delete from t", Err("multiple statements are not allowed, found 2"));
        for text in ["selec 1", "select a from", "select 'a", "show tables x", "describe", "\u{1}", "42"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, QueryError::Syntax(_)), "{text}: {error:?}");
        }
        let deep = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        check(&deep, Err("the statement is nested too deeply"));
        for chain in ["1 + 1", "a or a", "a = a", "a[1]", "a::int", "(a) - 1"] {
            let (head, link) = chain.split_at(1 + 2 * usize::from(chain.starts_with('(')));
            check(&format!("select {head}{}", link.repeat(200_000)), Err("the statement is nested too deeply"));
        }
        assert!(parse(&format!("select 1 where {}", vec!["a = 1 + 2"; 400].join(" or "))).is_ok());
        assert!(parse(&format!("select {} in ({})", vec!["a + 1"; 400].join(", "), vec!["-1"; 400].join(","))).is_ok());
    }
}
