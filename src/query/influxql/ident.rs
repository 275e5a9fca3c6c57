//! Names in InfluxQL: bare where they can be, quoted where they must.

use std::fmt;

use super::token::Keyword;

/// A name as it is meant: no quotes, no escapes, case kept. Printed as the language needs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ident(pub String);

impl From<&str> for Ident {
    fn from(name: &str) -> Self {
        Ident(name.to_string())
    }
}

impl Ident {
    /// The name, unless it is empty, which in many places is the same as saying nothing.
    pub(super) fn non_empty(self) -> Option<Ident> {
        Some(self).filter(|name| !name.0.is_empty())
    }

    /// In quotes, whether it needs them or not.
    pub(super) fn quoted(&self) -> String {
        let mut quoted = String::from("\"");
        escape(&mut quoted, &self.0, '"').expect("writing to a string does not fail");
        quoted + "\""
    }
}

/// A text in single quotes, as the language writes strings.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        escape(f, self.0, '\'')?;
        f.write_str("'")
    }
}

fn escape(to: &mut dyn fmt::Write, text: &str, quote: char) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\n' => to.write_str("\\n")?,
            c if c == quote || c == '\\' => write!(to, "\\{c}")?,
            c => to.write_char(c)?,
        }
    }
    Ok(())
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_bare(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        escape(f, &self.0, '"')?;
        f.write_str("\"")
    }
}

/// Whether `name` is read as itself without quotes.
fn is_bare(name: &str) -> bool {
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    word && name.starts_with(|c: char| !c.is_ascii_digit()) && Keyword::of(name).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_only_where_they_must() {
        let printed = |name: &str| Ident::from(name).to_string();
        assert_eq!(printed("cpu_1"), "cpu_1");
        assert_eq!(printed("_x"), "_x");
        assert_eq!(printed("1cpu"), "\"1cpu\"");
        assert_eq!(printed(""), "\"\"");
        assert_eq!(printed("Name"), "\"Name\"");
        assert_eq!(printed("tür"), "\"tür\"");
        assert_eq!(printed("a\"\\\nb"), r#""a\"\\\nb""#);
    }
}
