//! What is wrong with the settings, said so that it can be put right: name, value, origin, what was expected.

use std::fmt;
use std::path::PathBuf;

use crate::model::{Classify, Kind};

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file `{}`: {source}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the settings file `{}` is not valid TOML: {reason}", .path.display())]
    Syntax { path: PathBuf, reason: String },
    #[error("the working folder, which relative paths start from, cannot be found: {source}")]
    WorkingFolder { source: std::io::Error },
    /// Never empty: every problem that was found.
    #[error("{}", lines(.problems))]
    Wrong { problems: Vec<Problem> },
}

impl Classify for SettingsError {
    fn kind(&self) -> Kind {
        match self {
            SettingsError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
            SettingsError::Read { .. } | SettingsError::WorkingFolder { .. } => Kind::Unavailable,
            SettingsError::Syntax { .. } | SettingsError::Wrong { .. } => Kind::Invalid,
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => many.iter().fold(format!("{} settings are wrong", many.len()), |text, p| format!("{text}\n  {p}")),
    }
}

/// One thing that is wrong. No secret is kept in it: credentials inside URLs are struck out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such setting. Names are spelled as their origin spells them: `wal.dir`, `TIDEGATE__WAL__DIR`.
    Unknown { name: String, origin: Origin, near: Vec<String> },
    /// `origin` is `None` where settings are checked without knowing how they came about.
    Value { key: String, value: String, origin: Option<Origin>, expected: String },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown { name, origin, near } => {
                let origin = match origin {
                    Origin::Environment(_) => "the environment".to_string(),
                    other => other.to_string(),
                };
                let near: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
                write!(f, "`{name}` ({origin}) is not a setting; near it are {}", near.join(", "))
            }
            Problem::Value { key, value, origin: Some(origin), expected } => {
                write!(f, "`{key}` ({origin}) is {value}, expected {expected}")
            }
            Problem::Value { key, value, origin: None, expected } => {
                write!(f, "`{key}` is {value}, expected {expected}")
            }
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the default"),
            Origin::File(path) => path.display().fmt(f),
            Origin::Environment(name) => f.write_str(name),
            Origin::CommandLine => f.write_str("the command line"),
        }
    }
}

/// `text` with the credentials and the query (which may hold a signature) of every URL in it struck out.
///
/// Errs on the side of silence: where a colon stands between `//` and `@`, all of it goes, since a key may hold a `/`.
pub(super) fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let (before, url) = rest.split_at(start);
        shown.push_str(before);
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`')).unwrap_or(url.len());
        let url = &url[..end];
        let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
        let at = match (url.rfind('@'), authority.rfind('@')) {
            (Some(last), _) if url[..last].contains(':') => Some(last),
            (_, in_authority) => in_authority,
        };
        let kept = match at {
            Some(at) => {
                shown.push_str("***");
                &url[at..]
            }
            None => url,
        };
        match kept.split_once('?') {
            Some((location, _)) => shown.extend([location, "?***"]),
            None => shown.push_str(kept),
        }
        rest = &rest[start + end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_struck_out() {
        let check = |text, expected| assert_eq!(redact(text), expected);
        check("s3://key:se/cr@et@bucket/p", "s3://***@bucket/p");
        check("url = \"s3://key@bucket\" # and http://u:p@h/x", "url = \"s3://***@bucket\" # and http://***@h/x");
        check("s3://bucket/a@b", "s3://bucket/a@b");
        check("az://c/p?sig=x y", "az://c/p?*** y");
        check("lots?", "lots?");
        check("http://", "http://");
    }

    #[test]
    fn several_problems_are_a_list() {
        let problem = |key: &str| Problem::Value {
            key: key.to_string(),
            value: "1".to_string(),
            origin: None,
            expected: "2".to_string(),
        };
        let error = SettingsError::Wrong { problems: vec![problem("a"), problem("b")] };
        assert_eq!(error.to_string(), "2 settings are wrong\n  `a` is 1, expected 2\n  `b` is 1, expected 2");
    }
}
