//! The points of one series in order of time, and how pieces of them become one.

use crate::query::opentsdb::aggregator::Partial;
use crate::query::opentsdb::downsample::Fill;
use crate::query::opentsdb::request::RateOptions;
use crate::query::opentsdb::window::Window;

use super::intervals::Buckets;
use super::spec::Sampling;

/// A value: whether it is an integer decides the arithmetic over it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i64),
    Float(f64),
}

/// Points; times are milliseconds since 1970.
#[derive(Debug, Default, Clone)]
pub(super) struct Column {
    pub times: Vec<i64>,
    /// Integers as they are, floats by their bits.
    bits: Vec<u64>,
    /// Empty: all are floats.
    is_float: Vec<bool>,
}

impl Column {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn push_float(&mut self, time: i64, value: f64) {
        self.times.push(time);
        self.bits.push(value.to_bits());
        if !self.is_float.is_empty() {
            self.is_float.push(true);
        }
    }

    pub(super) fn push(&mut self, time: i64, value: Number) {
        match value {
            Number::Float(value) => self.push_float(time, value),
            Number::Integer(value) => {
                self.is_float.resize(self.times.len(), true);
                self.times.push(time);
                self.bits.push(value as u64);
                self.is_float.push(false);
            }
        }
    }

    pub(super) fn is_float(&self, at: usize) -> bool {
        self.is_float.is_empty() || self.is_float[at]
    }

    pub(super) fn has_only_floats(&self) -> bool {
        self.is_float.iter().all(|&is_float| is_float)
    }

    /// The integer of a point that is one.
    pub(super) fn integer(&self, at: usize) -> i64 {
        self.bits[at] as i64
    }

    pub(super) fn float(&self, at: usize) -> f64 {
        if self.is_float(at) { f64::from_bits(self.bits[at]) } else { self.bits[at] as i64 as f64 }
    }

    pub(super) fn number(&self, at: usize) -> Number {
        if self.is_float(at) { Number::Float(self.float(at)) } else { Number::Integer(self.integer(at)) }
    }

    fn last_time(&self) -> Option<i64> {
        self.times.last().copied()
    }

    fn drop_last(&mut self) {
        self.times.pop();
        self.bits.pop();
        self.is_float.pop();
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        self.times.capacity() * 8 + self.bits.capacity() * 8 + self.is_float.capacity()
    }
}

/// Pieces of one series as they were gathered, none inside another unless rows came in no order.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub points: Column,
    /// How many values each point stands for, where the points of a bucket are held as one ([`Partial`]); else empty.
    pub counts: Vec<u32>,
    pub pieces: Vec<Piece>,
}

/// Points that came one after the other: `head` of them, then so many buckets that are done (a point each, at its start), then
/// points again. The first and the last bucket may go on in other pieces, so they are kept as points or partials.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub first_ms: i64,
    pub last_ms: i64,
    /// Where it begins in the points.
    pub at: usize,
    pub head: usize,
    pub done: usize,
    pub tail: usize,
}

impl Pieces {
    pub(super) fn bytes(&self) -> usize {
        self.points.bytes() + self.counts.capacity() * 4 + self.pieces.capacity() * size_of::<Piece>()
    }
}

/// Whether pieces of a series lie inside each other although buckets of them are done already: such buckets may lack points.
pub(super) fn is_interleaved(parts: &[Pieces]) -> bool {
    let mut pieces: Vec<&Piece> = parts.iter().flat_map(|part| &part.pieces).collect();
    if pieces.len() < 2 || pieces.iter().all(|piece| piece.done == 0) {
        return false;
    }
    pieces.sort_by_key(|piece| (piece.first_ms, piece.last_ms));
    pieces.windows(2).any(|two| two[0].last_ms > two[1].first_ms)
}

/// The series that pieces make, which are not interleaved: downsampled, without values for empty buckets.
pub(super) fn joined(parts: Vec<Pieces>, sampling: Option<&Sampling>, window: Window) -> Column {
    if sampling.is_none()
        && let [part] = &parts[..]
        && let [_] = part.pieces[..]
    {
        return without_equal_times(parts.into_iter().next().map(|part| part.points).unwrap_or_default());
    }
    let mut pieces: Vec<(&Pieces, Piece)> = Vec::new();
    for part in &parts {
        pieces.extend(part.pieces.iter().map(|piece| (part, *piece)));
    }
    pieces.sort_by_key(|(_, piece)| (piece.first_ms, piece.last_ms));
    let in_order = pieces.windows(2).all(|two| two[0].1.last_ms <= two[1].1.first_ms);
    let all_points = || pieces.iter().flat_map(|(from, p)| (p.at..p.at + p.head + p.tail).map(|at| (&from.points, at)));
    let mut points: Vec<(&Column, usize)> = Vec::new();
    if !in_order {
        points = all_points().collect();
        points.sort_by_key(|(from, at)| from.times[*at]);
    }
    let Some(sampling) = sampling else {
        let mut joined = Column::default();
        if in_order {
            points = all_points().collect();
        }
        for (from, at) in points {
            joined.push(from.times[at], from.number(at));
        }
        return without_equal_times(joined);
    };
    let mut sampler = Sampler::new(sampling, window);
    if !in_order {
        for (from, at) in points {
            sampler.point(from.times[at], from.float(at), None);
        }
        return sampler.finish();
    }
    for (from, piece) in pieces {
        let (done, tail) = (piece.at + piece.head, piece.at + piece.head + piece.done);
        let (points, counts) = (&from.points, &from.counts);
        let mut point = |at: usize| sampler.point(points.times[at], points.float(at), counts.get(at).copied());
        (piece.at..done).for_each(&mut point);
        (done..tail).for_each(|at| sampler.bucket(points.times[at], points.float(at)));
        let mut point = |at: usize| sampler.point(points.times[at], points.float(at), counts.get(at).copied());
        (tail..tail + piece.tail).for_each(&mut point);
    }
    sampler.finish()
}

