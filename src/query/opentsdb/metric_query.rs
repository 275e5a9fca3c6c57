//! Sub queries as one line: `AGG:[token:]…METRIC[{group tags}[{filters}]]`, and the same over TSUIDs.
//!
//! To the letter of OpenTSDB's `QueryRpc.parseMTypeSubQuery` and `Tags.parseWithMetricAndFilters`; tokens that mean nothing are
//! passed over, as they are there.

use std::fmt;

use super::error::OpentsdbError;
use super::filter::{FilterKind, TagFilter};
use super::request::{Counts, RateOptions, RawSubQuery};

/// Parts between colons: the aggregator, at most three tokens, the metric.
const PARTS_MAX: usize = 5;

/// A sub query over a metric, the value of `m=`. Its filters are added to `counts` before they are made.
pub fn parse_metric_query(text: &str, counts: &mut Counts) -> Result<RawSubQuery, OpentsdbError> {
    let parts = parts_of(text, 'm')?;
    let (aggregator, tokens, metric) = ends(&parts);
    let mut query = RawSubQuery { aggregator: aggregator.to_string(), ..RawSubQuery::default() };
    let (metric, filters) = parse_metric(metric, counts)?;
    query.metric = Some(metric);
    query.filters = filters;
    for token in tokens {
        let lower = token.to_lowercase();
        if lower.starts_with("rate") {
            set_rate(&mut query, token)?;
        } else if token.starts_with(|c: char| c.is_ascii_digit()) {
            query.downsample = Some((*token).to_string());
        } else if lower == "pre-agg" {
            query.pre_aggregate = true;
        } else if lower.starts_with("rollup_") {
            query.rollup_usage = Some((*token).to_string());
        } else if lower.starts_with("percentiles") {
            query.percentiles = parse_percentiles(token)?;
        } else if lower.starts_with("show-histogram-buckets") {
            query.show_histogram_buckets = true;
        } else if lower.starts_with("explicit_tags") {
            query.explicit_tags = true;
        }
    }
    Ok(query)
}

/// A sub query over series by their ids, the value of `tsuid=`.
pub fn parse_tsuid_query(text: &str) -> Result<RawSubQuery, OpentsdbError> {
    let parts = parts_of(text, 'm')?;
    let (aggregator, tokens, tsuids) = ends(&parts);
    let tsuids = tsuids.split(',').map(str::to_string).collect();
    let mut query = RawSubQuery { aggregator: aggregator.to_string(), tsuids, ..RawSubQuery::default() };
    for token in tokens {
        let lower = token.to_lowercase();
        if lower.starts_with("rate") {
            set_rate(&mut query, token)?;
        } else if token.starts_with(|c: char| c.is_ascii_digit()) {
            query.downsample = Some((*token).to_string());
        } else if lower.starts_with("percentiles") {
            query.percentiles = parse_percentiles(token)?;
        } else if lower.starts_with("show-histogram-buckets") {
            query.show_histogram_buckets = true;
        }
    }
    Ok(query)
}

