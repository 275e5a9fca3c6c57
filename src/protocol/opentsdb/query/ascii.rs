//! Groups as text, a line a point: `metric seconds value key=value …`.

use std::fmt::Write;

use crate::query::opentsdb::answer::{GroupHead, Points, Value};

use super::numbers::{push_float, push_integer};

#[derive(Debug, Default)]
pub(super) struct AsciiWriter {
    out: Vec<u8>,
    metric: String,
    /// What ends each line of the group at hand.
    tags: String,
}

impl AsciiWriter {
    pub(super) fn begin(&mut self, head: &GroupHead) {
        self.metric = head.metric.to_string();
        self.tags.clear();
        for (key, value) in &head.tags {
            write!(self.tags, " {key}={value}").expect("a String takes every text");
        }
        self.tags.push('\n');
    }

    pub(super) fn points(&mut self, points: &Points) {
        for (time_ms, value) in points.iter() {
            self.out.extend_from_slice(self.metric.as_bytes());
            self.out.push(b' ');
            push_integer(time_ms.div_euclid(1000), &mut self.out);
            self.out.push(b' ');
            match value {
                Value::Integer(value) => push_integer(value, &mut self.out),
                Value::Float(value) if value.is_nan() => self.out.extend_from_slice(b"NaN"),
                Value::Float(value) => push_float(value, &mut self.out),
            }
            self.out.extend_from_slice(self.tags.as_bytes());
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
