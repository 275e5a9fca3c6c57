//! Functions over series that the engine does not have, or has with other rules: one library for all languages.
//!
//! | wanted | use |
//! |---|---|
//! | `count`, `sum` (integers wrap), `min`/`max` without the time, mean of floats | the engine's `count`, `sum`, `min`, `max`, `avg` |
//! | mean of integers | [`mean_of_integers`] of the engine's `sum` and `count` |
//! | spread | the engine's `max(v) - min(v)` |
//! | first, last, and min, max with the time and more of their row | [`selector`] |
//! | median, standard deviation, mode, percentile, distinct, top, bottom, sample | [`collected`] |
//! | how complete, consistent, timely and valid a series is | [`collected`] |
//! | series put right: times, gaps, jumps | [`collected`] |
//! | how long a state lasted | [`collected`] |
//! | values of points that were collected | `point_values(points)` |
//! | windows of time, also in a time zone | [`window_start`] |
//! | functions of numbers | [`math_call`] |
//! | tags as texts | [`tag_text`] |
//! | what needs rows in order of time (derivative, moving average, integral, …) | `query::series::Transform` |
//!
//! Rows whose value is null take no part in anything here. NaN is a value; who shows it as null does so at the door.

mod choices;
mod collected;
mod held;
mod kernels;
mod math;
mod point_values;
mod points;
mod quality;
mod repair;
mod selector;
mod single;
mod sorting;
mod statistics;
mod text;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::AggregateUDF;
use datafusion::logical_expr::registry::FunctionRegistry;

pub use collected::Kind;
pub use kernels::{Calculation, Given, Kernel, Progress, Smoothing, Warmup};
pub use math::{math_call, mean_of_integers};
pub use selector::Choice;
pub use text::tag_text;
pub use window::window_start;

/// `(value, time, …)` → Struct{`value`, `time`, `aux_0`, …}; the types of further columns stay as they are.
pub fn selector(choice: Choice) -> Arc<AggregateUDF> {
    Arc::new(selector::SelectorFunction::new(choice).into())
}

/// Arguments and result: see [`Kind`]. Points have the form that [`selector`] gives.
pub fn collected(kind: Kind) -> Arc<AggregateUDF> {
    Arc::new(collected::CollectedFunction::new(kind).into())
}

/// Makes the functions known by name.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for choice in [Choice::First, Choice::Last, Choice::Min, Choice::Max] {
        state.register_udaf(selector(choice))?;
    }
    for kind in Kind::ALL {
        state.register_udaf(collected(kind))?;
    }
    state.register_udf(Arc::new(window::WindowStart::new().into()))?;
    state.register_udf(Arc::new(point_values::PointValues::new().into()))?;
    state.register_udf(Arc::new(text::TagText::new().into()))?;
    state.register_udf(Arc::new(math::WrappingAbs::new().into()))?;
    Ok(())
}
