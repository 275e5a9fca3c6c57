//! Text to tokens. Everything outside quotes is folded to lower case here, so that nothing behind it thinks of case.

use std::ops::Range;

use super::error::TdError;
use super::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or keyword, folded.
    Word(String),
    /// A name between backquotes, as it is.
    Quoted(String),
    /// Between `'` or `"`, without escapes.
    Text(String),
    /// Digits, folded.
    Number(String),
    Duration(Duration),
    /// An operator or punctuation.
    Sign(&'static str),
    End,
}

/// A token and where it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub at: Range<usize>,
}

const SIGNS: [&str; 24] = [
    "->", "<=", ">=", "<>", "!=", "==", "||", "(", ")", ",", ".", ";", "+", "-", "*", "/", "%", "=", "<", ">", "&",
    "|", "?", ":",
];

/// All tokens of a text, the last one [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, TdError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let token = lexer.token()?;
        let ended = token == Token::End;
        all.push(Spanned { token, at: start..lexer.at });
        if ended {
            return Ok(all);
        }
    }
}

/// `text` with everything outside quotes in lower case.
pub(super) fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            Some(q) => {
                if !escaped && c == q {
                    quote = None;
                }
                escaped = !escaped && c == '\\' && q != '`';
                out.push(c);
            }
            None => {
                if matches!(c, '\'' | '"' | '`') {
                    quote = Some(c);
                    escaped = false;
                }
                out.push(c.to_ascii_lowercase());
            }
        }
    }
    out
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn syntax(&self, from: usize) -> TdError {
        TdError::Syntax(folded(&self.text[from..]))
    }

    /// Blanks, comments and hints.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let length = if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else if trimmed.starts_with("--") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else {
                return;
            };
            self.at += length;
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn token(&mut self) -> Result<Token, TdError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                Ok(Token::Word(word.to_ascii_lowercase()))
            }
            '`' => self.quoted_name(),
            '\'' | '"' => self.quoted_text(first),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    Ok(Token::Sign(sign))
                }
                None => Err(self.syntax(self.at)),
            },
        }
    }

    fn quoted_name(&mut self) -> Result<Token, TdError> {
        let start = self.at;
        let rest = &self.rest()[1..];
        match rest.find('`') {
            Some(0) | None => Err(self.syntax(start)),
            Some(end) => {
                self.at += end + 2;
                Ok(Token::Quoted(rest[..end].to_string()))
            }
        }
    }

    fn quoted_text(&mut self, quote: char) -> Result<Token, TdError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    text.push(quote);
                    continue;
                }
                self.at += at + 1;
                return Ok(Token::Text(text));
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                None => break,
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                // Kept for LIKE, and for bytes in hex.
                Some(c @ ('%' | '_' | 'x')) => text.extend(['\\', c]),
                Some(other) => text.push(other),
            }
        }
        Err(self.syntax(start))
    }

    fn number(&mut self) -> Result<Token, TdError> {
        let start = self.at;
        let rest = self.rest();
        if rest.len() > 2 && (rest.starts_with("0x") || rest.starts_with("0X") || rest.starts_with("0b")) {
            let hex = !rest.starts_with("0b");
            let digits = rest[2..].find(|c: char| if hex { !c.is_ascii_hexdigit() } else { !matches!(c, '0' | '1') });
            let digits = digits.unwrap_or(rest.len() - 2);
            if digits > 0 {
                self.at += 2 + digits;
                return Ok(Token::Number(rest[..2 + digits].to_ascii_lowercase()));
            }
        }
        self.take_while(|c| c.is_ascii_digit());
        if self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        } else if self.rest().starts_with('.')
            && !self.rest()[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '`')
        {
            self.at += 1;
        }
        let mantissa = &self.text[start..self.at];
        let rest = self.rest();
        let exponent = rest.strip_prefix(['e', 'E']).map(|r| r.strip_prefix(['+', '-']).unwrap_or(r));
        if exponent.is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            self.take_while(|c| c.is_ascii_digit());
        } else if let Some(unit) = rest.chars().next().filter(char::is_ascii_alphabetic) {
            // A unit is one letter that nothing of a name follows.
            let alone = !rest[1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if let Some(duration) = Duration::parse(mantissa, unit.to_ascii_lowercase()).filter(|_| alone) {
                self.at += 1;
                return Ok(Token::Duration(duration));
            }
        }
        if self.rest().starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err(self.syntax(start));
        }
        Ok(Token::Number(self.text[start..self.at].to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Unit;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Token]) {
        let found: Vec<Token> = tokens(text).unwrap().into_iter().map(|spanned| spanned.token).collect();
        assert_eq!(found[..found.len() - 1], *expected, "{text}");
    }

    #[test]
    fn names_are_folded_unless_quoted() {
        let word = |text: &str| Token::Word(text.to_string());
        check("Select `VoLt`", &[word("select"), Token::Quoted("VoLt".to_string())]);
        check("D1.Ts", &[word("d1"), Token::Sign("."), word("ts")]);
        check("/*+ HINT() */ a -- rest", &[word("a")]);
    }

    #[test]
    fn texts_lose_their_escapes() {
        let text = |text: &str| Token::Text(text.to_string());
        check(
            r#"'a\'b' "x""y" 'q\\s' '\n' '10\%' '\x7f'"#,
            &[text("a'b"), text("x\"y"), text("q\\s"), text("\n"), text("10\\%"), text("\\x7f")],
        );
    }

    #[test]
    fn a_number_with_a_unit_is_a_duration() {
        let number = |text: &str| Token::Number(text.to_string());
        let seconds = |number: i64| Token::Duration(Duration { number, unit: Unit::Second });
        check(
            "10s 1e3 1.5 .5 0x1F 1.",
            &[seconds(10), number("1e3"), number("1.5"), number(".5"), number("0x1f"), number("1.")],
        );
        assert!(tokens("10seconds").is_err());
        assert!(tokens("'open").is_err() && tokens("`open").is_err() && tokens("#").is_err());
    }
}
