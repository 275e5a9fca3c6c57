//! Calculations over whole series: functions of `/api/query/gexp`, expressions of `/api/query/exp`.
//!
//! Both work on the groups of ordinary sub queries, which are held in memory as far as the [`Budget`] goes.

mod formula;
mod functions;
mod gexp;
mod joined;

use std::sync::Arc;

use futures::StreamExt;

use super::answer::{GroupHead, TagSet, Value};
use super::error::OpentsdbError;
use super::execute::Groups;

pub use formula::Formula;
pub use gexp::{Gexp, parse_gexp};
pub use joined::{Column, FillWith, Join, Policy, Table, Variable, evaluate};

/// Points of all groups of a request that are held at once.
const POINTS_MAX: usize = 4_000_000;

/// How many points may still be held. Asked before there is room made for them.
#[derive(Debug)]
pub struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { left: POINTS_MAX }
    }
}

impl Budget {
    pub fn take(&mut self, points: usize) -> Result<(), OpentsdbError> {
        let too_many = || OpentsdbError::TooManyPoints { points_max: POINTS_MAX };
        self.left = self.left.checked_sub(points).ok_or_else(too_many)?;
        Ok(())
    }
}

/// A group held whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub metric: Arc<str>,
    pub tags: TagSet,
    pub aggregated: Vec<Arc<str>>,
    /// Milliseconds since 1970, ascending.
    pub points: Vec<(i64, Value)>,
    /// What the name of the series is when that has been chosen.
    pub alias: Option<String>,
    /// Made of several series.
    pub is_combined: bool,
}

impl Series {
    fn of(head: GroupHead) -> Series {
        let GroupHead { metric, tags, aggregated, .. } = head;
        Series { metric, tags, aggregated, points: Vec::new(), alias: None, is_combined: false }
    }

    /// The head it is shown under: a chosen name hides the tags.
    pub fn head(&self, query: usize) -> GroupHead {
        let members = Vec::new();
        match &self.alias {
            Some(alias) => {
                let metric = alias.as_str().into();
                GroupHead { query, metric, tags: Vec::new(), aggregated: Vec::new(), members }
            }
            None => {
                let (metric, tags, aggregated) = (self.metric.clone(), self.tags.clone(), self.aggregated.clone());
                GroupHead { query, metric, tags, aggregated, members }
            }
        }
    }
}

/// All groups, by the place of their sub query; `queries` of them. Their points are taken out of `budget`.
pub async fn gathered(
    mut groups: Groups,
    queries: usize,
    budget: &mut Budget,
) -> Result<Vec<Vec<Series>>, OpentsdbError> {
    let mut gathered: Vec<Vec<Series>> = vec![Vec::new(); queries];
    let mut at = 0;
    while let Some(piece) = groups.next().await {
        let piece = piece?;
        budget.take(piece.points.len())?;
        if let Some(head) = piece.head {
            at = head.query;
            gathered[at].push(Series::of(head));
        }
        if let Some(series) = gathered[at].last_mut() {
            series.points.extend(piece.points.iter());
        }
    }
    Ok(gathered)
}
