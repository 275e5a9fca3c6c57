//! The body of `POST /api/query`: JSON, read as leniently as the original's binder reads it.
//!
//! Numbers stand for texts and texts for numbers and flags, unknown members are passed over, null is the default. Of `tags`
//! and `filters` in one sub query the one that comes later counts, because they are one thing there. Filters are made when all of
//! them have been counted: a small one may be much work.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::protocol::opentsdb::error::WireError;
use crate::query::opentsdb::filter::{FilterKind, TagFilter};
use crate::query::opentsdb::request::{Counts, RateOptions, RawSubQuery};

/// A whole request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct QueryBody {
    pub(super) start: Text,
    pub(super) end: Text,
    pub(super) timezone: Text,
    pub(super) use_calendar: Flag,
    pub(super) queries: Option<Vec<SubBody>>,
    pub(super) ms_resolution: Flag,
    #[serde(rename = "showTSUIDs")]
    pub(super) show_tsuids: Flag,
    pub(super) show_query: Flag,
    pub(super) show_stats: Flag,
    pub(super) show_summary: Flag,
    pub(super) no_annotations: Flag,
    pub(super) global_annotations: Flag,
    pub(super) delete: Flag,
}

/// A text, or a number or flag in its place.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Text(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text(match Value::deserialize(deserializer)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => return Err(D::Error::custom("a text is expected")),
        }))
    }
}

/// A flag, or a text or number in its place.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Flag(pub(super) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Flag(match Value::deserialize(deserializer)? {
            Value::Null => false,
            Value::Bool(flag) => flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => match text.trim() {
                "true" | "True" | "TRUE" => true,
                "false" | "False" | "FALSE" | "" => false,
                _ => return Err(D::Error::custom("a flag is expected")),
            },
            Value::Array(_) | Value::Object(_) => return Err(D::Error::custom("a flag is expected")),
        }))
    }
}

/// A whole number; parts are cut off.
#[derive(Debug, Default, Clone, Copy)]
struct Long(Option<i64>);

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("a whole number is expected");
        Ok(Long(match Value::deserialize(deserializer)? {
            Value::Null => None,
            Value::Number(number) => {
                let cut = number.as_f64().filter(|float| float.abs() < i64::MAX as f64).map(|float| float as i64);
                Some(number.as_i64().or(cut).ok_or_else(wrong)?)
            }
            Value::String(text) => Some(text.trim().parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RateBody {
    counter: Flag,
    counter_max: Long,
    reset_value: Long,
    drop_resets: Flag,
}

/// A filter as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct FilterBody {
    #[serde(rename = "type")]
    kind: String,
    tagk: String,
    filter: String,
    #[serde(rename = "groupBy", alias = "group_by", default)]
    group_by: Flag,
}

impl FilterBody {
    /// `None`: there is no such kind.
    pub(super) fn kind(&self) -> Option<FilterKind> {
        FilterKind::named(&self.kind)
    }

    /// What cannot be made is as wrong as what cannot be read.
    pub(super) fn made(self) -> Result<TagFilter, serde_json::Error> {
        let unknown = || custom(format_args!("could not find a tag value filter of the type: {}", self.kind));
        let kind = self.kind().ok_or_else(unknown)?;
        TagFilter::new(&self.tagk, kind, &self.filter, self.group_by.0).map_err(custom)
    }
}

fn custom(why: impl fmt::Display) -> serde_json::Error {
    serde_json::Error::custom(why)
}

/// The filters of a sub query as they are written.
#[derive(Debug)]
enum FilterBodies {
    List(Vec<FilterBody>),
    /// Tag keys, and what braces have; all of them group.
    Tags(BTreeMap<String, String>),
}

impl FilterBodies {
    fn count(&self, counts: &mut Counts) {
        match self {
            FilterBodies::List(filters) => filters.iter().for_each(|filter| counts.add_filter(filter.kind())),
            FilterBodies::Tags(tags) => {
                let kind = |value: &String| FilterKind::of_short(value).ok().map(|(kind, _)| kind);
                tags.values().for_each(|value| counts.add_filter(kind(value)));
            }
        }
    }

    fn made(self) -> Result<Vec<TagFilter>, serde_json::Error> {
        let short = |(tagk, value): (String, String)| {
            FilterKind::of_short(&value).and_then(|(kind, filter)| TagFilter::new(&tagk, kind, filter, true))
        };
        match self {
            FilterBodies::List(bodies) => bodies.into_iter().map(FilterBody::made).collect(),
            FilterBodies::Tags(tags) => tags.into_iter().map(|tag| short(tag).map_err(custom)).collect(),
        }
    }
}

/// A sub query whose filters are to be made.
#[derive(Debug)]
pub(super) struct SubBody {
    query: RawSubQuery,
    filters: FilterBodies,
}

/// The sub queries of a request with their filters. Refuses too many of either before it makes any.
pub(super) fn made(subs: Vec<SubBody>) -> Result<Vec<RawSubQuery>, WireError> {
    let mut counts = Counts { queries: subs.len(), ..Counts::default() };
    subs.iter().for_each(|sub| sub.filters.count(&mut counts));
    counts.check()?;
    let made = |sub: SubBody| Ok(RawSubQuery { filters: sub.filters.made()?, ..sub.query });
    subs.into_iter().map(made).collect::<Result<_, _>>().map_err(|error: serde_json::Error| WireError::bad_json(&error))
}

impl<'de> Deserialize<'de> for SubBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SubVisitor)
    }
}

struct SubVisitor;

