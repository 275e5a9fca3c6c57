//! Any body is points and bad lines, no more of them than there are lines; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::model::Precision;
use tidegate::protocol::format::line_protocol::{Dialect, Options, parse};

fuzz_target!(|body: &[u8]| {
    let lines = body.split(|&byte| byte == b'\n').count();
    for dialect in [Dialect::INFLUXDB, Dialect::CNOSDB] {
        let parsed = parse(body, &Options { dialect, precision: Precision::Ms, now_ns: 0 });
        assert!(parsed.points.rows() + parsed.bad_lines.count() <= lines);
        for error in parsed.bad_lines.kept() {
            assert!((error.offset..=body.len()).contains(&error.position));
            let _ = (error.to_string(), error.cnosdb().to_string());
        }
    }
});
