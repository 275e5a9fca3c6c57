//! Characters → tokens.
//!
//! What counts as a token, and which position an error names for it, follows the server's scanner to the letter,
//! with its oddities, because clients and tests compare the messages:
//!
//! - a string's position is that of the character before its opening quote, a regular expression's likewise;
//! - the end of the text counts as one character when something before it (a word, blanks, a comment) ran into it,
//!   so the end after `SHOW` is at char 6, after `*` right behind it;
//! - a word glued to a quoted identifier is dropped: `a"b"` is the identifier `b`.
//!
//! One thing differs: a NUL is a character like any other; it does not end the text.

use super::token::{Keyword, Lexeme, Position, Token};

/// A place in the text, and how to go on from there. Copying it is how to come back.
#[derive(Debug, Clone, Copy)]
pub struct Lexer<'a> {
    rest: &'a str,
    /// Of the character that is read next.
    at: Position,
    /// Of the character that was read last.
    before: Position,
    /// The end was read, and counted.
    ended: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Lexer { rest: text, at: Position::START, before: Position::START, ended: false }
    }

    /// The next token; [`Token::Eof`] at the end, again and again. Never a regular expression: `/` is division here.
    pub fn next_token(&mut self) -> Lexeme {
        let at = self.at;
        let token = match self.peek() {
            Some('"' | '_' | 'a'..='z' | 'A'..='Z') => return self.word(at),
            Some('\'') => return self.string(),
            Some('$') => {
                self.read();
                return Lexeme { token: self.parameter(), at };
            }
            Some('0'..='9') => self.number(),
            Some('.') if self.second().is_some_and(|c| c.is_ascii_digit()) => self.number(),
            Some(' ' | '\t' | '\n') => self.whitespace(),
            Some(first) => {
                self.read();
                self.symbol(first)
            }
            None => {
                self.read();
                Token::Eof
            }
        };
        Lexeme { token, at }
    }

    /// The regular expression `/…/` that begins with the next character, if that is a slash.
    ///
    /// Whether one may stand here is for the parser to know; skip blanks first. Only `\/` is an escape, everything
    /// else is left to the expression.
    pub fn regex(&mut self) -> Option<Lexeme> {
        let at = self.before;
        if self.peek() != Some('/') {
            return None;
        }
        self.read();
        let mut text = String::new();
        let token = loop {
            match self.read() {
                Some('/') => break Token::Regex(text),
                Some('\n') | None => break Token::BadRegex,
                Some('\\') if self.peek() == Some('/') => {
                    self.read();
                    text.push('/');
                }
                Some(c) => text.push(c),
            }
        };
        Some(Lexeme { token, at })
    }

    /// The character that is read next. At the end this counts as reading the end.
    pub fn look(&mut self) -> Option<char> {
        self.run_into_end();
        self.peek()
    }

    /// An identifier or a keyword.
    fn word(&mut self, at: Position) -> Lexeme {
        let bare = self.take_while(is_word_char);
        if self.peek() != Some('"') {
            self.run_into_end();
            return Lexeme {
                token: Keyword::of(bare).map_or_else(|| Token::Ident(bare.to_string()), Token::Keyword),
                at,
            };
        }
        match self.string() {
            Lexeme { token: Token::String(name), .. } => Lexeme { token: Token::Ident(name), at },
            bad => bad,
        }
    }

    /// What follows `$`.
    fn parameter(&mut self) -> Token {
        let bare = self.take_while(is_word_char);
        if self.peek() != Some('"') {
            self.run_into_end();
            return Token::BoundParam(bare.to_string());
        }
        match self.string().token {
            Token::String(name) => Token::BoundParam(name),
            Token::BadString(text) => Token::BadString(format!("${text}")),
            escape => Token::BadEscape(format!("${escape}")),
        }
    }

    /// A string up to the same quote that it begins with.
    fn string(&mut self) -> Lexeme {
        let at = self.before;
        let quote = self.read();
        let mut text = String::new();
        loop {
            match self.read() {
                end if end == quote => return Lexeme { token: Token::String(text), at },
                Some('\n') | None => return Lexeme { token: Token::BadString(text), at },
                Some('\\') => match self.read() {
                    Some('n') => text.push('\n'),
                    Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                    other => {
                        let escape = std::iter::once('\\').chain(other).collect();
                        return Lexeme { token: Token::BadEscape(escape), at: self.before };
                    }
                },
                Some(c) => text.push(c),
            }
        }
    }

    /// Begins with a digit, or with a point before one. A point ends `5.` without being part of it.
    fn number(&mut self) -> Token {
        let whole = self.take_while(|c| c.is_ascii_digit());
        match self.peek() {
            Some('.') => {
                self.read();
                let fraction = self.take_while(|c| c.is_ascii_digit());
                let point = if fraction.is_empty() { "" } else { "." };
                Token::Number(format!("{whole}{point}{fraction}"))
            }
            Some('µ' | 'a'..='z' | 'A'..='Z') => {
                let units = self.take_while(|c| c.is_ascii_alphanumeric() || c == 'µ');
                Token::Duration(format!("{whole}{units}"))
            }
            _ => Token::Integer(whole.to_string()),
        }
    }

    fn whitespace(&mut self) -> Token {
        let mut text = String::new();
        while let Some(c @ (' ' | '\t' | '\n')) = self.peek() {
            self.read();
            text.push(c);
        }
        self.run_into_end();
        Token::Whitespace(text)
    }

    /// Operators, punctuation, comments, and what is none of them.
    fn symbol(&mut self, first: char) -> Token {
        match (first, self.peek()) {
            ('-', Some('-')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('=', Some('~')) => self.and(Token::EqRegex),
            ('!', Some('~')) => self.and(Token::NotEqRegex),
            ('!', Some('=')) | ('<', Some('>')) => self.and(Token::NotEq),
            ('<', Some('=')) => self.and(Token::LessEq),
            ('>', Some('=')) => self.and(Token::GreaterEq),
            (':', Some(':')) => self.and(Token::DoubleColon),
            ('+', _) => Token::Add,
            ('-', _) => Token::Sub,
            ('*', _) => Token::Mul,
            ('/', _) => Token::Div,
            ('%', _) => Token::Mod,
            ('&', _) => Token::BitAnd,
            ('|', _) => Token::BitOr,
            ('^', _) => Token::BitXor,
            ('=', _) => Token::Eq,
            ('<', _) => Token::Less,
            ('>', _) => Token::Greater,
            ('(', _) => Token::LeftParen,
            (')', _) => Token::RightParen,
            (',', _) => Token::Comma,
            (':', _) => Token::Colon,
            (';', _) => Token::Semicolon,
            ('.', _) => Token::Dot,
            _ => Token::Illegal(first),
        }
    }

    /// `token`, of which one more character is to be read.
    fn and(&mut self, token: Token) -> Token {
        self.read();
        token
    }

    fn line_comment(&mut self) -> Token {
        while !matches!(self.read(), Some('\n') | None) {}
        Token::Comment
    }

    fn block_comment(&mut self) -> Token {
        self.read();
        loop {
            match self.read() {
                Some('*') if self.peek() == Some('/') => return self.and(Token::Comment),
                Some(_) => {}
                None => return Token::UnterminatedComment,
            }
        }
    }

    /// The characters from here on that are `wanted`, none of which may be a line end.
    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        for _ in taken.chars() {
            self.before = self.at;
            self.at.char += 1;
        }
        self.rest = rest;
        taken
    }

    /// Reads the end of the text if it is next.
    fn run_into_end(&mut self) {
        if self.rest.is_empty() {
            self.read();
        }
    }

    /// The next character; `\r\n` and `\r` alone are one `\n`.
    fn peek(&self) -> Option<char> {
        self.rest.chars().next().map(|c| if c == '\r' { '\n' } else { c })
    }

    fn second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }

    /// Takes what [`peek`](Self::peek) shows. The end takes one place, once.
    fn read(&mut self) -> Option<char> {
        self.before = self.at;
        let mut chars = self.rest.chars();
        let raw = chars.next();
        self.rest = chars.as_str();
        match raw {
            Some('\r' | '\n') => {
                if raw == Some('\r') {
                    self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
                }
                self.at = Position { line: self.at.line + 1, char: 1 };
                Some('\n')
            }
            Some(c) => {
                self.at.char += 1;
                Some(c)
            }
            None => {
                self.at.char += usize::from(!self.ended);
                self.ended = true;
                None
            }
        }
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` reads as tokens printed the way errors print them, each with `@line:char`.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        loop {
            let Lexeme { token, at } = lexer.next_token();
            found.push(format!("{token}@{}:{}", at.line, at.char));
            if token == Token::Eof {
                break;
            }
        }
        assert_eq!(found, expected, "{text:?}");
    }

    #[track_caller]
    fn check_token(text: &str, expected: Token) {
        assert_eq!(Lexer::new(text).next_token().token, expected, "{text:?}");
    }

    #[track_caller]
    fn check_regex(text: &str, expected: Option<Token>) {
        assert_eq!(Lexer::new(text).regex().map(|found| found.token), expected, "{text:?}");
    }

    #[test]
    fn words_are_keywords_in_any_case_or_identifiers_as_written() {
        check_token("sElEcT", Token::Keyword(Keyword::Select));
        check_token("Selects", Token::Ident("Selects".into()));
        check_token("_a1", Token::Ident("_a1".into()));
        check_token("\"select\"", Token::Ident("select".into()));
        check_token(r#""a\"b\\c\nd\'e""#, Token::Ident("a\"b\\c\nd'e".into()));
        check_token("time", Token::Ident("time".into()));
        check_token("true", Token::Keyword(Keyword::True));
    }

    #[test]
    fn every_keyword_is_found_by_its_own_spelling() {
        for &keyword in Keyword::ALL {
            check_token(keyword.as_str(), Token::Keyword(keyword));
            check_token(&keyword.as_str().to_lowercase(), Token::Keyword(keyword));
        }
    }

    #[test]
    fn strings_lose_quotes_and_escapes() {
        check_token(r"'it\'s \\ \n \'", Token::BadString("it's \\ \n '".into()));
        check_token(r"'it\'s'", Token::String("it's".into()));
        check_token("'a\"b'", Token::String("a\"b".into()));
        check_token("''", Token::String(String::new()));
        check_token("'a\nb'", Token::BadString("a".into()));
        check_token(r"'a\qb'", Token::BadEscape(r"\q".into()));
        check_token(r"'a\", Token::BadEscape(r"\".into()));
        check_token("\"open", Token::BadString("open".into()));
    }

    #[test]
    fn numbers_are_told_apart_by_what_follows_the_digits() {
        check_token("12", Token::Integer("12".into()));
        check_token("1.50", Token::Number("1.50".into()));
        check_token(".5", Token::Number(".5".into()));
        check_token("5.", Token::Number("5".into()));
        check_token("1h30m", Token::Duration("1h30m".into()));
        check_token("10µ", Token::Duration("10µ".into()));
        check_token("1e3", Token::Duration("1e3".into()));
        check("1.2.3", &["1.2@1:1", ".3@1:4", "EOF@1:6"]);
        check("1_0", &["1@1:1", "_0@1:2", "EOF@1:5"]);
        check(".a", &[".@1:1", "a@1:2", "EOF@1:4"]);
    }

    #[test]
    fn parameters_may_be_quoted() {
        check_token("$h", Token::BoundParam("h".into()));
        check_token("$\"any name\"", Token::BoundParam("any name".into()));
        check_token("$1", Token::BoundParam("1".into()));
        check_token("$", Token::BoundParam(String::new()));
        check_token("$\"open", Token::BadString("$open".into()));
        check_token("$\"", Token::BadString("$".into()));
        check_token("$\"a\\q\"", Token::BadEscape("$\\q".into()));
    }

    #[test]
    fn operators_take_the_longest_form() {
        check("+-*/%&|^", &["+@1:1", "-@1:2", "*@1:3", "/@1:4", "%@1:5", "&@1:6", "|@1:7", "^@1:8", "EOF@1:9"]);
        check(
            "= =~ != !~ <>",
            &["=@1:1", " @1:2", "=~@1:3", " @1:5", "!=@1:6", " @1:8", "!~@1:9", " @1:11", "!=@1:12", "EOF@1:14"],
        );
        check("<<=>>=", &["<@1:1", "<=@1:2", ">@1:4", ">=@1:5", "EOF@1:7"]);
        check("(),;.:::", &["(@1:1", ")@1:2", ",@1:3", ";@1:4", ".@1:5", "::@1:6", ":@1:8", "EOF@1:9"]);
    }

    #[test]
    fn what_begins_no_token_is_quoted_alone() {
        check("!a", &["!@1:1", "a@1:2", "EOF@1:4"]);
        check("é#", &["é@1:1", "#@1:2", "EOF@1:3"]);
        check("\0a", &["\0@1:1", "a@1:2", "EOF@1:4"]);
    }

    #[test]
    fn comments_end_with_the_line_or_the_star() {
        check("a--x 'y\nb", &["a@1:1", "@1:2", "b@2:1", "EOF@2:3"]);
        check("--", &["@1:1", "EOF@1:4"]);
        check("/* '**/a", &["@1:1", "a@1:8", "EOF@1:10"]);
        check("/*/", &["ILLEGAL@1:1", "EOF@1:5"]);
        check("/*\n*", &["ILLEGAL@1:1", "EOF@2:3"]);
    }

    #[test]
    fn positions_count_characters_and_lines() {
        check("é a\n b", &["é@1:1", " @1:2", "a@1:3", "\n @1:4", "b@2:2", "EOF@2:4"]);
        check("a\r\nb\rc", &["a@1:1", "\n@1:2", "b@2:1", "\n@2:2", "c@3:1", "EOF@3:3"]);
    }

    #[test]
    fn the_end_counts_once_for_what_runs_into_it() {
        check("", &["EOF@1:1"]);
        check("a", &["a@1:1", "EOF@1:3"]);
        check("a ", &["a@1:1", " @1:2", "EOF@1:4"]);
        check("*", &["*@1:1", "EOF@1:2"]);
        check("12", &["12@1:1", "EOF@1:3"]);
        check("\"a\"", &["a@1:1", "EOF@1:4"]);
        check("$a", &["$a@1:1", "EOF@1:4"]);
    }

    #[test]
    fn a_string_stands_where_the_character_before_it_does() {
        check("'a'", &["a@1:1", "EOF@1:4"]);
        check("a 'b'", &["a@1:1", " @1:2", "b@1:2", "EOF@1:6"]);
        check("\n'b'", &["\n@1:1", "b@1:1", "EOF@2:4"]);
        check("=\"open", &["=@1:1", "open@1:1", "EOF@1:8"]);
        check("=\"b\"", &["=@1:1", "b@1:2", "EOF@1:5"]);
        check(r"'ab\q'", &[r"\q@1:5", "BADSTRING@1:5", "EOF@1:8"]);
    }

    #[test]
    fn a_word_before_a_quoted_identifier_is_dropped() {
        check("from\"cpu\"", &["cpu@1:1", "EOF@1:10"]);
        check("$a\"b\"", &["$b@1:1", "EOF@1:6"]);
    }

    #[test]
    fn regular_expressions_keep_all_escapes_but_the_slash() {
        check_regex(r"/a\\/b/", Some(Token::Regex(r"a\/b".into())));
        check_regex(r"/a\/b\d/ x", Some(Token::Regex(r"a/b\d".into())));
        check_regex("//", Some(Token::Regex(String::new())));
        check_regex("/a", Some(Token::BadRegex));
        check_regex("/a\nb/", Some(Token::BadRegex));
        check_regex("a", None);
        check_regex("", None);
    }

    #[test]
    fn a_regular_expression_is_read_only_on_request() {
        let mut lexer = Lexer::new("=~ /a/");
        assert_eq!(lexer.next_token().token, Token::EqRegex);
        assert_eq!(lexer.next_token().token, Token::Whitespace(" ".into()));
        let found = lexer.regex().expect("a slash is next");
        assert_eq!(found, Lexeme { token: Token::Regex("a".into()), at: Position { line: 1, char: 3 } });
        assert_eq!(lexer.next_token().token, Token::Eof);
    }
}
