//! `params` of a query: values for the `$name`s in its text, as a JSON object.
//!
//! Errors are the words of Go's decoder, which is why the JSON is read here: its text of numbers decides their type, and
//! clients have seen its errors. What follows the object is ignored, as there.

use crate::query::influxql::{Duration, Params, Value};

/// Values nest this deep at most.
const DEPTH_MAX: usize = 100;

/// Reads `text`. The error is what follows `error parsing query parameters: ` or, for a number out of its type's range, is
/// whole.
pub(super) fn parse(text: &str) -> Result<Params, BindError> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.skip_blanks();
    if reader.peek().is_none() {
        return Err(BindError::Syntax("EOF".to_string()));
    }
    let members = match reader.value(0)? {
        Json::Object(members) => members,
        Json::Null => Vec::new(),
        other => {
            let text =
                format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", other.kind());
            return Err(BindError::Syntax(text));
        }
    };
    let bind = |(name, value): (String, Json)| match value {
        Json::Number(digits) => Ok((name, number(&digits).map_err(BindError::Number)?)),
        value => Ok((name, value.bound())),
    };
    members.into_iter().map(bind).collect()
}

/// Why the parameters cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BindError {
    #[error("error parsing query parameters: {0}")]
    Syntax(String),
    #[error("error parsing json value: {0}")]
    Number(String),
}

#[derive(Debug, PartialEq)]
enum Json {
    Null,
    Boolean(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List,
    Object(Vec<(String, Json)>),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Boolean(_) => "bool",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::List => "array",
            Json::Object(_) => "object",
        }
    }

    fn bound(self) -> Value {
        match self {
            Json::Boolean(value) => Value::Boolean(value),
            Json::Text(text) => Value::String(text),
            Json::Number(digits) => number(&digits).unwrap_or_else(Value::Unusable),
            Json::Object(members) => typed(members),
            Json::Null => Value::Unusable("unable to bind parameter with type <nil>".to_string()),
            Json::List => Value::Unusable("unable to bind parameter with type []interface {}".to_string()),
        }
    }
}

/// An object of one member, whose name chooses the type.
fn typed(members: Vec<(String, Json)>) -> Value {
    let unusable = |why: &str| Value::Unusable(why.to_string());
    let mut members = members.into_iter();
    let (Some((kind, value)), None) = (members.next(), members.next()) else {
        return unusable("bound object parameter value must have exactly one entry");
    };
    let value = match value {
        Json::Number(digits) => match number(&digits) {
            Ok(value) => value,
            Err(why) => return Value::Unusable(why),
        },
        value => value.bound(),
    };
    match (kind.as_str(), value) {
        ("ident" | "identifier", Value::String(name)) => Value::Identifier(name),
        ("ident" | "identifier", _) => unusable("identifier must be a string value"),
        ("regex", Value::String(source)) => Value::Regex(source),
        ("regex", _) => unusable("regex literal must be a string value"),
        ("string", Value::String(text)) => Value::String(text),
        ("string", _) => unusable("string literal must be a string value"),
        ("float" | "number", Value::Float(value)) => Value::Float(value),
        ("float" | "number", Value::Integer(value)) => Value::Float(value as f64),
        ("float" | "number", _) => unusable("number literal must be a float value"),
        ("int" | "integer", Value::Integer(value)) => Value::Integer(value),
        ("int" | "integer", _) => unusable("integer literal must be an integer value"),
        ("duration", Value::String(text)) => Value::Duration(text),
        ("duration", Value::Integer(ns)) => Value::Duration(Duration(ns).to_string()),
        ("duration", _) => unusable("duration literal must be a string or integer value"),
        (kind, _) => Value::Unusable(format!("unknown bind object type: {kind}")),
    }
}

