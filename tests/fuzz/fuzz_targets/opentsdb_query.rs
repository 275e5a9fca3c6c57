//! Any text is a sub query whose print reads back as it, or an error; so are times, expressions and formulas, without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::query::opentsdb::downsample::Downsample;
use tidegate::query::opentsdb::expression::{Formula, parse_gexp};
use tidegate::query::opentsdb::metric_query::{parse_metric_query, parse_tsuid_query};
use tidegate::query::opentsdb::request::Counts;
use tidegate::query::opentsdb::time::parse_time;

fuzz_target!(|text: &str| {
    if let Ok(query) = parse_metric_query(text, &mut Counts::default()) {
        let printed = query.to_string();
        let again = parse_metric_query(&printed, &mut Counts::default()).expect("what was printed is a sub query");
        assert_eq!(again.to_string(), printed);
    }
    if let Ok(query) = parse_tsuid_query(text) {
        let printed = query.to_string();
        let again = parse_tsuid_query(&printed).expect("what was printed is a sub query");
        assert_eq!(again.to_string(), printed);
    }
    let _ = parse_time(text, Some("Europe/Berlin"), 1_400_000_000_000);
    let _ = Downsample::parse(text, true);
    let _ = parse_gexp(text, &mut Vec::new(), &mut Counts::default());
    if let Ok(formula) = Formula::parse(text) {
        formula.value(&|name| name.len() as f64);
    }
});
