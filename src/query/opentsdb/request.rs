//! What a request asks, as it is written and as it has been checked.

use chrono_tz::Tz;

use super::aggregator::Aggregator;
use super::downsample::Downsample;
use super::error::OpentsdbError;
use super::filter::{FilterKind, TagFilter};
use super::time::{parse_time, zone_named};

/// Sub queries of a request.
pub const QUERIES_MAX: usize = 1000;
/// Filters of all sub queries of a request.
pub const FILTERS_MAX: usize = 1000;
/// Regular expressions among them: each may be large when it is made.
const REGEXES_MAX: usize = 32;
/// Values that the filters of a request compare with, and TSUIDs.
const VALUES_MAX: usize = 100_000;

/// How many parts a request has so far. Who makes filters of what was sent counts and checks them before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub queries: usize,
    pub filters: usize,
    pub regexes: usize,
}

impl Counts {
    /// One more filter; `None`: of no kind that there is.
    pub fn add_filter(&mut self, kind: Option<FilterKind>) {
        self.filters += 1;
        self.regexes += usize::from(kind == Some(FilterKind::Regexp));
    }

    /// Refuses more than a request may have.
    pub fn check(self) -> Result<(), OpentsdbError> {
        check_count(self.queries, QUERIES_MAX, "sub queries")?;
        check_count(self.filters, FILTERS_MAX, "filters")?;
        check_count(self.regexes, REGEXES_MAX, "regular expressions")
    }
}

fn check_count(count: usize, max: usize, what: &str) -> Result<(), OpentsdbError> {
    match count > max {
        true => Err(OpentsdbError::Refused(format!("{count} {what} are more than the {max} that a request may have"))),
        false => Ok(()),
    }
}

/// How differences become rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateOptions {
    /// Values only grow; a smaller one has passed the largest one or was set back.
    pub counter: bool,
    pub counter_max: i64,
    /// Rates above it are 0, when it is above 0.
    pub reset_value: i64,
    /// Points that would have a negative rate are left out.
    pub drop_resets: bool,
}

impl Default for RateOptions {
    fn default() -> Self {
        RateOptions { counter: false, counter_max: i64::MAX, reset_value: 0, drop_resets: false }
    }
}

/// A sub query as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawSubQuery {
    pub aggregator: String,
    pub metric: Option<String>,
    pub tsuids: Vec<String>,
    /// Empty means none.
    pub downsample: Option<String>,
    pub rate: bool,
    pub rate_options: Option<RateOptions>,
    pub filters: Vec<TagFilter>,
    pub explicit_tags: bool,
    pub percentiles: Vec<f64>,
    pub show_histogram_buckets: bool,
    pub rollup_usage: Option<String>,
    pub pre_aggregate: bool,
    pub use_fuzzy_filter: bool,
    pub use_multi_gets: bool,
}

/// A whole request as written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawQuery {
    pub start: Option<String>,
    /// Now, when it is missing or empty.
    pub end: Option<String>,
    pub timezone: Option<String>,
    pub use_calendar: bool,
    pub queries: Vec<RawSubQuery>,
}

/// A request that makes sense by itself: no data was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub start_ms: i64,
    /// Included.
    pub end_ms: i64,
    /// Of calendar intervals.
    pub zone: Tz,
    pub queries: Vec<SubQuery>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SubQuery {
    pub aggregator: Aggregator,
    pub downsample: Option<Downsample>,
    /// `None`: values as they are.
    pub rate: Option<RateOptions>,
    pub raw: RawSubQuery,
}

impl RawQuery {
    /// Checks in the order of OpenTSDB's `TSQuery.validateAndSetQuery`, whose words refusals have.
    pub fn validate(self, now_ms: i64) -> Result<Query, OpentsdbError> {
        let zone_name = self.timezone.as_deref();
        let start = self.start.as_deref().filter(|text| !text.is_empty());
        let start = start.ok_or_else(|| OpentsdbError::refused("Missing start time"))?;
        let start_ms = parse_time(start, zone_name, now_ms)?;
        let end_ms = match self.end.as_deref() {
            None | Some("") => now_ms,
            Some(end) => parse_time(end, zone_name, now_ms)?,
        };
        if end_ms < start_ms {
            return Err(OpentsdbError::Refused(format!(
                "End time [{end_ms}] must be greater than or equal to the start time [{start_ms}]"
            )));
        }
        if self.queries.is_empty() {
            return Err(OpentsdbError::refused("Missing queries"));
        }
        let mut counts = Counts { queries: self.queries.len(), ..Counts::default() };
        self.queries.iter().flat_map(|query| &query.filters).for_each(|filter| counts.add_filter(Some(filter.kind)));
        counts.check()?;
        let of_filters = self.queries.iter().flat_map(|query| &query.filters).map(|f| f.matcher().alternatives());
        let tsuids = self.queries.iter().map(|query| query.tsuids.len());
        check_count(of_filters.chain(tsuids).sum(), VALUES_MAX, "values and TSUIDs")?;
        let mut zone = Tz::UTC;
        let mut queries = Vec::with_capacity(self.queries.len());
        for raw in self.queries {
            let query = raw.validate(self.use_calendar)?;
            if let (Some(name), Some(_)) = (zone_name.filter(|name| !name.is_empty()), query.downsample) {
                let unknown = || OpentsdbError::refused("The timezone specification could not be found");
                zone = zone_named(name).ok_or_else(unknown)?;
            }
            queries.push(query);
        }
        Ok(Query { start_ms, end_ms, zone, queries })
    }
}

