//! What a line asks for, and what is said about it.

use crate::protocol::format::opentsdb::{Builder, PointError, telnet};

/// What a line other than `put` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish<'a> {
    Put,
    Version,
    Stats,
    /// Words that are known beforehand.
    Say(&'static str),
    /// A sentence about the rest of the line.
    Refuse(&'static str, usize),
    Exit,
    Unknown(&'a str),
}

/// What `help` says after the words it begins with.
const HELP: &str = "available commands: stats dropcaches version status exit help put rollup histogram \n";
const NO_ROLLUPS: &str = "rollup: illegal argument: No rollup or aggregations were configured\n";
const NO_HISTOGRAMS: &str = "histogram: illegal argument: Histogram storage has not been enabled. Check the \
                             'tsd.core.histograms.config' configuration.\n";

/// What a line wants: its first word, as it is written, up to the first space.
pub(super) fn wish(line: &str) -> Wish<'_> {
    // Nearly all lines are points.
    if line.starts_with("put ") {
        return Wish::Put;
    }
    match line.split(' ').next().unwrap_or_default() {
        "put" => Wish::Put,
        "version" => Wish::Version,
        "stats" => Wish::Stats,
        "help" => Wish::Say(HELP),
        "dropcaches" => Wish::Say("Caches dropped.\n"),
        "status" => Wish::Say("ok\n"),
        "rollup" => Wish::Refuse(NO_ROLLUPS, 5),
        "histogram" => Wish::Refuse(NO_HISTOGRAMS, 4),
        "exit" => Wish::Exit,
        other => Wish::Unknown(other),
    }
}

/// What is said when `line`, which has fewer words than its command needs, or all of them, cannot be done.
pub(super) fn refusal(line: &str, sentence: &'static str, words_min: usize) -> String {
    let words = line.split(' ').count() - 1;
    match line.split(' ').next() {
        Some(command) if words < words_min => {
            format!("{command}: illegal argument: not enough arguments (need least {words_min}, got {words})\n")
        }
        _ => sentence.to_string(),
    }
}

pub(super) fn unknown(command: &str) -> String {
    format!("unknown command: {command}.  Try `help'.\n")
}

/// Adds the point of a `put` line. `Err`: what is said about it.
pub(super) fn put<'a>(line: &'a str, builder: &mut Builder<'a>) -> Result<(), String> {
    telnet::parse(line, builder).map_err(|error| {
        let kind = match error {
            PointError::Number(_) => "invalid value",
            PointError::Illegal(_) => "illegal argument",
            PointError::UnknownMetric(_) => "unknown metric",
        };
        format!("put: {kind}: {error}\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::format::opentsdb::Layout;

    #[test]
    fn commands_are_known_by_their_first_word_as_it_is_written() {
        for (line, expected) in [
            ("put m 1 1 a=b", Wish::Put),
            ("put", Wish::Put),
            ("version ", Wish::Version),
            ("exit now", Wish::Exit),
            ("PUT m", Wish::Unknown("PUT")),
            ("put\tm", Wish::Unknown("put\tm")),
            ("", Wish::Unknown("")),
            ("diediedie", Wish::Unknown("diediedie")),
        ] {
            assert_eq!(wish(line), expected, "{line:?}");
        }
        assert_eq!(unknown("foo"), "unknown command: foo.  Try `help'.\n");
    }

    #[test]
    fn what_is_not_configured_says_so_once_the_words_are_there() {
        let Wish::Refuse(sentence, words_min) = wish("rollup 1h-SUM m 1 2 a=b") else { panic!("no refusal") };
        assert_eq!(refusal("rollup 1h-SUM m 1 2 a=b", sentence, words_min), NO_ROLLUPS);
        let short = "rollup: illegal argument: not enough arguments (need least 5, got 1)\n";
        assert_eq!(refusal("rollup 1h-SUM", sentence, words_min), short);
    }

    #[test]
    fn a_bad_point_is_said_by_its_kind() {
        let says = |line: &str| put(line, &mut Builder::new(Layout::METRIC, None)).unwrap_err();
        assert_eq!(says("put m x 1 a=b"), "put: invalid value: Invalid character 'x' in x\n");
        assert_eq!(says("put m 1 1 a"), "put: illegal argument: invalid tag: a\n");
        let known = |_: &str| false;
        let says = |line: &str| put(line, &mut Builder::new(Layout::METRIC, Some(&known))).unwrap_err();
        assert_eq!(says("put m 1 1 a=b"), "put: unknown metric: No such name for 'metrics': 'm'\n");
    }
}
