//! JSON (RFC 8259) read token by token, numbers as they are written: no tree, and no copy of what has no escapes.

use std::borrow::Cow;

/// How deep a value that is skipped may nest.
const DEPTH_MAX: usize = 512;

/// The text is not JSON, or not the JSON that was expected; says where, counted in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unexpected text at byte {0}")]
pub struct NotJson(pub usize);

type Result<T> = std::result::Result<T, NotJson>;

/// A value that is neither object nor array.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// As a text, whatever it was; `None` for null.
    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Null => None,
            Scalar::Bool(true) => Some("true".into()),
            Scalar::Bool(false) => Some("false".into()),
            Scalar::Number(text) => Some(text.into()),
            Scalar::Text(text) => Some(text),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    /// Where the next byte is.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The bytes from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.text.as_bytes()[start..self.at]
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn unexpected<T>(&self) -> Result<T> {
        Err(NotJson(self.at))
    }

    /// The next byte that is no blank, which is not taken.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes `wanted` if it comes next.
    #[inline]
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(super) fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { self.unexpected() }
    }

    /// The next key of an object that `{` opened, with its colon; `None` at its end. `is_first`: no comma comes before it.
    #[inline]
    pub(super) fn key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>> {
        if is_first {
            if self.take(b'}') {
                return Ok(None);
            }
        } else if !self.take(b',') {
            self.expect(b'}')?;
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Whether an array that `[` opened has another element, whose comma is taken.
    pub(super) fn element(&mut self, is_first: bool) -> Result<bool> {
        if is_first {
            return Ok(!self.take(b']'));
        }
        if self.take(b',') {
            return Ok(true);
        }
        self.expect(b']').map(|()| false)
    }

    /// The next value if it is neither object nor array.
    pub(super) fn scalar(&mut self) -> Result<Option<Scalar<'a>>> {
        Ok(Some(match self.peek() {
            Some(b'"') => Scalar::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Scalar::Number(self.number()?),
            Some(b'n') => self.word("null", Scalar::Null)?,
            Some(b't') => self.word("true", Scalar::Bool(true))?,
            Some(b'f') => self.word("false", Scalar::Bool(false))?,
            Some(b'{' | b'[') => return Ok(None),
            _ => return self.unexpected(),
        }))
    }

    fn word<T>(&mut self, word: &str, meaning: T) -> Result<T> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.unexpected();
        }
        self.at += word.len();
        Ok(meaning)
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, and then no letter or digit.
    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        let whole = self.at;
        self.digits()?;
        if self.text.as_bytes()[whole] == b'0' && self.at > whole + 1 {
            return Err(NotJson(whole));
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        match self.byte() {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') => self.unexpected(),
            _ => Ok(&self.text[start..self.at]),
        }
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.unexpected() } else { Ok(()) }
    }

    /// The string whose quote comes next.
    fn string(&mut self) -> Result<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.plain()?;
        if self.byte() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = self.text[start..self.at].to_string();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return self.unexpected(),
            }
            let start = self.at;
            self.plain()?;
            text.push_str(&self.text[start..self.at]);
        }
    }

    /// Goes to the next quote or backslash. Control characters are refused.
    #[inline]
    fn plain(&mut self) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        match end_of_plain(rest) {
            Some(length) if rest[length] >= 0x20 => {
                self.at += length;
                Ok(())
            }
            Some(length) => Err(NotJson(self.at + length)),
            None => Err(NotJson(self.text.len())),
        }
    }

    /// What a backslash and what follows it stand for. Half of a pair of surrogates stands for no character: U+FFFD.
    fn escape(&mut self) -> Result<char> {
        let start = self.at;
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex()?;
                let has_second =
                    (0xD800..0xDC00).contains(&high) && self.text.as_bytes()[self.at..].starts_with(b"\\u");
                if !has_second {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let before = self.at;
                self.at += 2;
                let low = self.hex()?;
                if !(0xDC00..0xE000).contains(&low) {
                    self.at = before;
                    return Ok(char::REPLACEMENT_CHARACTER);
                }
                char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(NotJson(start)),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(NotJson(self.at))?;
        let mut number = 0;
        for digit in digits {
            number = number * 16 + char::from(*digit).to_digit(16).ok_or(NotJson(self.at))?;
        }
        self.at += 4;
        Ok(number)
    }

    /// Passes over the next value, whatever it is.
    pub(super) fn skip(&mut self) -> Result<()> {
        // What is open: objects (true) and arrays.
        let mut open: Vec<bool> = Vec::new();
        loop {
            let is_object = match self.scalar()? {
                Some(_) => None,
                None => Some(self.peek() == Some(b'{')),
            };
            let mut is_first = false;
            if let Some(is_object) = is_object {
                if open.len() == DEPTH_MAX {
                    return self.unexpected();
                }
                self.at += 1;
                open.push(is_object);
                is_first = true;
            }
            // Closes what ends here, and stops before the next value.
            loop {
                let Some(is_object) = open.last() else { return Ok(()) };
                let goes_on = if *is_object { self.key(is_first)?.is_some() } else { self.element(is_first)? };
                if goes_on {
                    break;
                }
                open.pop();
                is_first = false;
            }
        }
    }
}

