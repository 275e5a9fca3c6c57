use proptest::prelude::*;

use super::*;
use crate::query::opentsdb::filter::FilterKind;

fn read(text: &str) -> Result<RawSubQuery, OpentsdbError> {
    parse_metric_query(text, &mut Counts::default())
}

/// What parses prints as `expected`, which parses to the same.
fn check(text: &str, expected: Result<&str, &str>) {
    let found = read(text).map(|query| query.to_string()).map_err(|error| error.to_string());
    assert_eq!(found, expected.map(str::to_string).map_err(str::to_string), "{text}");
    if let Ok(printed) = expected {
        let again = read(printed).map(|query| query.to_string()).map_err(|error| error.to_string());
        assert_eq!(again, Ok(printed.to_string()), "{text}");
    }
}

#[test]
fn braces_group_and_filter() {
    check("sum:cpu", Ok("sum:cpu"));
    check("sum:cpu{}", Ok("sum:cpu"));
    check("sum:{}", Ok("sum:{}"));
    check("sum:{host=*}", Ok("sum:{host=*}"));
    check("sum:cpu{host=*}", Ok("sum:cpu{host=*}"));
    check("sum:cpu{host=a|b,dc=lga}", Ok("sum:cpu{host=literal_or(a|b),dc=literal_or(lga)}"));
    check("sum:cpu{}{host=Wildcard(web*)}", Ok("sum:cpu{}{host=wildcard(web*)}"));
    check("sum:cpu{host=*}{dc=regexp(l.a)}", Ok("sum:cpu{host=*}{dc=regexp(l.a)}"));
    // The same filter twice, once grouping: one that groups.
    check("sum:cpu{host=web*}{host=web*}", Ok("sum:cpu{host=web*}"));
}

#[test]
fn tokens_come_in_any_order_and_unknown_ones_are_passed_over() {
    check("sum:rate:1m-avg:cpu", Ok("sum:rate:1m-avg:cpu"));
    check("sum:1m-avg:rate:cpu", Ok("sum:rate:1m-avg:cpu"));
    check("sum:RATE{counter,,8}:cpu", Ok("sum:rate{counter,9223372036854775807,8}:cpu"));
    check("sum:rate{dropcounter}:cpu", Ok("sum:rate{dropcounter,9223372036854775807,0}:cpu"));
    check("sum:explicit_tags:cpu{h=*}", Ok("sum:explicit_tags:cpu{h=*}"));
    check("sum:percentiles[50,99.9]:cpu", Ok("sum:percentiles[50,99.9]:cpu"));
    check("sum:whatever::cpu", Ok("sum:cpu"));
    check("sum:ROLLUP_RAW:pre-agg:cpu", Ok("sum:ROLLUP_RAW:pre-agg:cpu"));
}

#[test]
fn what_cannot_be_read_is_refused_in_the_servers_words() {
    check("", Err("The query string was empty"));
    check("cpu", Err("Invalid parameter m=cpu (not enough :-separated parts)"));
    check("sum:1m-avg:rate:a:b:cpu", Err("Invalid parameter m=sum:1m-avg:rate:a:b:cpu (too many :-separated parts)"));
    check("sum:", Err("Metric cannot be null or empty"));
    check("sum:cpu{h=a", Err("Missing '}' at the end of: cpu{h=a"));
    check("sum:cpu{h}", Err("When parsing tag 'h': invalid tag: h"));
    check(
        "sum:cpu{h=bogus(a)}",
        Err("When parsing tag 'h=bogus(a)': Could not find a tag value filter of the type: bogus"),
    );
    check("sum:cpu{}{h}", Err("When parsing filter 'h': invalid tag: h"));
    check("sum:rate{counter,abc}:cpu", Err("Max value of counter was not a number, received 'abc'"));
    check("sum:rate{counter,1,abc}:cpu", Err("Reset value of counter was not a number, received 'abc'"));
    check(
        "sum:rate{counter,1,2,3}:cpu",
        Err("Incorrect number of values in rate options specification, must be counter[,counter max value,reset \
             value], recieved: 4 parts"),
    );
}

