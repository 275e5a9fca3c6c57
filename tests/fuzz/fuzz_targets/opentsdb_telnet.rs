//! Any line is a point or a sentence about it; a line that is good is good again; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::model::Precision;
use tidegate::protocol::format::opentsdb::strict::{Strict, Times};
use tidegate::protocol::format::opentsdb::{Builder, Layout, telnet};

fuzz_target!(|text: &str| {
    let mut builder = Builder::new(Layout::METRIC, None);
    let mut rows = 0;
    for line in text.lines() {
        match telnet::parse(line, &mut builder) {
            Ok(()) => {
                telnet::parse(line, &mut builder).unwrap();
                rows += 2;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert_eq!(builder.into_points().rows(), rows);
    for times in [Times::In(Precision::Us), Times::ByDigits(0)] {
        let strict = Strict { layout: Layout::FLOATS, times, dots_are_underscores: false };
        if let Ok(points) = strict.lines(text) {
            assert!(points.rows() <= text.lines().count());
        }
    }
});
