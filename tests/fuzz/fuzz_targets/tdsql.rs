//! Any text is a statement that prints and parses to what prints the same, or an error; never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::query::tdsql::parse;

fuzz_target!(|text: &str| {
    let Ok(statement) = parse(text) else { return };
    let printed = statement.to_string();
    // A print shows no password, and so is another statement.
    if !printed.contains("PASS '******'") {
        assert_eq!(parse(&printed).map(|again| again.to_string()).ok(), Some(printed));
    }
});