impl<'de> Visitor<'de> for SubVisitor {
    type Value = SubBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sub query")
    }

    /// Members in their order, for the sake of `tags` and `filters`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SubBody, A::Error> {
        let mut query = RawSubQuery::default();
        let mut filters = FilterBodies::List(Vec::new());
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "aggregator" => query.aggregator = map.next_value::<Text>()?.0.unwrap_or_default(),
                "metric" => query.metric = map.next_value::<Text>()?.0,
                "tsuids" => query.tsuids = map.next_value::<Option<Vec<String>>>()?.unwrap_or_default(),
                "downsample" => query.downsample = map.next_value::<Text>()?.0,
                "rate" => query.rate = map.next_value::<Flag>()?.0,
                "rateOptions" => {
                    query.rate_options = map.next_value::<Option<RateBody>>()?.map(|options| RateOptions {
                        counter: options.counter.0,
                        counter_max: options.counter_max.0.unwrap_or(i64::MAX),
                        reset_value: options.reset_value.0.unwrap_or_default(),
                        drop_resets: options.drop_resets.0,
                    });
                }
                "tags" => filters = FilterBodies::Tags(map.next_value::<Option<_>>()?.unwrap_or_default()),
                "filters" => filters = FilterBodies::List(map.next_value::<Option<_>>()?.unwrap_or_default()),
                "explicitTags" => query.explicit_tags = map.next_value::<Flag>()?.0,
                "percentiles" => query.percentiles = map.next_value::<Option<Vec<f64>>>()?.unwrap_or_default(),
                "showHistogramBuckets" => query.show_histogram_buckets = map.next_value::<Flag>()?.0,
                "rollupUsage" => query.rollup_usage = map.next_value::<Text>()?.0,
                "preAggregate" => query.pre_aggregate = map.next_value::<Flag>()?.0,
                "useFuzzyFilter" => query.use_fuzzy_filter = map.next_value::<Flag>()?.0,
                "useMultiGets" => query.use_multi_gets = map.next_value::<Flag>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(SubBody { query, filters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(text: &str) -> Result<RawSubQuery, serde_json::Error> {
        let SubBody { query, filters } = serde_json::from_str(text)?;
        Ok(RawSubQuery { filters: filters.made()?, ..query })
    }

    #[test]
    fn filters_are_counted_before_they_are_made() {
        let check = |filter: &str, filters: usize, expected: &str| {
            let text = format!(r#"{{"filters":[{}]}}"#, vec![filter; filters].join(","));
            let subs = vec![serde_json::from_str(&text).expect("a sub query")];
            assert_eq!(made(subs).expect_err("a refusal").message(), expected);
        };
        let (pattern, regex) =
            (r#"{"type":"wildcard","tagk":"h","filter":"("}"#, r#"{"type":"regexp","tagk":"h","filter":"("}"#);
        check(pattern, 1000, "Unable to parse the given JSON");
        check(pattern, 1001, "1001 filters are more than the 1000 that a request may have");
        check(regex, 32, "Unable to parse the given JSON");
        check(regex, 33, "33 regular expressions are more than the 32 that a request may have");
        let tags: Vec<String> = (0..33).map(|i| format!(r#""k{i}":"Regexp(()""#)).collect();
        let subs = vec![serde_json::from_str(&format!(r#"{{"tags":{{{}}}}}"#, tags.join(","))).expect("a sub query")];
        let expected = "33 regular expressions are more than the 32 that a request may have";
        assert_eq!(made(subs).expect_err("a refusal").message(), expected);
    }

    #[test]
    fn the_later_of_tags_and_filters_counts() {
        let filters = |text: &str| -> Vec<String> {
            sub(text).expect("a sub query").filters.iter().map(ToString::to_string).collect()
        };
        let both = r#"{"tags":{"dc":"lga"},"filters":[{"type":"wildcard","tagk":"host","filter":"web*"}]}"#;
        assert_eq!(filters(both), ["host=wildcard(web*)"]);
        let turned = r#"{"filters":[{"type":"wildcard","tagk":"host","filter":"web*"}],"tags":{"dc":"lga"}}"#;
        assert_eq!(filters(turned), ["dc=literal_or(lga)"]);
    }

    #[test]
    fn members_are_read_leniently() {
        let body = r#"{"start":1356998400,"end":"now","msResolution":"true","bar":{},"timezone":null,
            "queries":[{"aggregator":"sum","metric":"m","rate":true,"foo":1,
            "rateOptions":{"counter":true,"counterMax":300.9,"resetValue":null}}]}"#;
        let body: QueryBody = serde_json::from_str(body).expect("a body");
        assert_eq!((body.start.0.as_deref(), body.end.0.as_deref()), (Some("1356998400"), Some("now")));
        assert!(body.ms_resolution.0 && !body.delete.0);
        let query = &body.queries.expect("queries")[0].query;
        let expected = RateOptions { counter: true, counter_max: 300, ..RateOptions::default() };
        assert_eq!(query.rate_options, Some(expected));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            r#"{"type":"bogus","tagk":"h","filter":"a"}"#,
            r#"{"type":"LITERAL_OR","tagk":"h","filter":"a"}"#,
            r#"{"type":"wildcard","tagk":"h","filter":"a"}"#,
            r#"{"type":"regexp","tagk":"h","filter":"("}"#,
            r#"{"type":"literal_or","filter":"a"}"#,
        ] {
            assert!(sub(&format!(r#"{{"filters":[{filter}]}}"#)).is_err(), "{filter}");
        }
        let snake = r#"{"filters":[{"type":"literal_or","tagk":"h","filter":"a","group_by":true}]}"#;
        assert!(sub(snake).expect("a sub query").filters[0].group_by);
    }
}
