//! A `put` line: `put METRIC TIMESTAMP VALUE KEY=VALUE [KEY=VALUE …]`, split at single spaces.

use super::builder::{Builder, SeriesBytes, Tags};
use super::error::{PointError, quotable};
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
    let bytes = SeriesBytes { metric: metric.as_bytes(), tags: tags.as_bytes() };
    builder.add(bytes, metric, || split_tags(tags), time, || Ok(number::parse(value)?))
}

fn too_few(words: usize) -> PointError {
    PointError::illegal(format!("not enough arguments (need least 4, got {})", words - 1))
}

/// `KEY=VALUE` words. The same pair twice is one.
fn split_tags(text: &str) -> Result<Tags<'_>, PointError> {
    let mut tags = Tags::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (word, next) = match memchr::memchr(b' ', text.as_bytes()) {
            Some(end) => (&text[..end], Some(&text[end + 1..])),
            None => (text, None),
        };
        rest = next;
        if !word.is_empty() {
            add_tag(&mut tags, word)?;
        }
    }
    Ok(tags)
}

fn add_tag<'a>(tags: &mut Tags<'a>, word: &'a str) -> Result<(), PointError> {
    let pair = memchr::memchr(b'=', word.as_bytes()).map(|at| (&word[..at], &word[at + 1..]));
    let is_value = |value: &str| !value.is_empty() && memchr::memchr(b'=', value.as_bytes()).is_none();
    let Some((key, value)) = pair.filter(|(key, value)| !key.is_empty() && is_value(value)) else {
        return Err(PointError::illegal(format!("invalid tag: {}", quotable(word))));
    };
    match tags.iter().find(|(known, _)| *known == key) {
        None => tags.push((key, Some(value))),
        Some((_, known)) if *known == Some(value) => {}
        Some(_) => {
            let tags = super::names::printed(tags.iter().copied());
            return Err(PointError::illegal(format!("duplicate tag: {}, tags={tags}", quotable(word))));
        }
    }
    Ok(())
}
