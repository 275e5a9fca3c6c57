//! The variables that the stores' own tools read, taken from the process's environment once and handed on.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables. What is empty counts as not set, as it does for the stores' own tools.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// This process's. Variables that are not UTF-8 are passed over.
    pub fn of_process() -> Environment {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Variables whose names start with `prefix`, as the keys that `object_store` configures its clients with: whole
    /// names in lower case.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (String, &'a str)> {
        let ours = self.0.iter().filter(move |(name, _)| name.starts_with(prefix));
        ours.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

impl Environment {
    /// These without some, and then with others.
    pub fn replaced<'a>(&self, without: &[&str], with: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
        let kept = self.0.iter().filter(|(name, _)| !without.contains(&name.as_str()));
        let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
        kept.chain(with.into_iter().map(|(name, value)| (name.to_string(), value.to_string()))).collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Environment {
        Environment(variables.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
