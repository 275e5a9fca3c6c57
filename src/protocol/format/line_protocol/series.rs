//! The series part of a line: measurement and tags.

use std::borrow::Cow;

use ahash::AHashSet;
use memchr::{memchr, memchr2, memchr3};

use super::error::{Problem, Reason};
use super::{Dialect, is_escaped};

/// A tag as written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

/// Where the series part of `line` ends if it is well-formed: at the first space that is not escaped.
pub(super) fn end(line: &[u8], dialect: Dialect) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(b' ', &line[from..])?;
        if !is_escaped(line, at, dialect) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Reads the series part of `line` into `tags`; returns the raw measurement and where the part ends.
pub(super) fn read<'a>(line: &'a str, dialect: Dialect, tags: &mut Vec<Tag<'a>>) -> Result<(&'a str, usize), Problem> {
    tags.clear();
    let bytes = line.as_bytes();
    if bytes.first() == Some(&b',') {
        return Err(Problem::new(Reason::MissingMeasurement, 0));
    }
    let mut at = find(bytes, 1, dialect, |rest| memchr2(b',', b' ', rest))
        .ok_or_else(|| Problem::new(Reason::MissingFields, 0))?;
    let measurement = &line[..at];
    while bytes[at] == b',' {
        let (tag, end) = read_tag(line, at + 1, dialect)?;
        tags.push(tag);
        at = end;
    }
    if has_repeated_key(tags) {
        if !dialect.loose_tags {
            return Err(Problem::new(Reason::DuplicateTags, 0));
        }
        let mut seen = AHashSet::new();
        tags.retain(|tag| seen.insert(tag.key));
    }
    Ok((measurement, at))
}

/// Reads the tag at `start`; returns it with the position of the separator behind it.
fn read_tag(line: &str, start: usize, dialect: Dialect) -> Result<(Tag<'_>, usize), Problem> {
    let bytes = line.as_bytes();
    let problem = |reason| Problem::new(reason, start);
    if matches!(bytes.get(start), None | Some(b' ' | b',' | b'=')) {
        return Err(problem(Reason::MissingTagKey));
    }
    // A separator that would make key or value empty was looked at: the search starts one byte later.
    let equals = find(bytes, start + 1, dialect, |rest| memchr3(b'=', b',', b' ', rest))
        .filter(|&at| bytes[at] == b'=')
        .ok_or_else(|| problem(Reason::MissingTagValue))?;
    let value = equals + 1;
    let end = match bytes.get(value) {
        None => return Err(problem(Reason::MissingTagValue)),
        Some(b',' | b' ') if !dialect.loose_tags => return Err(problem(Reason::MissingTagValue)),
        Some(b',' | b' ') => Some(value),
        Some(_) if dialect.loose_tags => find(bytes, value + 1, dialect, |rest| memchr2(b',', b' ', rest)),
        Some(_) => find(bytes, value + 1, dialect, |rest| memchr3(b'=', b',', b' ', rest)),
    };
    let end = end.ok_or_else(|| problem(Reason::MissingFields))?;
    if bytes[end] == b'=' {
        return Err(problem(Reason::InvalidTagFormat));
    }
    Ok((Tag { key: &line[start..equals], value: &line[value..end] }, end))
}

/// The first byte from `from` on that `next` finds and no backslash escapes.
fn find(bytes: &[u8], mut from: usize, dialect: Dialect, next: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    loop {
        let at = from + next(bytes.get(from..)?)?;
        if !is_escaped(bytes, at, dialect) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn has_repeated_key(tags: &[Tag<'_>]) -> bool {
    if tags.is_sorted_by(|left, right| left.key < right.key) {
        return false;
    }
    let mut keys: Vec<&str> = tags.iter().map(|tag| tag.key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// A measurement or field key without its escapes.
pub(super) fn unescape_name(raw: &str) -> Cow<'_, str> {
    unescape(raw, |byte| matches!(byte, b',' | b' ' | b'=' | b'"'))
}

/// A tag key or value without its escapes.
pub(super) fn unescape_tag(raw: &str) -> Cow<'_, str> {
    unescape(raw, |byte| matches!(byte, b',' | b' ' | b'='))
}

/// A string value without its escapes.
pub(super) fn unescape_string(raw: &str) -> Cow<'_, str> {
    unescape(raw, |byte| matches!(byte, b'"' | b'\\'))
}

/// `raw` without the backslashes before bytes that `escapable` names.
fn unescape(raw: &str, escapable: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    let mut plain = String::new();
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = memchr(b'\\', &bytes[from..]) {
        let backslash = from + found;
        match bytes.get(backslash + 1) {
            Some(&byte) if escapable(byte) => {
                plain.push_str(&raw[copied..backslash]);
                copied = backslash + 1;
                from = backslash + 2;
            }
            _ => from = backslash + 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(raw);
    }
    plain.push_str(&raw[copied..]);
    Cow::Owned(plain)
}
