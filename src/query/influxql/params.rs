//! Values that a request binds to `$name` in its text.
//!
//! A bound value stands for one token: it is never read as InfluxQL, so no quoting is needed and nothing in it can
//! end a string or a statement.

use std::collections::BTreeMap;

use super::token::{Keyword, Token};

/// What `$name` stands for, a name each (without the `$`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(BTreeMap<String, Value>);

/// A value bound to a parameter, and with it the kind of token that it becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    String(String),
    Identifier(String),
    /// Source of a regular expression, without slashes.
    Regex(String),
    Float(f64),
    Integer(i64),
    Boolean(bool),
    /// A duration as InfluxQL writes it.
    Duration(String),
    /// The request bound something that is no literal (a list, null): why, in the server's words. An error only where
    /// the parameter is used.
    Unusable(String),
}

impl Params {
    /// The token to read in place of `$name`, if anything is bound to it.
    pub fn token(&self, name: &str) -> Option<Token> {
        self.0.get(name).map(Value::token)
    }
}

impl FromIterator<(String, Value)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(bound: I) -> Self {
        Params(bound.into_iter().collect())
    }
}

impl Value {
    fn token(&self) -> Token {
        match self {
            Value::String(text) => Token::String(text.clone()),
            Value::Identifier(name) => Token::Ident(name.clone()),
            Value::Regex(source) => Token::Regex(source.clone()),
            Value::Float(value) => Token::Number(value.to_string()),
            Value::Integer(value) => Token::Integer(value.to_string()),
            Value::Boolean(true) => Token::Keyword(Keyword::True),
            Value::Boolean(false) => Token::Keyword(Keyword::False),
            Value::Duration(text) => Token::Duration(text.clone()),
            Value::Unusable(why) => Token::UnusableParam(why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_the_token_of_its_kind() {
        let params: Params = [
            ("f", Value::Float(1e21)),
            ("i", Value::Integer(-5)),
            ("b", Value::Boolean(true)),
            ("", Value::Integer(0)),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into_iter()
        .collect();
        assert_eq!(params.token("f"), Some(Token::Number("1000000000000000000000".into())));
        assert_eq!(params.token("i"), Some(Token::Integer("-5".into())));
        assert_eq!(params.token("b"), Some(Token::Keyword(Keyword::True)));
        assert_eq!(params.token("x"), None);
    }
}
