//! Groups as the JSON of `/api/query`, written piece by piece.
//!
//! Spec: OpenTSDB HTTP API, query. Members come in the order of the original's serializer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::query::opentsdb::answer::{GroupHead, Points, Value};
use crate::query::opentsdb::downsample::Fill;
use crate::query::opentsdb::request::SubQuery;

use super::asked::Presentation;
use super::numbers::{push_float, push_integer};

/// What belongs to a group and is not in its rows.
#[derive(Debug, Default, Clone)]
pub(super) struct Extras {
    /// Shown when the request asks for them.
    pub(super) tsuids: Vec<String>,
    /// Left out when there are none.
    pub(super) annotations: Vec<Json>,
    /// JSON, made once for all groups; empty: there are none.
    pub(super) global_annotations: Arc<str>,
}

/// Makes the text of an answer.
#[derive(Debug)]
pub(super) struct AnswerWriter {
    out: Vec<u8>,
    presentation: Presentation,
    queries: Arc<Vec<SubQuery>>,
    /// The sub query of the group at hand.
    group: Option<usize>,
    is_first_group: bool,
    is_first_point: bool,
    points_of_group: u64,
    points: u64,
}

impl AnswerWriter {
    pub(super) fn new(presentation: Presentation, queries: Arc<Vec<SubQuery>>) -> Self {
        AnswerWriter {
            out: vec![b'['],
            presentation,
            queries,
            group: None,
            is_first_group: true,
            is_first_point: true,
            points_of_group: 0,
            points: 0,
        }
    }

    /// Bytes that can be taken.
    pub(super) fn pending(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Begins a group; the one before ends. Its annotations come in any case when `shows_annotations`.
    pub(super) fn begin(&mut self, head: &GroupHead, extras: &Extras, shows_annotations: bool) {
        self.end_group();
        if !std::mem::take(&mut self.is_first_group) {
            self.out.push(b',');
        }
        self.group = Some(head.query);
        (self.is_first_point, self.points_of_group) = (true, 0);
        self.out.extend_from_slice(b"{\"metric\":");
        push_json(&*head.metric, &mut self.out);
        self.out.extend_from_slice(b",\"tags\":{");
        for (i, (key, value)) in head.tags.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            push_json(&**key, &mut self.out);
            self.out.push(b':');
            push_json(&**value, &mut self.out);
        }
        self.out.extend_from_slice(b"},\"aggregateTags\":");
        push_json(&head.aggregated.iter().map(|key| &**key).collect::<Vec<_>>(), &mut self.out);
        if let Some(query) = self.queries.get(head.query).filter(|_| self.presentation.query) {
            self.out.extend_from_slice(b",\"query\":");
            push_json(&query_as_understood(query, head.query), &mut self.out);
        }
        if self.presentation.tsuids {
            self.out.extend_from_slice(b",\"tsuids\":");
            push_json(&extras.tsuids, &mut self.out);
        }
        if shows_annotations || !extras.annotations.is_empty() {
            self.out.extend_from_slice(b",\"annotations\":");
            push_json(&extras.annotations, &mut self.out);
        }
        if !extras.global_annotations.is_empty() {
            self.out.extend_from_slice(b",\"globalAnnotations\":");
            self.out.extend_from_slice(extras.global_annotations.as_bytes());
        }
        self.out.extend_from_slice(b",\"dps\":");
        self.out.push(if self.presentation.arrays { b'[' } else { b'{' });
    }

    /// Points of the group at hand.
    pub(super) fn points(&mut self, points: &Points) {
        points.iter().for_each(|(time, value)| self.point(time, value));
    }

    pub(super) fn point(&mut self, time_ms: i64, value: Value) {
        let time = if self.presentation.milliseconds { time_ms } else { time_ms.div_euclid(1000) };
        if !std::mem::take(&mut self.is_first_point) {
            self.out.push(b',');
        }
        if self.presentation.arrays {
            self.out.push(b'[');
            push_integer(time, &mut self.out);
            self.out.push(b',');
        } else {
            self.out.push(b'"');
            push_integer(time, &mut self.out);
            self.out.extend_from_slice(b"\":");
        }
        match value {
            Value::Integer(value) => push_integer(value, &mut self.out),
            Value::Float(value) if value.is_nan() => {
                let is_null = self.group.and_then(|group| self.queries.get(group)?.downsample);
                let is_null = is_null.is_some_and(|downsample| downsample.fill == Fill::Null);
                self.out.extend_from_slice(if is_null { b"null" } else { b"\"NaN\"" });
            }
            Value::Float(value) => push_float(value, &mut self.out),
        }
        if self.presentation.arrays {
            self.out.push(b']');
        }
        self.points_of_group += 1;
        self.points += 1;
    }

    fn end_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        self.out.push(if self.presentation.arrays { b']' } else { b'}' });
        if self.presentation.stats {
            self.out.extend_from_slice(b",\"stats\":");
            push_json(&json!({ "queryIndex": group, "emittedDPs": self.points_of_group }), &mut self.out);
        }
        self.out.push(b'}');
    }

    /// Ends the answer, which took so long.
    pub(super) fn finish(&mut self, took: Duration) {
        self.end_group();
        if self.presentation.summary {
            if !std::mem::take(&mut self.is_first_group) {
                self.out.push(b',');
            }
            let total = took.as_secs_f64() * 1000.0;
            push_json(&json!({ "statsSummary": { "emittedDPs": self.points, "totalTime": total } }), &mut self.out);
        }
        self.out.push(b']');
    }
}

fn push_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("texts and what is made of them are always JSON, and a Vec takes every byte");
}

/// A sub query as the original shows it.
fn query_as_understood(query: &SubQuery, index: usize) -> Json {
    let raw = &query.raw;
    let filter = |filter: &crate::query::opentsdb::filter::TagFilter| json!({ "tagk": filter.tagk, "filter": filter.filter, "group_by": filter.group_by, "type": filter.kind.name() });
    let mut tags = serde_json::Map::new();
    for known in raw.filters.iter().filter(|known| known.group_by) {
        tags.insert(known.tagk.clone(), format!("{}({})", known.kind.name(), known.filter).into());
    }
    let mut keys: Vec<&str> = raw.filters.iter().map(|known| known.tagk.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let options = raw.rate_options.map(|options| {
        json!({
            "counter": options.counter,
            "counterMax": options.counter_max,
            "resetValue": options.reset_value,
            "dropResets": options.drop_resets,
        })
    });
    json!({
        "aggregator": raw.aggregator,
        "metric": raw.metric,
        "tsuids": if raw.tsuids.is_empty() { Json::Null } else { json!(raw.tsuids) },
        "downsample": raw.downsample.as_deref().filter(|text| !text.is_empty()),
        "rate": raw.rate,
        "filters": raw.filters.iter().map(filter).collect::<Vec<_>>(),
        "percentiles": if raw.percentiles.is_empty() { Json::Null } else { json!(raw.percentiles) },
        "index": index,
        "rateOptions": options,
        "filterTagKs": keys,
        "explicitTags": raw.explicit_tags,
        "useFuzzyFilter": raw.use_fuzzy_filter,
        "preAggregate": raw.pre_aggregate,
        "rollupUsage": raw.rollup_usage,
        "rollupTable": "raw",
        "showHistogramBuckets": raw.show_histogram_buckets,
        "useMultiGets": raw.use_multi_gets,
        "tags": tags,
        "histogramQuery": raw.show_histogram_buckets || !raw.percentiles.is_empty(),
    })
}
