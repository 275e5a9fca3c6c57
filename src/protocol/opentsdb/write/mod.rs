//! Points that come in: `/api/put`, and what the server has beside it for roll-ups and histograms.

mod put;
mod refused;
pub(super) mod store;

pub(super) use put::put;
pub(super) use refused::{histogram, rollup};
