//! The helpers that statements are parsed with: look at the next token, take it, demand it.
//!
//! Recursive descent, a token of look-ahead. Blanks and comments are skipped unless a helper says otherwise.

use super::ast::{Query, Statement};
use super::duration::Duration;
use super::error::ParseError;
use super::ident::Ident;
use super::language;
use super::lexer::Lexer;
use super::params::Params;
use super::token::{Keyword, Lexeme, Token};

/// Text that is being parsed, and how far.
#[derive(Debug)]
pub struct Parser<'a> {
    /// Stands before `ahead`.
    lexer: Lexer<'a>,
    params: &'a Params,
    /// The next token, once it was looked at, and where the lexer stands after it.
    ahead: Option<(Lexeme, Lexer<'a>)>,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str, params: &'a Params) -> Self {
        Parser { lexer: Lexer::new(text), params, ahead: None }
    }

    /// Statements separated by `;`, up to the end.
    pub fn query(&mut self) -> Result<Query, ParseError> {
        let mut statements: Vec<Statement> = Vec::new();
        let mut separated = true;
        loop {
            match self.peek().token {
                Token::Eof => return Ok(Query { statements }),
                Token::Semicolon => {
                    self.next_token();
                    separated = true;
                }
                _ if separated => {
                    statements.push(language::parse_statement(self)?);
                    separated = false;
                }
                _ => return Err(ParseError::unexpected(self.peek(), &[";"])),
            }
        }
    }

    /// The next token, which stays. Blanks before it are gone afterwards.
    pub fn peek(&mut self) -> &Lexeme {
        let (lexer, params) = (&mut self.lexer, self.params);
        let (lexeme, _) = self.ahead.get_or_insert_with(|| {
            loop {
                let mut after = *lexer;
                let lexeme = bind(after.next_token(), params);
                match lexeme.token {
                    Token::Whitespace(_) | Token::Comment => *lexer = after,
                    _ => break (lexeme, after),
                }
            }
        });
        lexeme
    }

    /// Takes the next token.
    pub fn next_token(&mut self) -> Lexeme {
        self.peek();
        let (lexeme, after) = self.ahead.take().expect("peek fills it");
        self.lexer = after;
        lexeme
    }

    /// Takes the next token if it is `keyword`; says whether.
    pub fn take(&mut self, keyword: Keyword) -> bool {
        let found = self.peek().token == Token::Keyword(keyword);
        if found {
            self.next_token();
        }
        found
    }

    /// Takes `keyword`, which must be next.
    pub fn expect(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        match self.take(keyword) {
            true => Ok(()),
            false => Err(ParseError::unexpected(self.peek(), &[keyword.as_str()])),
        }
    }

    /// Takes a name.
    pub fn ident(&mut self) -> Result<Ident, ParseError> {
        let found = self.next_token();
        match found.token {
            Token::Ident(name) => Ok(Ident(name)),
            _ => Err(ParseError::unexpected(&found, &["identifier"])),
        }
    }

    /// Takes a duration, or `INF`, which is zero.
    pub fn duration(&mut self) -> Result<Duration, ParseError> {
        let found = self.next_token();
        match &found.token {
            Token::Duration(text) => text.parse().map_err(|cause| ParseError::Duration { cause, at: found.at }),
            Token::Keyword(Keyword::Inf) => Ok(Duration::INFINITE),
            _ => Err(ParseError::unexpected(&found, &["duration"])),
        }
    }

    /// Takes an integer between `min` and `max`, both included.
    pub fn integer(&mut self, min: i64, max: i64) -> Result<i64, ParseError> {
        let found = self.next_token();
        let at = found.at;
        let Token::Integer(digits) = found.token else { return Err(ParseError::unexpected(&found, &["integer"])) };
        match digits.parse() {
            Ok(value) if (min..=max).contains(&value) => Ok(value),
            Ok(value) => Err(ParseError::OutOfRange { value, min, max, at }),
            Err(_) => Err(ParseError::IntegerTooLarge { digits, at }),
        }
    }
}

/// `lexeme`, or what is bound to it.
fn bind(lexeme: Lexeme, params: &Params) -> Lexeme {
    let Token::BoundParam(name) = &lexeme.token else { return lexeme };
    match params.token(name).filter(|_| !name.is_empty()) {
        Some(token) => Lexeme { token, at: lexeme.at },
        None => lexeme,
    }
}
