//! What is printed reads back, by whichever of the forms it came.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::{Options, Purpose};
use super::scan::Scanner;
use super::{Builder, Layout, json as put_json, telnet};
use crate::model::batch::tags_of;
use crate::model::{FieldValues, Points};

#[derive(Debug, Clone)]
enum Number {
    Integer(i64),
    Float(f64),
}

#[derive(Debug, Clone)]
struct Point {
    metric: String,
    seconds: u32,
    number: Number,
    tags: BTreeMap<String, String>,
}

fn point() -> impl Strategy<Value = Point> {
    let name = "[a-zA-Z0-9._/é-]{1,12}";
    let float = any::<f64>().prop_filter("finite", |float| float.is_finite());
    let number = prop_oneof![any::<i64>().prop_map(Number::Integer), float.prop_map(Number::Float)];
    let tags = proptest::collection::btree_map(name, name, 1..=8);
    (name, 1u32.., number, tags).prop_map(|(metric, seconds, number, tags)| Point { metric, seconds, number, tags })
}

impl Point {
    /// The value with a point or an exponent when it is a float.
    fn value(&self) -> String {
        match self.number {
            Number::Integer(integer) => integer.to_string(),
            Number::Float(float) => format!("{float:e}"),
        }
    }

    fn json(&self, as_text: bool) -> Value {
        let value = match (as_text, &self.number) {
            (true, _) => self.value().into(),
            (false, Number::Integer(integer)) => json!(integer),
            (false, Number::Float(float)) => json!(float),
        };
        json!({ "metric": self.metric, "timestamp": self.seconds, "value": value, "tags": self.tags })
    }

    fn line(&self) -> String {
        let tags: Vec<String> = self.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("put {} {} {} {}", self.metric, self.seconds, self.value(), tags.join(" "))
    }

    fn shown(&self) -> String {
        let (float, integer) = match self.number {
            Number::Integer(integer) => (integer as f64, Some(integer)),
            Number::Float(float) => (float, None),
        };
        let time = i64::from(self.seconds) * 1_000_000_000;
        format!("{} {:?} {time} {:?} {integer:?}", self.metric, self.tags, float.to_bits())
    }
}

/// The rows, in no order that matters.
fn shown(points: &Points) -> Vec<String> {
    let mut rows = Vec::new();
    for table in points.tables() {
        for row in 0..table.rows() {
            let tags = tags_of(table.series.key(table.row_series[row] as usize));
            let tags: BTreeMap<_, _> = tags.map(|(key, value)| (&*table.tag_keys[key as usize], value)).collect();
            let float = match &table.fields[0].values {
                FieldValues::Float(values) => values[table.fields[0].position(row).unwrap()],
                other => panic!("{other:?}"),
            };
            let integer = table.fields[1].position(row).map(|at| match &table.fields[1].values {
                FieldValues::Integer(values) => values[at],
                other => panic!("{other:?}"),
            });
            rows.push(format!("{} {tags:?} {} {:?} {integer:?}", table.name, table.times[row], float.to_bits()));
        }
    }
    rows.sort_unstable();
    rows
}

fn read(body: &str) -> Points {
    let options = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: None, keep_bad: true };
    let parsed = put_json::parse(body, options).unwrap();
    assert_eq!(parsed.bad, [], "{body}");
    parsed.points
}

/// Every character of every text as an escape.
fn escaped(text: &str) -> String {
    let mut inside = false;
    let escape = |c: char| {
        inside ^= c == '"';
        if inside && c != '"' { format!("\\u{:04X}", u32::from(c)) } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

proptest! {
    #[test]
    fn documents_and_lines_say_the_same(points in proptest::collection::vec(point(), 1..8), as_text: bool) {
        let mut expected: Vec<String> = points.iter().map(Point::shown).collect();
        expected.sort_unstable();
        let document = Value::from(points.iter().map(|point| point.json(as_text)).collect::<Vec<_>>()).to_string();
        prop_assert_eq!(&shown(&read(&document)), &expected);
        prop_assert_eq!(&shown(&read(&escaped(&document))), &expected);
        prop_assert_eq!(&shown(&read(&serde_json::to_string_pretty(&points[0].json(as_text)).unwrap())), &[points[0].shown()]);
        let lines: Vec<String> = points.iter().map(Point::line).collect();
        let mut builder = Builder::new(Layout::METRIC, None);
        for line in &lines {
            telnet::parse(line, &mut builder).unwrap();
        }
        prop_assert_eq!(&shown(&builder.into_points()), &expected);
    }

    #[test]
    fn what_is_json_is_what_others_say_is_json(text in r#"[\[\]{}",:0-9eE.+\- ]{0,12}(null|true|false|"a\\n"|\[1,2\])?[\[\]{}",:0-9eE.+\- ]{0,12}"#) {
        let mut scanner = Scanner::new(&text);
        let ours = scanner.skip().is_ok() && scanner.peek().is_none();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn no_line_and_no_body_is_too_strange(text in ".{0,200}", tail in ".{0,40}") {
        let options = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: None, keep_bad: true };
        let _ = put_json::parse(&text, options);
        let _ = put_json::parse(&format!("[{{\"metric\":\"m\",\"tags\":{{{tail}"), options);
        let mut builder = Builder::new(Layout::METRIC, None);
        let _ = telnet::parse(&text, &mut builder);
        let _ = telnet::parse(&format!("put m 1 1 {tail}"), &mut builder);
    }
}