/// Of points at one instant the last counts: times finer than a millisecond are cut off.
fn without_equal_times(column: Column) -> Column {
    if column.times.windows(2).all(|two| two[0] < two[1]) {
        return column;
    }
    let mut kept = Column::default();
    for at in 0..column.len() {
        if kept.last_time() == Some(column.times[at]) {
            kept.drop_last();
        }
        kept.push(column.times[at], column.number(at));
    }
    kept
}

/// Makes buckets of points in order of time.
struct Sampler<'a> {
    sampling: &'a Sampling,
    window: Window,
    out: Column,
    open: Option<super::intervals::Bucket>,
    values: Vec<f64>,
    partials: Vec<Partial>,
}

impl<'a> Sampler<'a> {
    fn new(sampling: &'a Sampling, window: Window) -> Self {
        Sampler { sampling, window, out: Column::default(), open: None, values: Vec::new(), partials: Vec::new() }
    }

    /// A point, or with `Some` what so many come to.
    fn point(&mut self, time: i64, value: f64, count: Option<u32>) {
        if self.open.is_none_or(|bucket| time >= bucket.end_ms) {
            self.close();
            self.open = self.sampling.buckets.at(time);
        }
        match count {
            _ if self.open.is_none() => {}
            Some(count) => self.partials.push(Partial { value, count }),
            None => self.values.push(value),
        }
    }

    fn bucket(&mut self, start: i64, value: f64) {
        self.close();
        self.emit(start, value);
    }

    fn close(&mut self) {
        if let Some(bucket) = self.open.take() {
            let function = self.sampling.function;
            let value = match self.partials[..] {
                [] => function.of_floats(&self.values),
                _ => function.of_partials(&self.partials),
            };
            self.values.clear();
            self.partials.clear();
            self.emit(bucket.start_ms, value);
        }
    }

    /// Buckets that begin before the window are not whole and are not made.
    fn emit(&mut self, start: i64, value: f64) {
        let is_whole = matches!(self.sampling.buckets, Buckets::All { .. }) || start >= self.window.start_ms;
        if is_whole {
            self.out.push_float(start, value);
        }
    }

    fn finish(mut self) -> Column {
        self.close();
        self.out
    }
}

/// How many values a fill makes of each series; `None` when it makes none.
pub(super) fn filled_len(sampling: &Sampling, window: Window) -> Option<usize> {
    match (&sampling.buckets, sampling.fill) {
        (_, Fill::None) | (Buckets::All { .. }, _) => None,
        (Buckets::Fixed { width_ms }, _) => {
            usize::try_from((window.end_ms - window.start_ms) / (*width_ms).max(1) + 1).ok()
        }
        (Buckets::Calendar(_), _) => {
            let first = sampling.buckets.at(window.start_ms)?;
            let width = (first.end_ms - first.start_ms).max(1);
            usize::try_from((window.end_ms - window.start_ms) / width + 2).ok()
        }
    }
}

/// A value for every bucket of the window.
pub(super) fn filled(column: Column, sampling: &Sampling, window: Window) -> Column {
    let (Some(count), Some(mut bucket)) = (filled_len(sampling, window), sampling.buckets.at(window.start_ms)) else {
        return column;
    };
    let Some(end) = sampling.buckets.at(window.end_ms).map(|bucket| bucket.start_ms) else { return column };
    let empty = if sampling.fill == Fill::Zero { 0.0 } else { f64::NAN };
    let mut out = Column { times: Vec::with_capacity(count), bits: Vec::with_capacity(count), is_float: Vec::new() };
    let mut at = 0;
    while bucket.start_ms < end {
        while at < column.len() && column.times[at] < bucket.start_ms {
            at += 1;
        }
        let has_value = at < column.len() && column.times[at] == bucket.start_ms;
        out.push_float(bucket.start_ms, if has_value { column.float(at) } else { empty });
        match sampling.buckets.at(bucket.end_ms) {
            Some(next) if next.start_ms > bucket.start_ms => bucket = next,
            _ => break,
        }
    }
    out
}

/// Differences by seconds, a point each but for resets that are dropped. The first is measured against 0 at 1970: it stands
/// for the series until the second, and is never shown.
pub(super) fn rates(column: &Column, options: &RateOptions) -> Column {
    let mut out = Column::default();
    let mut before = (0_i64, Number::Integer(0));
    for at in 0..column.len() {
        let now = (column.times[at], column.number(at));
        let ((t0, v0), (t1, v1)) = (before, now);
        before = now;
        let seconds = (t1 - t0) as f64 / 1000.0;
        let difference = match (v0, v1) {
            (Number::Integer(a), Number::Integer(b)) => b.wrapping_sub(a) as f64,
            (a, b) => b.as_float() - a.as_float(),
        };
        if !(options.counter && difference < 0.0) {
            out.push_float(t1, difference / seconds);
            continue;
        }
        if options.drop_resets {
            continue;
        }
        let difference = match (v0, v1) {
            (Number::Integer(a), Number::Integer(b)) => options.counter_max.wrapping_sub(a).wrapping_add(b) as f64,
            (a, b) => options.counter_max as f64 - a.as_float() + b.as_float(),
        };
        let rate = difference / seconds;
        let is_reset = options.reset_value > 0 && rate > options.reset_value as f64;
        out.push_float(t1, if is_reset { 0.0 } else { rate });
    }
    out
}

impl Number {
    pub(super) fn as_float(self) -> f64 {
        match self {
            Number::Integer(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}
