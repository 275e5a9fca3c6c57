//! The JSON of `/api/put`: one point or an array of them.
//!
//! What is bound to a point and what refuses the whole body follows the server's binder: texts may be numbers, times may be texts,
//! members that are not known are passed over, and what comes after the document is not looked at.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::model::Points;

use super::builder::{Builder, Layout, MayWrite, SeriesBytes, Tag};
use super::error::PointError;
use super::number;
use super::scan::{NotJson, Scalar, Scanner};

/// Tags beyond which a key that comes twice counts twice: no point may have nearly as many.
const COMPARED_TAGS_MAX: usize = 64;
/// About what a point takes of a body.
const POINT_BYTES: usize = 96;
/// Bad points of a body that are kept: each is many times as large as what it is read from.
const BAD_KEPT_MAX: usize = 10_000;

/// Why nothing of a body is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyProblem {
    #[error("Missing request content")]
    Empty,
    #[error("No datapoints found in content")]
    NoPoints,
    #[error("The JSON must start as an object or an array")]
    NotADocument,
    #[error("Unable to parse the given JSON")]
    Unreadable(#[source] NotJson),
}

impl From<NotJson> for BodyProblem {
    fn from(error: NotJson) -> Self {
        BodyProblem::Unreadable(error)
    }
}

/// What the end point does with points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Stores them.
    Put,
    /// Refuses each of them, as a server does that no roll-up is configured for.
    Rollup,
}

/// How a body is read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    pub layout: Layout,
    pub purpose: Purpose,
    /// Asked once a metric; `None`: every metric may be written.
    pub may_write: Option<&'a MayWrite<'a>>,
    /// Whether the first 10,000 bad points are kept with what is wrong with them, or only counted.
    pub keep_bad: bool,
}

/// What a body holds.
#[derive(Debug)]
pub struct Parsed {
    pub points: Points,
    pub bad_count: usize,
    /// The first of them, in the order of the body; empty unless asked for.
    pub bad: Vec<BadPoint>,
}

/// A point that is not taken.
#[derive(Debug, Clone, PartialEq)]
pub struct BadPoint {
    /// The point as it was understood; `Null` where there was none.
    pub datapoint: Value,
    pub error: String,
}

/// Reads a whole body. An error means that no point of it may be stored.
pub fn parse(body: &str, options: Options<'_>) -> Result<Parsed, BodyProblem> {
    let mut scanner = Scanner::new(body);
    let is_array = match scanner.peek() {
        None => return Err(BodyProblem::Empty),
        Some(b'[') => true,
        Some(b'{') => false,
        Some(_) => return Err(BodyProblem::NotADocument),
    };
    let mut reader = Reader {
        builder: Builder::new(options.layout, options.may_write).with_room_for(body.len() / POINT_BYTES),
        options,
        point: Incoming::default(),
        bad_count: 0,
        bad: Vec::new(),
    };
    if is_array {
        scanner.expect(b'[')?;
        let mut is_first = true;
        while scanner.element(is_first)? {
            reader.element(&mut scanner)?;
            is_first = false;
        }
        if is_first {
            return Err(BodyProblem::NoPoints);
        }
    } else {
        reader.element(&mut scanner)?;
    }
    Ok(Parsed { points: reader.builder.into_points(), bad_count: reader.bad_count, bad: reader.bad })
}

struct Reader<'a> {
    options: Options<'a>,
    builder: Builder<'a>,
    /// The point being read; its room is used again.
    point: Incoming<'a>,
    bad_count: usize,
    bad: Vec<BadPoint>,
}

/// A point as the body says it. Of a member that comes twice the last one counts.
#[derive(Debug, Default)]
struct Incoming<'a> {
    metric: Option<Cow<'a, str>>,
    metric_bytes: &'a [u8],
    timestamp: i64,
    value: Option<Cow<'a, str>>,
    has_tags: bool,
    tags: Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>,
    tags_bytes: &'a [u8],
    interval: Option<Cow<'a, str>>,
    aggregator: Option<Cow<'a, str>>,
    group_by_aggregator: Option<Cow<'a, str>>,
}

