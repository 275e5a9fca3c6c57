//! End points about the service and its names.
//!
//! | file | what it is for |
//! |---|---|
//! | `service` | version, aggregators, settings, filter types, status |
//! | `suggest`, `search` | names and series that are there |
//! | `uid` | numbers of names |
//! | `uid_meta`, `ts_meta`, `given` | what is said of names and series |
//! | `annotation` | notes about moments |
//! | `statistics` | what the process counts, and its last log lines |

mod annotation;
mod given;
mod search;
mod service;
mod statistics;
mod suggest;
mod ts_meta;
mod uid;
mod uid_meta;

use super::query::asker;

pub(super) use annotation::{annotation, annotations, shown as shown_annotation};
pub(super) use search::search;
pub(super) use service::{
    aggregators, aggregators_of_old, config, drop_caches, status, version, version_of_old, version_text,
};
pub(super) use statistics::{logs_of_old, stats, stats_of_old, trees};
pub(super) use suggest::{suggest, suggest_of_old};
pub(super) use uid::uid;
