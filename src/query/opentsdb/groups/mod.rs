//! The operator of a sub query: rows of a table in, groups of series out.
//!
//! Owns: gathering the points of each series, downsampling, rates, interpolation and aggregation across series. Does not own:
//! which rows are read ([`super::plan`]), how groups are written.
//!
//! | file | what it is for |
//! |---|---|
//! | [`spec`], [`node`] | what is wanted, as a node of a logical plan |
//! | `exec` | the physical operator |
//! | `collect`, `column`, `intervals` | points of series out of batches; buckets, fills, rates |
//! | `combine` | series of a group made one |
//! | `emit` | groups as rows |

mod collect;
mod column;
mod combine;
mod emit;
mod exec;
mod intervals;
mod node;
mod spec;

#[cfg(test)]
mod tests;

pub(super) use emit::columns;
pub(super) use exec::INTERLEAVED;
pub(in crate::query) use node::GroupsPlanner;
pub(super) use node::groups_plan;
pub(super) use spec::{GroupSpec, Sampling};

/// What every batch of the operator looks like, see [`columns`].
pub(super) fn schema() -> datafusion::arrow::datatypes::SchemaRef {
    emit::SCHEMA.clone()
}

impl Sampling {
    /// How a query from `range_ms.0` to `range_ms.1` (milliseconds, both included) is downsampled.
    pub(super) fn new(
        asked: super::downsample::Downsample,
        zone: chrono_tz::Tz,
        range_ms: (i64, i64),
        window: super::window::Window,
    ) -> Sampling {
        Sampling {
            buckets: intervals::Buckets::new(asked.interval, zone, range_ms, window),
            function: asked.function,
            fill: asked.fill,
        }
    }
}
