//! End points about the service and its names.

mod service;

pub(super) use service::{
    aggregators, aggregators_of_old, config, drop_caches, status, version, version_of_old, version_text,
};
