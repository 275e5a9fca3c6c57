//! Where lines begin and end.

use memchr::{memchr, memchr2, memchr3};

use super::Dialect;

/// A line that is neither blank nor a comment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without leading blanks and without its line end; never empty.
    pub bytes: &'a [u8],
    /// Where `bytes` starts in the body.
    pub offset: usize,
    /// Whether a line end follows; the last line may have none.
    pub terminated: bool,
}

/// The lines of a body.
pub(super) struct Lines<'a> {
    body: &'a [u8],
    next: usize,
    dialect: Dialect,
}

impl<'a> Lines<'a> {
    pub(super) fn new(body: &'a [u8], dialect: Dialect) -> Self {
        Lines { body, next: 0, dialect }
    }

    fn end(&self, start: usize) -> usize {
        if self.dialect.text_lines && self.body[start + blanks(&self.body[start..])..].first() == Some(&b'#') {
            return memchr(b'\n', &self.body[start..]).map_or(self.body.len(), |at| start + at);
        }
        line_end(self.body, start)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while self.next < self.body.len() {
            let start = self.next;
            let end = self.end(start);
            self.next = end + 1;
            let mut bytes = &self.body[start..end];
            if self.dialect.text_lines {
                bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            }
            let skipped = blanks(bytes);
            bytes = &bytes[skipped..];
            if bytes.is_empty() || bytes[0] == b'#' {
                continue;
            }
            // A quote left open has taken the last line end into the line.
            let inside = bytes.strip_suffix(b"\n");
            let terminated = end < self.body.len() || inside.is_some();
            return Some(Line { bytes: inside.unwrap_or(bytes), offset: start + skipped, terminated });
        }
        None
    }
}

/// How many bytes at the start of `bytes` are skipped where sections begin.
pub(super) fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0)).count()
}

/// The end of the line that starts at `start`: its newline, or the end of the body.
fn line_end(body: &[u8], start: usize) -> usize {
    match memchr3(b'\n', b'"', b'\\', &body[start..]) {
        None => body.len(),
        Some(at) if body[start + at] == b'\n' => start + at,
        Some(_) => quoted_line_end(body, start),
    }
}

/// The same where quotes or backslashes may hide newlines.
///
/// A quote counts only in a field value: after a space, when more `=` than commas have passed since.
fn quoted_line_end(body: &[u8], start: usize) -> usize {
    let (mut spaced, mut quoted) = (false, false);
    let mut open_values = 0isize;
    let mut at = start;
    loop {
        let rest = &body[at..];
        let found = if quoted { memchr2(b'"', b'\\', rest) } else { memchr3(b'\n', b'"', b'\\', rest) };
        let Some(found) = found else { return body.len() };
        if !quoted {
            let mut passed = &rest[..found];
            if !spaced {
                let space = memchr(b' ', passed);
                spaced = space.is_some();
                passed = &passed[space.unwrap_or(passed.len())..];
            }
            open_values += passed.iter().map(|&b| isize::from(b == b'=') - isize::from(b == b',')).sum::<isize>();
        }
        at += found;
        match body[at] {
            b'\n' => return at,
            b'"' if spaced && open_values > 0 => quoted = !quoted,
            // A backslash takes a byte along, unless that is the body's last.
            b'\\' if at + 2 < body.len() => at += 1,
            _ => {}
        }
        at += 1;
    }
}