/// A number with a point is a float, any other an integer.
fn number(digits: &str) -> Result<Value, String> {
    if digits.contains('.') {
        let value: f64 = digits.parse().unwrap_or(f64::INFINITY);
        return match value.is_finite() {
            true => Ok(Value::Float(value)),
            false => Err(format!("strconv.ParseFloat: parsing \"{digits}\": value out of range")),
        };
    }
    digits.parse().map(Value::Integer).map_err(|_| {
        let is_integer = digits.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let why = if is_integer { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseInt: parsing \"{digits}\": {why}")
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte is not what may stand here.
    fn unexpected<T>(&self, context: &str) -> Result<T, BindError> {
        let Some(byte) = self.peek() else { return Err(BindError::Syntax("unexpected EOF".to_string())) };
        let quoted = match byte {
            b'\'' => r"'\''".to_string(),
            b'"' => "'\"'".to_string(),
            b'\n' => r"'\n'".to_string(),
            b'\r' => r"'\r'".to_string(),
            b'\t' => r"'\t'".to_string(),
            b'\\' => r"'\\'".to_string(),
            0x20..=0x7e | 0x80.. => format!("'{}'", char::from(byte)),
            _ => format!(r"'\x{byte:02x}'"),
        };
        Err(BindError::Syntax(format!("invalid character {quoted} {context}")))
    }

    fn value(&mut self, depth: usize) -> Result<Json, BindError> {
        if depth > DEPTH_MAX {
            return Err(BindError::Syntax("exceeded max depth".to_string()));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(|()| Json::Boolean(true)),
            Some(b'f') => self.word("false").map(|()| Json::Boolean(false)),
            Some(b'n') => self.word("null").map(|()| Json::Null),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), BindError> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return self.unexpected(&format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Json, BindError> {
        let mut members: Vec<(String, Json)> = Vec::new();
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return self.unexpected("looking for beginning of object key string");
            }
            let key = self.text()?;
            self.skip_blanks();
            if self.peek() != Some(b':') {
                return self.unexpected("after object key");
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            members.retain(|(other, _)| *other != key);
            members.push((key, value));
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return self.unexpected("after object key:value pair"),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, BindError> {
        self.at += 1;
        self.skip_blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::List);
        }
        loop {
            self.value(depth + 1)?;
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::List);
                }
                _ => return self.unexpected("after array element"),
            }
        }
    }

    fn text(&mut self) -> Result<String, BindError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return self.unexpected("in string literal"),
                Some(_) => self.at += 1,
                None => return self.unexpected(""),
            }
        }
        let quoted = &self.bytes[start..self.at];
        // Half of a surrogate pair is the only thing left to refuse, and not worth a sentence of its own.
        Ok(serde_json::from_slice(quoted).unwrap_or_else(|_| String::from_utf8_lossy(quoted).into_owned()))
    }

    fn escape(&mut self) -> Result<(), BindError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.unexpected(r"in \u hexadecimal character escape");
                    }
                    self.at += 1;
                }
            }
            _ => return self.unexpected("in string escape code"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json, BindError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.unexpected("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return self.unexpected("after decimal point in numeric literal");
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return self.unexpected("in exponent of numeric literal");
            }
            self.digits();
        }
        Ok(Json::Number(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned()))
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        let params: Params = [("x".to_string(), expected)].into_iter().collect();
        assert_eq!(parse(&format!("{{\"x\": {text} }} ignored")), Ok(params), "{text}");
    }

    #[test]
    fn json_types_are_bound_as_literals() {
        check("\"a\\\"b\\u00e9\"", Value::String("a\"bé".to_string()));
        check("1", Value::Integer(1));
        check("-9223372036854775808", Value::Integer(i64::MIN));
        check("1.0", Value::Float(1.0));
        check("1.5e3", Value::Float(1500.0));
        check("true", Value::Boolean(true));
        let unusable = |why: &str| Value::Unusable(why.to_string());
        check("null", unusable("unable to bind parameter with type <nil>"));
        check("[1, {\"a\": []}]", unusable("unable to bind parameter with type []interface {}"));
        assert_eq!(parse("null"), Ok(Params::default()));
    }

    #[test]
    fn objects_choose_the_type() {
        check(r#"{"identifier":"a b"}"#, Value::Identifier("a b".to_string()));
        check(r#"{"regex":"^a"}"#, Value::Regex("^a".to_string()));
        check(r#"{"duration":"40s"}"#, Value::Duration("40s".to_string()));
        check(r#"{"duration":60000000000}"#, Value::Duration("1m".to_string()));
        check(r#"{"float":20}"#, Value::Float(20.0));
        check(r#"{"integer":7}"#, Value::Integer(7));
        let unusable = |why: &str| Value::Unusable(why.to_string());
        check("{}", unusable("bound object parameter value must have exactly one entry"));
        check(r#"{"integer":7.0}"#, unusable("integer literal must be an integer value"));
        check(r#"{"wish":1}"#, unusable("unknown bind object type: wish"));
    }

    #[test]
    fn errors_are_those_of_the_decoder() {
        for (text, expected) in [
            ("not json", "invalid character 'o' in literal null (expecting 'u')"),
            ("[1]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
            ("\"x\"", "json: cannot unmarshal string into Go value of type map[string]interface {}"),
            (" ", "EOF"),
            ("{", "unexpected EOF"),
            ("{\"x", "unexpected EOF"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("{\"a\":[1 2]}", "invalid character '2' after array element"),
            ("{\"a\":-}", "invalid character '}' in numeric literal"),
            ("{\"a\":1.}", "invalid character '}' after decimal point in numeric literal"),
            ("{\"a\":1e}", "invalid character '}' in exponent of numeric literal"),
            ("{\"a\":\"\\x\"}", "invalid character 'x' in string escape code"),
            ("{\"a\":\"\n\"}", r"invalid character '\n' in string literal"),
        ] {
            assert_eq!(parse(text), Err(BindError::Syntax(expected.to_string())), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(parse(&deep), Err(BindError::Syntax("exceeded max depth".to_string())));
        for (text, expected) in [
            ("1e3", "strconv.ParseInt: parsing \"1e3\": invalid syntax"),
            ("9223372036854775808", "strconv.ParseInt: parsing \"9223372036854775808\": value out of range"),
            ("1.5e999", "strconv.ParseFloat: parsing \"1.5e999\": value out of range"),
        ] {
            let text = format!("{{\"a\":{text}}}");
            assert_eq!(parse(&text), Err(BindError::Number(expected.to_string())), "{text}");
        }
    }
}
