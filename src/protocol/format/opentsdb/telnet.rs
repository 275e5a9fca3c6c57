//! A `put` line: `put METRIC TIMESTAMP VALUE KEY=VALUE [KEY=VALUE …]`, split at single spaces.

use smallvec::SmallVec;

use super::builder::{Builder, Tag};
use super::error::PointError;
use super::number;

/// Adds the point of a line, whose first word (the command) is still on it. Empty words are skipped among the tags only; a dot in the
/// time is left out, so that `1356998405.250` is in milliseconds.
pub fn parse<'a>(line: &'a str, builder: &mut Builder<'a>) -> Result<(), PointError> {
    let mut rest = line;
    let mut head = [""; 4];
    let mut words = 0;
    for word in &mut head {
        let end = memchr::memchr(b' ', rest.as_bytes());
        *word = &rest[..end.unwrap_or(rest.len())];
        words += 1;
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return Err(too_few(words)),
        }
    }
    let [_, metric, time, value] = head;
    let tags = rest;
    if metric.is_empty() {
        return Err(PointError::illegal("empty metric name"));
    }
    let time = match memchr::memchr(b'.', time.as_bytes()) {
        None => number::parse_long(time)?,
        Some(_) => number::parse_long(&time.replace('.', ""))?,
    };
    if time <= 0 {
        return Err(PointError::illegal(format!("invalid timestamp: {time}")));
    }
    if value.is_empty() {
        return Err(PointError::illegal("empty value"));
    }
    let bytes = (metric.as_bytes(), tags.as_bytes());
    if !builder.knows(bytes) {
        let tags = split_tags(tags)?;
        let number = number::parse(value)?;
        return builder.add(bytes, metric, tags.iter().copied(), time, number);
    }
    // The tags were fine before: they are taken apart again only where a message shows them.
    let number = number::parse(value)?;
    if builder.add_known(bytes, time, number) {
        return Ok(());
    }
    let tags = split_tags(tags)?;
    builder.add(bytes, metric, tags.iter().copied(), time, number)
}

fn too_few(words: usize) -> PointError {
    PointError::illegal(format!("not enough arguments (need least 4, got {})", words - 1))
}

/// `KEY=VALUE` words. The same pair twice is one.
fn split_tags(text: &str) -> Result<SmallVec<[Tag<'_>; 8]>, PointError> {
    let mut tags: SmallVec<[Tag<'_>; 8]> = SmallVec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let pair =
            word.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty() && !value.contains('='));
        let Some((key, value)) = pair else {
            return Err(PointError::illegal(format!("invalid tag: {}", super::error::quotable(word))));
        };
        match tags.iter().find(|(known, _)| *known == key) {
            None => tags.push((key, Some(value))),
            Some((_, known)) if *known == Some(value) => {}
            Some(_) => {
                let tags = super::names::printed(tags.iter().copied());
                return Err(PointError::illegal(format!(
                    "duplicate tag: {}, tags={tags}",
                    super::error::quotable(word)
                )));
            }
        }
    }
    Ok(tags)
}