#[test]
fn filters_of_a_request_are_counted_together_and_before_they_are_made() {
    let mut counts = Counts::default();
    let check = |counts: &mut Counts, text: &str, expected: Option<&str>| {
        let found = parse_metric_query(text, counts).err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    };
    for i in 0..16 {
        check(&mut counts, &format!("sum:m{{a=regexp({i})}}{{b=regexp({i}),b=regexp({i}),c=*}}"), None);
    }
    assert_eq!(counts, Counts { queries: 0, filters: 48, regexes: 32 });
    let mut full = counts;
    check(&mut full, "sum:m{a=regexp(()}", Some("33 regular expressions are more than the 32 that a request may have"));
    for _ in 48..1000 {
        check(&mut counts, "sum:m{a=*}", None);
    }
    check(&mut counts, "sum:m{a=wildcard(a)}", Some("1001 filters are more than the 1000 that a request may have"));
}

#[test]
fn series_are_asked_for_by_their_ids() {
    let query = parse_tsuid_query("sum:1m-avg:000001000001000001,00000200").expect("a query");
    assert_eq!(query.tsuids, ["000001000001000001", "00000200"]);
    assert_eq!(query.to_string(), "sum:1m-avg:000001000001000001,00000200");
}

fn filters() -> impl Strategy<Value = TagFilter> {
    let kinds = prop::sample::select(vec![
        (FilterKind::LiteralOr, "a|b.c"),
        (FilterKind::NotILiteralOr, "x"),
        (FilterKind::ShortWildcard, "*"),
        (FilterKind::ShortWildcard, "web*"),
        (FilterKind::IWildcard, "*x*y"),
        (FilterKind::Regexp, "a(b|c)[0-9]+"),
    ]);
    ("[a-z]{1,3}", kinds, any::<bool>())
        .prop_map(|(tagk, (kind, filter), group_by)| TagFilter::new(&tagk, kind, filter, group_by).expect("a filter"))
}

proptest! {
    #[test]
    fn a_query_reads_back_as_it_is_printed(
        metric in "[a-zA-Z0-9._/-]{0,12}",
        downsample in prop::option::of(prop::sample::select(vec!["1m-avg", "0all-sum", "1dc-p99-nan"])),
        rate in prop::option::of((any::<bool>(), 1..i64::MAX, 0..i64::MAX)),
        filters in prop::collection::vec(filters(), 0..4),
        explicit_tags in any::<bool>(),
    ) {
        let options = rate.map(|(drop_resets, counter_max, reset_value)| RateOptions {
            counter: true, counter_max, reset_value, drop_resets,
        });
        // Filtering ones first, as they are read; each once.
        let mut kept: Vec<TagFilter> = Vec::new();
        for filter in filters.iter().filter(|f| !f.group_by).chain(filters.iter().filter(|f| f.group_by)) {
            if !kept.iter().any(|known| known.tagk == filter.tagk && known.filter == filter.filter) {
                kept.push(filter.clone());
            }
        }
        let query = RawSubQuery {
            aggregator: "sum".to_string(),
            metric: Some(metric),
            downsample: downsample.map(str::to_string),
            rate: options.is_some(),
            rate_options: options,
            filters: kept,
            explicit_tags,
            ..RawSubQuery::default()
        };
        let printed = query.to_string();
        prop_assert_eq!(read(&printed).map_err(|e| e.to_string()), Ok(query), "{}", printed);
    }

    #[test]
    fn no_text_is_too_much(text in "(sum|rate|[0-9]{1,3}m-avg|[{}():=,*|a-z]){0,20}") {
        let _ = read(&text);
        let _ = parse_tsuid_query(&text);
        let _ = parse_metric(&text, &mut Counts::default());
    }
}
