//! Any text is a query that prints and parses to itself, or an error; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::query::influxql::parse;

fuzz_target!(|text: &str| {
    if let Ok(query) = parse(text) {
        assert_eq!(parse(&format!("{query:#}")), Ok(query));
    }
});
