//! The same texts as other servers take them, all of a body or nothing: CnosDB's lines and documents, and TDengine's.
//!
//! ```text
//! line     = [ "put " ] metric SP time SP value *( SP key "=" value )
//! document = point / "[" point *( "," point ) "]"
//! ```
//!
//! Spec: CnosDB's REST API, OpenTSDB; TDengine's schemaless chapter, OpenTSDB line and JSON protocols.

use std::borrow::Cow;

use crate::model::time::{TIME_MAX_NS, TIME_MIN_NS};
use crate::model::{Points, Precision};

use super::builder::{Builder, Layout, SeriesBytes, Tag};
use super::error::quotable;
use super::number::Number;
use super::scan::{NotJson, Scalar, Scanner};

/// Most tags of one point. Of a key that comes twice the last value counts.
const TAGS_MAX: usize = 1_024;

/// Tags of a document.
type Texts<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// How a body is read.
#[derive(Debug, Clone, Copy)]
pub struct Strict {
    pub layout: Layout,
    pub times: Times,
    /// Dots of metrics' names become underscores.
    pub dots_are_underscores: bool,
}

/// What a number is as a time.
#[derive(Debug, Clone, Copy)]
pub enum Times {
    In(Precision),
    /// Ten digits are seconds, thirteen milliseconds, and 0 is this time in nanoseconds.
    ByDigits(i64),
}

/// What is wrong with a body: with which line or point of it, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrictError {
    #[error("{what}, line {line}")]
    Line { line: usize, what: String },
    #[error("{what}, point {point}")]
    Point { point: usize, what: String },
    #[error("not the JSON of points: {0}")]
    Json(#[from] NotJson),
}

impl Strict {
    /// Reads lines; empty ones are passed over, as is `put ` before a metric.
    pub fn lines(&self, body: &str) -> Result<Points, StrictError> {
        let mut builder = Builder::new(self.layout, None);
        for (at, line) in body.lines().enumerate() {
            let line = line.trim_matches(' ');
            let line = line.strip_prefix("put ").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            self.line(line, &mut builder).map_err(|what| StrictError::Line { line: at + 1, what })?;
        }
        Ok(builder.into_points())
    }

