//! The helpers that statements are parsed with: look at the next token, take it, demand it.
//!
//! Recursive descent. Blanks and comments are skipped unless a helper says otherwise. The server's parser looks at
//! characters and at tokens that it put back side by side, and some of its answers follow from what it had put back;
//! this one therefore keeps the last three tokens as that one does.

use super::ast::{Query, Statement};
use super::duration::Duration;
use super::error::ParseError;
use super::ident::Ident;
use super::language;
use super::lexer::Lexer;
use super::params::Params;
use super::regex::Regex;
use super::token::{Keyword, Lexeme, Position, Token};

/// How many parentheses, calls and subqueries may be open at once.
pub const NESTING_MAX: usize = 100;

/// Text that is being parsed, and how far.
#[derive(Debug)]
pub struct Parser<'a> {
    /// Stands behind the newest of `recent`.
    lexer: Lexer<'a>,
    params: &'a Params,
    /// The last tokens that were read, blanks too, in a ring.
    recent: [Lexeme; 3],
    newest: usize,
    /// How many of `recent` were put back, to be read again.
    put_back: usize,
    /// How many parentheses, calls and subqueries are open.
    nesting: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str, params: &'a Params) -> Self {
        let nothing = Lexeme { token: Token::Eof, at: Position::START };
        let recent = [nothing.clone(), nothing.clone(), nothing];
        Parser { lexer: Lexer::new(text), params, recent, newest: 0, put_back: 0, nesting: 0 }
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

    /// Takes the next token, be it a blank or a comment.
    pub fn scan(&mut self) -> Lexeme {
        self.advance(Lexer::next_token);
        self.current().clone()
    }

    /// Puts the last token back. Three at most, and what was put back is read again, not looked at anew.
    pub fn unscan(&mut self) {
        self.put_back = (self.put_back + 1).min(self.recent.len());
    }

    /// The next character of the text, behind whatever was put back.
    pub fn look(&mut self) -> Option<char> {
        self.lexer.look()
    }

    /// The next token, which stays. Blanks before it are gone afterwards.
    pub fn peek(&mut self) -> &Lexeme {
        self.skip_to_token();
        self.unscan();
        &self.recent[self.index(self.put_back - 1)]
    }

    /// Takes the next token.
    pub fn next_token(&mut self) -> Lexeme {
        self.skip_to_token();
        self.current().clone()
    }

    /// Takes the next token if it is a run of blanks.
    pub fn take_whitespace(&mut self) {
        self.advance(Lexer::next_token);
        if !matches!(self.current().token, Token::Whitespace(_)) {
            self.unscan();
        }
    }

    /// Takes the next token if it is `keyword`; says whether.
    pub fn take(&mut self, keyword: Keyword) -> bool {
        self.take_token(&Token::Keyword(keyword))
    }

    /// Takes the next token if it is `token`; says whether.
    pub fn take_token(&mut self, token: &Token) -> bool {
        self.skip_to_token();
        let found = self.current().token == *token;
        if !found {
            self.unscan();
        }
        found
    }

    /// Takes `keyword`, which must be next.
    pub fn expect(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        self.expect_token(&Token::Keyword(keyword), keyword.as_str())
    }

    /// Takes `token`, which must be next; errors call it `name`.
    pub fn expect_token(&mut self, token: &Token, name: &'static str) -> Result<(), ParseError> {
        self.skip_to_token();
        match self.current() {
            found if found.token == *token => Ok(()),
            found => Err(ParseError::unexpected(found, &[name])),
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

    /// Takes a text in quotes.
    pub fn string(&mut self) -> Result<String, ParseError> {
        let found = self.next_token();
        match found.token {
            Token::String(text) => Ok(text),
            _ => Err(ParseError::unexpected(&found, &["string"])),
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

    /// Takes an integer that is no less than zero.
    pub fn unsigned(&mut self) -> Result<u64, ParseError> {
        let found = self.next_token();
        let Token::Integer(digits) = found.token else { return Err(ParseError::unexpected(&found, &["integer"])) };
        digits.parse().map_err(|_| {
            let why = if digits.starts_with('-') { "invalid syntax" } else { "value out of range" };
            ParseError::NotUnsigned { digits, why, at: found.at }
        })
    }

    /// Takes a regular expression, if the next character begins one.
    pub fn regex(&mut self) -> Result<Option<Regex>, ParseError> {
        if matches!(self.look(), Some(' ' | '\t' | '\n')) {
            self.take_whitespace();
        }
        match self.look() {
            Some('/') => {}
            Some('$') => {
                let bound = self.scan().token;
                self.unscan();
                if !matches!(bound, Token::Regex(_)) {
                    return Ok(None);
                }
            }
            _ => return Ok(None),
        }
        self.advance(|lexer| lexer.regex().unwrap_or_else(|| lexer.next_token()));
        let Lexeme { token, at } = self.current().clone();
        match token {
            Token::Regex(source) => Regex::new(&source).map(Some).map_err(|cause| ParseError::Regex { cause, at }),
            Token::BadRegex => Err(ParseError::BadRegex { at }),
            Token::BadEscape(escape) => Err(ParseError::BadEscape { escape, at }),
            token => Err(ParseError::unexpected(&Lexeme { token, at }, &["regex"])),
        }
    }

    /// Takes a regular expression, which must be next.
    pub fn expect_regex(&mut self) -> Result<Regex, ParseError> {
        match self.regex()? {
            Some(regex) => Ok(regex),
            None => Err(ParseError::unexpected(self.peek(), &["regex"])),
        }
    }

    /// Parses what is one level further in, unless that is too deep.
    pub fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.nesting == NESTING_MAX {
            return Err(ParseError::TooDeep { max: NESTING_MAX, at: self.current().at });
        }
        self.nesting += 1;
        let parsed = parse(self)?;
        self.nesting -= 1;
        Ok(parsed)
    }

    /// Goes to the next token that is no blank and no comment.
    fn skip_to_token(&mut self) {
        loop {
            self.advance(Lexer::next_token);
            if !matches!(self.current().token, Token::Whitespace(_) | Token::Comment) {
                break;
            }
        }
    }

    /// Goes to the next token: one that was put back, or else what `read` gives.
    fn advance(&mut self, read: impl FnOnce(&mut Lexer<'a>) -> Lexeme) {
        if self.put_back > 0 {
            self.put_back -= 1;
            return;
        }
        self.newest = (self.newest + 1) % self.recent.len();
        self.recent[self.newest] = bind(read(&mut self.lexer), self.params);
    }

    /// The token that was read last and not put back.
    fn current(&self) -> &Lexeme {
        &self.recent[self.index(self.put_back)]
    }

    /// Where the token stands that `back` others were read after.
    fn index(&self, back: usize) -> usize {
        (self.newest + 2 * self.recent.len() - back) % self.recent.len()
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
