//! Every setting, its unit, its default; validated once at start.
//!
//! A value comes from, each winning over those before it: the default, the settings file (TOML), the environment
//! (`TIDEGATE__SECTION__KEY`), the command line (`--set section.key=value`). `config/tidegate.toml` shows every
//! setting at its default.
//!
//! Owns: names, units, defaults, ranges, where a value came from, and the words that refuse a wrong one.
//! Does not own: what a setting does, nor any file or address that it names. Only the settings file is opened here.

mod listen;
mod load;
mod problem;
mod settings;
mod store_url;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

pub use listen::{Address, Listen, Listener, NotAListen};
pub use problem::{Origin, Problem, SettingsError};
pub use settings::{
    AuthSettings, BufferSettings, CacheSettings, CatalogSettings, CompactionSettings, ConflictRule, ElasticSettings,
    InfluxdbSettings, LimitSettings, ListenSettings, LogFormat, LogSettings, QuerySettings, Role, Secret,
    ServerSettings, Settings, StorageSettings, TdengineSettings, WalSettings,
};
