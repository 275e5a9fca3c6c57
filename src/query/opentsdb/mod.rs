//! OpenTSDB's queries: what requests say, and the plans that answer them. Knows no HTTP.
//!
//! A sub query is one plan of the engine: the scan of a table under the time window and the filters that name values, and on
//! top an operator of ours (`groups`) that makes series, downsamples them and aggregates across them. Sub queries of a
//! request run side by side, and their groups come in order of the sub queries.
//!
//! | file | what it is for |
//! |---|---|
//! | [`request`], [`metric_query`] | requests as written and as checked, `m=` |
//! | [`time`], [`duration`], [`downsample`], [`filter`], [`aggregator`] | what their parts say |
//! | [`window`] | which stretch of time is read |
//! | `resolve` | which table and field a metric is |
//! | `plan`, `groups` | the plan of a sub query |
//! | [`execute`], [`answer`] | running a request, what comes out |
//! | [`last`] | the newest point of each series |
//! | [`expression`] | calculations over whole series |
//! | [`lookup`] | names and series that are there |

pub mod aggregator;
pub mod answer;
pub mod downsample;
pub mod duration;
pub mod error;
pub mod execute;
pub mod expression;
pub mod filter;
pub(in crate::query) mod groups;
pub mod last;
pub mod lookup;
pub mod metric_query;
mod percentile;
mod plan;
pub mod request;
mod resolve;
pub mod time;
pub mod window;

pub use error::OpentsdbError;
pub use percentile::Estimation;