fn parts_of(text: &str, parameter: char) -> Result<Vec<&str>, OpentsdbError> {
    if text.is_empty() {
        return Err(OpentsdbError::refused("The query string was empty"));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let refused = |what: &str| {
        Err(OpentsdbError::Refused(format!("Invalid parameter {parameter}={text} ({what} :-separated parts)")))
    };
    match parts.len() {
        0 | 1 => refused("not enough"),
        n if n > PARTS_MAX => refused("too many"),
        _ => Ok(parts),
    }
}

/// The first, those between, the last.
fn ends<'a, 'b>(parts: &'b [&'a str]) -> (&'a str, &'b [&'a str], &'a str) {
    match parts {
        [first, between @ .., last] => (first, between, last),
        _ => ("", &[], ""),
    }
}

/// A metric and what its braces say: `foo`, `foo{group tags}`, `foo{group tags}{filters}`. The filters are added to
/// `counts` before they are made.
pub fn parse_metric(text: &str, counts: &mut Counts) -> Result<(String, Vec<TagFilter>), OpentsdbError> {
    if text.is_empty() {
        return Err(OpentsdbError::refused("Metric cannot be null or empty"));
    }
    let Some(open) = text.find('{') else { return Ok((text.to_string(), Vec::new())) };
    let metric = text[..open].to_string();
    let Some(inside) = text[open + 1..].strip_suffix('}') else {
        return Err(OpentsdbError::Refused(format!("Missing '}}' at the end of: {text}")));
    };
    let mut filters = Vec::new();
    let (grouping, filtering) = match inside.find('}') {
        Some(close) => {
            let second = inside.rfind('{').map_or(inside, |at| &inside[at + 1..]);
            (&inside[..close], Some(second))
        }
        None => (inside, None),
    };
    for pair in filtering.into_iter().flat_map(|pairs| pairs.split(',')).take_while(|pair| !pair.is_empty()) {
        add_pair(&mut filters, pair, false, counts)?;
    }
    if grouping.is_empty() {
        return Ok((metric, filters));
    }
    for pair in grouping.split(',') {
        if pair.is_empty() && filtering.is_some() {
            break;
        }
        add_pair(&mut filters, pair, true, counts)?;
    }
    Ok((metric, filters))
}

/// Adds a filter as it stands in braces. One that is there already is not made again, and groups from now on if this one does.
fn add_pair(
    filters: &mut Vec<TagFilter>,
    pair: &str,
    group_by: bool,
    counts: &mut Counts,
) -> Result<(), OpentsdbError> {
    let what = if group_by { "tag" } else { "filter" };
    let within = |error: OpentsdbError| OpentsdbError::Refused(format!("When parsing {what} '{pair}': {error}"));
    let (tagk, kind, filter) = parse_pair(pair).map_err(within)?;
    let same =
        |known: &&mut TagFilter| (known.tagk.as_str(), known.kind, known.filter.as_str()) == (tagk, kind, filter);
    if let Some(known) = filters.iter_mut().find(same) {
        known.group_by |= group_by;
        return Ok(());
    }
    counts.add_filter(Some(kind));
    counts.check()?;
    filters.push(TagFilter::new(tagk, kind, filter, group_by).map_err(within)?);
    Ok(())
}

/// Tag key, kind and text of a filter.
fn parse_pair(pair: &str) -> Result<(&str, FilterKind, &str), OpentsdbError> {
    match pair.split('=').collect::<Vec<_>>()[..] {
        [key, value] if !key.is_empty() && !value.is_empty() => {
            FilterKind::of_short(value).map(|(kind, filter)| (key, kind, filter))
        }
        _ => Err(OpentsdbError::Refused(format!("invalid tag: {pair}"))),
    }
}

fn set_rate(query: &mut RawSubQuery, token: &str) -> Result<(), OpentsdbError> {
    query.rate = true;
    if token.contains('{') {
        query.rate_options = Some(parse_rate_options(token)?);
    }
    Ok(())
}

/// `rate{counter[,max[,reset]]}` or `rate{dropcounter…}`.
fn parse_rate_options(token: &str) -> Result<RateOptions, OpentsdbError> {
    let inside = token.get("rate{".len()..token.len().saturating_sub(1));
    let Some(inside) = inside.filter(|_| token.len() >= 6) else {
        return Err(OpentsdbError::Refused(format!("Invalid rate options specification: {token}")));
    };
    let parts: Vec<&str> = inside.split(',').collect();
    if parts.len() > 3 {
        return Err(OpentsdbError::Refused(format!(
            "Incorrect number of values in rate options specification, must be counter[,counter max value,reset \
             value], recieved: {} parts",
            parts.len()
        )));
    }
    let number = |at: usize, default: i64, what: &str| match parts.get(at) {
        None | Some(&"") => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| OpentsdbError::Refused(format!("{what} of counter was not a number, received '{text}'"))),
    };
    Ok(RateOptions {
        counter_max: number(1, i64::MAX, "Max value")?,
        reset_value: number(2, 0, "Reset value")?,
        counter: parts[0].ends_with("counter"),
        drop_resets: parts[0] == "dropcounter",
    })
}

/// `percentiles[50,99.9]`.
fn parse_percentiles(token: &str) -> Result<Vec<f64>, OpentsdbError> {
    let refused = || OpentsdbError::Refused(format!("Invalid percentile query: {token}"));
    let inside = token.split_once('[').and_then(|(_, rest)| rest.split_once(']')).ok_or_else(refused)?.0;
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    inside.split(',').map(|text| number(text).ok_or_else(refused)).collect()
}

impl fmt::Display for RawSubQuery {
    /// As the value of `m=`, or of `tsuid=` when it is over TSUIDs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.aggregator)?;
        if self.rate {
            f.write_str("rate")?;
            if let Some(options) = &self.rate_options {
                write!(f, "{{{options}}}")?;
            }
            f.write_str(":")?;
        }
        for token in self.downsample.iter().chain(&self.rollup_usage) {
            write!(f, "{token}:")?;
        }
        let flags = [
            ("pre-agg", self.pre_aggregate),
            ("explicit_tags", self.explicit_tags),
            ("show-histogram-buckets", self.show_histogram_buckets),
        ];
        for (token, _) in flags.iter().filter(|(_, on)| *on) {
            write!(f, "{token}:")?;
        }
        if !self.percentiles.is_empty() {
            let numbers: Vec<String> = self.percentiles.iter().map(f64::to_string).collect();
            write!(f, "percentiles[{}]:", numbers.join(","))?;
        }
        if !self.tsuids.is_empty() {
            return f.write_str(&self.tsuids.join(","));
        }
        let metric = self.metric.as_deref().unwrap_or_default();
        f.write_str(metric)?;
        if self.filters.is_empty() {
            // No metric at all has braces at least.
            return f.write_str(if metric.is_empty() { "{}" } else { "" });
        }
        let pairs = |group_by: bool| -> Vec<String> {
            self.filters.iter().filter(|known| known.group_by == group_by).map(TagFilter::to_string).collect()
        };
        write!(f, "{{{}}}", pairs(true).join(","))?;
        match pairs(false) {
            filtering if filtering.is_empty() => Ok(()),
            filtering => write!(f, "{{{}}}", filtering.join(",")),
        }
    }
}

impl fmt::Display for RateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match (self.counter, self.drop_resets) {
            (true, true) => "dropcounter",
            (true, false) => "counter",
            (false, _) => "gauge",
        };
        write!(f, "{name},{},{}", self.counter_max, self.reset_value)
    }
}

#[cfg(test)]
mod tests;