    fn line<'a>(&self, line: &'a str, builder: &mut Builder<'a>) -> Result<(), String> {
        let (metric, rest) = word(line, "metric")?;
        let (time, rest) = word(rest, "time")?;
        let (value, rest) = word(rest, "value")?;
        let time = time.parse().map_err(|_| format!("{:?} is no time", quotable(time)))?;
        let number = finite(value)?;
        let mut tags: Vec<Tag<'_>> = Vec::new();
        for word in rest.split(' ').filter(|word| !word.is_empty()) {
            let tag = word.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
            let (key, value) = tag.ok_or_else(|| format!("{:?} is no tag", quotable(word)))?;
            let is_full = tags.len() == TAGS_MAX;
            match tags.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = Some(value),
                None if is_full => return Err(format!("there are more than {TAGS_MAX} tags")),
                None => tags.push((key, Some(value))),
            }
        }
        self.add(builder, SeriesBytes { metric: metric.as_bytes(), tags: rest.as_bytes() }, metric, &tags, time, number)
    }

    /// Reads a point or an array of points: `metric` and `tags` of texts, `timestamp` an integer, `value` a number, all of them there. Nothing at
    /// all is no points.
    pub fn document(&self, body: &str) -> Result<Points, StrictError> {
        let mut builder = Builder::new(self.layout, None);
        let mut scanner = Scanner::new(body);
        if scanner.peek().is_none() {
            return Ok(builder.into_points());
        }
        let mut count = 0;
        if scanner.take(b'[') {
            while scanner.element(count == 0)? {
                count += 1;
                self.point(&mut scanner, count, &mut builder)?;
            }
        } else {
            self.point(&mut scanner, 1, &mut builder)?;
        }
        match scanner.peek() {
            None => Ok(builder.into_points()),
            Some(_) => Ok(scanner.unexpected()?),
        }
    }

    fn point<'a>(&self, scanner: &mut Scanner<'a>, point: usize, builder: &mut Builder<'a>) -> Result<(), StrictError> {
        let mut metric: Option<(Cow<'a, str>, &'a [u8])> = None;
        let (mut time, mut number) = (None, None);
        let mut tags: Option<(Texts<'a>, &'a [u8])> = None;
        scanner.expect(b'{')?;
        let mut is_first = true;
        while let Some(key) = scanner.key(is_first)? {
            is_first = false;
            match &*key {
                "metric" => {
                    scanner.peek();
                    let start = scanner.position();
                    metric = Some((text(scanner)?, scanner.since(start)));
                }
                "timestamp" => match scanner.scalar()? {
                    Some(Scalar::Number(digits)) => {
                        time = Some(digits.parse().map_err(|_| NotJson(scanner.position()))?);
                    }
                    _ => return Ok(scanner.unexpected()?),
                },
                "value" => match scanner.scalar()? {
                    Some(Scalar::Number(digits)) => {
                        number = Some(finite(digits).map_err(|what| StrictError::Point { point, what })?);
                    }
                    _ => return Ok(scanner.unexpected()?),
                },
                "tags" => {
                    scanner.peek();
                    let start = scanner.position();
                    let found = read_tags(scanner)?;
                    tags = Some((found, scanner.since(start)));
                }
                _ => scanner.skip()?,
            }
        }
        let missing = |name: &str| StrictError::Point { point, what: format!("missing field `{name}`") };
        let (metric, metric_bytes) = metric.ok_or_else(|| missing("metric"))?;
        let time = time.ok_or_else(|| missing("timestamp"))?;
        let number = number.ok_or_else(|| missing("value"))?;
        let (tags, tags_bytes) = tags.ok_or_else(|| missing("tags"))?;
        let tags: Vec<Tag<'_>> = tags.iter().map(|(key, value)| (&**key, Some(&**value))).collect();
        self.add(builder, SeriesBytes { metric: metric_bytes, tags: tags_bytes }, &metric, &tags, time, number)
            .map_err(|what| StrictError::Point { point, what })
    }

    fn add<'a>(
        &self,
        builder: &mut Builder<'a>,
        bytes: SeriesBytes<'a>,
        metric: &str,
        tags: &[Tag<'_>],
        time: i64,
        number: f64,
    ) -> Result<(), String> {
        let time_ns = self.times.nanos(time).ok_or_else(|| format!("{time} is no time"))?;
        let metric = match self.dots_are_underscores {
            true => Cow::Owned(metric.replace('.', "_")),
            false => Cow::Borrowed(metric),
        };
        builder.add_at(bytes, &metric, tags, time_ns, Number::Float(number)).map_err(|error| error.to_string())
    }
}

impl Times {
    fn nanos(self, time: i64) -> Option<i64> {
        let range = TIME_MIN_NS..=TIME_MAX_NS;
        match self {
            Times::In(precision) => precision.to_nanos(time),
            Times::ByDigits(now_ns) if time == 0 => Some(now_ns),
            Times::ByDigits(_) => match time {
                1_000_000_000..=9_999_999_999 => Precision::S.to_nanos(time),
                1_000_000_000_000..=9_999_999_999_999 => Precision::Ms.to_nanos(time),
                _ => None,
            },
        }
        .filter(|nanos| range.contains(nanos))
    }
}

/// The next word, and what is behind it.
fn word<'a>(text: &'a str, what: &str) -> Result<(&'a str, &'a str), String> {
    let text = text.trim_start_matches(' ');
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    if word.is_empty() { Err(format!("the {what} is missing")) } else { Ok((word, rest)) }
}

fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{:?} is no value", quotable(text)))
}

fn text<'a>(scanner: &mut Scanner<'a>) -> Result<Cow<'a, str>, NotJson> {
    match scanner.scalar()? {
        Some(Scalar::Text(text)) => Ok(text),
        _ => scanner.unexpected(),
    }
}

