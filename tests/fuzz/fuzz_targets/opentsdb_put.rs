//! Any body is points and bad points, no more of them than it has commas and one; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::model::Precision;
use tidegate::protocol::format::opentsdb::Layout;
use tidegate::protocol::format::opentsdb::json::{Options, Purpose, parse};
use tidegate::protocol::format::opentsdb::strict::{Strict, Times};

fuzz_target!(|body: &str| {
    let points_max = body.matches(',').count() + 1;
    let options = Options { layout: Layout::METRIC, purpose: Purpose::Put, may_write: None, keep_bad: true };
    if let Ok(parsed) = parse(body, options) {
        assert_eq!(parsed.bad.len(), parsed.bad_count);
        assert!(parsed.points.rows() + parsed.bad_count <= points_max);
    }
    let strict = Strict { layout: Layout::FLOATS, times: Times::In(Precision::Ns), dots_are_underscores: true };
    if let Ok(points) = strict.document(body) {
        assert!(points.rows() <= points_max);
    }
});
