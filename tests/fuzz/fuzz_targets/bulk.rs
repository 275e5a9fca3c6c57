//! Any body is actions in the order of its lines, or refused; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::protocol::format::documents::{bulk, log_lines};

const MAX: usize = 100;

fuzz_target!(|body: &[u8]| {
    let lines = body.split(|&byte| byte == b'\n').count();
    if let Ok(items) = bulk::parse(body, Some("index")) {
        assert!(!items.is_empty() && items.len() <= lines);
        let places = items.iter().filter_map(|item| item.source).map(|source| source.as_ptr());
        assert!(places.is_sorted());
    }
    if let Ok(pairs) = log_lines::pairs(body, MAX) {
        assert!(2 * pairs.len() <= lines && pairs.len() <= MAX);
    }
    if let Ok(alone) = log_lines::alone(body, MAX) {
        assert!(alone.len() <= lines.min(MAX));
    }
});
