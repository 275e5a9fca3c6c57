//! What is to be made of the rows of a table: one value of this, for the plan's node and its operator.

use std::sync::Arc;

use crate::query::opentsdb::aggregator::{Aggregator, Function};
use crate::query::opentsdb::answer::TagSet;
use crate::query::opentsdb::downsample::Fill;
use crate::query::opentsdb::filter::TagFilter;
use crate::query::opentsdb::request::RateOptions;
use crate::query::opentsdb::window::Window;

use super::intervals::Buckets;

/// How points become buckets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query::opentsdb) struct Sampling {
    pub(super) buckets: Buckets,
    pub(super) function: Function,
    pub(super) fill: Fill,
}

/// The groups of one sub query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::query::opentsdb) struct GroupSpec {
    /// The sub query's place in the request.
    pub query: u32,
    /// Tag keys in the order of the input's first columns.
    pub tags: Vec<Arc<str>>,
    /// Series pass all of them.
    pub filters: Vec<TagFilter>,
    /// Series have the tags of the filters and no others.
    pub explicit_tags: bool,
    /// Only series of exactly these tags, each sorted by key, and all sorted; `None`: of any.
    pub members: Option<Vec<TagSet>>,
    pub aggregator: Aggregator,
    pub sampling: Option<Sampling>,
    pub rate: Option<RateOptions>,
    /// What is read.
    pub window: Window,
    /// First and last instant that is shown, milliseconds since 1970.
    pub range_ms: (i64, i64),
    /// Buckets are made while rows come, which needs rows of a series in order of time within a batch.
    pub early: bool,
}
