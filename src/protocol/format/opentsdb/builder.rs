//! Points one after the other into columns: a table a metric, a series looked up by the bytes it came in.

use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

use ahash::AHashMap;
use smallvec::SmallVec;

use crate::model::metric::{VALUE_FIELD, VALUE_INT_FIELD};
use crate::model::time::{TIME_MAX_NS, TIME_MIN_NS};
use crate::model::{FieldType, Points};

use super::error::PointError;
use super::names::{check_name, printed};
use super::number::Number;

const NANOS_PER_MS: i64 = 1_000_000;
const NANOS_PER_SEC: i64 = 1_000_000_000;
/// Times up to here are seconds.
const SECONDS_MAX: i64 = u32::MAX as i64;
/// Times up to here are milliseconds.
const MILLIS_MAX: i64 = 9_999_999_999_999;

/// The columns of a metric, and what its points may be called.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Float64, of every point.
    pub value: &'static str,
    /// Int64, of points that were written as integers; `None`: there is no such column.
    pub integer: Option<&'static str>,
    /// How many tags a point may have, where names are held to OpenTSDB's rules; `None`: names and tags may be anything.
    pub tags_max: Option<usize>,
}

impl Layout {
    /// What OpenTSDB's own doors write.
    pub const METRIC: Layout = Layout { value: VALUE_FIELD, integer: Some(VALUE_INT_FIELD), tags_max: Some(8) };
    /// What other servers make of OpenTSDB's points.
    pub const FLOATS: Layout = Layout { value: VALUE_FIELD, integer: None, tags_max: None };
}

/// A tag as a point brings it; without a value only where JSON says `null`.
pub type Tag<'a> = (&'a str, Option<&'a str>);

/// The tags of a point.
pub(super) type Tags<'a> = SmallVec<[Tag<'a>; 8]>;

/// Whether a metric may be written to.
pub type MayWrite<'a> = dyn Fn(&str) -> bool + 'a;

/// Collects points. `'a` is the life of the bytes they came in.
pub struct Builder<'a> {
    layout: Layout,
    may_write: Option<&'a MayWrite<'a>>,
    points: Points,
    /// Series met so far, by the bytes that named them.
    known: AHashMap<SeriesBytes<'a>, Place>,
}

/// The bytes of a point that say its metric and its tags. The same bytes always mean the same series within one kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesBytes<'a> {
    pub metric: &'a [u8],
    pub tags: &'a [u8],
}

impl Hash for SeriesBytes<'_> {
    /// Lengths are left out: what they tell apart is told apart by comparing.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.metric);
        state.write(self.tags);
    }
}

/// Where the points of a series go.
#[derive(Debug, Clone, Copy)]
struct Place {
    table: usize,
    series: u32,
}

/// Positions of a metric's columns.
const VALUE: usize = 0;
const INTEGER: usize = 1;

impl<'a> Builder<'a> {
    /// `may_write` is asked once a new metric of these points; `None`: every metric may be.
    pub fn new(layout: Layout, may_write: Option<&'a MayWrite<'a>>) -> Self {
        Builder { layout, may_write, points: Points::default(), known: AHashMap::new() }
    }

    /// Has room for the series of so many points, within bounds.
    pub fn with_room_for(mut self, points: usize) -> Self {
        const SERIES_MAX: usize = 8192;
        self.known.reserve(points.min(SERIES_MAX));
        self
    }

    pub fn into_points(self) -> Points {
        self.points
    }

    /// Adds a point with a time that is seconds or milliseconds by its size and more than 0. `tags` and `number` are read when they
    /// are wanted: tags of bytes that are known only for a refusal. Checks come in the server's order.
    pub(super) fn add<'t>(
        &mut self,
        bytes: SeriesBytes<'a>,
        metric: &str,
        tags: impl Fn() -> Result<Tags<'t>, PointError>,
        time: i64,
        number: impl FnOnce() -> Result<Number, PointError>,
    ) -> Result<(), PointError> {
        let (place, time_ns, number) = match self.known.entry(bytes) {
            Entry::Occupied(known) => {
                let number = number()?;
                let time_ns = match stored_time(time, number) {
                    Some(time_ns) => time_ns,
                    None => return Err(refusal(metric, &tags()?, time, number)),
                };
                (*known.get(), time_ns, number)
            }
            Entry::Vacant(new) => {
                let tags = tags()?;
                let number = number()?;
                let Some(time_ns) = stored_time(time, number) else {
                    return Err(refusal(metric, &tags, time, number));
                };
                let place = register(&mut self.points, &self.layout, self.may_write, metric, &tags)?;
                (*new.insert(place), time_ns, number)
            }
        };
        self.push(place, time_ns, number);
        Ok(())
    }

    /// Adds a point at a time in nanoseconds, with a number that is finite.
    pub(super) fn add_at(
        &mut self,
        bytes: SeriesBytes<'a>,
        metric: &str,
        tags: &[Tag<'_>],
        time_ns: i64,
        number: Number,
    ) -> Result<(), PointError> {
        let place = match self.known.entry(bytes) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(register(&mut self.points, &self.layout, self.may_write, metric, tags)?),
        };
        self.push(place, time_ns, number);
        Ok(())
    }

    #[inline]
    fn push(&mut self, place: Place, time_ns: i64, number: Number) {
        let table = self.points.table_mut(place.table);
        table.begin_row(place.series, time_ns);
        table.set_float(VALUE, number.as_float());
        if let (Number::Integer(integer), Some(_)) = (number, self.layout.integer) {
            table.set_integer(INTEGER, integer);
        }
    }
}

