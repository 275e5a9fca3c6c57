//! From file, environment and command line to [`Settings`], with every problem on the way.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Source, Value, ValueKind};
use serde_json::Value as Json;

use super::problem::{Origin, Problem, SettingsError, redact};
use super::settings::Settings;
use super::{suggest, validate};

/// What names of our environment variables begin with.
const PREFIX: &str = "TIDEGATE";

impl Settings {
    /// Reads `file`, lays `environment` over it and `flags` (dotted name, value) over both, makes paths absolute and
    /// validates the whole.
    ///
    /// A wrong value or an unknown name anywhere is an error, even where a later layer overrides it; all are reported.
    /// Of the environment, only names that begin with `TIDEGATE` are looked at; an empty variable counts as not set.
    /// Lists are written with commas in the environment and in flags.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Vec<(String, String)>,
    ) -> Result<Settings, SettingsError> {
        let mut layers = Layers::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| SettingsError::Read { path: path.to_path_buf(), source })?;
            layers.add_file(path, &text)?;
        }
        for (name, value) in environment {
            layers.add_variable(&name, value);
        }
        for (key, value) in flags {
            layers.add(key, ValueKind::String(value), Origin::CommandLine);
        }
        layers.into_settings(&working_folder()?)
    }

    /// Checks ranges and what settings demand of each other, and nothing outside; [`Settings::load`] has done so.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let problems: Vec<Problem> = validate::refusals(self)
            .into_iter()
            .map(|r| Problem::Value {
                key: r.key.to_string(),
                value: redact(&r.value),
                origin: None,
                expected: r.expected,
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(SettingsError::Wrong { problems }) }
    }
}

/// Where relative paths start. Settings are text, so its name must be.
fn working_folder() -> Result<PathBuf, SettingsError> {
    let folder = std::env::current_dir().and_then(|folder| match folder.to_str() {
        Some(_) => Ok(folder),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8")),
    });
    folder.map_err(|source| SettingsError::WorkingFolder { source })
}

/// What the layers set, later ones over earlier ones.
struct Layers {
    /// Every setting at its default, whose JSON type is the setting's type.
    known: BTreeMap<String, Json>,
    set: BTreeMap<String, (ValueKind, Origin)>,
    problems: Vec<Problem>,
}

impl Layers {
    fn new() -> Self {
        Layers { known: Settings::default().by_name(), set: BTreeMap::new(), problems: Vec::new() }
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let tree = File::from_str(text, FileFormat::Toml).collect().map_err(|error| SettingsError::Syntax {
            path: path.to_path_buf(),
            reason: without_secrets(&redact(error.to_string().trim_end())),
        })?;
        let origin = Origin::File(path.to_path_buf());
        let sections: BTreeMap<String, Value> = tree.into_iter().collect();
        for (section, value) in sections {
            match value.kind {
                ValueKind::Table(keys) if self.is_section(&section) => {
                    let keys: BTreeMap<String, Value> = keys.into_iter().collect();
                    for (key, value) in keys {
                        self.add(format!("{section}.{key}"), value.kind, origin.clone());
                    }
                }
                _ => self.unknown(section, origin.clone()),
            }
        }
        Ok(())
    }

    /// Takes a variable of the environment if it is one of ours, by name or by mistake.
    fn add_variable(&mut self, name: &str, value: String) {
        if !name.to_uppercase().starts_with(&format!("{PREFIX}_")) {
            return;
        }
        let origin = Origin::Environment(name.to_string());
        match self.known.keys().find(|key| variable_of(key) == name) {
            Some(_) if value.is_empty() => {}
            Some(key) => self.add(key.clone(), ValueKind::String(value), origin),
            None if self.reads_like_a_setting(name) => self.unknown(name.to_string(), origin),
            None => {}
        }
    }

    /// Tells a misspelled setting from a name that only begins like ours (`TIDEGATE_HOME`, and what Kubernetes sets for
    /// a service called `tidegate-…`). With two underscores after the prefix it can only be a setting.
    fn reads_like_a_setting(&self, name: &str) -> bool {
        if name.to_uppercase().starts_with(&format!("{PREFIX}__")) {
            return true;
        }
        let dotted = dotted_name(name);
        let section = dotted.split('.').next().unwrap_or_default();
        let nearly = |key: &str| suggest::distance(&dotted, &key.replace('_', ".")) <= 2;
        !is_service_link(name) && (self.is_section(section) || self.known.keys().any(|key| nearly(key)))
    }

    fn is_section(&self, name: &str) -> bool {
        self.known.keys().any(|key| key.split('.').next() == Some(name))
    }

    fn unknown(&mut self, name: String, origin: Origin) {
        let spelled = |key: &str| match origin {
            Origin::Environment(_) => variable_of(key),
            _ => key.to_string(),
        };
        let near = match origin {
            Origin::Environment(_) => self.meant_by_variable(&name),
            _ => self.nearest(&name),
        };
        let near = near.into_iter().map(spelled).collect();
        self.problems.push(Problem::Unknown { name, origin, near });
    }