impl<'a> Reader<'a> {
    fn element(&mut self, scanner: &mut Scanner<'a>) -> Result<(), NotJson> {
        match scanner.peek() {
            Some(b'{') => {
                self.point.read(scanner)?;
                if let Err(error) = self.take() {
                    self.refuse(error, |point| point.echoed());
                }
            }
            Some(b'n') => {
                scanner.skip()?;
                self.refuse("Unexpected null datapoint encountered in set.".to_string(), |_| Value::Null);
            }
            _ => return scanner.unexpected(),
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), String> {
        let point = &self.point;
        let metric = point.metric.as_deref().filter(|metric| !metric.is_empty()).ok_or("Metric name was empty")?;
        if point.timestamp <= 0 {
            return Err("Invalid timestamp".to_string());
        }
        let value = point.value.as_deref().filter(|value| !value.is_empty()).ok_or("Empty value")?;
        if !point.has_tags || point.tags.is_empty() {
            return Err("Missing tags".to_string());
        }
        if self.options.purpose == Purpose::Rollup {
            return Err("No rollup or aggregations were configured".to_string());
        }
        let number = number::parse(value).map_err(|_| "Unable to parse value to a number")?;
        let tags = || Ok(point.tags.iter().map(|(key, value)| -> Tag<'_> { (key, value.as_deref()) }).collect());
        let bytes = SeriesBytes { metric: point.metric_bytes, tags: point.tags_bytes };
        self.builder.add(bytes, metric, tags, point.timestamp, || Ok(number)).map_err(|error| match error {
            PointError::UnknownMetric(_) => "Unknown metric".to_string(),
            error => error.to_string(),
        })
    }

    fn refuse(&mut self, error: String, echo: impl FnOnce(&Incoming<'_>) -> Value) {
        self.bad_count += 1;
        if self.options.keep_bad && self.bad.len() < BAD_KEPT_MAX {
            self.bad.push(BadPoint { datapoint: echo(&self.point), error });
        }
    }
}

impl<'a> Incoming<'a> {
    /// Reads the object that comes next in place of what was read before.
    fn read(&mut self, scanner: &mut Scanner<'a>) -> Result<(), NotJson> {
        let mut tags = std::mem::take(&mut self.tags);
        tags.clear();
        *self = Incoming { tags, ..Incoming::default() };
        scanner.expect(b'{')?;
        let mut is_first = true;
        while let Some(key) = scanner.key(is_first)? {
            is_first = false;
            match &*key {
                "metric" => {
                    scanner.peek();
                    let start = scanner.position();
                    self.metric = text(scanner)?;
                    self.metric_bytes = scanner.since(start);
                }
                "timestamp" => self.timestamp = timestamp(scanner)?,
                "value" => self.value = text(scanner)?,
                "tags" => self.read_tags(scanner)?,
                "interval" => self.interval = text(scanner)?,
                "aggregator" => self.aggregator = text(scanner)?,
                "groupByAggregator" => self.group_by_aggregator = text(scanner)?,
                _ => scanner.skip()?,
            }
        }
        Ok(())
    }

    fn read_tags(&mut self, scanner: &mut Scanner<'a>) -> Result<(), NotJson> {
        self.tags.clear();
        self.has_tags = false;
        if scanner.peek() == Some(b'n') {
            return scanner.skip();
        }
        let start = scanner.position();
        scanner.expect(b'{')?;
        self.has_tags = true;
        let mut is_first = true;
        while let Some(key) = scanner.key(is_first)? {
            is_first = false;
            let value = text(scanner)?;
            let compared = self.tags.len() <= COMPARED_TAGS_MAX;
            match self.tags.iter_mut().find(|(known, _)| compared && *known == key) {
                Some((_, known)) => *known = value,
                None => self.tags.push((key, value)),
            }
        }
        self.tags_bytes = scanner.since(start);
        Ok(())
    }

    fn echoed(&self) -> Value {
        let mut echo = Map::new();
        let mut add = |name: &str, text: &Option<Cow<'_, str>>| {
            if let Some(text) = text {
                echo.insert(name.to_string(), Value::from(text.as_ref()));
            }
        };
        add("metric", &self.metric);
        add("value", &self.value);
        add("interval", &self.interval);
        add("aggregator", &self.aggregator);
        add("groupByAggregator", &self.group_by_aggregator);
        echo.insert("timestamp".to_string(), json!(self.timestamp));
        if self.has_tags {
            let tags = self.tags.iter().map(|(key, value)| (key.to_string(), Value::from(value.as_deref())));
            echo.insert("tags".to_string(), tags.collect::<Map<_, _>>().into());
        }
        Value::Object(echo)
    }
}

/// A scalar as text; `None` for null.
fn text<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Cow<'a, str>>, NotJson> {
    match scanner.scalar()? {
        Some(scalar) => Ok(scalar.into_text()),
        None => scanner.unexpected(),
    }
}

/// A time: a number whose fraction is dropped, or a text of an integer. Null and empty texts are 0.
fn timestamp(scanner: &mut Scanner<'_>) -> Result<i64, NotJson> {
    scanner.peek();
    let start = scanner.position();
    let time = match scanner.scalar()? {
        Some(Scalar::Null) => Some(0),
        Some(Scalar::Number(number)) => number.parse().ok().or_else(|| {
            let is_float = number.contains(['.', 'e', 'E']);
            let float: f64 = number.parse().ok().filter(|float: &f64| is_float && float.abs() < 9.2e18)?;
            Some(float as i64)
        }),
        Some(Scalar::Text(text)) => match text.trim() {
            "" | "null" => Some(0),
            text => text.parse().ok(),
        },
        Some(Scalar::Bool(_)) | None => None,
    };
    time.ok_or(NotJson(start))
}
