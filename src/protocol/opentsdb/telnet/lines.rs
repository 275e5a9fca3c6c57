//! Lines out of what a socket gives.

/// The longest line, bytes, without its end; longer ones are dropped without a word.
pub(super) const LINE_BYTES_MAX: usize = 1024;
/// Room that is not given back.
const ROOM_BYTES_MIN: usize = 4 * 1024;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Whole lines, with their ends.
    whole: Vec<u8>,
    /// What is not a whole line yet.
    held: Vec<u8>,
    /// The line that is being read is too long: it is dropped up to its end.
    is_dropping: bool,
}

impl Lines {
    /// Adds bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        if self.is_dropping {
            let Some(end) = memchr::memchr(b'\n', bytes) else { return };
            self.is_dropping = false;
            bytes = &bytes[end + 1..];
        }
        if let Some(last) = memchr::memrchr(b'\n', bytes) {
            self.whole.append(&mut self.held);
            self.whole.extend_from_slice(&bytes[..=last]);
            bytes = &bytes[last + 1..];
        }
        self.hold(bytes);
    }

    /// The whole lines that are there, with their ends.
    pub(super) fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Forgets the whole lines, and keeps room for about as many.
    pub(super) fn clear(&mut self) {
        let room = self.whole.len().max(ROOM_BYTES_MIN);
        self.whole.clear();
        self.whole.shrink_to(2 * room);
    }

    fn hold(&mut self, bytes: &[u8]) {
        // The end may be two bytes, of which the first one is here.
        if self.held.len() + bytes.len() > LINE_BYTES_MAX + 1 {
            self.is_dropping = true;
            self.held.clear();
        } else {
            self.held.extend_from_slice(bytes);
        }
    }
}

/// Each line of `text` without its end. Lines that are too long are left out.
pub(super) fn each(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.filter(|line| line.len() <= LINE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of `pieces`, which arrive one after the other.
    fn read(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes());
            all.extend(each(std::str::from_utf8(lines.whole()).unwrap()).map(String::from));
            lines.clear();
        }
        all
    }

    #[test]
    fn lines_come_whole_wherever_they_were_cut() {
        let text = "one\ntwo\r\n\nthree\nfour";
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(read(&[left, right]), ["one", "two", "", "three"], "{at}");
        }
        let bytes: Vec<String> = text.chars().map(String::from).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        assert_eq!(read(&bytes), ["one", "two", "", "three"]);
    }

    #[test]
    fn lines_of_several_reads_are_taken_at_once() {
        let mut lines = Lines::default();
        assert_eq!(lines.whole(), b"");
        ["one\ntw", "o\nthr", "ee", "\nfour"].iter().for_each(|piece| lines.push(piece.as_bytes()));
        assert_eq!(lines.whole(), b"one\ntwo\nthree\n");
        lines.clear();
        assert_eq!(lines.whole(), b"");
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_the_next_one_is_read() {
        let (fits, too_long) = ("x".repeat(LINE_BYTES_MAX), "x".repeat(LINE_BYTES_MAX + 1));
        for end in ["\n", "\r\n"] {
            assert_eq!(read(&[&fits, end, "next\n"]), [fits.as_str(), "next"]);
            assert_eq!(read(&[&too_long, end, "next\n"]), ["next"]);
            assert_eq!(read(&[&format!("{too_long}{end}next\n")]), ["next"]);
        }
        assert_eq!(read(&[&fits, &fits, &fits, "tail\nnext\n"]), ["next"]);
    }
}