/// The time in nanoseconds of a point that can be stored.
fn stored_time(time: i64, number: Number) -> Option<i64> {
    nanos_of(time).filter(|_| number.as_float().is_finite())
}

/// What is wrong with a point that has no [`stored_time`].
fn refusal(metric: &str, tags: &[Tag<'_>], time: i64, number: Number) -> PointError {
    let metric = super::error::quotable(metric);
    if nanos_of(time).is_none() {
        let which = if time < 0 { "negative " } else { "bad" };
        return PointError::illegal(format!(
            "{which} timestamp={time} when trying to add value={} to metric={metric}, tags={}",
            number.as_stored(),
            printed(tags.iter().copied())
        ));
    }
    let sign = if number.as_float() < 0.0 { "-" } else { "" };
    PointError::illegal(format!("value is NaN or Infinite: {sign}Infinity for metric={metric} timestamp={time}"))
}

/// Checks what a series is called, and gives it its place.
fn register(
    points: &mut Points,
    layout: &Layout,
    may_write: Option<&MayWrite<'_>>,
    metric: &str,
    tags: &[Tag<'_>],
) -> Result<Place, PointError> {
    match layout.tags_max {
        Some(tags_max) => check_names(metric, tags, tags_max)?,
        None if metric.is_empty() => return Err(PointError::illegal("the metric's name is empty")),
        None => {}
    }
    if may_write.is_some_and(|may_write| !may_write(metric)) {
        return Err(PointError::UnknownMetric(metric.to_string()));
    }
    let index = points.table_index(metric);
    let table = points.table_mut(index);
    if table.fields.is_empty() {
        table.field_index(layout.value, FieldType::Float);
        if let Some(integer) = layout.integer {
            table.field_index(integer, FieldType::Integer);
        }
    }
    let mut numbered: SmallVec<[(u32, &str); 8]> = SmallVec::new();
    for (key, value) in tags {
        numbered.push((table.tag_key_index(key), value.unwrap_or_default()));
    }
    Ok(Place { table: index, series: table.series.push(numbered) })
}

/// Metric and tags as the server checks them.
fn check_names(metric: &str, tags: &[Tag<'_>], tags_max: usize) -> Result<(), PointError> {
    let count = tags.len();
    if count == 0 {
        let metric = super::error::quotable(metric);
        return Err(PointError::illegal(format!("Need at least one tag (metric={metric}, tags={{}})")));
    }
    if count > tags_max {
        let tags = printed(tags.iter().copied());
        return Err(PointError::illegal(format!("Too many tags: {count} maximum allowed: {tags_max}, tags: {tags}")));
    }
    check_name(|| "metric name", metric)?;
    for &(key, value) in tags {
        check_name(|| format!("tag name with value [{}]", value.unwrap_or("null")), key)?;
        let what = || format!("tag value with key [{key}]");
        match value {
            None => return Err(PointError::illegal(format!("Invalid {}: null", what()))),
            Some(value) => check_name(what, value)?,
        }
    }
    Ok(())
}

/// A time in nanoseconds. Negative ones and those of more than 13 digits are none, nor are those that nanoseconds cannot say.
fn nanos_of(time: i64) -> Option<i64> {
    let nanos = match time {
        0..=SECONDS_MAX => time.checked_mul(NANOS_PER_SEC),
        ..=MILLIS_MAX if time > 0 => time.checked_mul(NANOS_PER_MS),
        _ => None,
    };
    nanos.filter(|nanos| (TIME_MIN_NS..=TIME_MAX_NS).contains(nanos))
}
