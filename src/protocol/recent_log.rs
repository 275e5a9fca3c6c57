//! The last lines that the process logged, in memory, for those who may ask for them.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that are kept.
const LINES_MAX: usize = 1024;
/// Bytes of a line; what is longer is cut.
const LINE_BYTES_MAX: usize = 2048;

/// A bounded list of lines: a new one takes the place of the oldest.
#[derive(Debug, Default)]
pub struct RecentLog(Mutex<VecDeque<Arc<str>>>);

impl RecentLog {
    pub fn add(&self, line: LogLine) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.0.into());
    }

    pub fn newest_first(&self) -> Vec<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

/// One line while it is written. Control characters are escaped, so that it stays one line; tabs part its columns.
#[derive(Debug, Default)]
pub struct LogLine(String);

impl LogLine {
    /// The next column begins.
    pub fn next_column(&mut self) {
        if self.0.len() < LINE_BYTES_MAX {
            self.0.push('\t');
        }
    }
}

impl Write for LogLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            let bytes: usize = if char.is_control() { char.escape_default().count() } else { char.len_utf8() };
            if self.0.len() + bytes > LINE_BYTES_MAX {
                // Whoever formats the rest may stop.
                return Err(fmt::Error);
            }
            if char.is_control() { self.0.extend(char.escape_default()) } else { self.0.push(char) }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        let mut line = LogLine::default();
        let _ = line.write_str(text);
        line
    }

    #[test]
    fn the_newest_lines_stay() {
        let log = RecentLog::default();
        for n in 0..LINES_MAX + 3 {
            log.add(line(&n.to_string()));
        }
        let lines = log.newest_first();
        assert_eq!((lines.len(), &*lines[0], &*lines[LINES_MAX - 1]), (LINES_MAX, "1026", "3"));
    }

    #[test]
    fn a_line_is_one_line_of_so_many_bytes() {
        let log = RecentLog::default();
        let mut columns = line("a\n\tb\u{1b}[m");
        columns.next_column();
        columns.write_str("ü").unwrap();
        log.add(columns);
        let mut long = line(&"ü".repeat(LINE_BYTES_MAX));
        long.next_column();
        log.add(long);
        assert_eq!(&*log.newest_first()[1], "a\\n\\tb\\u{1b}[m\tü");
        assert_eq!(log.newest_first()[0].len(), LINE_BYTES_MAX);
    }
}
