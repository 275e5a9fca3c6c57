//! What `predicate` of a delete says: `_measurement="m" AND tag="value"`.
//!
//! Spec: InfluxDB 2 delete predicate syntax: equalities of `_measurement` and tags, joined by AND. Fields and times are refused, as
//! there; rather nothing is deleted than too much.

/// Values by key, in the order written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Predicate {
    pub(super) measurement: Option<String>,
    pub(super) tags: Vec<(String, String)>,
}

/// Why a predicate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PredicateError {
    #[error("invalid predicate: {0}")]
    Syntax(String),
    #[error("invalid predicate: rows cannot be deleted by `{0}`")]
    NotATag(String),
}

impl Predicate {
    /// Reads `text`; empty text takes all rows.
    pub(super) fn parse(text: &str) -> Result<Predicate, PredicateError> {
        let mut reader = Reader { rest: text.trim() };
        let mut predicate = Predicate::default();
        while !reader.rest.is_empty() {
            let (key, value) = reader.equality()?;
            match key.as_str() {
                "_measurement" if predicate.measurement.is_some() => {
                    return Err(PredicateError::Syntax("_measurement is given twice".to_string()));
                }
                "_measurement" => predicate.measurement = Some(value),
                "_field" | "_value" | "_time" | "time" => return Err(PredicateError::NotATag(key)),
                _ => predicate.tags.push((key, value)),
            }
            if !reader.rest.is_empty() {
                reader.and()?;
            }
        }
        Ok(predicate)
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn equality(&mut self) -> Result<(String, String), PredicateError> {
        let key = self.word()?;
        match self.rest.strip_prefix('=') {
            Some(rest) if !rest.starts_with(['=', '~']) => self.rest = rest.trim_start(),
            _ => return Err(self.expected("=")),
        }
        Ok((key, self.word()?))
    }

    fn and(&mut self) -> Result<(), PredicateError> {
        let Some((word, rest)) = self.rest.split_at_checked(3) else { return Err(self.expected("AND")) };
        if !word.eq_ignore_ascii_case("and") || !rest.starts_with(char::is_whitespace) {
            return Err(self.expected("AND"));
        }
        self.rest = rest.trim_start();
        // Something must follow.
        if self.rest.is_empty() { Err(self.expected("a tag")) } else { Ok(()) }
    }

    /// A name or a value: in quotes of either kind, where a backslash takes the next character as it is, or bare up to a blank or
    /// an operator.
    fn word(&mut self) -> Result<String, PredicateError> {
        let text = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => {
                let end = self.rest.find(|c: char| c.is_whitespace() || "=!<>~()\"'".contains(c));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                word.to_string()
            }
        };
        if text.is_empty() {
            return Err(self.expected("a name or a value"));
        }
        self.rest = self.rest.trim_start();
        Ok(text)
    }

    fn quoted(&mut self, quote: char) -> Result<String, PredicateError> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                _ if character == quote => {
                    self.rest = &self.rest[at + quote.len_utf8()..];
                    return Ok(text);
                }
                _ => text.push(character),
            }
        }
        Err(PredicateError::Syntax("a quote is not closed".to_string()))
    }

    fn expected(&self, what: &str) -> PredicateError {
        let found: String = self.rest.chars().take(20).collect();
        PredicateError::Syntax(match found.is_empty() {
            true => format!("expected {what} at the end"),
            false => format!("expected {what} at `{found}`"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, measurement: Option<&str>, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let expected = Predicate { measurement: measurement.map(str::to_string), tags };
        assert_eq!(Predicate::parse(text), Ok(expected), "{text}");
    }

    #[test]
    fn equalities_are_joined_by_and() {
        check("", None, &[]);
        check("_measurement=\"m\"", Some("m"), &[]);
        check(
            " _measurement = 'm 1' and host=\"a b\" AND \"re gion\" = eu ",
            Some("m 1"),
            &[("host", "a b"), ("re gion", "eu")],
        );
        check(r#"host="say \"hi\" \\""#, None, &[("host", r#"say "hi" \"#)]);
        check("a=b AND a=c", None, &[("a", "b"), ("a", "c")]);
        check("andy=\"x\"", None, &[("andy", "x")]);
    }

    #[test]
    fn what_is_more_is_refused() {
        for text in [
            "_measurement",
            "_measurement=",
            "=\"m\"",
            "a=\"b",
            "a=\"b\" OR c=\"d\"",
            "a=\"b\" AND",
            "a!=\"b\"",
            "a=~/b/",
            "(a=\"b\")",
            "a=\"b\" c=\"d\"",
            "_measurement=a AND _measurement=b",
            "_field=\"usage\"",
            "time=\"x\"",
            "é",
            "a=b é",
        ] {
            assert!(Predicate::parse(text).is_err(), "{text}");
        }
    }
}