impl RawSubQuery {
    fn validate(self, use_calendar: bool) -> Result<SubQuery, OpentsdbError> {
        if self.aggregator.is_empty() {
            return Err(OpentsdbError::refused("Missing the aggregation function"));
        }
        let aggregator = Aggregator::named(&self.aggregator)
            .ok_or_else(|| OpentsdbError::Refused(format!("No such aggregation function: {}", self.aggregator)))?;
        if self.tsuids.is_empty() && self.metric.as_deref().is_none_or(str::is_empty) {
            return Err(OpentsdbError::refused("Missing the metric or tsuids, provide at least one"));
        }
        let downsample = self.downsample.as_deref().filter(|text| !text.is_empty());
        let downsample = downsample.map(|text| Downsample::parse(text, use_calendar)).transpose()?;
        let rate = self.rate.then(|| self.rate_options.unwrap_or_default());
        Ok(SubQuery { aggregator, downsample, rate, raw: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::opentsdb::metric_query::parse_metric_query;

    fn sub(text: &str) -> RawSubQuery {
        parse_metric_query(text, &mut Counts::default()).expect("a sub query")
    }

    fn raw(start: &str, end: &str, queries: &[&str]) -> RawQuery {
        let queries = queries.iter().map(|text| sub(text)).collect();
        RawQuery { start: Some(start.into()), end: Some(end.into()), queries, ..RawQuery::default() }
    }

    #[test]
    fn a_request_is_checked_in_order() {
        let check = |query: RawQuery, expected: &str| {
            let error = query.validate(5_000).expect_err("a refusal");
            assert_eq!(error.to_string(), expected);
        };
        check(RawQuery::default(), "Missing start time");
        check(raw("10", "5", &[]), "End time [5000] must be greater than or equal to the start time [10000]");
        check(raw("1", "", &[]), "Missing queries");
        check(raw("1", "", &["SUM:m"]), "No such aggregation function: SUM");
        check(raw("1", "", &["sum:1m-bogus:m"]), "No such downsampling function: bogus");
        let zoned = RawQuery { timezone: Some("Nowhere/Land".into()), ..raw("1", "", &["sum:1m-avg:m"]) };
        check(zoned, "The timezone specification could not be found");
        let unnamed = RawSubQuery { aggregator: "sum".into(), ..RawSubQuery::default() };
        check(
            RawQuery { queries: vec![unnamed], ..raw("1", "", &[]) },
            "Missing the metric or tsuids, provide at least one",
        );
    }

    #[test]
    fn a_request_has_so_many_parts_at_most() {
        let check = |queries: Vec<RawSubQuery>, expected: Option<&str>| {
            let found = RawQuery { queries, ..raw("1", "", &[]) }.validate(5_000).err().map(|error| error.to_string());
            let expected = expected.map(|what| format!("{what} that a request may have"));
            assert_eq!(found, expected);
        };
        check(vec![sub("sum:m"); 1000], None);
        check(vec![sub("sum:m"); 1001], Some("1001 sub queries are more than the 1000"));
        check(vec![sub("sum:m{a=*,b=x}"); 500], None);
        check(vec![sub("sum:m{a=*,b=x}"); 501], Some("1002 filters are more than the 1000"));
        let expression = sub("sum:m{a=regexp(x)}");
        check(vec![expression.clone(); 32], None);
        check(vec![expression; 33], Some("33 regular expressions are more than the 32"));
        let values: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
        let named = sub(&format!("sum:m{{a={}}}", values.join("|")));
        let by_ids = RawSubQuery { tsuids: values, ..sub("sum:m") };
        check(vec![named.clone(), by_ids.clone()], None);
        let expected = "100001 values and TSUIDs are more than the 100000";
        check(vec![named, by_ids, sub("sum:m{a=x}")], Some(expected));
    }

    #[test]
    fn without_an_end_it_goes_on_until_now() {
        let query = raw("1", "", &["sum:m", "none:rate:m"]).validate(5_000).expect("a query");
        assert_eq!((query.start_ms, query.end_ms), (1_000, 5_000));
        assert_eq!(query.queries[1].rate, Some(RateOptions::default()));
    }
}