    /// The one setting that differs from `name` in underscores or case only, else the nearest ones.
    fn meant_by_variable(&self, name: &str) -> Vec<&str> {
        let words = dotted_name(name);
        if let Some(key) = self.known.keys().find(|key| key.replace('_', ".") == words) {
            return vec![key];
        }
        let dotted = name.to_lowercase().replace("__", ".");
        self.nearest(dotted.trim_start_matches(&PREFIX.to_lowercase()).trim_start_matches(['.', '_']))
    }

    fn nearest(&self, name: &str) -> Vec<&str> {
        suggest::nearest(name, self.known.keys().map(String::as_str))
    }

    /// Sets `key`, if it exists and `value` is of its type.
    fn add(&mut self, key: String, value: ValueKind, origin: Origin) {
        let Some(default) = self.known.get(&key) else {
            return self.unknown(key, origin);
        };
        match coerce(default, &value).filter(|value| fits(&key, value)) {
            Some(value) => {
                self.set.insert(key, (value, origin));
            }
            None => {
                let expected = validate::expected(&key, default);
                let value = if validate::SECRETS.contains(&key.as_str()) { "***".to_string() } else { shown(&value) };
                self.problems.push(Problem::Value { key, value, origin: Some(origin), expected });
            }
        }
    }

    fn into_settings(self, base: &Path) -> Result<Settings, SettingsError> {
        let Layers { set, mut problems, .. } = self;
        let (values, origins): (Vec<_>, BTreeMap<String, Origin>) =
            set.into_iter().map(|(key, (value, origin))| ((key.clone(), value), (key, origin))).unzip();
        let settings =
            deserialize(values).expect("each value was tried alone, and settings are independent").resolve(base);
        problems.extend(validate::refusals(&settings).into_iter().map(|refusal| Problem::Value {
            origin: Some(origins.get(refusal.key).cloned().unwrap_or(Origin::Default)),
            key: refusal.key.to_string(),
            value: redact(&refusal.value),
            expected: refusal.expected,
        }));
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError::Wrong { problems }) }
    }
}

fn deserialize(values: Vec<(String, ValueKind)>) -> Result<Settings, config::ConfigError> {
    let mut builder = Config::builder();
    for (key, value) in values {
        builder = builder.set_override(key, value)?;
    }
    builder.build()?.try_deserialize()
}

/// Whether a value of the right JSON type is also of the setting's own type.
fn fits(key: &str, value: &ValueKind) -> bool {
    deserialize(vec![(key.to_string(), value.clone())]).is_ok()
}

/// `value` as the type that `default` has; text may spell any type.
fn coerce(default: &Json, value: &ValueKind) -> Option<ValueKind> {
    match (default, value) {
        (Json::Bool(_), ValueKind::Boolean(_)) | (Json::String(_), ValueKind::String(_)) => Some(value.clone()),
        (Json::Bool(_), ValueKind::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(ValueKind::Boolean(true)),
            "false" | "no" | "off" | "0" => Some(ValueKind::Boolean(false)),
            _ => None,
        },
        (Json::Number(_), ValueKind::I64(number)) => Some(ValueKind::U64(u64::try_from(*number).ok()?)),
        (Json::Number(_), ValueKind::String(text)) => Some(ValueKind::U64(text.trim().parse().ok()?)),
        (Json::Array(_), ValueKind::Array(_)) => Some(value.clone()),
        (Json::Array(_), ValueKind::String(text)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(ValueKind::Array(items.map(|item| Value::new(None, item)).collect()))
        }
        _ => None,
    }
}

/// `text`, which may quote lines of a file, without what they set secrets to.
fn without_secrets(text: &str) -> String {
    let is_secret =
        |line: &str| validate::SECRETS.iter().any(|key| key.rsplit('.').next().is_some_and(|k| line.contains(k)));
    let shown = text.lines().map(|line| match line.split_once('=') {
        Some((before, _)) if is_secret(before) => format!("{before}= ***"),
        _ => line.to_string(),
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// A value as an error shows it.
fn shown(value: &ValueKind) -> String {
    match value {
        ValueKind::String(text) => redact(&format!("{text:?}")),
        ValueKind::Table(_) => "a section".to_string(),
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(&item.kind)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// The environment variable of the setting `key`.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}__{}", key.replace('.', "__").to_uppercase())
}

/// A variable's words with dots between them, however many underscores there were: `TIDEGATE_WAL__DIR` is `wal.dir`.
fn dotted_name(variable: &str) -> String {
    let words: Vec<&str> = variable.split('_').skip(1).filter(|word| !word.is_empty()).collect();
    words.join(".").to_lowercase()
}

/// Kubernetes tells every container where the services of its namespace are: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT…`,
/// `NAME_PORT`, `NAME_PORT_8086_TCP…`.
fn is_service_link(name: &str) -> bool {
    let of_port = |(_, rest): (&str, &str)| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(of_port)
}
