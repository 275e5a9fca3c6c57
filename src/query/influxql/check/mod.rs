//! What can be said about a SELECT before any data is looked at: whether it makes sense, and what it asks for.
//!
//! Owns: the server's rules for functions and their arguments, for what may stand beside what, for windows and fill;
//! folding of constants; the bounds on time in a condition. Does not own: what depends on the stored columns (wildcards,
//! types), which is the plan's.
//!
//! | file | what it is for |
//! |---|---|
//! | [`fold`], [`arithmetic`] | constants, computed as the server does |
//! | [`moment`] | times that are written as strings |
//! | [`time_range`] | a condition → bounds on time, and the rest |
//! | `grouping` | GROUP BY → windows and tags |
//! | `fields`, `calls` | which fields and calls may stand together, and their arguments |
//! | `error` | what was wrong, said as the server says it |
//!
//! The order of the checks is the server's, so that of several mistakes the same one is named.

pub mod arithmetic;
mod calls;
mod error;
mod fields;
pub mod fold;
mod grouping;
pub mod moment;
#[cfg(test)]
mod tests;
pub mod time_range;

pub use error::CheckError;
pub use fields::Calls;
pub use grouping::{Dimension, Interval, Offset};
pub use time_range::TimeRange;

use super::clauses::{Direction, Page};
use super::expr::Expr;
use super::ident::Ident;
use super::select::{Field, Fill, Select};
use super::source::{Measurement, Source, Target};
use super::zone::TimeZone;
use fold::Environment;

/// A SELECT that makes sense, in parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Without `time`; constants folded, `DISTINCT f` as the call that it means. At least one.
    pub fields: Vec<Field>,
    /// What the column of times is called.
    pub time_name: Ident,
    pub target: Option<Target>,
    pub sources: Vec<CheckedSource>,
    /// Without the bounds on time, and with `now()` replaced by the moment.
    pub condition: Option<Expr>,
    /// The bounds on time that the condition sets; those of a subquery are its own alone.
    pub range: TimeRange,
    /// `time(…)` of the dimensions.
    pub interval: Option<Interval>,
    /// The other dimensions, as written.
    pub dimensions: Vec<Dimension>,
    pub fill: Fill,
    pub direction: Direction,
    pub rows: Page,
    pub series: Page,
    pub zone: Option<TimeZone>,
    pub calls: Calls,
}

/// Where a checked select reads.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckedSource {
    Measurement(Measurement),
    Subquery(Box<Checked>),
}

/// Checks a SELECT and everything in it. `now` is what `now()` means, nanoseconds since 1970 UTC.
pub fn select(select: &Select, now: i64) -> Result<Checked, CheckError> {
    let begun = Begun::new(select, now)?;
    check(select, begun, None, now)
}

/// What is known of a select before its fields are looked at.
struct Begun {
    condition: Option<Expr>,
    range: TimeRange,
    interval: Option<Interval>,
    dimensions: Vec<Dimension>,
}

/// What an outer select hands to one inside it.
#[derive(Clone, Copy)]
struct Outer {
    /// Its rows are grouped by windows, which those inside are, too, unless they say otherwise.
    has_windows: bool,
    direction: Direction,
}

impl Begun {
    fn new(select: &Select, now: i64) -> Result<Begun, CheckError> {
        let environment = Environment { now: Some(now), zone: select.zone, math: false };
        let (condition, range) = time_range::split(select.condition.as_ref(), &environment)?;
        if let Some(condition) = &condition {
            calls::check_condition(condition)?;
        }
        let (interval, dimensions) = grouping::check(&select.dimensions, now, select.zone)?;
        Ok(Begun { condition, range, interval, dimensions })
    }
}

fn check(select: &Select, begun: Begun, outer: Option<Outer>, now: i64) -> Result<Checked, CheckError> {
    let direction = outer.map_or(select.direction(), |outer| outer.direction);
    // In a subquery the nulls of empty windows would be dropped anyway, so the server makes no rows for them; the rules
    // below see it.
    let fill = match select.fill {
        Fill::Null if outer.is_some() && begun.interval.is_some() => Fill::None,
        fill => fill,
    };
    let inherited = begun.interval.is_none() && outer.is_some_and(|outer| outer.has_windows);
    let windows = fields::Windows { any: begun.interval.is_some() || inherited, own: !inherited };
    let checked = fields::check(select, windows, fill)?;
    let inner = Outer { has_windows: windows.any, direction };
    let mut sources = Vec::with_capacity(select.sources.len());
    for source in &select.sources {
        sources.push(match source {
            Source::Measurement(measurement) => CheckedSource::Measurement(measurement.clone()),
            Source::Subquery(select) => CheckedSource::Subquery(Box::new(check_subquery(select, inner, now)?)),
        });
    }
    // The server finds out about this one only when it runs the statement.
    if outer.is_none()
        && let Some(Interval { length: 1.., offset: Offset::Text(text) }) = &begun.interval
    {
        return Err(CheckError::OffsetText { offset: text.clone() });
    }
    Ok(Checked {
        fields: checked.fields,
        time_name: checked.time_name,
        target: select.target.clone(),
        sources,
        condition: begun.condition,
        range: begun.range,
        interval: begun.interval,
        dimensions: begun.dimensions,
        fill: select.fill,
        direction,
        rows: select.rows,
        series: select.series,
        zone: select.zone,
        calls: checked.calls,
    })
}

fn check_subquery(select: &Select, outer: Outer, now: i64) -> Result<Checked, CheckError> {
    let begun = Begun::new(select, now)?;
    if select.order.is_some_and(|order| order.direction != outer.direction) {
        return Err(CheckError::SubqueryDirection);
    }
    check(select, begun, Some(outer), now)
}