/// An object of texts; of keys that come twice the last one counts.
fn read_tags<'a>(scanner: &mut Scanner<'a>) -> Result<Texts<'a>, NotJson> {
    let mut tags: Texts<'a> = Vec::new();
    scanner.expect(b'{')?;
    let mut is_first = true;
    while let Some(key) = scanner.key(is_first)? {
        is_first = false;
        let value = text(scanner)?;
        let is_full = tags.len() == TAGS_MAX;
        match tags.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None if is_full => return scanner.unexpected(),
            None => tags.push((key, value)),
        }
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::batch::tags_of;

    const CNOSDB: Strict =
        Strict { layout: Layout::FLOATS, times: Times::In(Precision::Us), dots_are_underscores: false };
    const TAOS: Strict = Strict {
        layout: Layout { value: "_value", ..Layout::FLOATS },
        times: Times::ByDigits(7),
        dots_are_underscores: true,
    };

    fn shown(points: Result<Points, StrictError>) -> Result<String, String> {
        let table = |table: &crate::model::TablePoints| {
            let rows = (0..table.rows()).map(|row| {
                let tags = tags_of(table.series.key(table.row_series[row] as usize));
                let tags: Vec<_> =
                    tags.map(|(key, value)| format!("{}={value}", table.tag_keys[key as usize])).collect();
                format!("{}.{} {{{}}} {}", table.name, table.fields[0].name, tags.join(","), table.times[row])
            });
            rows.collect::<Vec<_>>().join("; ")
        };
        let points = points.map_err(|error| error.to_string())?;
        Ok(points.tables().map(table).collect::<Vec<_>>().join("; "))
    }

    #[track_caller]
    fn check(found: Result<Points, StrictError>, expected: Result<&str, &str>) {
        assert_eq!(shown(found).as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn lines_have_their_times_in_the_unit_that_was_named() {
        check(
            CNOSDB.lines("m.x 5 1.25e1 a=b c=d\r\n\nm.x 6 -3 a=b=c"),
            Ok("m.x.value {a=b,c=d} 5000; m.x.value {a=b=c} 6000"),
        );
        check(CNOSDB.lines("m 1 1 a=b a=c"), Ok("m.value {a=c} 1000"));
        check(CNOSDB.lines("m 1 1"), Ok("m.value {} 1000"));
        check(CNOSDB.lines("m 1 1 a=b\nm x 1 a=b"), Err("\"x\" is no time, line 2"));
        check(CNOSDB.lines("m 1 one a=b"), Err("\"one\" is no value, line 1"));
        check(CNOSDB.lines("m 1 inf a=b"), Err("\"inf\" is no value, line 1"));
        check(CNOSDB.lines("m 1"), Err("the value is missing, line 1"));
        check(CNOSDB.lines("m 1 1 a="), Err("\"a=\" is no tag, line 1"));
        check(CNOSDB.lines("m 9223372036854775807 1 a=b"), Err("9223372036854775807 is no time, line 1"));
    }

    #[test]
    fn times_may_say_their_unit_by_their_length() {
        check(TAOS.lines("put a.b 1709251200 42 h=w \n"), Ok("a_b._value {h=w} 1709251200000000000"));
        check(
            TAOS.lines("m 1709251200500 1 h=w\nm 0 1 h=w"),
            Ok("m._value {h=w} 1709251200500000000; m._value {h=w} 7"),
        );
        check(TAOS.lines("m 163653962000 1 h=w"), Err("163653962000 is no time, line 1"));
    }

    #[test]
    fn documents_must_have_every_member_in_its_type() {
        let point = r#"{"metric":"m","timestamp":5,"value":18,"tags":{"a":"b"},"more":[]}"#;
        check(CNOSDB.document(point), Ok("m.value {a=b} 5000"));
        check(CNOSDB.document(&format!("[{point}, {point}]")), Ok("m.value {a=b} 5000; m.value {a=b} 5000"));
        check(CNOSDB.document(" "), Ok(""));
        check(CNOSDB.document("[]"), Ok(""));
        for member in [r#""metric":"m","#, r#""timestamp":5,"#, r#""value":18,"#, r#""tags":{"a":"b"},"#] {
            let name = member.split('"').nth(1).unwrap();
            let expected = format!("missing field `{name}`, point 1");
            check(CNOSDB.document(&point.replace(member, "")), Err(&expected));
        }
        for (from, to) in [("18", "\"18\""), ("5,", "5.5,"), ("\"m\"", "1"), ("{\"a\":\"b\"}", "[]"), ("\"b\"", "1")] {
            assert!(CNOSDB.document(&point.replace(from, to)).is_err(), "{to}");
        }
        assert!(CNOSDB.document(&format!("{point} x")).is_err());
        assert!(CNOSDB.document("{\"metric\":").is_err());
    }
}
