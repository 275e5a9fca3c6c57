//! Tokens to statements: by recursive descent, one file a family of statements.

mod ddl;
mod expr;
mod insert;
mod query;
mod show;

use super::ast::{Statement, TableName};
use super::error::TdError;
use super::lexer::{Spanned, Token, folded, tokens};

pub(in crate::query::tdsql) use show::list_word;

/// How deep expressions and queries may be nested.
const DEPTH_MAX: usize = 60;
/// How many operators, arguments and branches one statement may have, by their weight: what is nested adds up. Lists that
/// stay flat (values, IN, the columns of a SELECT) do not count. Plans within it fit into
/// [`STACK_BYTES`](crate::query::STACK_BYTES) even without optimisation.
const OPERATORS_MAX: usize = 1000;
/// The weight of an operator whose chains are as deep as they are long, casts between the links included.
const CHAINED_WEIGHT: usize = 4;
/// The weight of a UNION or a JOIN: each makes several levels of a plan, which the optimizer walks again and again.
const SOURCE_WEIGHT: usize = 10;

/// Parses one statement; a semicolon may end it.
pub fn parse(text: &str) -> Result<Statement, TdError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, operators: 0 };
    let statement = parser.statement()?;
    parser.accept_sign(";");
    match parser.peek() {
        Token::End => Ok(statement),
        _ => Err(parser.unexpected()),
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
    /// Those of the statement so far.
    operators: usize,
}

type Parsed<T> = Result<T, TdError>;

impl Parser<'_> {
    fn statement(&mut self) -> Parsed<Statement> {
        let Token::Word(word) = self.peek() else {
            if self.is_sign("(") {
                return Ok(Statement::Query(Box::new(self.query()?)));
            }
            return Err(self.unexpected());
        };
        match word.as_str() {
            "select" => Ok(Statement::Query(Box::new(self.query()?))),
            "explain" => self.explain(),
            "insert" | "import" => self.insert(),
            "delete" => self.delete(),
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop(),
            "describe" | "desc" => {
                self.next();
                Ok(Statement::Describe(self.table_name()?))
            }
            "show" => self.show(),
            "use" => {
                self.next();
                Ok(Statement::Use(self.name()?))
            }
            "grant" | "revoke" => {
                self.skip_rest();
                Ok(Statement::Grant)
            }
            "flush" | "compact" | "trim" | "balance" | "reset" | "redistribute" | "merge" | "split" => {
                self.skip_rest();
                Ok(Statement::Maintenance)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn explain(&mut self) -> Parsed<Statement> {
        self.next();
        let run = self.accept("analyze");
        if self.accept("verbose") && !self.accept("true") {
            self.expect("false")?;
        }
        Ok(Statement::Explain { query: Box::new(self.query()?), run })
    }

    // Tokens

    fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].token
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].token.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn skip_rest(&mut self) {
        while !matches!(self.peek(), Token::End | Token::Sign(";")) {
            self.next();
        }
    }

    /// What the statement goes on with is not what it may go on with.
    fn unexpected(&self) -> TdError {
        match self.peek() {
            Token::End => TdError::Incomplete,
            _ => TdError::Syntax(folded(self.text[self.tokens[self.at].at.start..].trim_end())),
        }
    }

    fn is(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    fn is_ahead(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(found) if found == word)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn is_sign_ahead(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Sign(found) if *found == sign)
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.next();
        }
        found
    }

    fn accept_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.accept(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.accept_sign(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// `IF [NOT] EXISTS`
    fn if_exists(&mut self, negated: bool) -> Parsed<bool> {
        if !self.accept("if") {
            return Ok(false);
        }
        if negated {
            self.expect("not")?;
        }
        self.expect("exists")?;
        Ok(true)
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Token::Word(_) | Token::Quoted(_) => match self.next() {
                Token::Word(name) | Token::Quoted(name) => Ok(name),
                _ => Err(self.unexpected()),
            },
            _ => Err(self.unexpected()),
        }
    }

    fn table_name(&mut self) -> Parsed<TableName> {
        let first = self.name()?;
        if self.accept_sign(".") {
            return Ok(TableName { database: Some(first), table: self.name()? });
        }
        Ok(TableName { database: None, table: first })
    }

    /// `(a, b, …)`
    fn names_in_brackets(&mut self) -> Parsed<Vec<String>> {
        self.expect_sign("(")?;
        let names = self.list(Self::name)?;
        self.expect_sign(")")?;
        Ok(names)
    }

    fn text_literal(&mut self) -> Parsed<String> {
        match self.peek() {
            Token::Text(_) => match self.next() {
                Token::Text(text) => Ok(text),
                _ => Err(self.unexpected()),
            },
            _ => Err(self.unexpected()),
        }
    }

    fn integer(&mut self) -> Parsed<u64> {
        let Token::Number(digits) = self.peek() else { return Err(self.unexpected()) };
        let number = digits.parse().map_err(|_| self.unexpected())?;
        self.next();
        Ok(number)
    }

    /// One or more, with commas between them.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.accept_sign(",") {
            all.push(one(self)?);
        }
        Ok(all)
    }

    /// Goes down one level of nesting.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(TdError::NotSupported("nesting that deep".to_string()));
        }
        self.depth += 1;
        let inner = inner(self);
        self.depth -= 1;
        inner
    }

    /// Counts operators against what a statement may have.
    fn operators(&mut self, more: usize) -> Parsed<()> {
        self.operators += more;
        if self.operators > OPERATORS_MAX {
            return Err(TdError::NotSupported(format!("a statement of more than {OPERATORS_MAX} operators")));
        }
        Ok(())
    }

    /// The text from a token on up to the one at hand, folded.
    fn text_since(&self, first: usize) -> String {
        let from = self.tokens[first].at.start;
        let to = if self.at > first { self.tokens[self.at - 1].at.end } else { from };
        folded(&self.text[from..to])
    }
}