/// Where the first quote, backslash or control character is; eight bytes are looked at at a time.
fn end_of_plain(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A byte's high bit is set where it is less than another, or nothing after it was taken from it; beyond the first such
        // byte a bit may be wrong.
        let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word & HIGH;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let found = equal(b'"') | equal(b'\\') | below(word, 0x20);
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\') || *byte < 0x20;
    rest.iter().position(ends).map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Scalar<'_>>) {
        let mut scanner = Scanner::new(text);
        let found = scanner.scalar().ok().flatten().filter(|_| scanner.peek().is_none());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn scalars_are_read_as_the_standard_says() {
        check(" null ", Some(Scalar::Null));
        check("true", Some(Scalar::Bool(true)));
        for number in ["0", "-0", "12.50", "1e5", "-1.5E+10", "99999999999999999999"] {
            check(number, Some(Scalar::Number(number)));
        }
        for wrong in [
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x1",
            "1_0",
            "nul",
            "NaN",
            "tru",
            "\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
        ] {
            check(wrong, None);
        }
        check("\"plain é\"", Some(Scalar::Text("plain é".into())));
        check(r#""\"\\\/\b\f\n\r\t\u00e9 \ud83d\ude00""#, Some(Scalar::Text("\"\\/\u{8}\u{c}\n\r\té 😀".into())));
        check(r#""\ud83d x \ude00 \ud83d\u0041""#, Some(Scalar::Text("\u{fffd} x \u{fffd} \u{fffd}A".into())));
    }

    #[test]
    fn a_plain_stretch_ends_where_its_first_odd_byte_is() {
        for length in 0..40 {
            for at in 0..length {
                for odd in [b'"', b'\\', 0, 0x1f] {
                    for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff, 0xa2, 0xdc] {
                        let mut bytes = vec![plain; length];
                        assert_eq!(end_of_plain(&bytes), None, "{plain}");
                        bytes[at] = odd;
                        assert_eq!(end_of_plain(&bytes), Some(at), "{plain} and {odd} at {at} of {length}");
                        bytes[length - 1] = b'"';
                        assert_eq!(end_of_plain(&bytes), Some(at));
                    }
                }
            }
        }
    }

    #[test]
    fn any_value_can_be_passed_over() {
        let skipped = |text: &str| Scanner::new(text).skip().is_ok();
        for text in ["1", "[]", "{}", r#"{"a":[1,{"b":null},[[]]],"c":{}}"#] {
            assert!(skipped(text), "{text}");
        }
        for text in ["", "[", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "]"] {
            assert!(!skipped(text), "{text}");
        }
        assert!(skipped(&format!("{}1{}", "[".repeat(512), "]".repeat(512))));
        assert!(!skipped(&"[".repeat(1_000_000)));
    }
}
