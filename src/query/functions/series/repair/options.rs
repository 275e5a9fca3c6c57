//! What a repair is told: `name=value` pairs as in the query of a URL.

use std::collections::BTreeMap;

use datafusion::common::{Result, exec_datafusion_err, exec_err};

/// Values by name.
#[derive(Debug)]
pub(super) struct Options(BTreeMap<&'static str, String>);

impl Options {
    /// Reads pairs whose names are among `known`, each once at most.
    pub(super) fn read(text: &str, known: &[&'static str]) -> Result<Options> {
        let mut options = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let Some(found) = known.iter().find(|known| **known == name) else {
                let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                let one_of = if known.len() > 1 { "one of " } else { "" };
                let expected = quoted.join(", ");
                return exec_err!("Fail to parse argument: unknown field `{name}`, expected {one_of}{expected}");
            };
            if options.insert(*found, value.into_owned()).is_some() {
                return exec_err!("Fail to parse argument: duplicate field `{found}`");
            }
        }
        Ok(Options(options))
    }

    /// The value of `name` in lower case.
    pub(super) fn word(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|word| word.to_ascii_lowercase())
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f64>> {
        self.parsed(name, "a number")
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        self.parsed(name, "an integer")
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        let refused = || exec_datafusion_err!("Fail to parse argument: {name} is {text:?}, not {what}");
        text.parse().map(Some).map_err(|_| refused())
    }
}
